//! Trace contexts in each of their carriers.

use can_decode::extract::Extractor;
use can_decode::trace::classic::{self, ClassicReader, Limits, Target};
use can_decode::trace::trailer::{self, Envelope};
use can_decode::trace::{ContextCounts, Recent, TraceContext, TraceError, metadata, payload, slot};
use can_decode::{ByteOrder, CanId, Frame};

/// The bytes as each carrier's: what is read is written and read again, and every reading is counted.
pub fn carriers(bytes: &[u8]) {
    let mut counts = ContextCounts::default();
    let mut readings = 0;
    let mut again = |read: Result<TraceContext, TraceError>, write: &dyn Fn(&TraceContext)| {
        counts.count(&read);
        readings += 1;
        assert_eq!(counts.taken(), readings);
        if let Ok(context) = read {
            // Reserved flags are not passed on.
            let known = TraceContext { flags: context.flags.known(), ..context };
            write(&known);
            assert!(Recent::<4>::new().is_new(7, &known));
        }
    };
    again(TraceContext::parse_traceparent(bytes), &|context| {
        assert_eq!(context.traceparent().parse(), Ok(*context));
    });
    again(TraceContext::parse_binary(bytes), &|context| {
        assert_eq!(TraceContext::parse_binary(&context.binary()), Ok(*context));
    });
    again(TraceContext::parse_grpc_trace_bin(bytes), &|context| {
        let text = context.grpc_trace_bin();
        assert_eq!(TraceContext::parse_grpc_trace_bin(text.as_bytes()), Ok(*context));
    });
    if let Some(read) = metadata::find([("traceparent", bytes)]) {
        again(read, &|context| {
            let text = context.traceparent();
            let headers = [("a", bytes), ("Traceparent", text.as_bytes())];
            assert_eq!(metadata::find(headers), Some(Ok(*context)));
        });
    }
    let offset = bytes.first().copied().unwrap_or(0).into();
    again(payload::read(bytes, offset), &|context| {
        let mut copy = bytes.to_vec();
        assert_eq!(payload::write(&mut copy, offset, context), Ok(()));
        assert_eq!(payload::read(&copy, offset), Ok(*context));
    });
    for envelope in [Envelope::Datagram, Envelope::IsoTp(CanId::Standard(0x7E0))] {
        let (message, read) = trailer::split(bytes, envelope);
        assert!(bytes.starts_with(message));
        let Some(read) = read else { continue };
        again(read, &|context| {
            let whole = [message, &trailer::write(context, envelope)].concat();
            assert_eq!(trailer::split(&whole, envelope), (message, Some(Ok(*context))));
        });
    }
    if let Some(copy) = bytes.last_chunk() {
        again(slot::read_bytes(copy), &|context| {
            let shared = Default::default();
            slot::write(&shared, context);
            assert_eq!(slot::read(&shared), Ok(*context));
        });
    }
    classic(bytes);
}

/// Nine bytes a frame: which identifier, time since the one before, and up to seven bytes behind a head of two bits each.
fn classic(bytes: &[u8]) {
    const CONTEXT: CanId = CanId::Standard(0x6A0);
    const MESSAGE: CanId = CanId::Standard(0x120);
    let target = |tag, id, counter| Target { context_id: CONTEXT, tag, id, counter };
    let targets = [
        target(0, MESSAGE, None),
        target(1, CanId::Extended(0x120), Extractor::new(4, 4, ByteOrder::Motorola, false)),
    ];
    let reader = ClassicReader::<1, 2>::new(targets, Limits { part_ns: 1_000, frame_ns: 5_000 });
    let mut reader = reader.expect("two messages of one sender");
    let (mut time_ns, mut carried) = (0_i64, 0);
    let mut take = |frame: &Frame, time_ns| {
        carried += u64::from(reader.take(frame, time_ns).is_some());
        let counts = reader.counts();
        let ended = counts.complete + counts.absent + counts.damaged + counts.unknown;
        let given_up = counts.interrupted + counts.timed_out + reader.under_way() as u64;
        assert_eq!(counts.begun, ended + given_up, "{counts:?}");
        let gone = counts.carried + counts.replaced + counts.missed + counts.expired;
        assert_eq!(counts.complete, gone + reader.waiting() as u64, "{counts:?}");
        assert_eq!(counts.carried, carried);
    };
    for chunk in bytes.chunks(9) {
        let (kind, wait) = (chunk[0], chunk.get(1).copied().unwrap_or(0));
        time_ns += i64::from(wait) * 8 - 100;
        let id = [CONTEXT, CONTEXT, MESSAGE, CanId::Extended(0x120)][usize::from(kind & 3)];
        let mut payload = [0; 8];
        let rest = chunk.get(2..).unwrap_or_default();
        payload[1..=rest.len()].copy_from_slice(rest);
        payload[0] = (kind >> 2 & 7) << 4 | kind >> 6;
        // A whole context now and then: chance alone does not find a checksum.
        if kind == 0x40
            && let Ok(context) = TraceContext::parse(&[wait | 1; 25])
        {
            for payload in classic::write(&context, MESSAGE, 0, wait) {
                take(&Frame::classic(CONTEXT, &payload).expect("eight bytes"), time_ns);
            }
        }
        let len = if kind & 0x20 == 0 { 8 } else { usize::from(wait) % 9 };
        take(&Frame::classic(id, &payload[..len]).expect("eight bytes at most"), time_ns);
    }
}
