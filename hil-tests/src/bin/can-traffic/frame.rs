//! Frames as the kernel takes them, and the kinds that are sent.

/// `struct can_frame` and `struct canfd_frame` of linux/can.h.
const CAN_MTU: usize = 16;
const CANFD_MTU: usize = 72;
const DATA: usize = 8;

/// Flags of the identifier word (linux/can.h).
pub(crate) const CAN_EFF_FLAG: u32 = 0x8000_0000;
pub(crate) const CAN_RTR_FLAG: u32 = 0x4000_0000;
pub(crate) const CAN_ERR_FLAG: u32 = 0x2000_0000;
/// "Controller problems" (linux/can/error.h), of which byte 1 names one.
const CAN_ERR_CRTL: u32 = 0x4;
const CAN_ERR_CRTL_RX_OVERFLOW: u8 = 0x1;
const CANFD_BRS: u8 = 1;

/// Where `TraceContextOffset` in traffic.dbc puts the context.
const CONTEXT_AT: usize = 8;
/// W3C trace flags: sampled.
const SAMPLED: u8 = 1;

/// A frame, in the machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    bytes: [u8; CANFD_MTU],
    len: usize,
}

impl Packet {
    /// A classic frame with at most 8 bytes.
    pub(crate) fn classic(word: u32, data: &[u8]) -> Self {
        Self::new(word, data, 0, CAN_MTU)
    }

    /// A CAN FD frame with at most 64 bytes.
    pub(crate) fn fd(word: u32, data: &[u8], flags: u8) -> Self {
        Self::new(word, data, flags, CANFD_MTU)
    }

    fn new(word: u32, data: &[u8], flags: u8, len: usize) -> Self {
        let mut bytes = [0; CANFD_MTU];
        bytes[..4].copy_from_slice(&word.to_ne_bytes());
        // At most 64.
        bytes[4] = data.len() as u8;
        bytes[5] = flags;
        bytes[DATA..DATA + data.len()].copy_from_slice(data);
        Self { bytes, len }
    }

    /// What goes to the socket.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What is sent, and what a daemon with traffic.dbc makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Message `Classic`.
    Classic,
    /// Message `Flexible`, CAN FD with 64 bytes.
    Fd,
    /// Message `Traced`, CAN FD with a sampled trace context: a span.
    Traced,
    /// An identifier that no message has.
    Unmatched,
    /// A remote frame.
    Remote,
    /// An error frame, as a controller driver reports it.
    Error,
}

impl Kind {
    /// All of them, in the order of counters.
    pub(crate) const ALL: [Self; 6] =
        [Self::Classic, Self::Fd, Self::Traced, Self::Unmatched, Self::Remote, Self::Error];

    /// Its name on the command line and in the counts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Fd => "fd",
            Self::Traced => "traced",
            Self::Unmatched => "unmatched",
            Self::Remote => "remote",
            Self::Error => "error",
        }
    }

    /// Signals of its message.
    pub(crate) const fn signals(self) -> u64 {
        match self {
            Self::Classic | Self::Fd => 2,
            Self::Traced => 1,
            Self::Unmatched | Self::Remote | Self::Error => 0,
        }
    }

    /// Whether it takes a socket that is open for CAN FD.
    pub(crate) const fn needs_fd(self) -> bool {
        matches!(self, Self::Fd | Self::Traced)
    }

    /// The frame of this kind with this number.
    pub(crate) fn packet(self, sequence: u32) -> Packet {
        let number = sequence.to_le_bytes();
        match self {
            Self::Classic => {
                let mut data = [0; 8];
                data[..4].copy_from_slice(&number);
                data[4..6].copy_from_slice(&(sequence as u16).to_be_bytes());
                Packet::classic(0x100, &data)
            }
            Self::Fd => {
                let mut data = [0x55; 64];
                data[..4].copy_from_slice(&number);
                data[60..].copy_from_slice(&(!sequence).to_le_bytes());
                Packet::fd(0x200, &data, CANFD_BRS)
            }
            Self::Traced => {
                let mut data = [0; 48];
                data[..4].copy_from_slice(&number);
                data[CONTEXT_AT..CONTEXT_AT + 25].copy_from_slice(&context(sequence));
                Packet::fd(0x201, &data, CANFD_BRS)
            }
            Self::Unmatched => Packet::classic(0x7F0, &number),
            Self::Remote => Packet::classic(0x100 | CAN_RTR_FLAG, &[]),
            Self::Error => {
                let data = [0, CAN_ERR_CRTL_RX_OVERFLOW, 0, 0, 0, 0, 0, 0];
                Packet::classic(CAN_ERR_FLAG | CAN_ERR_CRTL, &data)
            }
        }
    }
}

/// The 25 bytes of a trace context: trace id, span id, flags (W3C Trace Context §3.2.2). The number is in both ids,
/// which must not be zero.
fn context(sequence: u32) -> [u8; 25] {
    let mut bytes = [0xB0; 25];
    bytes[12..16].copy_from_slice(&sequence.to_be_bytes());
    bytes[20..24].copy_from_slice(&sequence.to_be_bytes());
    bytes[24] = SAMPLED;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_frames_of_their_form() {
        for (kind, len, word) in [
            (Kind::Classic, 16, 0x100),
            (Kind::Fd, 72, 0x200),
            (Kind::Traced, 72, 0x201),
            (Kind::Unmatched, 16, 0x7F0),
            (Kind::Remote, 16, 0x4000_0100),
            (Kind::Error, 16, 0x2000_0004),
        ] {
            let packet = kind.packet(0x0102_0304);
            assert_eq!(packet.bytes().len(), len, "{kind:?}");
            assert_eq!(packet.bytes()[..4], u32::to_ne_bytes(word), "{kind:?}");
        }
        assert_eq!(Kind::Classic.packet(0x0102_0304).bytes()[8..14], [4, 3, 2, 1, 3, 4]);
    }

    #[test]
    fn a_traced_frame_carries_its_number_in_both_ids() {
        let packet = Kind::Traced.packet(7);
        assert_eq!(packet.bytes()[8 + 8 + 15], 7);
        assert_eq!(packet.bytes()[8 + 8 + 23], 7);
        assert_eq!(packet.bytes()[8 + 8 + 24], SAMPLED);
    }
}
