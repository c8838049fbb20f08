//! The daemon started in earnest on a card that was cut off: it goes on recording, and what waited arrives.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::arrived::Arrived;
use super::promise::{Books, faults};
use super::record::{Recording, address_of, start_daemon};
use super::scenario::{CARD, RING};
use crate::guest::{Card, Guest, GuestDaemon, Options, WITHIN};
use crate::{Bench, Daemon, Gateway, Metrics, Mosquitto};

/// The bus and its messages are those of the recording, so that the schema is, too.
const CONFIG: &str = r#"
[vehicle]
id = "bench"
[store]
path = "ring.db"
max_bytes = "{ring}"
commit_after = "50ms"
[blocks]
seal_after = "50ms"
[http]
listen = "127.0.0.1:0"
[uplink]
broker = "{broker}"
[[bus]]
kind = "replay"
name = "vcan0"
file = "more.log"
speed = "max"
dbc = ["{dbc}"]
"#;
const DBC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/can-traffic/traffic.dbc");
/// Frames of message `Classic` that are recorded after the cut, and their signals.
const FRAMES: u64 = 200;
const SIGNALS: u64 = 2;
const GONE_ON_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// On this machine, with the ring in the bench's folder, which the daemon had open before with these books. Gives how long
/// it took from the start of the process to the first records on the card; an error says what does not go on.
pub(super) fn start_here(
    recording: &Recording,
    bench: &Bench,
    daemon: &mut Daemon,
    before: Books,
) -> Result<Duration, String> {
    let broker = Mosquitto::start(bench);
    let mut gateway = Gateway::printing(bench, &broker);
    gateway.until_ready();
    let write = |name: &str, text: &str| {
        let path = bench.folder().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    let config = CONFIG.replace("{ring}", RING).replace("{broker}", &broker.url()).replace("{dbc}", DBC);
    write("config.toml", &config);
    let frame = |number: u64| format!("({number}.0) can0 100#{:08X}00000000\n", (number as u32).swap_bytes());
    write("more.log", &(0..FRAMES).map(frame).collect::<String>());
    daemon.restart();
    let after = until_all_sent(|| daemon.metrics(), before.sealed + FRAMES * SIGNALS)?;
    check_arrived(recording, &gateway, before, after)?;
    let first_stored =
        daemon.metrics().and_then(|metrics| metrics.value("ecu_daemon_writer_first_stored_seconds"));
    let first_stored = first_stored.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // What it committed is there when it is started once more.
    daemon.kill();
    write("more.log", "");
    daemon.restart();
    let again = daemon.metrics().map(|metrics| Books::read(&metrics));
    daemon.kill();
    if again != Some(after) {
        return Err(format!("it left {after:?} and finds {again:?}"));
    }
    first_stored.ok_or_else(|| "it does not say when it had stored its first records".to_owned())
}

/// In a guest that has this card in its slot: the kernel recovers the file system.
pub(super) fn start_in_guest(recording: &Recording, image: &[u8], promised: &Books) -> Result<(), String> {
    let bench = Bench::new("cut-boot");
    let card = Card::new(&bench, CARD);
    fs::write(card.path(), image).unwrap_or_else(|error| panic!("{}: {error}", card.path().display()));
    let broker = Mosquitto::start(&bench);
    let guest = Guest::boot(&bench, Options { card: Some(card), ..Options::default() });
    guest.connect_link();
    guest.mount_card();
    GuestDaemon::install(&guest);
    let daemon = start_daemon(&guest, address_of(&broker));
    // The bus is silent, and the broker takes nothing while nobody is subscribed: these are the books as they were found.
    let before = Books::read(&daemon.metrics().ok_or_else(|| ended(&daemon))?);
    let broken = faults(&before, None, promised, &recording.most());
    if !broken.is_empty() {
        return Err(format!("in the guest: {broken:?}; found {before:?}"));
    }
    let gateway = Gateway::printing(&bench, &broker);
    let sent = guest.attempt(&format!("/ecu/can-traffic vcan0 --rate 1000 --frames {FRAMES}"), WITHIN);
    if sent.status != 0 {
        return Err(sent.text);
    }
    let after = until_all_sent(|| daemon.metrics(), before.sealed + FRAMES * SIGNALS)?;
    check_arrived(recording, &gateway, before, after)
}

fn ended(daemon: &GuestDaemon<'_>) -> String {
    format!("the daemon has ended: {}", daemon.log())
}

/// Waits until so many records are committed since the file was made, and none waits.
fn until_all_sent(mut metrics: impl FnMut() -> Option<Metrics>, sealed: u64) -> Result<Books, String> {
    let started = Instant::now();
    loop {
        let Some(metrics) = metrics() else { return Err("the daemon has ended".to_owned()) };
        let books = Books::read(&metrics);
        let failures = metrics.sum("ecu_daemon_ring_commit_failures_total", &[]);
        if books.sealed >= sealed && books.waiting == 0 && failures == 0 {
            return if books.sealed == sealed && books.balanced() {
                Ok(books)
            } else {
                Err(format!("{sealed} records should be committed, and all accounted for: {books:?}"))
            };
        }
        if started.elapsed() > GONE_ON_WITHIN {
            return Err(format!(
                "{sealed} records should be committed, {failures} commits failed: {books:?}"
            ));
        }
        sleep(LOOK_EVERY);
    }
}

/// All that was acknowledged since has arrived, once, and continues what had arrived before the cut.
fn check_arrived(
    recording: &Recording,
    gateway: &Gateway,
    before: Books,
    after: Books,
) -> Result<(), String> {
    let acked = after.acked - before.acked;
    let started = Instant::now();
    while (gateway.lines().len() as u64) < acked && started.elapsed() < GONE_ON_WITHIN {
        sleep(LOOK_EVERY);
    }
    let arrived = Arrived::new(&gateway.lines());
    if arrived.count() != acked {
        return Err(format!("{acked} acknowledged, {} arrived", arrived.count()));
    }
    arrived.numbers(&recording.boot).check_whole(&recording.arrived.numbers(&recording.boot))
}
