//! What observers counted that a reload has replaced.

use can_decode::e2e;
use can_decode::observe::Totals;
use ecu_core::Watch;

use super::BusObserved;

/// By bus, what all observers counted that a reload has replaced, so that counters go on where they were.
#[derive(Clone, Debug, Default)]
pub struct ObservedBefore(Vec<Counted>);

#[derive(Clone, Debug, Default)]
struct Counted {
    /// All but the end-to-end statuses.
    totals: Totals,
    e2e: [u64; e2e::Status::ALL.len()],
}

impl ObservedBefore {
    pub(super) fn new(buses: usize) -> Self {
        Self(vec![Counted::default(); buses])
    }

    /// Adds what `watches` counted: they are being replaced.
    pub fn add(&mut self, watches: &[Option<Watch>]) {
        for (counted, watch) in self.0.iter_mut().zip(watches) {
            let Some(totals) = watch.as_ref().map(Watch::totals) else { continue };
            add(&mut counted.totals, totals);
            for (sum, status) in counted.e2e.iter_mut().zip(e2e::Status::ALL) {
                *sum += totals.e2e.of(status);
            }
        }
    }

    /// Raises what the present observers counted, end-to-end statuses excepted, by what the ones before them did.
    pub fn raise(&self, observed: &mut [BusObserved]) {
        for (counted, observed) in self.0.iter().zip(observed) {
            if let Some(totals) = &mut observed.totals {
                add(totals, &counted.totals);
            }
        }
    }

    /// Frames of the bus that had this end-to-end status.
    pub fn e2e(&self, bus: usize, status: e2e::Status) -> u64 {
        let at = e2e::Status::ALL.iter().position(|one| *one == status);
        self.0.get(bus).zip(at).map_or(0, |(counted, at)| counted.e2e[at])
    }
}

/// Adds what is counted. Identifiers are those of the present observer: the same ones come again.
const fn add(sum: &mut Totals, other: &Totals) {
    let Totals {
        frames,
        not_observed,
        ids: _,
        backwards,
        late,
        missed_cycles,
        early,
        cycle_differs,
        cycle_changed,
        length_changed,
        kind_changed,
        counter_gaps,
        counter_lost,
        counter_repeated,
        conflicts,
        e2e: _,
    } = *other;
    sum.frames += frames;
    sum.not_observed += not_observed;
    sum.backwards += backwards;
    sum.late += late;
    sum.missed_cycles += missed_cycles;
    sum.early += early;
    sum.cycle_differs += cycle_differs;
    sum.cycle_changed += cycle_changed;
    sum.length_changed += length_changed;
    sum.kind_changed += kind_changed;
    sum.counter_gaps += counter_gaps;
    sum.counter_lost += counter_lost;
    sum.counter_repeated += counter_repeated;
    sum.conflicts += conflicts;
}
