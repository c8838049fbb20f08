//! The ring's file as its owner uses it: stored, leased, acknowledged, restarted, filled up and damaged.

#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use store::block::{Body, BootId, Class, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::{EvictReason, Lease, RingError, RingFile, RingReader, Selection, open_or_quarantine};
use tempfile::TempDir;

const ROOMY: u64 = 64 << 20;
const TIGHT: u64 = 16 << 20;

struct Bench {
    folder: TempDir,
    sealer: Sealer,
}

impl Bench {
    fn new() -> Self {
        let sealer = Sealer::new(BootId([1; 16]), 0, 1).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), sealer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ring.db")
    }

    fn open(&self, bytes_max: u64) -> RingFile {
        RingFile::open(&self.path(), bytes_max).unwrap()
    }

    /// A block of about `len` bytes that does not compress.
    fn block(&mut self, class: Class, len: usize) -> SealedBlock {
        let mut state = self.sealer.sequence() + 1;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        self.sealer.body.extend(noise.take(len));
        let body = Body {
            kind: Kind::Samples,
            class,
            schema: SchemaHash::default(),
            count: 10,
            span_ns: (0, 1),
            sealed_boot_ns: 0,
        };
        self.sealer.seal(body).unwrap()
    }
}

fn store(ring: &mut RingFile, blocks: &[SealedBlock]) {
    ring.commit(blocks, &mut Vec::new(), 0).unwrap();
    assert!(ring.books().balanced());
}

fn lease_all(ring: &mut RingFile) -> Vec<(Lease, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let leased = ring.lease(1 << 20, 1000).unwrap();
        if leased.is_empty() {
            return all;
        }
        all.extend(leased.into_iter().map(|block| (block.lease, block.bytes)));
    }
}

#[test]
fn only_an_acknowledgement_frees_a_block() {
    let mut bench = Bench::new();
    let blocks =
        [bench.block(Class::Live, 100), bench.block(Class::Critical, 100), bench.block(Class::Live, 100)];
    let mut ring = bench.open(ROOMY);
    store(&mut ring, &blocks);

    let mut leases = lease_all(&mut ring);
    assert_eq!(leases[0].1, blocks[1].bytes(), "the critical block goes first");
    assert_eq!(leases.len(), 3);
    assert!(ring.lease(1 << 20, 10).unwrap().is_empty(), "what is leased is not leased again");

    // One is acknowledged, one comes back, the third lease is lost with the process.
    let (acked, _) = leases.remove(0);
    ring.commit(&[], &mut vec![acked], 0).unwrap();
    let (returned, bytes) = leases.remove(0);
    ring.release([returned]);
    assert_eq!(ring.lease(1 << 20, 10).unwrap()[0].bytes, bytes);
    drop(ring);

    let mut ring = bench.open(ROOMY);
    assert!(ring.books().balanced());
    let total = ring.books().total();
    assert_eq!((total.sealed.records, total.acked.records, total.waiting.records), (30, 10, 20));
    let again = lease_all(&mut ring);
    assert_eq!(
        again.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>(),
        [blocks[0].bytes(), blocks[2].bytes()]
    );
}

#[test]
fn a_lease_is_bounded_in_bytes_and_blocks_and_of_one_class() {
    let mut bench = Bench::new();
    let mut ring = bench.open(ROOMY);
    let blocks: Vec<_> =
        [Class::Live, Class::Live, Class::Live, Class::Traces].map(|class| bench.block(class, 1000)).into();
    store(&mut ring, &blocks);
    assert_eq!(ring.lease(1 << 20, 9).unwrap().len(), 1, "only the trace block");
    assert_eq!(ring.lease(2500, 9).unwrap().len(), 2);
    let last = ring.lease(1, 9).unwrap();
    assert_eq!(last.len(), 1, "a block larger than the bound still goes, alone");
}

#[test]
fn a_broker_that_lost_its_memory_gets_the_recent_blocks_again() {
    let mut bench = Bench::new();
    let mut ring = bench.open(ROOMY);
    let blocks: Vec<_> = (0..4).map(|_| bench.block(Class::Live, 50)).collect();
    store(&mut ring, &blocks);
    let mut leases = lease_all(&mut ring).into_iter().map(|(lease, _)| lease);
    for at in [100, 200, 300] {
        ring.commit(&[], &mut vec![leases.next().unwrap()], at).unwrap();
    }
    assert_eq!(ring.reoffer(200).unwrap(), 2);
    assert!(ring.books().balanced());
    let again: Vec<_> = lease_all(&mut ring).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(again, [blocks[1].bytes(), blocks[2].bytes()], "the fourth is still under way");
    assert_eq!(ring.reoffer(200).unwrap(), 0, "once");
}

#[test]
fn a_full_ring_loses_the_least_worthy_and_stays_within_its_bound() {
    let mut bench = Bench::new();
    let mut ring = bench.open(TIGHT);
    let classes = [Class::Critical, Class::Live, Class::Bulk];
    for round in 0..120 {
        let block = bench.block(classes[round % 3], 200 << 10);
        store(&mut ring, &[block]);
        let bytes: u64 = ["", "-wal"].iter().map(|suffix| file_len(&bench.path(), suffix)).sum();
        assert!(bytes <= TIGHT, "{bytes} bytes in round {round}");
    }
    let mut books = *ring.books();
    assert_eq!(books.of(Class::Bulk).waiting.blocks, 0);
    assert_eq!(books.of(Class::Critical).sealed.blocks, 40);
    let (live, critical) = (books.of(Class::Live).waiting.blocks, books.of(Class::Critical).waiting.blocks);
    assert!(live > 0 && live < critical, "{live} live blocks are at their floor beside {critical}");
    assert!(books.of(Class::Critical).evicted[EvictReason::Full as usize].blocks > 0);
    ring.close().unwrap();
    assert_eq!(bench.open(TIGHT).books(), &books);
}

fn file_len(path: &Path, suffix: &str) -> u64 {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    std::fs::metadata(name).map_or(0, |meta| meta.len())
}

#[test]
fn acknowledged_blocks_make_room_before_any_is_lost() {
    let mut bench = Bench::new();
    let mut ring = bench.open(TIGHT);
    for _ in 0..200 {
        let block = bench.block(Class::Live, 200 << 10);
        store(&mut ring, &[block]);
        let mut acked: Vec<_> = lease_all(&mut ring).into_iter().map(|(lease, _)| lease).collect();
        ring.commit(&[], &mut acked, 0).unwrap();
    }
    let total = ring.books().total();
    assert_eq!((total.acked.blocks, total.evicted[0].blocks), (200, 0));
}

#[test]
fn a_file_that_is_no_ring_is_named_and_set_aside() {
    let bench = Bench::new();
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(bench.path(), bytes).unwrap();
        let error = RingFile::open(&bench.path(), ROOMY).map(|_| ()).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        assert!(error.to_string().contains("ring.db") && error.to_string().contains(expected), "{error}");
        let (ring, aside) = open_or_quarantine(&bench.path(), ROOMY).unwrap();
        let aside = aside.expect("it says that it moved the file");
        assert!(std::fs::read(&aside.path).unwrap() == bytes, "{} was changed", aside.path.display());
        assert_eq!(ring.books().total().sealed.blocks, 0);
        drop(ring);
        std::fs::remove_file(bench.path()).unwrap();
    };
    check(&[b'x'; 5000], "not a database");
    check(
        b"SQLite format 3\0 but not really, only its first line, and then something else entirely",
        "not a database",
    );

    let other = bench.folder.path().join("other.db");
    rusqlite_file(&other);
    check(&std::fs::read(&other).unwrap(), "not a ring");
}

fn rusqlite_file(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("CREATE TABLE photos (id INTEGER PRIMARY KEY); PRAGMA user_version = 7;")
        .unwrap();
}

#[test]
fn a_second_owner_and_a_missing_folder_are_refused_with_the_remedy() {
    let bench = Bench::new();
    let _owner = bench.open(ROOMY);
    let busy = RingFile::open(&bench.path(), ROOMY).map(|_| ()).unwrap_err();
    assert!(matches!(&busy, RingError::Busy(path) if *path == bench.path()), "{busy}");
    let reader = RingReader::open(&bench.path()).map(|_| ()).unwrap_err();
    assert!(matches!(reader, RingError::Busy(_)), "{reader}");
    let missing = RingFile::open(Path::new("/nowhere/at/all.db"), ROOMY).map(|_| ()).unwrap_err();
    assert!(missing.to_string().contains("check that the folder exists"), "{missing}");
}

#[test]
fn a_block_damaged_on_the_card_is_counted_and_not_sent() {
    let mut bench = Bench::new();
    let mut ring = bench.open(ROOMY);
    let blocks: Vec<_> = (0..3).map(|_| bench.block(Class::Live, 500)).collect();
    store(&mut ring, &blocks);
    ring.close().unwrap();
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute_batch("UPDATE body SET bytes = zeroblob(100) WHERE id = 2").unwrap();
    drop(connection);

    let mut ring = bench.open(ROOMY);
    assert_eq!(lease_all(&mut ring).len(), 2);
    assert!(ring.books().balanced());
    assert_eq!(ring.books().total().evicted[EvictReason::Damaged as usize].blocks, 1);
}

#[test]
fn a_stopped_ring_can_be_read() {
    let mut bench = Bench::new();
    let mut ring = bench.open(ROOMY);
    let blocks: Vec<_> = (0..3).map(|_| bench.block(Class::Live, 50)).collect();
    store(&mut ring, &blocks);
    ring.close().unwrap();
    let reader = RingReader::open(&bench.path()).unwrap();
    // Two blocks are a page of their own each.
    let everything = Selection { kind: Kind::Samples, first_ns: 0, last_ns: 10 };
    let page = reader.page(&everything, i64::MIN, 1).unwrap();
    assert_eq!((page.blocks.len(), page.next), (1, Some(1)));
    let rest = reader.page(&everything, 1, usize::MAX).unwrap();
    let seen: Vec<_> = page.blocks.iter().chain(&rest.blocks).map(|block| block.bytes.as_slice()).collect();
    assert_eq!((seen, rest.next), (blocks.iter().map(SealedBlock::bytes).collect(), None));
    for (kind, first_ns, last_ns) in [(Kind::Spans, 0, 10), (Kind::Samples, 2, 10), (Kind::Samples, -5, -1)] {
        let page = reader.page(&Selection { kind, first_ns, last_ns }, i64::MIN, usize::MAX).unwrap();
        assert_eq!((page.blocks.len(), page.next), (0, None), "{kind:?} {first_ns} {last_ns}");
    }
    assert!(reader.schema(SchemaHash([1; 16])).unwrap().is_none());
}

#[test]
fn schemas_go_with_the_last_block_that_refers_to_them() {
    let mut bench = Bench::new();
    let [unused, used, present] = [1, 2, 3].map(|n| SchemaHash([n; 16]));
    let schema = bench.block(Class::Critical, 10);
    let mut ring = bench.open(ROOMY);
    for hash in [unused, used] {
        ring.put_schema(hash, &schema).unwrap();
    }
    bench.sealer.body.push(1);
    let body = Body {
        kind: Kind::Samples,
        class: Class::Live,
        schema: used,
        count: 1,
        span_ns: (0, 1),
        sealed_boot_ns: 0,
    };
    let block = bench.sealer.seal(body).unwrap();
    store(&mut ring, &[block]);
    let kept = |ring: &RingFile, hash| ring.schema_block(hash).unwrap().is_some();
    assert!(kept(&ring, unused), "a block that refers to it may be under way");
    ring.close().unwrap();
    let mut ring = bench.open(ROOMY);
    ring.put_schema(present, &schema).unwrap();
    assert_eq!([unused, used, present].map(|hash| kept(&ring, hash)), [false, true, true]);
}

#[derive(Clone, Debug)]
enum Step {
    Store(u8, usize),
    Lease(usize),
    Ack(usize),
    Release(usize),
    Restart,
    Reoffer,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u8, 1..300_usize).prop_map(|(class, kib)| Step::Store(class, kib << 10)),
        3 => (1..600_usize).prop_map(|kib| Step::Lease(kib << 10)),
        3 => (0..8_usize).prop_map(Step::Ack),
        1 => (0..8_usize).prop_map(Step::Release),
        1 => Just(Step::Restart),
        1 => Just(Step::Reoffer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn books_balance_and_the_bound_holds_whatever_happens(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut bench = Bench::new();
        let mut ring = bench.open(TIGHT);
        let mut held: Vec<Lease> = Vec::new();
        for step in steps {
            match step {
                Step::Store(class, len) => {
                    let block = bench.block(Class::from_number(class).unwrap(), len);
                    store(&mut ring, &[block]);
                }
                Step::Lease(bytes) => held.extend(ring.lease(bytes, 8).unwrap().into_iter().map(|block| block.lease)),
                Step::Ack(count) => {
                    let count = count.min(held.len());
                    let mut acked: Vec<_> = held.drain(..count).collect();
                    ring.commit(&[], &mut acked, 0).unwrap();
                    prop_assert!(acked.is_empty());
                }
                Step::Release(count) => {
                    let count = count.min(held.len());
                    ring.release(held.drain(..count));
                }
                Step::Restart => {
                    held.clear();
                    drop(ring);
                    let before = bench.open(TIGHT);
                    ring = before;
                }
                Step::Reoffer => { ring.reoffer(0).unwrap(); }
            }
            prop_assert!(ring.books().balanced(), "{:?}", ring.books());
            let (used, bound) = ring.fill();
            prop_assert!(used <= bound);
            prop_assert!(file_len(&bench.path(), "") + file_len(&bench.path(), "-wal") <= TIGHT);
        }
    }
}

/// Frames of the -wal that count: those with the salts of its header (sqlite.org/fileformat2.html §4.1).
fn wal_frames(path: &Path) -> usize {
    let wal = std::fs::read(path.with_extension("db-wal")).unwrap();
    let Some(salts) = wal.get(16..24) else { return 0 };
    wal[32..].chunks_exact(24 + 4096).take_while(|frame| &frame[8..16] == salts).count()
}

#[test]
fn a_commit_that_only_adds_does_not_write_the_books_and_they_hold() {
    let mut bench = Bench::new();
    let mut ring = bench.open(ROOMY);
    let blocks: Vec<_> = (0..300).map(|_| bench.block(Class::Live, 100)).collect();
    store(&mut ring, &blocks[..1]);
    let mut frames = Vec::new();
    // Beyond what they may lag behind.
    for block in &blocks[1..] {
        let before = wal_frames(&bench.path());
        store(&mut ring, std::slice::from_ref(block));
        frames.push(wal_frames(&bench.path()).saturating_sub(before));
    }
    // Rows of the block and its bytes, their place in the index, what fills the sector; now and then a page more of each.
    let few = frames.iter().filter(|frames| (1..=5).contains(*frames)).count();
    assert!(few > 250, "{few} of 299 commits took at most five pages: {frames:?}");
    let books = *ring.books();
    assert_eq!(books.total().waiting.blocks, 300);
    let lease = ring.lease(1 << 20, 1).unwrap().remove(0).lease;
    // Lost with the process, as with the power.
    drop(ring);
    let mut ring = bench.open(ROOMY);
    assert_eq!(*ring.books(), books);
    store(&mut ring, &[bench.block(Class::Logs, 100)]);
    let mut leases: Vec<_> = lease_all(&mut ring).into_iter().map(|(lease, _)| lease).collect();
    assert!(leases.contains(&lease), "a lease that was lost is given again");
    let mut acked = leases.drain(..299).collect();
    ring.commit(&[], &mut acked, 0).unwrap();
    let books = *ring.books();
    drop(ring);
    let mut ring = bench.open(ROOMY);
    assert_eq!(*ring.books(), books);
    // The last rows are removed, and the next one is not taken for one that was counted.
    let mut rest = lease_all(&mut ring).into_iter().map(|(lease, _)| lease).collect();
    ring.commit(&[], &mut rest, 0).unwrap();
    store(&mut ring, &[bench.block(Class::Live, 100)]);
    let books = *ring.books();
    assert_eq!((books.total().sealed.blocks, books.total().waiting.blocks), (302, 1));
    drop(ring);
    assert_eq!(*bench.open(ROOMY).books(), books);
}

#[test]
fn a_wal_keeps_its_length_when_the_ring_is_closed_and_nothing_in_it_counts_twice() {
    let mut bench = Bench::new();
    let mut ring = bench.open(ROOMY);
    let blocks: Vec<_> = (0..60).map(|_| bench.block(Class::Live, 20_000)).collect();
    blocks.chunks(10).for_each(|blocks| store(&mut ring, blocks));
    let (books, len) = (*ring.books(), file_len(&bench.path(), "-wal"));
    assert!(len > 1_000_000, "{len}");
    ring.close().unwrap();
    assert_eq!(file_len(&bench.path(), "-wal"), len);
    assert!(wal_frames(&bench.path()) <= 10, "{}", wal_frames(&bench.path()));
    // The database alone has every block.
    let alone = Bench::new();
    std::fs::copy(bench.path(), alone.path()).unwrap();
    for bench in [&bench, &alone] {
        let mut ring = bench.open(ROOMY);
        assert_eq!(*ring.books(), books);
        assert_eq!(lease_all(&mut ring).len(), 60);
    }
}
