//! What comes in: a frame, the bus it was on, and when.

use can_decode::Frame;
use store::block::ClockSource;

/// Index of a bus in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusIndex(pub u16);

/// When a frame was on the bus, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970 in the clock named beside it.
    pub ns: i64,
    /// The clock.
    pub clock: ClockSource,
}

/// A received frame. Plain data of a fixed size: a queue of it never allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    /// The bus it was received on.
    pub bus: BusIndex,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub frame: Frame,
    /// Whether frames of this bus may have been lost since the one before: dropped, or the interface was away. What is
    /// missing then is not its sender's doing.
    pub follows_loss: bool,
}
