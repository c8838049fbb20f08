//! CAN frames, time stamps, the 25-byte trace context, and DBC decoding.
//!
//! `no_std`, no `unsafe`, no allocation per frame. The same crate serves the daemon, the gateway and
//! microcontroller ECUs that only write a trace context into a frame.
//!
//! Features: `alloc` adds the decode table and candump text, `dbc` the reader of DBC files (needs `std`).
#![cfg_attr(not(any(feature = "std", test)), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod frame;
pub mod time;

pub use frame::{CanId, Frame, FrameError, FrameFlags};
