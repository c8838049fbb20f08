//! The ring on the card at any write at which the power may go.
//!
//! What must hold at each cut is [`Fault`]'s list; `power-lab --points` makes more cuts.

use hil_tests::guest::emulated_bench;
use hil_tests::guest::lab::{Damage, Fault, Plan, Recording, Scenario, Summary};
use hil_tests::{Bench, say};

/// Writes and flushes of each recording.
const WRITES: usize = 600;
/// A card that lies breaks promises at nearly every cut: a few show that this laboratory sees it.
const LIES: Plan = Plan { points: 6, starts: 0, boots: 0 };

/// With each damage that its card may do and be honest, then with the one that lies. `booted` is the one after which the
/// daemon is also started in a guest, once.
fn cut(recording: &Recording, points: usize, booted: Damage) {
    say(&format!("{recording}\n{}", Summary::heading()));
    for &damage in recording.scenario.honest() {
        let boots = usize::from(damage == booted);
        let summary = recording.cut(damage, &Plan { points, starts: 1, boots });
        say(&summary.to_string());
        assert_eq!((summary.broken, summary.starts), (0, 1 + boots as u64), "{damage:?}");
    }
    let lies = recording.cut(Damage::Lying, &LIES);
    say(&lies.to_string());
    assert!(lies.count(Fault::Lost) > 0, "a card that forgets what it flushed must show");
}

/// Everything waits: there is nobody to send to.
#[test]
fn no_cut_of_a_card_that_writes_through_breaks_a_promise() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("lab");
    let recording = Recording::make(&bench, Scenario::Quiet, WRITES);
    assert_eq!(recording.flushes(), 0, "it needs none");
    let books = recording.last().books;
    assert_eq!((books.acked, books.evicted), (0, 0));
    cut(&recording, 10, Damage::Torn);
}

/// The ring is full and evicts, a gateway comes and acknowledgements free rows, the -wal is folded in.
#[test]
fn no_cut_of_a_busy_ring_on_a_card_with_a_cache_breaks_a_promise() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("lab-busy");
    let recording = Recording::make(&bench, Scenario::Busy, WRITES);
    let (opened, books) = (recording.opened(), recording.last().books);
    assert!(books.evicted > opened.evicted, "the ring is full: {books:?}");
    assert!(books.acked > opened.acked, "the gateway came: {books:?}");
    assert!(recording.flushes() > 0 && recording.folded() > 0, "{recording}");
    cut(&recording, 14, Damage::Reordered);
}
