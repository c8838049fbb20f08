//! The link goes and comes, the broker goes and comes: everything arrives, once.

mod guest_path;

use std::thread::sleep;
use std::time::Duration;

use guest_path::Path;
use hil_tests::guest::Weak;

const DOWN: Duration = Duration::from_secs(20);
const BROKER_AWAY: Duration = Duration::from_secs(3);
const TRAFFIC: &str = "vcan0 --rate 1000 --mix classic=3,fd=1,traced=1";

#[test]
fn a_link_that_was_down_costs_nothing() {
    let path = Path::start("down");
    let sending = path.begin_sending(&format!("{TRAFFIC} --seconds 40"));
    path.until_some_arrived();
    path.guest.set_link(false);
    sleep(DOWN);
    // Nothing gets through, and nothing is forgotten.
    assert!(path.metrics().sum("ecu_daemon_ring_waiting_records", &[]) > 0);
    path.guest.set_link(true);
    let traffic = path.finish_sending(&sending);
    path.check_all(&traffic);
}

#[test]
fn a_weak_link_is_only_slow() {
    let path = Path::start("weak");
    path.guest.weaken_link(Weak { rate_kbit: 100, delay_ms: 200, loss_percent: 5 });
    let traffic = path.send(&format!("{TRAFFIC} --seconds 10"));
    path.check_all(&traffic);
}

/// First it remembers its sessions, then it forgets them and everything that it had not delivered.
#[test]
fn a_broker_that_goes_and_comes_costs_nothing() {
    let mut path = Path::start("broker");
    let sending = path.begin_sending(&format!("{TRAFFIC} --seconds 20"));
    path.until_some_arrived();
    path.broker.stop();
    sleep(BROKER_AWAY);
    path.broker.restart();
    path.until_some_arrived();
    path.broker.kill();
    sleep(BROKER_AWAY);
    path.broker.restart();
    let traffic = path.finish_sending(&sending);
    path.check_all(&traffic);
    assert!(path.metrics().sum("ecu_daemon_uplink_connects_total", &[]) >= 3);
}
