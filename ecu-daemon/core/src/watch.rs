//! What the frames of one bus say of their senders: each one is shown to an [`Observer`], and what is wrong for the first
//! time is reported.

use can_decode::e2e::Status;
use can_decode::observe::{ConflictSigns, Events, IdStatistics, Observation, Observer, Totals};
use can_decode::{BootNanos, CanId, MessageIndex};
use store::block::ClockSource;

use crate::collect::Action;
use crate::record::{BusIndex, FrameRecord, Stamp};

/// Reports of one kind for each bus and run. Each identifier is reported once; a database that does not fit the bus has
/// something to report of most of them.
const REPORTS_MAX: usize = 32;
/// Stamps that go on by so much more, or less, than the time of their arrival are of a clock that was stepped. Frames
/// wait for the engine 200 ms at most.
const STEP_NS: i64 = 500_000_000;

/// Something that a bus shows for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The bus.
    pub bus: BusIndex,
    /// The frame that showed it.
    pub id: CanId,
    /// What the frame is in the bus's decode table.
    pub message: Option<MessageIndex>,
    /// When it was on the bus.
    pub stamp: Stamp,
    /// What is wrong.
    pub suspicion: Suspicion,
    /// Whether no further ones of this kind are reported of this bus; they are counted.
    pub is_last: bool,
}

/// What may be wrong with an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Two senders share it.
    Conflict(ConflictSigns),
    /// It does not keep the cycle that its database declares.
    CycleDiffers {
        /// The declared cycle, nanoseconds.
        declared_ns: u64,
        /// The cycle that it keeps, nanoseconds.
        seen_ns: u64,
    },
    /// Its end-to-end protection does not hold.
    E2e(Status),
}

/// The identifiers of which one kind of [`Suspicion`] was reported.
#[derive(Debug)]
struct Reported(Vec<CanId>);

impl Default for Reported {
    fn default() -> Self {
        Self(Vec::with_capacity(REPORTS_MAX))
    }
}

impl Reported {
    /// Whether to report this one now, and whether it is the last one.
    fn take(&mut self, id: CanId) -> Option<bool> {
        if self.0.len() >= REPORTS_MAX || self.0.contains(&id) {
            return None;
        }
        self.0.push(id);
        Some(self.0.len() == REPORTS_MAX)
    }
}

/// Watches one bus.
#[derive(Debug)]
pub struct Watch {
    observer: Observer,
    /// The last frame's stamp, and when it arrived here.
    last: Option<(Stamp, BootNanos)>,
    conflicts: Reported,
    cycles: Reported,
    e2e: Reported,
}

impl Watch {
    pub(crate) fn new(observer: Observer) -> Self {
        let (conflicts, cycles, e2e) = Default::default();
        Self { observer, last: None, conflicts, cycles, e2e }
    }

    /// Takes a frame; `message` is what it is in the bus's decode table.
    #[inline]
    pub(crate) fn frame(
        &mut self,
        record: &FrameRecord,
        message: Option<MessageIndex>,
        now: BootNanos,
        perform: &mut impl FnMut(Action),
    ) {
        if self.is_stepped(record.stamp, now) || record.follows_loss {
            self.observer.interrupt();
        }
        let observation = self.observer.observe(&record.frame, record.stamp.ns, message);
        let is_bad = observation.e2e.is_some_and(|checked| !checked.status.is_ok());
        let is_odd = |event| observation.events.contains(event);
        if is_bad || is_odd(Events::CONFLICT) || is_odd(Events::CYCLE_DIFFERS) {
            self.report(record, message, &observation, perform);
        }
    }

    /// What has happened on the bus.
    pub const fn totals(&self) -> &Totals {
        self.observer.totals()
    }

    /// How each identifier does at `now`, in the order in which they were seen.
    pub fn statistics(&self, now: BootNanos) -> impl ExactSizeIterator<Item = IdStatistics> + '_ {
        self.observer.statistics(self.stamp_ns(now))
    }

    /// What a frame that came `now` would be stamped. A recording's clock stands still between its frames: how fast it
    /// is played is no matter of its senders.
    fn stamp_ns(&self, now: BootNanos) -> i64 {
        self.last.map_or(0, |(stamp, arrived)| match stamp.clock {
            ClockSource::Recorded => stamp.ns,
            _ => stamp.ns.saturating_add(now.since(arrived).max(0)),
        })
    }

    /// Whether the stamps' clock was set, or is another one, since the last frame. A recording's stamps have nothing to
    /// do with the time at which it is played; of them only a step back shows, where another recording was appended.
    #[inline]
    fn is_stepped(&mut self, stamp: Stamp, now: BootNanos) -> bool {
        let Some((before, arrived)) = self.last.replace((stamp, now)) else { return false };
        if before.clock != stamp.clock {
            return true;
        }
        let moved_ns = stamp.ns.saturating_sub(before.ns);
        if stamp.clock == ClockSource::Recorded {
            return moved_ns < -STEP_NS;
        }
        !(-STEP_NS..=STEP_NS).contains(&moved_ns.saturating_sub(now.since(arrived)))
    }

    #[cold]
    fn report(
        &mut self,
        record: &FrameRecord,
        message: Option<MessageIndex>,
        observation: &Observation,
        perform: &mut impl FnMut(Action),
    ) {
        let FrameRecord { bus, stamp, frame, .. } = *record;
        let id = frame.id();
        let mut tell = |reported: &mut Reported, suspicion: &dyn Fn() -> Suspicion| {
            if let Some(is_last) = reported.take(id) {
                let suspicion = suspicion();
                perform(Action::Report(Notice { bus, id, message, stamp, suspicion, is_last }));
            }
        };
        if let Some(checked) = observation.e2e.filter(|checked| !checked.status.is_ok()) {
            tell(&mut self.e2e, &|| Suspicion::E2e(checked.status));
        }
        // Looked for only where there is something to report, so a few times in a run.
        let statistics = || self.observer.statistics(stamp.ns).find(|one| one.id == id);
        if observation.events.contains(Events::CONFLICT) {
            tell(&mut self.conflicts, &|| {
                Suspicion::Conflict(statistics().map(|one| one.conflict).unwrap_or_default())
            });
        }
        if observation.events.contains(Events::CYCLE_DIFFERS) {
            tell(&mut self.cycles, &|| {
                let cycles = statistics().map(|one| (one.cycle_declared_ns, one.cycle_ns));
                let (declared_ns, seen_ns) = cycles.unwrap_or_default();
                Suspicion::CycleDiffers {
                    declared_ns: declared_ns.unwrap_or(0),
                    seen_ns: seen_ns.unwrap_or(0),
                }
            });
        }
    }
}
