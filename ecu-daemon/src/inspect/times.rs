//! When records were taken: what their clocks showed, put right by the clock maps of the ring.

use std::collections::BTreeMap;
use std::rc::Rc;

use can_decode::BootNanos;
use ecu_core::clock::{History, RecordTime, Sealed};
use store::block::{self, BlockHeader, BootId, ClockSource, Kind, Records, Samples};
use store::ring::Selection;

use super::source::Source;
use super::walk::Filter;

/// The clock maps of a ring, by boot.
#[derive(Debug, Default)]
pub(super) struct Times {
    boots: BTreeMap<BootId, History>,
}

impl Times {
    /// Those that can be read; what cannot is said.
    pub(super) fn read(source: &Rc<Source>) -> Self {
        let mut times = Self::default();
        let all = Selection { kind: Kind::ClockMap, first_ns: i64::MIN, last_ns: i64::MAX };
        for stored in source.blocks(all) {
            match stored.map_err(|error| error.to_string()).and_then(|stored| {
                block::open(&stored.bytes).map_err(|error| format!("block {}: {error}", stored.id))
            }) {
                Ok((header, Records::ClockMap(map))) => {
                    // What is of more clocks than fit is of clocks that stamp nothing.
                    let _ = times.boots.entry(header.identity.boot).or_default().absorb_block(&map);
                }
                Ok(_) => {}
                Err(error) => {
                    eprintln!(
                        "{error}: some clock maps are missing, and times may be as their clocks showed them"
                    );
                }
            }
        }
        times
    }

    /// The time of a record of a block; `duration_ns` is how long before it was collected it began.
    pub(super) fn of(
        &self,
        header: &BlockHeader,
        source: ClockSource,
        shown_ns: i64,
        duration_ns: u64,
    ) -> RecordTime {
        let Some(map) = self.boots.get(&header.identity.boot) else { return RecordTime::unknown(shown_ns) };
        let duration_ns = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        let open_ns = map.open_ns().saturating_add(duration_ns);
        map.record_time(source, shown_ns, Sealed { at: BootNanos(header.sealed_boot_ns), open_ns })
    }

    /// Puts the times of samples right.
    pub(super) fn place(&self, header: &BlockHeader, samples: &mut Samples) {
        for group in &mut samples.groups {
            for time_ns in &mut group.times_ns {
                *time_ns = self.of(header, group.clock, *time_ns, 0).utc_ns;
            }
        }
    }

    /// Which blocks have to be looked at: they say which times their clocks showed, and a filter which are wanted.
    pub(super) fn widened(&self, filter: &Filter) -> Filter {
        let moves = self.boots.values().map(History::moves);
        let (least, most) = moves.fold((0, 0), |all, one| (one.0.min(all.0), one.1.max(all.1)));
        // A nanosecond for what is rounded.
        let from_ns = filter.from_ns.saturating_sub(most.saturating_add(1));
        let to_ns = filter.to_ns.saturating_add(least.saturating_neg()).saturating_add(1);
        Filter { from_ns, to_ns, ..filter.clone() }
    }
}
