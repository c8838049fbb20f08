//! The thread: a round of readings a second, what it means, and whom it is told.

use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use can_decode::BootNanos;
use ecu_core::clock::{
    BoundNotice, BoundWatch, Bracket, Clock, ClockMap, HwClock, Instant, Reading, SyncSource,
};
use store::block::{self, ClockSource, LogRecord, Severity};
use tracing::warn;

use super::Clocks;
use super::news::{News, name};
use super::phc::{Outcome, Phc};
use super::sync::Authority;
use crate::clock;
use crate::config::Time;
use crate::status::{ClockState, ClocksStatus, Status, TruthState};
use crate::stop::Stop;

/// How often clocks are read. Oscillators wander by less than the readings' jitter in this time.
const EVERY: Duration = Duration::from_secs(1);
/// Readings of the system's clock in a row, of which the tightest counts.
const BURST: usize = 5;
/// The service that events are of.
const SERVICE: &str = "ecu-daemon";

/// Reads the clocks.
pub struct Keeper<'a> {
    clocks: &'a Clocks,
    status: &'a Status,
    authority: Authority,
    devices: Vec<u8>,
    phcs: Vec<Phc>,
    watched: Vec<Watched>,
    limit_ns: u64,
    news: News,
    /// To the engine; `None` when nothing becomes a record.
    records: Option<(SyncSender<block::ClockMap>, SyncSender<LogRecord>)>,
    events_dropped: u64,
}

/// A clock that is reported on.
struct Watched {
    clock: Clock,
    watch: BoundWatch,
    steps: u64,
}

impl<'a> Keeper<'a> {
    /// With a way to the engine for maps and events, unless nothing is to become a record.
    pub fn new(
        time: &Time,
        clocks: &'a Clocks,
        status: &'a Status,
        records: Option<(SyncSender<block::ClockMap>, SyncSender<LogRecord>)>,
    ) -> Self {
        Self {
            clocks,
            status,
            authority: Authority::new(&time.sync),
            devices: time.devices.clone(),
            phcs: Vec::new(),
            watched: Vec::new(),
            limit_ns: time.limit_ns,
            news: News::default(),
            records,
            events_dropped: 0,
        }
    }

    /// Runs until `end`, and hands over the last of the map then. Whoever sets `end` may unpark the thread.
    pub fn run(mut self, end: &Stop) {
        loop {
            let started = std::time::Instant::now();
            self.round();
            let is_last = end.is_set();
            self.tell_engine(is_last);
            if is_last {
                return;
            }
            while let Some(left) = EVERY.checked_sub(started.elapsed())
                && !end.is_set()
            {
                thread::park_timeout(left);
            }
        }
    }

    /// Reads everything once. A reading of a PHC stands between two of the system's clock, which it is compared with.
    fn round(&mut self) {
        let word = self.authority.ask();
        let stamping = self.clocks.stamping();
        self.open_phcs(&stamping);
        let pairs = self.clocks.take_pairs();
        let before = read_realtime();
        {
            let mut map = self.clocks.map();
            word.tell(&mut map);
            for reading in pairs.into_iter().chain(before) {
                map.observe(reading);
            }
        }
        for phc in &mut self.phcs {
            match phc.read() {
                Outcome::Read(reading) => {
                    self.clocks.map().observe(reading);
                }
                Outcome::Nothing => {}
                Outcome::Gone => self.clocks.map().lose(phc.clock()),
            }
        }
        if let Some(reading) = read_realtime() {
            self.clocks.map().observe(reading);
        }
        self.tell(&stamping);
    }

    /// Those that are configured and those that stamp a bus.
    fn open_phcs(&mut self, stamping: &[Option<HwClock>]) {
        let stamping = stamping.iter().filter_map(|clock| match clock {
            Some(HwClock::Phc(number)) => Some(*number),
            _ => None,
        });
        for number in self.devices.iter().copied().chain(stamping) {
            if self.phcs.iter().all(|phc| phc.clock() != HwClock::Phc(number)) {
                self.phcs.push(Phc::new(number));
            }
        }
    }

    /// Says what has changed, in the log, as events, and for /metrics.
    fn tell(&mut self, stamping: &[Option<HwClock>]) {
        let now = clock::boot();
        let clocks = std::iter::once(Clock::Realtime)
            .chain(self.phcs.iter().map(|phc| Clock::Hardware(phc.clock())))
            .chain(stamping.iter().flatten().map(|clock| Clock::Hardware(*clock)));
        for clock in clocks {
            if self.watched.iter().all(|watched| watched.clock != clock) {
                let watch = BoundWatch::new(self.limit_ns);
                self.watched.push(Watched { clock, watch, steps: 0 });
            }
        }
        let mut said = Vec::new();
        let map = self.clocks.map();
        let version = map.history().version();
        let seen = |watched: &mut Watched| watched.look(&map, now, self.limit_ns, &mut said);
        let clocks = self.watched.iter_mut().filter_map(seen).collect();
        drop(map);
        for text in said {
            self.say(text);
        }
        let buses =
            stamping.iter().map(|clock| name(clock.map_or(Clock::Realtime, Clock::Hardware))).collect();
        let (limit_ns, events_dropped) = (self.limit_ns, self.events_dropped);
        *self.status.clocks() = ClocksStatus { clocks, buses, version, limit_ns, events_dropped };
    }

    /// A line in the log, and a record that is stored and sent.
    fn say(&mut self, body: String) {
        warn!("{body}");
        let Some((_, events)) = &self.records else { return };
        let record = LogRecord {
            time_ns: clock::realtime().0,
            clock: ClockSource::UserSpace,
            severity: Severity::WARN,
            service: SERVICE.to_owned(),
            body,
            trace: None,
        };
        self.events_dropped += u64::from(events.try_send(record).is_err());
    }

    /// Hands the engine what is new in the map. One that is not taken is handed over later, with what has come since.
    fn tell_engine(&mut self, is_last: bool) {
        let Some((maps, _)) = &self.records else { return };
        let now = clock::boot();
        let map = self.clocks.map();
        if !is_last && !self.news.is_due(map.history(), now) {
            return;
        }
        let Some(block) = map.history().block(self.news.since()) else { return };
        if maps.try_send(block).is_ok() {
            self.news.told(map.history(), now);
        }
    }
}

impl Watched {
    /// The clock's state, and what is to be said of it; `None` before its first reading.
    fn look(
        &mut self,
        map: &ClockMap,
        now: BootNanos,
        limit_ns: u64,
        said: &mut Vec<String>,
    ) -> Option<ClockState> {
        let status = map.status(self.clock, now)?;
        let name = name(self.clock);
        let truth = map.history().truth(now, status.error_ns).map(|truth| TruthState {
            error_ns: truth.error_ns,
            source: match truth.source {
                SyncSource::Kernel => "kernel",
                SyncSource::Ptp => "ptp",
                SyncSource::Configured => "configured",
            },
            is_held: truth.is_held,
        });
        if status.counts.steps > self.steps {
            said.push(format!("clock {name} was stepped; records before and after are placed by its lines"));
            self.steps = status.counts.steps;
        }
        let limit = Duration::from_nanos(limit_ns);
        match self.watch.observe(now, truth.map(|truth| truth.error_ns)) {
            Some(BoundNotice::Exceeded(None)) => said.push(format!(
                "clock {name} is not synchronised: its records have no place in true time yet"
            )),
            Some(BoundNotice::Exceeded(Some(error_ns))) => {
                let error = Duration::from_nanos(error_ns);
                said.push(format!(
                    "clock {name} may be off true time by {error:?}, more than the limit of {limit:?}"
                ));
            }
            Some(BoundNotice::Kept(after_ns)) => {
                let after = Duration::from_nanos(after_ns.unsigned_abs());
                said.push(format!("clock {name} is within the limit of {limit:?} again, after {after:?}"));
            }
            None => {}
        }
        let against = map.status(Clock::Realtime, now).filter(|_| self.clock != Clock::Realtime);
        Some(ClockState {
            name,
            against: if against.is_some() { "realtime" } else { "boottime" },
            offset_ns: status.offset_ns.saturating_sub(against.map_or(0, |realtime| realtime.offset_ns)),
            drift_ppt: status.drift_ppt,
            error_ns: status.error_ns,
            truth,
            is_exceeded: self.watch.is_exceeded(),
            unsynchronised_ns: self.watch.unsynchronised_ns(),
            readings: status.counts.readings,
            outliers: status.counts.outliers,
            steps: status.counts.steps,
        })
    }
}

/// `CLOCK_REALTIME` between two readings of `CLOCK_BOOTTIME`.
fn read_realtime() -> Option<Reading> {
    Reading::tightest((0..BURST).map(|_| {
        let before = clock::boot();
        let instant = Instant::Realtime(clock::realtime());
        Reading { instant, bracket: Bracket::Boot(before, clock::boot()) }
    }))
}

#[cfg(test)]
mod tests {
    use can_decode::RealtimeNanos;
    use ecu_core::clock::{Sync, TaiUtc, Timescale};

    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn what_becomes_of_a_clock_is_said_once() {
        let mut map = ClockMap::default();
        let mut watched = Watched { clock: Clock::Realtime, watch: BoundWatch::new(50_000), steps: 0 };
        let mut look = |ahead: i64, second: i64, error_ns: Option<u64>| {
            let (source, timescale) = (SyncSource::Kernel, Timescale::Utc);
            let sync =
                error_ns.map(|error_ns| Sync { source, timescale, error_ns, tai_utc: TaiUtc::BUILT_IN });
            map.synchronise(Clock::Realtime, sync);
            let at = BootNanos(second * S);
            let instant = Instant::Realtime(RealtimeNanos((second + ahead) * S));
            map.observe(Reading { instant, bracket: Bracket::Boot(at, at) });
            let mut said = Vec::new();
            let state = watched.look(&map, at, 50_000, &mut said).unwrap();
            (said.join("; "), state)
        };
        let (said, state) = look(0, 1, None);
        assert!(said.contains("not synchronised") && state.truth.is_none() && state.is_exceeded, "{said}");
        assert_eq!(look(0, 2, None).0, "");
        let (said, state) = look(0, 3, Some(1_000));
        assert!(said.contains("again") && !state.is_exceeded, "{said}");
        assert_eq!((state.unsynchronised_ns, state.truth.unwrap().source), (2 * S, "kernel"));
        let (said, state) = look(-3_600, 4, Some(1_000));
        assert!(said.contains("stepped") && state.steps == 1, "{said}");
    }
}
