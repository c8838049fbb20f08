//! CAN frames, time stamps, the 25-byte trace context, candump text, and DBC decoding.
//!
//! `no_std`, no `unsafe`, no allocation per frame. The same crate serves the daemon, the gateway and
//! microcontroller ECUs that only write a trace context into a frame.
//!
//! Features: `alloc` adds the decode table, `dbc` the reader of DBC files (needs `std`).
#![cfg_attr(not(any(feature = "std", test)), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod candump;
#[cfg(feature = "alloc")]
pub mod database;
#[cfg(feature = "dbc")]
pub mod dbc;
pub mod e2e;
pub mod error_frame;
pub mod extract;
#[cfg(feature = "alloc")]
pub mod finding;

pub mod frame;
#[cfg(feature = "alloc")]
pub mod isotp;
pub mod j1939;
#[cfg(feature = "alloc")]
pub mod observe;
#[cfg(feature = "alloc")]
pub mod signal;
#[cfg(feature = "alloc")]
pub mod table;
pub mod time;
pub mod trace;
#[cfg(feature = "alloc")]
pub mod uds;

#[cfg(feature = "alloc")]
pub use database::{Comments, Database, MessageDefinition};
#[cfg(feature = "dbc")]
pub use dbc::DbcError;
pub use error_frame::{BusErrors, BusState, ErrorFrame, ErrorKind};
pub use extract::ByteOrder;
#[cfg(feature = "alloc")]
pub use finding::{Finding, Severity};
pub use frame::{CanId, Frame, FrameError, FrameFlags};
#[cfg(feature = "alloc")]
pub use signal::{Branch, Raw, Signal, ValueKind};
#[cfg(feature = "alloc")]
pub use table::{Column, Columns, DecodeTable, Decoded, Matching, Message, MessageIndex};
pub use time::{BootNanos, HwNanos, RawNanos, RealtimeNanos, TaiNanos, UtcNanos};
pub use trace::{TraceContext, TraceError, TraceFlags};
