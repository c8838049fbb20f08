//! What a clock is trusted to keep to. The error bounds hold as long as it does, and it is noticed when it does not.

use super::domain::{Clock, HwClock};

/// How a clock may move against `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wander {
    /// How fast its drift may change, in ppb a second: temperature. A crystal is off by 0.1–1 ppm more for each degree,
    /// and an ECU that starts warms by 0.1–0.2 degrees a second.
    pub change_ppb_per_s: u32,
    /// How much its drift may change at once, in ppb: somebody steers it, or `CLOCK_BOOTTIME`, as ptp4l, phc2sys and
    /// chronyd do about once a second.
    pub jump_ppb: u32,
    /// How far its drift may get from where it was last seen, in ppb, however long that is ago: the whole range of
    /// temperatures and of steering.
    pub span_ppb: u32,
    /// The largest drift at all, in ppb; what runs faster or slower was stepped.
    pub drift_max_ppb: u32,
}

/// How one clock is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How it moves.
    pub wander: Wander,
    /// The step in which it counts, nanoseconds; also covers what the kernel rounds in converting.
    pub quantum_ns: u64,
    /// Readings that must contradict the line, and agree with each other, before it counts as a step: 1 where a reading
    /// cannot be wrong (the system's own clocks), 2 where a device may once give nonsense.
    pub proof: u8,
    /// Without a reading for so long, nanoseconds, the line is not continued but begun anew: the machine slept, or the
    /// device was away.
    pub gap_ns: i64,
    /// How a synchronised clock's truth decays once it is no longer known to be synchronised, in ppb, where its own line
    /// does not show it: `CLOCK_REALTIME` and `CLOCK_BOOTTIME` are steered as one, so their difference says nothing of
    /// how either runs.
    pub holdover_ppb: u32,
}

impl Limits {
    /// What is usual for a clock.
    pub const fn of(clock: Clock) -> Self {
        match clock {
            // The kernel makes both from one counter: the difference is constant until somebody sets the clock.
            Clock::Realtime | Clock::Tai => Self {
                wander: Wander { change_ppb_per_s: 0, jump_ppb: 0, span_ppb: 0, drift_max_ppb: 0 },
                quantum_ns: 2,
                proof: 1,
                gap_ns: i64::MAX,
                holdover_ppb: 100_000,
            },
            // BOOTTIME is steered against it: 500 ppm either way by adjtimex(2).
            Clock::MonotonicRaw => Self {
                wander: Wander {
                    change_ppb_per_s: 0,
                    jump_ppb: 1_000,
                    span_ppb: 1_000_000,
                    drift_max_ppb: 1_000_000,
                },
                quantum_ns: 2,
                proof: 1,
                gap_ns: 10_000_000_000,
                holdover_ppb: 0,
            },
            // PHCs count in steps of 1 to 40 ns.
            Clock::Hardware(HwClock::Phc(_)) => {
                Self { wander: OSCILLATOR, quantum_ns: 40, proof: 2, gap_ns: 10_000_000_000, holdover_ppb: 0 }
            }
            // CAN controllers stamp with 1 µs at best.
            Clock::Hardware(HwClock::Timer(_)) => Self {
                wander: OSCILLATOR,
                quantum_ns: 1_000,
                proof: 2,
                gap_ns: 60_000_000_000,
                holdover_ppb: 0,
            },
        }
    }
}

/// A crystal of a car's ECU, moderately steered.
const OSCILLATOR: Wander =
    Wander { change_ppb_per_s: 100, jump_ppb: 500, span_ppb: 100_000, drift_max_ppb: 1_000_000 };
