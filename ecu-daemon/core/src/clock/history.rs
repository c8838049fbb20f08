//! All segments of all clocks of one boot: enough to place every stamp, here or wherever the segments were sent.

use super::domain::Clock;
use super::segment::Segment;
use super::trail::Trail;

/// Clocks that a map holds at most.
pub const CLOCKS_MAX: usize = 32;

/// The segments of one boot.
#[derive(Clone, Debug, Default)]
pub struct History {
    trails: Vec<(Clock, Trail)>,
    version: u32,
}

impl History {
    /// The version of the map: goes up when a segment begins; 0 while there is none.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Takes a segment of version `version` of the map, in any order; a later version of a segment replaces it.
    /// False when there are [`CLOCKS_MAX`] other clocks already.
    pub fn absorb(&mut self, version: u32, clock: Clock, segment: Segment) -> bool {
        self.version = self.version.max(version);
        let Some(trail) = self.trail_of(clock) else { return false };
        trail.put(version, segment);
        true
    }

    /// The segments that are new or have changed since version `since` of the map; 0 gives all. With the version in
    /// which each one last changed.
    pub fn since(&self, since: u32) -> impl Iterator<Item = (u32, Clock, &Segment)> {
        self.trails.iter().flat_map(move |(clock, trail)| {
            let changed = trail.entries().filter(move |entry| entry.version >= since);
            changed.map(move |entry| (entry.version, *clock, &entry.segment))
        })
    }

    /// The segment of `clock` that is in force.
    pub fn newest(&self, clock: Clock) -> Option<&Segment> {
        self.trail(clock)?.last()
    }

    pub(super) fn trail(&self, clock: Clock) -> Option<&Trail> {
        self.trails.iter().find(|(of, _)| *of == clock).map(|(_, trail)| trail)
    }

    pub(super) fn trails(&self) -> impl Iterator<Item = (Clock, &Trail)> {
        self.trails.iter().map(|(clock, trail)| (*clock, trail))
    }

    /// The trail of `clock`, made when it is the first time; `None` when there are too many.
    fn trail_of(&mut self, clock: Clock) -> Option<&mut Trail> {
        let index = match self.trails.iter().position(|(of, _)| *of == clock) {
            Some(index) => index,
            None if self.trails.len() < CLOCKS_MAX => {
                self.trails.push((clock, Trail::default()));
                self.trails.len() - 1
            }
            None => return None,
        };
        self.trails.get_mut(index).map(|(_, trail)| trail)
    }

    /// A trail to write, and the version to count on.
    pub(super) fn writer(&mut self, clock: Clock) -> Option<(&mut Trail, u32)> {
        let version = self.version;
        Some((self.trail_of(clock)?, version))
    }

    pub(super) fn set_version(&mut self, version: u32) {
        self.version = version;
    }
}
