//! AUTOSAR end-to-end protection: checksum and counter of a payload, checked by whoever listens.
//!
//! Profiles 1, 2, 4 and 5 of the AUTOSAR Foundation "E2E Protocol Specification" (PRS E2E Protocol, R22-11, document
//! 849): layouts and checks of §6.3 (profile 1), §6.4 (profile 2), §6.5 (profile 4) and §6.6 (profile 5), checksums of
//! the "Specification of CRC Routines". The parameters have the names, and the offsets the bits, that the specification
//! and ARXML files give them.
//!
//! A [`Config`] says how a message is protected; [`Config::checked`] makes a [`Protection`] of it, which reads payloads
//! of any length without panicking. What a receiver remembers between frames is a [`State`] of eight bytes.
//!
//! A listener is no receiver, which makes two differences:
//! - A receiver calls the check once each cycle, whether there is new data or not, and every cycle widens the gap that
//!   profiles 1 and 2 tolerate. A listener checks when a frame comes; it tells cycles without one by
//!   [`Protection::missed`].
//! - A receiver starts with its sender, a listener in the middle. The first valid frame is [`Status::Initial`] in all
//!   profiles; AUTOSAR has this for profiles 1 and 2 and calls it a wrong sequence in 4 and 5.

mod layout;
mod protection;
mod sequence;

pub use protection::{ConfigError, Protection, WrongLength};
pub use sequence::State;

/// How a message is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The profile and where its fields are.
    pub profile: Profile,
    /// First byte of the protected data in the payload: 0 unless only a group of signals is protected.
    pub start_bytes: u8,
    /// Length of the protected data in bytes (`DataLength` / 8), header included; what a frame has behind it is padding.
    pub len_bytes: u8,
    /// Largest step of the counter that is in order (`MaxDeltaCounterInit`, `MaxDeltaCounter`): from 1, up to the
    /// counter's largest value.
    pub max_delta_counter: u16,
    /// Repeated or missing data in a row up to which the sequence is still trusted (`MaxNoNewOrRepeatedData`), profiles 1
    /// and 2; from 14 (15 in profile 2) on it always is.
    pub max_no_new_or_repeated: u8,
    /// Valid data that it takes after a wrong sequence until the sequence is trusted again (`SyncCounterInit`), profiles
    /// 1 and 2.
    pub sync_counter: u8,
}

impl Config {
    /// Data of `len_bytes` from the payload's start on, steps of one, always trusted.
    pub const fn new(profile: Profile, len_bytes: u8) -> Self {
        Self {
            profile,
            start_bytes: 0,
            len_bytes,
            max_delta_counter: 1,
            max_no_new_or_repeated: 15,
            sync_counter: 0,
        }
    }

    /// The protection, when its fields lie apart and inside of the data.
    ///
    /// # Errors
    /// [`ConfigError`], which names the parameter.
    pub fn checked(self) -> Result<Protection, ConfigError> {
        Protection::new(self)
    }
}

/// A profile with its Data ID and the places of its fields; offsets are in bits from the start of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// CRC-8 and a counter of 0 to 14; variants 1A, 1B and 1C are those with the offsets of [`Profile::p01`].
    P01 {
        /// Data ID; 12 bits in mode [`DataIdMode::Nibble`].
        data_id: u16,
        /// Which of the Data ID's bytes the checksum has.
        data_id_mode: DataIdMode,
        /// `CRCOffset`, a multiple of 8.
        crc_offset_bits: u16,
        /// `CounterOffset`, a multiple of 4: a multiple of 8 is the low half of that byte.
        counter_offset_bits: u16,
        /// `DataIDNibbleOffset`, likewise; for [`DataIdMode::Nibble`] only.
        nibble_offset_bits: u16,
    },
    /// CRC-8 with polynomial 0x2F and a counter of 0 to 15 that chooses the Data ID.
    P02 {
        /// `DataIDList`.
        data_ids: [u8; 16],
        /// `Offset` of the header, a multiple of 8.
        offset_bits: u16,
    },
    /// Length, counter of 16 bits, Data ID and CRC-32 in a header of 12 bytes, most significant byte first.
    P04 {
        /// Data ID.
        data_id: u32,
        /// `Offset` of the header, a multiple of 8.
        offset_bits: u16,
    },
    /// CRC-16, least significant byte first, and a counter of 8 bits in a header of 3 bytes.
    P05 {
        /// Data ID.
        data_id: u16,
        /// `Offset` of the header, a multiple of 8.
        offset_bits: u16,
    },
}

impl Profile {
    /// Profile 1 with the offsets of its variants 1A ([`DataIdMode::Both`]), 1B ([`DataIdMode::Alt`]) and 1C
    /// ([`DataIdMode::Nibble`]): CRC in byte 0, counter in the low half of byte 1, nibble in its high half.
    pub const fn p01(data_id: u16, data_id_mode: DataIdMode) -> Self {
        Self::P01 {
            data_id,
            data_id_mode,
            crc_offset_bits: 0,
            counter_offset_bits: 8,
            nibble_offset_bits: 12,
        }
    }

    /// Largest value of the counter; 0 follows it.
    pub const fn counter_max(&self) -> u16 {
        match self {
            // 15 stands for an invalid counter.
            Self::P01 { .. } => 14,
            Self::P02 { .. } => 15,
            Self::P04 { .. } => u16::MAX,
            Self::P05 { .. } => 255,
        }
    }

    /// The name that DBC files give it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::P01 { .. } => "P01",
            Self::P02 { .. } => "P02",
            Self::P04 { .. } => "P04",
            Self::P05 { .. } => "P05",
        }
    }
}

/// Which bytes of a profile 1 Data ID the checksum has (`E2E_P01DataIDMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataIdMode {
    /// Low and high byte (variant 1A).
    Both,
    /// The low byte with even counters, the high byte with odd ones (variant 1B).
    Alt,
    /// The low byte only.
    Low,
    /// The low byte; the low half of the high byte is sent along with the data (variant 1C).
    Nibble,
}

/// What a frame's protection says about it (`E2E_PxxCheckStatusType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Valid, and the next in sequence.
    Ok,
    /// Valid; frames before it are missing, as many as are tolerated.
    OkSomeLost,
    /// Valid, and the first: there is no sequence yet.
    Initial,
    /// Valid and in sequence, but too soon after a disturbed sequence to be trusted (profiles 1 and 2).
    Sync,
    /// Valid, with the counter of the frame before it.
    Repeated,
    /// Valid, with a counter too far from the last one.
    WrongSequence,
    /// The checksum is wrong: damaged, or another message's data.
    WrongCrc,
    /// The checksum fits, the Data ID sent along does not (AUTOSAR: wrong CRC in profile 1, error in profile 4).
    WrongDataId,
    /// The payload ends before the data does, or a profile 4 header has another length (AUTOSAR: error).
    WrongLength,
    /// The counter has the value 15, which profile 1 keeps for invalid ones (AUTOSAR: input error).
    InvalidCounter,
}

impl Status {
    /// All of them; a status as a number counts them.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::OkSomeLost,
        Self::Initial,
        Self::Sync,
        Self::Repeated,
        Self::WrongSequence,
        Self::WrongCrc,
        Self::WrongDataId,
        Self::WrongLength,
        Self::InvalidCounter,
    ];

    /// Whether the frame is undamaged and its sequence trusted.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::OkSomeLost | Self::Initial)
    }

    /// A name for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OkSomeLost => "ok_some_lost",
            Self::Initial => "initial",
            Self::Sync => "sync",
            Self::Repeated => "repeated",
            Self::WrongSequence => "wrong_sequence",
            Self::WrongCrc => "wrong_crc",
            Self::WrongDataId => "wrong_data_id",
            Self::WrongLength => "wrong_length",
            Self::InvalidCounter => "invalid_counter",
        }
    }
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What the protection says.
    pub status: Status,
    /// Frames that are missing before this one: the counter's step less one. 0 unless the status is
    /// [`Status::OkSomeLost`] or [`Status::WrongSequence`], and for frames that make a sequence trusted again.
    pub lost: u16,
    /// The counter, where checksum and Data ID fit.
    pub counter: Option<u16>,
}
