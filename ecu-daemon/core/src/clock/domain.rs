//! Which clocks there are, and what an instant of each is called.

use core::fmt;

use can_decode::{BootNanos, HwNanos, RawNanos, RealtimeNanos, TaiNanos};

/// A clock that no system call relates to the others: on a network card, in a CAN controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HwClock {
    /// A PTP hardware clock, by the number in its device's name (`/dev/ptp0`).
    Phc(u8),
    /// The free-running timer behind the stamps of a bus, by the bus's index: nothing can read it but a frame.
    Timer(u8),
}

/// A clock that the map relates to `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// `CLOCK_REALTIME`.
    Realtime,
    /// `CLOCK_TAI`: `CLOCK_REALTIME` and whole seconds that somebody told the kernel, or 0 when nobody did.
    Tai,
    /// `CLOCK_MONOTONIC_RAW`.
    MonotonicRaw,
    /// One in hardware.
    Hardware(HwClock),
}

/// As in metrics, logs and attributes: `realtime`, `ptp0`, `timer1`.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realtime => f.write_str("realtime"),
            Self::Tai => f.write_str("tai"),
            Self::MonotonicRaw => f.write_str("monotonic_raw"),
            Self::Hardware(HwClock::Phc(number)) => write!(f, "ptp{number}"),
            Self::Hardware(HwClock::Timer(bus)) => write!(f, "timer{bus}"),
        }
    }
}

/// An instant, named by the clock that showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Of `CLOCK_BOOTTIME`, which is the axis of the map.
    Boot(BootNanos),
    /// Of `CLOCK_REALTIME`.
    Realtime(RealtimeNanos),
    /// Of `CLOCK_TAI`.
    Tai(TaiNanos),
    /// Of `CLOCK_MONOTONIC_RAW`.
    Raw(RawNanos),
    /// Of a clock in hardware.
    Hardware(HwClock, HwNanos),
}

impl Instant {
    /// The clock and what it showed; `Err` for `CLOCK_BOOTTIME`, which needs no mapping.
    pub(super) const fn split(self) -> Result<(Clock, i64), BootNanos> {
        match self {
            Self::Boot(boot) => Err(boot),
            Self::Realtime(RealtimeNanos(ns)) => Ok((Clock::Realtime, ns)),
            Self::Tai(TaiNanos(ns)) => Ok((Clock::Tai, ns)),
            Self::Raw(RawNanos(ns)) => Ok((Clock::MonotonicRaw, ns)),
            Self::Hardware(clock, HwNanos(ns)) => Ok((Clock::Hardware(clock), ns)),
        }
    }
}
