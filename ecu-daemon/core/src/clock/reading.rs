//! One clock read between two readings of another: the only kind of fact that the map is made of.

use can_decode::{BootNanos, RawNanos, RealtimeNanos};

use super::domain::Instant;

/// The system clock just before and just after another clock was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    /// By `CLOCK_BOOTTIME`: the clocks that user space reads itself.
    Boot(BootNanos, BootNanos),
    /// By `CLOCK_REALTIME`: what the kernel's PTP requests give. It may be stepped meanwhile, so such a reading counts
    /// once a reading of `CLOCK_REALTIME` before it and one after it agree.
    Realtime(RealtimeNanos, RealtimeNanos),
    /// By `CLOCK_MONOTONIC_RAW` (PTP requests since Linux 6.12).
    Raw(RawNanos, RawNanos),
}

impl Bracket {
    /// The read delay in nanoseconds; negative when the system clock was set back meanwhile.
    pub const fn delay_ns(self) -> i64 {
        match self {
            Self::Boot(before, after) => after.since(before),
            Self::Realtime(before, after) => after.since(before),
            Self::Raw(before, after) => after.since(before),
        }
    }
}

/// What a clock showed at some instant within a bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The clock and what it showed.
    pub instant: Instant,
    /// The system clock before and after.
    pub bracket: Bracket,
}

impl Reading {
    /// Of readings taken in a row the one with the shortest delay: the others were held up by interrupts, a busy bus or
    /// a hypervisor, and say less. `None` when there is none with a delay that is not negative.
    pub fn tightest(readings: impl IntoIterator<Item = Self>) -> Option<Self> {
        readings
            .into_iter()
            .filter(|reading| reading.bracket.delay_ns() >= 0)
            .min_by_key(|reading| reading.bracket.delay_ns())
    }
}

/// A reading on the axis of the map: at `at`, the clock was ahead of `CLOCK_BOOTTIME` by `offset_ns`, give or take
/// `half_ns`. That is certain, however asymmetric the delay was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: BootNanos,
    pub(super) offset_ns: i64,
    pub(super) half_ns: u64,
}

impl Point {
    /// From what the clock showed between two instants; `quantum_ns` is the step in which it counts. `None` when the
    /// instants are in the wrong order.
    pub(super) fn new(shown_ns: i64, before: BootNanos, after: BootNanos, quantum_ns: u64) -> Option<Self> {
        let delay_ns = u64::try_from(after.since(before)).ok()?;
        let at = before.plus((delay_ns / 2) as i64);
        let half_ns = delay_ns.div_ceil(2).saturating_add(quantum_ns);
        Some(Self { at, offset_ns: shown_ns.saturating_sub(at.0), half_ns })
    }
}

#[cfg(test)]
mod tests {
    use can_decode::HwNanos;

    use super::*;
    use crate::clock::HwClock;

    fn reading(before: i64, after: i64) -> Reading {
        let instant = Instant::Hardware(HwClock::Phc(0), HwNanos(7));
        Reading { instant, bracket: Bracket::Realtime(RealtimeNanos(before), RealtimeNanos(after)) }
    }

    #[test]
    fn the_tightest_of_a_burst_is_taken_and_none_that_was_stepped() {
        let burst = [reading(0, 900), reading(1_000, 1_200), reading(2_000, -3_600), reading(3_000, 3_300)];
        assert_eq!(Reading::tightest(burst), Some(burst[1]));
        assert_eq!(Reading::tightest([burst[2]]), None);
        assert_eq!(Reading::tightest([]), None);
    }

    #[test]
    fn a_point_covers_every_instant_within_its_bracket() {
        let check = |shown, before, after, quantum, expected| {
            let point = Point::new(shown, BootNanos(before), BootNanos(after), quantum);
            assert_eq!(
                point.map(|point| (point.at.0, point.offset_ns, point.half_ns)),
                expected,
                "{before}..{after}"
            );
        };
        check(1_000, 100, 200, 0, Some((150, 850, 50)));
        check(1_000, 100, 201, 8, Some((150, 850, 59)));
        check(1_000, 100, 100, 0, Some((100, 900, 0)));
        check(1_000, 200, 100, 0, None);
    }
}
