//! The link goes and comes, the broker goes and comes: everything arrives, once.

mod guest_path;

use std::thread::sleep;
use std::time::{Duration, Instant};

use guest_path::Path;
use hil_tests::guest::Weak;
use hil_tests::{Metrics, say};

const BROKER_AWAY: Duration = Duration::from_secs(3);
const TRAFFIC: &str = "--rate 1000 --mix classic=3,fd=1,traced=1";
/// What goes on for minutes is sent at this rate, so that other tests have the machine.
const STEADY_RATE: u64 = 400;
/// How much longer traffic goes on than the link is down.
const AROUND: Duration = Duration::from_secs(25);
/// After an outage: the longest pause between attempts is a minute.
const DRAINED_WITHIN: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// For so short a time the connection lives on, and what was under way is only late.
#[test]
fn a_link_that_was_down_costs_nothing() {
    link_down("down", Duration::from_secs(20), 1);
}

/// Longer than either end waits: the vehicle gives up when nothing was acknowledged for a minute, the broker after one and
/// a half keep-alives, 90 s. So each has ended the connection on its own, and the vehicle has tried in vain for a while.
#[test]
fn a_link_down_for_minutes_costs_nothing() {
    link_down("minutes", Duration::from_secs(130), 2);
}

/// Takes the link away in the midst of steady traffic, and checks that all of it arrives, once, by at least so many
/// connections. Says how long the backlog took.
fn link_down(test: &str, down: Duration, connections: u64) {
    let Some(path) = Path::emulated(test) else { return };
    let sending = path.begin_sending(&format!(
        "--rate {STEADY_RATE} --mix classic=3,fd=1,traced=1 --seconds {}",
        (down + AROUND).as_secs()
    ));
    path.until_some_arrived();
    path.ecu.set_link(false);
    let before = path.metrics();
    sleep(down);
    let cut_off = path.metrics();
    // Nothing gets through, nothing is forgotten, and traffic went on all the time.
    let taken = frames(&cut_off) - frames(&before);
    assert!(taken >= STEADY_RATE * (down.as_secs() - 1) * 9 / 10, "{taken} frames in {down:?}");
    let backlog = waiting(&cut_off);
    assert!(backlog >= taken, "each frame is a record at least: {backlog} wait of {taken} frames");
    path.ecu.set_link(true);
    say(&format!(
        "link down for {down:?}: {taken} frames meanwhile, {}",
        drain(&path, acked(&cut_off), backlog)
    ));
    let traffic = path.finish_sending(&sending);
    path.check_all(&traffic);
    let connects = path.metrics().sum("ecu_daemon_uplink_connects_total", &[]);
    assert!(connects >= connections, "{connects} connections");
}

/// Waits until as many records are acknowledged as waited when the link came back, and says how long that took.
fn drain(path: &Path, acked_before: u64, backlog: u64) -> String {
    let up = Instant::now();
    let mut connected = None;
    loop {
        let metrics = path.metrics();
        if metrics.sum("ecu_daemon_uplink_connected", &[]) == 1 {
            connected.get_or_insert_with(|| up.elapsed());
        }
        let drained = acked(&metrics) - acked_before;
        if let Some(connected) = connected
            && drained >= backlog
        {
            let drained = up.elapsed();
            return format!(
                "{backlog} records waited; connected {connected:.1?} after the link is up, as many acknowledged as \
                 waited after {drained:.1?}"
            );
        }
        assert!(up.elapsed() < DRAINED_WITHIN, "{drained} of {backlog} records after {DRAINED_WITHIN:?}");
        sleep(LOOK_EVERY);
    }
}

fn frames(metrics: &Metrics) -> u64 {
    metrics.sum("ecu_daemon_frames_received_total", &[])
}

fn waiting(metrics: &Metrics) -> u64 {
    metrics.sum("ecu_daemon_ring_waiting_records", &[])
}

fn acked(metrics: &Metrics) -> u64 {
    metrics.sum("ecu_daemon_ring_records_total", &[("state", "acked")])
}

#[test]
fn a_weak_link_is_only_slow() {
    let Some(path) = Path::emulated("weak") else { return };
    path.ecu.weaken_link(Weak { rate_kbit: 100, delay_ms: 200, loss_percent: 5 });
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
