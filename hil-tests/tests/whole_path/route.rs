//! The whole path, set up: a recording, the daemon, a broker, the gateway, Prometheus.

use std::thread::sleep;
use std::time::{Duration, Instant};

use hil_tests::{Bench, Daemon, Gateway, Mode, Mosquitto, Prometheus, until};

use crate::lines::Records;
use crate::recording::Recording;

/// What a gateway subscribes to.
const BLOCKS: &str = "$share/gateway/ecu/+/blocks/+";
/// What Prometheus is asked for: everything that the gateway wrote.
const ALL: &str = "{job=\"ecu-daemon\"}";
/// How long all of it may take to arrive once the daemon has drained: a gateway may pause for 30 s.
const ARRIVED_WITHIN: Duration = Duration::from_secs(45);
const DRAINED_WITHIN: Duration = Duration::from_secs(90);
/// Anything that is still to come, and should not, comes within this.
const QUIET: Duration = Duration::from_millis(700);

/// How fast a recording is replayed.
#[derive(Clone, Copy)]
pub(crate) enum Speed {
    /// As fast as the daemon takes it.
    Max,
    /// This many times as fast as it was recorded.
    Times(u32),
}

/// How the daemon runs.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) speed: Speed,
    pub(crate) mode: Mode,
    /// As in the configuration: how long blocks and acknowledgements are gathered before they are committed.
    pub(crate) commit_after: &'static str,
}

impl Plan {
    /// With the daemon's default for what is not given.
    pub(crate) const fn new(speed: Speed, mode: Mode) -> Self {
        Self { speed, mode, commit_after: "1s" }
    }
}

/// Everything, in the order in which it is to be ended.
pub(crate) struct Route {
    pub(crate) daemon: Daemon,
    pub(crate) gateway: Gateway,
    pub(crate) prometheus: Prometheus,
    pub(crate) broker: Mosquitto,
    pub(crate) recording: Recording,
    // Last: its folder goes when nobody works in it any more.
    _bench: Bench,
}

/// The path for our own recording, in a bench of its own.
pub(crate) fn own(test: &str, plan: Plan) -> Route {
    let bench = Bench::new(test);
    let recording = Recording::own(bench.folder());
    Route::start(bench, recording, plan)
}

impl Route {
    /// Starts everything and waits until the gateway listens; then the recording begins.
    pub(crate) fn start(bench: Bench, recording: Recording, plan: Plan) -> Self {
        let broker = Mosquitto::start(&bench);
        let prometheus = Prometheus::start(&bench);
        let gateway = Gateway::start(&bench, &broker, &prometheus);
        broker.until_subscribed(BLOCKS);
        let daemon = Daemon::start(&bench, &config(&broker, &recording, plan), plan.mode);
        Self { daemon, gateway, prometheus, broker, recording, _bench: bench }
    }

    /// Waits until this part of the recording is in Prometheus, so that trouble comes in its midst.
    pub(crate) fn until_part_has_arrived(&self, part: f64) {
        let wanted = (self.recording.expected.samples() as f64 * part) as u64;
        until("a part of the recording is in Prometheus", ARRIVED_WITHIN, || {
            (self.count() >= wanted).then_some(())
        });
    }

    /// Waits until the daemon says that everything was acknowledged.
    pub(crate) fn until_drained(&mut self) {
        self.daemon.until_drained(DRAINED_WITHIN);
    }

    /// Waits until Prometheus has everything and the gateway holds nothing back.
    pub(crate) fn until_everything_has_arrived(&mut self) {
        let wanted = self.recording.expected.samples();
        let started = Instant::now();
        loop {
            let count = self.count();
            if count >= wanted {
                break;
            }
            assert!(
                started.elapsed() < ARRIVED_WITHIN,
                "only {count} of {wanted} samples arrived in Prometheus"
            );
            sleep(Duration::from_millis(50));
        }
        until("the gateway holds nothing back", ARRIVED_WITHIN, || {
            (self.gateway.metrics().sum("ecu_gateway_held", &[]) == 0).then_some(())
        });
        sleep(QUIET);
    }

    /// Waits until everything has arrived, without anybody having refused anything, and compares it with what was
    /// recorded.
    pub(crate) fn check_everything_arrived(mut self) -> Records {
        self.until_everything_has_arrived();
        let metrics = self.gateway.metrics();
        for (metric, what) in [
            ("ecu_gateway_refused_total", "blocks, batches or schemas refused by the gateway"),
            ("ecu_gateway_records_refused_total", "records refused by Prometheus"),
            ("ecu_gateway_samples_unplaceable_total", "samples without a millisecond"),
        ] {
            assert_eq!(metrics.sum(metric, &[]), 0, "{what}");
        }
        self.compare()
    }

    /// Ends the gateway, and compares both of its outputs with what was recorded.
    pub(crate) fn compare(mut self) -> Records {
        self.gateway.stop();
        let expected = &self.recording.expected;
        expected.check_prometheus(&self.prometheus.all_samples(ALL, expected.end));
        let records = Records::new(&self.gateway.lines());
        records.check_sequences();
        expected.check_lines(&records.samples());
        records
    }

    fn count(&self) -> u64 {
        self.prometheus.count(ALL, self.recording.expected.end)
    }
}

/// The daemon's configuration, with blocks small enough that many are under way.
fn config(broker: &Mosquitto, recording: &Recording, plan: Plan) -> String {
    let speed = match plan.speed {
        Speed::Max => "\"max\"".to_owned(),
        Speed::Times(times) => format!("{times}.0"),
    };
    format!(
        r#"
[vehicle]
id = "bench"
[store]
path = "ring.db"
max_bytes = "64 MiB"
commit_after = "{commit_after}"
[blocks]
seal_after = "200ms"
samples_max = 4096
[http]
listen = "127.0.0.1:0"
[uplink]
broker = "{broker}"
batch_bytes = "8 KiB"
[[bus]]
kind = "replay"
name = "can0"
interface = "can0"
file = "{log}"
speed = {speed}
dbc = ["{dbc}"]
"#,
        commit_after = plan.commit_after,
        broker = broker.url(),
        log = recording.log.display(),
        dbc = recording.dbc.display(),
    )
}
