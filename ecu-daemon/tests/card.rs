//! A card that dies while the binary runs, and comes back or does not.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use daemon::{Card, Daemon, query};
use store::block::{Body, BootId, Class, Kind, SchemaHash, Sealer};
use store::ring::RingFile;

const FRAMES: u16 = 300;
const DBC: &str =
    "VERSION \"\"\nBU_: ECU\nBO_ 256 SPEED: 8 ECU\n SG_ Speed : 0|16@1+ (0.01,0) [0|655] \"km/h\" ECU\n";

/// A folder with a drive of 3 s, one frame every 10 ms.
fn prepare(folder: &Path, speed: &str) {
    let mut log = String::new();
    for n in 0..FRAMES {
        let [low, high] = n.to_le_bytes();
        let (ms, at) = (u32::from(n) * 10, 1_533_201_287);
        writeln!(log, "({}.{:03}000) can0 100#{low:02X}{high:02X}000000000000", at + ms / 1000, ms % 1000)
            .unwrap();
    }
    let config = format!(
        "[store]\npath = \"ring.db\"\ncommit_after = \"50ms\"\n[blocks]\nseal_after = \"100ms\"\n[http]\n\
         listen = \"127.0.0.1:0\"\n[[bus]]\nkind = \"replay\"\nname = \"can0\"\nfile = \"drive.log\"\nspeed = {speed}\n\
         dbc = [\"car.dbc\"]\n"
    );
    for (file, text) in [("drive.log", log.as_str()), ("car.dbc", DBC), ("car.toml", &config)] {
        fs::write(folder.join(file), text).unwrap();
    }
}

/// Records sealed, stored, waiting in memory and dropped, all of this run.
fn books(daemon: &Daemon<'_>) -> [u64; 4] {
    let writer = |what: &str| daemon.metric(&format!("ecu_daemon_writer_{what} ")).unwrap();
    [
        daemon.sum("ecu_daemon_records_total", "state=\"sealed\""),
        writer("stored_records_total"),
        writer("unstored_records"),
        writer("dropped_records_total"),
    ]
}

#[test]
fn what_waits_for_a_dead_card_is_counted_and_stored_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "1.0");
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for("ecu_daemon_writer_stored_records_total", 1);
    daemon.set_card(Card::Dead);
    let all = u64::from(FRAMES);
    daemon.until("everything is sealed, and what is not stored waits", |daemon| {
        let [sealed, stored, unstored, dropped] = books(daemon);
        sealed == all && sealed == stored + unstored + dropped
    });
    let [_, stored, unstored, dropped] = books(&daemon);
    assert!(stored > 0 && unstored > 0 && dropped == 0, "{stored} {unstored} {dropped}");
    assert!(daemon.metric("ecu_daemon_writer_unstored_blocks").unwrap() > 0);
    daemon.until("it says so", |daemon| {
        daemon.page("/healthz/ready").is_some_and(|page| page.contains("blocks cannot be stored: "))
    });

    daemon.set_card(Card::Whole);
    daemon.until("everything is stored", |daemon| books(daemon) == [all, all, 0, 0]);
    daemon.until("it is ready", |daemon| {
        daemon.page("/healthz/ready").is_some_and(|page| page.contains("200 OK"))
    });
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
    assert_eq!(query(folder, "SPEED.Speed").len(), usize::from(FRAMES));
}

#[test]
fn a_drain_that_loses_blocks_says_so_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "\"max\"");
    let drain = |card| Daemon::start(folder, &["--drain"], card).end();
    let (status, log) = drain(Card::Whole);
    assert_eq!(status.code(), Some(0), "{log}");
    let (status, log) = drain(Card::Dead);
    assert_eq!(status.code(), Some(74), "{log}");
    assert!(log.contains("books_balanced=true"), "{log}");
    let last = log.lines().last().unwrap();
    assert!(last.starts_with(&format!("ecu-daemon: {FRAMES} records in ")), "{last}");
    assert!(
        last.contains("are lost: the ring did not take them") && last.contains("ring.db: disk I/O"),
        "{last}"
    );
    assert_eq!(query(folder, "SPEED.Speed").len(), usize::from(FRAMES), "those of the first run");
}

#[test]
fn the_first_schema_is_stored_before_its_blocks_whenever_the_card_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "\"max\"");
    assert!(Daemon::start(folder, &["--drain"], Card::Whole).end().0.success());
    fs::write(folder.join("car.dbc"), DBC.replace("km/h", "m/s")).unwrap();
    let mut daemon = Daemon::start(folder, &["--drain"], Card::Dead);
    daemon.until("the schema cannot be stored", |daemon| daemon.log().contains("the schema is not stored"));
    daemon.until("it is said", |daemon| {
        daemon.page("/healthz/ready").is_some_and(|page| page.contains("the schema cannot be stored"))
    });
    daemon.set_card(Card::Whole);
    let (status, log) = daemon.end();
    assert!(status.success(), "{status}\n{log}");
    let rows = query(folder, "SPEED.Speed");
    let of = |unit: &str| rows.iter().filter(|row| row["unit"] == unit).count();
    assert_eq!((of("km/h"), of("m/s")), (FRAMES.into(), FRAMES.into()));
}

/// Schemas lie beside the blocks, and are not thrown out for others while a block refers to them.
#[test]
fn a_ring_full_of_schemas_takes_blocks_and_then_their_schema() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, "\"max\"");
    fill(&folder.join("ring.db"));
    let config = fs::read_to_string(folder.join("car.toml")).unwrap();
    fs::write(folder.join("car.toml"), config.replace("[store]", "[store]\nmax_bytes = \"16 MiB\"")).unwrap();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    let all = u64::from(FRAMES);
    daemon.until("everything is stored", |daemon| {
        daemon.metric("ecu_daemon_writer_stored_records_total ") == Some(all)
    });
    // Blocks make room for one another, and that is room for a schema.
    daemon.until("nothing is missing", |daemon| {
        daemon.page("/healthz/ready").is_some_and(|page| page.contains("200 OK"))
    });
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
    assert_eq!(query(folder, "SPEED.Speed").len(), usize::from(FRAMES));
}

/// Makes a ring that is full of blocks and schemas.
fn fill(path: &Path) {
    let mut ring = RingFile::open(path, 16 << 20).unwrap();
    let mut sealer = Sealer::new(BootId::default(), 1, 1).unwrap();
    let mut random = 1_u64;
    let mut seal = |kind, class, schema, len| {
        // What zstd cannot make smaller.
        sealer.body.extend((0..len).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        }));
        sealer.seal(Body { kind, class, schema, count: 1, span_ns: (0, 0), sealed_boot_ns: 0 }).unwrap()
    };
    let none = SchemaHash::default();
    // A schema stays for as long as a block refers to it: these are worth most.
    let hash = |n: u8| SchemaHash([n; 16]);
    let referring: Vec<_> = (0..=u8::MAX).map(|n| seal(Kind::Logs, Class::Critical, hash(n), 10)).collect();
    ring.commit(&referring, &mut Vec::new(), 0).unwrap();
    for _ in 0..200 {
        ring.commit(&[seal(Kind::Logs, Class::Live, none, 60_000)], &mut Vec::new(), 0).unwrap();
    }
    // Down to the last page that one of the service's own size would take.
    for len in [40_000, 4_000, 100] {
        let put = |n: u8, ring: &mut RingFile, block| ring.put_schema(hash(n), &block);
        let first = if len == 100 { 200 } else { len / 400 };
        assert!(
            (first..first + 55).any(|n| put(
                n as u8,
                &mut ring,
                seal(Kind::Schema, Class::Critical, none, len)
            )
            .is_err()),
            "{len}"
        );
    }
    ring.close().unwrap();
}
