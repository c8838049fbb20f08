//! The binary reads this machine's clocks, says what it found, and keeps it.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use daemon::{Card, Daemon};
use ecu_core::clock::{Clock, History, Instant, Taken};
use store::block::{Kind, Records, open};
use store::ring::{Selection, open_or_quarantine};

const CONFIG: &str = "[store]\npath = \"ring.db\"\ncommit_after = \"50ms\"\n[blocks]\nseal_after = \"100ms\"\n[http]\n\
                      listen = \"127.0.0.1:0\"\n[logs]\nsocket = \"log.sock\"\n[time]\nrecord = true\ndevices = [\"ptp15\"]\n";

#[test]
fn the_systems_clock_is_mapped_and_whether_it_is_right_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("car.toml"), CONFIG).unwrap();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    // Two readings of CLOCK_REALTIME a round.
    daemon.wait_for("ecu_daemon_clock_readings_total{clock=\"realtime\"}", 4);
    daemon.wait_for("ecu_daemon_records_total{kind=\"clock\",state=\"sealed\"}", 1);
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(br#"{"level":"info","msg":"hello"}"#, folder.join("log.sock")).unwrap();
    daemon.wait_for("ecu_daemon_log_lines_total{outcome=\"received\"}", 1);

    let page = daemon.page("/metrics").unwrap();
    let value = |series: &str| -> Option<f64> {
        page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    };
    let of = |name: &str| value(&format!("ecu_daemon_clock_{name}{{clock=\"realtime\"}}"));
    // Somebody keeps the clock right here, or nobody does; the daemon must say which.
    let is_right = ecu_sys::discipline().unwrap().is_synchronised;
    println!("this machine's clock is synchronised: {is_right}");
    assert_eq!(of("synchronised"), Some(f64::from(u8::from(is_right))), "{page}");
    assert_eq!(page.contains("ecu_daemon_clock_error_seconds{clock=\"realtime\""), is_right, "{page}");
    if !is_right {
        assert!(of("unsynchronised_seconds_total").unwrap() > 0.0 && of("limit_exceeded") == Some(1.0));
        assert!(daemon.log().contains("clock realtime is not synchronised"), "{}", daemon.log());
    }
    assert!(of("map_error_seconds").unwrap() < 1.0);
    let offset = value("ecu_daemon_clock_offset_seconds{clock=\"realtime\",against=\"boottime\"}").unwrap();
    assert!(offset > 1.6e9, "{offset}");
    assert!(daemon.log().contains("cannot open /dev/ptp15"), "{}", daemon.log());
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");

    let (ring, _) = open_or_quarantine(&folder.join("ring.db"), 256 << 20).unwrap();
    let blocks = |kind| {
        let selection = Selection { kind, first_ns: i64::MIN, last_ns: i64::MAX };
        let page = ring.page(&selection, 0, 1 << 20).unwrap();
        page.blocks.into_iter().map(|block| open(&block.bytes).unwrap()).collect::<Vec<_>>()
    };
    let mut history = History::default();
    for (_, records) in blocks(Kind::ClockMap) {
        let Records::ClockMap(map) = records else { panic!("no clock map") };
        assert!(history.absorb_block(&map));
    }
    assert!(
        history.newest(Clock::Realtime).is_some_and(|line| line.to > line.from),
        "the last one is there, too"
    );
    let (mut lines, mut events) = (0, 0);
    for (header, records) in blocks(Kind::Logs) {
        let Records::Logs(logs) = records else { panic!("no logs") };
        for log in logs {
            events += usize::from(log.service == "ecu-daemon" && log.body.contains("not synchronised"));
            if log.body != "hello" {
                continue;
            }
            lines += 1;
            assert!(header.clock_map > 0, "its block names the map");
            let realtime = can_decode::RealtimeNanos(log.time_ns);
            let line = history.newest(Clock::Realtime).unwrap();
            let taken = Taken { not_before: line.from, not_after: line.to };
            let placed = history.place(Instant::Realtime(realtime), taken);
            assert_eq!(placed.truth.is_some(), is_right, "{placed:?}");
            assert!(placed.boot >= line.from && placed.boot_error_ns < 1_000_000_000, "{placed:?}");
        }
    }
    assert_eq!((lines, events), (1, usize::from(!is_right)));
    drop(ring);

    // Whoever asks is told the same.
    let mut query = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    query.args(["query", "logs", "--format", "json", "--store"]).arg(folder.join("ring.db"));
    let output = query.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    let hello = answer.lines().find(|line| line.contains("hello")).unwrap();
    let hello: serde_json::Value = serde_json::from_str(hello).unwrap();
    assert_eq!(hello["clock"], "user_space", "{hello}");
    let expected = if is_right { "synchronised" } else { "unsynchronised" };
    assert_eq!(hello["time_basis"], expected, "{hello}");
    assert_eq!(
        (hello["time_error_ns"].is_u64(), hello["time_clock"].is_string()),
        (is_right, is_right),
        "{hello}"
    );
}
