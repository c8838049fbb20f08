//! The ring: which blocks stay, which are sent, which go first when there is no room.
//!
//! A block is *waiting* until it is acknowledged. To send it, one takes a [`Lease`]; only giving the lease back as
//! acknowledged frees the block, and a lease that is lost with its process leaves the block waiting. The policy and
//! the books are pure; the feature `sqlite` adds the file.

mod books;
#[cfg(feature = "sqlite")]
mod commit;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod open;
#[cfg(feature = "sqlite")]
mod page;
mod policy;
#[cfg(feature = "sqlite")]
mod reader;

pub use books::{Books, ClassBooks, EvictReason, Tally};
#[cfg(feature = "sqlite")]
pub use file::{Committed, Leased, RingFile};
#[cfg(feature = "sqlite")]
pub use open::{Quarantined, RingError, open_or_quarantine};
#[cfg(feature = "sqlite")]
pub use page::{Page, Selection};
pub use policy::{Candidate, Victim, victim};
#[cfg(feature = "sqlite")]
pub use reader::{RingReader, StoredBlock};

/// Permission to send one block and then to say what became of it. It cannot be copied, so it is given back once.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    id: i64,
    records: u32,
}

impl Lease {
    /// Records in the block, for counting what is under way.
    pub const fn records(&self) -> u32 {
        self.records
    }
}
