//! When the map goes to the ring: at once when something happened to a clock, else now and then, because the last line of each
//! clock has grown.

use can_decode::BootNanos;
use ecu_core::clock::{Clock, History, Opening, Segment};

/// Lines that go on from others wait this long.
const EVERY_NS: i64 = 60_000_000_000;
/// Without another version, the last lines have only grown; they are told this often.
const GROWN_NS: i64 = 600_000_000_000;
/// What happens again and again is told this often at most.
const URGENT_NS: i64 = 5_000_000_000;

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct News {
    version: u32,
    told_at: Option<BootNanos>,
    /// The clocks that were synchronised then.
    synchronised: Vec<Clock>,
}

impl News {
    /// Whether the map is to be told at `now`.
    pub(super) fn is_due(&self, history: &History, now: BootNanos) -> bool {
        if history.version() == 0 {
            return false;
        }
        let Some(told_at) = self.told_at else { return true };
        let waited = now.since(told_at);
        // Nothing is stamped by CLOCK_MONOTONIC_RAW: its drift has time.
        let is_new = history
            .since(self.version)
            .any(|(version, clock, _)| version > self.version && clock != Clock::MonotonicRaw);
        waited >= GROWN_NS
            || (is_new && waited >= EVERY_NS)
            || (waited >= URGENT_NS && is_new && self.is_urgent(history))
    }

    /// The version that was told last; what has changed since then is to be told.
    pub(super) const fn since(&self) -> u32 {
        self.version
    }

    /// It has been told.
    pub(super) fn told(&mut self, history: &History, now: BootNanos) {
        (self.version, self.told_at) = (history.version(), Some(now));
        self.synchronised = synchronised(history);
    }

    fn is_urgent(&self, history: &History) -> bool {
        let has_happened = |(version, _, segment): (u32, Clock, &Segment)| {
            version > self.version && segment.opening != Opening::Continues
        };
        history.since(self.version).any(has_happened) || self.synchronised != synchronised(history)
    }
}

/// All clocks whose line in force is synchronised, in a fixed order.
fn synchronised(history: &History) -> Vec<Clock> {
    let mut clocks: Vec<Clock> = history
        .since(0)
        .filter(|(_, clock, segment)| {
            segment.sync.is_some() && history.newest(*clock).is_some_and(|newest| newest.from == segment.from)
        })
        .map(|(_, clock, _)| clock)
        .collect();
    clocks.sort_unstable();
    clocks
}

#[cfg(test)]
mod tests {
    use can_decode::RealtimeNanos;
    use ecu_core::ClockMap;
    use ecu_core::clock::{Bracket, Instant, Reading, Sync, SyncSource, TaiUtc, Timescale};

    use super::*;

    const S: i64 = 1_000_000_000;

    fn read(map: &mut ClockMap, second: i64, ahead: i64) {
        let instant = Instant::Realtime(RealtimeNanos((second + ahead) * S));
        map.observe(Reading {
            instant,
            bracket: Bracket::Boot(BootNanos(second * S), BootNanos(second * S)),
        });
    }

    #[test]
    fn what_happened_is_told_at_once_and_the_rest_now_and_then() {
        let (mut map, mut news) = (ClockMap::default(), News::default());
        let mut told = |map: &ClockMap, second| {
            let now = BootNanos(second * S);
            let is_due = news.is_due(map.history(), now);
            if is_due {
                news.told(map.history(), now);
            }
            is_due
        };
        assert!(!told(&map, 1), "there is no map");
        read(&mut map, 1, 0);
        assert!(told(&map, 1), "the first one");
        read(&mut map, 2, 0);
        assert!(!told(&map, 2));
        read(&mut map, 10, -3_600);
        assert!(told(&map, 10), "a step");
        read(&mut map, 12, 0);
        assert!(!told(&map, 12), "another one, so soon");
        read(&mut map, 15, 0);
        assert!(told(&map, 15));
        let (source, timescale) = (SyncSource::Kernel, Timescale::Utc);
        let sync = Sync { source, timescale, error_ns: 5, tai_utc: TaiUtc::BUILT_IN };
        map.synchronise(Clock::Realtime, Some(sync));
        read(&mut map, 30, 0);
        assert!(told(&map, 30), "it is synchronised");
        read(&mut map, 90, 0);
        assert!(!told(&map, 90), "its line has grown");
        read(&mut map, 630, 0);
        assert!(told(&map, 630));
    }
}
