//! How often a kind of line comes, and when that is out of the ordinary.

use super::WINDOWS_LONG;

/// Weight of a new window once there are many: the mean follows within some twenty windows.
const WEIGHT: f32 = 0.04;
/// Windows before anything is said.
const WINDOWS_LEARNT: u32 = 30;
/// Standard deviations above the mean that are out of the ordinary.
const DEVIATIONS: f32 = 3.0;
/// Least lines in a burst's window: two lines instead of none are no burst.
const LINES_MIN: f32 = 4.0;
/// Lines that must be missing before silence means something: by chance as many stay away once in e^16.
const LINES_MISSED: f32 = 16.0;
/// Lines a window from which on a kind of line can be a heartbeat; what comes more seldom may as well have no cause.
const HEARTBEAT: f32 = 0.9;
/// Least windows of silence.
const WINDOWS_SILENT: u32 = 3;
/// Variance over mean up to which a kind comes steadily; 1 is pure chance, less a clock.
const STEADY: f32 = 2.0;
/// Windows remembered: two long ones.
const REMEMBERED: usize = 2 * WINDOWS_LONG;

/// What a closed window calls for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Far more lines than usual in two windows of so many short ones.
    Burst { windows: usize, usual: f32, seen: f32 },
    /// None for so many windows.
    Vanished { windows: u32, usual: f32 },
}

/// Exponentially weighted mean and variance of lines a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    open: u32,
    /// Latest first.
    last: [u32; REMEMBERED],
    mean: f32,
    variance: f32,
    windows: u32,
    silent: u32,
    /// Ordinary windows until a burst is told again.
    told: u8,
    /// Its absence was told, and lasts.
    vanished: bool,
}

impl Rate {
    /// One line.
    pub(super) fn count(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    /// Takes over what another kind, now part of this one, had.
    pub(super) fn add(&mut self, other: &Self) {
        self.open = self.open.saturating_add(other.open);
        for (mine, theirs) in self.last.iter_mut().zip(other.last) {
            *mine = mine.saturating_add(theirs);
        }
        // Before it was first seen, the younger one had none.
        let windows = self.windows.max(other.windows);
        let share = |of: u32| of.min(WINDOWS_LEARNT) as f32 / windows.clamp(1, WINDOWS_LEARNT) as f32;
        self.mean = self.mean * share(self.windows) + other.mean * share(other.windows);
        self.variance = self.variance * share(self.windows) + other.variance * share(other.windows);
        self.windows = windows;
        self.silent = self.silent.min(other.silent);
    }

    /// The higher, the more is lost when it is no longer followed.
    pub(super) fn worth(&self) -> u64 {
        u64::from(self.open) + (self.mean * 1_000.0) as u64
    }

    /// Ends the window.
    pub(super) fn close(&mut self) -> Option<Verdict> {
        let lines = std::mem::take(&mut self.open);
        self.last.rotate_right(1);
        self.last[0] = lines;
        self.silent = if lines == 0 { self.silent.saturating_add(1) } else { 0 };
        let verdict = if self.windows >= WINDOWS_LEARNT { self.judge() } else { None };
        self.learn(lines as f32);
        verdict
    }

    fn judge(&mut self) -> Option<Verdict> {
        let burst = [1, WINDOWS_LONG].into_iter().find_map(|windows| {
            let (now, before) = (self.sum(0, windows), self.sum(windows, windows));
            let limit = self.limit(windows);
            let burst = Verdict::Burst { windows, usual: self.mean * windows as f32, seen: now };
            (now > limit && before > limit).then_some(burst)
        });
        let quiet = self.told == 0;
        self.told = self.told.saturating_sub(1);
        if let Some(burst) = burst {
            self.told = REMEMBERED as u8;
            return quiet.then_some(burst);
        }
        let steady = self.mean >= HEARTBEAT && self.variance <= STEADY * self.mean;
        let missed = self.silent as f32 * self.mean;
        if self.silent == 0 {
            self.vanished = false;
        } else if !self.vanished && steady && self.silent >= WINDOWS_SILENT && missed >= LINES_MISSED {
            self.vanished = true;
            return Some(Verdict::Vanished { windows: self.silent, usual: self.mean });
        }
        None
    }

    fn sum(&self, from: usize, windows: usize) -> f32 {
        self.last[from..from + windows].iter().sum::<u32>() as f32
    }

    /// Lines in so many windows beyond which it is out of the ordinary. Lines that come by chance vary at least as
    /// much as their mean.
    fn limit(&self, windows: usize) -> f32 {
        let windows = windows as f32;
        let (mean, variance) = (self.mean * windows, self.variance.max(self.mean) * windows);
        (mean + DEVIATIONS * variance.sqrt()).max(LINES_MIN)
    }

    /// What is out of the ordinary is learnt only as far as the limit, and silence after an alarm not at all: neither
    /// a burst nor an outage becomes the usual at once.
    fn learn(&mut self, lines: f32) {
        if self.vanished {
            return;
        }
        self.windows = self.windows.saturating_add(1);
        let weight = WEIGHT.max(1.0 / self.windows as f32);
        let lines = if self.windows > WINDOWS_LEARNT { lines.min(self.limit(1)) } else { lines };
        let difference = lines - self.mean;
        // A long silence is not learnt before it can be judged.
        let weight = if self.silent > 1 && self.windows > WINDOWS_LEARNT { weight / 8.0 } else { weight };
        self.mean += weight * difference;
        self.variance = (1.0 - weight) * (self.variance + weight * difference * difference);
    }
}
