//! When the frames of one identifier come: period, jitter, rate, and frames that are late.

use super::Events;

/// Longer periods and cycles, of four years and more, are taken as this; sums of several then fit in 64 bits.
pub(super) const PERIOD_NS_MAX: i64 = i64::MAX / 64;
/// The rate is of at least this time.
const WINDOW_NS: i64 = 1_000_000_000;
/// Steady periods after which an identifier counts as cyclic; after as many unsteady ones it no longer does.
const SETTLED: u8 = 32;
const STEADINESS_MAX: u8 = 2 * SETTLED;
/// What is longer than so many mean periods and a millisecond is a pause. The mean takes it as that long, and it costs
/// [`SETTLED`] steady periods: one pause is forgotten, bursts are not cyclic.
const PAUSE_PERIODS: i64 = 4;
const PAUSE_NS: i64 = 1_000_000;

/// The timing of one identifier. Times are of any one clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    pub(super) last_ns: i64,
    /// The last three periods, the newest first; 0 where there is none.
    pub(super) period_ns: [i64; 3],
    min_ns: i64,
    max_ns: i64,
    pub(super) sum_ns: u64,
    /// How many periods `sum_ns` is of.
    pub(super) periods: u64,
    /// Mean period and its mean deviation, each with a gain of 1/16 (V. Jacobson, "Congestion Avoidance and Control",
    /// 1988, appendix A; the gains there are 1/8 and 1/4).
    smoothed_ns: i64,
    deviation_ns: i64,
    steadiness: u8,
    /// Steady periods in a row that are another cycle's than `learned_ns`.
    moved: u8,
    /// Whether the cycle was learned from periods that deviate by an eighth at most.
    pub(super) is_sharp: bool,
    /// The cycle as it was seen; 0 while there is none.
    pub(super) learned_ns: i64,
    /// Whether it was the declared one within a quarter when it was learned.
    keeps_declared: bool,
    /// 16 times the jitter, so that it does not round to 0.
    jitter_16: i64,
    window_start_ns: i64,
    window_frames: u32,
    /// Frames in 1000 s, of the last window.
    rate_millihertz: u64,
    is_running: bool,
}

impl Timing {
    /// Takes a frame's time. `declared_ns` is the cycle that somebody has promised, 0 for none; `is_disturbed` keeps the
    /// cycle as it is while frames of another sender may be among these. Returns what there is to say and how many
    /// cycles were left out.
    #[inline]
    pub(super) fn frame(&mut self, time_ns: i64, declared_ns: i64, is_disturbed: bool) -> (Events, u32) {
        if !self.is_running {
            self.start(time_ns);
            return (Events::NONE, 0);
        }
        if time_ns < self.last_ns {
            self.start(time_ns);
            return (Events::BACKWARDS, 0);
        }
        let period_ns = between(self.last_ns, time_ns);
        self.last_ns = time_ns;
        self.period_ns = [period_ns, self.period_ns[0], self.period_ns[1]];
        self.extremes(period_ns);
        self.window(time_ns);
        let cycle_ns = self.cycle_ns(declared_ns);
        let (mut events, missed) =
            if cycle_ns > 0 { self.against(cycle_ns, period_ns) } else { Default::default() };
        let is_pause = self.smooth(period_ns);
        if !is_disturbed {
            events = events.union(self.learn(period_ns, is_pause, declared_ns));
        }
        (events, missed)
    }

    /// The cycle that frames are held against: the declared one where frames keep it, else the one they keep; 0 where
    /// they keep none.
    #[inline]
    pub(super) const fn cycle_ns(&self, declared_ns: i64) -> i64 {
        if self.keeps_declared { declared_ns } else { self.learned_ns }
    }

    /// Shortest and longest period; `None` while there is none.
    pub(super) fn extremes_ns(&self) -> Option<(u64, u64)> {
        let has_any = self.periods > 0 && self.min_ns <= self.max_ns;
        has_any.then_some((self.min_ns as u64, self.max_ns as u64))
    }

    /// Smoothed deviation from the cycle.
    pub(super) const fn jitter_ns(&self) -> i64 {
        self.jitter_16 >> 4
    }

    /// Frames are known to be missing, and not by the sender: the next one has no period.
    pub(super) const fn interrupt(&mut self) {
        self.is_running = false;
    }

    pub(super) fn restart_extremes(&mut self) {
        (self.min_ns, self.max_ns) = (PERIOD_NS_MAX, 0);
    }

    /// Frames in 1000 s: of the last window, or since then when it is silent for long.
    pub(super) fn rate_millihertz(&self, now_ns: i64) -> u64 {
        let open_ns = now_ns.saturating_sub(self.window_start_ns);
        let since = rate(self.window_frames, open_ns);
        let is_silent = open_ns >= 2 * WINDOW_NS && since < self.rate_millihertz / 2;
        if is_silent || self.rate_millihertz == 0 { since } else { self.rate_millihertz }
    }

    /// Whole cycles without a frame until `now_ns`.
    pub(super) fn overdue_cycles(&self, now_ns: i64, declared_ns: i64) -> u64 {
        let silent_ns = now_ns.saturating_sub(self.last_ns).max(0) as u64;
        silent_ns.checked_div(self.cycle_ns(declared_ns) as u64).unwrap_or(0)
    }

    fn start(&mut self, time_ns: i64) {
        self.is_running = true;
        self.last_ns = time_ns;
        self.period_ns = [0; 3];
        self.window_start_ns = time_ns;
        self.window_frames = 0;
    }

    #[inline]
    fn extremes(&mut self, period_ns: i64) {
        if self.periods == 0 || period_ns < self.min_ns {
            self.min_ns = period_ns;
        }
        self.max_ns = self.max_ns.max(period_ns);
        self.sum_ns = self.sum_ns.saturating_add(period_ns as u64);
        self.periods += 1;
    }

    #[inline]
    fn window(&mut self, time_ns: i64) {
        self.window_frames = self.window_frames.saturating_add(1);
        let open_ns = between(self.window_start_ns, time_ns);
        if open_ns >= WINDOW_NS {
            self.rate_millihertz = rate(self.window_frames, open_ns);
            self.window_start_ns = time_ns;
            self.window_frames = 0;
        }
    }

    /// Holds a period against the cycle: jitter, and whether it is too long or too short.
    ///
    /// The jitter is that of RFC 3550 §6.4.1 and A.8 with the cycle as the sender's clock: `J += (|D| - J) / 16`, where
    /// D is the period less the cycles in it. Too long is beyond one and a half cycles by more than four times the
    /// jitter, as a retransmission waits for four deviations (RFC 6298 §2): stamps that are taken late must not look
    /// like missing frames.
    #[inline]
    fn against(&mut self, cycle_ns: i64, period_ns: i64) -> (Events, u32) {
        let margin_ns = self.jitter_16 >> 2;
        let limit_ns = cycle_ns + (cycle_ns >> 1);
        let cycles = if period_ns <= limit_ns { 1 } else { (period_ns + (cycle_ns >> 1)) / cycle_ns };
        let deviation_ns = (period_ns - cycles * cycle_ns).abs();
        self.jitter_16 += deviation_ns - ((self.jitter_16 + 8) >> 4);
        if period_ns > limit_ns + margin_ns {
            return (Events::LATE, u32::try_from(cycles - 1).unwrap_or(u32::MAX));
        }
        let is_early = period_ns + margin_ns < cycle_ns >> 1;
        (if is_early { Events::EARLY } else { Events::NONE }, 0)
    }

    /// Whether the period was a pause.
    #[inline]
    fn smooth(&mut self, period_ns: i64) -> bool {
        if self.smoothed_ns == 0 && self.deviation_ns == 0 {
            (self.smoothed_ns, self.deviation_ns) = (period_ns, period_ns / 2);
            return false;
        }
        // A night in the garage must not take hundreds of frames to forget.
        let pause_ns = self.smoothed_ns * PAUSE_PERIODS + PAUSE_NS;
        let error_ns = period_ns.min(pause_ns) - self.smoothed_ns;
        self.smoothed_ns += error_ns >> 4;
        self.deviation_ns += (error_ns.abs() - self.deviation_ns) >> 4;
        period_ns > pause_ns
    }

    /// Whether the identifier is cyclic, and with which cycle.
    #[inline]
    fn learn(&mut self, period_ns: i64, is_pause: bool, declared_ns: i64) -> Events {
        let is_steady = self.deviation_ns <= self.smoothed_ns >> 2 && self.smoothed_ns > 0;
        self.steadiness = match (is_pause, is_steady) {
            (true, _) => self.steadiness.saturating_sub(SETTLED),
            (false, true) => (self.steadiness + 1).min(STEADINESS_MAX),
            (false, false) => self.steadiness.saturating_sub(1),
        };
        if self.learned_ns > 0 {
            let error_ns = period_ns - self.learned_ns;
            if error_ns.abs() > self.learned_ns >> 2 {
                return self.relearn(declared_ns);
            }
            self.learned_ns += error_ns >> 6;
            self.moved = 0;
            return Events::NONE;
        }
        if is_steady && self.steadiness >= SETTLED { self.settle(declared_ns) } else { Events::NONE }
    }

    /// A period that is not of the cycle: it has ended, or another one has begun, or neither.
    #[cold]
    fn relearn(&mut self, declared_ns: i64) -> Events {
        if self.steadiness == 0 {
            (self.learned_ns, self.keeps_declared) = (0, false);
            return Events::NONE;
        }
        let has_moved =
            self.is_sharp_now() && (self.smoothed_ns - self.learned_ns).abs() > self.learned_ns >> 2;
        self.moved = if has_moved { self.moved + 1 } else { 0 };
        if self.moved < SETTLED {
            Events::NONE
        } else {
            Events::CYCLE_CHANGED.union(self.settle(declared_ns))
        }
    }

    #[cold]
    fn settle(&mut self, declared_ns: i64) -> Events {
        (self.learned_ns, self.is_sharp, self.moved) = (self.smoothed_ns, self.is_sharp_now(), 0);
        self.jitter_16 = self.deviation_ns << 4;
        self.keeps_declared = (self.learned_ns - declared_ns).abs() <= declared_ns >> 2;
        if declared_ns > 0 && !self.keeps_declared { Events::CYCLE_DIFFERS } else { Events::NONE }
    }

    const fn is_sharp_now(&self) -> bool {
        self.deviation_ns <= self.smoothed_ns >> 3
    }
}

/// Nanoseconds from `earlier` to `later`, which is not before it. The difference of two times has 64 bits without a sign.
#[inline]
const fn between(earlier: i64, later: i64) -> i64 {
    let difference = later.wrapping_sub(earlier) as u64;
    if difference < PERIOD_NS_MAX as u64 { difference as i64 } else { PERIOD_NS_MAX }
}

/// Frames in 1000 s.
fn rate(frames: u32, time_ns: i64) -> u64 {
    let millihertz_ns = u64::from(frames).saturating_mul(1_000_000_000_000);
    millihertz_ns.checked_div(time_ns.max(0) as u64).unwrap_or(0)
}
