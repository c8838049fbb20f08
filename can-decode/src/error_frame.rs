//! Error frames: what a CAN controller's driver tells of the bus and of itself (linux/can/error.h).

use crate::{CanId, Frame, FrameFlags};

/// How far a controller takes part in the bus (ISO 11898-1: fault confinement).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BusState {
    /// Error active: both counters below 96.
    #[default]
    Active,
    /// Still error active; a counter is 96 or more.
    Warning,
    /// Error passive: a counter is 128 or more. It may no longer destroy the frames of others.
    Passive,
    /// The transmit counter went beyond 255: it takes no part until it is restarted.
    BusOff,
}

impl BusState {
    /// Name as used in metrics, as `ip -details link show` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "error_active",
            Self::Warning => "error_warning",
            Self::Passive => "error_passive",
            Self::BusOff => "bus_off",
        }
    }

    const fn of_counters(transmit: u8, receive: u8) -> Self {
        match if transmit > receive { transmit } else { receive } {
            0..=95 => Self::Active,
            96..=127 => Self::Warning,
            _ => Self::Passive,
        }
    }
}

/// Why there is an error frame. One frame may have several reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ErrorKind {
    /// The driver gave up sending a frame (`CAN_ERR_TX_TIMEOUT`).
    TransmitTimeout = 0,
    /// Another node had a frame of more weight (`CAN_ERR_LOSTARB`).
    LostArbitration = 1,
    /// The controller's state or its buffers (`CAN_ERR_CRTL`).
    Controller = 2,
    /// A frame was malformed on the bus (`CAN_ERR_PROT`).
    Protocol = 3,
    /// The transceiver reports its wires (`CAN_ERR_TRX`).
    Transceiver = 4,
    /// Nobody acknowledged a frame (`CAN_ERR_ACK`).
    NoAcknowledgement = 5,
    /// The controller went off the bus (`CAN_ERR_BUSOFF`).
    BusOff = 6,
    /// An error on the bus, which the protocol field may explain (`CAN_ERR_BUSERROR`).
    BusError = 7,
    /// The controller was restarted (`CAN_ERR_RESTARTED`).
    Restarted = 8,
    /// The error counters are told (`CAN_ERR_CNT`).
    Counters = 9,
}

impl ErrorKind {
    /// All, in the order of their bits.
    pub const ALL: [Self; 10] = [
        Self::TransmitTimeout,
        Self::LostArbitration,
        Self::Controller,
        Self::Protocol,
        Self::Transceiver,
        Self::NoAcknowledgement,
        Self::BusOff,
        Self::BusError,
        Self::Restarted,
        Self::Counters,
    ];

    /// Name as used in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TransmitTimeout => "transmit_timeout",
            Self::LostArbitration => "lost_arbitration",
            Self::Controller => "controller",
            Self::Protocol => "protocol",
            Self::Transceiver => "transceiver",
            Self::NoAcknowledgement => "no_acknowledgement",
            Self::BusOff => "bus_off",
            Self::BusError => "bus_error",
            Self::Restarted => "restarted",
            Self::Counters => "counters",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

const CONTROLLER_RX_OVERFLOW: u8 = 0x01;
const CONTROLLER_TX_OVERFLOW: u8 = 0x02;
const CONTROLLER_WARNING: u8 = 0x04 | 0x08;
const CONTROLLER_PASSIVE: u8 = 0x10 | 0x20;
const CONTROLLER_ACTIVE: u8 = 0x40;

/// An error frame, readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    class: u32,
    detail: [u8; 8],
}

impl ErrorFrame {
    /// `None` for other frames.
    pub fn of(frame: &Frame) -> Option<Self> {
        if !frame.flags().contains(FrameFlags::ERROR) {
            return None;
        }
        let class = match frame.id() {
            CanId::Extended(class) => class,
            CanId::Standard(class) => u32::from(class),
        };
        Some(Self { class, detail: *frame.padded().first_chunk()? })
    }

    /// Whether this is one of its reasons.
    pub const fn has(&self, kind: ErrorKind) -> bool {
        self.class & kind.bit() != 0
    }

    /// Its reasons.
    pub fn kinds(&self) -> impl Iterator<Item = ErrorKind> {
        let class = self.class;
        ErrorKind::ALL.into_iter().filter(move |kind| class & kind.bit() != 0)
    }

    /// Transmit and receive error counters (ISO 11898-1), where the driver tells them.
    pub const fn counters(&self) -> Option<(u8, u8)> {
        if self.has(ErrorKind::Counters) { Some((self.detail[6], self.detail[7])) } else { None }
    }

    /// The state that the controller is in now; `None` when the frame does not say.
    pub fn state(&self) -> Option<BusState> {
        if self.has(ErrorKind::BusOff) {
            return Some(BusState::BusOff);
        }
        let controller = if self.has(ErrorKind::Controller) { self.detail[1] } else { 0 };
        if controller & CONTROLLER_PASSIVE != 0 {
            Some(BusState::Passive)
        } else if controller & CONTROLLER_WARNING != 0 {
            Some(BusState::Warning)
        } else if controller & CONTROLLER_ACTIVE != 0 || self.has(ErrorKind::Restarted) {
            Some(BusState::Active)
        } else {
            self.counters().map(|(transmit, receive)| BusState::of_counters(transmit, receive))
        }
    }

    /// Whether the controller lost frames because nobody fetched them.
    pub const fn has_receive_overflow(&self) -> bool {
        self.has(ErrorKind::Controller) && self.detail[1] & CONTROLLER_RX_OVERFLOW != 0
    }

    /// Whether the controller had more to send than it could hold.
    pub const fn has_transmit_overflow(&self) -> bool {
        self.has(ErrorKind::Controller) && self.detail[1] & CONTROLLER_TX_OVERFLOW != 0
    }

    /// The bit at which arbitration was lost; `None` when it was not, or the driver does not say.
    pub const fn arbitration_lost_at(&self) -> Option<u8> {
        if self.has(ErrorKind::LostArbitration) && self.detail[0] != 0 { Some(self.detail[0]) } else { None }
    }

    /// What was wrong on the bus, as the bits `CAN_ERR_PROT_*` have it, and at which place of the frame (`CAN_ERR_PROT_LOC_*`);
    /// zero is unspecified. `None` when nothing was.
    pub const fn protocol(&self) -> Option<(u8, u8)> {
        if self.has(ErrorKind::Protocol) { Some((self.detail[2], self.detail[3])) } else { None }
    }

    /// The transceiver's word on its wires (`CAN_ERR_TRX_*`); zero is unspecified. `None` when it says nothing.
    pub const fn transceiver(&self) -> Option<u8> {
        if self.has(ErrorKind::Transceiver) { Some(self.detail[4]) } else { None }
    }
}

/// What the error frames of one bus have told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusErrors {
    /// The state last told; error active before any was.
    pub state: BusState,
    /// Transmit error counter as last told.
    pub transmit_errors: u8,
    /// Receive error counter as last told.
    pub receive_errors: u8,
    /// Times that the controller went off the bus.
    pub bus_off: u64,
    /// Times that the controller was restarted.
    pub restarts: u64,
    /// Times that the controller lost frames because nobody fetched them.
    pub receive_overflows: u64,
    /// Error frames by [`ErrorKind`], in the order of [`ErrorKind::ALL`].
    pub by_kind: [u64; ErrorKind::ALL.len()],
}

impl BusErrors {
    /// Takes an error frame. Gives the state when it has changed.
    pub fn observe(&mut self, frame: &ErrorFrame) -> Option<BusState> {
        for kind in frame.kinds() {
            self.by_kind[kind as usize] += 1;
        }
        if let Some((transmit, receive)) = frame.counters() {
            (self.transmit_errors, self.receive_errors) = (transmit, receive);
        }
        self.bus_off += u64::from(frame.has(ErrorKind::BusOff));
        self.restarts += u64::from(frame.has(ErrorKind::Restarted));
        self.receive_overflows += u64::from(frame.has_receive_overflow());
        let state = frame.state().filter(|state| *state != self.state)?;
        self.state = state;
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(class: u32, detail: [u8; 8]) -> ErrorFrame {
        ErrorFrame::of(&Frame::error(class | 0x2000_0000, detail)).unwrap()
    }

    #[test]
    fn states_are_read_from_wherever_the_driver_tells_them() {
        let check =
            |class, detail, expected| assert_eq!(frame(class, detail).state(), expected, "{class:#x}");
        check(0x40, [0; 8], Some(BusState::BusOff));
        check(0x44, [0, 0x10, 0, 0, 0, 0, 0, 0], Some(BusState::BusOff));
        check(0x04, [0, 0x20, 0, 0, 0, 0, 0, 0], Some(BusState::Passive));
        check(0x04, [0, 0x14, 0, 0, 0, 0, 0, 0], Some(BusState::Passive));
        check(0x04, [0, 0x08, 0, 0, 0, 0, 0, 0], Some(BusState::Warning));
        check(0x04, [0, 0x40, 0, 0, 0, 0, 0, 0], Some(BusState::Active));
        check(0x04, [0, 0x01, 0, 0, 0, 0, 0, 0], None);
        check(0x100, [0; 8], Some(BusState::Active));
        check(0x200, [0, 0, 0, 0, 0, 0, 95, 0], Some(BusState::Active));
        check(0x200, [0, 0, 0, 0, 0, 0, 0, 96], Some(BusState::Warning));
        check(0x288, [0, 0, 0, 0, 0, 0, 128, 96], Some(BusState::Passive));
        check(0x88, [0, 0x10, 4, 8, 0, 0, 255, 255], None);
    }

    #[test]
    fn details_are_there_only_where_their_class_is() {
        let detail = [17, 0x03, 4, 8, 0x44, 0, 130, 7];
        let all = frame(0x3FF, detail);
        assert_eq!(all.kinds().count(), 10);
        assert_eq!(
            (all.arbitration_lost_at(), all.protocol(), all.transceiver(), all.counters()),
            (Some(17), Some((4, 8)), Some(0x44), Some((130, 7)))
        );
        assert!(all.has_receive_overflow() && all.has_transmit_overflow());
        let none = frame(0x80, detail);
        assert_eq!(
            (none.arbitration_lost_at(), none.protocol(), none.transceiver(), none.counters()),
            (None, None, None, None)
        );
        assert!(!none.has_receive_overflow() && !none.has_transmit_overflow());
        assert_eq!(ErrorFrame::of(&Frame::remote(CanId::Standard(1), 8)), None);
    }

    #[test]
    fn a_bus_goes_off_and_comes_back() {
        let mut errors = BusErrors::default();
        let mut told = |class, detail| errors.observe(&frame(class, detail));
        assert_eq!(told(0x204, [0, 0x08, 0, 0, 0, 0, 96, 0]), Some(BusState::Warning));
        assert_eq!(told(0x88, [0; 8]), None);
        assert_eq!(told(0x204, [0, 0x20, 0, 0, 0, 0, 128, 0]), Some(BusState::Passive));
        assert_eq!(told(0x40, [0; 8]), Some(BusState::BusOff));
        assert_eq!(told(0x40, [0; 8]), None);
        assert_eq!(told(0x100, [0; 8]), Some(BusState::Active));
        assert_eq!(told(0x04, [0, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!((errors.bus_off, errors.restarts, errors.receive_overflows), (2, 1, 1));
        assert_eq!((errors.transmit_errors, errors.receive_errors), (128, 0));
        assert_eq!(errors.by_kind, [0, 0, 3, 1, 0, 0, 2, 1, 1, 2]);
    }
}
