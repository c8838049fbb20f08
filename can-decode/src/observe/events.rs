//! What there is to say about one frame.

use crate::e2e;

/// What a frame shows besides its data; several at once are possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Events(u16);

impl Events {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The first frame of its identifier.
    pub const FIRST: Self = Self(1);
    /// The identifier is one too many for the observer.
    pub const NOT_OBSERVED: Self = Self(1 << 1);
    /// The time is before that of the identifier's last frame.
    pub const BACKWARDS: Self = Self(1 << 2);
    /// More than one and a half cycles have passed, by a margin of four times the jitter.
    pub const LATE: Self = Self(1 << 3);
    /// Less than half a cycle has passed, by the same margin.
    pub const EARLY: Self = Self(1 << 4);
    /// The identifier has begun to keep another cycle time than the one that is declared.
    pub const CYCLE_DIFFERS: Self = Self(1 << 5);
    /// The identifier has begun to keep another cycle time than before.
    pub const CYCLE_CHANGED: Self = Self(1 << 6);
    /// Not the length of the identifier's last data frame.
    pub const LENGTH_CHANGED: Self = Self(1 << 7);
    /// CAN instead of CAN-FD or the other way round, or the first remote request besides data frames.
    pub const KIND_CHANGED: Self = Self(1 << 8);
    /// The alive counter says that frames are missing; how many, [`Observation::counter_lost`] says.
    pub const COUNTER_GAP: Self = Self(1 << 9);
    /// The alive counter is that of the frame before.
    pub const COUNTER_REPEATED: Self = Self(1 << 10);
    /// There is a new sign of a second sender.
    pub const CONFLICT: Self = Self(1 << 11);

    /// All of them, with names for metrics and logs.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::FIRST, "first"),
        (Self::NOT_OBSERVED, "not_observed"),
        (Self::BACKWARDS, "backwards"),
        (Self::LATE, "late"),
        (Self::EARLY, "early"),
        (Self::CYCLE_DIFFERS, "cycle_differs"),
        (Self::CYCLE_CHANGED, "cycle_changed"),
        (Self::LENGTH_CHANGED, "length_changed"),
        (Self::KIND_CHANGED, "kind_changed"),
        (Self::COUNTER_GAP, "counter_gap"),
        (Self::COUNTER_REPEATED, "counter_repeated"),
        (Self::CONFLICT, "conflict"),
    ];

    /// Whether every event of `other` is there.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The events of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is nothing to say.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of those that are there.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(event, _)| self.contains(*event)).map(|(_, name)| name)
    }
}

/// What there is to say about one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// What has happened.
    pub events: Events,
    /// Cycles before this frame that had none, with [`Events::LATE`].
    pub missed_cycles: u32,
    /// Frames missing before this one as the alive counter counts, with [`Events::COUNTER_GAP`]; 0 for a value that the
    /// counter does not have.
    pub counter_lost: u16,
    /// What the end-to-end protection says, where the message has one.
    pub e2e: Option<e2e::Checked>,
}

impl Observation {
    pub(super) const fn add(&mut self, event: Events, has_happened: bool) {
        if has_happened {
            self.events = self.events.union(event);
        }
    }
}
