//! What the ring should hold, beside what it does hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use store::block::{Body, BootId, Class, Identity, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::{Leased, Retention, RingFile};

use super::disk::{Mount, Random};

pub(crate) const BOOT: BootId = BootId([5; 16]);

/// Waiting blocks by identity, with their bytes; and those that were acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) waiting: BTreeMap<Identity, Vec<u8>>,
    pub(crate) acked: BTreeSet<Identity>,
}

/// A ring in use, and the model of it.
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    pub(crate) ring: Option<RingFile>,
    pub(crate) sealer: Sealer,
    pub(crate) leased: Vec<Leased>,
    pub(crate) held: Held,
    /// What it is if the commit under way when the power went is on the disk.
    pub(crate) doubt: Option<Held>,
    pub(crate) now: i64,
}

/// The identity of a block, by its bytes.
pub(crate) fn identity(bytes: &[u8]) -> Identity {
    *SealedBlock::from_bytes(bytes.to_vec()).map(|block| block.header().identity).as_ref().unwrap()
}

pub(crate) fn retention() -> Retention {
    Retention { free_bytes_min: 0, ..Retention::new(16 << 20) }
}

impl Run {
    pub(crate) fn new(mount: &Mount, seed: u64) -> Self {
        let path = mount.ring();
        let ring = RingFile::open_with(&path, retention()).unwrap();
        Self {
            path,
            ring: Some(ring),
            sealer: Sealer::new(BOOT, seed, 1).unwrap(),
            leased: Vec::new(),
            held: Held::default(),
            doubt: None,
            now: 0,
        }
    }

    /// A block of about `len` bytes that does not compress.
    pub(crate) fn block(&mut self, class: Class, len: usize, random: &mut Random) -> SealedBlock {
        self.sealer.body.extend(std::iter::repeat_with(|| random.next() as u8).take(len));
        let body = Body {
            kind: Kind::Samples,
            class,
            schema: SchemaHash([3; 16]),
            count: 1 + random.next() as u32 % 100,
            span_ns: (0, 1),
            sealed_boot_ns: self.now,
        };
        self.sealer.seal(body).unwrap()
    }

    /// Stores blocks; false when it failed.
    pub(crate) fn store(&mut self, blocks: &[SealedBlock]) -> bool {
        self.now += 1_000_000;
        let mut after = self.held.clone();
        after.waiting.extend(blocks.iter().map(|block| (block.header().identity, block.bytes().to_vec())));
        let done = self.ring.as_mut().unwrap().commit(blocks, &mut Vec::new(), self.now).is_ok();
        self.settle(after, done)
    }

    /// Acknowledges some of what is leased, in no order.
    pub(crate) fn acknowledge(&mut self, count: usize, random: &mut Random) -> bool {
        self.now += 1_000_000;
        let mut after = self.held.clone();
        let mut leases = Vec::new();
        for _ in 0..count.min(self.leased.len()) {
            let Leased { lease, bytes, .. } = self.leased.swap_remove(random.below(self.leased.len()));
            let identity = identity(&bytes);
            after.waiting.remove(&identity);
            after.acked.insert(identity);
            leases.push(lease);
        }
        let done = self.ring.as_mut().unwrap().commit(&[], &mut leases, self.now).is_ok();
        self.settle(after, done)
    }

    fn settle(&mut self, after: Held, done: bool) -> bool {
        if done {
            self.held = after;
        } else {
            self.doubt = Some(after);
        }
        done
    }

    /// Leases some; false when it failed.
    pub(crate) fn lease(&mut self, bytes: usize) -> bool {
        let Ok(leased) = self.ring.as_mut().unwrap().lease(bytes, 8) else { return false };
        for block in &leased {
            let identity = identity(&block.bytes);
            assert_eq!(
                self.held.waiting.get(&identity),
                Some(&block.bytes),
                "{identity} is sent as it was stored"
            );
            assert!(self.leased.iter().all(|held| held.bytes != block.bytes), "{identity} is leased twice");
        }
        self.leased.extend(leased);
        true
    }

    /// Something that a service does; false when it failed.
    pub(crate) fn step(&mut self, random: &mut Random) -> bool {
        match random.below(8) {
            0..=3 => {
                let blocks: Vec<SealedBlock> = (0..=random.below(3))
                    .map(|_| {
                        let class = Class::ALL[random.below(Class::ALL.len())];
                        let len = [50, 700, 3000, 9000, 30_000][random.below(5)];
                        self.block(class, len, random)
                    })
                    .collect();
                self.store(&blocks)
            }
            4 | 5 => self.lease(1 << random.below(18)),
            6 => self.acknowledge(1 + random.below(6), random),
            _ => {
                let count = random.below(3).min(self.leased.len());
                let leases = self.leased.drain(..count).map(|block| block.lease);
                self.ring.as_mut().unwrap().release(leases);
                true
            }
        }
    }

    /// Whether a commit failed, so that it may be on the disk or not.
    pub(crate) fn in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// The process is gone, and with it what was leased.
    pub(crate) fn crash(&mut self) {
        self.ring = None;
        self.leased.clear();
    }

    /// Opens the ring again, and compares.
    pub(crate) fn reopen(&mut self, what: &str) {
        let mut ring = match RingFile::open_with(&self.path, retention()) {
            Ok(ring) => ring,
            Err(error) => panic!("{what}: {error}"),
        };
        ring.begin(BOOT, self.now);
        let (waiting, books) = (drain(&mut ring), *ring.books());
        assert!(books.balanced(), "{what}: {books:?}");
        let is = |held: &Held| {
            let acked = held.acked.len() as u64;
            waiting == held.waiting
                && (books.total().acked.blocks, books.total().waiting.blocks) == (acked, waiting.len() as u64)
        };
        let after = self.doubt.take();
        match after.filter(&is) {
            Some(after) => self.held = after,
            None => assert!(
                is(&self.held),
                "{what}: {} blocks wait, {} should; {:?}",
                waiting.len(),
                self.held.waiting.len(),
                books.total()
            ),
        }
        self.ring = Some(ring);
    }
}

/// Everything that waits, by leasing it and giving it back.
pub(crate) fn drain(ring: &mut RingFile) -> BTreeMap<Identity, Vec<u8>> {
    let mut all = Vec::new();
    while let Ok(leased) = ring.lease(1 << 20, 1000) {
        if leased.is_empty() {
            break;
        }
        all.extend(leased);
    }
    let waiting = all.iter().map(|block| (identity(&block.bytes), block.bytes.clone())).collect();
    ring.release(all.into_iter().map(|block| block.lease));
    waiting
}
