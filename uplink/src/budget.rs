//! How many bytes may still go: a second, a day, a month, the wire's overhead included.
//!
//! The second is a token bucket. Day and month are sliding sums: the last 24 hours and the hour that runs, the last 31
//! days and the day that runs. So *no* 24 hours and no 31 days, wherever they begin, carry more than the limit, and a
//! bill's month cannot either.
//!
//! Time passes by `CLOCK_BOOTTIME` alone while the machine runs. The time it was off is known to the wall clock only,
//! which may be wrong: it counts once the wall clock has kept pace with `CLOCK_BOOTTIME` for [`CONFIRM`], if it had
//! done so before the last save, and never backwards. Unconfirmed, a budget only refills later than it might.
//!
//! A restart forgets nothing: [`Budget::save`] writes down more than was spent, and no more than was written down may
//! be spent before the next save is on the card.

mod saved;
mod sliding;

use core::time::Duration;

use store::block::{BootId, Class};

pub use saved::{BudgetState, StateError};
use sliding::Sliding;

/// The wall clock must keep pace with `CLOCK_BOOTTIME` this long before it is believed.
pub const CONFIRM: Duration = Duration::from_secs(60);
/// How far the two may drift apart meanwhile.
const PACE_SLACK: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Hours that a day's sum remembers besides the running one.
const HOURS: usize = 24;
/// Days that a month's sum remembers besides the running one: the longest month.
const DAYS: usize = 31;
/// Least and most that a save writes ahead, bytes: a crash loses no more of the budget, and the card is not written to
/// for every packet.
const AHEAD_MIN: u64 = 64 << 10;
const AHEAD_MAX: u64 = 8 << 20;

/// What a budget is told of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Which boot `boottime` belongs to.
    pub boot: BootId,
    /// `CLOCK_BOOTTIME`.
    pub boottime: Duration,
    /// Since 1970, where the clock is synchronised (PTP, GNSS, NTP); `None` where it only claims something.
    pub wall: Option<Duration>,
}

/// The limits; `None` is without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes a second.
    pub second: Option<u64>,
    /// Bytes in any 24 hours.
    pub day: Option<u64>,
    /// Bytes in any 31 days.
    pub month: Option<u64>,
    /// Thousandths of day and month that only class 0 may spend.
    pub critical_per_mille: u16,
}

/// Whether bytes may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Now.
    Granted,
    /// Not before this much time has passed; then ask again.
    After(Duration),
    /// After a [`Budget::save`] with this many bytes is on the card.
    Save(u64),
}

/// Seconds' worth of bytes that may go at once.
const BURST_SECONDS: u64 = 2;

/// The account.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    /// Bytes that may go at once; less than nothing after what could not be foreseen.
    tokens: f64,
    day: Sliding,
    month: Sliding,
    boot: BootId,
    boottime: Duration,
    /// When wall clock and `CLOCK_BOOTTIME` were first seen in step: both readings.
    in_step: Option<(Duration, Duration)>,
    /// The wall clock at the end of the run before, while the time since is not yet counted.
    off_since: Option<Duration>,
    wall: Option<Duration>,
    /// Bytes that the last save on the card allows for; without day and month nothing need be saved.
    ahead: u64,
}

impl Budget {
    /// From what the last run saved; `None` when there is nothing, as on the first start.
    pub fn new(limits: Limits, saved: Option<&BudgetState>, now: Now) -> Self {
        let state = saved.cloned().unwrap_or_else(|| BudgetState::empty(now.boot));
        let mut budget = Self {
            limits,
            tokens: 0.0,
            day: Sliding::new(HOUR, HOURS, &state.day, state.day_into),
            month: Sliding::new(DAY, DAYS, &state.month, state.month_into),
            boot: state.boot,
            boottime: state.boottime,
            in_step: None,
            off_since: None,
            wall: None,
            ahead: 0,
        };
        if saved.is_none() {
            (budget.boot, budget.boottime) = (now.boot, now.boottime);
        } else if budget.boot != now.boot {
            // All that this boot has lasted is time since the save.
            (budget.boot, budget.boottime) = (now.boot, Duration::ZERO);
            budget.off_since = state.wall;
        }
        budget.advance(now);
        budget.tokens = budget.capacity();
        budget
    }

    /// Changes the limits, as after a reload; what was spent stays spent.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn capacity(&self) -> f64 {
        self.limits.second.map_or(f64::INFINITY, |rate| (rate * BURST_SECONDS) as f64)
    }

    /// Most bytes that may go at once under the limit of a second, so that batches can be cut to it.
    pub const fn burst(&self) -> Option<u64> {
        match self.limits.second {
            Some(rate) => Some(rate * BURST_SECONDS),
            None => None,
        }
    }

    /// Lets time pass. A reading of another boot, or of an earlier time, changes nothing.
    pub fn advance(&mut self, now: Now) {
        if now.boot != self.boot {
            return;
        }
        let passed = now.boottime.saturating_sub(self.boottime);
        self.boottime = self.boottime.max(now.boottime);
        self.pass(passed);
        self.compare(now);
    }

    fn pass(&mut self, time: Duration) {
        if let Some(rate) = self.limits.second {
            self.tokens = (self.tokens + rate as f64 * time.as_secs_f64()).min(self.capacity());
        }
        self.day.pass(time);
        self.month.pass(time);
    }

    /// The machine was off this long: that lies before what this boot has spent, and does not age it.
    fn pass_before_boot(&mut self, time: Duration) {
        for sum in [&mut self.day, &mut self.month] {
            let spent = sum.total();
            sum.take_newest(spent);
            sum.pass(time);
            sum.put_back(spent);
        }
    }

    fn compare(&mut self, now: Now) {
        let Some(wall) = now.wall else {
            (self.in_step, self.wall) = (None, None);
            return;
        };
        let (boottime_0, wall_0) = *self.in_step.get_or_insert((now.boottime, wall));
        let by_boottime = now.boottime.saturating_sub(boottime_0);
        let drift = wall.saturating_sub(wall_0).abs_diff(by_boottime);
        if wall < wall_0 || drift > PACE_SLACK + by_boottime / 1000 {
            (self.in_step, self.wall) = (Some((now.boottime, wall)), None);
        } else if by_boottime >= CONFIRM {
            self.wall = Some(wall);
            if let Some(since) = self.off_since.take() {
                self.pass_before_boot(wall.saturating_sub(since).saturating_sub(now.boottime));
            }
        }
    }

    /// Whether `bytes` of a class may go. More than the burst of a second may go when the bucket is full. `risk` is what
    /// may have to be spent on top without being asked for, such as retransmissions: it must fit into day and month.
    pub fn permit(&self, class: Class, bytes: u64, risk: u64) -> Permit {
        let mut wait = Duration::ZERO;
        if let Some(rate) = self.limits.second {
            let missing = (bytes as f64).min(self.capacity()) - self.tokens;
            if missing > 0.0 {
                wait = Duration::from_secs_f64(missing / rate.max(1) as f64) + Duration::from_millis(1);
            }
        }
        wait = wait.max(self.wait_for_sums(class, bytes.saturating_add(risk)));
        if wait > Duration::ZERO {
            Permit::After(wait)
        } else if self.saves() && bytes.saturating_add(risk) > self.ahead {
            Permit::Save(bytes.saturating_add(risk))
        } else {
            Permit::Granted
        }
    }

    /// Whether `bytes` that nobody asks for still fit into day and month.
    pub fn permit_unasked(&self, bytes: u64) -> Permit {
        match self.wait_for_sums(Class::Critical, bytes) {
            Duration::ZERO => Permit::Granted,
            wait => Permit::After(wait),
        }
    }

    fn wait_for_sums(&self, class: Class, bytes: u64) -> Duration {
        let sums = [(&self.day, self.limits.day), (&self.month, self.limits.month)];
        let exceeded = sums.into_iter().filter(|(sum, limit)| {
            limit.is_some_and(|limit| sum.spent().saturating_add(bytes) > self.share(limit, class))
        });
        exceeded.map(|(sum, _)| sum.until_next()).max().unwrap_or_default()
    }

    fn share(&self, limit: u64, class: Class) -> u64 {
        if class == Class::Critical {
            return limit;
        }
        let per_mille = u64::from(self.limits.critical_per_mille.min(1000));
        limit - (u128::from(limit) * u128::from(per_mille) / 1000) as u64
    }

    /// Counts bytes that went or will go, permitted or not.
    pub fn spend(&mut self, bytes: u64) {
        if self.limits.second.is_some() {
            self.tokens -= bytes as f64;
        }
        self.day.add(bytes);
        self.month.add(bytes);
        self.ahead = self.ahead.saturating_sub(bytes);
    }

    /// Takes back what was spent a moment ago and did not go.
    pub fn refund(&mut self, bytes: u64) {
        if self.limits.second.is_some() {
            self.tokens = (self.tokens + bytes as f64).min(self.capacity());
        }
        for sum in [&mut self.day, &mut self.month] {
            sum.take_newest(bytes);
        }
    }

    /// Bytes spent in the last 24 hours (up to 25) and 31 days (up to 32).
    pub fn spent(&self) -> (u64, u64) {
        (self.day.spent(), self.month.spent())
    }

    /// Whether there is anything that a restart must not forget.
    pub const fn saves(&self) -> bool {
        self.limits.day.is_some() || self.limits.month.is_some()
    }

    /// Whether a save should be made soon, so that nothing has to wait for it.
    pub fn save_due(&self) -> bool {
        self.saves() && self.ahead < self.ahead_bytes() / 4
    }

    fn ahead_bytes(&self) -> u64 {
        let least = self.limits.day.unwrap_or(u64::MAX).min(self.limits.month.unwrap_or(u64::MAX));
        (least / 256).clamp(AHEAD_MIN.min(least / 8), AHEAD_MAX)
    }

    /// What to keep for the next run: as if a certain amount more, at least `bytes`, had been spent already. Give it
    /// to [`Self::saved`] once it is on the card.
    pub fn save(&self, bytes: u64) -> BudgetState {
        self.state(self.ahead_bytes().max(bytes))
    }

    /// What to keep at an orderly stop, when nothing more will be spent.
    pub fn close(&self) -> BudgetState {
        self.state(0)
    }

    fn state(&self, ahead: u64) -> BudgetState {
        let (mut day, mut month) = (self.day.clone(), self.month.clone());
        day.add(ahead);
        month.add(ahead);
        BudgetState {
            boot: self.boot,
            boottime: self.boottime,
            wall: self.wall,
            day_into: day.time_into_slot(),
            day: day.into_sums(),
            month_into: month.time_into_slot(),
            month: month.into_sums(),
            ahead,
            spent_before: self.month.total(),
        }
    }

    /// A save is on the card: what it wrote ahead, less what was spent meanwhile, may go.
    pub fn saved(&mut self, state: &BudgetState) {
        let meanwhile = self.month.total().saturating_sub(state.spent_before);
        self.ahead = state.ahead.saturating_sub(meanwhile);
    }
}
