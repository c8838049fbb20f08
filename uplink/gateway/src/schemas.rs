//! The schemas that blocks refer to, and the dictionaries: checked, resolved once, kept within bounds.

mod dictionaries;
mod resolved;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::block::{BlockError, BlockHeader, DictionaryHash, Kind, Records, SchemaHash, open};

pub(crate) use resolved::{MessageNames, ResolvedSchema, SignalNames};

/// Schemas kept.
const SCHEMAS_MAX: usize = 256;
/// Their bodies together, bytes; resolved they take up to about ten times as much.
const CACHE_BYTES_MAX: usize = 32 << 20;
/// Largest body of one. All DBC files of a car together are far below.
const SCHEMA_BYTES_MAX: usize = 4 << 20;
/// Schemas remembered as given up.
const GIVEN_UP_MAX: usize = 1024;

/// Why there is no schema to read a block with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The payload is not a readable block.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The block is no schema.
    #[error("holds a block of {0:?}, not a schema")]
    Kind(Kind),
    /// The schema is another one than the topic says.
    #[error("holds schema {0}, which is another one than its topic says")]
    Hash(SchemaHash),
    /// Nobody published it in time.
    #[error("schema {0} was not published in time; the vehicle has to publish it again")]
    Missing(SchemaHash),
    /// The block is no dictionary.
    #[error("holds a block of {0:?}, not a dictionary")]
    NoDictionary(Kind),
    /// The dictionary is another one than the topic says.
    #[error("holds dictionary {0}, which is another one than its topic says")]
    OtherDictionary(DictionaryHash),
    /// Nobody published it in time.
    #[error("dictionary {0} was not published in time; the vehicle has to publish it again")]
    MissingDictionary(DictionaryHash),
    /// Too large to keep.
    #[error("schema body of {0} bytes exceeds the gateway's limit of {SCHEMA_BYTES_MAX}")]
    TooLong(u32),
}

/// What is known of a schema or dictionary.
#[derive(Clone, Debug)]
pub(crate) enum Known<T = Arc<ResolvedSchema>> {
    /// It is here.
    Here(T),
    /// Not yet asked for, or not yet here.
    Missing,
    /// It did not come in time; blocks that need it are refused until it does.
    GivenUp,
}

/// A bounded cache of schemas and dictionaries that forgets the least recently used one; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    cache: Arc<Mutex<Cache>>,
    dictionaries: Arc<Mutex<dictionaries::Kept>>,
}

#[derive(Debug, Default)]
struct Cache {
    entries: HashMap<SchemaHash, Entry>,
    bytes: usize,
    clock: u64,
    given_up: VecDeque<SchemaHash>,
}

#[derive(Debug)]
struct Entry {
    schema: Arc<ResolvedSchema>,
    bytes: usize,
    used: u64,
}

impl Schemas {
    /// Checks a payload from the topic of `hash` and keeps the schema.
    ///
    /// # Errors
    /// [`SchemaError`] when it is not that schema.
    pub fn offer(&self, hash: SchemaHash, payload: &[u8]) -> Result<(), SchemaError> {
        let (header, _) = BlockHeader::read(payload)?;
        if header.kind != Kind::Schema {
            return Err(SchemaError::Kind(header.kind));
        }
        if header.raw_len as usize > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLong(header.raw_len));
        }
        let (header, records) = open(payload)?;
        let Records::Schema(found, schema) = records else { return Err(SchemaError::Kind(header.kind)) };
        if found != hash {
            return Err(SchemaError::Hash(found));
        }
        self.cache().insert(hash, Arc::new(ResolvedSchema::new(schema)), header.raw_len as usize);
        Ok(())
    }

    /// What is known of `hash`.
    pub(crate) fn find(&self, hash: SchemaHash) -> Known {
        let mut cache = self.cache();
        cache.clock += 1;
        let clock = cache.clock;
        if let Some(entry) = cache.entries.get_mut(&hash) {
            entry.used = clock;
            return Known::Here(Arc::clone(&entry.schema));
        }
        if cache.given_up.contains(&hash) { Known::GivenUp } else { Known::Missing }
    }

    /// Blocks that need `hash` are no longer to wait for it.
    pub fn give_up(&self, hash: SchemaHash) {
        let mut cache = self.cache();
        if cache.entries.contains_key(&hash) || cache.given_up.contains(&hash) {
            return;
        }
        cache.given_up.push_back(hash);
        if cache.given_up.len() > GIVEN_UP_MAX {
            cache.given_up.pop_front();
        }
    }

    /// As [`Self::cache`].
    fn kept(&self) -> MutexGuard<'_, dictionaries::Kept> {
        self.dictionaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while the lock was held cannot leave the cache half changed in a way that matters.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn insert(&mut self, hash: SchemaHash, schema: Arc<ResolvedSchema>, bytes: usize) {
        self.given_up.retain(|&known| known != hash);
        self.clock += 1;
        let entry = Entry { schema, bytes, used: self.clock };
        self.bytes += bytes;
        if let Some(old) = self.entries.insert(hash, entry) {
            self.bytes -= old.bytes;
        }
        while self.entries.len() > SCHEMAS_MAX || self.bytes > CACHE_BYTES_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(&hash, _)| hash);
            let Some(old) = oldest.and_then(|hash| self.entries.remove(&hash)) else { return };
            self.bytes -= old.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use store::block::{Body, BootId, Class, Schema, Sealer};

    use super::*;

    fn seal(kind: Kind, body: &[u8], count: u32) -> Vec<u8> {
        let mut sealer = Sealer::new(BootId([1; 16]), 1, 3).unwrap();
        sealer.body.extend_from_slice(body);
        let body = Body {
            kind,
            class: Class::Live,
            schema: SchemaHash::default(),
            count,
            span_ns: (0, 0),
            sealed_boot_ns: 0,
        };
        sealer.seal(body).unwrap().bytes().to_vec()
    }

    fn schema(number: usize) -> (SchemaHash, Vec<u8>) {
        let body = Schema { buses: vec![format!("can{number}")], messages: Vec::new() }.encode();
        (Schema::hash(&body), seal(Kind::Schema, &body, 0))
    }

    #[test]
    fn only_the_schema_that_the_topic_names_is_taken() {
        let schemas = Schemas::default();
        let (hash, block) = schema(0);
        let (other, _) = schema(1);
        assert_eq!(schemas.offer(other, &block), Err(SchemaError::Hash(hash)));
        assert_eq!(schemas.offer(hash, &seal(Kind::Logs, &[0, 0], 0)), Err(SchemaError::Kind(Kind::Logs)));
        assert!(matches!(schemas.offer(hash, b"hello"), Err(SchemaError::Block(_))));
        assert!(matches!(schemas.find(hash), Known::Missing));
        schemas.give_up(hash);
        assert!(matches!(schemas.find(hash), Known::GivenUp));
        schemas.offer(hash, &block).unwrap();
        assert!(matches!(schemas.find(hash), Known::Here(_)));
        schemas.give_up(hash);
        assert!(matches!(schemas.find(hash), Known::Here(_)));
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let schemas = Schemas::default();
        let (first, block) = schema(0);
        schemas.offer(first, &block).unwrap();
        let (second, block) = schema(1);
        schemas.offer(second, &block).unwrap();
        for number in 2..=SCHEMAS_MAX {
            assert!(matches!(schemas.find(first), Known::Here(_)));
            let (hash, block) = schema(number);
            schemas.offer(hash, &block).unwrap();
        }
        assert!(matches!(schemas.find(second), Known::Missing));
        assert_eq!(schemas.cache().entries.len(), SCHEMAS_MAX);
    }

    #[test]
    fn what_is_given_up_is_bounded() {
        let schemas = Schemas::default();
        for number in 0..2 * GIVEN_UP_MAX {
            let mut hash = [0; 16];
            hash[..8].copy_from_slice(&(number as u64).to_le_bytes());
            schemas.give_up(SchemaHash(hash));
        }
        assert_eq!(schemas.cache().given_up.len(), GIVEN_UP_MAX);
    }

    #[test]
    fn a_schema_beyond_the_limit_is_refused_before_it_is_opened() {
        let block = seal(Kind::Schema, &vec![0; SCHEMA_BYTES_MAX + 1], 0);
        let error = Schemas::default().offer(SchemaHash::default(), &block).unwrap_err();
        assert_eq!(error, SchemaError::TooLong(SCHEMA_BYTES_MAX as u32 + 1));
    }
}
