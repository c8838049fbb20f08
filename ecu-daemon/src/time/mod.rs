//! Time: the system's clocks and PTP hardware clocks are read once a second, by a thread that a slow device may hold up
//! without holding up anybody else. What it learns is the clock map, which capture places hardware stamps with and which goes
//! to the ring as blocks.

mod keeper;
mod news;
mod phc;
mod ptp4l;
mod sets;
mod sync;
mod temperature;

use std::sync::{Mutex, MutexGuard, PoisonError};

use can_decode::{BootNanos, HwNanos, RealtimeNanos};
use ecu_core::clock::{Basis, Clock, ClockMap, HwClock, Instant, Pairs, Placed, Reading};

use crate::clock;
pub use keeper::{Keeper, Recording};

/// How long before it was read here a frame was stamped at most: what the socket's buffer holds, and a stall of this thread.
const PATIENCE_NS: i64 = 10_000_000_000;
/// What the system's clock may have been steered by since it was last read; what is more is a step that the map lacks.
const STEERED_NS: u64 = 1_000_000;

/// How much later than the controller the kernel stamps a frame at most. What is further apart is a clock in hardware that was
/// set since it was last read.
const LATE_NS: i64 = 100_000_000;

/// What the clocks are known to show; shared by capture and the thread that reads them.
#[derive(Debug, Default)]
pub struct Clocks {
    map: Mutex<ClockMap>,
    /// The clocks that stamp buses, by bus; `None` where only the kernel does.
    stamping: Mutex<Vec<Option<Stamper>>>,
}

/// The clock behind the stamps of a bus.
#[derive(Clone, Copy, Debug)]
struct Stamper {
    clock: HwClock,
    pairs: Pairs,
}

/// A thread that panicked left whole readings behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clocks {
    /// For so many buses.
    pub fn new(buses: usize) -> Self {
        // Ten a second are more than there ever are, so that a process which starts later in this boot begins with a higher one.
        let origin = u32::try_from(clock::boot().0 / 100_000_000).unwrap_or(u32::MAX / 2);
        let map = Mutex::new(ClockMap::counting_from(origin));
        Self { map, stamping: Mutex::new(vec![None; buses]) }
    }

    /// The map. Not to be held while anything is read or waited for.
    pub fn map(&self) -> MutexGuard<'_, ClockMap> {
        lock(&self.map)
    }

    /// Says which clock stamps a bus from now on, and how late the kernel stamps its frames at most, nanoseconds.
    pub fn stamp(&self, bus: usize, clock: Option<HwClock>, latency_ns: i64) {
        if let Some(stamper) = lock(&self.stamping).get_mut(bus) {
            *stamper = clock.map(|clock| Stamper { clock, pairs: Pairs::new(clock, latency_ns) });
        }
    }

    /// The clock that stamps each bus.
    pub fn stamping(&self) -> Vec<Option<HwClock>> {
        lock(&self.stamping).iter().map(|stamper| stamper.map(|stamper| stamper.clock)).collect()
    }

    /// What frames tell of the timers that stamp them: to be taken in right before the system's clock is read.
    fn take_pairs(&self) -> Vec<Reading> {
        lock(&self.stamping).iter_mut().flatten().filter_map(|stamper| stamper.pairs.take()).collect()
    }

    /// Begins a batch of frames of a bus that `clock` stamps, which are all here at `now`, when `CLOCK_REALTIME` shows
    /// `realtime`.
    pub fn batch(&self, bus: usize, clock: HwClock, now: BootNanos, realtime: RealtimeNanos) -> Batch<'_> {
        let map = self.map();
        // A step that is not in the map yet would put the frames where they were not.
        let is_whole = map.history().newest(Clock::Realtime).is_some_and(|line| {
            line.shown_at(now).abs_diff(realtime.0) <= line.error_at(now).saturating_add(STEERED_NS)
        });
        let drift_ppt = map.history().newest(Clock::Hardware(clock)).map_or(0, |line| line.drift_ppt);
        Batch { map, stamping: lock(&self.stamping), bus, clock, now, drift_ppt, is_whole }
    }
}

/// Places the hardware stamps of a batch of frames.
pub struct Batch<'a> {
    map: MutexGuard<'a, ClockMap>,
    stamping: MutexGuard<'a, Vec<Option<Stamper>>>,
    bus: usize,
    clock: HwClock,
    now: BootNanos,
    drift_ppt: i64,
    is_whole: bool,
}

impl Batch<'_> {
    /// The UTC of a frame by its hardware stamp, nanoseconds since 1970; `None` while that is not known. A frame that the kernel
    /// has stamped as well is a reading of a timer that nothing else can read.
    pub fn place(&mut self, hardware: HwNanos, software: Option<RealtimeNanos>) -> Option<i64> {
        if let (HwClock::Timer(_), Some(software)) = (self.clock, software)
            && let Some(Some(stamper)) = self.stamping.get_mut(self.bus)
        {
            stamper.pairs.observe(hardware, software, self.drift_ppt);
        }
        if !self.is_whole {
            return None;
        }
        let placed = self.map.map(Instant::Hardware(self.clock, hardware), self.now, PATIENCE_NS);
        let software = software
            .map(|software| self.map.map(Instant::Realtime(software), self.now, PATIENCE_NS))
            .filter(|software| software.basis == Basis::Stamp);
        let is_sound =
            placed.basis == Basis::Stamp && software.is_none_or(|software| is_soon_after(&placed, &software));
        placed.truth.filter(|_| is_sound).map(|truth| truth.utc.0)
    }
}

/// Whether the kernel's stamp of a frame came as soon after the controller's as it can: not before it, and not late.
fn is_soon_after(hardware: &Placed, software: &Placed) -> bool {
    let late_ns = software.boot.since(hardware.boot);
    let error_ns = hardware.boot_error_ns.saturating_add(software.boot_error_ns);
    let error_ns = i64::try_from(error_ns).unwrap_or(i64::MAX);
    (error_ns.saturating_neg()..=LATE_NS.saturating_add(error_ns)).contains(&late_ns)
}

#[cfg(test)]
mod tests {
    use ecu_core::clock::{Bracket, Sync, SyncSource, TaiUtc, Timescale};

    use super::*;

    const S: i64 = 1_000_000_000;
    const UTC: i64 = 1_700_000_000 * S;
    const PHC: HwClock = HwClock::Phc(0);

    /// Ten seconds in which PHC and `CLOCK_REALTIME` were read once a second.
    fn clocks(clock: HwClock) -> Clocks {
        let clocks = Clocks::new(1);
        clocks.stamp(0, Some(clock), 1_000);
        for second in 1..=10 {
            let read = |instant, at: i64| {
                let bracket = Bracket::Boot(BootNanos(at), BootNanos(at + 100));
                clocks.map().observe(Reading { instant, bracket });
            };
            read(Instant::Realtime(RealtimeNanos(UTC + second * S + 50)), second * S);
            if clock == PHC {
                read(Instant::Hardware(clock, HwNanos(7 * S + second * S + 550)), second * S + 500);
            }
        }
        clocks
    }

    fn synchronise(clocks: &Clocks) {
        let sync = Sync {
            source: SyncSource::Kernel,
            timescale: Timescale::Utc,
            error_ns: 500,
            tai_utc: TaiUtc::BUILT_IN,
        };
        clocks.map().synchronise(Clock::Realtime, Some(sync));
        let bracket = Bracket::Boot(BootNanos(11 * S), BootNanos(11 * S + 100));
        let instant = Instant::Realtime(RealtimeNanos(UTC + 11 * S + 50));
        clocks.map().observe(Reading { instant, bracket });
    }

    #[test]
    fn a_hardware_stamp_is_placed_once_there_is_truth() {
        let clocks = clocks(PHC);
        let (now, realtime) = (BootNanos(11 * S + 200), RealtimeNanos(UTC + 11 * S + 200));
        let stamp = HwNanos(7 * S + 11 * S - 40);
        assert_eq!(clocks.batch(0, PHC, now, realtime).place(stamp, None), None, "nobody says what is right");
        synchronise(&clocks);
        let placed = clocks.batch(0, PHC, now, realtime).place(stamp, None).unwrap();
        assert!(placed.abs_diff(UTC + 11 * S - 40) < 1_000, "{placed}");
        let outside = HwNanos(400 * S);
        assert_eq!(clocks.batch(0, PHC, now, realtime).place(outside, None), None, "no stamp of that time");
        assert_eq!(clocks.stamping(), [Some(PHC)]);
    }

    #[test]
    fn after_a_step_that_the_map_lacks_nothing_is_placed() {
        let clocks = clocks(PHC);
        synchronise(&clocks);
        let (now, stamp) = (BootNanos(11 * S + 200), HwNanos(7 * S + 11 * S - 40));
        let realtime = RealtimeNanos(UTC + 11 * S + 200 - 3_600 * S);
        assert_eq!(clocks.batch(0, PHC, now, realtime).place(stamp, None), None);
    }

    #[test]
    fn a_stamp_of_a_clock_that_was_set_since_it_was_read_is_not_believed() {
        let clocks = clocks(PHC);
        synchronise(&clocks);
        let (now, realtime) = (BootNanos(11 * S + 200), RealtimeNanos(UTC + 11 * S + 200));
        let software = Some(RealtimeNanos(UTC + 11 * S));
        let mut batch = clocks.batch(0, PHC, now, realtime);
        let mut check = |ahead_ns: i64, is_placed: bool| {
            let stamp = HwNanos(7 * S + 11 * S - 40 + ahead_ns);
            assert_eq!(batch.place(stamp, software).is_some(), is_placed, "{ahead_ns}");
        };
        check(0, true);
        check(-20_000_000, true);
        check(-200_000_000, false);
        check(5_000_000, false);
    }

    #[test]
    fn frames_are_the_readings_of_a_timer() {
        let timer = HwClock::Timer(0);
        let clocks = clocks(timer);
        let (now, realtime) = (BootNanos(10 * S + 200), RealtimeNanos(UTC + 10 * S + 200));
        let mut batch = clocks.batch(0, timer, now, realtime);
        batch.place(HwNanos(3), Some(RealtimeNanos(UTC + 10 * S)));
        drop(batch);
        let readings: Vec<Reading> = clocks.take_pairs();
        assert_eq!(readings.len(), 1, "{readings:?}");
        assert_eq!(readings[0].instant, Instant::Hardware(timer, HwNanos(3)));
        assert_eq!(clocks.take_pairs(), [], "each once");
    }
}
