//! When the map goes to the ring: at once when something happened to a clock, else now and then, because the last line of each
//! clock has grown.

use can_decode::BootNanos;
use ecu_core::clock::{Clock, History, Opening, Segment};

/// Lines that go on from others wait this long, and so does the word that a clock is still synchronised: whoever places by an
/// older map trusts it less, 6 ms after a minute.
const EVERY_NS: i64 = 60_000_000_000;
/// The same where truth comes from a clock in hardware, whose drift changes: 30 us after so long.
const HARDWARE_NS: i64 = 15_000_000_000;
/// Without another version and without truth, the last lines have only grown; they are told this often.
const GROWN_NS: i64 = 600_000_000_000;
/// A line that is surer by this factor than when it was told is told at once: that is how a map begins.
const SURER: u32 = 4;
/// What happens again and again is told this often at most.
const URGENT_NS: i64 = 5_000_000_000;

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct News {
    version: u32,
    told_at: Option<BootNanos>,
    /// The clocks that were synchronised then.
    synchronised: Vec<Clock>,
    /// How fast the bound of each clock's last line grew then, ppb.
    growth: Vec<(Clock, u32)>,
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
        let synchronised = synchronised(history);
        let by_hardware = synchronised.iter().any(|clock| matches!(clock, Clock::Hardware(_)));
        let every_ns = if by_hardware { HARDWARE_NS } else { EVERY_NS };
        waited >= GROWN_NS
            || (waited >= every_ns && (is_new || !synchronised.is_empty()))
            || (waited >= URGENT_NS && self.is_urgent(history, &synchronised))
            || self.is_surer(history)
    }

    /// The version that was told last; what has changed since then is to be told.
    pub(super) const fn since(&self) -> u32 {
        self.version
    }

    /// It has been told.
    pub(super) fn told(&mut self, history: &History, now: BootNanos) {
        (self.version, self.told_at) = (history.version(), Some(now));
        self.synchronised = synchronised(history);
        self.growth = growth(history);
    }

    fn is_urgent(&self, history: &History, synchronised: &[Clock]) -> bool {
        let has_happened = |(version, clock, segment): (u32, Clock, &Segment)| {
            version > self.version
                && matches!(segment.opening, Opening::First | Opening::Step)
                && !matches!(clock, Clock::MonotonicRaw | Clock::Tai)
        };
        history.since(self.version).any(has_happened) || self.synchronised != synchronised
    }

    fn is_surer(&self, history: &History) -> bool {
        growth(history).iter().any(|(clock, ppb)| {
            let told = self.growth.iter().find(|(of, _)| of == clock);
            told.is_some_and(|(_, told)| ppb.saturating_mul(SURER) < *told)
        })
    }
}

/// How fast the bound of each stamping clock's line in force grows, ppb.
fn growth(history: &History) -> Vec<(Clock, u32)> {
    let mut all: Vec<(Clock, u32)> = Vec::new();
    for (_, clock, _) in history.since(0) {
        let is_known = all.iter().any(|(known, _)| *known == clock);
        if matches!(clock, Clock::Hardware(_)) && !is_known {
            all.extend(history.newest(clock).map(|line| (clock, line.growth.ppb)));
        }
    }
    all
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
    use can_decode::{HwNanos, RealtimeNanos};
    use ecu_core::ClockMap;
    use ecu_core::clock::{Bracket, HwClock, Instant, Reading, Sync, SyncSource, TaiUtc, Timescale};

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
        read(&mut map, 89, 0);
        assert!(!told(&map, 89), "its line has grown");
        read(&mut map, 90, 0);
        assert!(told(&map, 90), "and it is synchronised still");
        map.synchronise(Clock::Realtime, None);
        read(&mut map, 100, 0);
        assert!(told(&map, 100), "no longer");
        read(&mut map, 690, 0);
        assert!(!told(&map, 690));
        read(&mut map, 700, 0);
        assert!(told(&map, 700));
    }

    #[test]
    fn a_line_that_has_become_much_surer_is_told_at_once() {
        let (mut map, mut news) = (ClockMap::default(), News::default());
        let mut told = Vec::new();
        for second in 1..=12 {
            let at = BootNanos(second * S);
            let instant = Instant::Hardware(HwClock::Phc(0), HwNanos(second * S));
            map.observe(Reading { instant, bracket: Bracket::Boot(at, BootNanos(second * S + 400)) });
            if news.is_due(map.history(), at) {
                news.told(map.history(), at);
                told.push(second);
            }
        }
        // The first one, which knows nothing of the drift, and soon the next.
        assert!(told.starts_with(&[1, 2]) && told.len() <= 4, "{told:?}");
    }
}
