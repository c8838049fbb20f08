//! A dictionary from its file to a gateway that never heard of it, and to whoever reads the ring.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the tests of the uplink, which use all of it")]
mod broker;
mod daemon;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use broker::{Broker, until};
use daemon::{Card, Daemon};
use ecu_gateway::{Counters, Gateway, Options};
use store::block::{Dictionary, DictionaryHash};
use uplink::mqtt::Link;
use uplink::topic::Prefix;

const LINE: &str = "battery contactor did not close within its time, retrying in a moment, attempt";

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

/// The configuration, and the name of its dictionary.
fn prepare(folder: &Path, uplink: &str, dictionary: &str) -> DictionaryHash {
    let bytes = format!("{dictionary} bms {LINE} ").repeat(3).into_bytes();
    fs::write(folder.join("logs.zdict"), &bytes).unwrap();
    let config = format!(
        "[vehicle]\nid = \"car\"\n[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"50ms\"\n\
         dictionaries = {{ logs = \"logs.zdict\" }}\n[http]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"control.sock\"\n\
         [logs]\nsocket = \"log.sock\"\n{uplink}"
    );
    fs::write(folder.join("car.toml"), config).unwrap();
    Dictionary::new(bytes).unwrap().hash()
}

/// Errors, which are sealed one by one.
fn log(folder: &Path, daemon: &Daemon<'_>, lines: u64) {
    let sender = UnixDatagram::unbound().unwrap();
    let sealed = "ecu_daemon_records_total{kind=\"log\",state=\"sealed\"}";
    daemon.wait_for(sealed, 0);
    for line in 0..lines {
        let text = format!(r#"{{"level":"error","service":"bms","msg":"{LINE} {line}"}}"#);
        sender.send_to(text.as_bytes(), folder.join("log.sock")).unwrap();
    }
    daemon.wait_for(sealed, lines);
    let stored = "ecu_daemon_ring_records_total{class=\"critical\",state=\"sealed\"}";
    daemon.wait_for(stored, lines);
}

fn query(folder: &Path) -> usize {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    let arguments = ["query", "--store", "ring.db", "--control", "control.sock", "logs", "--format", "json"];
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| line.contains(LINE)).count()
}

#[test]
fn blocks_with_a_dictionary_are_read_live_and_stopped_and_by_a_gateway_that_starts_later() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Recorded offline with one dictionary, then sent with another one in use.
    let first = prepare(folder, "", "first");
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    log(folder, &daemon, 3);
    assert_eq!(query(folder), 3, "live");
    daemon.stop();
    assert_eq!(query(folder), 3, "stopped");

    let broker = Broker::start(folder);
    let counters = gateway(&broker);
    until("the gateway is connected", || counters.connected.get());
    let second = prepare(folder, &format!("[uplink]\nbroker = \"{}\"\n", broker.url()), "second");
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    log(folder, &daemon, 2);
    until("all lines are at the gateway", || counters.logs.get() == 5);
    assert_eq!((counters.refused_total(), counters.dictionaries.get()), (0, 2));
    let topics = broker.topics();
    let place = |hash: DictionaryHash| {
        topics.iter().position(|topic| *topic == format!("ecu/dictionary/{hash}")).unwrap()
    };
    let blocks = topics.iter().position(|topic| topic == "ecu/car/blocks/0").unwrap();
    assert!(place(first) < blocks && place(second) < topics.len(), "{topics:?}");
    let used: Vec<_> = broker.blocks("car").iter().map(|(header, _)| header.dictionary).collect();
    assert!(used.contains(&first) && used.contains(&second), "{used:?}");
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
    assert_eq!(query(folder), 5);
}
