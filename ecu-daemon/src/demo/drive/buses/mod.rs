//! What the car sends: one table per bus, each beside the DBC file that describes it to everybody else.

pub(crate) mod battery;
pub(crate) mod body;
pub(crate) mod chassis;
pub(crate) mod powertrain;
mod signal;

pub(crate) use signal::Message;
#[cfg(test)]
pub(crate) use signal::{Moment, Signal, crc8};

/// Index of each bus in [`BUSES`].
pub(crate) const CHASSIS: usize = 1;
/// The bus with 125 kbit/s.
pub(crate) const SLOW_BUS: usize = 2;
pub(crate) const BATTERY: usize = 3;

/// The messages of every bus, in the order of `BUS_NAMES`.
pub(crate) static BUSES: [&[Message]; 4] =
    [&powertrain::MESSAGES, &chassis::MESSAGES, &body::MESSAGES, &battery::MESSAGES];
