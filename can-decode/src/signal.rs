//! A signal: where its bits are, what they mean, and when they are there.

use alloc::string::String;
use alloc::vec::Vec;

use crate::extract::ByteOrder;

/// How the raw bits of a signal are a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// Unsigned integer (`+` in a DBC).
    Unsigned,
    /// Two's complement integer (`-` in a DBC).
    Signed,
    /// IEEE 754 binary32 (`SIG_VALTYPE_` 1), 32 bits.
    F32,
    /// IEEE 754 binary64 (`SIG_VALTYPE_` 2), 64 bits.
    F64,
}

impl ValueKind {
    /// The number that the raw bits stand for, before factor and offset.
    pub fn number(self, raw: Raw) -> f64 {
        match self {
            Self::Unsigned => raw.0 as f64,
            Self::Signed => raw.as_i64() as f64,
            Self::F32 => f64::from(f32::from_bits(raw.0 as u32)),
            Self::F64 => f64::from_bits(raw.0),
        }
    }
}

/// The bits of one sample: an integer sign-extended to 64 bits, or the IEEE bits of a float (f32 in the low 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw(pub u64);

impl Raw {
    /// The two's complement reading, right for signals of [`ValueKind::Signed`].
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }
}

/// When a multiplexed signal is in the payload: while its multiplexor has one of these values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// Index of the multiplexor among the message's signals; it may itself be in a branch.
    pub multiplexor: usize,
    /// First and last raw value of each range, both included; never empty.
    pub ranges: Vec<(u64, u64)>,
}

/// One signal of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The short name (`SG_`), unique within its message; the name that samples are labelled with.
    pub name: String,
    /// `SystemSignalLongSymbol`, where it is given.
    pub long_name: Option<String>,
    /// Unit of the physical value as the DBC writes it; empty when there is none.
    pub unit: String,
    /// Start bit as [`ByteOrder`] numbers it, 0 to 511.
    pub start_bit: u16,
    /// Number of bits, 1 to 64.
    pub bits: u8,
    /// How the bits are ordered.
    pub byte_order: ByteOrder,
    /// How the bits are a number.
    pub kind: ValueKind,
    /// Physical value per raw unit.
    pub factor: f64,
    /// Physical value of raw zero.
    pub offset: f64,
    /// Smallest physical value the DBC declares; 0 with `max` 0 says nothing.
    pub min: f64,
    /// Largest physical value the DBC declares.
    pub max: f64,
    /// Raw number before the first frame (`GenSigStartValue`), where one is given that the signal can have.
    pub start_value: Option<f64>,
    /// Suspect parameter number of SAE J1939 (`SPN`), which diagnostic messages name the signal by; never 0.
    pub spn: Option<u32>,
    /// Names of raw values (`VAL_`), sorted by value, one name each; values above `i64::MAX` stand as negative.
    pub labels: Vec<(i64, String)>,
    /// Whether other signals' branches hang on this one's value.
    pub is_multiplexor: bool,
    /// When the signal is present; `None` is always.
    pub branch: Option<Branch>,
}

impl Signal {
    /// `raw * factor + offset` in the signal's unit; one f64 rounding for each of the two operations.
    pub fn physical(&self, raw: Raw) -> f64 {
        self.kind.number(raw) * self.factor + self.offset
    }

    /// The name of a raw value, where the DBC gives one. Floats have none.
    pub fn label(&self, raw: Raw) -> Option<&str> {
        if matches!(self.kind, ValueKind::F32 | ValueKind::F64) {
            return None;
        }
        let at = self.labels.binary_search_by_key(&raw.as_i64(), |(value, _)| *value).ok()?;
        self.labels.get(at).map(|(_, label)| label.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::string::ToString;

    use super::*;

    /// An unsigned Intel signal with factor 1, for other tests to build on.
    pub(crate) fn plain(name: &str, start_bit: u16, bits: u8) -> Signal {
        Signal {
            name: name.to_string(),
            long_name: None,
            unit: String::new(),
            start_bit,
            bits,
            byte_order: ByteOrder::Intel,
            kind: ValueKind::Unsigned,
            factor: 1.0,
            offset: 0.0,
            min: 0.0,
            max: 0.0,
            start_value: None,
            spn: None,
            labels: Vec::new(),
            is_multiplexor: false,
            branch: None,
        }
    }

    #[test]
    fn physical_values_follow_the_kind() {
        let check = |kind, factor, offset, raw: u64, expected: f64| {
            let signal = Signal { kind, factor, offset, ..plain("S", 0, 64) };
            assert_eq!(signal.physical(Raw(raw)).to_bits(), expected.to_bits(), "{kind:?} {raw:#X}");
        };
        check(ValueKind::Unsigned, 0.5, -10.0, 30, 5.0);
        check(ValueKind::Unsigned, 1.0, 0.0, u64::MAX, 18_446_744_073_709_551_615.0);
        check(ValueKind::Signed, 0.5, 0.0, -5_i64 as u64, -2.5);
        check(ValueKind::F32, 2.0, 1.0, u64::from(1.5_f32.to_bits()), 4.0);
        check(ValueKind::F64, 1.0, 0.0, f64::NEG_INFINITY.to_bits(), f64::NEG_INFINITY);
    }

    #[test]
    fn labels_are_found_by_raw_value() {
        let labels = alloc::vec![(-1, "invalid".to_string()), (0, "off".to_string()), (7, "on".to_string())];
        let signal = Signal { kind: ValueKind::Signed, labels, ..plain("S", 0, 8) };
        assert_eq!(signal.label(Raw(u64::MAX)), Some("invalid"));
        assert_eq!(signal.label(Raw(7)), Some("on"));
        assert_eq!(signal.label(Raw(1)), None);
        assert_eq!(Signal { kind: ValueKind::F64, ..signal }.label(Raw(0)), None);
    }
}
