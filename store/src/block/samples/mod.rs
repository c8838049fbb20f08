//! Sample bodies: per message one column of times and one column of raw values per signal.

mod build;
mod read;
mod read_v1;
mod slots;

pub use build::{ClockChanged, SamplesBuilder};
pub use read::{Group, Rows, SampleColumn, Samples, read_samples};
pub(super) use read_v1::read_samples as read_samples_v1;
pub use slots::SlotMillis;

/// Most samples in a block, and most rows: what a reader may have to hold at once (8 bytes each).
const SAMPLES_MAX: usize = 1 << 22;

#[cfg(test)]
mod tests;
