//! Records as blocks keep them, with the time that their clock showed: what that is in true time, by all that the map has
//! learned since.

use can_decode::{BootNanos, RealtimeNanos};
use store::block::ClockSource;

use super::domain::{Clock, Instant};
use super::history::History;
use super::place::{Basis, Placed, Taken, Truth};
use super::segment::Segment;
use super::trail::Trail;

/// How long a frame may wait between its stamp and its block: in the socket's buffer, and for a thread that is held up.
const QUEUED_NS: i64 = 10_000_000_000;
/// By how much a record may be younger than the instant at which its block says it was sealed: that is read before what is
/// waiting is taken in.
const ROUND_NS: i64 = 1_000_000_000;
/// For how long a hardware stamp was placed by a line that had not been read again.
const UNREAD_NS: i64 = 2_500_000_000;

/// When a block was sealed and how old its records can have been then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `CLOCK_BOOTTIME` at sealing.
    pub at: BootNanos,
    /// How long before it was sealed it got its first record at most, nanoseconds.
    pub open_ns: i64,
}

/// What a record's time is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worth {
    /// The clock that it was read from was synchronised.
    Synchronised,
    /// That clock was not, or was set meanwhile: the map gives the time.
    Placed,
    /// No clock has been synchronised as far as is known: the time is what the clock showed.
    Unsynchronised,
    /// The map has nothing to say of it: it is the time of a recording, or of no instant at which the block was open.
    Unknown,
}

impl Worth {
    /// Name as used in attributes and queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Synchronised => "synchronised",
            Self::Placed => "placed",
            Self::Unsynchronised => "unsynchronised",
            Self::Unknown => "unknown",
        }
    }
}

/// A record's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTime {
    /// UTC without leap seconds, nanoseconds since 1970.
    pub utc_ns: i64,
    /// How far off it may be, nanoseconds; `None` where nobody knows.
    pub error_ns: Option<u64>,
    /// The synchronised clock that it rests on.
    pub by: Option<Clock>,
    /// What it is worth.
    pub worth: Worth,
}

impl RecordTime {
    /// The time that a record has while there is no map.
    pub const fn unknown(shown_ns: i64) -> Self {
        Self { utc_ns: shown_ns, error_ns: None, by: None, worth: Worth::Unknown }
    }

    fn of(truth: &Truth, worth: Worth) -> Self {
        Self { utc_ns: truth.utc.0, error_ns: Some(truth.error_ns), by: Some(truth.clock), worth }
    }
}

impl Sealed {
    fn taken(&self) -> Taken {
        let age_ns = self.open_ns.max(0).saturating_add(QUEUED_NS);
        Taken { not_before: self.at.plus(age_ns.saturating_neg()), not_after: self.at.plus(ROUND_NS) }
    }
}

impl History {
    /// The time of a record that has `shown_ns` of the clock `source` in a block that was `sealed` then.
    pub fn record_time(&self, source: ClockSource, shown_ns: i64, sealed: Sealed) -> RecordTime {
        match source {
            ClockSource::KernelSoftware | ClockSource::UserSpace => {
                let placed = self.place(Instant::Realtime(RealtimeNanos(shown_ns)), sealed.taken());
                of_realtime(&placed, shown_ns)
            }
            ClockSource::Hardware => self.of_hardware(shown_ns, sealed.taken()),
            ClockSource::Recorded => RecordTime::unknown(shown_ns),
        }
    }

    /// The same for all records of a block whose times are from `first_ns` to `last_ns`, where one answer is good for all
    /// of them and none is moved: the clock was synchronised and not set.
    pub fn record_times(
        &self,
        source: ClockSource,
        (first_ns, last_ns): (i64, i64),
        sealed: Sealed,
    ) -> Option<RecordTime> {
        let is_realtime = matches!(source, ClockSource::KernelSoftware | ClockSource::UserSpace);
        let line = |shown_ns| self.only_line(Clock::Realtime, shown_ns, sealed.taken());
        if !is_realtime || !std::ptr::eq(line(first_ns)?, line(last_ns)?) {
            return None;
        }
        let first = self.record_time(source, first_ns, sealed);
        let last = self.record_time(source, last_ns, sealed);
        let is_alike = first.worth == Worth::Synchronised && last.worth == first.worth && first.by == last.by;
        // On one line the bound is largest at its ends.
        is_alike.then_some(RecordTime { error_ns: first.error_ns.max(last.error_ns), ..last })
    }

    /// Whether the map knows of an instant at which a block that was `sealed` then was open and a clock showed this. If not, a
    /// clock was set of which the map has not heard yet.
    pub fn knows(&self, shown_ns: i64, sealed: Sealed) -> bool {
        [ClockSource::KernelSoftware, ClockSource::Hardware]
            .into_iter()
            .any(|source| self.record_time(source, shown_ns, sealed).worth != Worth::Unknown)
    }

    /// By how much times of `CLOCK_REALTIME` are moved at least and at most when they are placed, nanoseconds.
    pub fn moves(&self) -> (i64, i64) {
        let lines = self.trail(Clock::Realtime).into_iter().flat_map(Trail::entries);
        let moved = lines.flat_map(|entry| [entry.segment.from, entry.segment.to].map(|at| (entry, at)));
        moved.fold((0, 0), |(least, most), (entry, at)| {
            let by =
                self.truth(at, 0).map_or(0, |truth| truth.utc.0.saturating_sub(entry.segment.shown_at(at)));
            (by.min(least), by.max(most))
        })
    }

    /// A hardware stamp was placed in UTC when it came: it stays there. What is said now is how wrong that may have been.
    fn of_hardware(&self, utc_ns: i64, taken: Taken) -> RecordTime {
        let unknown = RecordTime::unknown(utc_ns);
        let Some(now) = self.truth(taken.not_after, 0) else { return unknown };
        let boot = taken.not_after.plus(utc_ns.saturating_sub(now.utc.0));
        if boot < taken.not_before || boot > taken.not_after {
            return unknown;
        }
        let Some(truth) = self.truth(boot, 0) else { return unknown };
        let of_clock = |(clock, line): (Clock, &Segment)| match clock {
            Clock::Hardware(_) => line.error_at(boot).saturating_add(line.growth.after(UNREAD_NS)),
            _ => 0,
        };
        // Which of the clocks in hardware it was is not in the block: the worst of them.
        let own_ns = self.in_force(boot).map(of_clock).max().unwrap_or(0);
        let error_ns = Some(truth.error_ns.saturating_add(own_ns));
        RecordTime { utc_ns, error_ns, by: Some(truth.clock), worth: Worth::Synchronised }
    }
}

fn of_realtime(placed: &Placed, shown_ns: i64) -> RecordTime {
    match (placed.basis, &placed.truth) {
        (Basis::Arrival, _) => RecordTime::unknown(shown_ns),
        (Basis::Stamp, None) => RecordTime { worth: Worth::Unsynchronised, ..RecordTime::unknown(shown_ns) },
        (Basis::Stamp, Some(truth)) => {
            // Where it was synchronised before and nothing was told since, it still is as far as is known, and the bound grows.
            let is_own = truth.clock == Clock::Realtime && truth.utc.0 == shown_ns;
            RecordTime::of(truth, if is_own { Worth::Synchronised } else { Worth::Placed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Bracket, ClockMap, Reading, Sync, SyncSource, TaiUtc, Timescale};

    const S: i64 = 1_000_000_000;
    const UTC: i64 = 1_700_000_000 * S;

    /// `CLOCK_REALTIME` read each second of `seconds`, ahead of BOOTTIME by `ahead_ns`.
    fn read(map: &mut ClockMap, seconds: std::ops::Range<i64>, ahead_ns: i64, error_ns: Option<u64>) {
        let (source, timescale) = (SyncSource::Kernel, Timescale::Utc);
        let sync = error_ns.map(|error_ns| Sync { source, timescale, error_ns, tai_utc: TaiUtc::BUILT_IN });
        map.synchronise(Clock::Realtime, sync);
        for at in seconds.map(|second| second * S) {
            let instant = Instant::Realtime(RealtimeNanos(at + ahead_ns));
            map.observe(Reading { instant, bracket: Bracket::Boot(BootNanos(at), BootNanos(at)) });
        }
    }

    fn sealed(second: i64) -> Sealed {
        Sealed { at: BootNanos(second * S), open_ns: 4 * S }
    }

    #[track_caller]
    fn check(map: &ClockMap, source: ClockSource, (shown_ns, sealed_s): (i64, i64), expected: (i64, Worth)) {
        let found = map.history().record_time(source, shown_ns, sealed(sealed_s));
        assert!(found.utc_ns.abs_diff(expected.0) <= found.error_ns.unwrap_or(0), "{found:?}");
        assert_eq!(found.worth, expected.1, "{found:?}");
        assert_eq!(found.error_ns.is_some(), matches!(found.worth, Worth::Synchronised | Worth::Placed));
    }

    /// A boot in 1970 that is set right after twenty seconds, and set back an hour at 60 s by somebody, unsynchronised.
    fn restless() -> ClockMap {
        let mut map = ClockMap::default();
        read(&mut map, 1..20, 0, None);
        read(&mut map, 20..60, UTC, Some(2_000));
        read(&mut map, 60..70, UTC - 3_600 * S, None);
        map
    }

    #[test]
    fn records_are_in_true_time_whatever_their_clock_showed() {
        let map = restless();
        let source = ClockSource::KernelSoftware;
        check(&map, source, (3 * S, 5), (UTC + 3 * S, Worth::Placed));
        check(&map, source, (UTC + 30 * S, 32), (UTC + 30 * S, Worth::Synchronised));
        check(&map, source, (UTC + 64 * S - 3_600 * S, 66), (UTC + 64 * S, Worth::Placed));
        check(&map, ClockSource::UserSpace, (3 * S, 5), (UTC + 3 * S, Worth::Placed));
        check(&map, ClockSource::Recorded, (3 * S, 5), (3 * S, Worth::Unknown));
        check(&map, source, (UTC + 500 * S, 32), (UTC + 500 * S, Worth::Unknown));
        let (least, most) = map.history().moves();
        assert!(map.history().knows(UTC + 30 * S, sealed(32)) && !map.history().knows(UTC, sealed(32)));
        assert!(least <= 0 && most.abs_diff(UTC) < S as u64, "{least} {most}");
    }

    #[test]
    fn before_there_is_truth_a_time_is_what_the_clock_showed() {
        let mut map = ClockMap::default();
        check(&map, ClockSource::KernelSoftware, (3 * S, 5), (3 * S, Worth::Unknown));
        check(&map, ClockSource::Hardware, (3 * S, 5), (3 * S, Worth::Unknown));
        read(&mut map, 1..20, 0, None);
        check(&map, ClockSource::KernelSoftware, (3 * S, 5), (3 * S, Worth::Unsynchronised));
    }

    #[test]
    fn a_block_of_a_synchronised_clock_has_one_answer() {
        let map = restless();
        let times = |source, first, last, at| map.history().record_times(source, (first, last), sealed(at));
        let found = times(ClockSource::KernelSoftware, UTC + 30 * S, UTC + 33 * S, 34).unwrap();
        assert_eq!((found.error_ns, found.worth), (Some(2_000), Worth::Synchronised));
        assert_eq!(times(ClockSource::KernelSoftware, 18 * S, UTC + 21 * S, 22), None, "it was set within");
        assert_eq!(times(ClockSource::Hardware, UTC + 30 * S, UTC + 33 * S, 34), None);
    }

    #[test]
    fn a_hardware_stamp_stays_and_its_bound_has_its_clocks_in_it() {
        let map = restless();
        let of = |shown| map.history().record_time(ClockSource::Hardware, shown, sealed(34));
        let found = of(UTC + 33 * S);
        assert_eq!((found.utc_ns, found.worth), (UTC + 33 * S, Worth::Synchronised));
        assert!(found.error_ns.is_some_and(|error_ns| error_ns >= 2_000), "{found:?}");
        assert_eq!(of(UTC + 3_600 * S).worth, Worth::Unknown);
    }
}
