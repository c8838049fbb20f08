//! What goes onto the bus: the frame, and where its context is.

use can_decode::extract::Extractor;
use can_decode::frame::FD_LEN_MAX;
use can_decode::isotp::Endpoint;
use can_decode::trace::{classic, payload};
use can_decode::{CanId, DecodeTable, Frame, FrameFlags, TraceContext, candump};

/// Lengths of CAN-FD payloads that have room for a context (ISO 11898-1).
const FD_LENGTHS: [usize; 3] = [32, 48, 64];

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// As candump writes it.
    pub(super) frame: String,
    pub(super) fd: bool,
    pub(super) offset: Option<usize>,
    /// Identifier of context frames.
    pub(super) classic: Option<String>,
    pub(super) tag: Option<u8>,
}

/// Where contexts go.
#[derive(Clone, Copy, Debug)]
enum Place {
    Offset(usize),
    Classic { id: CanId, tag: u8, counter: Option<Extractor> },
}

/// What to send, again and again.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    frame: Frame,
    place: Option<Place>,
}

impl Plan {
    /// With the signals and offsets of `table`, where there is one.
    pub(super) fn new(
        wanted: &Wanted,
        has_contexts: bool,
        table: Option<&DecodeTable>,
    ) -> Result<Self, String> {
        let frame = frame(&wanted.frame, wanted.fd)?;
        let place = place(wanted, &frame, table)?;
        match (has_contexts, place) {
            (true, None) => {
                Err("a context needs a place: give --offset, --classic, or --dbc with a TraceContextOffset"
                    .to_owned())
            }
            (false, Some(_)) if table.is_none() => {
                Err("a place for a context, and no context: give --new-trace or --traceparent".to_owned())
            }
            (false, _) => Ok(Self { frame, place: None }),
            (true, Some(Place::Offset(offset))) => {
                let frame = with_room(&frame, offset)?;
                Ok(Self { frame, place })
            }
            (true, place) => Ok(Self { frame, place }),
        }
    }

    /// The frames of one round, in their order.
    pub(super) fn frames(&self, round: u64, context: Option<&TraceContext>) -> Vec<Frame> {
        let mut frames = Vec::with_capacity(classic::FRAMES + 1);
        let mut frame = self.frame;
        match (self.place, context) {
            (Some(Place::Offset(offset)), Some(context)) => {
                let mut bytes = *frame.padded();
                // There is room, or there would be no plan; and the length is that of the frame before.
                let _ = payload::write(&mut bytes, offset, context);
                frame = Frame::fd(frame.id(), frame.flags(), &bytes[..frame.len()]).unwrap_or(frame);
            }
            (Some(Place::Classic { id, tag, counter }), Some(context)) => {
                let counter = counter.map_or(round as u8, |counter| counter.read(frame.padded()) as u8);
                let parts = classic::write(context, frame.id(), tag, counter);
                frames.extend(parts.iter().filter_map(|part| Frame::classic(id, part).ok()));
            }
            _ => {}
        }
        frames.push(frame);
        frames
    }
}

fn frame(text: &str, fd: bool) -> Result<Frame, String> {
    // The reader takes whole lines.
    let line = format!("(0.0) x {text}");
    let frame = candump::parse_line(&line).map(|line| line.frame);
    let frame = frame.ok().filter(Frame::is_data).ok_or_else(|| {
        format!("{text:?} is no data frame; write 123#11223344, 12345678#11, or 123##1<data> for CAN FD")
    })?;
    if fd && !frame.is_fd() {
        return Frame::fd(frame.id(), FrameFlags::BRS, frame.data()).map_err(|error| error.to_string());
    }
    Ok(frame)
}

fn place(wanted: &Wanted, frame: &Frame, table: Option<&DecodeTable>) -> Result<Option<Place>, String> {
    let found = table.and_then(|table| table.find(frame.id()).map(|index| table.message(index)));
    if table.is_some() && found.is_none() {
        return Err(format!("no message of the DBC files has the identifier {}", frame.id()));
    }
    let Wanted { offset, classic, tag, .. } = wanted;
    match (offset, classic) {
        (Some(_), Some(_)) => Err("--offset and --classic are two places; give one of them".to_owned()),
        (_, None) if tag.is_some() => Err("--tag is of context frames; give --classic beside it".to_owned()),
        (Some(offset), None) => Ok(Some(Place::Offset(*offset))),
        (None, None) => {
            let offset = found.and_then(|message| message.trace_context_offset);
            Ok(offset.map(|offset| Place::Offset(offset.into())))
        }
        (None, Some(text)) => {
            let endpoint = text.parse::<Endpoint>().ok().filter(|endpoint| endpoint.address.is_none());
            let id =
                endpoint.map(|endpoint| endpoint.id).filter(|id| *id != frame.id()).ok_or_else(|| {
                    format!("--classic {text:?} is no identifier of its own: 3 or 8 hex digits")
                })?;
            let counter = found.and_then(|message| message.signals.get(message.alive_counter?));
            let counter = counter
                .and_then(|signal| Extractor::new(signal.start_bit, signal.bits, signal.byte_order, false))
                .filter(|counter| counter.end() <= frame.len());
            Ok(Some(Place::Classic { id, tag: tag.unwrap_or(0), counter }))
        }
    }
}

/// The frame, at least as long as its context asks for.
fn with_room(frame: &Frame, offset: usize) -> Result<Frame, String> {
    if !frame.is_fd() {
        return Err(
            "a context in the frame itself takes CAN FD: write 123##1<data> or add --fd; or use --classic"
                .to_owned(),
        );
    }
    let end = offset.saturating_add(TraceContext::WIRE_LEN);
    if end > FD_LEN_MAX {
        return Err(format!(
            "25 bytes from byte {offset} on end behind byte 64, where no frame has a payload"
        ));
    }
    let len = FD_LENGTHS.into_iter().find(|len| *len >= end.max(frame.len())).unwrap_or(FD_LEN_MAX);
    Frame::fd(frame.id(), frame.flags(), &frame.padded()[..len]).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use can_decode::trace::TraceFlags;
    use can_decode::trace::classic::{ClassicReader, Limits, Target};
    use can_decode::{Matching, dbc};

    use super::*;

    const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 TRACED: 32 ECU
 SG_ A : 0|8@1+ (1,0) [0|255] "" ECU
BO_ 257 PLAIN: 8 ECU
 SG_ AliveCounter : 4|4@1+ (1,0) [0|15] "" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 256 4;
"#;

    fn table() -> DecodeTable {
        let (database, _) = dbc::read("x.dbc", DBC.as_bytes()).unwrap();
        DecodeTable::compile(&[database], Matching::Auto).0
    }

    fn context() -> TraceContext {
        TraceContext::new([7; 16], [9; 8], TraceFlags(1)).unwrap()
    }

    fn wanted(frame: &str) -> Wanted {
        Wanted { frame: frame.to_owned(), ..Wanted::default() }
    }

    #[test]
    fn contexts_stand_where_they_are_asked_for() {
        let by_offset = Wanted { fd: true, offset: Some(8), ..wanted("123#1122") };
        let plan = Plan::new(&by_offset, true, None).unwrap();
        let [frame] = plan.frames(0, Some(&context()))[..] else { panic!("one frame") };
        assert_eq!((frame.len(), &frame.data()[..3]), (48, &[0x11, 0x22, 0][..]));
        assert_eq!(payload::read(frame.data(), 8), Ok(context()));
        let plan = Plan::new(&wanted("100##1AA"), true, Some(&table())).unwrap();
        let [frame] = plan.frames(0, Some(&context()))[..] else { panic!("one frame") };
        assert_eq!((frame.len(), payload::read(frame.data(), 4)), (32, Ok(context())));
        // Without a context the frame is sent as it is.
        let plan = Plan::new(&wanted("100##1AA"), false, Some(&table())).unwrap();
        assert_eq!(
            plan.frames(0, None),
            [Frame::fd(CanId::Standard(0x100), FrameFlags::BRS, &[0xAA]).unwrap()]
        );
    }

    #[test]
    fn context_frames_are_read_back() {
        let check = |table: Option<&DecodeTable>, round: u64, counter: u8| {
            let wanted = Wanted { classic: Some("6A0".to_owned()), tag: Some(3), ..wanted("101#B0") };
            let frames = Plan::new(&wanted, true, table).unwrap().frames(round, Some(&context()));
            assert_eq!((frames.len(), frames[0].data()[0]), (5, counter));
            let (context_id, id) = (CanId::Standard(0x6A0), CanId::Standard(0x101));
            let target = Target { context_id, tag: 3, id, counter: None };
            let mut reader = ClassicReader::<1, 1>::new([target], Limits::default()).unwrap();
            let read: Vec<_> = frames.iter().filter_map(|frame| reader.take(frame, 0)).collect();
            assert_eq!(read, [context()]);
        };
        // The count of contexts, or the alive counter in the frame.
        check(None, 18, 2);
        check(Some(&table()), 18, 0xB);
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        let check = |wanted: Wanted, has_contexts: bool, expected: &str| {
            let error = Plan::new(&wanted, has_contexts, None).unwrap_err();
            assert!(error.contains(expected), "{wanted:?}: {error}");
        };
        check(wanted("123"), false, "is no data frame");
        check(wanted("123#R"), false, "is no data frame");
        check(wanted("123#11"), true, "a context needs a place");
        check(Wanted { offset: Some(0), ..wanted("123#11") }, true, "takes CAN FD");
        check(Wanted { offset: Some(40), ..wanted("123##111") }, true, "end behind byte 64");
        check(Wanted { offset: Some(usize::MAX), ..wanted("123##111") }, true, "end behind byte 64");
        check(Wanted { offset: Some(0), ..wanted("123##111") }, false, "and no context");
        check(Wanted { tag: Some(0), ..wanted("123#11") }, true, "give --classic");
        let both = Wanted { offset: Some(0), classic: Some("6A0".to_owned()), ..wanted("123##111") };
        check(both, true, "two places");
        check(
            Wanted { classic: Some("123".to_owned()), ..wanted("123#11") },
            true,
            "no identifier of its own",
        );
        let error = Plan::new(&wanted("7FF#"), false, Some(&table())).unwrap_err();
        assert!(error.contains("has the identifier 7FF"), "{error}");
    }
}
