//! What the writer makes of the ring's capabilities: windows around errors, files set aside, the card's figures.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use daemon::{Card, Daemon, query};
use ecu_daemon::clock;
use ecu_daemon::config::Config;
use ecu_daemon::inbox::{Inbox, Request};
use ecu_daemon::status::Status;
use ecu_daemon::writer::Writer;
use store::block::{Body, BootId, Class, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::open_or_quarantine_with;
use tokio::sync::Notify;

const SECOND: i64 = 1_000_000_000;
const FRAMES: u16 = 300;
const DBC: &str =
    "VERSION \"\"\nBU_: ECU\nBO_ 256 SPEED: 8 ECU\n SG_ Speed : 0|16@1+ (0.01,0) [0|655] \"km/h\" ECU\n";

/// A block sealed at `second` with so many bytes that do not compress.
fn block(sealer: &mut Sealer, kind: Kind, class: Class, second: i64, len: usize) -> SealedBlock {
    let mut state = sealer.sequence() + 99;
    sealer.body.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(len),
    );
    let (schema, sealed_boot_ns) = (SchemaHash::default(), second * SECOND);
    sealer.seal(Body { kind, class, schema, count: 1, span_ns: (0, 0), sealed_boot_ns }).unwrap()
}

#[test]
fn a_ring_that_is_full_keeps_what_was_sampled_around_an_error() {
    const ERROR_AT: i64 = 50;
    let folder = tempfile::tempdir().unwrap();
    let text = "[store]\npath = 'ring.db'\nmax_bytes = '16 MiB'\ncommit_after = '10ms'\n\
                preserve = { before = '10s', after = '5s' }\n[blocks]\nseal_after = '4s'";
    let (config, _) = Config::parse("car.toml", text, folder.path()).unwrap();
    let (ring, _) = open_or_quarantine_with(&config.store.path, config.store.retention).unwrap();
    let (inbox, status, stored) = (Inbox::default(), Status::default(), Notify::new());
    let complete = AtomicBool::new(false);
    let seal_after_ns = config.blocks.limits.seal_after_ns;
    let writer = Writer::new(ring, &inbox, &status, &stored, &complete, &config.store, seal_after_ns);
    std::thread::scope(|scope| {
        scope.spawn(|| writer.run());
        let mut sealer = Sealer::new(BootId([1; 16]), 0, 1).unwrap();
        for second in 0..700 {
            inbox.push(block(&mut sealer, Kind::Samples, Class::Bulk, second, 40_000), true);
            if second == ERROR_AT {
                inbox.push(block(&mut sealer, Kind::Logs, Class::Critical, second, 100), true);
            }
        }
        inbox.finish();
        while !complete.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        inbox.ask(Request::Close);
    });
    let books = status.store().books;
    assert!(books.balanced() && books.total().evicted[0].blocks > 100, "the ring is full: {books:?}");
    assert_eq!(status.store().preserved.refused, 0);
    let (mut ring, _) = open_or_quarantine_with(&config.store.path, config.store.retention).unwrap();
    let mut kept = Vec::new();
    loop {
        let leased = ring.lease(1 << 20, 1000).unwrap();
        if leased.is_empty() {
            break;
        }
        for one in leased {
            let header = *SealedBlock::from_bytes(one.bytes).unwrap().header();
            if header.kind == Kind::Samples {
                kept.push(header.sealed_boot_ns / SECOND);
            }
        }
    }
    kept.sort_unstable();
    // Sealed up to 4 s after the window's end, a block has samples from within it.
    let around: Vec<i64> = kept.iter().copied().filter(|second| *second < 100).collect();
    let whole: Vec<i64> = (ERROR_AT - 10..=ERROR_AT + 5 + 4).collect();
    assert_eq!(around[..whole.len()], whole, "of {around:?}");
    assert!(around.len() <= whole.len() + 1, "and little else: {around:?}");
}

/// Acknowledgements ride with a later commit; in a full ring they are the room that is needed.
#[test]
fn what_was_acknowledged_makes_room_before_anything_else_does() {
    // Two thirds of what fits.
    const BLOCKS: u64 = 130;
    let folder = tempfile::tempdir().unwrap();
    let text = "[store]\npath = 'ring.db'\nmax_bytes = '16 MiB'\ncommit_after = '10ms'";
    let (config, _) = Config::parse("car.toml", text, folder.path()).unwrap();
    let (ring, _) = open_or_quarantine_with(&config.store.path, config.store.retention).unwrap();
    let (inbox, status, stored) = (Inbox::default(), Status::default(), Notify::new());
    let complete = AtomicBool::new(false);
    let writer = Writer::new(ring, &inbox, &status, &stored, &complete, &config.store, SECOND);
    std::thread::scope(|scope| {
        scope.spawn(|| writer.run());
        let mut sealer = Sealer::new(BootId([1; 16]), 0, 1).unwrap();
        let mut push = || inbox.push(block(&mut sealer, Kind::Samples, Class::Live, 0, 40_000), true);
        (0..BLOCKS).for_each(|_| push());
        while status.store().stored() < BLOCKS {
            std::thread::yield_now();
        }
        let (reply, leased) = tokio::sync::oneshot::channel();
        inbox.ask(Request::Lease(usize::MAX, usize::MAX, reply));
        let leases: Vec<_> =
            leased.blocking_recv().unwrap().unwrap().into_iter().map(|block| block.lease).collect();
        assert_eq!(leases.len() as u64, BLOCKS);
        inbox.ask(Request::Acked(leases));
        (0..BLOCKS).for_each(|_| push());
        inbox.finish();
        while !complete.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        inbox.ask(Request::Close);
    });
    let total = status.store().books.total();
    assert_eq!(total.evicted[0].blocks, 0, "{total:?}");
    assert_eq!(total.sealed.blocks, 2 * BLOCKS);
}

/// Broker and daemon were away for minutes: what counts is the time before the last acknowledgement, and that once.
#[test]
fn a_broker_that_forgot_long_ago_gets_the_last_minute_before_it_went() {
    const ACKED_AT: [i64; 4] = [100, 170, 200, 210];
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = Config::parse("car.toml", "[store]\npath = 'ring.db'", folder.path()).unwrap();
    let (mut ring, _) = open_or_quarantine_with(&config.store.path, config.store.retention).unwrap();
    // In a boot before this one, which ran until 400 s.
    ring.begin(BootId([1; 16]), 0);
    let mut sealer = Sealer::new(BootId([1; 16]), 0, 1).unwrap();
    for at in ACKED_AT {
        ring.commit(&[block(&mut sealer, Kind::Samples, Class::Live, 0, 100)], &mut Vec::new(), 0).unwrap();
        let mut leases = ring.lease(1000, 1).unwrap().into_iter().map(|block| block.lease).collect();
        ring.commit(&[], &mut leases, at * SECOND).unwrap();
    }
    ring.commit(&[], &mut Vec::new(), 400 * SECOND).unwrap();
    let (inbox, status, stored) = (Inbox::default(), Status::default(), Notify::new());
    let complete = AtomicBool::new(false);
    let writer = Writer::new(ring, &inbox, &status, &stored, &complete, &config.store, SECOND);
    std::thread::scope(|scope| {
        scope.spawn(|| writer.run());
        inbox.ask(Request::Reoffer(clock::boot().0 - 60 * SECOND));
        inbox.ask(Request::Reoffer(clock::boot().0 - 60 * SECOND));
        inbox.ask(Request::Close);
    });
    assert_eq!(status.uplink().reoffered, 3);
    assert_eq!(status.store().books.total().acked.blocks, 1);
}

/// A folder with a drive of 3 s, one frame every 10 ms.
fn prepare(folder: &Path) {
    let mut log = String::new();
    for n in 0..FRAMES {
        let [low, high] = n.to_le_bytes();
        let (ms, at) = (u32::from(n) * 10, 1_533_201_287);
        writeln!(log, "({}.{:03}000) can0 100#{low:02X}{high:02X}000000000000", at + ms / 1000, ms % 1000)
            .unwrap();
    }
    let config = "[store]\npath = \"ring.db\"\ncommit_after = \"50ms\"\ncard = { tbw = \"40 TiB\" }\n[blocks]\n\
                  seal_after = \"100ms\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[bus]]\nkind = \"replay\"\nname = \"can0\"\n\
                  file = \"drive.log\"\ndbc = [\"car.dbc\"]\n";
    for (file, text) in [("drive.log", log.as_str()), ("car.dbc", DBC), ("car.toml", config)] {
        fs::write(folder.join(file), text).unwrap();
    }
}

#[test]
fn a_file_set_aside_is_told_about_and_what_it_does_to_the_card_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let mut daemon = Daemon::start(folder, &["--drain"], Card::Whole);
    assert!(daemon.end().0.success());
    // The head of the file is noise: nothing of it opens, everything behind it is there.
    let ring = folder.join("ring.db");
    let mut bytes = fs::read(&ring).unwrap();
    bytes[..100].fill(0x5A);
    fs::write(&ring, bytes).unwrap();
    // The -wal, which keeps its length, still has the head as it was.
    fs::remove_file(folder.join("ring.db-wal")).unwrap();

    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for("ecu_daemon_ring_salvaged_files_total", 1);
    daemon.wait_for("ecu_daemon_writer_stored_records_total", u64::from(FRAMES));
    let page = daemon.page("/healthz/ready").unwrap();
    assert!(page.contains("200 OK"), "it does its job: {page}");
    assert!(
        page.contains("a ring file was set aside as ") && page.contains("records were found in it"),
        "{page}"
    );
    let metric = |name: &str| daemon.metric(&format!("ecu_daemon_{name}")).unwrap();
    assert_eq!(metric("ring_set_aside_total"), 1);
    assert_eq!(metric("ring_salvaged_records_total{state=\"found\"}"), u64::from(FRAMES));
    assert_eq!(daemon.sum("ecu_daemon_ring_records_total", "state=\"salvaged\""), u64::from(FRAMES));
    // The kernel's figures are read every second.
    daemon.until("the card's figures are there", |daemon| {
        let bytes = |what: &str| daemon.metric(&format!("ecu_daemon_card_{what}"));
        let written = bytes("written_bytes_total ");
        bytes("payload_bytes_total").is_some_and(|payload| payload > 0 && written >= Some(payload))
    });
    let page = daemon.page("/metrics").unwrap();
    assert!(page.contains("ecu_daemon_writer_commit_after_seconds 0.05"), "{page}");
    assert!(page.contains("ecu_daemon_writer_first_stored_seconds "), "{page}");
    let log = daemon.stop();
    assert!(log.contains("first records stored"), "{log}");
    assert_eq!(query(folder, "SPEED.Speed").len(), 2 * usize::from(FRAMES));
}
