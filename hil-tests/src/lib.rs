//! The bench: real processes on this machine, driven from ordinary tests.
//!
//! ```text
//! Daemon ──▶ Mosquitto ──▶ Gateway ──▶ Prometheus
//! ```
//! Each of them can be started, ended, killed and started again; a test reads like a test plan. All of them work in a
//! [`Bench`]'s folder, which is kept when the test fails, and none of them outlives the test. Every wait has a limit.
//!
//! Everything here panics when it cannot do what it is told: that is how a test fails. The crate knows the programs
//! only from outside, by their command lines, files and addresses, and depends on no other crate of the workspace.

mod bench;
mod binaries;
mod broker;
mod daemon;
mod gateway;
pub mod guest;
mod http;
mod metrics;
mod process;
mod prometheus;
mod wait;

pub use bench::{Bench, say};
pub use binaries::{built, debian};
pub use broker::Mosquitto;
pub use daemon::{Daemon, Mode};
pub use gateway::Gateway;
pub use http::get;
pub use metrics::Metrics;
pub use prometheus::{Prometheus, Series};
pub use wait::until;
