//! The clock map of the running boot: readings in, placements out.

use can_decode::BootNanos;

use super::domain::{Clock, HwClock, Instant};
use super::history::{CLOCKS_MAX, History};
use super::limits::Limits;
use super::outcome::{Counts, Observed};
use super::place::{Placed, Taken};
use super::reading::{Bracket, Point, Reading};
use super::sync::Sync;
use super::track::Track;

/// Relates clocks to `CLOCK_BOOTTIME`, and through those that are synchronised to true time. Reads no clock itself.
///
/// ```text
/// once a second, for each PHC:   REALTIME against BOOTTIME,  PHC against REALTIME,  REALTIME against BOOTTIME
/// ```
///
/// A reading against `CLOCK_REALTIME` counts only when it is followed by one of `CLOCK_REALTIME` itself.
#[derive(Clone, Debug, Default)]
pub struct ClockMap {
    clocks: Vec<Member>,
    history: History,
}

#[derive(Clone, Debug)]
struct Member {
    clock: Clock,
    track: Track,
    sync: Option<Sync>,
    /// A reading against another clock than the axis, until that one is read again.
    held: Option<Held>,
}

/// A reading that waits for the system clock in its bracket to be read again, and when that had been read last.
#[derive(Clone, Copy, Debug)]
struct Held {
    reading: Reading,
    since: BootNanos,
}

/// The clock of a bracket, where it is not the axis.
const fn by(bracket: Bracket) -> Clock {
    match bracket {
        Bracket::Raw(..) => Clock::MonotonicRaw,
        Bracket::Boot(..) | Bracket::Realtime(..) => Clock::Realtime,
    }
}

/// How a clock does, for those who watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStatus {
    /// The clock minus `CLOCK_BOOTTIME`, nanoseconds.
    pub offset_ns: i64,
    /// Parts in 10¹² by which it runs faster than `CLOCK_BOOTTIME`.
    pub drift_ppt: i64,
    /// How wrong a stamp of it may be placed on the axis now, nanoseconds.
    pub error_ns: u64,
    /// How far from true time it may be now, nanoseconds; `None` when it is not synchronised.
    pub truth_error_ns: Option<u64>,
    /// What became of its readings.
    pub counts: Counts,
}

impl ClockMap {
    /// One whose versions count on from `origin`: a process that starts in the middle of a boot gives none a second time.
    pub fn counting_from(origin: u32) -> Self {
        Self { history: History::counting_from(origin), ..Self::default() }
    }

    /// Sets what a clock is trusted to keep to, before its first reading; without it, [`Limits::of`]. False when it has been
    /// read already, or there are [`CLOCKS_MAX`] others.
    pub fn expect(&mut self, clock: Clock, limits: Limits) -> bool {
        if self.clocks.iter().any(|member| member.clock == clock) || self.clocks.len() >= CLOCKS_MAX {
            return false;
        }
        self.clocks.push(Member { clock, track: Track::new(limits), sync: None, held: None });
        true
    }

    /// Sets whether a clock is synchronised, from its next reading on.
    pub fn synchronise(&mut self, clock: Clock, sync: Option<Sync>) {
        self.expect(clock, Limits::of(clock));
        if let Some(member) = self.clocks.iter_mut().find(|member| member.clock == clock) {
            member.sync = sync;
        }
    }

    /// Takes a reading. No allocation once every clock was read.
    pub fn observe(&mut self, reading: Reading) -> Observed {
        let Ok((clock, shown_ns)) = reading.instant.split() else { return Observed::Refused };
        self.expect(clock, Limits::of(clock));
        let Some(index) = self.clocks.iter().position(|member| member.clock == clock) else {
            return Observed::Refused;
        };
        match reading.bracket {
            Bracket::Boot(before, after) => {
                let observed = self.track(index, shown_ns, before, after, 0);
                self.release(clock);
                observed
            }
            // Between the two there would be nothing to learn.
            Bracket::Realtime(..) if clock == Clock::Realtime => Observed::Refused,
            Bracket::Raw(..) if clock == Clock::MonotonicRaw => Observed::Refused,
            Bracket::Realtime(..) | Bracket::Raw(..) => {
                let Some(through) = self.history.newest(by(reading.bracket)) else {
                    return self.clocks[index].track.refuse();
                };
                let held = Held { reading, since: through.to };
                if self.clocks[index].held.replace(held).is_some() {
                    self.clocks[index].track.refuse();
                }
                Observed::Held
            }
        }
    }

    /// Takes the readings that waited for `clock`, which has just been read.
    fn release(&mut self, clock: Clock) {
        for index in 0..self.clocks.len() {
            let Some(held) = self.clocks[index].held else { continue };
            let (before, after) = match held.reading.bracket {
                Bracket::Realtime(before, after) if clock == Clock::Realtime => (before.0, after.0),
                Bracket::Raw(before, after) if clock == Clock::MonotonicRaw => (before.0, after.0),
                _ => continue,
            };
            self.clocks[index].held = None;
            let Ok((_, shown_ns)) = held.reading.instant.split() else { continue };
            match self.brought_over(clock, (before, after), held.since) {
                Some((before, after, error_ns)) => {
                    self.track(index, shown_ns, before, after, error_ns);
                }
                None => {
                    self.clocks[index].track.refuse();
                }
            }
        }
    }

    /// A bracket of `clock` on the axis, with its error. `None` when the clock was stepped since it was read at `since`:
    /// then no single line covers the bracket and both readings around it.
    fn brought_over(
        &self,
        clock: Clock,
        bracket: (i64, i64),
        since: BootNanos,
    ) -> Option<(BootNanos, BootNanos, u64)> {
        // The line in force may have begun with the reading that has just come; the one before it covers the bracket then.
        self.history.trail(clock)?.entries().rev().take(2).find_map(|entry| {
            let segment = &entry.segment;
            let (before, after) = (segment.boot_at(bracket.0), segment.boot_at(bracket.1));
            let error_ns = segment.error_at(before).max(segment.error_at(after));
            let slack = i64::try_from(error_ns).unwrap_or(i64::MAX);
            let covers = segment.from.since(before) <= slack && after.since(segment.to) <= slack;
            (covers && since.since(before) <= slack).then_some((before, after, error_ns))
        })
    }

    fn track(
        &mut self,
        index: usize,
        shown_ns: i64,
        before: BootNanos,
        after: BootNanos,
        error_ns: u64,
    ) -> Observed {
        let Member { clock, track, sync, .. } = &mut self.clocks[index];
        let quantum_ns = track.limits().quantum_ns.saturating_add(error_ns);
        let Some(point) = Point::new(shown_ns, before, after, quantum_ns) else { return track.refuse() };
        let Some((trail, mut version)) = self.history.writer(*clock) else { return track.refuse() };
        let observed = track.observe(point, *sync, trail, &mut version);
        self.history.set_version(version);
        observed
    }

    /// A device has gone, and what comes back under its name may be another one: its line ends here, and so does the word
    /// that it was synchronised.
    pub fn lose(&mut self, clock: HwClock) {
        let clock = Clock::Hardware(clock);
        let Some(member) = self.clocks.iter_mut().find(|member| member.clock == clock) else { return };
        (member.held, member.sync) = (None, None);
        if let Some((trail, version)) = self.history.writer(clock) {
            member.track.lose(trail, version);
        }
    }

    /// Sets how long blocks are open at most, nanoseconds, see [`History::open_ns`].
    pub fn hold_open(&mut self, open_ns: i64) {
        self.history.hold_open(open_ns);
    }

    /// Places a stamp that arrived at `arrived` and was taken at most `patience_ns` before that.
    pub fn map(&self, instant: Instant, arrived: BootNanos, patience_ns: i64) -> Placed {
        let not_before = arrived.plus(patience_ns.max(0).saturating_neg());
        self.history.place(instant, Taken { not_before, not_after: arrived })
    }

    /// What is known of all clocks.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// How `clock` does at `now`; `None` before its first reading.
    pub fn status(&self, clock: Clock, now: BootNanos) -> Option<ClockStatus> {
        let member = self.clocks.iter().find(|member| member.clock == clock)?;
        let segment = self.history.newest(clock)?;
        Some(ClockStatus {
            offset_ns: segment.offset_at(now),
            drift_ppt: segment.drift_ppt,
            error_ns: segment.error_at(now),
            truth_error_ns: segment.truth_error_at(now),
            counts: *member.track.counts(),
        })
    }
}
