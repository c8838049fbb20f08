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

    /// Adds several.
    pub fn add_all(&mut self, other: Self) {
        *self = self.plus(other);
    }

    /// Takes several back.
    pub fn take_all(&mut self, other: Self) {
        self.blocks = self.blocks.saturating_sub(other.blocks);
        self.records = self.records.saturating_sub(other.records);
    }

    /// Takes one block back, and gives what was taken: no more than there is, so that what is moved from one tally to
    /// another is never more there than it was here, even where a damaged row says so.
    #[must_use = "what was taken belongs to another tally"]
    pub fn take(&mut self, records: u32) -> Self {
        let taken = Self { blocks: self.blocks.min(1), records: self.records.min(u64::from(records)) };
        self.take_all(taken);
        taken
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
    /// The card did not give the block's bytes back, asked several times over minutes.
    Unreadable = 2,
    /// It had waited for longer than its class is kept.
    Expired = 3,
}

impl EvictReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Full, Self::Damaged, Self::Unreadable, Self::Expired];

    /// Name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Expired => "expired",
        }
    }

    /// Name as a state of records in metrics.
    pub const fn state_name(self) -> &'static str {
        match self {
            Self::Full => "evicted_full",
            Self::Damaged => "evicted_damaged",
            Self::Unreadable => "evicted_unreadable",
            Self::Expired => "evicted_expired",
        }
    }
}

/// What became of the blocks of one class since the file was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassBooks {
    /// Committed to the file.
    pub sealed: Tally,
    /// Found in a file that was set aside before this one was made, whose books are not known.
    pub salvaged: Tally,
    /// Acknowledged by the broker.
    pub acked: Tally,
    /// Still to be sent, leased ones included, and those that a salvage is still looking for.
    pub waiting: Tally,
    /// Lost, by [`EvictReason`].
    pub evicted: [Tally; EvictReason::ALL.len()],
}

impl ClassBooks {
    /// Whether every block is accounted for.
    pub fn balanced(&self) -> bool {
        let gone = self.evicted.iter().fold(Tally::default(), |sum, tally| sum.plus(*tally));
        self.sealed.plus(self.salvaged) == self.acked.plus(self.waiting).plus(gone)
    }
}

/// The books of all classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Indexed by [`Class::number`].
    pub classes: [ClassBooks; Class::ALL.len()],
}

impl Books {
    /// A waiting block of `class` is acknowledged.
    pub fn acknowledge(&mut self, class: Class, records: u32) {
        let books = self.of(class);
        let taken = books.waiting.take(records);
        books.acked.add_all(taken);
    }

    /// An acknowledgement is taken back.
    pub fn take_back(&mut self, class: Class, records: u32) {
        let books = self.of(class);
        let taken = books.acked.take(records);
        books.waiting.add_all(taken);
    }

    /// A waiting block of `class` is lost.
    pub fn lose(&mut self, class: Class, records: u32, reason: EvictReason) {
        let books = self.of(class);
        let taken = books.waiting.take(records);
        books.evicted[reason as usize].add_all(taken);
    }

    /// The books of `class`.
    pub fn of(&mut self, class: Class) -> &mut ClassBooks {
        &mut self.classes[usize::from(class.number())]
    }

    /// All classes added up.
    pub fn total(&self) -> ClassBooks {
        self.classes.iter().fold(ClassBooks::default(), |sum, class| ClassBooks {
            sealed: sum.sealed.plus(class.sealed),
            salvaged: sum.salvaged.plus(class.salvaged),
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
