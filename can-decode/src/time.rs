//! Nanoseconds, typed by the clock they were read from: mixing two clocks does not compile.

macro_rules! nanos {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// From whole seconds and the nanoseconds beyond, as a kernel `timespec` gives them; saturates at the
            /// ends of the range (years 1677 and 2262 for the clocks that count from 1970).
            pub const fn from_timespec(seconds: i64, nanoseconds: i64) -> Self {
                Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
            }

            /// Nanoseconds since `earlier`; negative when it is later.
            pub const fn since(self, earlier: Self) -> i64 {
                self.0.saturating_sub(earlier.0)
            }

            /// `ns` nanoseconds later, earlier where negative; saturates at the ends of the range.
            #[must_use]
            pub const fn plus(self, ns: i64) -> Self {
                Self(self.0.saturating_add(ns))
            }
        }
    };
}

nanos!(
    /// A network or CAN controller's own timer: its zero point is whatever the controller says.
    HwNanos
);
nanos!(
    /// `CLOCK_REALTIME`: nanoseconds since 1970-01-01 UTC, steps when somebody sets the clock.
    RealtimeNanos
);
nanos!(
    /// `CLOCK_BOOTTIME`: nanoseconds since boot, suspend included; never steps.
    BootNanos
);
nanos!(
    /// International Atomic Time as PTP counts it (IEEE 1588): nanoseconds since 1970-01-01 TAI.
    TaiNanos
);
nanos!(
    /// `CLOCK_MONOTONIC_RAW`: nanoseconds of the processor's own oscillator since boot, steered by nobody; stands still
    /// while the machine is suspended.
    RawNanos
);
nanos!(
    /// True time in UTC: nanoseconds since 1970-01-01 UTC without leap seconds, as POSIX counts. What `CLOCK_REALTIME`
    /// would show if it were right.
    UtcNanos
);

impl TaiNanos {
    /// The same instant in UTC; `tai_utc_s` is TAI minus UTC in whole seconds (37 since 2017-01-01, IERS Bulletin C).
    pub const fn utc(self, tai_utc_s: i32) -> UtcNanos {
        UtcNanos(self.0.saturating_sub(tai_utc_s as i64 * 1_000_000_000))
    }
}

impl UtcNanos {
    /// The same instant in TAI; `tai_utc_s` is TAI minus UTC in whole seconds (37 since 2017-01-01, IERS Bulletin C).
    pub const fn tai(self, tai_utc_s: i32) -> TaiNanos {
        TaiNanos(self.0.saturating_add(tai_utc_s as i64 * 1_000_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timespec_saturates_instead_of_wrapping() {
        assert_eq!(RealtimeNanos::from_timespec(1, 5), RealtimeNanos(1_000_000_005));
        assert_eq!(RealtimeNanos::from_timespec(i64::MAX, 0), RealtimeNanos(i64::MAX));
        assert_eq!(BootNanos(3).since(BootNanos(5)), -2);
        assert_eq!(BootNanos(i64::MAX).plus(1), BootNanos(i64::MAX));
    }

    #[test]
    fn tai_is_ahead_of_utc() {
        let tai = UtcNanos(1_500_000_000_000_000_001).tai(37);
        assert_eq!(tai, TaiNanos(1_500_000_037_000_000_001));
        assert_eq!(tai.utc(37), UtcNanos(1_500_000_000_000_000_001));
    }
}
