//! Stamps of a timer that nothing can read but frames: each frame that the kernel stamped as well is a reading of it.

use can_decode::{HwNanos, RealtimeNanos};

use super::domain::{HwClock, Instant};
use super::reading::{Bracket, Reading};

/// Collects the frames of a round and gives the one that the kernel stamped soonest after the controller: the others waited
/// for the interrupt, or for the processor.
#[derive(Clone, Copy, Debug)]
pub struct Pairs {
    clock: HwClock,
    latency_ns: i64,
    best: Option<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    hardware: HwNanos,
    software: RealtimeNanos,
}

impl Pairs {
    /// For the timer `clock`; `latency_ns` is how late the kernel's stamp is at most when nothing holds it up, from the end
    /// of the frame: the bound of all that follows rests on it.
    pub const fn new(clock: HwClock, latency_ns: i64) -> Self {
        Self { clock, latency_ns, best: None }
    }

    /// Takes the two stamps of a frame; `drift_ppt` is by how much the timer runs fast as far as is known.
    pub fn observe(&mut self, hardware: HwNanos, software: RealtimeNanos, drift_ppt: i64) {
        let is_sooner = self.best.is_none_or(|best| {
            let by_hardware = i128::from(hardware.since(best.hardware));
            let drifted = by_hardware * i128::from(drift_ppt) / 1_000_000_000_000;
            i128::from(software.since(best.software)) < by_hardware - drifted
        });
        if is_sooner {
            self.best = Some(Pair { hardware, software });
        }
    }

    /// The round's reading; to be given to the map right before the next round's first reading of `CLOCK_REALTIME`.
    pub fn take(&mut self) -> Option<Reading> {
        let Pair { hardware, software } = self.best.take()?;
        Some(Reading {
            instant: Instant::Hardware(self.clock, hardware),
            bracket: Bracket::Realtime(software.plus(-self.latency_ns), software),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_that_waited_least_is_the_reading() {
        let check = |frames: &[(i64, i64)], drift_ppt, expected: Option<(i64, i64)>| {
            let mut pairs = Pairs::new(HwClock::Timer(0), 50);
            frames.iter().for_each(|&(hardware, software)| {
                pairs.observe(HwNanos(hardware), RealtimeNanos(software), drift_ppt);
            });
            let expected = expected.map(|(hardware, software)| Reading {
                instant: Instant::Hardware(HwClock::Timer(0), HwNanos(hardware)),
                bracket: Bracket::Realtime(RealtimeNanos(software - 50), RealtimeNanos(software)),
            });
            assert_eq!(pairs.take(), expected, "{frames:?}");
            assert_eq!(pairs.take(), None);
        };
        check(&[], 0, None);
        check(&[(1_000, 9_100), (2_000, 10_020), (3_000, 11_400)], 0, Some((2_000, 10_020)));
        // A timer that gains 100 ppm: its later stamps only look sooner.
        let frames = [(0, 10), (10_001_000, 10_000_060)];
        check(&frames, 100_000_000, Some((0, 10)));
        check(&frames, 0, Some((10_001_000, 10_000_060)));
    }
}
