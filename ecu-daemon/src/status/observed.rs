//! What the engine's watches last said, as much of it as is shown.

use can_decode::observe::{IdStatistics, Totals};
use can_decode::{BootNanos, CanId, MessageIndex};
use ecu_core::Watch;

/// What the frames of one bus say of their senders.
#[derive(Clone, Debug, Default)]
pub struct BusObserved {
    /// Of the bus; `None` while it is not observed.
    pub totals: Option<Totals>,
    /// Of its identifiers, those that have something to say.
    pub ids: Vec<IdObserved>,
}

impl BusObserved {
    /// Takes what `watch` says at `now`; of identifiers only `by_message`. Allocates while there are more of them than
    /// ever before.
    pub fn update(&mut self, watch: Option<&Watch>, by_message: bool, now: BootNanos) {
        self.totals = watch.map(|watch| *watch.totals());
        self.ids.clear();
        if let Some(watch) = watch.filter(|_| by_message) {
            self.ids.extend(watch.statistics(now).filter_map(|one| IdObserved::of(&one)));
        }
    }
}

/// How one identifier does, without what there is no need to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdObserved {
    /// The identifier.
    pub id: CanId,
    /// What it is in the bus's decode table.
    pub message: Option<MessageIndex>,
    /// How it keeps its cycle, while it has one.
    pub rhythm: Option<Rhythm>,
    /// Frames missing in gaps of its alive counter, where it has one.
    pub counter_lost: Option<u64>,
    /// Whether there are signs of a second sender now; `None` where there never were.
    pub conflict: Option<bool>,
    /// Frames whose end-to-end protection did not hold, where they have one.
    pub e2e_bad: Option<u64>,
}

/// How an identifier keeps its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The cycle, nanoseconds.
    pub cycle_ns: u64,
    /// Smoothed deviation from it, nanoseconds.
    pub jitter_ns: u64,
    /// Whole cycles since the last frame.
    pub overdue_cycles: u64,
}

impl IdObserved {
    /// `None` when there is nothing to say, and for identifiers that are no message unless two senders share them.
    fn of(one: &IdStatistics) -> Option<Self> {
        let IdStatistics { id, message, overdue_cycles, .. } = *one;
        let conflict = (one.conflicts > 0).then(|| !one.conflict.is_empty());
        if message.is_none() {
            return conflict.map(|_| Self {
                id,
                message,
                rhythm: None,
                counter_lost: None,
                conflict,
                e2e_bad: None,
            });
        }
        let cycle = one.cycle_ns.zip(one.jitter_ns);
        let shown = Self {
            id,
            message,
            rhythm: cycle.map(|(cycle_ns, jitter_ns)| Rhythm { cycle_ns, jitter_ns, overdue_cycles }),
            counter_lost: (one.has_counter || one.counter_gaps > 0).then_some(one.counter_lost),
            conflict,
            e2e_bad: one.e2e.map(|counts| counts.bad()),
        };
        let is_silent = shown.rhythm.is_none()
            && shown.counter_lost.is_none()
            && conflict.is_none()
            && shown.e2e_bad.is_none();
        (!is_silent).then_some(shown)
    }
}
