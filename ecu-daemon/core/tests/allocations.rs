//! No allocation per frame once warm, counted by an allocator.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the engine's tests, which use all of it")]
mod car;

use std::alloc::System;

use can_decode::isotp::Channel;
use can_decode::trace::classic::{self, Target};
use can_decode::trace::{SpanIds, TraceFlags, payload};
use can_decode::{BootNanos, CanId, Frame, FrameFlags, TraceContext};
use ecu_core::span::{Answers, BusSettings, Conversation, Expectation, Pair, Settings};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Without the test harness, whose threads allocate when they like: the allocator counts those of all threads.
fn main() {
    a_warm_engine_allocates_per_block_and_not_per_frame();
}

fn a_warm_engine_allocates_per_block_and_not_per_frame() {
    let mut engine = car::engine(2_000);
    let mut blocks = 0_usize;
    // One drive: buffers reach their size, the compressor its tables.
    car::replay_ms(&mut engine, 0..100_000, &mut |_| blocks += 1);
    assert!(blocks >= 2);

    let before = blocks;
    let region = Region::new(ALLOCATOR);
    car::replay_ms(&mut engine, 0..100_000, &mut |_| blocks += 1);
    let change = region.change();
    let sealed = blocks - before;
    assert!(sealed >= 90, "{sealed} blocks");
    assert_eq!(change.reallocations, 0, "{change:?}");
    // The bytes of a sealed block leave the engine, so they are new each time; nothing else is.
    assert_eq!(change.allocations, sealed, "{change:?}");
    observing_allocates_nothing();
    tracing_allocates_nothing();
    keeping_frames_allocates_per_block();
}

/// Not a test of its own, as below.
fn keeping_frames_allocates_per_block() {
    let mut engine = car::engine(100_000);
    engine.keep_raw([ecu_core::RawFrames::All]);
    let drive = |engine: &mut ecu_core::Engine, blocks: &mut usize| {
        for ms in 0..20_000_i64 {
            let now = BootNanos(ms * 1_000_000);
            let id = CanId::Standard(0x400 + ms as u16 % 50);
            let frame = Frame::classic(id, &ms.to_le_bytes()[..usize::from(ms % 9 > 0) * 8]).unwrap();
            engine.frame(&car::record(frame, now.0), now, &mut |_| *blocks += 1);
            engine.tick(now, &mut |_| *blocks += 1);
        }
        engine.finish(BootNanos(20_000_000_000), &mut |_| *blocks += 1);
    };
    drive(&mut engine, &mut 0);
    let (region, mut blocks) = (Region::new(ALLOCATOR), 0);
    drive(&mut engine, &mut blocks);
    let change = region.change();
    assert!(blocks >= 5, "{blocks} blocks");
    // The bytes of a block leave the engine.
    assert_eq!((change.allocations, change.reallocations), (blocks, 0), "{change:?}");
}

/// Not a test of its own: the allocator counts those of all threads.
fn observing_allocates_nothing() {
    let mut engine = car::watched();
    let mut reports = 0;
    let mut region = Region::new(ALLOCATOR);
    for round in 0..250_u16 {
        // The open block has room for 256 rows by then; nothing of the observer is warm.
        if round == 200 {
            region = Region::new(ALLOCATOR);
        }
        let ms = i64::from(round) * 10;
        let mut damaged = *car::steer(round).data().first_chunk::<8>().unwrap();
        damaged[7] ^= u8::from(round > 225);
        for frame in [
            Frame::classic(car::STEER, &damaged).unwrap(),
            // 64 fit; the rest is counted.
            Frame::classic(CanId::Standard(0x300 + round), &[0; 8]).unwrap(),
        ] {
            let record = car::record(frame, ms * 1_000_000);
            engine.frame(&record, BootNanos(ms * 1_000_000), &mut |_| reports += 1);
        }
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    assert_eq!(reports, 1, "the first damaged frame");
    let totals = engine.watches()[0].as_ref().unwrap().totals();
    assert_eq!((totals.ids, totals.not_observed), (64, 250 - 63));
}

const CONTEXTS: CanId = CanId::Standard(0x6A0);

/// Requests with contexts on CAN FD, responses in classical frames with contexts ahead of them, and a diagnostic session.
fn traced() -> ecu_core::Engine {
    let mut engine = car::engine(100_000);
    let expectation = Expectation { timeout_ns: 30_000_000, slow_ns: None };
    let pair = Pair { request: 1, response: 0, key: None, failure: None, answers: Answers::All, expectation };
    let channel: Channel = "7E0:7E8".parse().unwrap();
    let conversation = Conversation { channel, message: 0, context: None, expectation };
    let target = Target { context_id: CONTEXTS, tag: 0, id: car::SPEED, counter: None };
    let bus =
        BusSettings { classic: vec![target], conversations: vec![conversation], ..BusSettings::default() };
    let settings = Settings {
        buses: vec![bus],
        pairs: vec![pair],
        attributes: vec![(1, vec![0])],
        waiting_max: 8,
        roots: Some(1),
        ..Settings::default()
    };
    engine.trace(&settings).unwrap();
    engine
}

/// Not a test of its own, as above.
fn tracing_allocates_nothing() {
    let mut engine = traced();
    let mut ids = SpanIds::new(5);
    let mut spans_before = 0;
    for round in 0..500_i64 {
        // By then the open blocks have room for 1,024 spans and 512 rows of each message, and need no more to the end.
        if round == 400 {
            spans_before = engine.spans().taken;
        }
        let context = TraceContext::new([round as u8 | 1; 16], ids.next_id(), TraceFlags(1)).unwrap();
        let mut request = [0; 32];
        payload::write(&mut request, 7, &context).unwrap();
        let answering = context.child(ids.next_id()).unwrap();
        let mut frames = vec![Frame::fd(car::BRAKE, FrameFlags::BRS, &request).unwrap()];
        // Every third request is not answered and times out; some responses have a damaged context.
        if round % 3 > 0 {
            let mut parts = classic::write(&answering, car::SPEED, 0, 0);
            parts[1][3] ^= u8::from(round % 5 == 0);
            frames.extend(parts.iter().map(|part| Frame::classic(CONTEXTS, part).unwrap()));
            frames.push(Frame::classic(car::SPEED, &[1, 0, 0, 0]).unwrap());
        }
        frames.push(Frame::classic(CanId::Standard(0x7E0), &[2, 0x3E, 0]).unwrap());
        frames.push(Frame::classic(CanId::Standard(0x7E8), &[2, 0x7E, 0]).unwrap());
        let made_here = Region::new(ALLOCATOR);
        for (at, frame) in frames.iter().enumerate() {
            let ns = (round * 50 + at as i64) * 1_000_000;
            engine.frame(&car::record(*frame, ns), BootNanos(ns), &mut |_| panic!("no block is full"));
        }
        if round >= 400 {
            let change = made_here.change();
            assert_eq!((change.allocations, change.reallocations), (0, 0), "round {round}: {change:?}");
        }
    }
    let books = engine.tracer().books();
    assert!(books.spans.unanswered > 0 && books.spans.answered > 300, "{books:?}");
    assert!(engine.spans().taken - spans_before > 150);
}
