//! The power-cut laboratory: every write to the card is recorded once, then the power is cut at any of them.
//!
//! A real cut ([`super::Guest::cut_power`]) shows one state of the card, and takes a boot. Here the guest runs once on a
//! card that logs each write; afterwards the card is made again as it was at any point of that log, the file system is
//! checked, and the daemon opens the ring that is found there. What it finds is compared with what it had promised by
//! then ([`Fault`] names what may not be). At some points it is started in earnest: it goes on recording, and all that
//! waited arrives.
//!
//! ```text
//! Recording::make   one run in the guest: writes, and promises between them
//! Damage            which of the writes under way the card kept
//! Recording::cut    many points, one damage ──▶ Summary
//! ```
//! The log of writes also tells what they were for ([`Account`]).
//!
//! A card that lies about its flushes ([`Damage::Lying`]) breaks promises that nobody can keep on it: a laboratory that
//! does not see that sees nothing.

mod account;
mod arrived;
mod content;
mod cut;
mod damage;
mod drive;
mod full_ring;
mod log;
mod promise;
mod record;
mod scenario;
mod start;
mod summary;

pub use account::Account;
pub use cut::Plan;
pub use damage::Damage;
pub use drive::Drive;
pub use promise::{Books, Fault, Promise};
pub use record::Recording;
pub use scenario::Scenario;
pub use summary::Summary;
