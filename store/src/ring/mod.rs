//! The ring: which blocks stay, which are sent, which go first when there is no room.
//!
//! A block is *waiting* until it is acknowledged. To send it, one takes a [`Lease`]; only giving the lease back as
//! acknowledged frees the block, and a lease that is lost with its process leaves the block waiting. The policy and
//! the books are pure; the feature `sqlite` adds the file. `store/RING.md` has the decisions and what was measured.

#[cfg(feature = "sqlite")]
mod aside;
mod books;
mod clock;
#[cfg(feature = "sqlite")]
mod commit;
#[cfg(feature = "sqlite")]
mod dictionaries;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod lease;
#[cfg(feature = "sqlite")]
mod open;
#[cfg(feature = "sqlite")]
mod page;
mod policy;
#[cfg(feature = "sqlite")]
mod preserve;
#[cfg(feature = "sqlite")]
mod reader;
#[cfg(feature = "sqlite")]
mod room;
#[cfg(feature = "sqlite")]
mod salvage;
#[cfg(feature = "sqlite")]
mod schema;
#[cfg(feature = "sqlite")]
mod tables;
#[cfg(feature = "sqlite")]
mod trouble;
pub mod wear;

#[cfg(feature = "sqlite")]
pub use aside::Quarantined;
pub use books::{Books, ClassBooks, EvictReason, Tally};
pub use clock::RunClock;
#[cfg(feature = "sqlite")]
pub use commit::Committed;
#[cfg(feature = "sqlite")]
pub use file::{Notice, RingFile, open_or_quarantine, open_or_quarantine_with};
#[cfg(feature = "sqlite")]
pub use lease::Leased;
#[cfg(feature = "sqlite")]
pub use open::RingError;
#[cfg(feature = "sqlite")]
pub use page::{Page, Selection};
pub use policy::{Barred, Incoming, Retention, Room, Victim, WORTHS, keeps_floor, victim};
#[cfg(feature = "sqlite")]
pub use preserve::{Preserved, WINDOWS_MAX, Window};
#[cfg(feature = "sqlite")]
pub use reader::{RingReader, StoredBlock};
#[cfg(feature = "sqlite")]
pub use salvage::SalvageReport;

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
