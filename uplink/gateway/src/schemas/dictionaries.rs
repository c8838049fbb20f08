//! The dictionaries that blocks are compressed with: checked, kept within bounds.

use std::collections::VecDeque;

use store::block::{BlockHeader, Dictionary, DictionaryHash, Kind, Records, open};

use super::{GIVEN_UP_MAX, Known, SchemaError, Schemas};

/// Dictionaries kept; a fleet has a few for each release. 128 KiB each at most, and zstd's tables of it.
const DICTIONARIES_MAX: usize = 64;

/// The least recently used one is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The one used last is at the end.
    known: Vec<Dictionary>,
    given_up: VecDeque<DictionaryHash>,
}

impl Schemas {
    /// Checks a payload from the topic of `hash` and keeps the dictionary.
    ///
    /// # Errors
    /// [`SchemaError`] when it is not that dictionary.
    pub fn offer_dictionary(&self, hash: DictionaryHash, payload: &[u8]) -> Result<(), SchemaError> {
        let (header, _) = BlockHeader::read(payload)?;
        if header.kind != Kind::Dictionary {
            return Err(SchemaError::NoDictionary(header.kind));
        }
        let (header, records) = open(payload)?;
        let Records::Dictionary(found) = records else { return Err(SchemaError::NoDictionary(header.kind)) };
        if found.hash() != hash {
            return Err(SchemaError::OtherDictionary(found.hash()));
        }
        let mut kept = self.kept();
        kept.given_up.retain(|&known| known != hash);
        kept.known.retain(|known| known.hash() != hash);
        kept.known.push(found);
        if kept.known.len() > DICTIONARIES_MAX {
            kept.known.remove(0);
        }
        Ok(())
    }

    /// What is known of the dictionary of that name.
    pub(crate) fn find_dictionary(&self, hash: DictionaryHash) -> Known<Dictionary> {
        let mut kept = self.kept();
        if let Some(at) = kept.known.iter().position(|known| known.hash() == hash) {
            let found = kept.known.remove(at);
            kept.known.push(found.clone());
            return Known::Here(found);
        }
        if kept.given_up.contains(&hash) { Known::GivenUp } else { Known::Missing }
    }

    /// Blocks that need `hash` are no longer to wait for it.
    pub fn give_up_dictionary(&self, hash: DictionaryHash) {
        let mut kept = self.kept();
        if kept.given_up.contains(&hash) || kept.known.iter().any(|known| known.hash() == hash) {
            return;
        }
        kept.given_up.push_back(hash);
        if kept.given_up.len() > GIVEN_UP_MAX {
            kept.given_up.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use store::block::{Body, BootId, Class, SchemaHash, Sealer};

    use super::*;

    fn block(number: usize) -> (DictionaryHash, Vec<u8>) {
        let dictionary = Dictionary::new(format!("timeout on can{number} ").repeat(4).into_bytes()).unwrap();
        (dictionary.hash(), seal(Kind::Dictionary, dictionary.bytes()))
    }

    fn seal(kind: Kind, bytes: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(BootId::default(), 0, 3).unwrap();
        sealer.body.extend_from_slice(bytes);
        let (class, schema) = (Class::Critical, SchemaHash::default());
        let body = Body { kind, class, schema, count: 1, span_ns: (0, 0), sealed_boot_ns: 0 };
        sealer.seal(body).unwrap().bytes().to_vec()
    }

    #[test]
    fn only_the_dictionary_that_the_topic_names_is_taken() {
        let schemas = Schemas::default();
        let ((hash, good), (other, _)) = (block(0), block(1));
        assert_eq!(schemas.offer_dictionary(other, &good), Err(SchemaError::OtherDictionary(hash)));
        let logs = seal(Kind::Logs, &[0, 0]);
        assert_eq!(schemas.offer_dictionary(hash, &logs), Err(SchemaError::NoDictionary(Kind::Logs)));
        assert!(matches!(schemas.offer_dictionary(hash, b"hello"), Err(SchemaError::Block(_))));
        assert!(matches!(schemas.find_dictionary(hash), Known::Missing));
        schemas.give_up_dictionary(hash);
        assert!(matches!(schemas.find_dictionary(hash), Known::GivenUp));
        schemas.offer_dictionary(hash, &good).unwrap();
        schemas.give_up_dictionary(hash);
        assert!(matches!(schemas.find_dictionary(hash), Known::Here(found) if found.hash() == hash));
    }

    #[test]
    fn the_least_recently_used_is_forgotten_and_what_is_given_up_is_bounded() {
        let schemas = Schemas::default();
        let all: Vec<_> = (0..=DICTIONARIES_MAX).map(block).collect();
        for (hash, block) in &all {
            assert!(matches!(schemas.find_dictionary(*hash), Known::Missing));
            schemas.offer_dictionary(*hash, block).unwrap();
            assert!(matches!(schemas.find_dictionary(all[0].0), Known::Here(_)));
        }
        assert!(matches!(schemas.find_dictionary(all[1].0), Known::Missing));
        for number in 0..2 * GIVEN_UP_MAX as u64 {
            let mut hash = [0; 16];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            schemas.give_up_dictionary(DictionaryHash(hash));
        }
        assert_eq!(schemas.kept().given_up.len(), GIVEN_UP_MAX);
    }
}
