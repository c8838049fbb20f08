//! One straight piece of the map: plain whole numbers, so that every program that reads it places alike.

use can_decode::BootNanos;

use super::sync::Sync;

/// How an error bound grows with the distance from where it was established: `d × min(ppb + ppb_per_s × d, ppb_max)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// At first, ppb: how well the drift is known.
    pub ppb: u32,
    /// How much faster each second: how fast the drift may change.
    pub ppb_per_s: u32,
    /// At most.
    pub ppb_max: u32,
}

impl Growth {
    /// The same rate for ever.
    pub const fn constant(ppb: u32) -> Self {
        Self { ppb, ppb_per_s: 0, ppb_max: ppb }
    }

    /// At least as large as either everywhere.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            ppb: self.ppb.max(other.ppb),
            ppb_per_s: self.ppb_per_s.max(other.ppb_per_s),
            ppb_max: self.ppb_max.max(other.ppb_max),
        }
    }

    /// Nanoseconds of error after `distance_ns`; 0 for distances that are not positive.
    pub fn after(&self, distance_ns: i64) -> u64 {
        if distance_ns <= 0 || self.ppb_max == 0 {
            return 0;
        }
        let distance = distance_ns as f64;
        let ppb = f64::from(self.ppb) + f64::from(self.ppb_per_s) * distance / 1e9;
        (distance * ppb.min(f64::from(self.ppb_max)) / 1e9).ceil() as u64
    }
}

/// Why a segment does not go on from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It does: both share a reading.
    Continues,
    /// The clock was read for the first time.
    First,
    /// The clock was stepped or reset between the last reading of the one before and the first of this one.
    Step,
    /// The clock could not be read for a while.
    Gap,
}

/// A clock against `CLOCK_BOOTTIME`: at `at` it was ahead by `offset_ns`, and gains `drift_ppt` a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first reading.
    pub from: BootNanos,
    /// The last reading; the same as `from` when there was one.
    pub to: BootNanos,
    /// The instant of `offset_ns`.
    pub at: BootNanos,
    /// The clock minus `CLOCK_BOOTTIME`, nanoseconds.
    pub offset_ns: i64,
    /// Parts in 10¹² by which the clock runs faster than `CLOCK_BOOTTIME`.
    pub drift_ppt: i64,
    /// How wrong the line may be anywhere between `from` and `to`, nanoseconds.
    pub error_ns: u64,
    /// How much more outside, on either side.
    pub growth: Growth,
    /// How it began.
    pub opening: Opening,
    /// That the clock was synchronised all the while.
    pub sync: Option<Sync>,
    /// How truth decays outside, beside `growth`.
    pub holdover: Growth,
    /// For how long after `to` the clock counts as synchronised still, nanoseconds; 0 once it is known.
    pub grace_ns: i64,
}

const PPT: i128 = 1_000_000_000_000;

impl Segment {
    /// The clock minus `CLOCK_BOOTTIME` at `boot`, nanoseconds; saturates at the ends of the range.
    pub fn offset_at(&self, boot: BootNanos) -> i64 {
        saturate(i128::from(self.offset_ns) + self.gained(boot))
    }

    /// What the clock showed at `boot`; saturates at the ends of the range.
    pub fn shown_at(&self, boot: BootNanos) -> i64 {
        saturate(i128::from(boot.0) + i128::from(self.offset_ns) + self.gained(boot))
    }

    fn gained(&self, boot: BootNanos) -> i128 {
        i128::from(boot.since(self.at)) * i128::from(self.drift_ppt) / PPT
    }

    /// When the clock showed `shown_ns`.
    pub fn boot_at(&self, shown_ns: i64) -> BootNanos {
        let shown_at = i128::from(self.at.0) + i128::from(self.offset_ns);
        let distance =
            (i128::from(shown_ns) - shown_at) * PPT / (PPT + i128::from(self.drift_ppt).max(1 - PPT));
        BootNanos(saturate(i128::from(self.at.0) + distance))
    }

    /// How far `boot` is outside the readings, nanoseconds; 0 between them.
    pub fn outside_ns(&self, boot: BootNanos) -> i64 {
        self.from.since(boot).max(boot.since(self.to)).max(0)
    }

    /// How wrong [`Self::shown_at`] may be at `boot`, nanoseconds.
    pub fn error_at(&self, boot: BootNanos) -> u64 {
        self.error_ns.saturating_add(self.growth.after(self.outside_ns(boot)))
    }

    /// How far from true time [`Self::shown_at`] may be at `boot`, nanoseconds; `None` when the clock was not synchronised.
    pub fn truth_error_at(&self, boot: BootNanos) -> Option<u64> {
        let sync = self.sync?;
        let late = boot.since(self.to);
        let held_ns = if late > 0 { late.saturating_sub(self.grace_ns) } else { self.outside_ns(boot) };
        Some(self.error_at(boot).saturating_add(sync.error_ns).saturating_add(self.holdover.after(held_ns)))
    }
}

fn saturate(ns: i128) -> i64 {
    ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(offset_ns: i64, drift_ppt: i64) -> Segment {
        Segment {
            from: BootNanos(1_000_000_000),
            to: BootNanos(5_000_000_000),
            at: BootNanos(3_000_000_000),
            offset_ns,
            drift_ppt,
            error_ns: 100,
            growth: Growth { ppb: 1_000, ppb_per_s: 100, ppb_max: 1_500 },
            opening: Opening::First,
            sync: None,
            holdover: Growth::default(),
            grace_ns: 0,
        }
    }

    #[test]
    fn there_and_back_is_the_same_within_a_nanosecond() {
        for offset_ns in [0, -3, 1_790_000_000_000_000_000, i64::MAX, i64::MIN] {
            for drift_ppt in [0, 50_000_000, -50_000_000, 1_000_000_000, -PPT as i64, i64::MIN] {
                let segment = segment(offset_ns, drift_ppt);
                for at in [0, 2_999_999_999, 3_000_000_000, 7_123_456_789] {
                    let shown = segment.shown_at(BootNanos(at));
                    let back = segment.boot_at(shown).0;
                    let is_sane =
                        drift_ppt.unsigned_abs() < PPT as u64 && shown != i64::MAX && shown != i64::MIN;
                    assert!(!is_sane || back.abs_diff(at) <= 1, "{offset_ns} {drift_ppt} {at}: {back}");
                }
            }
        }
    }

    #[test]
    fn the_bound_grows_outside_the_readings_on_both_sides() {
        let segment = segment(0, 0);
        let check = |at: i64, expected| assert_eq!(segment.error_at(BootNanos(at)), expected, "{at}");
        check(1_000_000_000, 100);
        check(5_000_000_000, 100);
        check(6_000_000_000, 100 + 1_100);
        check(0, 100 + 1_100);
        check(15_000_000_000, 100 + 15_000);
    }
}
