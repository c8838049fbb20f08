//! The control socket: what a running service is asked on its own machine.
//!
//! The ring has one owner, and a long reader must not make its write-ahead log grow; so whoever wants to read a live
//! ring asks the owner, which hands it out page by page ([`wire`] has the protocol). Who may connect is decided by the
//! socket's file: its owner and its group.

pub mod client;
mod server;
pub mod wire;

use std::path::PathBuf;

pub use server::Control;

/// Where the unit's service listens, and where commands look for it.
pub const DEFAULT_PATH: &str = "/run/ecu-daemon/control.sock";

/// The socket of a service whose configuration names none: where systemd gave it a folder for such things.
pub fn default_path() -> Option<PathBuf> {
    std::env::var_os("RUNTIME_DIRECTORY").map(|folder| PathBuf::from(folder).join("control.sock"))
}
