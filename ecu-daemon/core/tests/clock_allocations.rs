//! No allocation for a reading or a placement once every clock was read, counted by an allocator.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::alloc::System;

use can_decode::{BootNanos, HwNanos, RealtimeNanos};
use ecu_core::ClockMap;
use ecu_core::clock::{Bracket, HwClock, Instant, Reading};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SECOND: i64 = 1_000_000_000;

/// A second's readings; `step` is how far `CLOCK_REALTIME` has been set.
fn round(map: &mut ClockMap, second: i64, step: i64) {
    let boot = second * SECOND;
    let of = |boot: i64| RealtimeNanos(boot + step);
    let realtime = |boot: i64| Reading {
        instant: Instant::Realtime(of(boot)),
        bracket: Bracket::Boot(BootNanos(boot - 20), BootNanos(boot + 20)),
    };
    map.observe(realtime(boot));
    map.observe(Reading {
        instant: Instant::Hardware(HwClock::Phc(0), HwNanos(boot + second * 30_000)),
        bracket: Bracket::Realtime(of(boot + 9_000), of(boot + 11_000)),
    });
    map.observe(realtime(boot + 20_000));
}

/// Without the test harness, whose threads allocate when they like: the allocator counts those of all threads.
fn main() {
    a_warm_map_allocates_nothing();
}

fn a_warm_map_allocates_nothing() {
    let mut map = ClockMap::default();
    (1..10).for_each(|second| round(&mut map, second, 0));
    let region = Region::new(ALLOCATOR);
    let mut placed = 0;
    for second in 10..5_000 {
        round(&mut map, second, second / 100 * SECOND);
        let boot = second * SECOND + 30_000;
        let stamp = Instant::Hardware(HwClock::Phc(0), HwNanos(boot + second * 30_000));
        placed +=
            i64::from(map.map(stamp, BootNanos(boot + 1_000), SECOND).boot.since(BootNanos(boot)) < 10_000);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    assert_eq!(placed, 4_990);
}
