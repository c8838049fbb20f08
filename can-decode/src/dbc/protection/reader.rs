//! One protection, out of the attributes of its message or group.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Declared, Owner, Parameter, Protections};
use crate::database::MessageDefinition;
use crate::dbc::attribute_statements::AttributeValue;
use crate::dbc::attributes::whole;
use crate::e2e::{Config, DataIdMode, Profile};
use crate::extract::ByteOrder;
use crate::signal::Signal;

/// A signal of the message, by name.
pub(super) fn signal<'a>(message: &'a MessageDefinition, name: &str) -> Result<&'a Signal, String> {
    let found = message.signals.iter().find(|signal| signal.name == name);
    found.ok_or_else(|| format!("the signal {name} is not there"))
}

/// A protection while it is read.
pub(super) struct Reader<'a> {
    pub(super) protections: &'a Protections<'a>,
    pub(super) owner: Owner<'a>,
    pub(super) message: &'a MessageDefinition,
    /// Where the protected data begins.
    pub(super) start_bytes: u16,
}

impl Reader<'_> {
    pub(super) fn config(&self) -> Declared {
        let Some(profile) = self.profile()? else { return Ok(None) };
        let len = self.message.len;
        let rest_bits = (u64::from(len) * 8).saturating_sub(u64::from(self.start_bytes) * 8);
        let len_bits = self.number(Parameter::DataLength)?.filter(|bits| *bits > 0).unwrap_or(rest_bits);
        if len_bits > rest_bits || !len_bits.is_multiple_of(8) {
            return Err(format!(
                "E2EDataLength {len_bits} is no multiple of 8 up to the {rest_bits} bits that there are"
            ));
        }
        let too_long = |_| format!("{len} bytes are more than a frame holds");
        let len_bytes = u8::try_from(len_bits / 8).map_err(too_long)?;
        let plain = Config::new(profile, len_bytes);
        let config = Config {
            start_bytes: u8::try_from(self.start_bytes).map_err(too_long)?,
            max_delta_counter: self.small(Parameter::MaxDeltaCounter)?.unwrap_or(plain.max_delta_counter),
            max_no_new_or_repeated: self
                .small(Parameter::MaxNoNewOrRepeatedData)?
                .unwrap_or(plain.max_no_new_or_repeated),
            sync_counter: self.small(Parameter::SyncCounter)?.unwrap_or(plain.sync_counter),
            ..plain
        };
        config.checked().map_err(|error| error.to_string())?;
        Ok(Some(config))
    }

    fn profile(&self) -> Result<Option<Profile>, String> {
        let Some(text) = self.text(Parameter::Profile) else {
            return Err("E2EDataId without E2EProfile; name the profile (P01, P02, P04 or P05)".to_string());
        };
        // `P01`, `01`, `1`, `PROFILE_01`, `PROFILE_1A`.
        let plain = plain(&text);
        let plain = plain.trim_start_matches("E2E").trim_start_matches("PROFILE").trim_start_matches('P');
        Ok(Some(match plain.trim_start_matches('0') {
            "" | "NONE" | "NO" => return Ok(None),
            "1" => self.p01(None)?,
            "1A" => self.p01(Some(DataIdMode::Both))?,
            "1B" => self.p01(Some(DataIdMode::Alt))?,
            "1C" => self.p01(Some(DataIdMode::Nibble))?,
            "2" => {
                let offset_bits = self.offset(Parameter::Offset, 0, Some((Parameter::CrcSignal, 8)))?;
                Profile::P02 { data_ids: self.data_ids()?, offset_bits }
            }
            "4" => {
                let offset_bits = self.offset(Parameter::Offset, 0, None)?;
                Profile::P04 { data_id: self.data_id()?, offset_bits }
            }
            "5" => {
                let offset_bits = self.offset(Parameter::Offset, 0, Some((Parameter::CrcSignal, 16)))?;
                Profile::P05 { data_id: self.data_id()?, offset_bits }
            }
            _ => return Err(format!("E2EProfile `{text}` is not P01, P01A, P01B, P01C, P02, P04 or P05")),
        }))
    }

    fn p01(&self, variant: Option<DataIdMode>) -> Result<Profile, String> {
        let data_id_mode = match variant {
            Some(mode) => mode,
            None => self.data_id_mode()?,
        };
        Ok(Profile::P01 {
            data_id: self.data_id()?,
            data_id_mode,
            crc_offset_bits: self.offset(Parameter::CrcOffset, 0, Some((Parameter::CrcSignal, 8)))?,
            counter_offset_bits: self.offset(
                Parameter::CounterOffset,
                8,
                Some((Parameter::CounterSignal, 4)),
            )?,
            nibble_offset_bits: self.offset(Parameter::DataIdNibbleOffset, 12, None)?,
        })
    }

    /// AUTOSAR's names in code and in ARXML files, or the number.
    fn data_id_mode(&self) -> Result<DataIdMode, String> {
        let Some(text) = self.text(Parameter::DataIdMode) else { return Ok(DataIdMode::Both) };
        Ok(match plain(&text).as_str() {
            "BOTH" | "ALL16BIT" | "0" | "" => DataIdMode::Both,
            "ALT" | "ALTERNATING8BIT" | "1" => DataIdMode::Alt,
            "LOW" | "LOWER8BIT" | "2" => DataIdMode::Low,
            "NIBBLE" | "LOWER12BIT" | "3" => DataIdMode::Nibble,
            _ => return Err(format!("E2EDataIDMode `{text}` is not BOTH, ALT, LOW or NIBBLE")),
        })
    }

    fn data_id<T: TryFrom<u64>>(&self) -> Result<T, String> {
        let id = self.own_number(Parameter::DataId)?.ok_or("E2EProfile without an E2EDataId of its own")?;
        T::try_from(id).map_err(|_| format!("E2EDataId {id} has more bits than the profile's Data ID"))
    }

    /// Sixteen bytes in hexadecimal, with or without 0x and something between them.
    fn data_ids(&self) -> Result<[u8; 16], String> {
        let own = self.protections.values.get(&(self.owner, Parameter::DataIdList));
        let Some(AttributeValue::String(text)) = own else {
            return Err("E2EProfile P02 without an E2EDataIdList of its own".to_string());
        };
        let digits: String = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .map(|word| word.trim_start_matches("0x").trim_start_matches("0X"))
            .map(|word| if word.len() == 1 { format!("0{word}") } else { word.to_string() })
            .collect();
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        let ids = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        ids.ok_or_else(|| format!("E2EDataIdList `{text}` is not 16 bytes in hexadecimal"))
    }

    /// Where a signal of `bits` bits is, when one is named; else the offset that is given, or `default`.
    fn offset(
        &self,
        parameter: Parameter,
        default: u16,
        named: Option<(Parameter, u8)>,
    ) -> Result<u16, String> {
        if let Some((by_signal, bits)) = named
            && let Some(name) = self.text(by_signal).filter(|name| !name.is_empty())
        {
            return self.place(signal(self.message, &name)?, bits);
        }
        Ok(self.small(parameter)?.unwrap_or(default))
    }

    /// Offset in the protected data of a signal that is a checksum or a counter.
    fn place(&self, signal: &Signal, bits: u8) -> Result<u16, String> {
        let start = signal.start_bit;
        let low = match signal.byte_order {
            ByteOrder::Intel => Some(start),
            // Within one byte the lowest bit is that far below the highest one; across two it begins the byte behind.
            ByteOrder::Motorola if signal.bits <= 8 => (start + 1).checked_sub(u16::from(signal.bits)),
            ByteOrder::Motorola => None,
        };
        let is_placed = |low: &u16| low.is_multiple_of(u16::from(bits.min(8))) && low / 8 >= self.start_bytes;
        match low.filter(is_placed) {
            Some(low) if signal.bits == bits && signal.branch.is_none() => Ok(low - self.start_bytes * 8),
            _ => Err(format!(
                "the signal {} is not {bits} bits at a place where the profile has them",
                signal.name
            )),
        }
    }

    fn value(&self, parameter: Parameter) -> Option<&AttributeValue<'_>> {
        let own = self.protections.values.get(&(self.owner, parameter));
        own.or_else(|| self.protections.defaults.get(&parameter)).copied()
    }

    /// The text, also of a number that stands for one.
    fn text(&self, parameter: Parameter) -> Option<String> {
        let value = self.value(parameter)?;
        if let AttributeValue::String(text) = value {
            return Some(text.trim().to_string());
        }
        let number = whole(value)?;
        let texts = self.protections.enums.get(&parameter).copied().unwrap_or_default();
        let text = usize::try_from(number).ok().and_then(|number| texts.get(number));
        Some(text.map_or_else(|| number.to_string(), ToString::to_string))
    }

    fn number(&self, parameter: Parameter) -> Result<Option<u64>, String> {
        self.value(parameter).map(|value| number(parameter, value)).transpose()
    }

    /// A number that no default gives.
    fn own_number(&self, parameter: Parameter) -> Result<Option<u64>, String> {
        let own = self.protections.values.get(&(self.owner, parameter));
        own.map(|value| number(parameter, value)).transpose()
    }

    fn small<T: TryFrom<u64>>(&self, parameter: Parameter) -> Result<Option<T>, String> {
        let Some(number) = self.number(parameter)? else { return Ok(None) };
        let small = T::try_from(number);
        small.map(Some).map_err(|_| format!("{} {number} is too large", parameter.name()))
    }
}

/// A number, also as text in decimal or hexadecimal.
fn number(parameter: Parameter, value: &AttributeValue<'_>) -> Result<u64, String> {
    let hexadecimal = match value {
        AttributeValue::String(text) => text.trim().strip_prefix("0x").or(text.trim().strip_prefix("0X")),
        _ => None,
    };
    let number = match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => whole(value),
    };
    number.ok_or_else(|| format!("{} has a value that is no whole number from 0 on", parameter.name()))
}

/// Upper case, letters and digits only.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
