//! What has been seen so far, of one identifier and of a bus.

use super::{ConflictSigns, Events, Observation};
use crate::e2e::Status;
use crate::frame::CanId;
use crate::table::MessageIndex;

/// How often each end-to-end status was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts([u64; Status::ALL.len()]);

impl StatusCounts {
    /// Frames with this status.
    pub const fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// Frames whose protection does not hold: all but those that [`Status::is_ok`].
    pub fn bad(&self) -> u64 {
        Status::ALL.into_iter().filter(|status| !status.is_ok()).map(|status| self.of(status)).sum()
    }

    pub(super) const fn count(&mut self, status: Status) {
        self.0[status as usize] += 1;
    }
}

/// How one identifier does. Times are in nanoseconds; counts are since the first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdStatistics {
    /// The identifier.
    pub id: CanId,
    /// What its first frame was found to be in the decode table.
    pub message: Option<MessageIndex>,
    /// Frames, remote requests included.
    pub frames: u64,
    /// Remote requests.
    pub remote: u64,
    /// Frames in 1000 s: of the last second or more in which frames came, or of the silence since.
    pub rate_millihertz: u64,
    /// The last period; `None` before the second frame, here and in the next three. 0 behind a step of the clock.
    pub period_last_ns: Option<u64>,
    /// The shortest period since the start, or since [`super::Observer::restart_extremes`]; `None` while there is none.
    pub period_min_ns: Option<u64>,
    /// The longest one.
    pub period_max_ns: Option<u64>,
    /// Mean of all periods.
    pub period_mean_ns: Option<u64>,
    /// Cycle time that is expected of it.
    pub cycle_declared_ns: Option<u64>,
    /// Cycle time that its frames are held against; `None` while they keep none.
    pub cycle_ns: Option<u64>,
    /// Smoothed deviation from that cycle (RFC 3550 §6.4.1, with the cycle as the sender's clock).
    pub jitter_ns: Option<u64>,
    /// Whole cycles in which no frame has come since the last one.
    pub overdue_cycles: u64,
    /// Frames that came late.
    pub late: u64,
    /// Cycles without a frame before late ones.
    pub missed_cycles: u64,
    /// Frames that came early.
    pub early: u64,
    /// Changes of length.
    pub length_changes: u64,
    /// Whether it has an alive counter that counts.
    pub has_counter: bool,
    /// Gaps in the alive counter.
    pub counter_gaps: u64,
    /// Frames missing in those gaps.
    pub counter_lost: u64,
    /// Frames with the counter of the frame before.
    pub counter_repeated: u64,
    /// How often a sign of a second sender has come up.
    pub conflicts: u64,
    /// The signs of a second sender that there are now.
    pub conflict: ConflictSigns,
    /// End-to-end statuses, where the message is protected.
    pub e2e: Option<StatusCounts>,
}

/// What has happened on a bus. Every frame is in `frames`; those of identifiers that did not fit are in `not_observed`,
/// too, and in nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames taken, error frames excepted.
    pub frames: u64,
    /// Of those, frames of identifiers beyond the observer's capacity.
    pub not_observed: u64,
    /// Identifiers seen.
    pub ids: u64,
    /// Times before that of the identifier's last frame.
    pub backwards: u64,
    /// Frames that came late.
    pub late: u64,
    /// Cycles without a frame before late ones.
    pub missed_cycles: u64,
    /// Frames that came early.
    pub early: u64,
    /// Identifiers that have begun to keep another cycle than the one that is declared.
    pub cycle_differs: u64,
    /// Identifiers that have begun to keep another cycle than before.
    pub cycle_changed: u64,
    /// Changes of length.
    pub length_changed: u64,
    /// Changes between CAN and CAN-FD, and first remote requests besides data frames.
    pub kind_changed: u64,
    /// Gaps in alive counters.
    pub counter_gaps: u64,
    /// Frames missing in those gaps.
    pub counter_lost: u64,
    /// Frames with the counter of the frame before.
    pub counter_repeated: u64,
    /// Signs of a second sender that have come up.
    pub conflicts: u64,
    /// End-to-end statuses of protected frames.
    pub e2e: StatusCounts,
}

impl Totals {
    #[inline]
    pub(super) fn add(&mut self, observation: &Observation) {
        if let Some(checked) = observation.e2e {
            self.e2e.count(checked.status);
        }
        if !observation.events.is_empty() {
            self.add_events(observation);
        }
    }

    #[cold]
    fn add_events(&mut self, observation: &Observation) {
        let has = |event| u64::from(observation.events.contains(event));
        self.backwards += has(Events::BACKWARDS);
        self.late += has(Events::LATE);
        self.missed_cycles += u64::from(observation.missed_cycles);
        self.early += has(Events::EARLY);
        self.cycle_differs += has(Events::CYCLE_DIFFERS);
        self.cycle_changed += has(Events::CYCLE_CHANGED);
        self.length_changed += has(Events::LENGTH_CHANGED);
        self.kind_changed += has(Events::KIND_CHANGED);
        self.counter_gaps += has(Events::COUNTER_GAP);
        self.counter_lost += u64::from(observation.counter_lost);
        self.counter_repeated += has(Events::COUNTER_REPEATED);
        self.conflicts += has(Events::CONFLICT);
    }
}
