//! The daemon: threads, sockets, files, signals and the command line around the pure engine of `ecu-core`.
//!
//! [`run`] has the map of threads and channels. The crate is a library only so that its binary stays small and its
//! tests can reach it.

pub mod capture;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod control;
#[cfg(feature = "demo")]
pub mod demo;
pub mod diagnostics;
pub mod engine_thread;
mod glob;
pub mod http;
pub mod inbox;
pub mod inspect;
pub mod log_socket;
pub mod otlp;
pub mod run;
pub mod send;
pub mod status;
pub mod stop;
pub mod telemetry;
pub mod time;
pub mod uplink_task;
pub mod writer;
