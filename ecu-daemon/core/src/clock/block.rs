//! The map as blocks carry it: what is new goes out, what came in is absorbed.

use can_decode::BootNanos;
use store::block;

use super::domain::{Clock, HwClock};
use super::history::History;
use super::segment::{Growth, Opening, Segment};
use super::sync::{Sync, SyncSource, TaiUtc, TaiUtcSource, Timescale};

impl History {
    /// What is new or has changed since version `since` of the map, as a block holds it; 0 gives all. `None` while there is
    /// no map.
    pub fn block(&self, since: u32) -> Option<block::ClockMap> {
        let segments = self.since(since).map(|(version, clock, segment)| written(version, clock, segment));
        (self.version() > 0).then(|| block::ClockMap {
            id: self.version(),
            open_ns: self.open_ns().unsigned_abs(),
            segments: segments.collect(),
            temperatures: Vec::new(),
        })
    }

    /// The map in short, for whoever has nothing of it yet: of each clock the last `newest` lines, and of `CLOCK_REALTIME`
    /// all, which are few and which all other times are told by.
    pub fn digest(&self, newest: usize) -> Option<block::ClockMap> {
        let mut map = self.block(0)?;
        let mut left = std::collections::BTreeMap::<block::ClockDomain, usize>::new();
        for segment in &map.segments {
            *left.entry(segment.domain).or_default() += 1;
        }
        map.segments.retain(|segment| {
            let left = left.entry(segment.domain).or_default();
            *left = left.saturating_sub(1);
            segment.domain == block::ClockDomain::Realtime || *left < newest
        });
        Some(map)
    }

    /// Takes what a block holds. False when some of it is of more clocks than fit.
    pub fn absorb_block(&mut self, map: &block::ClockMap) -> bool {
        self.hold_open(i64::try_from(map.open_ns).unwrap_or(i64::MAX));
        self.set_version(self.version().max(map.id));
        let took = map.segments.iter().map(|segment| {
            let (clock, read) = read(segment);
            self.absorb(segment.version, clock, read)
        });
        // All of them, not only those before the first that is refused.
        took.fold(true, |all, took| all & took)
    }
}

fn written(version: u32, clock: Clock, segment: &Segment) -> block::ClockSegment {
    block::ClockSegment {
        domain: match clock {
            Clock::Realtime => block::ClockDomain::Realtime,
            Clock::Tai => block::ClockDomain::Tai,
            Clock::MonotonicRaw => block::ClockDomain::MonotonicRaw,
            Clock::Hardware(HwClock::Phc(number)) => block::ClockDomain::Phc(number),
            Clock::Hardware(HwClock::Timer(bus)) => block::ClockDomain::Timer(bus),
        },
        version,
        from_boot_ns: segment.from.0,
        to_boot_ns: segment.to.0,
        reference_boot_ns: segment.at.0,
        offset_ns: segment.offset_ns,
        drift_ppt: segment.drift_ppt,
        error_ns: segment.error_ns,
        growth: written_growth(segment.growth),
        opening: match segment.opening {
            Opening::Continues => block::Opening::Continues,
            Opening::First => block::Opening::First,
            Opening::Step => block::Opening::Step,
            Opening::Gap => block::Opening::Gap,
        },
        sync: segment.sync.map(|sync| block::ClockSync {
            source: match sync.source {
                SyncSource::Kernel => block::SyncSource::Kernel,
                SyncSource::Ptp => block::SyncSource::Ptp,
                SyncSource::Configured => block::SyncSource::Config,
            },
            timescale: match sync.timescale {
                Timescale::Tai => block::Timescale::Tai,
                Timescale::Utc => block::Timescale::Utc,
            },
            error_ns: sync.error_ns,
            tai_utc: (
                sync.tai_utc.seconds,
                match sync.tai_utc.source {
                    TaiUtcSource::Kernel => block::TaiUtcSource::Kernel,
                    TaiUtcSource::Ptp => block::TaiUtcSource::Ptp,
                    TaiUtcSource::Configured => block::TaiUtcSource::Config,
                    TaiUtcSource::BuiltIn => block::TaiUtcSource::BuiltIn,
                },
            ),
        }),
        holdover: written_growth(segment.holdover),
        grace_ns: segment.grace_ns,
    }
}

fn read(segment: &block::ClockSegment) -> (Clock, Segment) {
    let clock = match segment.domain {
        block::ClockDomain::Realtime => Clock::Realtime,
        block::ClockDomain::Tai => Clock::Tai,
        block::ClockDomain::MonotonicRaw => Clock::MonotonicRaw,
        block::ClockDomain::Phc(number) => Clock::Hardware(HwClock::Phc(number)),
        block::ClockDomain::Timer(bus) => Clock::Hardware(HwClock::Timer(bus)),
    };
    let read = Segment {
        from: BootNanos(segment.from_boot_ns),
        to: BootNanos(segment.to_boot_ns),
        at: BootNanos(segment.reference_boot_ns),
        offset_ns: segment.offset_ns,
        drift_ppt: segment.drift_ppt,
        error_ns: segment.error_ns,
        growth: read_growth(segment.growth),
        opening: match segment.opening {
            block::Opening::Continues => Opening::Continues,
            block::Opening::First => Opening::First,
            block::Opening::Step => Opening::Step,
            block::Opening::Gap => Opening::Gap,
        },
        sync: segment.sync.map(|sync| Sync {
            source: match sync.source {
                block::SyncSource::Kernel => SyncSource::Kernel,
                block::SyncSource::Ptp => SyncSource::Ptp,
                block::SyncSource::Config => SyncSource::Configured,
            },
            timescale: match sync.timescale {
                block::Timescale::Tai => Timescale::Tai,
                block::Timescale::Utc => Timescale::Utc,
            },
            error_ns: sync.error_ns,
            tai_utc: TaiUtc {
                seconds: sync.tai_utc.0,
                source: match sync.tai_utc.1 {
                    block::TaiUtcSource::Kernel => TaiUtcSource::Kernel,
                    block::TaiUtcSource::Ptp => TaiUtcSource::Ptp,
                    block::TaiUtcSource::Config => TaiUtcSource::Configured,
                    block::TaiUtcSource::BuiltIn => TaiUtcSource::BuiltIn,
                },
            },
        }),
        holdover: read_growth(segment.holdover),
        grace_ns: segment.grace_ns,
    };
    (clock, read)
}

const fn written_growth(growth: Growth) -> block::BoundGrowth {
    block::BoundGrowth { ppb: growth.ppb, ppb_per_s: growth.ppb_per_s, ppb_max: growth.ppb_max }
}

const fn read_growth(growth: block::BoundGrowth) -> Growth {
    Growth { ppb: growth.ppb, ppb_per_s: growth.ppb_per_s, ppb_max: growth.ppb_max }
}

#[cfg(test)]
mod tests {
    use can_decode::RealtimeNanos;

    use super::*;
    use crate::clock::{Bracket, ClockMap, Instant, Reading, Taken};

    /// Whoever reads the blocks places as the daemon would.
    #[test]
    fn the_map_comes_back_from_its_blocks() {
        const S: i64 = 1_000_000_000;
        let mut map = ClockMap::default();
        let mut read = |second: i64, ahead: i64| {
            let (before, after) = (BootNanos(second * S), BootNanos(second * S + 400));
            let instant = Instant::Realtime(RealtimeNanos(second * S + 200 + ahead * S));
            map.observe(Reading { instant, bracket: Bracket::Boot(before, after) });
        };
        (0..5).for_each(|second| read(second, 0));
        (5..9).for_each(|second| read(second, 1_000));
        let error_ns = 3_000;
        let (source, timescale) = (SyncSource::Kernel, Timescale::Utc);
        let sync = Sync { source, timescale, error_ns, tai_utc: TaiUtc::BUILT_IN };
        map.synchronise(Clock::Realtime, Some(sync));
        let early = map.history().block(0).unwrap();
        let bracket = Bracket::Boot(BootNanos(9 * S), BootNanos(9 * S + 400));
        map.observe(Reading { instant: Instant::Realtime(RealtimeNanos(1_009 * S + 200)), bracket });
        let late = map.history().block(early.id).unwrap();
        assert!(late.id > early.id && late.segments.len() < map.history().since(0).count(), "{late:?}");
        // In any order.
        let mut history = History::default();
        assert!(history.absorb_block(&late) && history.absorb_block(&early));
        assert_eq!(history.version(), map.history().version());
        for second in 0..12 {
            let taken = Taken { not_before: BootNanos(0), not_after: BootNanos(20 * S) };
            for ns in [second * S, (second + 1_000) * S] {
                let instant = Instant::Realtime(RealtimeNanos(ns));
                assert_eq!(history.place(instant, taken), map.history().place(instant, taken), "{ns}");
            }
        }
        assert!(history.truth(BootNanos(S), 0).is_some_and(|truth| truth.is_held), "placed afterwards");
    }

    #[test]
    fn without_a_reading_there_is_no_block() {
        assert_eq!(History::default().block(0), None);
    }
}
