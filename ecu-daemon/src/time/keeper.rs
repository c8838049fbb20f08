//! The thread: a round of readings a second, what it means, and whom it is told.

use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use can_decode::{BootNanos, RawNanos, TaiNanos};
use ecu_core::clock::{
    BoundNotice, BoundWatch, Bracket, Clock, ClockMap, HwClock, Instant, Reading, SyncSource,
};
use rustix::time::{ClockId, DynamicClockId, clock_gettime, clock_gettime_dynamic};
use store::block::{self, ClockSource, LogRecord, Severity};
use tokio::sync::watch;
use tracing::warn;

use super::Clocks;
use super::news::News;
use super::phc::{Outcome, Phc};
use super::sets::Sets;
use super::sync::Authority;
use super::temperature::Thermals;
use crate::clock;
use crate::config::Time;
use crate::status::{ClockState, ClocksStatus, Status, TruthState};
use crate::stop::Stop;

/// How often clocks are read. Oscillators wander by less than the readings' jitter in this time.
const EVERY: Duration = Duration::from_secs(1);
/// How soon a clock that was set is read again: what is stamped meanwhile is put where it was not, or nowhere.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Readings of the system's clock in a row, of which the tightest counts.
const BURST: usize = 5;
/// The service that events are of.
const SERVICE: &str = "ecu-daemon";

/// Lines of each clock that are announced to whoever has nothing of the map yet: about ten minutes.
const ANNOUNCED: usize = 24;

/// The ways on which the map and what happens to clocks become records.
pub struct Recording {
    /// To the engine.
    pub maps: SyncSender<block::ClockMap>,
    /// To the engine, with the log socket's.
    pub events: SyncSender<LogRecord>,
    /// To the uplink: the map in short, as last told.
    pub announce: watch::Sender<Option<block::ClockMap>>,
    /// How long a block is open at most, nanoseconds.
    pub open_ns: i64,
}

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
    thermals: Thermals,
    /// `None` when nothing becomes a record.
    recording: Option<Recording>,
    events_dropped: u64,
}

/// A clock that is reported on.
struct Watched {
    clock: Clock,
    watch: BoundWatch,
    steps: u64,
}

impl<'a> Keeper<'a> {
    /// With ways for maps and events, unless nothing is to become a record.
    pub fn new(time: &Time, clocks: &'a Clocks, status: &'a Status, recording: Option<Recording>) -> Self {
        if let Some(recording) = &recording {
            clocks.map().hold_open(recording.open_ns);
        }
        Self {
            clocks,
            status,
            authority: Authority::new(&time.sync),
            devices: time.devices.clone(),
            phcs: Vec::new(),
            watched: Vec::new(),
            limit_ns: time.limit_ns,
            news: News::default(),
            thermals: Thermals::new(time.temperature.clone()),
            recording,
            events_dropped: 0,
        }
    }

    /// Runs until `end`, and hands over the last of the map then. Whoever sets `end` may unpark the thread.
    pub fn run(mut self, end: &Stop) {
        let sets = Sets::watch();
        loop {
            let started = std::time::Instant::now();
            self.round();
            let is_last = end.is_set();
            self.tell_engine(is_last);
            if is_last {
                return;
            }
            while let Some(left) = EVERY.checked_sub(started.elapsed())
                && !(end.is_set() || sets.happened())
            {
                thread::park_timeout(left.min(LOOK_EVERY));
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
        let after = [read_realtime(), read_raw(), read_tai()];
        {
            let mut map = self.clocks.map();
            after.into_iter().flatten().for_each(|reading| {
                map.observe(reading);
            });
        }
        self.thermals.round(clock::boot());
        self.tell(&stamping);
    }

    /// Those that are configured and those that stamp a bus. One that stamps none any more is closed.
    fn open_phcs(&mut self, stamping: &[Option<HwClock>]) {
        let (devices, clocks) = (&self.devices, self.clocks);
        self.phcs.retain(|phc| {
            let is_named = devices.iter().any(|number| phc.clock() == HwClock::Phc(*number));
            let is_wanted = is_named || stamping.contains(&Some(phc.clock()));
            if !is_wanted {
                clocks.map().lose(phc.clock());
            }
            is_wanted
        });
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
        let clocks: Vec<Clock> = [Clock::Realtime, Clock::MonotonicRaw, Clock::Tai]
            .into_iter()
            .chain(self.phcs.iter().map(|phc| Clock::Hardware(phc.clock())))
            .chain(stamping.iter().flatten().map(|clock| Clock::Hardware(*clock)))
            .collect();
        // A bus that is gone takes its clock along.
        self.watched.retain(|watched| clocks.contains(&watched.clock));
        for clock in clocks {
            if self.watched.iter().all(|watched| watched.clock != clock) {
                let watch = BoundWatch::new(self.limit_ns);
                let steps = self.clocks.map().status(clock, now).map_or(0, |status| status.counts.steps);
                self.watched.push(Watched { clock, watch, steps });
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
            stamping.iter().map(|clock| clock.map_or(Clock::Realtime, Clock::Hardware).to_string()).collect();
        let (limit_ns, events_dropped) = (self.limit_ns, self.events_dropped);
        let temperature = self.thermals.milli_celsius();
        *self.status.clocks() =
            ClocksStatus { clocks, buses, version, limit_ns, events_dropped, temperature };
    }

    /// A line in the log, and a record that is stored and sent.
    fn say(&mut self, body: String) {
        warn!("{body}");
        let Some(Recording { events, .. }) = &self.recording else { return };
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
        let Some(Recording { maps, announce, .. }) = &self.recording else { return };
        let now = clock::boot();
        let map = self.clocks.map();
        if !is_last && !self.news.is_due(map.history(), now) {
            return;
        }
        let Some(mut block) = map.history().block(self.news.since()) else { return };
        block.temperatures = self.thermals.kept().to_vec();
        // Announced first: a block that names a version is not to be there before it can be had.
        announce.send_replace(map.history().digest(ANNOUNCED));
        if maps.try_send(block).is_ok() {
            self.news.told(map.history(), now);
            self.thermals.told();
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
        let name = self.clock.to_string();
        let truth = map.history().truth(now, status.error_ns).map(|truth| TruthState {
            error_ns: truth.error_ns,
            source: match truth.source {
                SyncSource::Kernel => "kernel",
                SyncSource::Ptp => "ptp",
                SyncSource::Configured => "configured",
            },
            is_held: truth.is_held,
        });
        // No record has a stamp of the others.
        let has_stamps = !matches!(self.clock, Clock::MonotonicRaw | Clock::Tai);
        if has_stamps && status.counts.steps > self.steps {
            said.push(format!("clock {name} was stepped; records before and after are placed by its lines"));
            self.steps = status.counts.steps;
        }
        let limit = Duration::from_nanos(limit_ns);
        let notice =
            if has_stamps { self.watch.observe(now, truth.map(|truth| truth.error_ns)) } else { None };
        match notice {
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

fn read_realtime() -> Option<Reading> {
    read(|| Some(Instant::Realtime(clock::realtime())))
}

fn read_raw() -> Option<Reading> {
    read(|| {
        let now = clock_gettime(ClockId::MonotonicRaw);
        Some(Instant::Raw(RawNanos::from_timespec(now.tv_sec, now.tv_nsec)))
    })
}

/// What the kernel takes for TAI: `CLOCK_REALTIME` until it is told how many seconds there are between the two.
fn read_tai() -> Option<Reading> {
    read(|| {
        let now = clock_gettime_dynamic(DynamicClockId::Tai).ok()?;
        Some(Instant::Tai(TaiNanos::from_timespec(now.tv_sec, now.tv_nsec)))
    })
}

/// One of the system's clocks between two readings of `CLOCK_BOOTTIME`.
fn read(instant: impl Fn() -> Option<Instant>) -> Option<Reading> {
    Reading::tightest((0..BURST).filter_map(|_| {
        let (before, instant) = (clock::boot(), instant()?);
        Some(Reading { instant, bracket: Bracket::Boot(before, clock::boot()) })
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
