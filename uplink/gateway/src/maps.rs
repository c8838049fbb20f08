//! The clock maps of vehicles, by boot: kept within bounds, filled from whatever arrives.
//!
//! A vehicle sends its maps twice: among its blocks, which reach one gateway of a group, and retained, which every gateway can
//! have. A map that is missing is asked for and waited for a while; then records go out with what is known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use can_decode::BootNanos;
use ecu_core::clock::{History, Sealed};
use store::block::{BlockError, BlockHeader, BootId, ClockMap, Kind, Records, open};
use uplink::topic::VehicleId;

/// Boots whose maps are kept.
const BOOTS_MAX: usize = 4096;
/// Lines of all of them together; one takes about 200 bytes.
const LINES_MAX: usize = 1 << 18;
/// Largest body of a map: what fits into the limits is far below.
const MAP_BYTES_MAX: usize = 4 << 20;
/// For how long a boot's map is not waited for after it was given up.
const GIVEN_UP_FOR: Duration = Duration::from_secs(60);

/// Why a message is not the clock map of its topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MapError {
    /// The payload is not a readable block.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The block is no map.
    #[error("holds a block of {0:?}, not a clock map")]
    Kind(Kind),
    /// The map is of another boot.
    #[error("holds the map of boot {0}, which is another one than its topic says")]
    Boot(BootId),
    /// Too large to open.
    #[error("clock map of {0} bytes exceeds the gateway's limit of {MAP_BYTES_MAX}")]
    TooLong(u32),
}

/// A bounded cache of maps that forgets the least recently used one; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maps {
    cache: Arc<Mutex<Cache>>,
}

#[derive(Debug, Default)]
struct Cache {
    boots: HashMap<(VehicleId, BootId), Boot>,
    lines: usize,
    clock: u64,
}

#[derive(Debug, Default)]
struct Boot {
    map: Arc<History>,
    lines: usize,
    used: u64,
    given_up: Option<Instant>,
}

impl Maps {
    /// Checks a payload from the topic of a vehicle's boot and takes in the map; gives its version.
    ///
    /// # Errors
    /// [`MapError`] when it is not that map.
    pub(crate) fn offer(&self, vehicle: &VehicleId, boot: BootId, payload: &[u8]) -> Result<u32, MapError> {
        let (header, _) = BlockHeader::read(payload)?;
        if header.kind != Kind::ClockMap {
            return Err(MapError::Kind(header.kind));
        }
        if header.identity.boot != boot {
            return Err(MapError::Boot(header.identity.boot));
        }
        if header.raw_len as usize > MAP_BYTES_MAX {
            return Err(MapError::TooLong(header.raw_len));
        }
        let (_, Records::ClockMap(map)) = open(payload)? else { return Err(MapError::Kind(header.kind)) };
        self.absorb(vehicle, boot, &map);
        Ok(map.id)
    }

    /// Takes in what a block holds.
    pub(crate) fn absorb(&self, vehicle: &VehicleId, boot: BootId, map: &ClockMap) {
        let mut cache = self.cache();
        let entry = cache.of(vehicle, boot);
        // What is of more clocks than fit is of clocks that stamp nothing.
        let _ = Arc::make_mut(&mut entry.map).absorb_block(map);
        entry.given_up = None;
        let lines = entry.map.segments();
        let more = std::mem::replace(&mut entry.lines, lines);
        cache.lines = cache.lines + lines - more;
        cache.forget();
    }

    /// Whether a block that names this version need not wait: the map is here, or it was given up a short while ago.
    pub(crate) fn has(&self, vehicle: &VehicleId, boot: BootId, version: u32, now: Instant) -> bool {
        let cache = self.cache();
        // Without a copy of the id there is no looking it up; it is short.
        cache.boots.get(&(vehicle.clone(), boot)).is_some_and(|entry| {
            let waits_no_more = |since: Instant| now.duration_since(since) < GIVEN_UP_FOR;
            entry.map.version() >= version || entry.given_up.is_some_and(waits_no_more)
        })
    }

    /// The version of the map that a block has to wait for, if any: the one that it names, or the next one where the clock was
    /// set, as its times show, after that one had been told.
    pub(crate) fn wanted(&self, vehicle: &VehicleId, header: &BlockHeader, now: Instant) -> Option<u32> {
        let (boot, named) = (header.identity.boot, header.clock_map);
        if named == 0 {
            return None;
        }
        if !self.has(vehicle, boot, named, now) {
            return Some(named);
        }
        // Log records may have any time.
        let map = self.of(vehicle, boot).filter(|_| header.kind != Kind::Logs)?;
        let sealed = Sealed { at: BootNanos(header.sealed_boot_ns), open_ns: map.open_ns() };
        let is_known = [header.first_ns, header.last_ns].into_iter().all(|time| map.knows(time, sealed));
        let next = map.version().saturating_add(1);
        (!is_known && !self.has(vehicle, boot, next, now)).then_some(next)
    }

    /// What is known of a boot's clocks; `None` when that is nothing.
    pub(crate) fn of(&self, vehicle: &VehicleId, boot: BootId) -> Option<Arc<History>> {
        let mut cache = self.cache();
        cache.clock += 1;
        let clock = cache.clock;
        let entry = cache.boots.get_mut(&(vehicle.clone(), boot))?;
        entry.used = clock;
        (entry.lines > 0).then(|| Arc::clone(&entry.map))
    }

    /// Blocks are not to wait for this map, for a while.
    pub(crate) fn give_up(&self, vehicle: &VehicleId, boot: BootId, now: Instant) {
        let mut cache = self.cache();
        cache.of(vehicle, boot).given_up = Some(now);
        cache.forget();
    }

    /// A panic while the lock was held cannot leave the cache half changed in a way that matters.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn of(&mut self, vehicle: &VehicleId, boot: BootId) -> &mut Boot {
        self.clock += 1;
        let entry = self.boots.entry((vehicle.clone(), boot)).or_default();
        entry.used = self.clock;
        entry
    }

    fn forget(&mut self) {
        while self.boots.len() > BOOTS_MAX || (self.lines > LINES_MAX && self.boots.len() > 1) {
            let oldest = self.boots.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(gone) = oldest.and_then(|key| self.boots.remove(&key)) else { return };
            self.lines -= gone.lines;
        }
    }
}

#[cfg(test)]
mod tests {
    use store::block::{Body, Class, SchemaHash, Sealer};

    use super::*;
    use crate::fixture::{START_NS, clock_map};

    const S: i64 = 1_000_000_000;
    const BOOT: BootId = BootId([0xB0; 16]);

    fn car() -> VehicleId {
        VehicleId::new("car-1").unwrap()
    }

    fn seal(kind: Kind, body: &[u8], count: u32) -> Vec<u8> {
        let mut sealer = Sealer::new(BOOT, 1, 3).unwrap();
        sealer.body.extend_from_slice(body);
        let schema = SchemaHash::default();
        let body = Body { kind, class: Class::Traces, schema, count, span_ns: (0, 0), sealed_boot_ns: 0 };
        sealer.seal(body).unwrap().bytes().to_vec()
    }

    #[test]
    fn only_the_map_that_the_topic_names_is_taken() {
        let (maps, map) = (Maps::default(), clock_map(7));
        let mut body = Vec::new();
        map.encode(&mut body).unwrap();
        let block = seal(Kind::ClockMap, &body, map.segments.len() as u32);
        let other = BootId([1; 16]);
        assert_eq!(maps.offer(&car(), other, &block), Err(MapError::Boot(BOOT)));
        assert_eq!(maps.offer(&car(), BOOT, &seal(Kind::Logs, &[0, 0], 0)), Err(MapError::Kind(Kind::Logs)));
        assert!(matches!(maps.offer(&car(), BOOT, b"hello"), Err(MapError::Block(_))));
        assert!(maps.of(&car(), BOOT).is_none());
        assert_eq!(maps.offer(&car(), BOOT, &block), Ok(7));
        assert!(maps.of(&car(), BOOT).is_some() && maps.of(&car(), other).is_none());
    }

    #[test]
    fn a_version_is_waited_for_until_it_comes_or_is_given_up_for_a_while() {
        let (maps, now) = (Maps::default(), Instant::now());
        assert!(!maps.has(&car(), BOOT, 1, now));
        maps.absorb(&car(), BOOT, &clock_map(7));
        assert!(maps.has(&car(), BOOT, 7, now) && !maps.has(&car(), BOOT, 8, now));
        maps.give_up(&car(), BOOT, now);
        assert!(maps.has(&car(), BOOT, 8, now));
        assert!(!maps.has(&car(), BOOT, 8, now + GIVEN_UP_FOR));
        maps.give_up(&car(), BOOT, now);
        maps.absorb(&car(), BOOT, &clock_map(9));
        assert!(
            maps.has(&car(), BOOT, 9, now) && !maps.has(&car(), BOOT, 10, now),
            "there is one to wait for"
        );
        let lost = BootId([3; 16]);
        maps.give_up(&car(), lost, now);
        assert!(maps.has(&car(), lost, 1, now) && maps.of(&car(), lost).is_none());
    }

    #[test]
    fn a_clock_that_was_set_since_the_map_was_told_is_waited_for() {
        let (maps, now) = (Maps::default(), Instant::now());
        let (mut header, _) =
            BlockHeader::read(&seal(Kind::Samples, &[0; 8], 0)).map(|(h, b)| (h, b.len())).unwrap();
        header.clock_map = 7;
        (header.first_ns, header.last_ns) = (START_NS + 30 * S, START_NS + 31 * S);
        header.sealed_boot_ns = 32 * S;
        assert_eq!(maps.wanted(&car(), &header, now), Some(7));
        maps.absorb(&car(), BOOT, &clock_map(7));
        assert_eq!(maps.wanted(&car(), &header, now), None);
        header.first_ns -= 1_800 * S;
        assert_eq!(maps.wanted(&car(), &header, now), Some(8));
        assert_eq!(maps.wanted(&car(), &BlockHeader { kind: Kind::Logs, ..header }, now), None);
        maps.give_up(&car(), BOOT, now);
        assert_eq!(maps.wanted(&car(), &header, now), None);
        header.clock_map = 0;
        assert_eq!(maps.wanted(&car(), &header, now + GIVEN_UP_FOR), None, "of a daemon without a map");
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let maps = Maps::default();
        let boot = |number: usize| {
            let mut boot = [0; 16];
            boot[..8].copy_from_slice(&(number as u64).to_le_bytes());
            BootId(boot)
        };
        maps.absorb(&car(), boot(0), &clock_map(7));
        for number in 1..=BOOTS_MAX {
            assert!(maps.of(&car(), boot(0)).is_some());
            maps.absorb(&car(), boot(number), &clock_map(7));
        }
        assert!(maps.of(&car(), boot(1)).is_none(), "all others were used later");
        let lines = clock_map(7).segments.len();
        let cache = maps.cache();
        assert_eq!((cache.boots.len(), cache.lines), (BOOTS_MAX, BOOTS_MAX * lines));
    }
}
