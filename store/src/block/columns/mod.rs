//! Columns of integers in areas of like bytes: what bodies of samples and of frames are made of.

mod areas;
mod read;
mod timeline;
mod write;

pub(super) use areas::{AREA_GAPS, AREA_SHAPES, AreasReader, AreasWriter, lengths as area_lengths};
pub(super) use read::{Shape, read_all};
pub(super) use timeline::Timeline;
pub(super) use write::{ColumnWriter, Role};

/// The coarsest step of times, nanoseconds.
pub(super) const TICK_NS_MAX: i64 = 1_000_000_000;
