//! Contexts on classical CAN: four frames of 8 bytes, under an identifier of their own, before the frame that they are of.
//!
//! Byte 0 of each: the number of the frame, 0 to 3, in the upper half; a counter in the lower half. Bytes 1 to 7: a
//! quarter of a sealed context. Its tag says which of the sender's messages it is for, and its checksum covers that
//! message's identifier and the counter, so that quarters of two contexts, and contexts of another sender or message, do
//! not pass. Where the message has an alive counter, the context has the lowest four bits of the value that the frame
//! has; where it has none, the sender counts its contexts, and the next frame is meant.

mod counts;
mod reader;
mod sender;

use super::TraceContext;
use super::sealed::{self, SEALED_LEN};
use crate::frame::{CLASSIC_LEN_MAX, CanId};

pub use counts::ClassicCounts;
pub use reader::{ClassicReader, Limits};
pub use sender::{SetupError, Target};

/// Frames of a context.
pub const FRAMES: usize = 4;
/// Bytes of a context in each.
const QUARTER: usize = CLASSIC_LEN_MAX - 1;

const _: () = assert!(FRAMES * QUARTER == SEALED_LEN);

/// The four payloads to send, in this order and before the frame of `target`. `tag` is the target's index among the
/// sender's messages that have contexts (0 where there is one), `counter` the lowest four bits of the frame's alive counter,
/// or of a count of contexts.
pub fn write(context: &TraceContext, target: CanId, tag: u8, counter: u8) -> [[u8; CLASSIC_LEN_MAX]; FRAMES] {
    let sealed = sealed::seal(context, tag, &key(target, counter));
    let mut payloads = [[0; CLASSIC_LEN_MAX]; FRAMES];
    for (number, (payload, quarter)) in payloads.iter_mut().zip(sealed.chunks(QUARTER)).enumerate() {
        payload[0] = (number as u8) << 4 | counter & 0xF;
        payload[1..].copy_from_slice(quarter);
    }
    payloads
}

fn key(target: CanId, counter: u8) -> [u8; 6] {
    let [a, b, c, d] = target.with_extended_bit().to_be_bytes();
    [b'C', a, b, c, d, counter & 0xF]
}
