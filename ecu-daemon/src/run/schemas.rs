//! What the blocks of this run refer to.

use std::io;
use std::sync::Arc;

use ecu_core::Catalog;
use ecu_core::catalog::BusTable;
use store::block::{Body, BootId, Class, Dictionary, DictionaryHash, Kind, SchemaHash, SealedBlock, Sealer};

use crate::status::Names;

/// The schemas of this run, the oldest first, and its dictionaries, each as a block. They stay in memory, so that a broker that has lost its own
/// gets them again. A clone costs nothing.
#[derive(Clone, Debug)]
pub struct Schemas {
    schemas: Arc<[(SchemaHash, SealedBlock)]>,
    /// Those that blocks of this run are compressed with.
    dictionaries: Arc<[(DictionaryHash, SealedBlock)]>,
}

impl Schemas {
    /// Most schemas of one run. One takes about an eighth of its DBC files; whoever changes them more often than this on one
    /// drive can restart.
    pub const MAX: usize = 16;

    /// With the one that the service starts with.
    pub fn new(hash: SchemaHash, block: SealedBlock) -> Self {
        Self { schemas: Arc::new([(hash, block)]), dictionaries: Arc::new([]) }
    }

    /// The same, with the dictionaries of this run.
    #[must_use]
    pub fn with_dictionaries(self, dictionaries: Vec<(DictionaryHash, SealedBlock)>) -> Self {
        Self { dictionaries: dictionaries.into(), ..self }
    }

    /// Those of `self` and another one; `None` when there are [`Self::MAX`] already.
    pub fn with(&self, hash: SchemaHash, block: SealedBlock) -> Option<Self> {
        (self.schemas.len() < Self::MAX).then(|| Self {
            schemas: self.iter().cloned().chain([(hash, block)]).collect(),
            dictionaries: Arc::clone(&self.dictionaries),
        })
    }

    /// The block of the one of that name.
    pub fn find(&self, hash: SchemaHash) -> Option<&SealedBlock> {
        self.iter().find(|(known, _)| *known == hash).map(|(_, block)| block)
    }

    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = &(SchemaHash, SealedBlock)> {
        self.schemas.iter()
    }

    /// The names of the dictionaries.
    pub fn dictionaries(&self) -> impl Iterator<Item = DictionaryHash> {
        self.dictionaries.iter().map(|(hash, _)| *hash)
    }

    /// The block of the dictionary of that name.
    pub fn find_dictionary(&self, hash: DictionaryHash) -> Option<&SealedBlock> {
        self.dictionaries.iter().find(|(known, _)| *known == hash).map(|(_, block)| block)
    }
}

/// The schema as a block. It names no vehicle and no boot: the same bytes for a whole fleet.
pub(super) fn schema_block(catalog: &Catalog) -> io::Result<SealedBlock> {
    let mut sealer = Sealer::new(BootId::default(), 0, 19)?;
    sealer.body.extend_from_slice(catalog.encoded());
    sealer.seal(Body {
        kind: Kind::Schema,
        class: Class::Critical,
        schema: SchemaHash::default(),
        count: catalog.schema().messages.len() as u32,
        span_ns: (0, 0),
        sealed_boot_ns: 0,
    })
}

/// Each dictionary as a block, the same bytes for a whole fleet.
pub(super) fn dictionary_blocks(
    dictionaries: &[(Kind, Dictionary)],
) -> io::Result<Vec<(DictionaryHash, SealedBlock)>> {
    let mut blocks: Vec<(DictionaryHash, SealedBlock)> = Vec::new();
    for (_, dictionary) in dictionaries {
        // One may serve several kinds.
        if blocks.iter().any(|(known, _)| *known == dictionary.hash()) {
            continue;
        }
        let mut sealer = Sealer::new(BootId::default(), 0, 19)?;
        sealer.body.extend_from_slice(dictionary.bytes());
        let block = sealer.seal(Body {
            kind: Kind::Dictionary,
            class: Class::Critical,
            schema: SchemaHash::default(),
            count: 1,
            span_ns: (0, 0),
            sealed_boot_ns: 0,
        })?;
        blocks.push((dictionary.hash(), block));
    }
    Ok(blocks)
}

/// Numbers the blocks of a run, and compresses them as configured.
pub(super) fn sealer(
    boot: BootId,
    run: u64,
    zstd_level: i32,
    dictionaries: &[(Kind, Dictionary)],
) -> io::Result<Sealer> {
    let mut sealer = Sealer::new(boot, run, zstd_level)?;
    for (kind, dictionary) in dictionaries {
        sealer.set_dictionary(*kind, Some(dictionary))?;
    }
    Ok(sealer)
}

/// By bus, the names of its messages.
pub(super) fn message_names(catalog: &Catalog) -> Names {
    let of = |bus: &BusTable| {
        let messages = catalog.schema().messages.iter().skip(bus.first_message);
        messages.take(bus.table.messages().len()).map(|message| message.name.as_str().into()).collect()
    };
    Names(catalog.buses().iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_most_so_many_and_each_is_known() {
        let block = schema_block(&Catalog::new([]).unwrap()).unwrap();
        let hash = |n: usize| SchemaHash([n as u8; 16]);
        let mut schemas = Schemas::new(hash(0), block.clone());
        for n in 1..Schemas::MAX {
            assert!(schemas.find(hash(n)).is_none());
            schemas = schemas.with(hash(n), block.clone()).unwrap();
            assert!(schemas.find(hash(n)).is_some());
        }
        assert!((0..Schemas::MAX).map(hash).eq(schemas.iter().map(|(hash, _)| *hash)));
        assert!(schemas.with(hash(Schemas::MAX), block).is_none());
    }
}
