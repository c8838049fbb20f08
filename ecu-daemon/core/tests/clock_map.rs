//! The clock map case by case: what is refused, what is forgotten, what is told on.

mod clock_world;

use can_decode::{BootNanos, HwNanos, RawNanos, RealtimeNanos, TaiNanos, UtcNanos};
use clock_world::SECOND;
use ecu_core::ClockMap;
use ecu_core::clock::{
    Basis, Bracket, CLOCKS_MAX, Clock, History, HwClock, Instant, Observed, Opening, Reading, SEGMENTS_MAX,
    Sync, SyncSource, TaiUtc, TaiUtcSource, Taken, Timescale,
};

const PHC: HwClock = HwClock::Phc(0);
/// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME` in these tests.
const SET_TO: i64 = 1_790_000_000 * SECOND;

fn realtime(boot: i64, offset: i64) -> Reading {
    Reading {
        instant: Instant::Realtime(RealtimeNanos(boot + offset)),
        bracket: Bracket::Boot(BootNanos(boot - 20), BootNanos(boot + 20)),
    }
}

/// The PHC read against `CLOCK_REALTIME` within 2 µs.
fn phc(boot: i64, shown: i64) -> Reading {
    let of = |boot: i64| RealtimeNanos(boot + SET_TO);
    Reading {
        instant: Instant::Hardware(PHC, HwNanos(shown)),
        bracket: Bracket::Realtime(of(boot - 1_000), of(boot + 1_000)),
    }
}

/// A second's readings; `offset` is that of the PHC against the axis.
fn round(map: &mut ClockMap, second: i64, offset: i64) {
    let boot = second * SECOND;
    map.observe(realtime(boot, SET_TO));
    map.observe(phc(boot + 10_000, boot + 10_000 + offset));
    map.observe(realtime(boot + 20_000, SET_TO));
}

fn sync(timescale: Timescale) -> Sync {
    let tai_utc = TaiUtc { seconds: 37, source: TaiUtcSource::Configured };
    Sync { source: SyncSource::Configured, timescale, error_ns: 50, tai_utc }
}

fn taken(boot: i64) -> Taken {
    Taken { not_before: BootNanos(boot - SECOND), not_after: BootNanos(boot + SECOND) }
}

#[test]
fn what_is_sent_on_places_as_the_map_itself_does() {
    let mut map = ClockMap::default();
    let mut far = History::default();
    let mut sent = 0;
    for second in 1..200 {
        if second == 60 {
            map.synchronise(Clock::Hardware(PHC), Some(sync(Timescale::Tai)));
        }
        let drifted = second * 20_000 + if second < 100 { 0 } else { 5 * SECOND };
        round(&mut map, second, drifted);
        // Now and then what is new goes out, in no particular order.
        if second % 17 == 0 || second == 199 {
            let mut new: Vec<_> = map.history().since(sent).map(|(v, c, s)| (v, c, *s)).collect();
            new.reverse();
            assert!(new.iter().all(|&(version, clock, segment)| far.absorb(version, clock, segment)));
            sent = map.history().version();
        }
    }
    assert_eq!(far.version(), map.history().version());
    let mut held = 0;
    for tenth in 10..1_990 {
        let boot = tenth * SECOND / 10;
        for instant in [Instant::Realtime(RealtimeNanos(boot + SET_TO)), Instant::Boot(BootNanos(boot))] {
            let (here, there) = (map.history().place(instant, taken(boot)), far.place(instant, taken(boot)));
            assert_eq!(here, there, "{boot}");
            held += u32::from(here.truth.is_some_and(|truth| truth.is_held));
        }
    }
    assert!(held > 1_000, "most of the first minute is placed afterwards: {held}");
}

#[test]
fn nothing_is_true_until_somebody_says_so() {
    let mut map = ClockMap::default();
    for second in 1..10 {
        round(&mut map, second, 0);
    }
    let stamp = Instant::Realtime(RealtimeNanos(9 * SECOND + 1_000 + SET_TO));
    let placed = map.map(stamp, BootNanos(9 * SECOND + 50_000), SECOND);
    assert_eq!((placed.basis, placed.truth), (Basis::Stamp, None));
    assert!(placed.boot.since(BootNanos(9 * SECOND + 1_000)).unsigned_abs() <= placed.boot_error_ns);

    map.synchronise(Clock::Realtime, Some(sync(Timescale::Utc)));
    round(&mut map, 10, 0);
    let shown = 10 * SECOND + 30_000 + SET_TO;
    let placed = map.map(Instant::Realtime(RealtimeNanos(shown)), BootNanos(10 * SECOND + 50_000), SECOND);
    let truth = placed.truth.unwrap();
    assert_eq!((truth.utc, truth.tai), (UtcNanos(shown), TaiNanos(shown + 37 * SECOND)));
    assert_eq!((truth.error_ns, truth.clock, truth.is_held), (50, Clock::Realtime, false));
}

#[test]
fn a_stamp_that_cannot_be_is_placed_by_its_arrival() {
    let mut map = ClockMap::default();
    for second in 1..10 {
        round(&mut map, second, 0);
    }
    let arrived = BootNanos(9 * SECOND + 40_000);
    let check = |instant, patience, basis| {
        let placed = map.map(instant, arrived, patience);
        assert_eq!(placed.basis, basis, "{instant:?}");
        assert!(placed.boot <= arrived.plus(placed.boot_error_ns as i64));
    };
    check(Instant::Hardware(PHC, HwNanos(9 * SECOND)), SECOND, Basis::Stamp);
    check(Instant::Hardware(PHC, HwNanos(9 * SECOND)), 10, Basis::Arrival);
    check(Instant::Hardware(PHC, HwNanos(99 * SECOND)), SECOND, Basis::Arrival);
    check(Instant::Hardware(PHC, HwNanos(i64::MAX)), i64::MAX, Basis::Arrival);
    check(Instant::Hardware(HwClock::Timer(3), HwNanos(9 * SECOND)), SECOND, Basis::Arrival);
    check(Instant::Realtime(RealtimeNanos(i64::MIN)), i64::MAX, Basis::Arrival);
    check(Instant::Raw(RawNanos(9 * SECOND)), SECOND, Basis::Arrival);
}

#[test]
fn one_nonsensical_reading_is_no_step_and_two_are() {
    let mut map = ClockMap::default();
    let status = |map: &ClockMap| map.status(Clock::Hardware(PHC), BootNanos(40 * SECOND)).unwrap();
    for second in 1..20 {
        round(&mut map, second, if second == 10 { 77_000_000 } else { 0 });
    }
    let counts = status(&map).counts;
    assert_eq!((counts.readings, counts.outliers, counts.steps), (19, 1, 0));
    let newest = *map.history().newest(Clock::Hardware(PHC)).unwrap();
    round(&mut map, 20, 77_000_000);
    let doubted = map.history().newest(Clock::Hardware(PHC)).unwrap();
    assert!(doubted.error_ns >= 77_000_000 && newest.error_ns < 10_000, "the bound covers the doubt");
    round(&mut map, 21, 77_000_000);
    assert_eq!(status(&map).counts.steps, 1);
    let stepped = map.history().newest(Clock::Hardware(PHC)).unwrap();
    assert_eq!(stepped.opening, Opening::Step);
    assert!(stepped.error_ns < 10_000, "{stepped:?}");
}

#[test]
fn a_system_clock_that_is_set_amid_a_reading_spoils_it() {
    for step in [-3_600 * SECOND, -SECOND / 2, SECOND, 1_000] {
        let mut map = ClockMap::default();
        for second in 1..10 {
            round(&mut map, second, 0);
        }
        let boot = 10 * SECOND;
        map.observe(realtime(boot, SET_TO));
        // Set here: the PHC is compared with the other time already.
        let mut reading = phc(boot + 10_000, boot + 10_000);
        if let Bracket::Realtime(before, after) = &mut reading.bracket {
            (*before, *after) = (before.plus(step), after.plus(step));
        }
        assert_eq!(map.observe(reading), Observed::Held);
        assert_eq!(map.observe(realtime(boot + 20_000, SET_TO + step)), Observed::Stepped);
        let counts = map.status(Clock::Hardware(PHC), BootNanos(boot)).unwrap().counts;
        assert_eq!((counts.readings, counts.refused, counts.steps), (10, 1, 0), "{step}");
    }
}

/// `CLOCK_MONOTONIC_RAW` runs 20 ppm fast here, and the PHC is read against it, as kernels since 6.12 can.
#[test]
fn a_phc_may_be_read_against_the_raw_oscillator() {
    let mut map = ClockMap::default();
    let raw_at = |boot: i64| RawNanos(boot + boot / 50_000);
    let raw = |boot: i64| Reading {
        instant: Instant::Raw(raw_at(boot)),
        bracket: Bracket::Boot(BootNanos(boot - 20), BootNanos(boot + 20)),
    };
    for second in 1..100 {
        let boot = second * SECOND;
        map.observe(raw(boot));
        let bracket = Bracket::Raw(raw_at(boot + 9_000), raw_at(boot + 11_000));
        let instant = Instant::Hardware(PHC, HwNanos(boot + 10_000 + 7 * SECOND));
        assert_eq!(map.observe(Reading { instant, bracket }), Observed::Held);
        map.observe(raw(boot + 20_000));
    }
    let counts = map.status(Clock::Hardware(PHC), BootNanos(0)).unwrap().counts;
    assert_eq!((counts.readings, counts.refused, counts.steps, counts.outliers), (99, 0, 0, 0));
    let drift = map.history().newest(Clock::MonotonicRaw).unwrap().drift_ppt;
    assert!((drift - 20_000_000).abs() < 100_000, "{drift}");
    for boot in [20 * SECOND + 1, 50 * SECOND + 500_000_000] {
        let placed = map.history().place(Instant::Hardware(PHC, HwNanos(boot + 7 * SECOND)), taken(boot));
        assert_eq!(placed.basis, Basis::Stamp);
        assert!(placed.boot.since(BootNanos(boot)).unsigned_abs() <= placed.boot_error_ns, "{placed:?}");
        assert!(placed.boot_error_ns < 3_000, "{placed:?}");
    }
}

/// Whole seconds ahead of `CLOCK_REALTIME`, and stepped with it.
#[test]
fn the_kernels_tai_is_a_clock_like_others() {
    let mut map = ClockMap::default();
    for second in 1..10 {
        let boot = second * SECOND;
        let bracket = Bracket::Boot(BootNanos(boot - 20), BootNanos(boot + 20));
        let told = if second < 5 { 0 } else { 37 * SECOND };
        map.observe(Reading { instant: Instant::Tai(TaiNanos(boot + SET_TO + told)), bracket });
    }
    assert_eq!(map.status(Clock::Tai, BootNanos(0)).unwrap().counts.steps, 1);
    for (boot, told) in [(2 * SECOND, 0), (8 * SECOND, 37 * SECOND)] {
        let placed = map.history().place(Instant::Tai(TaiNanos(boot + SET_TO + told)), taken(boot));
        assert_eq!(placed.basis, Basis::Stamp);
        assert!(placed.boot.since(BootNanos(boot)).unsigned_abs() <= placed.boot_error_ns, "{placed:?}");
    }
}

#[test]
fn a_device_that_comes_back_begins_anew() {
    let mut map = ClockMap::default();
    map.synchronise(Clock::Hardware(PHC), Some(sync(Timescale::Tai)));
    for second in 1..10 {
        round(&mut map, second, 0);
    }
    map.lose(PHC);
    map.lose(HwClock::Phc(7));
    for second in 12..20 {
        round(&mut map, second, 1_000 * SECOND);
    }
    assert_eq!(map.history().newest(Clock::Hardware(PHC)).unwrap().sync, None);
    let begins_anew =
        |segment: &ecu_core::clock::Segment| segment.opening == Opening::Gap && segment.from.0 / SECOND == 12;
    assert!(map.history().since(0).any(|(_, _, segment)| begins_anew(segment)));
    let counts = map.status(Clock::Hardware(PHC), BootNanos(0)).unwrap().counts;
    assert_eq!((counts.steps, counts.outliers), (0, 0));
    // What it stamped before is still placed, and still true.
    let stamp = Instant::Hardware(PHC, HwNanos(5 * SECOND));
    let placed = map.history().place(stamp, taken(5 * SECOND));
    assert_eq!(placed.truth.map(|truth| truth.tai), Some(TaiNanos(5 * SECOND)));
}

#[test]
fn readings_that_make_no_sense_are_refused() {
    let mut map = ClockMap::default();
    map.observe(realtime(SECOND, SET_TO));
    let boot = |from, to| Bracket::Boot(BootNanos(from), BootNanos(to));
    let check = |map: &mut ClockMap, instant, bracket, expected| {
        assert_eq!(map.observe(Reading { instant, bracket }), expected, "{instant:?} {bracket:?}");
    };
    let of = |ns| Instant::Realtime(RealtimeNanos(ns));
    check(&mut map, of(0), boot(3 * SECOND, 2 * SECOND), Observed::Refused);
    check(&mut map, of(SET_TO), boot(0, 10), Observed::Refused);
    check(&mut map, of(SET_TO), Bracket::Realtime(RealtimeNanos(0), RealtimeNanos(1)), Observed::Refused);
    check(&mut map, Instant::Boot(BootNanos(7)), boot(0, 10), Observed::Refused);
    let raw = Bracket::Raw(RawNanos(0), RawNanos(1));
    check(&mut map, Instant::Hardware(PHC, HwNanos(0)), raw, Observed::Refused);
    check(&mut map, of(i64::MAX), boot(i64::MAX - 1, i64::MAX), Observed::Stepped);
    check(&mut map, of(i64::MIN), boot(i64::MAX, i64::MAX), Observed::Stepped);
}

#[test]
fn clocks_and_segments_are_bounded() {
    let mut map = ClockMap::default();
    for number in 0..=255 {
        let instant = Instant::Hardware(HwClock::Phc(number), HwNanos(0));
        let bracket = Bracket::Boot(BootNanos(0), BootNanos(10));
        let expected = if usize::from(number) < CLOCKS_MAX { Observed::Taken } else { Observed::Refused };
        assert_eq!(map.observe(Reading { instant, bracket }), expected, "{number}");
    }
    let mut map = ClockMap::default();
    for second in 1..1_200 {
        // Set each second: a segment each.
        map.observe(realtime(second * SECOND, second * 1_000_000));
    }
    assert_eq!(map.history().since(0).count(), SEGMENTS_MAX);
    assert_eq!(map.status(Clock::Realtime, BootNanos(0)).unwrap().counts.steps, 1_198);
}

#[test]
fn a_kernel_that_was_never_told_of_tai_is_not_believed() {
    assert_eq!(TaiUtc::kernel(0), None);
    assert_eq!(TaiUtc::kernel(37), Some(TaiUtc { seconds: 37, source: TaiUtcSource::Kernel }));
    assert_eq!(TaiUtc::default().source, TaiUtcSource::BuiltIn);
}
