//! Memory is taken when a listener is made, and never after, whatever comes along.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::alloc::System;

use can_decode::isotp::{Channels, Event, Limits, Reassembler};
use can_decode::uds::{ExchangeLimits, Exchanges};
use can_decode::{CanId, Frame, RealtimeNanos};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Without the test harness, whose threads allocate when they like: the allocator counts those of all threads.
fn main() {
    a_listener_allocates_nothing_per_frame_or_message();
}

fn a_listener_allocates_nothing_per_frame_or_message() {
    let limits = Limits { transfers: 4, message_bytes: 256, ..Limits::default() };
    let taken = Region::new(ALLOCATOR);
    let mut listener = Reassembler::new(Channels::legislated(), limits);
    let mut exchanges = Exchanges::new(ExchangeLimits::default());
    let bytes = taken.change().bytes_allocated;
    assert!((4 * 256..16 * 1024).contains(&bytes), "{bytes} bytes");

    let (mut messages, mut abandoned) = (0, 0);
    // A fixed pseudo-random sequence (Knuth's MMIX constants): frames of all kinds on eight identifiers.
    let mut state = 1_u64;
    let mut region = Region::new(ALLOCATOR);
    for time in 0..200_000 {
        // By then the test harness's own thread, which is counted along, waits for the test to end.
        if time == 100_000 {
            region = Region::new(ALLOCATOR);
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = (state >> 16).to_be_bytes();
        let id = CanId::Standard(
            [0x7DF, 0x7E0, 0x7E1, 0x7E8, 0x7E9, 0x7EA, 0x7EB, 0x7EC][usize::from(random[2] % 8)],
        );
        let control = [[2, 0x3E], [0x10, 20], [0x21, 1], [0x22, 2], [0x30, 0]][usize::from(random[3] % 5)];
        let payload = [control[0], control[1], 0x22, random[4], random[5], random[6], 7, 8];
        let frame = Frame::classic(id, &payload).unwrap();
        listener.push(RealtimeNanos(time * 10_000_000), &frame, |event| match event {
            Event::Message(message) => {
                messages += 1;
                exchanges.take(&message);
            }
            Event::Abandoned(_) => abandoned += 1,
        });
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    assert!(messages > 10_000 && abandoned > 10_000, "{messages} messages, {abandoned} abandoned");
}
