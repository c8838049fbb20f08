//! `ecu-daemon` on an ECU.

use std::net::SocketAddr;
use std::time::Duration;

use super::commands::{Ecu, WITHIN};
use super::setup::aarch64;
use crate::{Metrics, until};

const STARTED_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// In the folder that is kept.
const LOG: &str = "daemon.log";

/// What the daemon is given. Relative paths are seen from its working folder.
const CONFIG: &str = r#"
[vehicle]
id = "bench"
[store]
path = "{path}"
max_bytes = "{ring}"
commit_after = "1s"
[blocks]
seal_after = "1s"
[http]
listen = "127.0.0.1:{port}"
[uplink]
broker = "mqtt://{broker}"
# What becomes a record of clocks would be counted with what was sent.
[time]
record = false
[[bus]]
kind = "socketcan"
interface = "{interface}"
dbc = ["traffic.dbc"]
"#;

/// Its parent waits for it, and writes down how it ended.
const START: &str = "cd {work} && rm -f daemon.pid daemon.status || exit
(
    ./ecu-daemon run --config config.toml >>{log} 2>&1 &
    echo $! >daemon.pid
    wait $!
    echo $? >daemon.ended
    mv daemon.ended daemon.status
) &";
/// Ends with 1 when the daemon goes on; else prints its exit status.
const STOP: &str = "cd {work} && read -r pid <daemon.pid && kill $pid
for i in $(seq {limit}); do [ -e daemon.status ] && exec cat daemon.status; sleep 1; done
echo it goes on; exit 1";

/// The daemon as it ships, with the ring on the card or, on a real ECU, in the working folder, and the generator beside
/// it.
pub struct GuestDaemon<'a> {
    ecu: &'a Ecu,
}

impl<'a> GuestDaemon<'a> {
    /// Puts the programs where [`Self::start`] finds them, and sees to the CAN interfaces. Once for each boot.
    pub fn install(ecu: &Ecu) {
        ecu.run(&format!("mkdir -p {}", ecu.places.work));
        for program in ["ecu/ecu-daemon", "release/can-traffic"] {
            let built = aarch64(program);
            let name = built.file_name().unwrap_or_default().to_string_lossy().into_owned();
            ecu.copy_in(&built, &ecu.path(&name));
        }
        ecu.run("cd {work} && ./can-traffic --dbc >traffic.dbc".replace("{work}", &ecu.places.work).as_str());
        ecu.prepare_can();
    }

    /// Starts it on an interface, with a broker on this machine and a ring of at most `ring`, and waits until the bus is
    /// open.
    pub fn start(ecu: &'a Ecu, interface: &str, broker: SocketAddr, ring: &str) -> Self {
        let config = CONFIG
            .replace("{path}", &ecu.places.ring)
            .replace("{interface}", interface)
            .replace("{broker}", &ecu.transport.offer(broker).to_string())
            .replace("{port}", &ecu.places.metrics_port.to_string())
            .replace("{ring}", ring);
        let path = ecu.path("config.toml");
        ecu.write(&path, &config);
        ecu.run(&format!("{} check {path}", ecu.path("ecu-daemon")));
        let daemon = Self { ecu };
        daemon.restart();
        daemon
    }

    /// One that was started before.
    pub fn running(ecu: &'a Ecu) -> Self {
        Self { ecu }
    }

    /// Starts it again.
    pub fn restart(&self) {
        let log = format!("{}/{LOG}", self.ecu.places.kept);
        self.ecu.run(&START.replace("{work}", &self.ecu.places.work).replace("{log}", &log));
        until("the daemon has opened its bus", STARTED_WITHIN, || {
            let Some(metrics) = self.metrics() else {
                let ended = self.ecu.attempt(&format!("cat {}", self.ecu.path("daemon.status")), WITHIN);
                assert!(ended.status != 0, "the daemon ended with {}:\n{}", ended.text.trim(), self.log());
                return None;
            };
            (metrics.sum("ecu_daemon_bus_open", &[]) == 1).then_some(())
        });
    }

    /// Its metrics; `None` while it does not answer.
    pub fn metrics(&self) -> Option<Metrics> {
        self.ecu.metrics()
    }

    /// Ends it (SIGTERM), in good order: its exit status is 0.
    pub fn stop(&self) {
        let limit = ENDED_WITHIN.as_secs();
        let stop = STOP.replace("{work}", &self.ecu.places.work).replace("{limit}", &limit.to_string());
        let status = self.ecu.run_within(&stop, 2 * ENDED_WITHIN);
        assert_eq!(status.trim(), "0", "the daemon's exit status; its log:\n{}", self.log());
    }

    /// What it has logged, in all boots and starts.
    pub fn log(&self) -> String {
        self.ecu.transport.kept_text(LOG)
    }
}
