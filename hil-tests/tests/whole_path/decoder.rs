//! A second decoder, as plain as can be: bit by bit, from a table written by hand rather than from the DBC file.
//!
//! It shares nothing with the one under test, so that a mistake has to be made twice to go unseen.

/// An identifier of 11 or 29 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identifier {
    Standard(u32),
    Extended(u32),
}

pub(crate) const ENGINE: Identifier = Identifier::Standard(0x100);
pub(crate) const POSITION: Identifier = Identifier::Extended(0x18FF_5012);
pub(crate) const BATTERY: Identifier = Identifier::Standard(0x200);
pub(crate) const DOORS: Identifier = Identifier::Standard(0x300);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Intel,
    Motorola,
}

#[derive(Clone, Copy)]
enum Kind {
    Unsigned,
    Signed,
    Float,
    Double,
}

/// A signal of `tests/data/bench.dbc`.
pub(crate) struct Signal {
    id: Identifier,
    pub(crate) message: &'static str,
    pub(crate) name: &'static str,
    /// Name of its metric at the far end.
    pub(crate) metric: &'static str,
    start: usize,
    length: usize,
    order: Order,
    kind: Kind,
    factor: f64,
    offset: f64,
    /// The first byte that a frame must have for the signal to be in it.
    selector: Option<u8>,
}

const fn signal(
    (id, message): (Identifier, &'static str),
    (name, metric): (&'static str, &'static str),
    (start, length, order, kind): (usize, usize, Order, Kind),
    (factor, offset): (f64, f64),
) -> Signal {
    Signal { id, message, name, metric, start, length, order, kind, factor, offset, selector: None }
}

const E: (Identifier, &str) = (ENGINE, "Engine");
const P: (Identifier, &str) = (POSITION, "Position");
const B: (Identifier, &str) = (BATTERY, "Battery");
const D: (Identifier, &str) = (DOORS, "Doors");
const LE: Order = Order::Intel;
const BE: Order = Order::Motorola;

/// Every signal there is.
pub(crate) const SIGNALS: [Signal; 13] = [
    signal(E, ("Speed", "can_signal_rpm"), (0, 16, LE, Kind::Unsigned), (0.25, 0.0)),
    signal(E, ("Torque", "can_signal_newton_meters"), (16, 12, LE, Kind::Signed), (0.5, -100.0)),
    signal(E, ("Pressure", "can_signal_bar"), (39, 13, BE, Kind::Signed), (0.1, 0.0)),
    signal(E, ("Coolant", "can_signal_celsius"), (55, 8, BE, Kind::Signed), (1.0, -40.0)),
    signal(E, ("Counter", "can_signal"), (56, 8, LE, Kind::Unsigned), (1.0, 0.0)),
    signal(P, ("Latitude", "can_signal_degrees"), (0, 32, LE, Kind::Float), (1.0, 0.0)),
    signal(P, ("Longitude", "can_signal_degrees"), (39, 32, BE, Kind::Float), (1.0, 0.0)),
    signal(B, ("Energy", "can_signal_kilowatt_hours"), (0, 64, LE, Kind::Double), (0.001, 0.0)),
    signal(B, ("Charge", "can_signal"), (71, 32, BE, Kind::Unsigned), (1.0, 0.0)),
    signal(B, ("Ticks", "can_signal_microseconds"), (96, 64, LE, Kind::Signed), (1.0, 0.0)),
    signal(D, ("Side", "can_signal"), (0, 8, LE, Kind::Unsigned), (1.0, 0.0)),
    Signal {
        selector: Some(0),
        ..signal(D, ("Left", "can_signal_percent"), (8, 16, LE, Kind::Unsigned), (0.1, 0.0))
    },
    Signal { selector: Some(1), ..signal(D, ("Right", "can_signal"), (8, 8, LE, Kind::Signed), (2.0, 1.0)) },
];

/// Length of a message in the DBC file, bytes.
pub(crate) fn length(id: Identifier) -> usize {
    match id {
        BATTERY => 24,
        DOORS => 4,
        _ => 8,
    }
}

/// A physical value, and how far another decoder's may be from it by rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) value: f64,
    pub(crate) tolerance: f64,
}

impl Signal {
    /// Its value in a frame; `None` when it is not in it.
    pub(crate) fn decode(&self, id: Identifier, payload: &[u8]) -> Option<Value> {
        if id != self.id || self.selector.is_some_and(|selector| payload.first() != Some(&selector)) {
            return None;
        }
        let raw = self.raw(payload)?;
        let number = match self.kind {
            Kind::Unsigned => raw as f64,
            Kind::Signed => {
                let unused = 64 - self.length;
                ((raw << unused) as i64 >> unused) as f64
            }
            Kind::Float => f64::from(f32::from_bits(raw as u32)),
            Kind::Double => f64::from_bits(raw),
        };
        let scaled = number * self.factor;
        Some(Value { value: scaled + self.offset, tolerance: 1e-12 * scaled.abs().max(self.offset.abs()) })
    }

    /// Its bits. Intel: from the least significant one at `start` upwards. Motorola: from the most significant one at
    /// `start` downwards within a byte, then at the top of the next byte.
    fn raw(&self, payload: &[u8]) -> Option<u64> {
        let mut raw = 0;
        let mut position = self.start;
        for index in 0..self.length {
            let bit = u64::from(payload.get(position / 8)? >> (position % 8) & 1);
            if self.order == LE {
                raw |= bit << index;
                position += 1;
            } else {
                raw = raw << 1 | bit;
                position = if position.is_multiple_of(8) { position + 15 } else { position - 1 };
            }
        }
        Some(raw)
    }
}

#[test]
fn the_second_decoder_reads_what_can_be_read_by_eye() {
    let speed = |payload: &[u8]| SIGNALS[0].decode(ENGINE, payload).map(|value| value.value);
    assert_eq!(speed(&[0x10, 0x01]), Some(68.0));
    assert_eq!(speed(&[0x10]), None);
    let pressure = SIGNALS[2].decode(ENGINE, &[0, 0, 0, 0, 0xFF, 0xF8, 0, 0]).expect("it fits");
    assert!((pressure.value + 0.1).abs() < 1e-15, "all bits set is -1");
    let charge = SIGNALS[8].decode(BATTERY, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0]).expect("it fits");
    assert_eq!(charge.value.to_bits(), f64::from(0x0102_0304).to_bits());
    assert!(
        SIGNALS[11].decode(DOORS, &[1, 0, 0, 0]).is_none()
            && SIGNALS[12].decode(DOORS, &[1, 0, 0, 0]).is_some()
    );
}
