//! What the observer allocates: what it is made with, and nothing for a frame.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::alloc::System;

use can_decode::e2e::{Config, Profile};
use can_decode::observe::{Expectation, Observer};
use can_decode::{CanId, Frame, MessageIndex};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Without the test harness, whose threads allocate when they like: the allocator counts those of all threads.
fn main() {
    frames_allocate_nothing();
}

fn frames_allocate_nothing() {
    const IDS: u16 = 200;
    let protection = Config::new(Profile::P05 { data_id: 1, offset_bits: 0 }, 8).checked().unwrap();
    let frames: Vec<Frame> = (0..IDS + 50)
        .map(|id| {
            let mut payload = [id as u8; 8];
            protection.protect(id, &mut payload).unwrap();
            Frame::classic(CanId::Standard(id), &payload).unwrap()
        })
        .collect();
    let region = Region::new(ALLOCATOR);
    let protected = Expectation { e2e: Some(protection), ..Expectation::default() };
    let mut observer = Observer::new(IDS, [protected, Expectation::default()]);
    let made = region.change();
    let bytes_each = made.bytes_allocated / usize::from(IDS);
    assert!(bytes_each < 600, "{bytes_each} bytes for each identifier");
    println!("{bytes_each} bytes for each identifier");

    let mut region = Region::new(ALLOCATOR);
    for round in 0..100 {
        // By then the observer is in the middle of learning cycles.
        if round == 20 {
            region = Region::new(ALLOCATOR);
        }
        for (at, frame) in (0..).zip(&frames) {
            observer.observe(frame, round * 10_000_000 + at, Some(MessageIndex(frame.id().raw() as u16 % 3)));
        }
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    assert_eq!(observer.totals().not_observed, 50 * 100);
}
