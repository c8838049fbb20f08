//! zstd dictionaries: what small bodies have in common with those before them.
//!
//! A dictionary is itself a block, named by the hash of its bytes, so that whoever opens blocks can be given it when
//! it first meets its name. The vehicle only uses one; `store/examples/train_dictionary.rs` makes them.

use std::sync::Arc;

use zstd::zstd_safe::{DCtx, DDict, get_error_name};

use super::names::content_hash;
use super::{BlockError, DictionaryHash, limits};

/// A dictionary as zstd's trainer writes it, or any bytes that bodies are like.
#[derive(Clone)]
pub struct Dictionary {
    hash: DictionaryHash,
    prepared: Arc<Prepared>,
}

struct Prepared {
    bytes: Vec<u8>,
    reader: DDict<'static>,
}

impl Dictionary {
    /// From its bytes, which are also the body of its block.
    ///
    /// # Errors
    /// [`BlockError::Limit`] beyond [`limits::DICTIONARY_BYTES_MAX`], [`BlockError::Zstd`] when zstd refuses them.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BlockError> {
        if bytes.len() > limits::DICTIONARY_BYTES_MAX {
            let max = limits::DICTIONARY_BYTES_MAX as u64;
            return Err(BlockError::Limit { field: "dictionary length", value: bytes.len() as u64, max });
        }
        let reader = DDict::try_create(&bytes)
            .ok_or_else(|| BlockError::Zstd("the dictionary's own tables are damaged".to_owned()))?;
        let hash = DictionaryHash(content_hash(&bytes));
        Ok(Self { hash, prepared: Arc::new(Prepared { bytes, reader }) })
    }

    /// Its name: never zero but by an accident of 2⁻¹²⁸.
    pub const fn hash(&self) -> DictionaryHash {
        self.hash
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.prepared.bytes
    }
}

impl core::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.hash, self.bytes().len())
    }
}

impl PartialEq for Dictionary {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

/// The dictionaries that a reader has, at most [`limits::DICTIONARIES_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Dictionaries {
    known: Vec<Dictionary>,
}

impl Dictionaries {
    /// Keeps a dictionary; the one that was added first goes when there are too many.
    pub fn insert(&mut self, dictionary: Dictionary) {
        if self.find(dictionary.hash).is_none() {
            if self.known.len() >= limits::DICTIONARIES_MAX {
                self.known.remove(0);
            }
            self.known.push(dictionary);
        }
    }

    /// The dictionary of this name.
    pub fn find(&self, hash: DictionaryHash) -> Option<&Dictionary> {
        self.known.iter().find(|dictionary| dictionary.hash == hash)
    }

    /// Decompresses a body of exactly `raw_len` bytes.
    pub(super) fn decompress(
        &self,
        body: &[u8],
        raw_len: usize,
        dictionary: DictionaryHash,
    ) -> Result<Vec<u8>, BlockError> {
        if raw_len > limits::BODY_BYTES_MAX {
            let max = limits::BODY_BYTES_MAX as u64;
            return Err(BlockError::Limit { field: "raw length", value: raw_len as u64, max });
        }
        let mut context =
            DCtx::try_create().ok_or_else(|| BlockError::Zstd("no memory for zstd".to_owned()))?;
        let mut raw = Vec::with_capacity(raw_len);
        let result = if dictionary == DictionaryHash::default() {
            context.decompress(&mut raw, body)
        } else {
            let known = self.find(dictionary).ok_or(BlockError::Dictionary(dictionary))?;
            context.decompress_using_ddict(&mut raw, body, &known.prepared.reader)
        };
        result.map_err(|code| BlockError::Zstd(get_error_name(code).to_owned()))?;
        if raw.len() == raw_len {
            Ok(raw)
        } else {
            Err(BlockError::Field { field: "raw length", value: raw_len as u64 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_keep_a_bounded_number_and_the_newest() {
        let dictionary = |number: usize| Dictionary::new(vec![number as u8 + 1; 64]).unwrap();
        let mut known = Dictionaries::default();
        for number in 0..=limits::DICTIONARIES_MAX {
            known.insert(dictionary(number));
            known.insert(dictionary(number));
        }
        assert_eq!(known.known.len(), limits::DICTIONARIES_MAX);
        assert!(known.find(dictionary(0).hash()).is_none());
        assert!(known.find(dictionary(limits::DICTIONARIES_MAX).hash()).is_some());
    }

    #[test]
    fn what_cannot_be_a_dictionary_is_refused() {
        let long = Dictionary::new(vec![1; limits::DICTIONARY_BYTES_MAX + 1]);
        assert!(matches!(long, Err(BlockError::Limit { field: "dictionary length", .. })));
        // zstd's magic number of a trained dictionary, and nothing behind it that makes one.
        let damaged = Dictionary::new([&[0x37, 0xA4, 0x30, 0xEC][..], &[0xFF; 60]].concat());
        assert!(matches!(damaged, Err(BlockError::Zstd(_))));
    }
}
