//! What tests run against: `HIL_TARGET` says it.

use std::env;
use std::ops::Deref;
use std::thread;

use super::commands::Ecu;
use super::machine::Guest;
use super::remote::Remote;
use crate::say;

/// An ECU for tests that need no more than its shell, its files and its CAN.
pub enum Target {
    /// An emulated one.
    Emulated(Guest),
    /// A real one.
    Real(Remote),
}

impl Deref for Target {
    type Target = Ecu;

    fn deref(&self) -> &Ecu {
        match self {
            Self::Emulated(guest) => guest,
            Self::Real(remote) => remote,
        }
    }
}

/// For tests that need what only the emulated bench has: its power, its link, its card, its clock, its kernel modules.
/// With `HIL_TARGET` set they are not run, which is said; the answer is `false` then.
pub fn emulated_bench() -> bool {
    let emulated = env::var_os("HIL_TARGET").is_none();
    if !emulated {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        say(&format!("skipped: needs the emulated bench: {test}"));
    }
    emulated
}
