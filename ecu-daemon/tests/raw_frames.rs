//! Raw frames from a bus to a file of candump: recorded, exported, queried, line for line the same.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use daemon::{Card, Daemon};

const LINES: u32 = 9_000;
const DBC: &str =
    "VERSION \"\"\nBU_: ECU\nBO_ 256 SPEED: 8 ECU\n SG_ Speed : 0|32@1+ (0.5,-10) [0|0] \"km/h\" ECU\n";
const TAKEN: &str = "ecu_daemon_frames_raw_total{bus=\"can0\"}";
const LIVE: [&str; 4] = ["--store", "ring.db", "--control", "control.sock"];

/// As candump writes it: all kinds of frames, stamps that are equal, and one that goes back.
fn drive() -> String {
    let mut lines = String::new();
    for n in 0..LINES {
        let [a, b, c, d] = n.to_le_bytes();
        let micros = u64::from(n / 2) * 1_037 - u64::from(n == 5_000) * 20_000;
        let time = format!("({}.{:06}) can0", 1_533_201_287 + micros / 1_000_000, micros % 1_000_000);
        let frame = match n % 8 {
            0 => format!("123##{}{}", n % 4, format!("{b:02X}").repeat(64)),
            1 => format!("18FEF1{a:02X}#{c:02X}{d:02X}"),
            2 if n % 3 == 0 => "7DF#R".to_owned(),
            2 => format!("7DF#R{}", 1 + n / 8 % 8),
            3 => format!("20000088#0000{a:02X}0000000000"),
            4 => "7FF#".to_owned(),
            _ => format!("100#{a:02X}{b:02X}{c:02X}{d:02X}00000000"),
        };
        writeln!(lines, "{time} {frame}").unwrap();
    }
    lines
}

fn config(raw: &str) -> String {
    format!(
        "[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"100ms\"\n[http]\n\
         listen = \"127.0.0.1:0\"\n[control]\nsocket = \"control.sock\"\n[[bus]]\nkind = \"replay\"\nname = \"can0\"\n\
         file = \"drive.log\"\nspeed = \"max\"\ndbc = [\"car.dbc\"]\nraw = \"{raw}\"\n"
    )
}

fn prepare(folder: &Path, log: &str, raw: &str) {
    for (file, text) in [("drive.log", log), ("car.dbc", DBC), ("car.toml", &config(raw))] {
        fs::write(folder.join(file), text).unwrap();
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn exported(folder: &Path, arguments: &[&str]) -> String {
    run(folder, &[&["export", "--format", "candump", "--output", "out.log"], &LIVE[..], arguments].concat());
    fs::read_to_string(folder.join("out.log")).unwrap()
}

/// That is what a test of many lines says when it fails.
fn assert_same(found: &str, expected: &str) {
    let differs = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert_eq!(differs.map(|line| found.lines().nth(line)), None, "differs at line {differs:?}");
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn what_was_recorded_is_exported_line_for_line_live_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, &drive(), "all");
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    let stored = "ecu_daemon_ring_records_total{class=\"bulk\",state=\"sealed\"}";
    daemon.wait_for(stored, LINES.into());
    assert_eq!(daemon.metric(TAKEN), Some(LINES.into()));
    let sealed = "ecu_daemon_records_total{kind=\"frame\",state=\"sealed\"}";
    assert_eq!(daemon.metric(sealed), Some(LINES.into()));
    let ask = || {
        let csv = ["--format", "csv"];
        let sql = |text| run(folder, &[&["sql", text], &LIVE[..], &csv].concat());
        [
            exported(folder, &[]),
            sql("SELECT kind, count(*) AS n, max(length) AS m FROM frames GROUP BY kind"),
            sql("SELECT hex(data) AS d FROM frames WHERE id = 256 AND time_ns < 1533201287003111000"),
            run(
                folder,
                &[&["query", "frames", "--name", "18FEF1E*", "--format", "json"], &LIVE[..]].concat(),
            ),
            run(folder, &[&["query", "--limit", "1"], &LIVE[..], &csv].concat()),
        ]
    };
    let live = ask();
    assert_same(&live[0], &drive());
    assert_eq!(live[1], "kind,n,m\r\nclassic,5625,8\r\nerror,1125,8\r\nfd,1125,64\r\nremote,1125,8\r\n");
    assert_eq!(live[2], "d\r\n0500000000000000\r\n");
    let first = live[3].lines().next().unwrap();
    assert_eq!(
        first,
        "{\"time_unix_nano\":1533201287116144000,\"bus\":\"can0\",\"id\":\"18FEF1E1\",\"kind\":\"classic\",\"length\":2,\
         \"data\":\"0000\",\"clock\":\"recorded\"}"
    );
    assert!(live[4].contains("SPEED,Speed,5,-7.5,km/h"), "frames are decoded all the same: {}", live[4]);
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true") && log.contains("raw_frames=9000"), "{log}");
    assert_eq!(ask(), live);
    let part = exported(folder, &["--name", "100", "--to", "1533201287.004"]);
    let expected: Vec<_> =
        drive().lines().take(8).filter(|line| line.contains(" 100#")).map(str::to_owned).collect();
    assert_same(&part, &expected.join("\n"));
}

#[test]
fn only_what_is_not_decoded_is_kept_where_that_is_asked_and_a_reload_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A minute of frames, so that the reload comes in between.
    let line = |n| format!("({}.{:02}0000) can0 {}00#01\n", 1_533_201_287 + n / 100, n % 100, 1 + n % 2);
    let slow = (0..6_000).map(line).collect::<Vec<_>>().concat();
    prepare(folder, &slow, "undecoded");
    let text = config("undecoded").replace("\"max\"", "20.0");
    fs::write(folder.join("car.toml"), &text).unwrap();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.wait_for(TAKEN, 100);
    daemon.reload("car.toml", &text.replace("undecoded", "none"), "ok", 1);
    let decoded = "ecu_daemon_frames_total{bus=\"can0\",outcome=\"decoded\"}";
    daemon.wait_for(decoded, 3_000);
    daemon.wait_for("ecu_daemon_frames_total{bus=\"can0\",outcome=\"unmatched\"}", 3_000);
    let taken = daemon.metric(TAKEN).unwrap();
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
    let found = exported(folder, &[]);
    let undecoded: Vec<_> = slow.lines().filter(|line| line.contains(" 200#")).take(taken as usize).collect();
    assert!((100..3_000).contains(&taken), "{taken}");
    assert_same(&found, &undecoded.join("\n"));
}
