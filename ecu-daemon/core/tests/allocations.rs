//! No allocation per frame once warm, counted by an allocator.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the engine's tests, which use all of it")]
mod car;

use std::alloc::System;

use can_decode::{BootNanos, CanId, Frame};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
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
