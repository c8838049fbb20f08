//! The clock map against worlds whose truth is known: the error never exceeds the stated bound.
//!
//! `ECU_CLOCK_SEEDS=5000 cargo test --release -p ecu-core --test clock` sweeps as many worlds of each kind.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod clock_world;

use std::f64::consts::TAU;

use can_decode::HwNanos;
use clock_world::{Delays, Event, Oscillator, Random, SECOND, Settable, TAI_AT_0, World};
use ecu_core::ClockMap;
use ecu_core::clock::{
    Basis, Clock, History, HwClock, Instant, Pairs, Placed, Sealed, Sync, SyncSource, TaiUtc, TaiUtcSource,
    Taken, Timescale,
};
use store::block::ClockSource;

const PHC: HwClock = HwClock::Phc(0);

/// How synchronised the clocks say they are, by true time.
#[derive(Clone, Copy)]
struct Synchronised {
    phc_from: i64,
    realtime: (i64, i64),
    realtime_error_ns: u64,
}

const NEVER: i64 = i64::MAX;

struct Scenario {
    name: &'static str,
    seconds: i64,
    world: fn(&mut Random) -> World,
    synchronised: Synchronised,
    asleep: Option<(i64, i64)>,
    /// The share of placements by the PHC that are right within 1 µs, at least.
    within_1us: f64,
}

const ORDINARY: Delays =
    Delays { least_ns: 1_500.0, jitter_ns: 1_000.0, late_every: 100.0, late_ns: 5e6, asymmetry: None };

fn ordinary(random: &mut Random) -> World {
    let oscillator = |random: &mut Random, drift: f64| Oscillator {
        drift_ppb: random.between(-drift, drift),
        swing_ppb: random.between(0.0, 2_000.0),
        period_s: random.between(300.0, 1_200.0),
        phase: random.between(0.0, TAU),
    };
    let boot = oscillator(random, 50_000.0);
    World {
        boot,
        slews: Vec::new(),
        realtime: Settable { start: 1_790_000_000 * SECOND - 20 * SECOND, ..Settable::default() },
        phc: Settable {
            start: TAI_AT_0,
            steered_from: Some(0),
            wobble_ns: random.between(0.0, 80.0),
            ..Settable::default()
        },
        delays: ORDINARY,
        random: Random(random.next()),
    }
}

fn free(random: &mut Random) -> World {
    let mut world = ordinary(random);
    world.phc.steered_from = None;
    world.phc.start = random.between(0.0, 1e12) as i64;
    world.phc.oscillator = Oscillator {
        drift_ppb: random.between(-50_000.0, 50_000.0),
        swing_ppb: random.between(0.0, 2_000.0),
        period_s: random.between(300.0, 1_200.0),
        phase: random.between(0.0, TAU),
    };
    world
}

fn at_random(random: &mut Random, from_s: i64, to_s: i64) -> i64 {
    from_s * SECOND + (random.unit() * ((to_s - from_s) * SECOND) as f64) as i64
}

const PHC_ALWAYS: Synchronised = Synchronised { phc_from: 0, realtime: (NEVER, NEVER), realtime_error_ns: 0 };
const REALTIME_ALWAYS: Synchronised =
    Synchronised { phc_from: NEVER, realtime: (0, NEVER), realtime_error_ns: 3_000_000 };

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ordinary jitter, 50 ppm, warming and cooling",
        seconds: 240,
        world: ordinary,
        synchronised: PHC_ALWAYS,
        asleep: None,
        within_1us: 0.99,
    },
    Scenario {
        name: "asymmetric delays",
        seconds: 120,
        world: |random| {
            let mut world = ordinary(random);
            world.delays.asymmetry = Some(random.unit());
            world.delays.least_ns = random.between(1_000.0, 50_000.0);
            world
        },
        synchronised: PHC_ALWAYS,
        asleep: None,
        within_1us: 0.0,
    },
    Scenario {
        name: "a slow bus behind a hypervisor",
        seconds: 120,
        world: |random| {
            let mut world = ordinary(random);
            world.delays = Delays {
                least_ns: 26_000.0,
                jitter_ns: 20_000.0,
                late_every: 5.0,
                late_ns: 2e7,
                asymmetry: None,
            };
            world
        },
        synchronised: PHC_ALWAYS,
        asleep: None,
        within_1us: 0.0,
    },
    Scenario {
        name: "CLOCK_REALTIME is set again and again",
        seconds: 150,
        world: |random| {
            let mut world = ordinary(random);
            for (from, by) in
                [(20, SECOND), (50, -SECOND), (80, -3_600 * SECOND), (110, 30_000_000), (125, -40_000)]
            {
                let at = at_random(random, from, from + 15);
                world.realtime.events.push((at, Event::Step(by)));
            }
            world
        },
        synchronised: PHC_ALWAYS,
        asleep: None,
        within_1us: 0.99,
    },
    Scenario {
        name: "the system clock is steered a little each second, and slewed by far now and then",
        seconds: 200,
        world: |random| {
            let mut world = ordinary(random);
            let mut steered = 0.0;
            for second in 0..200 {
                let to = random.between(-200.0, 200.0);
                world.slews.push((second * SECOND + 400_000, to - steered));
                steered = to;
            }
            for (from, to, ppb) in [(30, 60, 20_000.0), (80, 90, -100_000.0), (120, 180, 400_000.0)] {
                let (from, to) = (at_random(random, from, from + 5), at_random(random, to, to + 5));
                world.slews.extend([(from, ppb), (to, -ppb)]);
            }
            world
        },
        synchronised: PHC_ALWAYS,
        asleep: None,
        within_1us: 0.9,
    },
    Scenario {
        name: "a free-running PHC is stepped and reset",
        seconds: 150,
        world: |random| {
            let mut world = free(random);
            for (from, event) in [
                (20, Event::Step(SECOND)),
                (50, Event::Step(-SECOND)),
                (80, Event::Step(-3_600 * SECOND)),
                (110, Event::Set(0)),
            ] {
                let at = at_random(random, from, from + 15);
                world.phc.events.push((at, event));
            }
            world
        },
        synchronised: Synchronised { phc_from: NEVER, realtime: (NEVER, NEVER), realtime_error_ns: 0 },
        asleep: None,
        within_1us: 0.0,
    },
    Scenario {
        name: "1970 until the network has told the time",
        seconds: 150,
        world: |random| {
            let mut world = free(random);
            world.realtime.start = -20 * SECOND;
            world.boot.swing_ppb /= 4.0;
            world.realtime.events.push((60 * SECOND + 500, Event::SetToTaiMinus(37 * SECOND)));
            world
        },
        synchronised: Synchronised {
            phc_from: NEVER,
            realtime: (61 * SECOND, NEVER),
            realtime_error_ns: 10_000_000,
        },
        asleep: None,
        within_1us: 0.0,
    },
    Scenario {
        name: "a PHC that PTP sets after a minute",
        seconds: 150,
        world: |random| {
            let mut world = free(random);
            world.phc.steered_from = Some(60 * SECOND + 100);
            world.phc.wobble_ns = 50.0;
            world
        },
        synchronised: Synchronised { phc_from: 62 * SECOND, realtime: (NEVER, NEVER), realtime_error_ns: 0 },
        asleep: None,
        within_1us: 0.0,
    },
    Scenario {
        name: "suspended for ten minutes",
        seconds: 720,
        world: |random| {
            let mut world = free(random);
            // Steered before; free while it sleeps.
            world.boot.drift_ppb = random.between(-3_000.0, 3_000.0);
            world.phc.asleep = Some((60 * SECOND, 660 * SECOND));
            world
        },
        synchronised: REALTIME_ALWAYS,
        asleep: Some((60 * SECOND, 660 * SECOND)),
        within_1us: 0.0,
    },
];

/// A record: when it was really taken, how it was stamped, and when it was seen.
struct Record {
    ns: i64,
    stamp: Instant,
    taken: Taken,
    /// What a block keeps of it: its clock's time, or, of a hardware stamp, where it was placed when it came.
    kept: Option<(ClockSource, i64)>,
}

#[derive(Default)]
struct Tally {
    placements: u64,
    with_truth: u64,
    by_phc: u64,
    within_1us: u64,
    arrivals: u64,
    bounds: Vec<u64>,
}

fn sync(error_ns: u64, timescale: Timescale, source: SyncSource) -> Sync {
    Sync { source, timescale, error_ns, tai_utc: TaiUtc { seconds: 37, source: TaiUtcSource::Configured } }
}

fn round(world: &mut World, map: &mut ClockMap, now: i64, scenario: &Scenario) {
    let told = &scenario.synchronised;
    let phc = (now >= told.phc_from).then_some(sync(100, Timescale::Tai, SyncSource::Ptp));
    let is_right = (told.realtime.0..told.realtime.1).contains(&now);
    let realtime = is_right.then_some(sync(told.realtime_error_ns, Timescale::Utc, SyncSource::Kernel));
    map.synchronise(Clock::Hardware(PHC), phc);
    map.synchronise(Clock::Realtime, realtime);
    let (reading, now) = world.read_realtime(now);
    map.observe(reading);
    let (reading, now) = world.read_phc(now + 100);
    map.observe(reading.unwrap());
    map.observe(world.read_realtime(now + 100).0);
}

/// Checks one placement; gives how far the truth was off.
fn check(world: &World, record: &Record, placed: &Placed, about: &str) -> Option<u64> {
    let off = placed.boot.since(world.boot(record.ns)).unsigned_abs();
    assert!(
        off <= placed.boot_error_ns,
        "{about}: {off} ns off on the axis at {} s, {placed:?}, {:?}",
        record.ns as f64 * 1e-9,
        record.stamp
    );
    let truth = placed.truth?;
    let off = truth.tai.since(World::tai(record.ns)).unsigned_abs();
    assert!(
        off <= truth.error_ns,
        "{about}: {off} ns from the truth at {} s, {placed:?}, {:?}",
        record.ns as f64 * 1e-9,
        record.stamp
    );
    assert_eq!(truth.utc.tai(37), truth.tai);
    Some(off)
}

fn kept(stamp: Instant, placed: &Placed) -> Option<(ClockSource, i64)> {
    match stamp {
        Instant::Realtime(shown) => Some((ClockSource::KernelSoftware, shown.0)),
        Instant::Hardware(..) => {
            let truth = placed.truth.filter(|_| placed.basis == Basis::Stamp)?;
            Some((ClockSource::Hardware, truth.utc.0))
        }
        _ => None,
    }
}

/// Who reads the block later may say less, but nothing wrong.
fn check_kept(history: &History, record: &Record, about: &str) {
    const OPEN_NS: i64 = 4 * SECOND;
    let Some((source, shown_ns)) = record.kept else { return };
    let sealed = Sealed { at: record.taken.not_after.plus(record.ns % OPEN_NS), open_ns: OPEN_NS };
    let time = history.record_time(source, shown_ns, sealed);
    let off = time.utc_ns.abs_diff(World::tai(record.ns).utc(37).0);
    let is_within = time.error_ns.is_none_or(|error_ns| off <= error_ns);
    assert!(is_within, "{about}: {off} ns from the truth, {time:?}, {source:?}, {}", record.ns);
}

fn run(scenario: &Scenario, seed: u64, tally: &mut Tally) {
    let about = format!("{}, seed {seed}", scenario.name);
    let mut random = Random(seed);
    let mut world = (scenario.world)(&mut random);
    let mut map = ClockMap::default();
    let mut records: Vec<Record> = Vec::new();
    let is_asleep = |ns: i64| scenario.asleep.is_some_and(|(from, to)| (from..to).contains(&ns));
    let events: Vec<i64> = world
        .realtime
        .events
        .iter()
        .chain(&world.phc.events)
        .map(|(at, _)| *at)
        .chain(world.phc.steered_from)
        .chain(scenario.asleep.map(|(_, to)| to))
        .collect();
    let far = world.slews.iter().filter(|(_, ppb)| ppb.abs() > 1_000.0);
    let slewed: Vec<i64> = far.map(|(at, _)| *at).collect();
    for second in 0..scenario.seconds {
        let start = second * SECOND;
        if !is_asleep(start) {
            round(&mut world, &mut map, start, scenario);
        }
        for part in 0..4 {
            let ns = start + 1_000_000 + ((f64::from(part) + random.unit()) * 0.24e9) as i64;
            if is_asleep(ns) {
                continue;
            }
            let seen = ns + random.between(10_000.0, 50e6) as i64;
            let arrived = world.boot(seen);
            let taken = Taken { not_before: arrived.plus(-200_000_000), not_after: arrived };
            for stamp in [
                Instant::Realtime(world.realtime(ns)),
                Instant::Hardware(PHC, world.phc(ns)),
                Instant::Boot(world.boot(ns)),
            ] {
                let placed = map.map(stamp, arrived, 200_000_000);
                let mut record = Record { ns, stamp, taken, kept: None };
                // What happened since the last reading nobody can know yet. A drift that changes by more than the clock is
                // trusted with shows after two readings, and now and then one is too late to count.
                let is_slewed = slewed.iter().any(|at| (start - 6 * SECOND..=seen).contains(at));
                if !is_slewed && !events.iter().any(|at| (start..=seen).contains(at)) {
                    check(&world, &record, &placed, &about);
                    record.kept = kept(stamp, &placed);
                }
                records.push(record);
            }
        }
    }
    let end = scenario.seconds * SECOND;
    round(&mut world, &mut map, end, scenario);
    for record in &records {
        let placed = map.history().place(record.stamp, record.taken);
        tally.placements += 1;
        check_kept(map.history(), record, &about);
        tally.arrivals += u64::from(placed.basis == Basis::Arrival);
        if let Some(off) = check(&world, record, &placed, &about) {
            tally.with_truth += 1;
            tally.bounds.push(placed.truth.unwrap().error_ns);
            if placed.truth.unwrap().clock == Clock::Hardware(PHC) {
                tally.by_phc += 1;
                tally.within_1us += u64::from(off <= 1_000);
            }
        }
    }
}

fn seeds() -> u64 {
    std::env::var("ECU_CLOCK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[test]
fn the_error_never_exceeds_the_stated_bound() {
    for scenario in SCENARIOS {
        let mut tally = Tally::default();
        for seed in 0..seeds() {
            run(scenario, seed, &mut tally);
        }
        tally.bounds.sort_unstable();
        let share = tally.within_1us as f64 / tally.by_phc.max(1) as f64;
        let bound =
            |percent: usize| tally.bounds.get(tally.bounds.len() * percent / 100).copied().unwrap_or(0);
        println!(
            "{}: {} placements, {} in true time ({:.4} of those by the PHC within 1 us), {} by arrival, bounds p50 {} ns, p99 {} ns",
            scenario.name,
            tally.placements,
            tally.with_truth,
            share,
            tally.arrivals,
            bound(50),
            bound(99)
        );
        assert!(share >= scenario.within_1us, "{}: {share}", scenario.name);
    }
}

/// A controller whose timer can be read by nothing but the frames it stamps, which the kernel stamps a little later.
#[test]
fn a_free_running_timer_is_read_through_its_frames() {
    const LATENCY_NS: i64 = 50_000;
    const TIMER: HwClock = HwClock::Timer(0);
    for seed in 0..seeds() {
        let mut random = Random(seed);
        let mut world = free(&mut random);
        let (mut map, mut pairs, mut records) =
            (ClockMap::default(), Pairs::new(TIMER, LATENCY_NS), Vec::new());
        for second in 0..90 {
            let start = second * SECOND;
            pairs.take().map(|reading| map.observe(reading));
            map.observe(world.read_realtime(start).0);
            map.observe(world.read_realtime(start + 10_000).0);
            for frame in 0..50 {
                let ns = start + 1_000_000 + frame * 19_000_000 + random.between(0.0, 1e6) as i64;
                let latency = random.between(3_000.0, 40_000.0)
                    + if random.unit() < 0.1 { random.between(0.0, 5e6) } else { 0.0 };
                let timer = HwNanos(world.phc(ns).0 / 1_000 * 1_000);
                let drift = map.history().newest(Clock::Hardware(TIMER)).map_or(0, |line| line.drift_ppt);
                pairs.observe(timer, world.realtime(ns + latency as i64), drift);
                let arrived = world.boot(ns + 10_000_000);
                let taken = Taken { not_before: arrived.plus(-200_000_000), not_after: arrived };
                let stamp = Instant::Hardware(TIMER, timer);
                records.push(Record { ns, stamp, taken, kept: None });
            }
        }
        map.observe(world.read_realtime(90 * SECOND).0);
        let mut by_arrival = 0;
        for record in &records {
            let placed = map.history().place(record.stamp, record.taken);
            by_arrival += u32::from(placed.basis == Basis::Arrival);
            check(&world, record, &placed, &format!("timer, seed {seed}"));
            // The first and the last second are extrapolated.
            let is_inner = (2 * SECOND..88 * SECOND).contains(&record.ns);
            assert!(!is_inner || placed.boot_error_ns < 150_000, "{placed:?}");
        }
        assert_eq!(by_arrival, 0);
    }
}
