//! When records were taken: what their clocks showed, put right by the clock maps of the ring.

use std::collections::BTreeMap;
use std::rc::Rc;

use can_decode::BootNanos;
use ecu_core::clock::{History, RecordTime, Sealed};
use store::block::{self, BlockHeader, BootId, ClockSource, Kind, Records};
use store::ring::Selection;

use super::source::Source;

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

    /// The times that clocks may have shown at what was truly between these two: which blocks have to be looked at.
    pub(super) fn shown(&self, from_ns: i64, to_ns: i64) -> (i64, i64) {
        let moves = self.boots.values().map(History::moves);
        let (least, most) = moves.fold((0, 0), |all, one| (one.0.min(all.0), one.1.max(all.1)));
        // A nanosecond for what is rounded.
        (from_ns.saturating_sub(most.saturating_add(1)), to_ns.saturating_add(1 - least))
    }
}
