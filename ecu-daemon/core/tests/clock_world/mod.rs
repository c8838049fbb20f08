//! A machine whose clocks are known exactly: oscillators that drift and warm up, clocks that are steered, stepped and
//! reset, readings that are delayed on either side.
#![allow(dead_code, reason = "shared by tests that use parts of it")]

use can_decode::{BootNanos, HwNanos, RealtimeNanos, TaiNanos};
use ecu_core::clock::{Bracket, HwClock, Instant, Reading};

pub(crate) const SECOND: i64 = 1_000_000_000;
/// TAI when a world begins.
pub(crate) const TAI_AT_0: i64 = 1_790_000_037 * SECOND;

/// Numbers that look random and are the same at each run (splitmix64).
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
}

/// A crystal: a constant error, and one that follows the temperature up and down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Oscillator {
    pub(crate) drift_ppb: f64,
    pub(crate) swing_ppb: f64,
    pub(crate) period_s: f64,
    pub(crate) phase: f64,
}

impl Oscillator {
    /// Nanoseconds that it has gained after `ns` of true time.
    fn gained(&self, ns: i64) -> f64 {
        let seconds = ns as f64 * 1e-9;
        let mut gained = self.drift_ppb * seconds;
        if self.period_s > 0.0 {
            let turn = std::f64::consts::TAU / self.period_s;
            gained += self.swing_ppb / turn * (self.phase.cos() - (turn * seconds + self.phase).cos());
        }
        gained
    }

    /// What it has counted after `ns` of true time.
    pub(crate) fn counted(&self, ns: i64) -> i64 {
        ns + self.gained(ns).round() as i64
    }
}

/// Something that happens to a clock: from then on it shows something else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It is moved by so much.
    Step(i64),
    /// It is set to this.
    Set(i64),
    /// It is set to TAI minus so much.
    SetToTaiMinus(i64),
}

/// A clock that somebody can set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settable {
    pub(crate) oscillator: Oscillator,
    pub(crate) start: i64,
    /// By true time.
    pub(crate) events: Vec<(i64, Event)>,
    /// From then on it is steered to show TAI, save for a wobble of so many nanoseconds.
    pub(crate) steered_from: Option<i64>,
    pub(crate) wobble_ns: f64,
    /// Stands still between the two.
    pub(crate) asleep: Option<(i64, i64)>,
}

impl Settable {
    pub(crate) fn shown(&self, ns: i64) -> i64 {
        if self.steered_from.is_some_and(|from| ns >= from) {
            let wobble = self.wobble_ns * (ns as f64 * 1e-9 * std::f64::consts::TAU / 31.0).sin();
            return TAI_AT_0 + ns + wobble.round() as i64;
        }
        let awake = |ns: i64| match self.asleep {
            Some((from, to)) if ns > from => from + (ns - to).max(0),
            _ => ns,
        };
        let mut offset = self.start;
        for (at, event) in self.events.iter().filter(|(at, _)| *at <= ns) {
            let counted = self.oscillator.counted(awake(*at));
            match event {
                Event::Step(by) => offset += by,
                Event::Set(to) => offset = to - counted,
                Event::SetToTaiMinus(by) => offset = TAI_AT_0 + at - by - counted,
            }
        }
        offset + self.oscillator.counted(awake(ns))
    }
}

/// How long readings take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delays {
    /// At least, nanoseconds.
    pub(crate) least_ns: f64,
    /// On average so much more.
    pub(crate) jitter_ns: f64,
    /// Every how many readings one is held up by as much as `late_ns`.
    pub(crate) late_every: f64,
    pub(crate) late_ns: f64,
    /// Which part of the delay comes before the clock is read; `None` when that varies.
    pub(crate) asymmetry: Option<f64>,
}

/// The machine.
pub(crate) struct World {
    pub(crate) boot: Oscillator,
    /// From when on somebody steers it by how many ppb more, by true time.
    pub(crate) slews: Vec<(i64, f64)>,
    /// On top of BOOTTIME.
    pub(crate) realtime: Settable,
    pub(crate) phc: Settable,
    pub(crate) delays: Delays,
    pub(crate) random: Random,
}

impl World {
    pub(crate) fn boot(&self, ns: i64) -> BootNanos {
        let slewed = |(at, ppb): &(i64, f64)| (ns - at).max(0) as f64 * ppb * 1e-9;
        let slewed: f64 = self.slews.iter().map(slewed).sum();
        BootNanos(20 * SECOND + self.boot.counted(ns) + slewed.round() as i64)
    }

    pub(crate) fn realtime(&self, ns: i64) -> RealtimeNanos {
        let boot = self.boot(ns).0;
        // Its own oscillator is none: the events alone move it.
        let mut offset = self.realtime.start;
        for (at, event) in self.realtime.events.iter().filter(|(at, _)| *at <= ns) {
            match event {
                Event::Step(by) => offset += by,
                Event::Set(to) => offset = to - self.boot(*at).0,
                Event::SetToTaiMinus(by) => offset = TAI_AT_0 + at - by - self.boot(*at).0,
            }
        }
        RealtimeNanos(boot + offset)
    }

    /// It counts in steps of 8 ns.
    pub(crate) fn phc(&self, ns: i64) -> HwNanos {
        HwNanos(self.phc.shown(ns) / 8 * 8)
    }

    pub(crate) fn tai(ns: i64) -> TaiNanos {
        TaiNanos(TAI_AT_0 + ns)
    }

    fn delay(&mut self, part: f64) -> (i64, i64) {
        let jitter = -self.delays.jitter_ns * part * (1.0 - self.random.unit()).ln();
        let total = self.delays.least_ns * part + jitter;
        let share = match self.delays.asymmetry {
            Some(share) => share,
            None => self.random.unit(),
        };
        let (mut before, mut after) = (total * share, total * (1.0 - share));
        if self.random.unit() < 1.0 / self.delays.late_every {
            let late = self.random.between(0.0, self.delays.late_ns);
            *(if self.random.unit() < 0.5 { &mut before } else { &mut after }) += late;
        }
        (before as i64, after as i64)
    }

    /// `CLOCK_REALTIME` between two readings of `CLOCK_BOOTTIME`, at `ns`, and when it was over.
    pub(crate) fn read_realtime(&mut self, ns: i64) -> (Reading, i64) {
        let (before, after) = self.delay(0.02);
        let read = ns + before;
        let bracket = Bracket::Boot(self.boot(ns), self.boot(read + after));
        (Reading { instant: Instant::Realtime(self.realtime(read)), bracket }, read + after)
    }

    /// The PHC between two readings of `CLOCK_REALTIME`, the tightest of five, and when it was over.
    pub(crate) fn read_phc(&mut self, ns: i64) -> (Option<Reading>, i64) {
        let mut now = ns;
        let burst: Vec<Reading> = (0..5)
            .map(|_| {
                let (before, after) = self.delay(1.0);
                let read = now + before;
                let bracket = Bracket::Realtime(self.realtime(now), self.realtime(read + after));
                now = read + after + 200;
                Reading { instant: Instant::Hardware(HwClock::Phc(0), self.phc(read)), bracket }
            })
            .collect();
        (Reading::tightest(burst), now)
    }
}
