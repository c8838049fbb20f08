//! What comes to a broker, Mosquitto, and what a gateway makes of it.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod broker;
mod daemon;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use broker::{Broker, until};
use daemon::{Card, Daemon};
use ecu_daemon::config::Config;
use ecu_daemon::inbox::{Inbox, Request};
use ecu_daemon::run::Schemas;
use ecu_daemon::status::Status;
use ecu_daemon::uplink_task::{Memory, UplinkTask};
use ecu_gateway::{Counters, Gateway, Options};
use store::block::{BlockHeader, Body, BootId, Class, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::{RingError, RingFile};
use tokio::sync::{Notify, watch};
use uplink::mqtt::Link;
use uplink::topic::Prefix;

const FRAMES: u64 = 600;
const DBC: &str =
    "VERSION \"\"\nBU_: ECU\nBO_ 256 SPEED: 8 ECU\n SG_ Speed : 0|16@1+ (0.01,0) [0|655] \"km/h\" ECU\n";

/// A folder with a drive of 3 s and a configuration that sends one packet at a time.
fn prepare(folder: &Path, broker: &Broker) {
    let mut log = String::new();
    for n in 0..FRAMES {
        let (ms, bytes) = (n * 5, (n as u16).to_le_bytes());
        let (seconds, hex) = (1_533_201_287 + ms / 1000, u16::from_be_bytes(bytes));
        writeln!(log, "({seconds}.{:03}000) can0 100#{hex:04X}000000000000", ms % 1000).unwrap();
    }
    let config = format!(
        "[vehicle]\nid = \"car\"\n[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"50ms\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[uplink]\nbroker = \"{}\"\nin_flight = 1\n[[bus]]\nkind = \"replay\"\n\
         name = \"can0\"\nfile = \"drive.log\"\ndbc = [\"car.dbc\"]\n",
        broker.url()
    );
    for (file, text) in [("drive.log", log.as_str()), ("car.dbc", DBC), ("car.toml", &config)] {
        fs::write(folder.join(file), text).unwrap();
    }
}

/// A gateway that counts, until the test's process ends.
fn gateway(broker: &Broker) -> Arc<Counters> {
    let link = Link::parse(&broker.url(), "gateway").unwrap();
    let gateway = Gateway::new(Options::new(link, Prefix::new("ecu").unwrap())).unwrap();
    let counters = gateway.counters();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(gateway.run(std::future::pending())).unwrap();
    });
    counters
}

/// Every copy of a gateway can have the map, and a block that names it does not come before it.
#[test]
fn the_clock_map_is_kept_by_the_broker_before_a_block_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let broker = Broker::start(folder);
    let config = format!(
        "[vehicle]\nid = \"car\"\n[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"50ms\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[uplink]\nbroker = \"{}\"\n[logs]\nsocket = \"log.sock\"\n[time]\nrecord = true\n",
        broker.url()
    );
    fs::write(folder.join("car.toml"), config).unwrap();
    let counters = gateway(&broker);
    until("the gateway is connected", || counters.connected.get());
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for("ecu_daemon_records_total{kind=\"clock\",state=\"sealed\"}", 1);
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(br#"{"level":"info","msg":"hello"}"#, folder.join("log.sock")).unwrap();
    until("the line is at the gateway", || counters.logs.get() >= 1);
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");

    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot: BootId = boot.trim().parse().unwrap();
    let topics = broker.topics();
    let first = |topic: &str| topics.iter().position(|found| found == topic);
    let (map, logs) = (first(&format!("ecu/car/clock/{boot}")), first("ecu/car/blocks/3"));
    assert!(map.is_some() && map < logs, "{topics:?}");
    let named = |(header, _): &(BlockHeader, bool)| header.kind == Kind::Logs && header.clock_map > 0;
    assert!(broker.blocks("car").iter().any(named));
    assert!(counters.clock_maps.get() >= 1 && counters.clock_maps_given_up.get() == 0);
    assert_eq!(counters.refused_total(), 0);
}

#[test]
fn every_block_comes_after_its_schema_whatever_is_reloaded_or_forgotten() {
    const DECODED: &str = "ecu_daemon_frames_total{bus=\"can0\",outcome=\"decoded\"}";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut broker = Broker::start(folder);
    prepare(folder, &broker);
    let counters = gateway(&broker);
    until("the gateway is connected", || counters.connected.get());
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for(DECODED, 100);
    daemon.reload(
        "car.dbc",
        &DBC.replace("(0.01,0) [0|655] \"km/h\"", "(0.0025,0) [0|163] \"m/s\""),
        "ok",
        1,
    );
    daemon.wait_for(DECODED, 250);
    daemon.reload("car.dbc", &DBC.replace("km/h", "mph"), "ok", 2);
    until("all samples are at the gateway", || counters.samples.get() == FRAMES);
    assert_eq!(counters.refused_total(), 0);

    // The broker's other subscriber may be behind the gateway.
    let seen = || broker.blocks("car").iter().map(|(header, _)| u64::from(header.count)).sum::<u64>();
    until("all samples are at the subscriber", || seen() == FRAMES);
    let blocks = broker.blocks("car");
    assert!(blocks.iter().all(|(_, has_schema)| *has_schema), "{blocks:?}");
    let mut used: Vec<_> = blocks.iter().map(|(header, _)| header.schema).collect();
    used.dedup();
    assert_eq!(used.len(), 3, "one after the other: {used:?}");
    assert!(broker.topics().contains(&"ecu/car/status".to_owned()), "{:?}", broker.topics());

    // A broker that has forgotten them gets all of this run: blocks of each may come again.
    broker.restart();
    let published = |hash: &SchemaHash| broker.topics().contains(&format!("ecu/schema/{hash}"));
    until("all schemas are published again", || used.iter().all(published));
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
}

/// Without a link, and with other DBC files after it, the ring is all that knows what its blocks refer to.
#[test]
fn what_was_recorded_offline_under_other_dbc_files_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let broker = Broker::start(folder);
    prepare(folder, &broker);
    let online = fs::read_to_string(folder.join("car.toml")).unwrap();
    let (head, tail) = (online.split_once("[uplink]").unwrap().0, online.split_once("[[bus]]").unwrap().1);
    fs::write(folder.join("car.toml"), format!("{head}[[bus]]{tail}speed = \"max\"\n")).unwrap();
    for unit in ["km/h", "mph"] {
        fs::write(folder.join("car.dbc"), DBC.replace("km/h", unit)).unwrap();
        let (status, log) = Daemon::start(folder, &["--drain"], Card::Whole).end();
        assert!(status.success(), "{log}");
    }

    let counters = gateway(&broker);
    until("the gateway is connected", || counters.connected.get());
    fs::write(folder.join("car.toml"), online).unwrap();
    fs::write(folder.join("car.dbc"), DBC.replace("km/h", "m/s")).unwrap();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    until("all samples are at the gateway", || counters.samples.get() == 3 * FRAMES);
    assert_eq!(counters.refused_total(), 0);
    let blocks = broker.blocks("car");
    assert!(blocks.iter().all(|(_, has_schema)| *has_schema), "{blocks:?}");
    daemon.stop();
}

/// Both end as with the power; neither has said goodbye. The broker kept nothing, as one that saves every half hour.
#[test]
fn a_broker_that_forgot_while_the_daemon_was_away_gets_what_it_acknowledged_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut broker = Broker::start(folder);
    prepare(folder, &broker);
    let identities = |broker: &Broker| -> BTreeSet<String> {
        broker.blocks("car").iter().map(|(header, _)| format!("{:?}", header.identity)).collect()
    };
    // There is nobody but the test's subscriber, whose memory goes with the broker.
    let daemon = Daemon::start(folder, &[], Card::Whole);
    let acked = "ecu_daemon_ring_records_total{class=\"live\",state=\"acked\"}";
    until("everything is acknowledged, and the ring has noted it", || daemon.metric(acked) == Some(FRAMES));
    let first = identities(&broker);
    drop(daemon);
    broker.restart();
    assert!(identities(&broker).is_empty());

    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    until("what it had acknowledged comes again, and what is new", || {
        let all = broker.blocks("car");
        let mut records = BTreeMap::new();
        records.extend(
            all.iter().map(|(header, _)| (format!("{:?}", header.identity), u64::from(header.count))),
        );
        first.iter().all(|identity| records.contains_key(identity))
            && records.values().sum::<u64>() == 2 * FRAMES
    });
    let log = daemon.stop();
    assert!(log.contains("the broker has lost this vehicle's session"), "{log}");
    // A broker that remembers is not given anything twice.
    let before = broker.blocks("car").len();
    let mut daemon = Daemon::start(folder, &["--drain"], Card::Whole);
    let (status, log) = daemon.end();
    assert!(status.success() && log.contains("session_present=true"), "{log}");
    let after = broker.blocks("car");
    let new: u64 = after[before..].iter().map(|(header, _)| u64::from(header.count)).sum();
    assert_eq!(new, FRAMES);
}

fn sealed(kind: Kind, count: u32, text: &[u8]) -> SealedBlock {
    let mut sealer = Sealer::new(BootId::default(), 1, 3).unwrap();
    sealer.body.extend_from_slice(text);
    let (class, schema) = (Class::Live, SchemaHash::default());
    sealer.seal(Body { kind, class, schema, count, span_ns: (0, 0), sealed_boot_ns: 0 }).unwrap()
}

/// What the service's threads share.
#[derive(Default)]
struct Threads {
    inbox: Inbox,
    stored: Notify,
    complete: AtomicBool,
    status: Status,
}

/// A writer whose ring cannot be read the first `failures` times. Gives when it was asked to read.
fn write(mut ring: RingFile, failures: usize, threads: &Threads) -> Vec<Instant> {
    let mut asked = Vec::new();
    loop {
        for request in threads.inbox.wait(Duration::from_millis(50), Duration::from_millis(50)).requests {
            match request {
                Request::Lease(bytes_max, blocks_max, reply) => {
                    let answer = if asked.len() < failures {
                        Err(RingError::Busy(ring.path().to_owned()))
                    } else {
                        ring.lease(bytes_max, blocks_max)
                    };
                    asked.push(Instant::now());
                    let unready = threads.status.not_ready();
                    let says_so = unready.iter().any(|text| text.starts_with("blocks cannot be sent: "));
                    assert_eq!(says_so, (2..=failures + 1).contains(&asked.len()), "{unready:?}");
                    drop(reply.send(answer));
                }
                Request::Acked(mut leases) => {
                    ring.commit(&[], &mut leases, 0).unwrap();
                    threads.complete.store(true, Ordering::Release);
                    threads.stored.notify_one();
                }
                Request::SchemaBlock(_, reply) => drop(reply.send(ring.schema_block(SchemaHash::default()))),
                Request::Session(_, reply) => reply.send(false).unwrap(),
                Request::Close => return asked,
                request => panic!("{request:?}"),
            }
        }
    }
}

/// A silent bus stores nothing that would tell the uplink to look again.
#[test]
fn a_ring_that_cannot_be_read_is_tried_again_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let broker = Broker::start(folder);
    prepare(folder, &broker);
    let (config, _) = Config::read(&folder.join("car.toml")).unwrap();
    let mut ring = RingFile::open(&folder.join("ring.db"), 16 << 20).unwrap();
    ring.commit(&[sealed(Kind::Logs, 1, b"body")], &mut Vec::new(), 0).unwrap();

    let threads = Threads::default();
    let schemas = watch::Sender::new(Schemas::new(SchemaHash::default(), sealed(Kind::Schema, 0, b"")));
    let task = UplinkTask {
        config: config.uplink.unwrap(),
        vehicle: config.vehicle,
        clock_map: watch::channel(None).1,
        schemas: schemas.subscribe(),
        inbox: &threads.inbox,
        stored: &threads.stored,
        status: &threads.status,
        complete: &threads.complete,
        memory: Memory::default(),
    };
    let asked = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(ring, 2, &threads));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { task.run(tokio::time::sleep(Duration::from_secs(60))).await });
        threads.inbox.ask(Request::Close);
        writer.join().unwrap()
    });
    assert!(threads.complete.load(Ordering::Acquire), "nobody has asked again: {}", asked.len());
    // Not at once, and after a longer pause the next time.
    let pauses: Vec<Duration> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses[0] >= Duration::from_secs(1) && pauses[1] >= Duration::from_secs(2), "{pauses:?}");
    assert!(threads.status.not_ready().is_empty(), "{:?}", threads.status.not_ready());
    assert_eq!(broker.blocks("car").len(), 1);
}
