//! An ECU under test: an emulated one, or a real one on a bench.
//!
//! ```text
//! test ──run, copy_in, can──▶ Ecu ──agent──▶ Guest (QEMU) ──10.0.2.2──▶ the broker on this machine
//!      │                        └───ssh────▶ Remote ────────tunnel────▶ the same
//!      └─cut_power, card, link──▶ Guest alone
//! ```
//! The guest has a real kernel with CAN, an SD card, PTP, GPIO, I²C, and a link that can be cut;
//! `hil-tests/bench/setup` makes what it boots. QEMU never outlives the test: it is killed when the [`Guest`] is
//! dropped, and by the kernel when the thread that started it ends in whatever way. A real ECU is left as it was found.

mod agent;
mod can;
mod card;
mod commands;
mod daemon;
pub mod lab;
mod link;
mod machine;
mod qmp;
mod remote;
mod setup;
mod shared;
mod ssh;
mod systemd;
mod target;

pub use can::Can;
pub use card::{Card, Throttle};
pub use commands::{Ecu, Output, Running, WITHIN};
pub use daemon::GuestDaemon;
pub use link::Weak;
pub use machine::{Guest, Options, Time};
pub use remote::{Access, Remote};
pub use setup::{Cache, aarch64};
pub use shared::{Shared, shared};
pub use target::{Target, emulated_bench};
