//! The clock map: relates the clocks that stamp records to each other and to true time, each with a bound on its error.
//!
//! `CLOCK_BOOTTIME` is the axis. Every other clock is a row of straight [`Segment`]s on it, made from [`Reading`]s: the
//! clock read between two readings of a system clock. A clock that is known to be synchronised ([`Sync`]) carries true
//! time onto the axis, also for records that were taken before it was.
//!
//! A bound is certain as long as each clock keeps to its [`Limits`]; a reading that shows otherwise is counted, begins
//! another segment, and widens what the clock is trusted with. What a bound does not contain is what came before the stamp:
//! a hardware stamp is taken on the bus, a software stamp when the kernel's interrupt handler ran.

mod block;
mod bound;
mod domain;
mod fit;
mod history;
mod limits;
pub mod management;
mod map;
mod outcome;
mod pairs;
mod place;
mod reading;
mod segment;
mod stored;
mod sync;
mod track;
mod trail;
mod watch;

pub use domain::{Clock, HwClock, Instant};
pub use history::{CLOCKS_MAX, History};
pub use limits::{Limits, Wander};
pub use map::{ClockMap, ClockStatus};
pub use outcome::{Counts, Observed};
pub use pairs::Pairs;
pub use place::{Basis, Placed, Taken, Truth};
pub use reading::{Bracket, Reading};
pub use segment::{Growth, Opening, Segment};
pub use stored::{RecordTime, Sealed, Worth};
pub use sync::{Sync, SyncSource, TaiUtc, TaiUtcSource, Timescale};
pub use trail::SEGMENTS_MAX;
pub use watch::{BoundNotice, BoundWatch, LIMIT_NS};
