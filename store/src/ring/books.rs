//! The ring's books: every block sealed is acknowledged, waiting or evicted, and says so across restarts.

use crate::block::Class;

/// Blocks and the records in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blocks.
    pub blocks: u64,
    /// Samples, spans or log records in those blocks.
    pub records: u64,
}

impl Tally {
    /// Adds one block.
    pub fn add(&mut self, records: u32) {
        self.blocks += 1;
        self.records += u64::from(records);
    }

    /// Takes one block back.
    pub fn take(&mut self, records: u32) {
        self.blocks = self.blocks.saturating_sub(1);
        self.records = self.records.saturating_sub(u64::from(records));
    }

    /// Both added up.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { blocks: self.blocks + other.blocks, records: self.records + other.records }
    }
}

/// Why a block left the ring without an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EvictReason {
    /// The byte bound: an older or less worthy block made room.
    Full = 0,
    /// The block's bytes no longer passed their checksum when it was to be sent.
    Damaged = 1,
}

impl EvictReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 2] = [Self::Full, Self::Damaged];

    /// Name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Damaged => "damaged",
        }
    }
}

/// What became of the blocks of one class since the file was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassBooks {
    /// Committed to the file.
    pub sealed: Tally,
    /// Acknowledged by the broker.
    pub acked: Tally,
    /// Still to be sent, leased ones included.
    pub waiting: Tally,
    /// Lost, by [`EvictReason`].
    pub evicted: [Tally; EvictReason::ALL.len()],
}

impl ClassBooks {
    /// Whether every block is accounted for.
    pub fn balanced(&self) -> bool {
        let gone = self.evicted.iter().fold(Tally::default(), |sum, tally| sum.plus(*tally));
        self.sealed == self.acked.plus(self.waiting).plus(gone)
    }
}

/// The books of all classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Indexed by [`Class::number`].
    pub classes: [ClassBooks; Class::ALL.len()],
}

impl Books {
    /// The books of `class`.
    pub fn of(&mut self, class: Class) -> &mut ClassBooks {
        &mut self.classes[usize::from(class.number())]
    }

    /// All classes added up.
    pub fn total(&self) -> ClassBooks {
        self.classes.iter().fold(ClassBooks::default(), |sum, class| ClassBooks {
            sealed: sum.sealed.plus(class.sealed),
            acked: sum.acked.plus(class.acked),
            waiting: sum.waiting.plus(class.waiting),
            evicted: core::array::from_fn(|reason| sum.evicted[reason].plus(class.evicted[reason])),
        })
    }

    /// Whether every block of every class is accounted for.
    pub fn balanced(&self) -> bool {
        self.classes.iter().all(ClassBooks::balanced)
    }
}
