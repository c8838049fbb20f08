//! A batch: the blocks of one MQTT message, with the vehicle they are from.
//!
//! ```text
//! "ECUP"  version u8  vehicle length u8  vehicle  then for each block: length u32 little-endian, block
//! ```
//! Blocks are compressed and checksummed themselves; a batch adds only what keeps them apart.

use store::block::{BlockHeader, limits};

use crate::topic::VehicleId;

const MAGIC: [u8; 4] = *b"ECUP";
const VERSION: u8 = 1;
/// Most blocks in a batch.
pub const BLOCKS_MAX: usize = 1024;

/// Bytes of a batch before its first block.
pub fn overhead(vehicle: &VehicleId) -> usize {
    MAGIC.len() + 2 + vehicle.as_str().len()
}

/// Puts blocks into one payload.
pub fn encode<'a>(vehicle: &VehicleId, blocks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    // Vehicle ids are at most 128 bytes, see `topic::NAME_BYTES_MAX`.
    out.extend_from_slice(&[VERSION, vehicle.as_str().len() as u8]);
    out.extend_from_slice(vehicle.as_str().as_bytes());
    for block in blocks {
        out.extend_from_slice(&(block.len() as u32).to_le_bytes());
        out.extend_from_slice(block);
    }
    out
}

/// Why a payload is not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It does not start as one.
    #[error("not a batch of ecu-daemon blocks: it starts with {0:02x?}, not \"ECUP\"")]
    Magic(Vec<u8>),
    /// From a later release.
    #[error("batch version {0} is newer than this reader's {VERSION}; update the reader")]
    Version(u8),
    /// It ends too early.
    #[error("batch is cut off at byte {0}")]
    Truncated(usize),
    /// The vehicle's name is not one.
    #[error("batch names no valid vehicle")]
    Vehicle,
    /// The vehicle is not that of the topic.
    #[error("batch says it is from {said}, but came on the topic of {topic}; refused")]
    WrongVehicle {
        /// As in the payload.
        said: VehicleId,
        /// As in the topic.
        topic: VehicleId,
    },
    /// A block is larger than any may be.
    #[error("batch holds a block of {0} bytes, above the limit of {max}", max = limits::BLOCK_BYTES_MAX)]
    BlockTooLong(usize),
    /// Too many blocks.
    #[error("batch holds more than {BLOCKS_MAX} blocks")]
    TooMany,
}

/// Takes a payload apart. The blocks are slices of it and still unchecked, so that one bad block does not cost its
/// neighbours; a payload that is cut off gives no blocks at all.
///
/// # Errors
/// [`BatchError`]
pub fn decode<'a>(payload: &'a [u8], topic_vehicle: &VehicleId) -> Result<Vec<&'a [u8]>, BatchError> {
    let truncated = || BatchError::Truncated(payload.len());
    let Some((magic, rest)) = payload.split_at_checked(MAGIC.len()).filter(|(magic, _)| *magic == MAGIC)
    else {
        return Err(BatchError::Magic(payload[..payload.len().min(4)].to_vec()));
    };
    debug_assert_eq!(magic, MAGIC);
    let (&[version, name_len], rest) = rest.split_first_chunk::<2>().ok_or_else(truncated)?;
    if version != VERSION {
        return Err(BatchError::Version(version));
    }
    let (name, mut rest) = rest.split_at_checked(usize::from(name_len)).ok_or_else(truncated)?;
    let said = core::str::from_utf8(name).ok().and_then(|name| VehicleId::new(name).ok());
    let said = said.ok_or(BatchError::Vehicle)?;
    if said != *topic_vehicle {
        return Err(BatchError::WrongVehicle { said, topic: topic_vehicle.clone() });
    }
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let len = u32::from_le_bytes(*len) as usize;
        if len > limits::BLOCK_BYTES_MAX {
            return Err(BatchError::BlockTooLong(len));
        }
        if blocks.len() == BLOCKS_MAX {
            return Err(BatchError::TooMany);
        }
        let (block, tail) = tail.split_at_checked(len).ok_or_else(truncated)?;
        blocks.push(block);
        rest = tail;
    }
    Ok(blocks)
}

/// The records that the headers of a batch's blocks announce, for counting what was refused.
pub fn records(blocks: &[&[u8]]) -> u64 {
    blocks
        .iter()
        .filter_map(|block| BlockHeader::read(block).ok())
        .map(|(header, _)| u64::from(header.count))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn car() -> VehicleId {
        VehicleId::new("car-1").unwrap()
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_and_a_cut_one_is_an_error(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8),
            cut in any::<prop::sample::Index>()
        ) {
            let payload = encode(&car(), blocks.iter().map(Vec::as_slice));
            prop_assert_eq!(decode(&payload, &car()).unwrap(), blocks.clone());
            let cut = cut.index(payload.len());
            if let Ok(fewer) = decode(&payload[..cut], &car()) {
                // Only a cut between two blocks can look whole; MQTT's own length rules that out.
                prop_assert!(fewer.len() < blocks.len());
            }
        }

        #[test]
        fn no_payload_makes_it_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&payload, &car());
            let _ = decode(&[&MAGIC[..], &[VERSION, 5], b"car-1", &payload].concat(), &car());
        }
    }

    #[test]
    fn strangers_are_refused_by_name() {
        let payload = encode(&car(), [&[1_u8, 2][..]]);
        let other = VehicleId::new("car-2").unwrap();
        assert!(decode(&payload, &other).unwrap_err().to_string().contains("car-1"));
        assert_eq!(decode(b"hello", &car()), Err(BatchError::Magic(b"hell".to_vec())));
        let mut newer = payload;
        newer[4] = 2;
        assert_eq!(decode(&newer, &car()), Err(BatchError::Version(2)));
    }
}
