//! `ecu-daemon` in the guest.

use std::net::SocketAddr;
use std::time::Duration;

use super::machine::Guest;
use super::setup::aarch64;
use crate::{Metrics, until};

const STARTED_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// What the daemon is given. Relative paths are seen from `/ecu`.
const CONFIG: &str = r#"
[vehicle]
id = "bench"
[store]
path = "/card/ring.db"
max_bytes = "{ring}"
commit_after = "1s"
[blocks]
seal_after = "1s"
[http]
listen = "127.0.0.1:9464"
[uplink]
broker = "mqtt://{broker}"
[[bus]]
kind = "socketcan"
interface = "{interface}"
dbc = ["traffic.dbc"]
"#;

/// The daemon as it ships, with the ring on the card, and the generator beside it.
pub struct GuestDaemon<'a> {
    guest: &'a Guest,
}

impl<'a> GuestDaemon<'a> {
    /// Puts the programs where [`Self::start`] finds them, and makes `vcan0`. Once for each boot.
    pub fn install(guest: &Guest) {
        guest.run("mkdir -p /ecu; ip link add vcan0 type vcan; ip link set vcan0 mtu 72 up");
        guest.copy_in(&aarch64("ecu/ecu-daemon"), "/ecu/ecu-daemon");
        guest.copy_in(&aarch64("release/can-traffic"), "/ecu/can-traffic");
        guest.run("/ecu/can-traffic --dbc > /ecu/traffic.dbc");
    }

    /// Starts it on an interface, with a broker on this machine and a ring of at most `ring` on the mounted card, and
    /// waits until the bus is open.
    pub fn start(guest: &'a Guest, interface: &str, broker: SocketAddr, ring: &str) -> Self {
        let broker = Guest::address_of(broker).to_string();
        let config =
            CONFIG.replace("{interface}", interface).replace("{broker}", &broker).replace("{ring}", ring);
        guest.write("/ecu/config.toml", &config);
        guest.run("/ecu/ecu-daemon check /ecu/config.toml");
        let daemon = Self { guest };
        daemon.restart();
        daemon
    }

    /// One that was started before.
    pub fn running(guest: &'a Guest) -> Self {
        Self { guest }
    }

    /// Starts it again.
    pub fn restart(&self) {
        self.guest.run(
            "cd /ecu; ./ecu-daemon run --config config.toml >>/host/daemon.log 2>&1 & echo $! >/ecu/daemon.pid",
        );
        until("the daemon has opened its bus", STARTED_WITHIN, || {
            (self.metrics()?.sum("ecu_daemon_bus_open", &[]) == 1).then_some(())
        });
    }

    /// Its metrics; `None` while it does not answer.
    pub fn metrics(&self) -> Option<Metrics> {
        let page = self.guest.attempt("wget -qO- http://127.0.0.1:9464/metrics", ENDED_WITHIN);
        (page.status == 0).then(|| Metrics::from(page.text))
    }

    /// Ends it in good order.
    pub fn stop(&self) {
        let limit = ENDED_WITHIN.as_secs();
        // It is no child of the shell that asks, so that its exit status is not to be had.
        self.guest.run(&format!(
            "read pid </ecu/daemon.pid; kill $pid; for i in $(seq {limit}); do [ -d /proc/$pid ] || exit 0; sleep 1; \
             done; echo it goes on; exit 1"
        ));
    }

    /// What it has logged, in all boots and starts.
    pub fn log(&self) -> String {
        self.guest.shared_text("daemon.log")
    }
}
