//! The only room with `unsafe`: what the kernel offers and no safe crate does.
//!
//! `recvmmsg(2)` with its control messages, and the two socket options that make the kernel send them. Single
//! `recvmsg` calls lost up to 17 % of frames at full rate on the test bench, batches none. With the feature `sql`: SQLite's virtual
//! tables.

mod receive;
mod sockopt;
#[cfg(feature = "sql")]
pub mod sql;

pub use receive::{BATCH_MAX, MESSAGE_BYTES, Received, Receiver};
pub use sockopt::{count_drops, stamp_arrivals};
