//! Dictionaries in the ring: as long as there may be blocks that need them, and in a file by itself.

#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::path::PathBuf;

use store::block::{Body, BootId, Class, Dictionary, DictionaryHash, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::{Retention, RingFile, RingReader, open_or_quarantine};
use tempfile::TempDir;

const TIGHT: u64 = 16 << 20;

struct Bench {
    folder: TempDir,
    sealer: Sealer,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sealer: Sealer::new(BootId([1; 16]), 0, 1).unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ring.db")
    }

    fn open(&self) -> RingFile {
        RingFile::open_with(&self.path(), Retention::new(TIGHT)).unwrap()
    }

    /// A block of noise.
    fn block(&mut self) -> SealedBlock {
        let mut state = self.sealer.sequence() + 1;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        self.sealer.body.extend(noise.take(40_000));
        let (kind, class, schema) = (Kind::Samples, Class::Live, SchemaHash::default());
        let body = Body { kind, class, schema, count: 10, span_ns: (0, 1), sealed_boot_ns: 0 };
        self.sealer.seal(body).unwrap()
    }
}

/// A dictionary's block.
fn dictionary(text: &str) -> (DictionaryHash, SealedBlock) {
    let dictionary = Dictionary::new(text.repeat(9).into_bytes()).unwrap();
    let mut sealer = Sealer::new(BootId::default(), 0, 3).unwrap();
    sealer.body.extend_from_slice(dictionary.bytes());
    let (kind, class, schema) = (Kind::Dictionary, Class::Critical, SchemaHash::default());
    let body = Body { kind, class, schema, count: 1, span_ns: (0, 0), sealed_boot_ns: 0 };
    (dictionary.hash(), sealer.seal(body).unwrap())
}

#[test]
fn a_dictionary_stays_for_as_long_as_blocks_may_need_it() {
    let mut bench = Bench::new();
    let [first, second] = [dictionary("timeout on can0 "), dictionary("frame lost ")];
    let has = |ring: &RingFile, hash| ring.dictionary_block(hash).unwrap().is_some();
    let mut ring = bench.open();
    assert!(!has(&ring, first.0), "a ring that never had any");
    ring.put_dictionaries(&[]).unwrap();
    ring.put_dictionaries(std::slice::from_ref(&first)).unwrap();
    let blocks: Vec<_> = (0..30).map(|_| bench.block()).collect();
    ring.commit(&blocks, &mut Vec::new(), 0).unwrap();
    ring.close().unwrap();
    // A later run uses another one, and its first blocks do not push the old ones out.
    let mut ring = bench.open();
    ring.put_dictionaries(std::slice::from_ref(&second)).unwrap();
    ring.put_dictionaries(std::slice::from_ref(&second)).unwrap();
    assert!(has(&ring, first.0) && has(&ring, second.0));
    ring.close().unwrap();
    let reader = RingReader::open(&bench.path()).unwrap();
    assert_eq!(reader.dictionary(first.0).unwrap().unwrap().hash(), first.0);
    assert!(reader.dictionaries().unwrap().find(second.0).is_some());
    assert_eq!(reader.dictionary(DictionaryHash([7; 16])).unwrap(), None);
    drop(reader);
    // Until all of them are gone, whether anybody asks for it again or not.
    let mut ring = bench.open();
    let more: Vec<_> = (0..400).map(|_| bench.block()).collect();
    for block in more {
        ring.commit(&[block], &mut Vec::new(), 0).unwrap();
    }
    ring.put_dictionaries(&[]).unwrap();
    assert!(!has(&ring, first.0) && has(&ring, second.0));
}

#[test]
fn a_ring_that_is_set_aside_gives_its_dictionaries_back() {
    let mut bench = Bench::new();
    let kept = dictionary("timeout on can0 ");
    let mut ring = bench.open();
    ring.put_dictionaries(std::slice::from_ref(&kept)).unwrap();
    let block = bench.block();
    ring.commit(&[block], &mut Vec::new(), 0).unwrap();
    ring.close().unwrap();
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let (mut ring, aside) = open_or_quarantine(&bench.path(), TIGHT).unwrap();
    assert!(aside.is_some() && ring.dictionary_block(kept.0).unwrap().is_none());
    while ring.tend(64, 0).unwrap() {}
    assert_eq!(ring.dictionary_block(kept.0).unwrap().as_deref(), Some(kept.1.bytes()));
}
