//! A checked configuration at work.

use core::fmt;

use super::{Checked, Config, DataIdMode, Profile, State, Status};
use crate::frame::FD_LEN_MAX;

/// How a message is protected, with all fields inside of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection(Config);

impl Protection {
    pub(super) fn new(config: Config) -> Result<Self, ConfigError> {
        let Config { profile, start_bytes, len_bytes, max_delta_counter, .. } = config;
        let end = usize::from(start_bytes) + usize::from(len_bytes);
        if end > FD_LEN_MAX || usize::from(len_bytes) < profile.fields_end() {
            let needed = profile.fields_end();
            return Err(ConfigError::Length { profile: profile.name(), start_bytes, len_bytes, needed });
        }
        let max = profile.counter_max();
        if max_delta_counter == 0 || max_delta_counter > max {
            return Err(ConfigError::MaxDeltaCounter { given: max_delta_counter, max });
        }
        match profile {
            Profile::P01 {
                data_id,
                data_id_mode,
                crc_offset_bits,
                counter_offset_bits,
                nibble_offset_bits,
            } => {
                aligned("CRCOffset", crc_offset_bits, 8)?;
                aligned("CounterOffset", counter_offset_bits, 4)?;
                let has_nibble = data_id_mode == DataIdMode::Nibble;
                if has_nibble {
                    aligned("DataIDNibbleOffset", nibble_offset_bits, 4)?;
                }
                let in_crc = |offset: u16| offset / 8 == crc_offset_bits / 8;
                let meets = in_crc(nibble_offset_bits) || nibble_offset_bits == counter_offset_bits;
                if in_crc(counter_offset_bits) || (has_nibble && meets) {
                    return Err(ConfigError::Overlap);
                }
                if has_nibble && data_id > 0xFFF {
                    return Err(ConfigError::DataId(data_id));
                }
            }
            Profile::P02 { offset_bits, .. }
            | Profile::P04 { offset_bits, .. }
            | Profile::P05 { offset_bits, .. } => aligned("Offset", offset_bits, 8)?,
        }
        Ok(Self(config))
    }

    /// What it was made of.
    pub const fn config(&self) -> &Config {
        &self.0
    }

    /// Checks a payload; what it has behind the data is padding.
    #[inline]
    pub fn check(&self, state: &mut State, payload: &[u8]) -> Checked {
        let config = &self.0;
        state.arrived(&config.profile);
        let start = usize::from(config.start_bytes);
        let data = payload.get(start..start + usize::from(config.len_bytes));
        match data.ok_or(Status::WrongLength).and_then(|data| config.profile.verify(data)) {
            Ok(counter) => state.valid(config, counter),
            Err(status) => Checked { status, lost: 0, counter: None },
        }
    }

    /// Tells a [`State`] of cycles in which no frame came, as a receiver notices them: profiles 1 and 2 tolerate a
    /// larger step then.
    pub fn missed(&self, state: &mut State, cycles: u32) {
        state.missed(&self.0.profile, cycles);
    }

    /// Writes counter, Data ID and checksum into a payload that has its signals already.
    ///
    /// # Errors
    /// [`WrongLength`] for a payload that ends before the data does; nothing is written.
    pub fn protect(&self, counter: u16, payload: &mut [u8]) -> Result<(), WrongLength> {
        let start = usize::from(self.0.start_bytes);
        let end = start + usize::from(self.0.len_bytes);
        let wrong = WrongLength { len: payload.len(), needed: end };
        let data = payload.get_mut(start..end).ok_or(wrong)?;
        self.0.profile.write(data, counter.min(self.0.profile.counter_max())).ok_or(wrong)
    }

    /// The counter of the frame after one with `counter`; the first frame has 0.
    pub const fn next_counter(&self, counter: u16) -> u16 {
        if counter >= self.0.profile.counter_max() { 0 } else { counter + 1 }
    }
}

/// A payload that ends before the protected data does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongLength {
    /// Its length in bytes.
    pub len: usize,
    /// Where the data ends.
    pub needed: usize,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes where the protected data ends at {}", self.len, self.needed)
    }
}

impl core::error::Error for WrongLength {}

/// Why parameters make no protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The data ends beyond 64 bytes, or before its fields do.
    Length {
        /// The profile's name.
        profile: &'static str,
        /// Where the data begins.
        start_bytes: u8,
        /// The length given.
        len_bytes: u8,
        /// The length that the fields need.
        needed: usize,
    },
    /// An offset that is no multiple of 8 or 4 bits.
    Alignment {
        /// AUTOSAR's name of the parameter.
        parameter: &'static str,
        /// The offset given.
        offset_bits: u16,
        /// What it is to be a multiple of.
        multiple_bits: u16,
    },
    /// Checksum, counter and Data ID nibble of profile 1 are not apart.
    Overlap,
    /// A Data ID of more than 12 bits in profile 1C.
    DataId(u16),
    /// A largest step that no counter of this profile can make.
    MaxDeltaCounter {
        /// The step given.
        given: u16,
        /// The counter's largest value.
        max: u16,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { profile, start_bytes, len_bytes, needed } => write!(
                f,
                "{len_bytes} protected bytes from byte {start_bytes} on; {profile} with these offsets needs {needed}, \
                 and a frame holds 64"
            ),
            Self::Alignment { parameter, offset_bits, multiple_bits } => {
                write!(f, "{parameter} {offset_bits} is no multiple of {multiple_bits} bits")
            }
            Self::Overlap => f.write_str("CRCOffset, CounterOffset and DataIDNibbleOffset overlap"),
            Self::DataId(id) => write!(f, "Data ID {id:#X} has more than the 12 bits that mode NIBBLE sends"),
            Self::MaxDeltaCounter { given, max } => {
                write!(f, "MaxDeltaCounter {given} is not in the range 1 to {max}")
            }
        }
    }
}

impl core::error::Error for ConfigError {}

const fn aligned(parameter: &'static str, offset_bits: u16, multiple_bits: u16) -> Result<(), ConfigError> {
    if offset_bits.is_multiple_of(multiple_bits) {
        return Ok(());
    }
    Err(ConfigError::Alignment { parameter, offset_bits, multiple_bits })
}
