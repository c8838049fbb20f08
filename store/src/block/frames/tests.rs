use proptest::prelude::*;

use super::super::columns::{AREA_SHAPES, AreasReader};
use super::super::limits;
use super::*;

fn any_id() -> impl Strategy<Value = CanId> {
    // Few of them, so that groups have several rows.
    prop_oneof![
        (0..4_u16).prop_map(|id| CanId::Standard(0x7FC + id)),
        (0..3_u32).prop_map(|id| CanId::Extended(id * 0x0FFF_FFFF)),
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..=8),
        prop::collection::vec(0..3_u8, 8),
        prop::sample::select(vec![12, 16, 20, 24, 32, 48, 64])
            .prop_flat_map(|len| prop::collection::vec(any::<u8>(), len)),
    ];
    (any_id(), payload, 0..7_u8, any::<[u8; 8]>()).prop_map(|(id, payload, kind, detail)| match kind {
        0 => Frame::remote(id, payload.len() as u8),
        1 => Frame::error(id.raw(), detail),
        2 => Frame::fd(id, FrameFlags::BRS.union(FrameFlags::ESI), &payload).unwrap(),
        3 => Frame::fd(id, FrameFlags::default(), &payload).unwrap(),
        _ => Frame::classic(id, &payload[..payload.len().min(8)]).unwrap(),
    })
}

prop_compose! {
    fn any_raw()(
        bus in 0..3_u16, step in -2..2_000_i64, frame in any_frame(),
        clock in prop::sample::select(&ClockSource::ALL[..2])
    ) -> RawFrame {
        RawFrame { bus, time_ns: step * 1_000, clock, frame }
    }
}

/// Times are steps; `kept` frames of one identifier make columns that are long enough to have a shape.
fn frames() -> impl Strategy<Value = Vec<RawFrame>> {
    prop::collection::vec(any_raw(), 0..80).prop_map(|mut frames| {
        let mut time_ns = 1_767_225_600_000_000_000;
        for raw in &mut frames {
            time_ns += raw.time_ns;
            raw.time_ns = time_ns;
        }
        frames
    })
}

fn encode(frames: &[RawFrame], tick_ns: i64) -> Vec<u8> {
    let mut builder = FramesBuilder::new(tick_ns);
    frames.iter().for_each(|raw| builder.push(raw).unwrap());
    assert_eq!(builder.len(), frames.len());
    let mut body = Vec::new();
    builder.encode(&mut body);
    assert!(builder.is_empty() && builder.span_ns().is_none());
    body
}

proptest! {
    #[test]
    fn frames_come_back_in_their_order(frames in frames()) {
        let body = encode(&frames, 1_000);
        let count = frames.len() as u32;
        let read = read_frames(&body, count).unwrap();
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), frames);
        prop_assert!(read_frames(&body, count + 1).is_err());
    }

    #[test]
    fn times_are_kept_in_ticks(frames in frames(), tick_ns in 1..3_000_000_i64) {
        let read = read_frames(&encode(&frames, tick_ns), frames.len() as u32).unwrap();
        for (found, raw) in read.iter().zip(&frames) {
            prop_assert_eq!(found.time_ns, raw.time_ns.div_euclid(tick_ns) * tick_ns);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_give_impossible_frames(
        frames in frames(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        claimed in any::<u32>(),
    ) {
        let mut body = encode(&frames, 1_000);
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        for count in [frames.len() as u32, claimed] {
            if let Ok(read) = read_frames(&body, count) {
                prop_assert_eq!(read.iter().count(), count as usize);
            }
        }
    }
}

fn classic(time_us: i64, id: u16, payload: &[u8]) -> RawFrame {
    let frame = Frame::classic(CanId::Standard(id), payload).unwrap();
    RawFrame { bus: 0, time_ns: time_us * 1_000, clock: ClockSource::Recorded, frame }
}

fn has_one_timeline(body: &[u8]) -> bool {
    let mut areas = AreasReader::new(body).unwrap();
    let head = areas.area(AREA_SHAPES).unwrap();
    let _ = (head.varint().unwrap(), head.varint().unwrap());
    head.byte().unwrap() == 1
}

#[test]
fn times_tell_the_order_unless_they_contradict_it() {
    let cycles = |swap: bool| -> Vec<RawFrame> {
        let mut frames: Vec<_> =
            (0..600).map(|row| classic(row * 10_000 / 3, 0x100 + row as u16 % 3, &[row as u8])).collect();
        if swap {
            // The stamp of a later one is earlier.
            frames.swap(300, 301);
        }
        frames
    };
    for swap in [false, true] {
        let (frames, body) = (cycles(swap), encode(&cycles(swap), 1_000));
        assert_eq!(has_one_timeline(&body), swap);
        assert_eq!(read_frames(&body, 600).unwrap().iter().collect::<Vec<_>>(), frames);
    }
}

#[test]
fn constant_payloads_and_cycles_cost_next_to_nothing() {
    let frames: Vec<_> =
        (0..10_000).map(|row| classic(row * 10_000, 0x123, &[1, 2, 3, row as u8, 5])).collect();
    let len = encode(&frames, 1_000).len();
    // Two bits for each step of the counter, which zstd folds.
    assert!(len < 2_600, "{len}");
}

#[test]
fn the_builder_is_bounded_in_frames_bytes_and_identifiers() {
    let fill = |next: &dyn Fn(u32) -> RawFrame| {
        let mut builder = FramesBuilder::new(1_000);
        let taken = (0..1 << 20).find(|&number| builder.push(&next(number)).is_err()).unwrap();
        let mut body = Vec::new();
        builder.encode(&mut body);
        assert!(body.len() < limits::BODY_BYTES_MAX);
        assert_eq!(read_frames(&body, taken).unwrap().len(), taken as usize);
        assert_eq!(builder.push(&next(taken)), Ok(()), "an empty one takes any");
        taken as usize
    };
    let wide = Frame::fd(CanId::Standard(1), FrameFlags::BRS, &[7; 64]).unwrap();
    assert_eq!(fill(&|number| classic(i64::from(number), 1, &[])), limits::FRAMES_MAX / 2);
    assert_eq!(fill(&|_| RawFrame { frame: wide, ..classic(1, 1, &[]) }), (1 << 20) / 64);
    let id = |number| Frame::remote(CanId::Extended(number), 0);
    assert_eq!(
        fill(&|number| RawFrame { frame: id(number), ..classic(1, 1, &[]) }),
        limits::FRAME_GROUPS_MAX
    );
}

#[test]
fn frames_that_no_bus_carries_are_refused() {
    let check = |flags: u8, len: u8, id: CanId, expected: bool| {
        let like = Likeness { bus: 0, id, flags, len, clock: ClockSource::Hardware };
        assert_eq!(like.frame(&[0; 64][..like.payload_len()]).is_ok(), expected, "{like:?}");
    };
    let (standard, extended) = (CanId::Standard(1), CanId::Extended(1));
    for (flags, len, id, expected) in [
        (0, 8, standard, true),
        (0, 9, standard, false),
        (1, 9, standard, false),
        (1, 12, standard, true),
        (7, 64, extended, true),
        (2, 8, standard, false),
        (4, 8, standard, false),
        (8, 8, standard, true),
        (8, 9, standard, false),
        (9, 8, standard, false),
        (16, 8, extended, true),
        (16, 8, standard, false),
        (16, 7, extended, false),
        (17, 8, extended, false),
        (32, 0, standard, false),
    ] {
        check(flags, len, id, expected);
    }
}
