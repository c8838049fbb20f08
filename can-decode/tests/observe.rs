//! The observer on simulated buses, where everything that happens is known.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::observe::{ConflictSigns, Events, Expectation, IdStatistics, Observation, Observer};
use can_decode::{CanId, Frame, FrameFlags, MessageIndex};
use proptest::prelude::*;

const ID: CanId = CanId::Standard(0x123);
const MS: i64 = 1_000_000;

/// An observer that expects a cycle of `cycle_ms` (0 for none).
fn observer(cycle_ms: u64) -> Observer {
    let cycle_ns = Some(cycle_ms * 1_000_000).filter(|cycle_ns| *cycle_ns > 0);
    Observer::new(4, [Expectation { cycle_ns, ..Expectation::default() }])
}

fn data(payload: &[u8]) -> Frame {
    Frame::classic(ID, payload).unwrap()
}

/// The frames at these times; what was observed.
fn send(observer: &mut Observer, times: impl IntoIterator<Item = i64>) -> Vec<Observation> {
    let frame = data(&[0; 8]);
    times.into_iter().map(|time| observer.observe(&frame, time, Some(MessageIndex(0)))).collect()
}

/// How often an event was observed.
fn count(observations: &[Observation], event: Events) -> usize {
    observations.iter().filter(|observation| observation.events.contains(event)).count()
}

fn seen(observer: &Observer, now: i64) -> IdStatistics {
    observer.statistics(now).next().unwrap()
}

/// Numbers that look random and are the same every time (a linear congruential generator, Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % bound
    }
}

#[test]
fn periods_rate_and_cycle_are_measured() {
    let mut observer = observer(0);
    let observations = send(&mut observer, (0..500).map(|frame| frame * 10 * MS));
    assert_eq!(observations[0].events, Events::FIRST);
    assert_eq!(count(&observations[1..], Events::NONE), 499);
    assert!(observations[1..].iter().all(|observation| observation.events.is_empty()));
    let seen = seen(&observer, 4990 * MS);
    assert_eq!((seen.frames, seen.rate_millihertz), (500, 100_000));
    let ten = Some(10_000_000);
    assert_eq!((seen.period_last_ns, seen.period_min_ns, seen.period_max_ns), (ten, ten, ten));
    assert_eq!((seen.period_mean_ns, seen.cycle_ns, seen.jitter_ns), (ten, ten, Some(0)));
    assert_eq!((seen.cycle_declared_ns, seen.overdue_cycles, seen.conflicts), (None, 0, 0));
}

#[test]
fn rates_of_slow_and_of_silent_identifiers_are_right() {
    let mut observer = observer(0);
    send(&mut observer, (0..10).map(|frame| frame * 4_000 * MS));
    assert_eq!(seen(&observer, 36_000 * MS).rate_millihertz, 250);
    assert_eq!(seen(&observer, 36_000 * MS + 40_000 * MS).rate_millihertz, 0);
    send(&mut observer, (0..200).map(|frame| 100_000 * MS + frame * 10 * MS));
    assert_eq!(seen(&observer, 102_000 * MS).rate_millihertz, 100_000);
    // The last window closed with the frame at 101 s; 99 frames have come since.
    assert_eq!(seen(&observer, 134_000 * MS).rate_millihertz, 99 * 1_000 / 33);
    assert!((98..=100).contains(&seen(&observer, 102_990 * MS).overdue_cycles), "1 s of 10 ms cycles");
}

#[test]
fn jitter_is_the_mean_deviation_from_the_cycle() {
    // Frames that are 1 ms early or late by turns deviate 2 ms from the cycle, each.
    let mut observer = observer(10);
    let observations = send(&mut observer, (0..600).map(|frame| (frame * 10 + frame % 2 * 2) * MS));
    assert_eq!(count(&observations, Events::LATE) + count(&observations, Events::EARLY), 0);
    let seen = seen(&observer, 6_000 * MS);
    assert_eq!(seen.cycle_ns, Some(10_000_000));
    assert!(seen.jitter_ns.unwrap().abs_diff(2_000_000) < 10_000, "{seen:?}");
}

#[test]
fn missing_frames_are_late_and_uneven_stamps_are_not() {
    let mut observer = observer(10);
    let mut times: Vec<i64> = (0..200).map(|frame| frame * 10 * MS).collect();
    times.drain(150..153);
    times.remove(100);
    let observations = send(&mut observer, times);
    let late: Vec<u32> = observations
        .iter()
        .filter(|observation| observation.events.contains(Events::LATE))
        .map(|observation| observation.missed_cycles)
        .collect();
    assert_eq!(late, [1, 3]);
    let seen = seen(&observer, 2_090 * MS);
    assert_eq!((seen.late, seen.missed_cycles, seen.overdue_cycles), (2, 4, 10));

    // Stamps that are taken up to 6 ms late, as by a reader that sleeps.
    let mut observer = self::observer(10);
    let mut random = Random(1);
    let times: Vec<i64> = (0..5_000).map(|frame| frame * 10 * MS + random.below(6 * MS)).collect();
    let observations = send(&mut observer, times);
    assert_eq!(count(&observations, Events::LATE), 0);
    assert_eq!(seen_conflicts(&observer), (0, ConflictSigns::NONE));
}

fn seen_conflicts(observer: &Observer) -> (u64, ConflictSigns) {
    let seen = seen(observer, 0);
    (seen.conflicts, seen.conflict)
}

#[test]
fn a_pause_and_a_clock_that_is_set_back_are_no_end_of_the_cycle() {
    let mut observer = observer(0);
    let times = |start: i64| (0..100).map(move |frame| start + frame * 20 * MS);
    send(&mut observer, times(0));
    let night = send(&mut observer, times(8 * 3_600_000 * MS));
    assert_eq!((count(&night, Events::LATE), night[0].missed_cycles), (1, 1_439_900));
    assert!(night[1..].iter().all(|observation| observation.events.is_empty()));
    let back = send(&mut observer, times(0));
    assert_eq!((back[0].events, count(&back, Events::BACKWARDS)), (Events::BACKWARDS, 1));
    assert!(back[1..].iter().all(|observation| observation.events.is_empty()));
    let seen = seen(&observer, 2_000 * MS);
    assert_eq!((seen.cycle_ns, seen.rate_millihertz), (Some(20_000_000), 50_000));
    assert_eq!((seen.period_max_ns.unwrap() / 1_000_000_000, seen.period_min_ns), (28_798, Some(20_000_000)));
    observer.restart_extremes();
    assert_eq!(self::seen(&observer, 0).period_max_ns, None);
    send(&mut observer, [2_000 * MS]);
    assert_eq!(self::seen(&observer, 0).period_max_ns, Some(20_000_000));
    assert_eq!(observer.totals().backwards, 1);
}

#[test]
fn cycles_other_than_the_declared_one_and_changes_of_it_are_told() {
    let mut observer = observer(10);
    let slow = send(&mut observer, (0..200).map(|frame| frame * 50 * MS));
    assert_eq!((count(&slow, Events::CYCLE_DIFFERS), count(&slow, Events::LATE)), (1, 0));
    assert_eq!(seen(&observer, 0).cycle_ns, Some(50_000_000));
    let fast = send(&mut observer, (0..300).map(|frame| (10_000 + frame * 10) * MS));
    assert_eq!((count(&fast, Events::CYCLE_CHANGED), count(&fast, Events::CYCLE_DIFFERS)), (1, 0));
    assert_eq!(seen(&observer, 0).cycle_ns, Some(10_000_000));
    assert_eq!((observer.totals().cycle_changed, observer.totals().cycle_differs), (1, 1));
    // What comes when it likes has no cycle.
    let mut random = Random(2);
    let mut time = 0;
    let times: Vec<i64> = (0..2_000)
        .map(|_| {
            time += random.below(100 * MS);
            time
        })
        .collect();
    let mut observer = self::observer(50);
    let events = send(&mut observer, times);
    assert_eq!((seen(&observer, 0).cycle_ns, count(&events, Events::LATE)), (None, 0));
}

#[test]
fn changes_of_length_and_kind_are_told() {
    let mut observer = observer(0);
    let fd = |len| Frame::fd(ID, FrameFlags::BRS, &vec![0; len]).unwrap();
    let mut check = |frame: &Frame, expected: &[&str]| {
        let events = observer.observe(frame, 0, None).events;
        assert_eq!(events.names().collect::<Vec<_>>(), expected, "{frame:?}");
    };
    check(&data(&[0; 8]), &["first"]);
    check(&data(&[0; 8]), &[]);
    check(&data(&[0; 3]), &["length_changed"]);
    check(&fd(3), &["kind_changed"]);
    check(&fd(64), &["length_changed"]);
    check(&Frame::remote(ID, 8), &["kind_changed"]);
    check(&Frame::remote(ID, 2), &[]);
    check(&fd(64), &[]);
    check(&Frame::error(4, [0; 8]), &[]);
    let seen = seen(&observer, 0);
    assert_eq!((seen.frames, seen.remote, seen.length_changes), (8, 2, 2));
    assert_eq!((observer.totals().frames, observer.totals().kind_changed), (8, 2));
}

#[test]
fn identifiers_that_do_not_fit_are_counted() {
    let mut observer = observer(0);
    for round in 0..3 {
        for id in 0..6 {
            let frame = Frame::classic(CanId::Standard(id), &[]).unwrap();
            let events = observer.observe(&frame, 0, None).events;
            assert_eq!(events == Events::NOT_OBSERVED, id >= 4);
            assert_eq!(events == Events::FIRST, id < 4 && round == 0);
        }
    }
    let totals = observer.totals();
    assert_eq!((totals.frames, totals.not_observed, totals.ids), (18, 6, 4));
    assert_eq!(observer.statistics(0).map(|seen| seen.frames).sum::<u64>(), 12);
}

#[test]
fn frames_lost_on_the_way_are_not_held_against_their_sender() {
    let mut observer = observer(10);
    send(&mut observer, (0..100).map(|frame| frame * 10 * MS));
    observer.interrupt();
    let after = send(&mut observer, (200..300).map(|frame| frame * 10 * MS));
    assert!(after.iter().all(|observation| observation.events.is_empty()));
    assert_eq!(seen(&observer, 0).period_max_ns, Some(10_000_000));
}

/// Times of a sender with a cycle of 10 ms that begins at `start` and whose clock is `ppm` fast, with frames up to
/// `blur` late.
fn sender(start: i64, ppm: i64, blur: i64, frames: i64, random: &mut Random) -> Vec<i64> {
    let cycle = 10 * MS - 10 * ppm;
    (0..frames).map(|frame| start + frame * cycle + random.below(blur + 1)).collect()
}

fn together(mut a: Vec<i64>, b: Vec<i64>) -> Vec<i64> {
    a.extend(b);
    a.sort_unstable();
    a
}

#[test]
fn a_second_sender_with_the_same_cycle_is_seen() {
    let mut random = Random(3);
    for distance in [MS / 10, 2 * MS, 4 * MS, 8 * MS] {
        for declared_ms in [0, 10, 100] {
            // One sender for 2 s, then two for 5 s, then one.
            let mut observer = observer(declared_ms);
            let first = sender(0, 0, MS / 5, 1_000, &mut random);
            let second = sender(2_000 * MS + distance, 50, MS / 5, 500, &mut random);
            let observations = send(&mut observer, together(first, second));
            let what = format!("{distance} ns apart, {declared_ms} ms declared");
            assert_eq!(count(&observations, Events::CONFLICT), 1, "{what}");
            let at =
                observations.iter().position(|observation| observation.events.contains(Events::CONFLICT));
            assert!((200..300).contains(&at.unwrap()), "{what}: frame {at:?}");
            assert_eq!(count(&observations, Events::CYCLE_CHANGED), 0, "{what}");
            assert_eq!(seen_conflicts(&observer), (1, ConflictSigns::NONE), "{what}");
            assert!(seen(&observer, 0).cycle_ns.unwrap().abs_diff(10_000_000) < 100_000, "{what}");
        }
    }
}

#[test]
fn a_second_sender_from_the_start_is_seen_by_its_drift() {
    let mut random = Random(4);
    let mut observer = observer(10);
    let first = sender(0, 0, MS / 5, 20_000, &mut random);
    let second = sender(2 * MS, 50, MS / 5, 20_000, &mut random);
    let observations = send(&mut observer, together(first, second));
    assert!(count(&observations, Events::CONFLICT) >= 1);
    // 1.25 ms at 50 ppm are 25 s, and the noise of the stamps may help.
    let at =
        observations.iter().position(|observation| observation.events.contains(Events::CONFLICT)).unwrap();
    assert!((1_000..8_000).contains(&at), "frame {at}");
}

#[test]
fn one_sender_alone_is_no_conflict() {
    let mut random = Random(5);
    let check = |what: &str, declared_ms, times: Vec<i64>| {
        let mut observer = observer(declared_ms);
        let observations = send(&mut observer, times);
        assert_eq!(count(&observations, Events::CONFLICT), 0, "{what}");
    };
    for blur in [0, MS / 2, 3 * MS, 9 * MS] {
        for declared_ms in [0, 5, 10, 20, 1_000] {
            let single = sender(0, 0, blur, 20_000, &mut random);
            check(
                &format!("{blur} ns late, {declared_ms} ms declared"),
                declared_ms,
                together(single, vec![]),
            );
        }
        // Twice as fast after 2 s, as a sender is that has something to say.
        let slow = sender(0, 0, blur, 200, &mut random);
        let fast: Vec<i64> =
            (0..2_000).map(|frame| 2_000 * MS + frame * 5 * MS + random.below(blur / 2 + 1)).collect();
        check(&format!("twice as fast, {blur} ns late"), 10, together(slow, fast));
        // Always in pairs, half a millisecond to two apart.
        let pairs: Vec<i64> = (0..5_000)
            .flat_map(|frame| {
                let start = frame * 10 * MS + random.below(blur / 4 + 1);
                [start, start + MS / 2 + random.below(3 * MS / 2)]
            })
            .collect();
        check(&format!("in pairs, {blur} ns late"), 10, pairs);
        // Its cycle, and now and then a frame in between.
        let cyclic = sender(0, 0, blur, 5_000, &mut random);
        let changes: Vec<i64> = (0..1_500).map(|_| random.below(50_000 * MS)).collect();
        check(&format!("on change, {blur} ns late"), 10, together(cyclic, changes));
    }
}

#[test]
fn two_lengths_that_take_turns_are_a_conflict_only_in_one_cycle() {
    let mut random = Random(6);
    let mut lengths = |second_ms: i64| {
        let mut observer = observer(10);
        let mut frames: Vec<(i64, Frame)> = sender(0, 0, 3 * MS, 400, &mut random)
            .into_iter()
            .enumerate()
            .map(|(at, time)| (time, data(if second_ms == 0 && at % 2 == 1 { &[0; 3] } else { &[0; 8] })))
            .collect();
        if second_ms > 0 {
            let second = sender(second_ms * MS, 50, 3 * MS, 400, &mut random);
            frames.extend(second.into_iter().map(|time| (time, data(&[0; 3]))));
        }
        frames.sort_by_key(|(time, _)| *time);
        for (time, frame) in frames {
            observer.observe(&frame, time, Some(MessageIndex(0)));
        }
        seen_conflicts(&observer)
    };
    assert_eq!(lengths(5), (1, ConflictSigns::SHAPES));
    assert_eq!(lengths(0), (0, ConflictSigns::NONE));
}

proptest! {
    #[test]
    fn any_frames_at_any_times_are_taken_and_the_totals_are_the_sums(
        frames in prop::collection::vec(
            (0..6_u16, prop::collection::vec(any::<u8>(), 0..=8), any::<bool>(),
             prop_oneof![any::<i64>(), 0..1_000_000_000_i64], any::<bool>()),
            0..300,
        ),
        cycle_ns: Option<u64>,
    ) {
        let mut observer = Observer::new(4, [Expectation { cycle_ns, ..Expectation::default() }]);
        for (id, payload, is_fd, time, is_remote) in frames {
            let id = CanId::Standard(id);
            let frame = match (is_remote, is_fd) {
                (true, _) => Frame::remote(id, 1),
                (false, true) => Frame::fd(id, FrameFlags::default(), &payload).unwrap(),
                (false, false) => Frame::classic(id, &payload).unwrap(),
            };
            observer.observe(&frame, time, Some(MessageIndex(id.raw() as u16 / 3)));
            if time % 17 == 0 {
                observer.interrupt();
            }
        }
        let totals = *observer.totals();
        let mut sums = (0, 0, 0, 0);
        for seen in observer.statistics(i64::MAX).chain(observer.statistics(i64::MIN)) {
            sums.0 += seen.frames;
            sums.1 += seen.late;
            sums.2 += seen.length_changes;
            sums.3 += seen.missed_cycles;
        }
        let expected = (totals.frames - totals.not_observed, totals.late, totals.length_changed, totals.missed_cycles);
        prop_assert_eq!((sums.0 / 2, sums.1 / 2, sums.2 / 2, sums.3 / 2), expected);
    }
}
