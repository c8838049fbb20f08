//! The whole path with the daemon on an ECU: generator, CAN, daemon, ring, broker, gateway.

// Each test binary uses its part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Deref;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hil_tests::guest::{
    Access, Card, Ecu, Guest, GuestDaemon, Options, Output, Remote, Running, Target, Time, emulated_bench,
};
use hil_tests::{Bench, Gateway, Metrics, Mosquitto, say, until};
use serde_json::Value;

/// How long the rest of what was sent may be under way.
const ARRIVED_WITHIN: Duration = Duration::from_secs(120);
const SENT_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// log2 of the card's size in MiB.
const CARD: u32 = 9;
const RING: &str = "128 MiB";

/// Everything, in the order in which it is to be ended. The ECU is emulated where a test needs that.
pub(crate) struct Path<E = Guest> {
    pub(crate) ecu: E,
    pub(crate) gateway: Gateway,
    pub(crate) broker: Mosquitto,
    pub(crate) bench: Bench,
}

/// What the generator says that it sent.
pub(crate) struct Traffic(Value);

impl Traffic {
    /// One of its counts.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("the generator does not count {name:?}: {}", self.0))
    }
}

impl Path<Target> {
    /// Connects to the ECU that `HIL_TARGET` names, or boots an emulated one, and starts everything; the bus is open then.
    pub(crate) fn start(test: &str) -> Self {
        Self::start_with(test, Time::Real, Gateway::printing)
    }

    /// The same, emulated on a processor of its own speed, so that it does not matter how busy this machine is.
    pub(crate) fn start_metered(test: &str) -> Self {
        Self::start_with(test, Time::Metered, Gateway::printing)
    }

    /// The same with a gateway whose lines, too many, nobody reads.
    pub(crate) fn start_metered_counting(test: &str) -> Self {
        Self::start_with(test, Time::Metered, Gateway::counting)
    }

    fn start_with(test: &str, time: Time, gateway: impl Fn(&Bench, &Mosquitto) -> Gateway) -> Self {
        Path::around(test, gateway, |bench| match Access::of_environment() {
            Some(access) => Target::Real(Remote::connect(bench, &access)),
            None => Target::Emulated(boot(bench, time)),
        })
    }
}

impl Path<Guest> {
    /// The same for tests that need more of the ECU than its shell, its files and its CAN: `None`, which is said, when
    /// they are to run on a real one.
    pub(crate) fn emulated(test: &str) -> Option<Self> {
        emulated_bench().then(|| Self::around(test, Gateway::printing, |bench| boot(bench, Time::Real)))
    }

    /// After the power was cut: link, card, programs, daemon.
    pub(crate) fn restart(&mut self) {
        self.ecu.restart();
        connect(&self.ecu);
        self.start_daemon();
    }
}

impl Path<Remote> {
    /// The same on this ECU.
    pub(crate) fn on(test: &str, access: &Access) -> Self {
        Self::around(test, Gateway::printing, |bench| Remote::connect(bench, access))
    }
}

fn boot(bench: &Bench, time: Time) -> Guest {
    let card = Card::new(bench, CARD);
    let guest = Guest::boot(bench, Options { time, card: Some(card), ..Options::default() });
    connect(&guest);
    guest
}

fn connect(guest: &Guest) {
    guest.connect_link();
    guest.mount_card();
}

impl<E: Deref<Target = Ecu>> Path<E> {
    fn around(
        test: &str,
        gateway: impl Fn(&Bench, &Mosquitto) -> Gateway,
        ecu: impl Fn(&Bench) -> E,
    ) -> Self {
        let bench = Bench::new(test);
        let broker = Mosquitto::start(&bench);
        let mut gateway = gateway(&bench, &broker);
        gateway.until_ready();
        let ecu = ecu(&bench);
        let path = Self { ecu, gateway, broker, bench };
        path.start_daemon();
        path
    }

    fn start_daemon(&self) {
        GuestDaemon::install(&self.ecu);
        GuestDaemon::start(&self.ecu, &self.ecu.can().listen, self.broker_address(), RING);
    }

    /// The daemon, which runs.
    pub(crate) fn daemon(&self) -> GuestDaemon<'_> {
        GuestDaemon::running(&self.ecu)
    }

    fn broker_address(&self) -> SocketAddr {
        let url = self.broker.url();
        let address = url.strip_prefix("mqtt://").and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("{url} is no address"))
    }

    /// Runs the generator to its end.
    pub(crate) fn send(&self, arguments: &str) -> Traffic {
        self.finish_sending(&self.begin_sending(arguments))
    }

    /// Starts the generator, on the interface that is there for it.
    pub(crate) fn begin_sending(&self, arguments: &str) -> Running {
        self.ecu.begin(&self.ecu.can_traffic(arguments), SENT_WITHIN)
    }

    /// Waits until it has sent everything.
    pub(crate) fn finish_sending(&self, sending: &Running) -> Traffic {
        let Output { status, text } = self.ecu.finish(sending, SENT_WITHIN);
        assert_eq!(status, 0, "can-traffic: {text}");
        say(&format!("can-traffic: {}", text.trim_end()));
        Traffic(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text:?}: {error}")))
    }

    /// Waits until the gateway has more than it has now, so that trouble comes in the midst of the traffic.
    pub(crate) fn until_some_arrived(&self) {
        let before = self.gateway.lines().len();
        until("something arrives", ARRIVED_WITHIN, || (self.gateway.lines().len() > before).then_some(()));
    }

    /// Waits until everything has arrived, and checks both ends.
    pub(crate) fn check_all(&self, traffic: &Traffic) {
        self.until_acknowledged(traffic.count("frames"));
        self.check_books(traffic);
        self.until_printed(traffic);
        self.printed().check_complete(traffic);
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.daemon().metrics().unwrap_or_else(|| panic!("the daemon has ended: {}", self.daemon().log()))
    }

    /// Waits until the daemon has everything acknowledged.
    pub(crate) fn until_acknowledged(&self, frames: u64) {
        let mut last = None;
        until("the daemon has everything acknowledged", ARRIVED_WITHIN, || {
            let metrics = self.metrics();
            let seen = metrics.sum("ecu_daemon_frames_received_total", &[]);
            let open = metrics.sum("ecu_daemon_records_total", &[("state", "taken")])
                - metrics.sum("ecu_daemon_records_total", &[("state", "sealed")]);
            let waiting = metrics.sum("ecu_daemon_ring_waiting_records", &[]);
            if last != Some((seen, open, waiting)) {
                last = Some((seen, open, waiting));
                say(&format!("frames seen {seen} of {frames}, records open {open}, waiting {waiting}"));
            }
            (seen >= frames && open == 0 && waiting == 0).then_some(())
        });
    }

    /// The daemon's books against what was sent: every frame is in one place, and none was dropped.
    pub(crate) fn check_books(&self, traffic: &Traffic) {
        let metrics = self.metrics();
        let frames = |outcome| metrics.sum("ecu_daemon_frames_total", &[("outcome", outcome)]);
        let books =
            ["decoded", "unmatched", "control", "malformed", "filtered", "dropped_kernel", "dropped_queue"]
                .map(|outcome| (outcome, frames(outcome)));
        let expected = [
            ("decoded", traffic.count("decoded")),
            ("unmatched", traffic.count("unmatched")),
            ("control", traffic.count("control")),
            ("malformed", 0),
            ("filtered", 0),
            ("dropped_kernel", 0),
            ("dropped_queue", 0),
        ];
        assert_eq!(books, expected);
        assert_eq!(metrics.sum("ecu_daemon_frames_received_total", &[]), traffic.count("frames"));
        let taken = |kind| metrics.sum("ecu_daemon_records_total", &[("kind", kind), ("state", "taken")]);
        assert_eq!((taken("sample"), taken("span")), (traffic.count("samples"), traffic.count("spans")));
        let ring = |state| metrics.sum("ecu_daemon_ring_records_total", &[("state", state)]);
        assert_eq!(ring("sealed"), ring("acked") + ring("evicted_full") + ring("evicted_damaged"));
        assert_eq!(ring("evicted_full") + ring("evicted_damaged"), 0);
    }

    /// Waits until the gateway has counted so many samples, and checks that it does not count more.
    pub(crate) fn until_counted(&mut self, samples: u64) {
        let mut count = 0;
        until("the gateway has counted everything", ARRIVED_WITHIN, || {
            count = self.gateway.metrics().sum("ecu_gateway_samples_total", &[]);
            (count >= samples).then_some(())
        });
        assert_eq!(count, samples);
        assert_eq!(self.gateway.metrics().sum("ecu_gateway_refused_total", &[]), 0);
    }

    /// Waits until the gateway has printed everything: the broker may still have some.
    fn until_printed(&self, traffic: &Traffic) {
        let wanted = (traffic.count("samples"), traffic.count("spans"));
        let mut printed = Printed::default();
        // The last look says what is missing.
        let waited = Instant::now();
        while waited.elapsed() < ARRIVED_WITHIN && (printed.samples, printed.spans) != wanted {
            sleep(LOOK_EVERY);
            printed = self.printed();
        }
    }

    /// What the gateway printed.
    pub(crate) fn printed(&self) -> Printed {
        Printed::new(&self.gateway.lines())
    }
}

/// Printed records, each once, however often it was delivered.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    /// Sequence numbers by boot and message.
    pub(crate) sequences: BTreeMap<(String, String), BTreeSet<u64>>,
    pub(crate) samples: u64,
    pub(crate) spans: u64,
    /// Spans by trace id.
    pub(crate) traces: BTreeSet<String>,
}

impl Printed {
    fn new(lines: &[String]) -> Self {
        let mut printed = Self::default();
        let mut seen = BTreeSet::new();
        for text in lines {
            let json: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("printed {text:?}: {error}"));
            let identity = ["boot", "run", "sequence", "row", "kind"].map(|key| json[key].to_string());
            if !seen.insert(identity.join(" ")) {
                continue;
            }
            match json["kind"].as_str() {
                Some("sample") => {
                    printed.samples += 1;
                    if json["signal"] == "Sequence" {
                        let word = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
                        let number = json["raw"].as_u64().unwrap_or_else(|| panic!("no number: {text}"));
                        printed.sequences.entry((word("boot"), word("message"))).or_default().insert(number);
                    }
                }
                Some("span") => {
                    printed.spans += 1;
                    printed.traces.insert(json["trace_id"].as_str().unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
        printed
    }

    /// The numbers of a message in one boot.
    pub(crate) fn numbers(&self, boot: &str, message: &str) -> BTreeSet<u64> {
        self.sequences.get(&(boot.to_owned(), message.to_owned())).cloned().unwrap_or_default()
    }

    /// All was sent in one boot, and nothing of it is missing or there twice: samples, spans, and every sequence number.
    pub(crate) fn check_complete(&self, traffic: &Traffic) {
        assert_eq!((self.samples, self.spans), (traffic.count("samples"), traffic.count("spans")));
        assert_eq!(self.traces.len() as u64, traffic.count("spans"));
        for (message, kind) in [("Classic", "classic"), ("Flexible", "fd"), ("Traced", "traced")] {
            let expected: BTreeSet<u64> = (0..traffic.count(kind)).collect();
            let boot = self.sequences.keys().next().map(|(boot, _)| boot.clone()).unwrap_or_default();
            let printed = self.numbers(&boot, message);
            let missing: Vec<_> = expected.difference(&printed).take(10).collect();
            assert!(
                missing.is_empty() && printed.len() == expected.len(),
                "{message}: missing {missing:?} ..."
            );
        }
    }
}
