//! Signals into payloads: where a value lies, how it is scaled, and where it comes from.

use can_decode::{CanId, Frame, FrameFlags, TraceContext};

use super::super::model::Car;

/// What a signal is read from.
pub(crate) struct Moment<'a> {
    /// The car at the time of the frame.
    pub(crate) car: &'a Car,
    /// Frames of this message sent before.
    pub(crate) sent: u32,
    /// Which of a [`Signal::numbered`] row, from 0.
    pub(crate) index: usize,
}

/// Gives the physical value of a signal.
pub(crate) type Read = fn(&Moment<'_>) -> f64;

/// How the raw bits are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned,
    /// Two's complement.
    Signed,
    /// IEEE 754, 32 bits.
    Float,
}

/// One signal, or a row of equal ones one behind the other.
pub(crate) struct Signal {
    /// As in the DBC; a row's signals add their number from 1 in two digits.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "names join this table to the DBC, which the tests check")
    )]
    pub(crate) name: &'static str,
    /// DBC start bit: the lowest bit (Intel) or the highest (Motorola).
    start: u16,
    bits: u16,
    motorola: bool,
    kind: Kind,
    pub(crate) factor: f64,
    offset: f64,
    /// First index and number of a row.
    pub(crate) row: (usize, usize),
    /// Selector value for which a multiplexed signal is there.
    pub(crate) selector: Option<u32>,
    pub(crate) read: Read,
}

/// An unsigned signal in Intel order (`@1+`).
pub(crate) const fn intel(
    name: &'static str,
    start: u16,
    bits: u16,
    factor: f64,
    offset: f64,
    read: Read,
) -> Signal {
    let kind = Kind::Unsigned;
    Signal { name, start, bits, motorola: false, kind, factor, offset, row: (0, 1), selector: None, read }
}

/// An unsigned signal in Motorola order (`@0+`).
pub(crate) const fn motorola(
    name: &'static str,
    start: u16,
    bits: u16,
    factor: f64,
    offset: f64,
    read: Read,
) -> Signal {
    let mut signal = intel(name, start, bits, factor, offset, read);
    signal.motorola = true;
    signal
}

/// The usual four-bit counter of frames sent.
pub(crate) const fn alive(start: u16) -> Signal {
    intel("AliveCounter", start, 4, 1.0, 0.0, |m| f64::from(m.sent % 16))
}

impl Signal {
    pub(crate) const fn signed(mut self) -> Self {
        self.kind = Kind::Signed;
        self
    }

    pub(crate) const fn float(mut self) -> Self {
        assert!(self.bits == 32, "a float signal has 32 bits");
        self.kind = Kind::Float;
        self
    }

    /// A row of `count` signals in Intel order; the first has index `first`.
    pub(crate) const fn numbered(mut self, first: usize, count: usize) -> Self {
        assert!(!self.motorola, "rows are laid out in Intel order only");
        self.row = (first, count);
        self
    }

    pub(crate) const fn multiplexed(mut self, selector: u32) -> Self {
        self.selector = Some(selector);
        self
    }

    /// One past the last payload bit used.
    const fn end(&self) -> usize {
        if self.motorola {
            let from_byte_top = 7 - self.start as usize % 8;
            (self.start as usize / 8) * 8 + from_byte_top + self.bits as usize
        } else {
            self.start as usize + self.bits as usize * self.row.1
        }
    }

    fn raw(&self, physical: f64) -> u64 {
        let scaled = (physical - self.offset) / self.factor;
        match self.kind {
            Kind::Float => u64::from((scaled as f32).to_bits()),
            // Values beyond the range saturate, as in an ECU; `as` also turns NaN into 0.
            Kind::Unsigned => (scaled.round() as u64).min(u64::MAX >> (64 - self.bits)),
            Kind::Signed => {
                let limit = 1_i64 << (self.bits - 1);
                (scaled.round() as i64).clamp(-limit, limit - 1) as u64
            }
        }
    }

    fn write(&self, moment: &mut Moment<'_>, payload: &mut [u8]) {
        for place in 0..self.row.1 {
            moment.index = self.row.0 + place;
            let raw = self.raw((self.read)(moment));
            pack(
                payload,
                usize::from(self.start) + place * usize::from(self.bits),
                self.bits,
                self.motorola,
                raw,
            );
        }
    }
}

/// Writes the low `bits` of `raw` at a DBC start bit. Bits beyond the payload are left out.
pub(crate) fn pack(payload: &mut [u8], start: usize, bits: u16, motorola: bool, raw: u64) {
    let bits = usize::from(bits);
    for step in 0..bits {
        // Intel counts up from the lowest bit. Motorola runs from the highest bit down each byte, then on to
        // the next.
        let (bit, place) = if motorola {
            let line = (start / 8) * 8 + 7 - start % 8 + step;
            (bits - 1 - step, (line / 8) * 8 + 7 - line % 8)
        } else {
            (step, start + step)
        };
        if let Some(byte) = payload.get_mut(place / 8) {
            let mask = 1 << (place % 8);
            if raw >> bit & 1 == 1 { *byte |= mask } else { *byte &= !mask }
        }
    }
}

/// One message of a bus.
pub(crate) struct Message {
    pub(crate) id: CanId,
    fd: bool,
    bytes: usize,
    /// Time between two frames, ms; 0 for a message that is only sent when something happened.
    pub(crate) cycle_ms: u32,
    pub(crate) signals: &'static [Signal],
    /// Byte that holds a CRC-8 of all the others.
    pub(crate) checksum: Option<usize>,
    /// Byte at which a trace context begins.
    pub(crate) context: Option<usize>,
}

impl Message {
    /// A classical message of up to 8 bytes.
    pub(crate) const fn classic(id: CanId, bytes: usize, cycle_ms: u32, signals: &'static [Signal]) -> Self {
        assert!(bytes <= 8, "classical CAN carries 8 bytes");
        Self::new(id, false, bytes, cycle_ms, signals)
    }

    /// A CAN-FD message with bit rate switch.
    pub(crate) const fn fd(id: CanId, bytes: usize, cycle_ms: u32, signals: &'static [Signal]) -> Self {
        assert!(matches!(bytes, 0..=8 | 12 | 16 | 20 | 24 | 32 | 48 | 64), "CAN-FD has no such length");
        Self::new(id, true, bytes, cycle_ms, signals)
    }

    const fn new(id: CanId, fd: bool, bytes: usize, cycle_ms: u32, signals: &'static [Signal]) -> Self {
        let mut index = 0;
        while index < signals.len() {
            assert!(signals[index].end() <= bytes * 8, "a signal ends beyond its message");
            index += 1;
        }
        Self { id, fd, bytes, cycle_ms, signals, checksum: None, context: None }
    }

    pub(crate) const fn checksum(mut self, byte: usize) -> Self {
        assert!(byte < self.bytes, "the checksum lies beyond its message");
        self.checksum = Some(byte);
        self
    }

    pub(crate) const fn context(mut self, byte: usize) -> Self {
        assert!(
            self.fd && byte + TraceContext::WIRE_LEN <= self.bytes,
            "the trace context ends beyond its message"
        );
        self.context = Some(byte);
        self
    }

    /// The frame that the car sends now, the `sent`-th of this message. Without a context its bytes stay
    /// zero.
    pub(crate) fn encode(&self, car: &Car, sent: u32, context: Option<&TraceContext>) -> Frame {
        let mut buffer = [0; can_decode::frame::FD_LEN_MAX];
        let payload = &mut buffer[..self.bytes];
        let mut moment = Moment { car, sent, index: 0 };
        for signal in self.signals {
            if signal.selector.is_none_or(|selector| selector == sent % SELECTORS) {
                signal.write(&mut moment, payload);
            }
        }
        if let (Some(at), Some(context)) = (self.context, context) {
            payload[at..at + TraceContext::WIRE_LEN].copy_from_slice(&context.write());
        }
        if let Some(at) = self.checksum {
            payload[at] = crc8(payload, at);
        }
        let frame = if self.fd {
            Frame::fd(self.id, FrameFlags::BRS, payload)
        } else {
            Frame::classic(self.id, payload)
        };
        // The constructors above let no other length through, and run while compiling.
        frame.expect("message tables hold only lengths that the bus carries")
    }

    /// Time on the wire with 10 % stuff bits, ns: 11 or 29 identifier bits, at 500 kbit/s (125 kbit/s on
    /// `slow` buses), the payload of FD frames at 2 Mbit/s.
    pub(crate) fn wire_ns(&self, slow: bool) -> i64 {
        let (bit_ns, bits) = (if slow { 8_000 } else { 2_000 }, 8 * self.bytes as i64);
        let head = if self.id.is_extended() { 67 } else { 47 };
        let plain = if self.fd { 30 * bit_ns + (bits + 30) * 500 } else { (head + bits) * bit_ns };
        plain + plain / 10
    }
}

/// Values of a multiplexor, which a multiplexed message takes in turn.
pub(crate) const SELECTORS: u32 = 4;

/// CRC-8 of SAE J1850 (polynomial 0x1D, start and final XOR 0xFF), as AUTOSAR's CRC library computes it, over
/// all bytes but the one that holds it.
pub(crate) fn crc8(payload: &[u8], skip: usize) -> u8 {
    let mut crc = 0xFF_u8;
    for (_, byte) in payload.iter().enumerate().filter(|(at, _)| *at != skip) {
        crc ^= byte;
        for _ in 0..8 {
            crc = if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x1D };
        }
    }
    crc ^ 0xFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_lie_where_a_dbc_puts_them() {
        let check = |start, bits, motorola, raw, expected: [u8; 3]| {
            let mut payload = [0; 3];
            pack(&mut payload, start, bits, motorola, raw);
            assert_eq!(payload, expected, "{start}|{bits} motorola {motorola}");
            let mut payload = [0xFF; 3];
            pack(&mut payload, start, bits, motorola, raw ^ u64::MAX);
            assert_eq!(payload, expected.map(|byte| !byte), "inverted {start}|{bits} motorola {motorola}");
        };
        check(0, 16, false, 0x1234, [0x34, 0x12, 0]);
        check(4, 12, false, 0xABC, [0xC0, 0xAB, 0]);
        check(7, 16, true, 0x1234, [0x12, 0x34, 0]);
        check(3, 12, true, 0xABC, [0x0A, 0xBC, 0]);
        check(5, 10, true, 0x3FF, [0x3F, 0xF0, 0]);
        check(15, 1, true, 1, [0, 0x80, 0]);
    }

    #[test]
    fn values_saturate() {
        let unsigned = intel("U", 0, 8, 0.5, -40.0, |_| 0.0);
        let signed = intel("S", 0, 8, 0.5, 0.0, |_| 0.0).signed();
        for (value, raw) in [(-100.0, 0), (-40.0, 0), (-39.3, 1), (500.0, 255), (f64::NAN, 0)] {
            assert_eq!(unsigned.raw(value), raw, "{value}");
        }
        for (value, raw) in [(-100.0, -128_i64), (-1.0, -2), (100.0, 127)] {
            assert_eq!(signed.raw(value) as i64, raw, "{value}");
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_sae_j1850() {
        // The check value of CRC-8/SAE-J1850 in the CRC RevEng catalogue.
        assert_eq!(crc8(b"123456789", usize::MAX), 0x4B);
    }
}
