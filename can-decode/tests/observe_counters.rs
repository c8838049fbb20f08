//! The observer with counters and end-to-end protection: gaps, interruptions, and senders that take turns.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::e2e::{Config, DataIdMode, Profile, Protection, Status};
use can_decode::observe::{ConflictSigns, Events, Expectation, Observation, Observer};
use can_decode::{CanId, Frame, MessageIndex};

const ID: CanId = CanId::Standard(0x123);
const MS: i64 = 1_000_000;

/// One protected message, and an observer that checks it.
struct Bus {
    protection: Protection,
    observer: Observer,
    time: i64,
}

impl Bus {
    fn new(profile: Profile) -> Self {
        let protection = Config::new(profile, 8).checked().unwrap();
        let expectation = Expectation { e2e: Some(protection), ..Expectation::default() };
        Self { protection, observer: Observer::new(1, [expectation]), time: 0 }
    }

    /// Sends a frame with this counter, `after_ms` after the one before.
    fn send(&mut self, counter: u16, after_ms: i64) -> Observation {
        let mut payload = [0x5A; 8];
        self.protection.protect(counter, &mut payload).unwrap();
        self.send_payload(&payload, after_ms)
    }

    fn send_payload(&mut self, payload: &[u8], after_ms: i64) -> Observation {
        self.time += after_ms * MS;
        let frame = Frame::classic(ID, payload).unwrap();
        self.observer.observe(&frame, self.time, Some(MessageIndex(0)))
    }
}

const P05: Profile = Profile::P05 { data_id: 0x1234, offset_bits: 0 };

#[test]
fn statuses_and_gaps_are_observed_and_counted() {
    let mut bus = Bus::new(P05);
    let mut check = |counter, status, events, lost| {
        let observation = bus.send(counter, 10);
        let checked = observation.e2e.unwrap();
        assert_eq!((checked.status, observation.counter_lost), (status, lost), "{counter}");
        assert_eq!(observation.events, events, "{counter}");
    };
    check(254, Status::Initial, Events::FIRST, 0);
    check(255, Status::Ok, Events::NONE, 0);
    check(0, Status::Ok, Events::NONE, 0);
    check(0, Status::Repeated, Events::COUNTER_REPEATED, 0);
    check(3, Status::WrongSequence, Events::COUNTER_GAP, 2);
    check(4, Status::Ok, Events::NONE, 0);
    let damaged = bus.send_payload(&[0; 8], 10);
    assert_eq!((damaged.e2e.unwrap().status, damaged.events), (Status::WrongCrc, Events::NONE));
    assert_eq!(bus.send_payload(&[0; 7], 10).e2e.unwrap().status, Status::WrongLength);
    assert_eq!(bus.send(5, 10).e2e.unwrap().status, Status::Ok, "what is damaged counts for nothing");
    let seen = bus.observer.statistics(0).next().unwrap();
    assert_eq!(
        (seen.has_counter, seen.counter_gaps, seen.counter_lost, seen.counter_repeated),
        (true, 1, 2, 1)
    );
    let counts = seen.e2e.unwrap();
    assert_eq!((counts.of(Status::Ok), counts.of(Status::WrongCrc), counts.bad()), (4, 1, 4));
    assert_eq!(bus.observer.totals().e2e, counts);
}

#[test]
fn an_interruption_begins_the_sequence_anew() {
    let mut bus = Bus::new(P05);
    bus.send(1, 10);
    bus.observer.interrupt();
    let after = bus.send(100, 10);
    assert_eq!((after.e2e.unwrap().status, after.events), (Status::Initial, Events::NONE));
}

#[test]
fn cycles_without_a_frame_widen_what_profile_1_tolerates() {
    let mut bus = Bus::new(Profile::p01(0x123, DataIdMode::Both));
    let mut counter = 0;
    for _ in 0..100 {
        assert!(bus.send(counter, 10).e2e.unwrap().status.is_ok());
        counter = bus.protection.next_counter(counter);
    }
    // Five cycles were left out, and the counter has gone on meanwhile: a receiver would have noticed each.
    let late = bus.send((counter + 5) % 15, 60);
    assert_eq!((late.missed_cycles, late.e2e.unwrap().status), (5, Status::OkSomeLost));
    // The same step without the time for it.
    assert_eq!(bus.send((counter + 11) % 15, 10).e2e.unwrap().status, Status::WrongSequence);
}

#[test]
fn counters_that_take_turns_are_a_second_sender() {
    let mut bus = Bus::new(P05);
    (0..50).for_each(|counter| {
        bus.send(counter, 10);
    });
    // Another sender with the right checksum, whose counter is elsewhere, right behind each frame.
    let mut conflicts = 0;
    for counter in 50..100 {
        let first = bus.send(counter, 9);
        let second = bus.send((counter + 120) % 256, 1);
        for observation in [first, second] {
            conflicts += u32::from(observation.events.contains(Events::CONFLICT));
        }
    }
    let seen = bus.observer.statistics(0).next().unwrap();
    assert!(seen.conflict.contains(ConflictSigns::COUNTERS), "{seen:?}");
    assert!(seen.conflict.contains(ConflictSigns::TIMING), "{seen:?}");
    assert_eq!((conflicts, seen.conflicts, seen.counter_gaps), (2, 2, 1));
    // It goes away again.
    (100..200).for_each(|counter| {
        bus.send(counter, 10);
    });
    assert_eq!(bus.observer.statistics(0).next().unwrap().conflict, ConflictSigns::NONE);
}
