//! The daemon as a service of systemd, with the unit and the configuration that ship.

use std::path::Path;
use std::time::Duration;

use hil_tests::guest::{Guest, Options, aarch64, emulated_bench};
use hil_tests::{Bench, say};

const SYSTEMD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd");
const STARTED_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn the_shipped_unit_starts_records_and_stops() {
    // It installs the unit: not on an ECU that somebody needs afterwards.
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("service");
    let guest = Guest::boot(&bench, Options { systemd: true, ..Options::default() });
    say(&format!("systemd takes commands after {:?}", guest.boot_time));
    guest.run("modprobe vcan; ip link add can0 type vcan; ip link set can0 mtu 72 up; ip link set lo up");
    guest.copy_in(&aarch64("ecu/ecu-daemon"), "/usr/bin/ecu-daemon");
    guest.copy_in(&aarch64("release/can-traffic"), "/usr/bin/can-traffic");
    guest.run("mkdir -p /etc/ecu-daemon");
    guest.copy_in(&Path::new(SYSTEMD).join("ecu-daemon.service"), "/etc/systemd/system/ecu-daemon.service");
    guest.copy_in(&Path::new(SYSTEMD).join("config.toml"), "/etc/ecu-daemon/config.toml");
    let started = guest.attempt("systemctl daemon-reload; systemctl start ecu-daemon", STARTED_WITHIN);
    let journal = || guest.run("journalctl -u ecu-daemon --no-pager -o cat | tail -20");
    assert_eq!(started.status, 0, "{}\n{}", started.text, journal());
    guest.run(
        "for i in $(seq 50); do wget -qO- http://127.0.0.1:9464/metrics >/dev/null && break; sleep 0.2; done",
    );

    let sent = guest.run("can-traffic can0 --rate 1000 --seconds 2 --mix unmatched=1; sleep 1");
    let metrics = guest.run("wget -qO- http://127.0.0.1:9464/metrics");
    let received = hil_tests::Metrics::from(metrics).sum("ecu_daemon_frames_received_total", &[]);
    assert_eq!(received, 2000, "{sent}\n{}", journal());

    // No root, and nothing of the system can be written.
    let pid = guest.run("systemctl show -P MainPID ecu-daemon");
    let status = guest.run(&format!("cat /proc/{}/status", pid.trim()));
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).map(|ids| ids.trim().to_owned());
    assert!(uid.as_deref().is_some_and(|ids| !ids.starts_with('0')), "{uid:?}");

    // Killed, it comes back; stopped, it ends in good order.
    guest.run(&format!("kill -9 {}; sleep 3", pid.trim()));
    assert_eq!(guest.run("systemctl show -P NRestarts ecu-daemon").trim(), "1", "{}", journal());
    guest.run("systemctl stop ecu-daemon");
    assert_eq!(guest.run("systemctl show -P Result ecu-daemon").trim(), "success", "{}", journal());
}
