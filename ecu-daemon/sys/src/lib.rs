//! The only room with `unsafe`: what the kernel offers and no safe crate does.
//!
//! `recvmmsg(2)` with its control messages, and the two socket options that make the kernel send them. Single
//! `recvmsg` calls lost up to 17 % of frames at full rate on the test bench, batches none. PTP hardware clocks compared with
//! the system's, what stamps an interface offers, and whether anybody keeps the system's clock right. With the
//! feature `sql`: SQLite's virtual tables.

mod discipline;
pub mod ptp;
mod receive;
mod request;
mod sockopt;
#[cfg(feature = "sql")]
pub mod sql;
mod stamping;

pub use discipline::{Discipline, discipline};
pub use receive::{BATCH_MAX, MESSAGE_BYTES, Received, Receiver};
pub use sockopt::{count_drops, stamp_arrivals};
pub use stamping::{Stamping, stamp_in_hardware, stamping};
