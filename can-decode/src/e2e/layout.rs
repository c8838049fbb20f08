//! Where the profiles have their fields, and what their checksums are over.

use crc::{CRC_8_AUTOSAR, CRC_8_GSM_A, CRC_16_IBM_3740, CRC_32_AUTOSAR, Crc};

use super::{DataIdMode, Profile, Status};

/// The polynomial 0x1D of SAE J1850, but started with 0 and not inverted (`PRS_E2E_00083`); the catalogue knows this
/// combination as CRC-8/GSM-A.
static CRC_P01: Crc<u8> = Crc::<u8>::new(&CRC_8_GSM_A);
static CRC_P02: Crc<u8> = Crc::<u8>::new(&CRC_8_AUTOSAR);
static CRC_P04: Crc<u32> = Crc::<u32>::new(&CRC_32_AUTOSAR);
/// The CRC-16/CCITT-FALSE of the AUTOSAR CRC library.
static CRC_P05: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// Length of profile 4's header, and where its fields are in it.
const P04_HEADER_BYTES: usize = 12;
const P04_COUNTER: usize = 2;
const P04_DATA_ID: usize = 4;
const P04_CRC: usize = 8;

impl Profile {
    /// Length of data from which on all fields are in it.
    pub(super) fn fields_end(&self) -> usize {
        match *self {
            Self::P01 { data_id_mode, crc_offset_bits, counter_offset_bits, nibble_offset_bits, .. } => {
                let nibble = if data_id_mode == DataIdMode::Nibble { nibble_offset_bits } else { 0 };
                byte(crc_offset_bits.max(counter_offset_bits).max(nibble)) + 1
            }
            Self::P02 { offset_bits, .. } => byte(offset_bits) + 2,
            Self::P04 { offset_bits, .. } => byte(offset_bits) + P04_HEADER_BYTES,
            Self::P05 { offset_bits, .. } => byte(offset_bits) + 3,
        }
    }

    /// The counter of data whose checksum, length and Data ID fit; else what does not.
    pub(super) fn verify(&self, data: &[u8]) -> Result<u16, Status> {
        self.counter(data).and_then(|counter| self.judge(data, counter)).unwrap_or(Err(Status::WrongLength))
    }

    /// `None` for data that ends before its fields do; a checked configuration has none such.
    fn judge(&self, data: &[u8], counter: u16) -> Option<Result<u16, Status>> {
        if counter > self.counter_max() {
            return Some(Err(Status::InvalidCounter));
        }
        let is_intact = match *self {
            Self::P01 { crc_offset_bits, .. } => {
                u32::from(*data.get(byte(crc_offset_bits))?) == self.crc(data, counter)?
            }
            Self::P02 { offset_bits, .. } => {
                u32::from(*data.get(byte(offset_bits))?) == self.crc(data, counter)?
            }
            Self::P04 { offset_bits, .. } => {
                let field = data.get(byte(offset_bits) + P04_CRC..)?.first_chunk()?;
                u32::from_be_bytes(*field) == self.crc(data, counter)?
            }
            Self::P05 { offset_bits, .. } => {
                let field = data.get(byte(offset_bits)..)?.first_chunk()?;
                u32::from(u16::from_le_bytes(*field)) == self.crc(data, counter)?
            }
        };
        if !is_intact {
            return Some(Err(Status::WrongCrc));
        }
        let (has_len, has_id) = match *self {
            Self::P01 { data_id, data_id_mode: DataIdMode::Nibble, nibble_offset_bits, .. } => {
                (true, nibble(data, nibble_offset_bits)? == data_id >> 8 & 0xF)
            }
            Self::P04 { data_id, offset_bits } => {
                let header = data.get(byte(offset_bits)..)?;
                let len = u16::from_be_bytes(*header.first_chunk()?);
                let id = u32::from_be_bytes(*header.get(P04_DATA_ID..)?.first_chunk()?);
                (usize::from(len) == data.len(), id == data_id)
            }
            _ => (true, true),
        };
        Some(match (has_len, has_id) {
            (true, true) => Ok(counter),
            (false, _) => Err(Status::WrongLength),
            (true, false) => Err(Status::WrongDataId),
        })
    }

    /// Writes header and checksum; `None` where they do not fit.
    pub(super) fn write(&self, data: &mut [u8], counter: u16) -> Option<()> {
        let len = u16::try_from(data.len()).ok()?;
        match *self {
            Self::P01 { data_id, data_id_mode, crc_offset_bits, counter_offset_bits, nibble_offset_bits } => {
                set_nibble(data, counter_offset_bits, counter)?;
                if data_id_mode == DataIdMode::Nibble {
                    set_nibble(data, nibble_offset_bits, data_id >> 8)?;
                }
                let crc = self.crc(data, counter)?;
                *data.get_mut(byte(crc_offset_bits))? = crc as u8;
            }
            Self::P02 { offset_bits, .. } => {
                set_nibble(data, offset_bits + 8, counter)?;
                let crc = self.crc(data, counter)?;
                *data.get_mut(byte(offset_bits))? = crc as u8;
            }
            Self::P04 { data_id, offset_bits } => {
                let header = data.get_mut(byte(offset_bits)..)?.get_mut(..P04_HEADER_BYTES)?;
                header[..P04_COUNTER].copy_from_slice(&len.to_be_bytes());
                header[P04_COUNTER..P04_DATA_ID].copy_from_slice(&counter.to_be_bytes());
                header[P04_DATA_ID..P04_CRC].copy_from_slice(&data_id.to_be_bytes());
                let crc = self.crc(data, counter)?;
                let field = data.get_mut(byte(offset_bits) + P04_CRC..)?.first_chunk_mut()?;
                *field = crc.to_be_bytes();
            }
            Self::P05 { offset_bits, .. } => {
                *data.get_mut(byte(offset_bits) + 2)? = counter as u8;
                let crc = self.crc(data, counter)?;
                let field = data.get_mut(byte(offset_bits)..)?.first_chunk_mut()?;
                *field = (crc as u16).to_le_bytes();
            }
        }
        Some(())
    }

    fn counter(&self, data: &[u8]) -> Option<u16> {
        match *self {
            Self::P01 { counter_offset_bits, .. } => nibble(data, counter_offset_bits),
            Self::P02 { offset_bits, .. } => nibble(data, offset_bits + 8),
            Self::P04 { offset_bits, .. } => {
                Some(u16::from_be_bytes(*data.get(byte(offset_bits) + P04_COUNTER..)?.first_chunk()?))
            }
            Self::P05 { offset_bits, .. } => data.get(byte(offset_bits) + 2).copied().map(u16::from),
        }
    }

    /// The checksum over the data without the checksum's own field, and over the Data ID where it is not in the data:
    /// before it in profile 1, behind it in 2 and 5.
    fn crc(&self, data: &[u8], counter: u16) -> Option<u32> {
        Some(match *self {
            Self::P01 { data_id, data_id_mode, crc_offset_bits, .. } => {
                let [low, high] = data_id.to_le_bytes();
                let is_odd = counter % 2 == 1;
                let id: &[u8] = match data_id_mode {
                    DataIdMode::Both => &[low, high],
                    DataIdMode::Alt if is_odd => &[high],
                    DataIdMode::Alt | DataIdMode::Low => &[low],
                    DataIdMode::Nibble => &[low, 0],
                };
                let (before, behind) = around(data, byte(crc_offset_bits), 1)?;
                let mut digest = CRC_P01.digest();
                digest.update(id);
                digest.update(before);
                digest.update(behind);
                u32::from(digest.finalize())
            }
            Self::P02 { data_ids, offset_bits } => {
                let (before, behind) = around(data, byte(offset_bits), 1)?;
                let mut digest = CRC_P02.digest();
                digest.update(before);
                digest.update(behind);
                digest.update(&[*data_ids.get(usize::from(counter))?]);
                u32::from(digest.finalize())
            }
            Self::P04 { offset_bits, .. } => {
                let (before, behind) = around(data, byte(offset_bits) + P04_CRC, 4)?;
                let mut digest = CRC_P04.digest();
                digest.update(before);
                digest.update(behind);
                digest.finalize()
            }
            Self::P05 { data_id, offset_bits } => {
                let (before, behind) = around(data, byte(offset_bits), 2)?;
                let mut digest = CRC_P05.digest();
                digest.update(before);
                digest.update(behind);
                digest.update(&data_id.to_le_bytes());
                u32::from(digest.finalize())
            }
        })
    }
}

const fn byte(bits: u16) -> usize {
    bits as usize / 8
}

/// What stands before and behind a field of `len` bytes at `at`.
fn around(data: &[u8], at: usize, len: usize) -> Option<(&[u8], &[u8])> {
    Some((data.get(..at)?, data.get(at + len..)?))
}

/// The half byte at a bit offset: the low half at multiples of 8, else the high one.
fn nibble(data: &[u8], offset_bits: u16) -> Option<u16> {
    data.get(byte(offset_bits)).map(|value| u16::from(value >> (offset_bits % 8) & 0xF))
}

fn set_nibble(data: &mut [u8], offset_bits: u16, value: u16) -> Option<()> {
    let shift = offset_bits % 8;
    let place = data.get_mut(byte(offset_bits))?;
    *place = *place & !(0xF << shift) | ((value & 0xF) as u8) << shift;
    Some(())
}
