//! The engine as its thread uses it: frames and log records in, blocks out, books that balance.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the tests of what is observed")]
mod car;

use std::sync::Arc;

use can_decode::trace::ContextCounts;
use can_decode::{BootNanos, CanId, Frame, FrameFlags};
use car::{BRAKE, SPEED, STRANGER, engine, record, replay_ms};
use ecu_core::span::Settings;
use ecu_core::{Action, Engine};
use proptest::prelude::*;
use store::block::{
    AttributeValue, Class, ClockSource, Kind, LocalSpan, LogRecord, Records, SealedBlock, Severity, SpanKind,
    SpanLinks, SpanOrigin, SpanRecord, SpanStatus, open,
};

const MS: i64 = 1_000_000;

fn step(blocks: &mut Vec<SealedBlock>) -> impl FnMut(Action) + '_ {
    |action| match action {
        Action::Store(block) => blocks.push(block),
        Action::ReportLoss { error, .. } => panic!("{error}"),
        Action::Report(_) => {}
    }
}

fn log(severity: Severity) -> LogRecord {
    LogRecord {
        time_ns: 5,
        clock: ClockSource::UserSpace,
        severity,
        service: "bms".into(),
        body: "hot".into(),
        trace: None,
    }
}

/// A frame with a context of the span that `span` makes up.
fn traced(span: u8, flags: u8) -> Frame {
    let mut payload = [0; 32];
    payload[0] = 80;
    payload[7..23].fill(0xAB);
    payload[23..31].fill(span);
    payload[31] = flags;
    Frame::fd(BRAKE, FrameFlags::BRS, &payload).unwrap()
}

#[test]
fn every_frame_is_decoded_unmatched_or_control() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    let frames = [
        Frame::classic(SPEED, &[0x10, 0x27, 0, 0]).unwrap(),
        Frame::classic(SPEED, &[0x10]).unwrap(),
        Frame::classic(STRANGER, &[1]).unwrap(),
        Frame::remote(SPEED, 4),
        Frame::error(4, [0; 8]),
    ];
    for frame in frames {
        engine.frame(&record(frame, 0), BootNanos(0), &mut step(&mut blocks));
    }
    let books = engine.buses()[0];
    assert_eq!((books.decoded, books.short, books.unmatched, books.control), (2, 1, 1, 2));
    assert_eq!(books.taken(), 5);
    assert_eq!(engine.samples().open(), 2, "two signals of the whole frame, none of the cut one");
    engine.finish(BootNanos(1), &mut step(&mut blocks));
    assert_eq!((blocks.len(), engine.samples().open()), (1, 0));
}

#[test]
fn values_and_times_come_back_from_the_blocks() {
    let mut engine = engine(100_000);
    let mut blocks = Vec::new();
    for i in 0..500_i64 {
        let frame = Frame::classic(SPEED, &[i as u8, (i >> 8) as u8, 7, 0]).unwrap();
        engine.frame(&record(frame, i * 10 * MS + 123), BootNanos(i), &mut step(&mut blocks));
    }
    engine.finish(BootNanos(0), &mut step(&mut blocks));
    let (header, Records::Samples(samples)) = open(blocks[0].bytes()).unwrap() else { panic!("no samples") };
    assert_eq!((header.kind, header.class, header.count), (Kind::Samples, Class::Live, 1000));
    let group = &samples.groups[0];
    assert_eq!(group.clock, ClockSource::KernelSoftware);
    assert_eq!(group.times_ns[3], 30 * MS, "in steps of a microsecond");
    assert_eq!(group.columns[0].values, (0..500).collect::<Vec<u64>>());
}

#[test]
fn blocks_are_sealed_by_age_and_by_size() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    // The first block of a run does not wait as long as the others.
    for (sealed, opened, after) in [(0, 0, 250), (1, 1_000, 4_000)] {
        let frame = Frame::classic(SPEED, &[1, 0, 0, 0]).unwrap();
        engine.frame(&record(frame, 0), BootNanos(opened * MS), &mut step(&mut blocks));
        engine.tick(BootNanos((opened + after - 1) * MS), &mut step(&mut blocks));
        assert_eq!(blocks.len(), sealed, "not old enough");
        engine.tick(BootNanos((opened + after) * MS), &mut step(&mut blocks));
        assert_eq!(blocks.len(), sealed + 1);
    }
    engine.tick(BootNanos(100_000 * MS), &mut step(&mut blocks));
    assert_eq!(blocks.len(), 2, "an empty block is not sealed");
    replay_ms(&mut engine, 0..600, &mut step(&mut blocks));
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[2].header().count, 1000, "two samples a frame fill it after 500 frames");
    let order: Vec<_> = blocks.iter().map(|block| block.header().identity.sequence).collect();
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn rows_without_values_are_bounded_too_and_logs_fit_their_block() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    let empty = Frame::classic(SPEED, &[]).unwrap();
    let one = Frame::classic(SPEED, &[1, 0, 0, 0]).unwrap();
    engine.frame(&record(one, 0), BootNanos(0), &mut step(&mut blocks));
    for i in 0..3_000 {
        engine.frame(&record(empty, i), BootNanos(0), &mut step(&mut blocks));
    }
    assert_eq!(blocks.len(), 1, "sealed by its rows; what holds no sample at all is not kept");
    assert_eq!(engine.buses()[0].short, 3_000);
    let mut noise = 1_u64;
    for _ in 0..600 {
        let body = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (noise >> 57) as u8 % 95)
        });
        let log = LogRecord { body: body.take(9_000).collect(), ..log(Severity::INFO) };
        engine.log(log, BootNanos(0), &mut step(&mut blocks));
    }
    engine.finish(BootNanos(0), &mut step(&mut blocks));
    assert_eq!((engine.logs().sealed, engine.logs().failed), (600, 0));
}

#[test]
fn a_context_makes_a_span_if_its_sender_sampled_it() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    let untraced = Frame::fd(BRAKE, FrameFlags::BRS, &[0; 32]).unwrap();
    // The last one is the first one again.
    for frame in [traced(0xCD, 1), traced(0xCE, 3), traced(0xCF, 0), untraced, traced(0xCD, 1)] {
        engine.frame(&record(frame, 42_000), BootNanos(0), &mut step(&mut blocks));
    }
    // Cut off before the context: the signals count, the context is malformed.
    let cut = Frame::fd(BRAKE, FrameFlags::BRS, &[1; 12]).unwrap();
    engine.frame(&record(cut, 0), BootNanos(0), &mut step(&mut blocks));
    assert_eq!(engine.spans().taken, 2);
    assert_eq!(engine.buses()[0].contexts_malformed, 1);
    assert_eq!(engine.buses()[0].decoded, 6);
    let books = engine.tracer().books();
    let contexts =
        ContextCounts { valid: 3, absent: 1, truncated: 1, repeated: 1, ..ContextCounts::default() };
    assert_eq!(books.contexts, contexts);
    assert_eq!((books.sampling.kept, books.sampling.unsampled), (2, 1));
    engine.tick(BootNanos(1_000 * MS), &mut step(&mut blocks));
    let traces = blocks.iter().find(|block| block.header().class == Class::Traces).unwrap();
    let (_, Records::Spans(spans)) = open(traces.bytes()).unwrap() else { panic!("no spans") };
    assert_eq!((spans[0].trace_id, spans[0].parent_span_id), ([0xAB; 16], Some([0xCD; 8])));
    assert_eq!((spans[0].start_ns, spans[1].flags), (42_000, 3));
}

#[test]
fn errors_go_at_once_and_other_logs_together() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    engine.log(log(Severity::INFO), BootNanos(0), &mut step(&mut blocks));
    engine.log(log(Severity::WARN), BootNanos(0), &mut step(&mut blocks));
    assert_eq!(blocks.len(), 0);
    engine.log(log(Severity::ERROR), BootNanos(0), &mut step(&mut blocks));
    assert_eq!(blocks.len(), 1);
    assert_eq!((blocks[0].header().class, blocks[0].header().count), (Class::Critical, 1));
    engine.tick(BootNanos(4_000 * MS), &mut step(&mut blocks));
    assert_eq!((blocks[1].header().class, blocks[1].header().count), (Class::Logs, 2));
    assert_eq!(engine.logs().open(), 0);
}

#[test]
fn frames_of_two_clocks_do_not_share_a_column_of_times() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    let frame = Frame::classic(SPEED, &[1, 0, 0, 0]).unwrap();
    let mut hardware = record(frame, 7);
    hardware.stamp.clock = ClockSource::Hardware;
    engine.frame(&record(frame, 5), BootNanos(0), &mut step(&mut blocks));
    engine.frame(&hardware, BootNanos(0), &mut step(&mut blocks));
    assert_eq!(blocks.len(), 1, "the block of the first clock is sealed");
    engine.finish(BootNanos(0), &mut step(&mut blocks));
    assert_eq!(engine.samples().sealed, 4);
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let id = prop_oneof![Just(SPEED), Just(BRAKE), Just(STRANGER), (0..0x800_u16).prop_map(CanId::Standard)];
    (id, prop::collection::vec(any::<u8>(), 0..=8), 0..4_u8).prop_map(|(id, payload, kind)| match kind {
        0 => Frame::remote(id, payload.len() as u8),
        1 => Frame::error(1, [0; 8]),
        _ => Frame::classic(id, &payload).unwrap(),
    })
}

proptest! {
    #[test]
    fn the_books_balance_whatever_comes(
        frames in prop::collection::vec((any_frame(), any::<i64>(), 0..3_000_i64), 0..300)
    ) {
        let mut engine = engine(256);
        let mut blocks = Vec::new();
        let mut now = 0;
        let count = frames.len() as u64;
        for (frame, stamp, wait_ms) in frames {
            now += wait_ms * MS;
            engine.frame(&record(frame, stamp), BootNanos(now), &mut step(&mut blocks));
            engine.tick(BootNanos(now), &mut step(&mut blocks));
        }
        engine.finish(BootNanos(now), &mut step(&mut blocks));
        prop_assert_eq!(engine.buses()[0].taken(), count);
        let (samples, spans) = (engine.samples(), engine.spans());
        prop_assert_eq!((samples.open(), spans.open()), (0, 0));
        let sealed: u64 = blocks.iter().map(|block| u64::from(block.header().count)).sum();
        prop_assert_eq!(sealed, samples.sealed + spans.sealed);
        for block in &blocks {
            prop_assert!(open(block.bytes()).is_ok());
        }
    }
}

/// Keeps the helper's signature honest: it is for an engine of any size.
#[test]
fn a_frame_of_a_bus_without_messages_is_unmatched() {
    let mut engine: Engine = car::engine_without_messages();
    engine.frame(&record(Frame::classic(SPEED, &[0; 4]).unwrap(), 0), BootNanos(0), &mut |_| {});
    assert_eq!(engine.buses()[0].unmatched, 1);
}

#[test]
fn spans_name_the_samples_of_their_frames_and_those_of_services_join_them() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    let settings = Settings { attributes: vec![(1, vec![0])], ..Settings::default() };
    engine.trace(&settings).unwrap();
    // Two within a millisecond: the second one's sample moves to the next.
    for (span, ns) in [(1, 5_000_123), (2, 5_400_456), (3, 9_000_789)] {
        engine.frame(&record(traced(span, 1), ns), BootNanos(0), &mut step(&mut blocks));
    }
    let service = service_span(Vec::new());
    engine.span(service.clone(), BootNanos(0), &mut step(&mut blocks));
    assert_eq!((engine.spans().taken, engine.spans().open()), (4, 4));
    engine.finish(BootNanos(0), &mut step(&mut blocks));
    let records: Vec<_> = blocks.iter().map(|block| open(block.bytes()).unwrap().1).collect();
    let [Records::Samples(samples), Records::Spans(spans)] = &records[..] else { panic!("{records:?}") };
    assert_eq!(spans[3], service);
    let group = &samples.groups[0];
    for (row, span) in spans[..3].iter().enumerate() {
        let bus = span.bus().unwrap();
        let mark = bus.sample.unwrap();
        assert_eq!(mark.time_ns(span.start_ns), group.times_ns[row]);
        assert_eq!(mark.slot_ms(span.start_ns), group.slots_ms[row]);
        assert_eq!(bus.signals.iter().collect::<Vec<_>>(), [(0, group.columns[0].values[row])]);
    }
    assert_eq!(spans[1].bus().unwrap().sample.unwrap().slot_delay_ms, Some(1));
}

fn service_span(attributes: Vec<(Arc<str>, AttributeValue)>) -> SpanRecord {
    let (service, name, kind) = ("brakes".into(), "decide".into(), SpanKind::Internal);
    let local = LocalSpan { service, name, kind, attributes, attributes_cut: 0 };
    SpanRecord {
        trace_id: [0xAB; 16],
        span_id: Some([9; 8]),
        parent_span_id: Some([1; 8]),
        flags: 1,
        start_ns: 6_000_000,
        duration_ns: 100,
        clock: ClockSource::UserSpace,
        origin: SpanOrigin::Local(Box::new(local)),
        status: SpanStatus::Ok,
        links: SpanLinks::default(),
    }
}

#[test]
fn whatever_services_write_fits_their_blocks() {
    let mut engine = engine(1000);
    let mut blocks = Vec::new();
    for span in 0..300 {
        let text = |at: usize| Arc::from(format!("{span}.{at}.{}", "x".repeat(2_000)));
        let attributes = (0..40).map(|at| (text(at), AttributeValue::Text(text(at + 40)))).collect();
        engine.span(service_span(attributes), BootNanos(0), &mut step(&mut blocks));
    }
    engine.finish(BootNanos(0), &mut step(&mut blocks));
    assert_eq!((engine.spans().sealed, engine.spans().failed), (300, 0));
    assert!((15..25).contains(&blocks.len()), "{} blocks", blocks.len());
}
