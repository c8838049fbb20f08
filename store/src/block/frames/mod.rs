//! Frames as they were on the bus, not decoded: per identifier a column of times and one for each byte of the payload.

mod build;
mod read;

use can_decode::{CanId, Frame, FrameFlags};

use super::{BlockError, ClockSource};

pub use build::{FramesBuilder, FramesFull};
pub use read::{Frames, read_frames};

/// A frame as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Index into the schema's buses.
    pub bus: u16,
    /// When, nanoseconds since 1970.
    pub time_ns: i64,
    /// The clock of `time_ns`.
    pub clock: ClockSource,
    /// What: data, remote request or error frame.
    pub frame: Frame,
}

/// What the frames of a group have in common, all but time and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Likeness {
    bus: u16,
    id: CanId,
    flags: u8,
    len: u8,
    clock: ClockSource,
}

impl Likeness {
    const fn of(raw: &RawFrame) -> Self {
        let RawFrame { bus, clock, frame, .. } = raw;
        Self { bus: *bus, id: frame.id(), flags: frame.flags().bits(), len: frame.len() as u8, clock: *clock }
    }

    /// Bytes of payload of each frame: a remote request has a length only.
    const fn payload_len(self) -> usize {
        if self.flags & FrameFlags::REMOTE.bits() != 0 { 0 } else { self.len as usize }
    }

    /// A frame like these with this payload.
    fn frame(self, payload: &[u8]) -> Result<Frame, BlockError> {
        const FD: u8 = FrameFlags::FD.bits();
        const REMOTE: u8 = FrameFlags::REMOTE.bits();
        const ERROR: u8 = FrameFlags::ERROR.bits();
        let of_length = BlockError::Field { field: "frame length", value: u64::from(self.len) };
        let of_flags = BlockError::Field { field: "frame flags", value: u64::from(self.flags) };
        match (self.flags, self.id) {
            (0, id) => Frame::classic(id, payload).map_err(|_| of_length),
            (REMOTE, id) => {
                let frame = Frame::remote(id, self.len);
                if frame.len() == usize::from(self.len) { Ok(frame) } else { Err(of_length) }
            }
            (ERROR, CanId::Extended(class)) => {
                payload.try_into().map(|detail| Frame::error(class, detail)).map_err(|_| of_length)
            }
            (flags, id) if flags & FD != 0 && flags & !ANY_FD == 0 => {
                let mut all = FrameFlags::FD;
                for flag in [FrameFlags::BRS, FrameFlags::ESI] {
                    if flags & flag.bits() != 0 {
                        all = all.union(flag);
                    }
                }
                Frame::fd(id, all, payload).map_err(|_| of_length)
            }
            _ => Err(of_flags),
        }
    }
}

/// The bits that a CAN-FD frame may have.
const ANY_FD: u8 = FrameFlags::FD.union(FrameFlags::BRS).union(FrameFlags::ESI).bits();

#[cfg(test)]
mod tests;
