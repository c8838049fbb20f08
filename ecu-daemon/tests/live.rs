//! A live ring, read through its service's control socket, and the same ring when the service has stopped.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use daemon::{Card, Daemon};

const FRAMES: u64 = 20_000;
const CONFIG: &str = "[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"50ms\"\n\
                      samples_max = 1000\n[http]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"control.sock\"\n\
                      [[bus]]\nkind = \"replay\"\nname = \"can0\"\nfile = \"drive.log\"\nspeed = \"max\"\ndbc = [\"car.dbc\"]\n";
const DBC: &str = "VERSION \"\"\nBU_: ECU\nBO_ 256 SPEED: 8 ECU\n SG_ Speed : 0|32@1+ (0.5,-10) [0|0] \"km/h\" ECU\n \
                   SG_ Gear m1 : 40|8@1- (1,0) [0|0] \"\" ECU\n SG_ Page M : 32|8@1+ (1,0) [0|0] \"\" ECU\n\
                   VAL_ 256 Gear -1 \"reverse\" 0 \"neutral\";\n";
const STORED: &str = "ecu_daemon_ring_records_total{class=\"live\",state=\"sealed\"}";
/// Speed and Page in each frame, Gear in every other one.
const SAMPLES: u64 = FRAMES * 5 / 2;

fn drive() -> String {
    let mut lines = String::new();
    for n in 0..FRAMES as u32 {
        let [a, b, c, d] = n.to_le_bytes();
        let (ms, page, gear) = (n % 1000, n % 2, if n % 4 == 1 { 0xFF } else { 0 });
        let time = 1_533_201_287 + n / 1000;
        writeln!(lines, "({time}.{ms:03}000) can0 100#{a:02X}{b:02X}{c:02X}{d:02X}{page:02X}{gear:02X}0000")
            .unwrap();
    }
    lines
}

/// Runs the binary in `folder`; gives exit code, output and errors.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn ok(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, err) = run(folder, arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    out
}

const LIVE: [&str; 4] = ["--store", "ring.db", "--control", "control.sock"];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [("drive.log", drive().as_str()), ("car.dbc", DBC), ("car.toml", CONFIG)] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

#[test]
fn a_live_ring_says_the_same_as_a_stopped_one() {
    let folder = folder();
    let folder = folder.path();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.until("everything is stored", |daemon| daemon.metric(STORED) == Some(SAMPLES));

    let ask = |command: &[&str], arguments: &[&str]| ok(folder, &[command, &LIVE, arguments].concat());
    let questions: [(&[&str], &[&str]); 5] = [
        (&["query"], &["--name", "*.Gear", "--format", "csv"]),
        (&["query"], &["--from", "1533201290", "--to", "1533201291", "--format", "json"]),
        (&["sql"], &["SELECT count(*), min(time_ns), max(value) FROM samples", "--format", "csv"]),
        (
            &["sql"],
            &[
                "SELECT label, count(*) AS n FROM samples WHERE signal = 'Gear' GROUP BY label",
                "--format",
                "csv",
            ],
        ),
        (
            &["sql"],
            &[
                "SELECT raw FROM samples WHERE message = 'SPEED' AND time_ns < 1533201287003000000",
                "--format",
                "csv",
            ],
        ),
    ];
    let live: Vec<String> = questions.iter().map(|(command, arguments)| ask(command, arguments)).collect();
    assert_eq!(live[0].lines().count() as u64, 1 + FRAMES / 2);
    assert_eq!(
        live[2],
        format!("count(*),min(time_ns),max(value)\r\n{SAMPLES},1533201287000000000,9989.5\r\n")
    );
    assert_eq!(live[3], "label,n\r\nneutral,5000\r\nreverse,5000\r\n");
    assert_eq!(live[4].lines().count(), 1 + 3 + 3 + 1);
    ask(&["export"], &["--format", "csv", "--output", "live.csv"]);
    ask(&["export"], &["--format", "mf4", "--output", "live.mf4"]);
    let read = |file: &str| fs::read(folder.join(file)).unwrap();
    assert_eq!(read("live.csv").iter().filter(|&&byte| byte == b'\n').count() as u64, 1 + SAMPLES);
    assert_eq!(&read("live.mf4")[..16], b"MDF     4.10    ");

    // Another ring's socket is not asked, and a ring that is owned is not read behind its owner's back.
    let mode = fs::metadata(folder.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let (code, _, err) = run(folder, &["query", "--store", "ring.db", "--control", "elsewhere.sock"]);
    assert!(code == 66 && err.contains("--control"), "{code} {err}");

    daemon.stop();
    assert!(!folder.join("control.sock").exists(), "the socket goes with its service");
    let stopped: Vec<String> = questions.iter().map(|(command, arguments)| ask(command, arguments)).collect();
    assert_eq!(live, stopped);
    ask(&["export"], &["--format", "mf4", "--output", "stopped.mf4"]);
    assert!(read("live.mf4") == read("stopped.mf4"), "the exports differ");
}

#[test]
fn askers_that_do_not_keep_to_the_protocol_harm_nobody() {
    let folder = folder();
    let folder = folder.path();
    let daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.until("everything is stored", |daemon| daemon.metric(STORED) == Some(SAMPLES));
    let ask = |question: &[u8]| {
        let mut stream = UnixStream::connect(folder.join("control.sock")).unwrap();
        stream.write_all(question).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer[0], b'R', "{question:?}");
        String::from_utf8_lossy(&answer[21..]).into_owned()
    };
    for (question, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not understood"),
        (b"", "a question is a line"),
        (b"{\"read\":\"samples\"}", "a question is a line"),
        (&[b' '; 4600], "at most 4096 bytes"),
        (b"\xff\n", "not understood"),
        (b"{\"read\":\"schemas\"}\n", "unknown variant"),
    ] {
        let answer = ask(question);
        assert!(answer.starts_with('X') && answer.contains(expected), "{question:?}: {answer}");
    }
    // More than are served at once; they go away without having read anything.
    let idle: Vec<_> = (0..8).map(|_| UnixStream::connect(folder.join("control.sock")).unwrap()).collect();
    for mut stream in idle {
        stream.write_all(b"{\"read\":\"samples\"}\n").unwrap();
    }
    let count = ["SELECT count(*) AS n FROM samples", "--format", "csv"];
    assert_eq!(ok(folder, &[&["sql"], &LIVE[..], &count].concat()), format!("n\r\n{SAMPLES}\r\n"));
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let folder = folder();
    let folder = folder.path();
    ok(folder, &["check", "car.toml"]);
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    daemon.until("everything is stored", |daemon| daemon.metric(STORED) == Some(SAMPLES));
    daemon.stop();
    let check = |arguments: &[&str], code: i32, text: &str| {
        let (found, _, err) = run(folder, arguments);
        assert!(found == code && err.contains(text), "{arguments:?}: {found} {err}");
    };
    check(&["sql", "SELECT 1"], 64, "--store DB or --control SOCKET");
    check(&["sql", "--store", "absent.db", "SELECT 1"], 66, "absent.db");
    check(&["sql", "--store", "ring.db", "SELEKT 1"], 64, "syntax error");
    check(&["sql", "--store", "ring.db", "SELECT * FROM block"], 64, "no such table");
    check(&["sql", "--store", "ring.db", "DROP TABLE samples"], 64, "");
    check(&["export", "--store", "ring.db", "--format", "mf4"], 64, "--output");
    check(
        &["export", "--store", "ring.db", "--format", "pdf", "--output", "x"],
        64,
        "not candump, csv or mf4",
    );
    check(&["export", "--store", "ring.db", "--format", "csv", "--output", "no/where"], 74, "no/where");
    assert!(!folder.join("x").exists() && !folder.join("no").exists());
}
