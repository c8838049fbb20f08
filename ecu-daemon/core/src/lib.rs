//! What the daemon decides, apart from any operating system.
//!
//! No threads, no files, no sockets, no clock reads: time is an argument, and what is to be done comes back as
//! [`Action`]s. The daemon's threads perform them.

pub mod books;
pub mod catalog;
pub mod clock;
pub mod collect;
pub mod engine;
pub mod logs;
pub mod raw;
pub mod record;
pub mod span;
pub mod watch;

pub use books::{BusBooks, RecordBooks};
pub use catalog::Catalog;
pub use clock::ClockMap;
pub use collect::{Action, Limits};
pub use engine::Engine;
pub use raw::RawFrames;
pub use record::{BusIndex, FrameRecord, Stamp};
pub use span::Tracer;
pub use watch::{Notice, Suspicion, Watch};
