//! One engine gives way to another in the middle of a drive: no frame is lost or counted twice, and each sample is read by
//! the schema under which it was decoded.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the engine's tests")]
mod car;

use can_decode::trace::classic::{self, Target};
use can_decode::trace::{TraceContext, TraceFlags};
use can_decode::{BootNanos, CanId, Frame, FrameFlags};
use car::{BRAKE, SPEED, STRANGER, engine, foreign, record, replay_ms, revised};
use ecu_core::engine::SwapError;
use ecu_core::span::{Answers, BusSettings, Expectation, Pair, Settings};
use ecu_core::{Action, Engine};
use proptest::prelude::*;
use store::block::{Identity, LogRecord, Records, SchemaHash, SealedBlock, Severity, open};

fn step(blocks: &mut Vec<SealedBlock>) -> impl FnMut(Action) + '_ {
    |action| match action {
        Action::Store(block) => blocks.push(block),
        Action::ReportLoss { error, .. } => panic!("{error}"),
        Action::Report(_) => {}
    }
}

/// The n-th frame: SPEED and BRAKE with n in their payload, and a stranger.
fn frame(n: u16) -> Frame {
    let [low, high] = n.to_le_bytes();
    match n % 3 {
        0 => Frame::classic(SPEED, &[low, high, high, low]),
        1 => Frame::classic(BRAKE, &[low, high]),
        _ => Frame::classic(STRANGER, &[low]),
    }
    .unwrap()
}

/// Raw values of the blocks under `schema`, as (message, signal, time, raw), in order of time.
fn samples(blocks: &[SealedBlock], schema: SchemaHash) -> Vec<(usize, usize, i64, u64)> {
    let mut samples = Vec::new();
    for block in blocks.iter().filter(|block| block.header().schema == schema) {
        let (_, Records::Samples(records)) = open(block.bytes()).unwrap() else { continue };
        for group in &records.groups {
            for column in &group.columns {
                let rows = column.rows.iter().zip(&column.values);
                samples
                    .extend(rows.map(|(row, raw)| (group.message, column.signal, group.times_ns[row], *raw)));
            }
        }
    }
    samples.sort_unstable_by_key(|&(message, signal, time, _)| (time, message, signal));
    samples
}

/// What `engine` makes of the frames alone.
fn alone(mut engine: Engine, frames: std::ops::Range<u16>) -> Vec<(usize, usize, i64, u64)> {
    let (mut blocks, schema) = (Vec::new(), engine.schema());
    for n in frames {
        engine.frame(&record(frame(n), i64::from(n) * 1_000_000), BootNanos(0), &mut step(&mut blocks));
    }
    engine.finish(BootNanos(0), &mut step(&mut blocks));
    samples(&blocks, schema)
}

proptest! {
    #[test]
    fn each_sample_is_of_the_schema_that_held_when_its_frame_came(at in 0..600_u16, full in 256..400_usize) {
        let mut engine = engine(full);
        let (old, mut blocks) = (engine.schema(), Vec::new());
        let play = |engine: &mut Engine, frames, blocks: &mut Vec<SealedBlock>| {
            for n in frames {
                let record = record(frame(n), i64::from(n) * 1_000_000);
                engine.frame(&record, BootNanos(0), &mut step(blocks));
            }
        };
        play(&mut engine, 0..at, &mut blocks);
        let before = engine.swap(revised(full), BootNanos(0), &mut step(&mut blocks)).unwrap();
        prop_assert_eq!(before.samples().open(), 0, "what was open is sealed");
        play(&mut engine, at..600, &mut blocks);
        engine.finish(BootNanos(0), &mut step(&mut blocks));

        let new = engine.schema();
        prop_assert_ne!(old, new);
        prop_assert_eq!(samples(&blocks, old), alone(car::engine(full), 0..at));
        prop_assert_eq!(samples(&blocks, new), alone(revised(full), at..600));
        let books = engine.buses()[0];
        prop_assert_eq!((books.taken(), books.decoded, books.unmatched), (600, 400, 200));
        let sealed: u64 = blocks.iter().map(|block| u64::from(block.header().count)).sum();
        prop_assert_eq!((engine.samples().sealed, engine.samples().open()), (sealed, 0));
        let mut identities: Vec<Identity> = blocks.iter().map(|block| block.header().identity).collect();
        prop_assert!(identities.is_sorted(), "blocks are numbered in the order of sealing");
        identities.dedup();
        prop_assert_eq!(identities.len(), blocks.len());
    }
}

#[test]
fn open_logs_are_sealed_and_their_books_go_on() {
    let (mut engine, mut blocks) = (engine(1000), Vec::new());
    let log = |body: &str| LogRecord {
        time_ns: 5,
        clock: store::block::ClockSource::UserSpace,
        severity: Severity::INFO,
        service: "bms".into(),
        body: body.into(),
        trace: None,
    };
    engine.log(log("before"), BootNanos(0), &mut step(&mut blocks));
    engine.swap(revised(1000), BootNanos(0), &mut step(&mut blocks)).unwrap();
    assert_eq!(blocks.len(), 1);
    engine.log(log("after"), BootNanos(0), &mut step(&mut blocks));
    assert_eq!((engine.logs().taken, engine.logs().sealed, engine.logs().open()), (2, 1, 1));
}

#[test]
fn an_engine_that_cannot_follow_changes_nothing() {
    let used = || {
        let mut used = revised(1000);
        replay_ms(&mut used, 0..1, &mut |_| {});
        used
    };
    for (next, expected) in [(foreign(), SwapError::Buses), (used(), SwapError::Used)] {
        let (mut engine, mut blocks) = (engine(1000), Vec::new());
        replay_ms(&mut engine, 0..10, &mut step(&mut blocks));
        let schema = engine.schema();
        let refused = engine.swap(next, BootNanos(0), &mut step(&mut blocks)).err();
        assert_eq!(refused, Some(expected));
        assert_eq!((blocks.len(), engine.samples().open(), engine.schema()), (0, 20, schema));
    }
}

#[test]
fn what_was_observed_begins_anew_and_comes_back() {
    let mut engine = engine(1000);
    let observed = |engine: &Engine| *engine.watches()[0].as_ref().unwrap().totals();
    replay_ms(&mut engine, 0..100, &mut |_| {});
    let before = engine.swap(revised(1000), BootNanos(0), &mut |_| {}).unwrap();
    assert_eq!((observed(&before).frames, observed(&engine).frames), (100, 0));
    // Half an hour later by the stamps: nobody is late who was never seen before.
    replay_ms(&mut engine, 1_800_000..1_800_100, &mut |_| {});
    assert_eq!((observed(&engine).frames, observed(&engine).late), (100, 0));
}

#[test]
fn requests_that_wait_end_with_the_engine_that_took_them_and_the_books_go_on() {
    let pair = Pair {
        request: 1,
        response: 0,
        key: None,
        failure: None,
        answers: Answers::Oldest,
        expectation: Expectation::default(),
    };
    let mut engine = engine(1000);
    engine.trace(&Settings { pairs: vec![pair], ..Settings::default() }).unwrap();
    let mut payload = [0; 32];
    payload[7..32].fill(1);
    let asks = Frame::fd(BRAKE, FrameFlags::BRS, &payload).unwrap();
    let mut blocks = Vec::new();
    engine.frame(&record(asks, 5), BootNanos(0), &mut step(&mut blocks));
    assert_eq!((engine.tracer().waiting(), engine.spans().taken), (1, 0));
    let before = engine.swap(revised(1000), BootNanos(0), &mut step(&mut blocks)).unwrap();
    let spans: Vec<_> = blocks
        .iter()
        .filter_map(|block| match open(block.bytes()) {
            Ok((header, Records::Spans(spans))) => Some((header.schema, spans)),
            _ => None,
        })
        .collect();
    assert_eq!(spans.len(), 1);
    assert_eq!((spans[0].0, spans[0].1.len(), spans[0].1[0].start_ns), (before.schema(), 1, 5));
    assert_eq!((engine.tracer().waiting(), engine.tracer().books()), (0, before.tracer().books()));
    assert_eq!(engine.tracer().books().spans.ended, 1);
}

#[test]
fn contexts_under_way_are_given_up_and_counted_with_those_before() {
    let contexts = CanId::Standard(0x6A0);
    let target = Target { context_id: contexts, tag: 0, id: SPEED, counter: None };
    let bus = BusSettings { classic: vec![target], ..BusSettings::default() };
    let settings = Settings { buses: vec![bus], ..Settings::default() };
    let context = TraceContext::new([1; 16], [2; 8], TraceFlags(1)).unwrap();
    let parts = classic::write(&context, SPEED, 0, 0);
    let send = |engine: &mut Engine, count: usize| {
        for part in &parts[..count] {
            let frame = Frame::classic(contexts, part).unwrap();
            engine.frame(&record(frame, 5), BootNanos(0), &mut |_| {});
        }
    };
    let mut engine = engine(1000);
    engine.trace(&settings).unwrap();
    // One waits for its frame, and one has two of its four.
    send(&mut engine, 4);
    send(&mut engine, 2);
    let books = engine.tracer().carriers(0).unwrap();
    assert_eq!((books.waiting, books.under_way, books.balanced()), (1, 1, true));
    let mut next = revised(1000);
    next.trace(&settings).unwrap();
    engine.swap(next, BootNanos(0), &mut |_| {}).unwrap();
    let books = engine.tracer().carriers(0).unwrap();
    assert_eq!((books.waiting, books.under_way, books.balanced()), (0, 0, true));
    assert_eq!((books.classic.expired, books.classic.interrupted, books.classic.frames), (1, 1, 6));
    send(&mut engine, 4);
    // Without settings nothing is followed, and what was counted stays.
    engine.swap(revised(1000), BootNanos(0), &mut |_| {}).unwrap();
    let books = engine.tracer().carriers(0).unwrap();
    assert_eq!((books.classic.frames, books.classic.complete, books.balanced()), (10, 2, true));
}
