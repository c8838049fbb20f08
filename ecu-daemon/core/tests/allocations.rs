//! No allocation per frame once warm, counted by an allocator.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the engine's tests, which use all of it")]
mod car;

use std::alloc::System;

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
}
