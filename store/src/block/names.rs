//! Names of sixteen bytes, written as 32 hex digits.

use core::fmt;

use sha2::{Digest as _, Sha256};

/// The kernel's `boot_id`: new at each boot, so that (boot, run, sequence) never repeats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootId(pub [u8; 16]);

/// Names a schema: the first 16 bytes of the SHA-256 of its body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SchemaHash(pub [u8; 16]);

/// Names a zstd dictionary: the first 16 bytes of the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DictionaryHash(pub [u8; 16]);

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! hex_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = ();

            /// 32 hex digits; hyphens as in a UUID are passed over.
            fn from_str(text: &str) -> Result<Self, ()> {
                let mut digits =
                    text.bytes().filter(|&byte| byte != b'-').map(|byte| (byte as char).to_digit(16));
                let mut bytes = [0; 16];
                for byte in &mut bytes {
                    let (high, low) =
                        (digits.next().flatten().ok_or(())?, digits.next().flatten().ok_or(())?);
                    *byte = (high << 4 | low) as u8;
                }
                if digits.next().is_some() { Err(()) } else { Ok(Self(bytes)) }
            }
        }
    };
}

hex_name!(BootId);
hex_name!(SchemaHash);
hex_name!(DictionaryHash);

/// The first 16 bytes of the SHA-256 of `bytes`.
pub(super) fn content_hash(bytes: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.copy_from_slice(&Sha256::digest(bytes)[..16]);
    hash
}
