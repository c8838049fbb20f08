//! What stays: floors, ages, windows and bounds, across restarts, clock jumps and older files.

#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use store::block::{Body, BootId, Class, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::{
    EvictReason, Notice, Retention, RingFile, Window, open_or_quarantine, open_or_quarantine_with,
};
use tempfile::TempDir;

const TIGHT: u64 = 16 << 20;
const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
const A: BootId = BootId([1; 16]);
const B: BootId = BootId([2; 16]);

struct Bench {
    folder: TempDir,
    sealer: Sealer,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sealer: Sealer::new(A, 0, 1).unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ring.db")
    }

    fn open(&self, retention: Retention) -> RingFile {
        RingFile::open_with(&self.path(), retention).unwrap()
    }

    fn block(&mut self, class: Class, len: usize, sealed_boot_ns: i64) -> SealedBlock {
        let mut state = self.sealer.sequence() + 1;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        });
        self.sealer.body.extend(noise.take(len));
        let schema = SchemaHash::default();
        let body = Body { kind: Kind::Samples, class, schema, count: 10, span_ns: (0, 1), sealed_boot_ns };
        self.sealer.seal(body).unwrap()
    }
}

fn size(path: &Path, suffix: &str) -> u64 {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    fs::metadata(name).map_or(0, |meta| meta.len())
}

fn waiting(ring: &RingFile, class: Class) -> u64 {
    ring.books().classes[usize::from(class.number())].waiting.blocks
}

fn lease_all(ring: &mut RingFile) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let leased = ring.lease(1 << 20, 1000).unwrap();
        if leased.is_empty() {
            return all;
        }
        all.extend(leased.into_iter().map(|block| block.bytes));
    }
}

#[test]
fn a_flood_of_one_class_leaves_the_others_their_floors() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    let len = 20_000;
    let store = |ring: &mut RingFile, bench: &mut Bench, class, count: u64| {
        for _ in 0..count {
            let block = bench.block(class, len, 0);
            ring.commit(&[block], &mut Vec::new(), 0).unwrap();
            assert!(ring.books().balanced());
        }
    };
    for class in [Class::Traces, Class::Live, Class::Logs, Class::Bulk] {
        store(&mut ring, &mut bench, class, 100);
    }
    store(&mut ring, &mut bench, Class::Critical, 1000);
    // An eighth of 16 MiB is more than half of what is left beside the -wal allows: the floors are scaled down to it.
    for (class, least) in [(Class::Traces, 40), (Class::Live, 40), (Class::Logs, 20)] {
        let left = waiting(&ring, class);
        assert!((least..100).contains(&left), "{left} {class:?} blocks are left");
    }
    assert_eq!(waiting(&ring, Class::Bulk), 0, "it has no floor");
    // And who is below the floor gets room from who is above.
    let mut again = Bench::new();
    let mut ring = again.open(Retention::new(TIGHT));
    store(&mut ring, &mut again, Class::Critical, 1000);
    store(&mut ring, &mut again, Class::Logs, 10);
    assert_eq!(waiting(&ring, Class::Logs), 10);
}

#[test]
fn ages_count_the_time_that_the_vehicle_runs_whatever_the_clocks_say() {
    let mut bench = Bench::new();
    let keep = Retention { age_ns_max: [None, None, Some(24 * HOUR), None, None], ..Retention::new(TIGHT) };
    let mut ring = bench.open(keep);
    ring.begin(A, 0);
    let block = bench.block(Class::Live, 100, 0);
    ring.commit(&[block], &mut Vec::new(), HOUR).unwrap();
    // Each row: boot, its CLOCK_BOOTTIME, and whether the block is still there. Every boot begins at 0.
    for (boot, at, kept) in [
        (A, 20 * HOUR, true),
        (A, HOUR, true),
        (B, 0, true),
        (B, 4 * HOUR, true),
        (A, HOUR / 2, true),
        (A, 2 * HOUR, false),
    ] {
        drop(ring);
        ring = bench.open(keep);
        ring.begin(boot, at);
        ring.commit(&[], &mut Vec::new(), at).unwrap();
        assert_eq!(waiting(&ring, Class::Live) == 1, kept, "{boot} {at}");
    }
    assert_eq!(ring.books().total().evicted[EvictReason::Expired as usize].blocks, 1);
    assert!(ring.books().balanced());
    // Without any commit, by being tended.
    let block = bench.block(Class::Live, 100, 0);
    ring.commit(&[block], &mut Vec::new(), 3 * HOUR).unwrap();
    ring.tend(1, 28 * HOUR).unwrap();
    assert_eq!(waiting(&ring, Class::Live), 0);
}

#[test]
fn what_is_under_way_does_not_expire() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention { age_ns_max: [Some(HOUR); 5], ..Retention::new(TIGHT) });
    ring.begin(A, 0);
    let block = bench.block(Class::Live, 100, 0);
    ring.commit(&[block], &mut Vec::new(), 0).unwrap();
    let mut leases: Vec<_> = ring.lease(1000, 1).unwrap().into_iter().map(|block| block.lease).collect();
    ring.commit(&[], &mut Vec::new(), 2 * HOUR).unwrap();
    assert_eq!(waiting(&ring, Class::Live), 1);
    ring.commit(&[], &mut leases, 2 * HOUR).unwrap();
    assert_eq!(ring.books().total().acked.blocks, 1);
}

#[test]
fn acknowledgements_of_the_last_minute_are_taken_back_after_a_restart_too() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    ring.begin(A, 0);
    for second in 0..4 {
        let block = bench.block(Class::Live, 50, 0);
        ring.commit(&[block], &mut Vec::new(), second * SECOND).unwrap();
        let mut leases = ring.lease(1000, 1).unwrap().into_iter().map(|block| block.lease).collect();
        ring.commit(&[], &mut leases, second * 30 * SECOND).unwrap();
    }
    let restart = |boot, at| {
        let mut ring = bench.open(Retention::new(TIGHT));
        ring.begin(boot, at);
        ring
    };
    drop(ring);
    // The daemon restarts at 100 s: acknowledged at 60 and 90 s is within the last minute.
    let mut ring = restart(A, 100 * SECOND);
    assert_eq!(ring.reoffer(40 * SECOND).unwrap(), 2);
    assert!(ring.books().balanced());
    assert_eq!(ring.books().total().waiting.blocks, 2);
    let mut leases: Vec<_> = ring.lease(1000, 9).unwrap().into_iter().map(|block| block.lease).collect();
    ring.commit(&[], &mut leases, 110 * SECOND).unwrap();
    drop(ring);
    // The computer restarts: 20 s later in its own time, they are still of the last minute.
    let mut ring = restart(B, 20 * SECOND);
    assert_eq!(ring.reoffer(20 * SECOND - 60 * SECOND).unwrap(), 2);
}

#[test]
fn a_window_around_a_fault_is_kept_like_the_fault() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    ring.begin(A, 0);
    for second in 0..100 {
        let block = bench.block(Class::Bulk, 20_000, second * SECOND);
        ring.commit(&[block], &mut Vec::new(), second * SECOND).unwrap();
    }
    let window = Window { boot: A, from_boot_ns: 50 * SECOND, to_boot_ns: 119 * SECOND };
    let preserved = ring.preserve(window).unwrap();
    assert_eq!((preserved.blocks, preserved.refused), (50, 0));
    drop(ring);
    // What comes later is within it, too, after a restart.
    let mut ring = bench.open(Retention::new(TIGHT));
    for second in 100..1500 {
        let block = bench.block(Class::Bulk, 20_000, second * SECOND);
        ring.commit(&[block], &mut Vec::new(), second * SECOND).unwrap();
    }
    assert!(ring.books().total().evicted[EvictReason::Full as usize].blocks > 0, "the ring is full");
    let sealed: Vec<i64> = lease_all(&mut ring)
        .into_iter()
        .map(|bytes| SealedBlock::from_bytes(bytes).unwrap().header().sealed_boot_ns / SECOND)
        .collect();
    assert_eq!(sealed[..70], (50..120).collect::<Vec<_>>(), "all of the window, and first");
    assert!(!sealed.contains(&49) && sealed.contains(&1499));
}

#[test]
fn windows_that_share_a_time_are_one_and_others_stay_apart() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    ring.begin(A, 0);
    let window = |from: i64, to: i64| Window { boot: A, from_boot_ns: from, to_boot_ns: to };
    // The second and the last of many would have pushed the first one out, were they not one with it.
    for number in 0..100 {
        ring.preserve(window(number * 5, number * 5 + 10)).unwrap();
    }
    ring.preserve(window(2000, 2010)).unwrap();
    let blocks: Vec<_> =
        [0, 250, 505, 506, 1999, 2000, 2011].map(|at| bench.block(Class::Bulk, 100, at)).into();
    ring.commit(&blocks, &mut Vec::new(), 0).unwrap();
    let preserved: Vec<i64> = lease_all(&mut ring)
        .into_iter()
        .map(|bytes| SealedBlock::from_bytes(bytes).unwrap().header().sealed_boot_ns)
        .collect();
    assert_eq!(preserved, [0, 250, 505, 2000, 506, 1999, 2011], "those in windows first");
}

#[test]
fn a_session_is_remembered_with_the_next_commit() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    ring.begin(A, 0);
    assert_eq!(ring.acked_last().unwrap(), None);
    assert_eq!(ring.session(), None);
    ring.begin_session("broker a");
    drop(ring);
    let mut ring = bench.open(Retention::new(TIGHT));
    assert_eq!(ring.session(), None, "nothing was acknowledged in it");
    ring.begin(A, 0);
    ring.begin_session("broker a");
    let block = bench.block(Class::Live, 50, 0);
    ring.commit(&[block], &mut Vec::new(), 0).unwrap();
    let mut leases = ring.lease(1000, 1).unwrap().into_iter().map(|block| block.lease).collect();
    ring.commit(&[], &mut leases, 30 * SECOND).unwrap();
    drop(ring);
    let mut ring = bench.open(Retention::new(TIGHT));
    assert_eq!(ring.session(), Some("broker a"));
    ring.begin(A, 500 * SECOND);
    assert_eq!(ring.acked_last().unwrap(), Some(30 * SECOND));
    ring.begin(B, 5 * SECOND);
    assert_eq!(ring.acked_last().unwrap(), Some(-470 * SECOND), "before this boot");
    ring.begin_session("broker b");
    let block = bench.block(Class::Live, 50, 0);
    ring.commit(&[block], &mut Vec::new(), 6 * SECOND).unwrap();
    drop(ring);
    assert_eq!(bench.open(Retention::new(TIGHT)).session(), Some("broker b"));
}

#[test]
fn what_is_preserved_is_bounded() {
    let mut bench = Bench::new();
    let bounded = Retention { preserved_bytes_max: 500_000, ..Retention::new(TIGHT) };
    let mut ring = bench.open(bounded);
    for second in 0..100 {
        let block = bench.block(Class::Bulk, 20_000, second);
        ring.commit(&[block], &mut Vec::new(), 0).unwrap();
    }
    let all = Window { boot: A, from_boot_ns: 0, to_boot_ns: i64::MAX };
    let preserved = ring.preserve(all).unwrap();
    assert_eq!((preserved.blocks, preserved.refused), (23, 77));
    assert_eq!(ring.preserve(all).unwrap().blocks, 0, "they are already");
    for number in 0..100 {
        ring.preserve(Window { boot: B, from_boot_ns: number, to_boot_ns: number }).unwrap();
    }
    assert!(ring.books().balanced());
}

#[test]
fn a_ring_of_the_first_release_is_taken_over_and_one_of_a_later_is_set_aside_and_salvaged() {
    const VERSION_1: &str = include_str!("data/ring_v1.sql");
    let mut bench = Bench::new();
    let blocks: Vec<_> = (0..5).map(|_| bench.block(Class::Live, 3000, 0)).collect();
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute_batch(VERSION_1).unwrap();
    for (row, block) in blocks.iter().enumerate() {
        let (header, state) = (block.header(), i64::from(row < 2));
        connection
            .execute(
                "INSERT INTO block VALUES (?1, ?2, 2, 1, ?3, 0, ?1, ?4, 10, ?5, 0, 1, 0)",
                rusqlite::params![
                    row + 1,
                    state,
                    header.identity.boot.0,
                    header.schema.0,
                    block.bytes().len()
                ],
            )
            .unwrap();
        connection
            .execute("INSERT INTO body VALUES (?1, ?2)", rusqlite::params![row + 1, block.bytes()])
            .unwrap();
    }
    connection.execute_batch("INSERT INTO books VALUES (2, 'sealed', 5, 50), (2, 'acked', 2, 20)").unwrap();
    drop(connection);
    let mut ring = bench.open(Retention::new(TIGHT));
    let total = ring.books().total();
    assert!(ring.books().balanced());
    assert_eq!((total.sealed.blocks, total.acked.blocks, total.waiting.blocks), (5, 2, 3));
    assert_eq!(ring.reoffer(-60 * SECOND).unwrap(), 0, "when they were acknowledged is not known");
    assert_eq!(
        lease_all(&mut ring),
        blocks[2..].iter().map(|block| block.bytes().to_vec()).collect::<Vec<_>>()
    );
    ring.close().unwrap();

    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let (mut ring, aside) = open_or_quarantine(&bench.path(), TIGHT).unwrap();
    let aside = aside.unwrap();
    assert!(aside.reason.contains("version 99, this release knows versions 1 to 4"), "{}", aside.reason);
    while ring.tend(64, 0).unwrap() {}
    assert_eq!(lease_all(&mut ring).len(), 3);
    assert!(!aside.path.exists(), "nothing in it is missing");
}

#[test]
fn a_ring_of_version_2_is_taken_over() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    let block = bench.block(Class::Live, 100, 0);
    ring.commit(&[block], &mut Vec::new(), 0).unwrap();
    let books = *ring.books();
    ring.close().unwrap();
    // Version 3 is version 2 and this table.
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    connection.execute_batch("DROP TABLE session; PRAGMA user_version = 2").unwrap();
    drop(connection);
    let mut ring = bench.open(Retention::new(TIGHT));
    assert_eq!((*ring.books(), ring.session()), (books, None));
    assert_eq!(lease_all(&mut ring).len(), 1);
}

#[test]
fn what_is_set_aside_is_reported_and_bounded() {
    let mut bench = Bench::new();
    for round in 0..12_u8 {
        fs::write(bench.path(), vec![round; 200_000]).unwrap();
        let (mut ring, aside) = open_or_quarantine(&bench.path(), TIGHT).unwrap();
        let aside = aside.unwrap();
        let block = bench.block(Class::Live, 100, 0);
        ring.commit(&[block], &mut Vec::new(), 0).unwrap();
        while ring.tend(16, 0).unwrap() {}
        let notices = ring.take_notices();
        let [Notice::Salvaged(report)] = &notices[..] else { panic!("{notices:?}") };
        assert_eq!((report.pages, report.found.blocks, report.removed), (49, 0, false));
        assert!(aside.path.exists());
        let files: Vec<_> =
            fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let asides = files
            .iter()
            .filter(|path| path.extension().is_some_and(|end| end.to_string_lossy().starts_with("corrupt")));
        assert!(asides.count() <= 4, "{files:?}");
        assert!(files.len() < 20, "{files:?}");
        let text = fs::read_to_string(format!("{}.report", aside.path.display())).unwrap();
        assert!(text.contains("blocks that wait in the ring again: 0"), "{text}");
    }
}

#[test]
fn a_salvage_that_is_interrupted_goes_on_after_the_restart() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    let blocks: Vec<_> = (0..120).map(|_| bench.block(Class::Live, 20_000, 0)).collect();
    ring.commit(&blocks, &mut Vec::new(), 0).unwrap();
    ring.close().unwrap();
    let mut bytes = fs::read(bench.path()).unwrap();
    bytes[..100].fill(0x5A);
    fs::write(bench.path(), bytes).unwrap();
    // It has the first page once more.
    fs::remove_file(bench.path().with_extension("db-wal")).unwrap();
    let (mut ring, aside) = open_or_quarantine_with(&bench.path(), Retention::new(TIGHT)).unwrap();
    let aside = aside.unwrap().path;
    let mut restarts = 0;
    let mut now = 0;
    loop {
        // Between two batches.
        now += SECOND;
        if !ring.tend(100, now).unwrap() {
            break;
        }
        if ring.books().total().waiting.blocks > 0 && restarts < 3 {
            drop(ring);
            ring = bench.open(Retention::new(TIGHT));
            restarts += 1;
        }
    }
    assert_eq!(restarts, 3);
    let (total, sent) = (ring.books().total(), lease_all(&mut ring));
    assert_eq!((total.waiting.blocks, total.salvaged.blocks, sent.len()), (120, 120, 120), "each once");
    let text = fs::read_to_string(format!("{}.report", aside.display())).unwrap();
    assert!(text.contains("lost that it says waited: 0 ") && text.contains("again: 120 "), "{text}");
}

#[test]
fn the_write_ahead_log_is_bounded_while_it_is_in_use() {
    let mut bench = Bench::new();
    let mut ring = bench.open(Retention::new(TIGHT));
    let mut most = 0;
    for round in 0..300 {
        let blocks: Vec<_> = (0..=round % 7).map(|_| bench.block(Class::Live, 60_000, 0)).collect();
        ring.commit(&blocks, &mut Vec::new(), 0).unwrap();
        most = most.max(size(&bench.path(), "-wal"));
        assert!(size(&bench.path(), "") + size(&bench.path(), "-wal") <= TIGHT);
    }
    // 512 frames, and one commit on top.
    assert!((2 << 20..6 << 20).contains(&most), "{most} bytes");
}
