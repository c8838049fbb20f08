//! An emulated ARM64 ECU: a real kernel with CAN, an SD card, PTP, GPIO, I²C, and a link that can be cut.
//!
//! ```text
//! test ──commands, files──▶ Guest (QEMU) ──10.0.2.2──▶ the broker on this machine
//!      ──cut_power, card, link──▶ ┘
//! ```
//! `hil-tests/bench/setup` makes what it boots. QEMU never outlives the test: it is killed when the [`Guest`] is
//! dropped, and by the kernel when the thread that started it ends in whatever way.

mod card;
mod commands;
mod ecu;
pub mod lab;
mod link;
mod machine;
mod qmp;
mod setup;
mod shared;
mod systemd;

pub use card::{Card, Throttle};
pub use commands::{Output, Running, WITHIN};
pub use ecu::GuestDaemon;
pub use link::Weak;
pub use machine::{Guest, Options, Time};
pub use setup::{Cache, aarch64};
pub use shared::{Shared, shared};
