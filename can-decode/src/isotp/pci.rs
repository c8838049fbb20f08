//! Protocol control information: which part of a message a frame is (ISO 15765-2:2016 §9.6).

use super::counters::Ignored;
use super::flow::{FlowControl, FlowStatus, SeparationTime};
use crate::frame::{CLASSIC_LEN_MAX, Frame};

/// Largest length that the 12 bits of a first frame hold; longer messages use its 32-bit form.
pub(super) const SHORT_LEN_MAX: u32 = 0xFFF;

/// One frame as a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pci<'a> {
    /// The whole message.
    Single(&'a [u8]),
    /// The length of the message and its first bytes.
    First { len: u32, head: &'a [u8] },
    /// The next bytes, and padding behind the last ones.
    Consecutive { sequence: u8, rest: &'a [u8] },
    /// What the receiver says to the sender of consecutive frames.
    FlowControl(FlowControl),
}

/// Reads the frame's bytes behind `address_bytes` (0, or 1 for extended and mixed addressing).
///
/// As the standard has it, but for single frames of CAN-FD: one that is longer than its content needs, or that uses the
/// long form for few bytes, has an unambiguous content and is accepted, as Linux's ISO-TP does.
pub(super) fn read(frame: &Frame, address_bytes: usize) -> Result<Pci<'_>, Ignored> {
    let frame_len = frame.data().len();
    let bytes = frame.data().get(address_bytes..).unwrap_or_default();
    let Some((&first, rest)) = bytes.split_first() else { return Err(Ignored::Empty) };
    let nibble = first & 0x0F;
    match first >> 4 {
        0 => single(frame_len, nibble, rest),
        1 => first_frame(frame_len, address_bytes, nibble, rest),
        2 => Ok(Pci::Consecutive { sequence: nibble, rest }),
        3 => flow_control(nibble, rest),
        _ => Err(Ignored::UnknownType),
    }
}

/// The length is the nibble; in a frame of more than 8 bytes the nibble is 0 and the length the byte behind it.
fn single(frame_len: usize, nibble: u8, rest: &[u8]) -> Result<Pci<'_>, Ignored> {
    let (len, content) = if frame_len <= CLASSIC_LEN_MAX {
        (nibble, rest)
    } else {
        match rest.split_first() {
            Some((&len, content)) if nibble == 0 => (len, content),
            _ => return Err(Ignored::SingleLength),
        }
    };
    match content.get(..usize::from(len)) {
        Some(message) if len > 0 => Ok(Pci::Single(message)),
        _ => Err(Ignored::SingleLength),
    }
}

/// The length is 12 bits, or, when these are 0, the 32 bits behind them.
fn first_frame(frame_len: usize, address_bytes: usize, nibble: u8, rest: &[u8]) -> Result<Pci<'_>, Ignored> {
    let refused = Err(Ignored::FirstLength);
    if frame_len < CLASSIC_LEN_MAX {
        return refused;
    }
    let Some((&low, rest)) = rest.split_first() else { return refused };
    let short = u32::from(nibble) << 8 | u32::from(low);
    if short == 0 {
        let Some((len, head)) = rest.split_first_chunk() else { return refused };
        let len = u32::from_be_bytes(*len);
        return if len > SHORT_LEN_MAX { Ok(Pci::First { len, head }) } else { refused };
    }
    // What a single frame of this length would hold needs no first frame (FF_DLmin, table 14 of the standard).
    let single_overhead = if frame_len > CLASSIC_LEN_MAX { 2 } else { 1 };
    let single_max = (frame_len - single_overhead - address_bytes) as u32;
    if short > single_max { Ok(Pci::First { len: short, head: rest }) } else { refused }
}

fn flow_control(nibble: u8, rest: &[u8]) -> Result<Pci<'_>, Ignored> {
    let status = match nibble {
        0 => FlowStatus::ContinueToSend,
        1 => FlowStatus::Wait,
        2 => FlowStatus::Overflow,
        _ => return Err(Ignored::FlowControlForm),
    };
    let [block_size, separation, ..] = *rest else { return Err(Ignored::FlowControlForm) };
    Ok(Pci::FlowControl(FlowControl { status, block_size, separation: SeparationTime(separation) }))
}

#[cfg(test)]
mod tests;
