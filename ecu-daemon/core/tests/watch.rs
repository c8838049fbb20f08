//! What the engine makes of what frames say of their senders: counted, and reported once.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the engine's tests")]
mod car;

use can_decode::e2e::Status;
use can_decode::observe::{ConflictSigns, IdStatistics};
use can_decode::{BootNanos, CanId, Frame};
use car::{LAMP, STEER, WHEEL, record, steer, watched};
use ecu_core::{Action, Engine, Notice, Suspicion, Watch};
use store::block::ClockSource;

const MS: i64 = 1_000_000;

/// An engine whose frames arrive when they are stamped.
struct Bench {
    engine: Engine,
    reported: Vec<Notice>,
}

impl Bench {
    fn new() -> Self {
        Self { engine: watched(), reported: Vec::new() }
    }

    fn frame(&mut self, frame: Frame, ms: i64) {
        self.arrive(frame, ms * MS, ms * MS, false);
    }

    fn arrive(&mut self, frame: Frame, stamp_ns: i64, now_ns: i64, follows_loss: bool) {
        let record = ecu_core::FrameRecord { follows_loss, ..record(frame, stamp_ns) };
        self.engine.frame(&record, BootNanos(now_ns), &mut |action| {
            if let Action::Report(notice) = action {
                self.reported.push(notice);
            }
        });
    }

    fn watch(&self) -> &Watch {
        self.engine.watches()[0].as_ref().unwrap()
    }

    fn of(&self, id: CanId, now_ms: i64) -> IdStatistics {
        self.watch().statistics(BootNanos(now_ms * MS)).find(|one| one.id == id).unwrap()
    }

    fn suspicions(&self) -> Vec<(CanId, Suspicion)> {
        self.reported.iter().map(|notice| (notice.id, notice.suspicion)).collect()
    }
}

fn wheel(counter: u16) -> Frame {
    Frame::classic(WHEEL, &[(counter % 16) as u8, 0, 0, 0, 0, 0, 0, 0]).unwrap()
}

#[test]
fn a_wrong_checksum_is_counted_each_time_and_reported_once() {
    let mut bench = Bench::new();
    for round in 0..100 {
        let mut frame = steer(round);
        if round % 10 == 9 {
            let mut payload = *frame.data().first_chunk::<8>().unwrap();
            payload[4] ^= 0x40;
            frame = Frame::classic(STEER, &payload).unwrap();
        }
        bench.frame(frame, i64::from(round) * 10);
    }
    let e2e = bench.watch().totals().e2e;
    let seen =
        [Status::Initial, Status::WrongCrc, Status::WrongSequence, Status::Ok].map(|status| e2e.of(status));
    // The counter steps by two behind each damaged frame, where one is allowed.
    assert_eq!(seen, [1, 10, 9, 80]);
    assert_eq!(bench.of(STEER, 990).e2e.unwrap().bad(), 19);
    assert_eq!(bench.suspicions(), [(STEER, Suspicion::E2e(Status::WrongCrc))]);
    assert_eq!(bench.reported[0].stamp.ns, 90 * MS);
    assert_eq!(bench.engine.buses()[0].decoded, 100, "what is damaged is decoded and kept all the same");
}

#[test]
fn gaps_in_counters_are_told_from_frames_that_were_lost_here() {
    let check = |follows_loss: bool, expected: (u64, u64, u64)| {
        let mut bench = Bench::new();
        for counter in (0..50).chain(54..80) {
            let ms = i64::from(counter) * 20;
            bench.arrive(wheel(counter), ms * MS, ms * MS, follows_loss && counter == 54);
        }
        let totals = bench.watch().totals();
        assert_eq!((totals.counter_gaps, totals.counter_lost, totals.missed_cycles), expected);
        assert_eq!(bench.reported, []);
    };
    check(false, (1, 4, 4));
    check(true, (0, 0, 0));
}

#[test]
fn two_senders_of_one_identifier_are_reported_once_with_their_signs() {
    let mut bench = Bench::new();
    for counter in 0..64 {
        bench.frame(wheel(counter), i64::from(counter) * 20);
    }
    assert_eq!(bench.reported, []);
    for counter in 64..200 {
        bench.frame(wheel(counter), i64::from(counter) * 20);
        bench.frame(wheel(counter + 7), i64::from(counter) * 20 + 6);
    }
    let [notice] = bench.reported[..] else { panic!("{:?}", bench.reported) };
    let Suspicion::Conflict(signs) = notice.suspicion else { panic!("{notice:?}") };
    assert!(notice.id == WHEEL && signs.contains(ConflictSigns::COUNTERS), "{notice:?}");
    assert!(bench.watch().totals().conflicts >= 1);
    assert!(bench.of(WHEEL, 0).conflict.contains(ConflictSigns::TIMING), "two in each cycle, 6 ms apart");
}

#[test]
fn a_message_with_another_cycle_than_its_database_says_is_reported_with_both() {
    let mut bench = Bench::new();
    for ms in (0..4000).step_by(50) {
        bench.frame(Frame::classic(LAMP, &[1]).unwrap(), ms);
    }
    let (declared_ns, seen_ns) = (100_000_000, 50_000_000);
    assert_eq!(bench.suspicions(), [(LAMP, Suspicion::CycleDiffers { declared_ns, seen_ns })]);
}

#[test]
fn silence_goes_on_after_the_last_frame() {
    let mut bench = Bench::new();
    for counter in 0..50 {
        bench.frame(wheel(counter), i64::from(counter) * 20);
    }
    assert_eq!(bench.of(WHEEL, 980).overdue_cycles, 0);
    assert_eq!(bench.of(WHEEL, 980 + 205).overdue_cycles, 10);
}

#[test]
fn a_step_of_the_clock_and_another_clock_are_nobodys_fault() {
    use ClockSource::{Hardware, KernelSoftware, Recorded};
    // The 50th frame comes with another clock, or with its clock set; and with a gap of the counter.
    let check = |clocks: [ClockSource; 2], step_ms: i64, expected: u64| {
        let mut bench = Bench::new();
        for round in 0..100 {
            let (is_behind, ms) = (usize::from(round >= 50), i64::from(round) * 20);
            let counter = round + 3 * is_behind as u16;
            let mut record = record(wheel(counter), (ms + step_ms * is_behind as i64) * MS);
            record.stamp.clock = clocks[is_behind];
            bench.engine.frame(&record, BootNanos(ms * MS), &mut |_| {});
        }
        let totals = bench.watch().totals();
        let wrong = totals.late + totals.early + totals.counter_gaps;
        assert_eq!(wrong, expected, "{clocks:?} {step_ms} ms");
    };
    check([KernelSoftware; 2], 3_600_000, 0);
    check([KernelSoftware; 2], -3_600_000, 0);
    check([KernelSoftware, Hardware], 300, 0);
    check([Recorded; 2], -3_600_000, 0);
    check([KernelSoftware; 2], 0, 1);
    check([KernelSoftware; 2], 300, 2);
    check([Recorded; 2], 3_600_000, 2);
}

#[test]
fn reports_are_bounded_and_the_last_one_says_so() {
    let mut bench = Bench::new();
    // Of every identifier, two senders with frames of different length.
    for round in 0..200 {
        for id in 0..60_u16 {
            // The second one joins when the cycle of the first one is known.
            let senders = if round < 60 { &[(4, 0)][..] } else { &[(4, 0), (8, 3)] };
            for &(len, at) in senders {
                let frame = Frame::classic(CanId::Standard(0x400 + id), &[0; 8][..len]).unwrap();
                bench.arrive(frame, (round * 20 + at) * MS, (round * 20 + at) * MS, false);
            }
        }
    }
    assert!(bench.watch().totals().conflicts >= 60);
    assert_eq!(bench.reported.len(), 32);
    let last: Vec<bool> = bench.reported.iter().map(|notice| notice.is_last).collect();
    assert_eq!(last.iter().position(|is_last| *is_last), Some(31));
}
