//! Schemas: the names, units and scales that turn raw values back into physical ones.
//!
//! A schema is itself a block, named by the hash of its body and without any vehicle in it: the same for a whole
//! fleet with the same DBC files.

use can_decode::{CanId, Raw, ValueKind};

use super::names::content_hash;
use super::wire::{Reader, put_text, put_varint, unzigzag, zigzag};
use super::{BlockError, SchemaHash, limits};

/// All messages of all buses of a configuration, in the order of the indices that blocks use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Bus names, as in the config.
    pub buses: Vec<String>,
    /// Messages, bus by bus.
    pub messages: Vec<MessageSchema>,
}

/// One message of one bus.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageSchema {
    /// Index into [`Schema::buses`].
    pub bus: usize,
    /// Its identifier on the bus.
    pub id: CanId,
    /// Name in the DBC file.
    pub name: String,
    /// Its signals.
    pub signals: Vec<SignalSchema>,
}

/// One signal. Physical value = raw × factor + offset.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalSchema {
    /// Name in the DBC file.
    pub name: String,
    /// Unit as the DBC file writes it.
    pub unit: String,
    /// How the raw bits are to be read.
    pub kind: ValueKind,
    /// Scale, physical units a raw step.
    pub factor: f64,
    /// Physical value of raw 0.
    pub offset: f64,
    /// Names of raw values, sorted by value.
    pub labels: Vec<(i64, String)>,
}

impl SignalSchema {
    /// The physical value of `raw`, in [`Self::unit`].
    pub fn physical(&self, raw: u64) -> f64 {
        self.kind.number(Raw(raw)) * self.factor + self.offset
    }

    /// The raw value as an integer, where it is one that `i64` holds.
    pub fn integer(&self, raw: u64) -> Option<i64> {
        match self.kind {
            ValueKind::Unsigned => i64::try_from(raw).ok(),
            ValueKind::Signed => Some(raw as i64),
            ValueKind::F32 | ValueKind::F64 => None,
        }
    }

    /// The name of `raw` in the value table.
    pub fn label(&self, raw: u64) -> Option<&str> {
        let value = self.integer(raw)?;
        let at = self.labels.binary_search_by_key(&value, |label| label.0).ok()?;
        Some(&self.labels[at].1)
    }
}

impl Schema {
    /// The body of the schema's block.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.buses.len() as u64);
        self.buses.iter().for_each(|bus| put_text(&mut out, bus));
        put_varint(&mut out, self.messages.len() as u64);
        for message in &self.messages {
            put_varint(&mut out, message.bus as u64);
            put_varint(&mut out, u64::from(message.id.with_extended_bit()));
            put_text(&mut out, &message.name);
            put_varint(&mut out, message.signals.len() as u64);
            for signal in &message.signals {
                put_text(&mut out, &signal.name);
                put_text(&mut out, &signal.unit);
                out.push(kind_number(signal.kind));
                out.extend_from_slice(&signal.factor.to_le_bytes());
                out.extend_from_slice(&signal.offset.to_le_bytes());
                put_varint(&mut out, signal.labels.len() as u64);
                for (value, label) in &signal.labels {
                    put_varint(&mut out, zigzag(*value));
                    put_text(&mut out, label);
                }
            }
        }
        out
    }

    /// The name of a schema with this body.
    pub fn hash(body: &[u8]) -> SchemaHash {
        SchemaHash(content_hash(body))
    }

    /// Reads a schema body.
    ///
    /// # Errors
    /// [`BlockError`] when it is cut off, exceeds the limits or contradicts itself.
    pub fn read(body: &[u8]) -> Result<Self, BlockError> {
        let mut reader = Reader::new(body);
        let name = |reader: &mut Reader<'_>| reader.text("name", limits::NAME_BYTES_MAX).map(str::to_owned);
        // Counts are bounded by the body as well: every entry takes at least a byte of it.
        let bounded = |max: usize| max.min(body.len());
        let buses = reader.count("buses", bounded(limits::MESSAGES_MAX))?;
        let buses = (0..buses).map(|_| name(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        let messages = reader.count("messages", bounded(limits::MESSAGES_MAX))?;
        let messages = (0..messages)
            .map(|_| {
                let bus = reader.count("bus", buses.len().saturating_sub(1))?;
                if buses.is_empty() {
                    return Err(BlockError::Schema("a message on a bus that is not listed"));
                }
                let id = read_id("message id", reader.varint()?)?;
                let message = name(&mut reader)?;
                let signals = reader.count("signals", bounded(limits::SIGNALS_MAX))?;
                let signals = (0..signals).map(|_| read_signal(&mut reader)).collect::<Result<_, _>>()?;
                Ok(MessageSchema { bus, id, name: message, signals })
            })
            .collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { buses, messages })
    }
}

pub(super) fn read_id(field: &'static str, number: u64) -> Result<CanId, BlockError> {
    let bit = u64::from(CanId::EXTENDED_BIT);
    let id = if number & bit != 0 {
        u32::try_from(number & !bit).ok().and_then(CanId::extended)
    } else {
        u16::try_from(number).ok().and_then(CanId::standard)
    };
    id.ok_or(BlockError::Field { field, value: number })
}

fn read_signal(reader: &mut Reader<'_>) -> Result<SignalSchema, BlockError> {
    let name = reader.text("signal name", limits::NAME_BYTES_MAX)?.to_owned();
    let unit = reader.text("unit", limits::NAME_BYTES_MAX)?.to_owned();
    let kind = kind_from_number(reader.byte()?)?;
    let factor = f64::from_le_bytes(reader.array()?);
    let offset = f64::from_le_bytes(reader.array()?);
    let labels = reader.count("labels", limits::MESSAGES_MAX)?;
    let labels = (0..labels)
        .map(|_| {
            let value = unzigzag(reader.varint()?);
            Ok((value, reader.text("label", limits::NAME_BYTES_MAX)?.to_owned()))
        })
        .collect::<Result<_, _>>()?;
    Ok(SignalSchema { name, unit, kind, factor, offset, labels })
}

const fn kind_number(kind: ValueKind) -> u8 {
    match kind {
        ValueKind::Unsigned => 0,
        ValueKind::Signed => 1,
        ValueKind::F32 => 2,
        ValueKind::F64 => 3,
    }
}

fn kind_from_number(number: u8) -> Result<ValueKind, BlockError> {
    [ValueKind::Unsigned, ValueKind::Signed, ValueKind::F32, ValueKind::F64]
        .into_iter()
        .find(|&kind| kind_number(kind) == number)
        .ok_or(BlockError::Field { field: "value kind", value: u64::from(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let speed = SignalSchema {
            name: "VehicleSpeed".into(),
            unit: "km/h".into(),
            kind: ValueKind::Unsigned,
            factor: 0.01,
            offset: -5.0,
            labels: vec![(0, "standstill".into()), (65_535, "invalid".into())],
        };
        let torque =
            SignalSchema { name: "Torque".into(), unit: "Nm".into(), kind: ValueKind::F32, ..speed.clone() };
        Schema {
            buses: vec!["can0".into(), "can1".into()],
            messages: vec![
                MessageSchema {
                    bus: 0,
                    id: CanId::Standard(0xB4),
                    name: "SPEED".into(),
                    signals: vec![speed],
                },
                MessageSchema {
                    bus: 1,
                    id: CanId::Extended(0xCF0_0400),
                    name: "EEC1".into(),
                    signals: vec![torque],
                },
            ],
        }
    }

    #[test]
    fn a_schema_comes_back_and_is_named_by_its_content() {
        let body = schema().encode();
        assert_eq!(Schema::read(&body).unwrap(), schema());
        let mut other = schema();
        other.messages[0].signals[0].factor = 0.02;
        assert_ne!(Schema::hash(&body), Schema::hash(&other.encode()));
    }

    #[test]
    fn no_cut_and_no_flipped_byte_makes_the_reader_panic() {
        let body = schema().encode();
        for end in 0..body.len() {
            assert!(Schema::read(&body[..end]).is_err(), "cut at {end}");
            for flip in [0x01, 0x80, 0xFF] {
                let mut damaged = body.clone();
                damaged[end] ^= flip;
                let _ = Schema::read(&damaged);
            }
        }
    }

    #[test]
    fn raw_values_become_physical_ones_and_labels() {
        let signal = &schema().messages[0].signals[0];
        assert!((signal.physical(10_500) - 100.0).abs() < 1e-9);
        assert_eq!(signal.label(65_535), Some("invalid"));
        assert_eq!(signal.label(3), None);
        let torque = &schema().messages[1].signals[0];
        assert!((torque.physical(u64::from(100_f32.to_bits())) - (100.0 * 0.01 - 5.0)).abs() < 1e-9);
    }
}
