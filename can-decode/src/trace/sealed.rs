//! 28 bytes: a context, a byte of its carrier's, and a checksum over these and over where they belong.
//!
//! The carriers that put a context together from parts, or look for it at the end of a message, need to see whether the
//! parts belong together. A CAN-FD frame has its own checksum on the bus, and takes the 25 bytes bare.

use crc::{CRC_16_IBM_3740, Crc};

use super::{TraceContext, TraceError};

/// Bytes of a sealed context.
pub const SEALED_LEN: usize = TraceContext::WIRE_LEN + 1 + 2;
const TAG_AT: usize = TraceContext::WIRE_LEN;
const CRC_AT: usize = TAG_AT + 1;

/// The CRC-16/CCITT-FALSE of the AUTOSAR CRC library (polynomial 0x1021, started with 0xFFFF): all errors of up to three
/// bits in these few bytes, all bursts of up to 16 bits, and all but one in 65,536 of the others are seen.
static CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_3740);

/// `key` is not sent: it says where the context belongs, and both sides know it.
pub(super) fn seal(context: &TraceContext, tag: u8, key: &[u8]) -> [u8; SEALED_LEN] {
    let mut bytes = [0; SEALED_LEN];
    bytes[..TAG_AT].copy_from_slice(&context.write());
    bytes[TAG_AT] = tag;
    let crc = checksum(&bytes, key);
    bytes[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The context. Its tag is [`tag`].
pub(super) fn open(bytes: &[u8; SEALED_LEN], key: &[u8]) -> Result<TraceContext, TraceError> {
    if is_absent(bytes) {
        return Err(TraceError::Absent);
    }
    if bytes[CRC_AT..] != checksum(bytes, key).to_be_bytes() {
        return Err(TraceError::Checksum);
    }
    TraceContext::parse(bytes)
}

/// Whether nothing was written there.
pub(super) fn is_absent(bytes: &[u8; SEALED_LEN]) -> bool {
    *bytes == [0; SEALED_LEN]
}

pub(super) const fn tag(bytes: &[u8; SEALED_LEN]) -> u8 {
    bytes[TAG_AT]
}

fn checksum(bytes: &[u8; SEALED_LEN], key: &[u8]) -> u16 {
    let mut digest = CRC.digest();
    digest.update(key);
    digest.update(&bytes[..CRC_AT]);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceFlags;

    #[test]
    fn damage_of_up_to_three_bits_and_another_key_are_seen() {
        let context = TraceContext::new([0x4B; 16], [0x7A; 8], TraceFlags(3)).unwrap();
        let sealed = seal(&context, 5, b"here");
        assert_eq!((open(&sealed, b"here"), tag(&sealed)), (Ok(context), 5));
        assert_eq!(open(&sealed, b"there"), Err(TraceError::Checksum));
        assert_eq!(open(&[0; 28], b"here"), Err(TraceError::Absent));
        let flip = |bytes: &mut [u8; SEALED_LEN], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        for a in 0..SEALED_LEN * 8 {
            for b in a..SEALED_LEN * 8 {
                for c in [b, (b + 17) % (SEALED_LEN * 8)] {
                    let mut damaged = sealed;
                    flip(&mut damaged, a);
                    flip(&mut damaged, b);
                    flip(&mut damaged, c);
                    if damaged != sealed {
                        assert_eq!(open(&damaged, b"here"), Err(TraceError::Checksum), "bits {a}, {b}, {c}");
                    }
                }
            }
        }
    }
}
