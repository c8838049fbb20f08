//! The clock map as a block of its own, for gateways that do not get the ring's: they share those among them.

use std::time::Duration;

use store::block::{Body, BootId, Class, ClockMap, Kind, SchemaHash, Sealer};
use tracing::warn;

use crate::clock;

/// How long the broker keeps the map of a boot: as long as the ring keeps the blocks of its maps.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// A map is small, and goes out once a minute at most.
const ZSTD_LEVEL: i32 = 3;

/// Seals maps.
#[derive(Default)]
pub(super) struct MapSealer {
    sealer: Option<(BootId, Sealer)>,
    has_failed: bool,
}

impl MapSealer {
    /// The boot that the map is of, and its block; `None` when there can be none, which is said once.
    pub(super) fn seal(&mut self, map: &ClockMap) -> Option<(BootId, Vec<u8>)> {
        match self.try_seal(map) {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    warn!(
                        "the clock map is not announced: {error}; gateways place by what the blocks tell them"
                    );
                }
                None
            }
        }
    }

    fn try_seal(&mut self, map: &ClockMap) -> std::io::Result<(BootId, Vec<u8>)> {
        let (boot, sealer) = match &mut self.sealer {
            Some(sealer) => sealer,
            none => {
                let boot = clock::boot_id()?;
                let run = clock::boot().0 as u64 / 1_000;
                none.insert((boot, Sealer::new(boot, run, ZSTD_LEVEL)?))
            }
        };
        sealer.body.clear();
        map.encode(&mut sealer.body).map_err(std::io::Error::other)?;
        sealer.set_clock_map(map.id);
        let body = Body {
            kind: Kind::ClockMap,
            class: Class::Traces,
            schema: SchemaHash::default(),
            count: map.segments.len() as u32,
            span_ns: (0, 0),
            sealed_boot_ns: clock::boot().0,
        };
        Ok((*boot, sealer.seal(body)?.bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use store::block::{Records, open};

    use super::*;

    #[test]
    fn a_map_is_a_block_of_this_boot() {
        let map = ClockMap { id: 7, open_ns: 5, segments: Vec::new(), temperatures: Vec::new() };
        let mut sealer = MapSealer::default();
        for _ in 0..2 {
            let (boot, block) = sealer.seal(&map).unwrap();
            let (header, records) = open(&block).unwrap();
            assert_eq!((header.identity.boot, header.clock_map), (boot, 7));
            assert_eq!(boot, clock::boot_id().unwrap());
            assert!(matches!(records, Records::ClockMap(found) if found == map));
        }
    }
}
