//! One CAN or CAN-FD frame as it was on the bus (ISO 11898-1).

use core::fmt;

/// Largest payload of a CAN-FD frame in bytes (ISO 11898-1).
pub const FD_LEN_MAX: usize = 64;
/// Largest payload of a classical CAN frame in bytes.
pub const CLASSIC_LEN_MAX: usize = 8;

/// An 11-bit (standard) or 29-bit (extended) identifier. The two number spaces are distinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CanId {
    /// 0 to `0x7FF`.
    Standard(u16),
    /// 0 to `0x1FFF_FFFF`.
    Extended(u32),
}

impl CanId {
    /// Largest standard identifier.
    pub const STANDARD_MAX: u16 = 0x7FF;
    /// Largest extended identifier.
    pub const EXTENDED_MAX: u32 = 0x1FFF_FFFF;
    /// The bit that marks an extended identifier in DBC files and in `SocketCAN`'s `can_id` (`CAN_EFF_FLAG`).
    pub const EXTENDED_BIT: u32 = 0x8000_0000;

    /// An 11-bit identifier, or `None` above [`Self::STANDARD_MAX`].
    pub const fn standard(id: u16) -> Option<Self> {
        if id <= Self::STANDARD_MAX { Some(Self::Standard(id)) } else { None }
    }

    /// A 29-bit identifier, or `None` above [`Self::EXTENDED_MAX`].
    pub const fn extended(id: u32) -> Option<Self> {
        if id <= Self::EXTENDED_MAX { Some(Self::Extended(id)) } else { None }
    }

    /// The number without the extended bit.
    pub const fn raw(self) -> u32 {
        match self {
            Self::Standard(id) => id as u32,
            Self::Extended(id) => id,
        }
    }

    /// Whether this is a 29-bit identifier.
    pub const fn is_extended(self) -> bool {
        matches!(self, Self::Extended(_))
    }

    /// The number with bit 31 set for extended identifiers, as DBC files and `SocketCAN` write it.
    pub const fn with_extended_bit(self) -> u32 {
        match self {
            Self::Standard(id) => id as u32,
            Self::Extended(id) => id | Self::EXTENDED_BIT,
        }
    }
}

/// Candump's way of writing it: three hex digits for standard, eight for extended.
impl fmt::Display for CanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(id) => write!(f, "{id:03X}"),
            Self::Extended(id) => write!(f, "{id:08X}"),
        }
    }
}

/// What kind of frame it is; bits as in [`FrameFlags`]' constants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FrameFlags(u8);

impl FrameFlags {
    /// CAN-FD frame (FDF bit).
    pub const FD: Self = Self(1);
    /// Bit rate switch (BRS), CAN-FD only.
    pub const BRS: Self = Self(2);
    /// Error state indicator (ESI), CAN-FD only.
    pub const ESI: Self = Self(4);
    /// Remote transmission request, classical CAN only: a length but no payload.
    pub const REMOTE: Self = Self(8);
    /// An error frame made by the controller's driver (`SocketCAN`: `CAN_ERR_FLAG`); the id is an error class.
    pub const ERROR: Self = Self(16);

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits as stored in blocks.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// Why bytes do not make a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// More than 8 bytes in a classical frame.
    ClassicTooLong(usize),
    /// Not one of 0–8, 12, 16, 20, 24, 32, 48, 64 bytes.
    FdLength(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassicTooLong(len) => {
                write!(f, "{len} bytes in a classical CAN frame, which holds 0 to 8")
            }
            Self::FdLength(len) => {
                write!(f, "{len} bytes in a CAN-FD frame, which holds 0-8, 12, 16, 20, 24, 32, 48 or 64")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// A frame: identifier, flags and up to 64 bytes. Plain data of a fixed size, so that queues of it never allocate.
#[derive(Clone, Copy)]
pub struct Frame {
    id: CanId,
    flags: FrameFlags,
    len: u8,
    data: [u8; FD_LEN_MAX],
}

impl Frame {
    /// A classical data frame.
    ///
    /// # Errors
    /// [`FrameError::ClassicTooLong`] above 8 bytes.
    pub fn classic(id: CanId, payload: &[u8]) -> Result<Self, FrameError> {
        if payload.len() > CLASSIC_LEN_MAX {
            return Err(FrameError::ClassicTooLong(payload.len()));
        }
        Ok(Self::build(id, FrameFlags::default(), payload))
    }

    /// A CAN-FD data frame; `flags` may add [`FrameFlags::BRS`] and [`FrameFlags::ESI`].
    ///
    /// # Errors
    /// [`FrameError::FdLength`] for a length that CAN-FD cannot carry.
    pub fn fd(id: CanId, flags: FrameFlags, payload: &[u8]) -> Result<Self, FrameError> {
        if !matches!(payload.len(), 0..=8 | 12 | 16 | 20 | 24 | 32 | 48 | 64) {
            return Err(FrameError::FdLength(payload.len()));
        }
        Ok(Self::build(id, flags.union(FrameFlags::FD), payload))
    }

    /// A remote request for `len` bytes (capped at 8).
    pub fn remote(id: CanId, len: u8) -> Self {
        let mut frame = Self::build(id, FrameFlags::REMOTE, &[]);
        frame.len = len.min(CLASSIC_LEN_MAX as u8);
        frame
    }

    /// A driver's error frame: the error class bits of `SocketCAN`'s `linux/can/error.h` and its 8 data bytes.
    pub fn error(class: u32, detail: [u8; 8]) -> Self {
        Self::build(CanId::Extended(class & CanId::EXTENDED_MAX), FrameFlags::ERROR, &detail)
    }

    fn build(id: CanId, flags: FrameFlags, payload: &[u8]) -> Self {
        let mut data = [0; FD_LEN_MAX];
        data[..payload.len()].copy_from_slice(payload);
        Self { id, flags, len: payload.len() as u8, data }
    }

    /// The identifier.
    pub const fn id(&self) -> CanId {
        self.id
    }

    /// Kind and bus flags.
    pub const fn flags(&self) -> FrameFlags {
        self.flags
    }

    /// Whether this is a CAN-FD frame.
    pub const fn is_fd(&self) -> bool {
        self.flags.contains(FrameFlags::FD)
    }

    /// Whether the frame carries a payload to decode: neither a remote request nor an error frame.
    pub const fn is_data(&self) -> bool {
        !self.flags.contains(FrameFlags::REMOTE) && !self.flags.contains(FrameFlags::ERROR)
    }

    /// The payload; empty for a remote request.
    pub fn data(&self) -> &[u8] {
        if self.flags.contains(FrameFlags::REMOTE) { &[] } else { &self.data[..usize::from(self.len)] }
    }

    /// The payload with zeros up to 64 bytes behind it, so that a word can be read near its end.
    pub const fn padded(&self) -> &[u8; FD_LEN_MAX] {
        &self.data
    }

    /// The length field in bytes: of the payload, or asked for by a remote request.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the length field is zero.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.flags == other.flags
            && self.len == other.len
            && self.data() == other.data()
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:02X?} {:?}", self.id, self.data(), self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_the_bus_cannot_carry_are_refused() {
        let id = CanId::Standard(1);
        for len in 0..=64 {
            let payload = vec![0xA5; len];
            assert_eq!(Frame::classic(id, &payload).is_ok(), len <= 8, "classic {len}");
            let fd = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64].contains(&len);
            assert_eq!(Frame::fd(id, FrameFlags::BRS, &payload).is_ok(), fd, "fd {len}");
        }
    }

    #[test]
    fn a_remote_frame_has_a_length_and_no_payload() {
        let frame = Frame::remote(CanId::Standard(0x7DF), 8);
        assert_eq!((frame.len(), frame.data(), frame.is_data()), (8, &[][..], false));
    }

    #[test]
    fn ids_are_written_as_candump_writes_them() {
        assert_eq!(CanId::Standard(0xB4).to_string(), "0B4");
        assert_eq!(CanId::Extended(0x0CF0_0400).to_string(), "0CF00400");
        assert_eq!(CanId::standard(0x800), None);
        assert_eq!(CanId::extended(0x2000_0000), None);
    }
}
