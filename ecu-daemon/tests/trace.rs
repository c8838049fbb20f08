//! A trace in a ring: what `query --trace` and the table `spans` say, live and stopped.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use daemon::{Card, Daemon};
use serde_json::Value;

const CONFIG: &str = "[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"50ms\"\n\
                      [http]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"control.sock\"\n\
                      [logs]\nsocket = \"log.sock\"\n\
                      [[bus]]\nkind = \"replay\"\nname = \"can0\"\nfile = \"drive.log\"\nspeed = \"max\"\ndbc = [\"car.dbc\"]\n";
const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 BRAKE: 32 ECU
 SG_ Pressure : 0|16@1+ (0.5,0) [0|0] "bar" ECU
 SG_ Mode : 16|8@1+ (1,0) [0|0] "" ECU
BO_ 512 PLAIN: 8 ECU
 SG_ Value : 0|8@1+ (1,0) [0|0] "" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 256 7;
VAL_ 256 Mode 1 "full";
"#;
const ONE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "11111111111111111111111111111111";
const START_NS: i64 = 1_533_201_287_000_000_000;
const LIVE: [&str; 4] = ["--store", "ring.db", "--control", "control.sock"];

/// Frames of both traces in turn, 10 ms apart, and one without a context between them.
fn drive() -> String {
    let mut lines = String::new();
    for n in 0..6_u8 {
        let trace = if n % 2 == 0 { ONE } else { OTHER };
        let ms = u32::from(n) * 10;
        let parent = format!("{:016x}", u64::from(n) + 1);
        writeln!(lines, "(1533201287.{ms:03}000) can0 100##1{n:02X}00010000FFFF{trace}{parent}01").unwrap();
        writeln!(lines, "(1533201287.{:03}000) can0 200#{n:02X}", ms + 5).unwrap();
    }
    lines
}

fn ask(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_trace_is_shown_on_one_axis_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (file, text) in [("drive.log", drive().as_str()), ("car.dbc", DBC), ("car.toml", CONFIG)] {
        fs::write(folder.join(file), text).unwrap();
    }
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.until("the log socket is there", |_| folder.join("log.sock").exists());
    let service = UnixDatagram::unbound().unwrap();
    for (trace, body) in [(ONE, "braking"), (OTHER, "waiting")] {
        let line = format!(
            r#"{{"service":"brakes","level":"info","msg":"{body}","trace_id":"{trace}","span_id":"00000000000000aa"}}"#
        );
        service.send_to(line.as_bytes(), folder.join("log.sock")).unwrap();
    }
    let stored = |daemon: &Daemon<'_>, class: &str| {
        daemon.metric(&format!("ecu_daemon_ring_records_total{{class=\"{class}\",state=\"sealed\"}}"))
    };
    daemon.until("everything is stored", |daemon| {
        (stored(daemon, "traces"), stored(daemon, "live")) == (Some(6), Some(18))
            && stored(daemon, "logs") >= Some(2)
    });
    let questions: [&[&str]; 4] = [
        &["query", "--trace", ONE, "--format", "json"],
        &["query", "--trace", ONE],
        &["query", "--trace", "22222222222222222222222222222222", "--format", "json"],
        &[
            "sql",
            "SELECT name, kind, origin, service, can_id, flags, status, error, attributes, count(*) FROM spans",
            "--format",
            "csv",
        ],
    ];
    let answers = || questions.map(|question| ask(folder, &[&question[..1], &LIVE, &question[1..]].concat()));
    let live = answers();
    check_lines(&live[0]);
    let table: Vec<_> = live[1].lines().collect();
    assert_eq!(table.len(), 1 + 10);
    assert!(table[0].starts_with("time") && table[1].contains("BRAKE"), "{}", live[1]);
    assert_eq!(live[2], "");
    assert_eq!(live[3].lines().nth(1), Some("BRAKE,consumer,frame,,100,1,unset,,,6"));
    daemon.stop();
    assert_eq!(answers(), live, "stopped");
    fs::copy(folder.join("ring.db"), folder.join("copy.db")).unwrap();
    assert_eq!(ask(folder, &["query", "--store", "copy.db", "--trace", ONE, "--format", "json"]), live[0]);
}

/// Three frames of the trace, each with its span and its signals, and the log line at its own time behind them.
fn check_lines(text: &str) {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3 * 3 + 1, "{text}");
    for (number, frame) in lines[..9].chunks(3).enumerate() {
        let time = START_NS + number as i64 * 20_000_000;
        for line in frame {
            assert_eq!((&line["time_unix_nano"], &line["source"]), (&time.into(), &"can0".into()), "{line}");
            assert_eq!(line["after_ns"], time - START_NS);
            assert_eq!(line["span_id"], frame[0]["span_id"], "signals name the span that they go with");
        }
        let parent = format!("{:016x}", 2 * number + 1);
        assert_eq!((&frame[0]["record"], &frame[0]["name"]), (&"span".into(), &"BRAKE".into()));
        assert_eq!((&frame[0]["parent_span_id"], &frame[0]["duration_ns"]), (&parent.into(), &0.into()));
        assert_eq!((&frame[1]["record"], &frame[1]["name"]), (&"signal".into(), &"BRAKE.Pressure".into()));
        assert_eq!((&frame[1]["value"], &frame[1]["unit"]), (&(number as f64).into(), &"bar".into()));
        assert_eq!((&frame[2]["name"], &frame[2]["label"]), (&"BRAKE.Mode".into(), &"full".into()));
    }
    let log = &lines[9];
    assert_eq!(
        (&log["record"], &log["source"], &log["text"]),
        (&"log".into(), &"brakes".into(), &"braking".into())
    );
    assert_eq!((&log["severity"], &log["span_id"]), (&"INFO".into(), &"00000000000000aa".into()));
}

#[test]
fn an_id_that_is_none_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    let output = command.args(["query", "--store", "none.db", "--trace", "xyz"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr).unwrap().contains("32 hex digits"));
}
