//! All segments of all clocks of one boot: enough to place every stamp, here or wherever the segments were sent.

use can_decode::BootNanos;

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
    /// Where versions count from.
    origin: u32,
    open_ns: i64,
}

impl History {
    /// The version of the map: goes up when a segment begins; 0 while there is none.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// One whose versions count on from `origin`.
    pub(super) fn counting_from(origin: u32) -> Self {
        Self { origin, ..Self::default() }
    }

    /// How long blocks of this boot are open at most, nanoseconds, see [`Sealed::open_ns`](super::Sealed::open_ns).
    pub const fn open_ns(&self) -> i64 {
        self.open_ns
    }

    /// Sets [`Self::open_ns`], if it is longer than known before.
    pub fn hold_open(&mut self, open_ns: i64) {
        self.open_ns = self.open_ns.max(open_ns);
    }

    /// Segments of all clocks.
    pub fn segments(&self) -> usize {
        self.trails.iter().map(|(_, trail)| trail.entries().count()).sum()
    }

    /// Takes a segment of version `version` of the map, in any order; a later version of a segment replaces it.
    /// False when there are [`CLOCKS_MAX`] other clocks already.
    pub fn absorb(&mut self, version: u32, clock: Clock, segment: Segment) -> bool {
        self.version = self.version.max(version);
        let Some(trail) = self.trail_of(clock, Trail::default) else { return false };
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

    /// The segment of each clock that was in force at `boot`, or else its first one.
    pub(super) fn in_force(&self, boot: BootNanos) -> impl Iterator<Item = (Clock, &Segment)> {
        self.trails.iter().filter_map(move |(clock, trail)| Some((*clock, trail.in_force(boot)?)))
    }

    /// The trail of `clock`, made when it is the first time; `None` when there are too many.
    fn trail_of(&mut self, clock: Clock, make: fn() -> Trail) -> Option<&mut Trail> {
        let index = match self.trails.iter().position(|(of, _)| *of == clock) {
            Some(index) => index,
            None if self.trails.len() < CLOCKS_MAX => {
                self.trails.push((clock, make()));
                self.trails.len() - 1
            }
            None => return None,
        };
        self.trails.get_mut(index).map(|(_, trail)| trail)
    }

    /// A trail to write, and the version to count on.
    pub(super) fn writer(&mut self, clock: Clock) -> Option<(&mut Trail, u32)> {
        let version = self.version.max(self.origin);
        // A map that is being made must not allocate once every clock was read.
        Some((self.trail_of(clock, Trail::with_room)?, version))
    }

    pub(super) fn set_version(&mut self, version: u32) {
        self.version = version;
    }
}
