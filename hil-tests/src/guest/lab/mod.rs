//! The power-cut laboratory: every write to the card is recorded once, then the power is cut at any of them.
//!
//! A real cut ([`super::Guest::cut_power`]) shows one state of the card, and takes a boot. Here the guest runs once on a
//! card that logs each write; afterwards the card is made again as it was at any point of that log, the file system is
//! checked, and the daemon opens the ring that is found there. What it finds is compared with what it had promised by
//! then.

mod crash;
mod log;
mod record;

pub use crash::{Damage, Outcome, Summary};
pub use record::{Promise, Recording};
