//! The command line as scripts use it: exit codes, output, and what a stopped service leaves behind.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 SPEED: 4 ECU
 SG_ Speed : 0|16@1+ (0.01,0) [0|655] "km/h" ECU
 SG_ Gear : 16|4@1- (1,0) [-8|7] "" ECU
BO_ 272 BRAKE: 32 ECU
 SG_ Pressure : 0|8@1+ (0.5,-10) [-10|117] "bar" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 272 7;
VAL_ 256 Gear -1 "reverse" 0 "neutral" ;
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("car.dbc"), DBC).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
    command.current_dir(folder).args(arguments).env_remove("STATE_DIRECTORY");
    command
}

fn ecu_daemon(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input is none of our business here.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn decode_gives_one_object_for_every_frame() {
    let folder = folder();
    let payload = format!("50{}{}{}01", "00".repeat(6), "ab".repeat(16), "cd".repeat(8));
    let log = format!(
        "(1533201287.000013) can0 100#10270F00\n(1533201287.5) can1 110##1{payload}\n\
         (1533201288.0) can0 00000100#1122\n(1533201289.0) can0 100#R4\n(1533201290.000000001) can0 100#10\n"
    );
    let (code, out, err) = texts(&ecu_daemon(folder.path(), &["decode", "--dbc", "car.dbc", "-"], &log));
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        lines[0],
        "{\"time\":1533201287.000013,\"bus\":\"can0\",\"id\":256,\"extended\":false,\"fd\":false,\"message\":\"SPEED\",\
         \"signals\":{\"Speed\":{\"raw\":10000,\"value\":100.0,\"unit\":\"km/h\"},\
         \"Gear\":{\"raw\":-1,\"value\":-1.0,\"unit\":\"\",\"label\":\"reverse\"}}}"
    );
    let object: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(object[1]["signals"]["Pressure"]["value"], 30.0);
    assert_eq!(object[1]["trace"]["trace_id"], "ab".repeat(16));
    assert_eq!((object[1]["fd"].as_bool(), object[1]["trace"]["flags"].as_u64()), (Some(true), Some(1)));
    assert_eq!(object[2]["message"], Value::Null, "29-bit 0x100 is not the 11-bit one");
    assert_eq!(object[3]["remote"], true);
    assert_eq!(object[4]["signals"], serde_json::json!({}), "cut-off signals are absent");
    assert!(lines[4].starts_with("{\"time\":1533201290.000000001,"));
}

#[test]
fn decode_shows_diagnostic_messages_with_the_frame_that_completes_them() {
    let folder = folder();
    let log = "(1.0) can0 7E0#0322F190\n(1.012) can0 7E8#100862F190303132\n(1.02) can0 100#10270F00\n\
               (1.022) can0 7E8#213334\n(2.0) can0 79B#022101\n(2.5) can0 7BB#037F2133\n";
    let objects = |arguments: &[&str]| -> Vec<Value> {
        let arguments = [&["decode", "--dbc", "car.dbc"], arguments].concat();
        let (code, out, err) = texts(&ecu_daemon(folder.path(), &arguments, log));
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let with_messages = |objects: &[Value]| -> Vec<usize> {
        (0..objects.len()).filter(|&at| !objects[at]["uds"].is_null()).collect()
    };
    let all = objects(&["--isotp", "79B:7BB"]);
    assert_eq!((all.len(), with_messages(&all)), (6, vec![0, 3, 4, 5]), "one object for every frame");
    let response = &all[3]["uds"];
    assert_eq!(
        (response["service"].as_str(), response["latency_ms"].as_f64(), response["data"].as_str()),
        (Some("ReadDataByIdentifier"), Some(12.0), Some("62f1903031323334"))
    );
    assert_eq!(all[5]["uds"]["nrc"], "SecurityAccessDenied");
    assert_eq!(with_messages(&objects(&[])), [0, 3]);
    assert_eq!(with_messages(&objects(&["--no-isotp", "--isotp", "79B:7BB"])), [4, 5]);
    assert_eq!(with_messages(&objects(&["--no-isotp"])), [0; 0]);
    // Nothing else of an object changes.
    let mut frames = all.clone();
    frames.iter_mut().for_each(|frame| drop(frame.as_object_mut().unwrap().remove("uds")));
    assert_eq!(frames, objects(&["--no-isotp"]));

    let lossy = "(1.0) can0 7E8#1014010203040506\n(1.1) can0 7E8#220708090A0B0C0D\n";
    let (code, out, err) = texts(&ecu_daemon(folder.path(), &["decode", "--dbc", "car.dbc"], lossy));
    assert!(code == 0 && err.contains("can0: 0 diagnostic messages; abandoned: 1"), "{code} {err}");
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(last["abandoned"][0]["reason"], "wrong sequence number");
}

#[test]
fn lines_that_are_no_frames_are_named_and_the_rest_is_decoded() {
    let folder = folder();
    let log = "(1.0) can0 100#00\nnonsense\n\n(2.0) can0 100#1\n(3.0) can0 100#00\n";
    let (code, out, err) = texts(&ecu_daemon(folder.path(), &["decode", "--dbc", "car.dbc"], log));
    assert_eq!((code, out.lines().count()), (65, 2));
    assert!(err.contains("-:2: error:") && err.contains("-:4: error:") && err.contains("2 lines"), "{err}");
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["decode", "--dbc", "car.dbc", "none.log"], ""));
    assert_eq!(code, 66, "{err}");
    fs::write(folder.path().join("bad.dbc"), "VERSION \"\"\nBU_: ECU\nBO_ 1 A: 8 ECU\n SG_ broken\n")
        .unwrap();
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["decode", "--dbc", "bad.dbc"], log));
    assert_eq!(code, 78);
    assert!(err.contains("bad.dbc:4: error:"), "{err}");
}

#[test]
fn check_names_file_and_line_and_exits_with_78() {
    let folder = folder();
    let config =
        "[vehicle]\nid = \"a b\"\n[[bus]]\nkind = \"replay\"\nfile = \"x.log\"\ndbc = [\"car.dbc\"]\n";
    fs::write(folder.path().join("bad.toml"), config).unwrap();
    fs::write(folder.path().join("good.toml"), config.replace("a b", "car-1")).unwrap();
    let (code, out, err) =
        texts(&ecu_daemon(folder.path(), &["check", "bad.toml", "good.toml", "car.dbc"], ""));
    assert_eq!(code, 78);
    assert!(out.contains("bad.toml:2: error: vehicle id"), "{out}");
    assert!(out.contains("good.toml: ok: 1 buses, 2 messages"), "{out}");
    assert!(out.contains("car.dbc: ok: 2 messages, 3 signals"), "{out}");
    assert!(err.contains("1 of 3 files"), "{err}");
    assert_eq!(texts(&ecu_daemon(folder.path(), &["check", "good.toml", "car.dbc"], "")).0, 0);
    assert_eq!(texts(&ecu_daemon(folder.path(), &["check", "none.dbc"], "")).0, 78);
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["run", "--config", "bad.toml"], ""));
    assert_eq!(code, 78);
    assert!(err.contains("bad.toml:2: error:"), "{err}");
}

#[test]
fn usage_errors_say_what_to_do() {
    let folder = folder();
    for arguments in [
        &[][..],
        &["frob"],
        &["decode"],
        &["decode", "--dbc", "car.dbc", "--isotp", "7E0"],
        &["decode", "--dbc", "car.dbc", "--isotp", "100:101", "--isotp", "100:102"],
        &["check"],
        &["query"],
        &["run", "--fast"],
        &["demo", "--seconds", "0"],
    ] {
        let (code, _, err) = texts(&ecu_daemon(folder.path(), arguments, ""));
        assert_eq!(code, 64, "{arguments:?}: {err}");
        assert!(err.starts_with("ecu-daemon: "), "{err}");
    }
    let (code, out, _) = texts(&ecu_daemon(folder.path(), &["--help"], ""));
    assert!(code == 0 && out.contains("ecu-daemon run"));
}

fn replay_config(folder: &Path, speed: &str) {
    let log: Vec<String> = (0..500)
        .map(|i| format!("(1533201287.{:06}) can0 100#{:02X}{:02X}0F00\n", i * 2_000, i % 256, i / 256))
        .collect();
    fs::write(folder.join("drive.log"), log.concat()).unwrap();
    let config = format!(
        "[store]\npath = \"ring.db\"\n[http]\nlisten = \"\"\n[logs]\nsocket = \"log.sock\"\n[[bus]]\nkind = \"replay\"\n\
         name = \"can0\"\nfile = \"drive.log\"\nspeed = {speed}\ndbc = [\"car.dbc\"]\n"
    );
    // The socket's path is taken as it is, so that it can be in /run.
    let config = config.replace("log.sock", &folder.join("log.sock").display().to_string());
    fs::write(folder.join("car.toml"), config).unwrap();
}

#[test]
fn what_was_replayed_can_be_queried() {
    let folder = folder();
    replay_config(folder.path(), "\"max\"");
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["run", "--config", "car.toml", "--drain"], ""));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("samples=1000") && err.contains("books_balanced=true"), "{err}");

    let query = |arguments: &[&str]| {
        let (code, out, err) =
            texts(&ecu_daemon(folder.path(), &[&["query", "--store", "ring.db"], arguments].concat(), ""));
        assert_eq!((code, err.as_str()), (0, ""));
        out
    };
    let json = query(&["--name", "speed.SPEED", "--format", "json"]);
    let first: Value = serde_json::from_str(json.lines().nth(300).unwrap()).unwrap();
    assert_eq!(json.lines().count(), 500);
    assert_eq!(first["time_unix_nano"], 1_533_201_287_600_000_000_i64);
    assert_eq!((first["raw"].as_i64(), first["value"].as_f64()), (Some(300), Some(3.0)));
    let csv = query(&["--from", "2018-08-02T09:14:47.9Z", "--name", "*.Gear", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 51);
    assert!(csv.starts_with("time,bus,message,signal,raw,value,unit,label,clock,time_basis,"), "{csv}");
    assert!(
        csv.ends_with("2018-08-02T09:14:47.998000000Z,can0,SPEED,Gear,-1,-1,,reverse,recorded,,,\r\n"),
        "{csv}"
    );
    assert_eq!(query(&["--limit", "3"]).lines().count(), 4);
    assert_eq!(query(&["--bus", "can9", "--format", "json"]), "");

    fs::write(folder.path().join("photo.jpg"), b"not a ring at all").unwrap();
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["query", "--store", "photo.jpg"], ""));
    assert!(code == 66 && err.contains("photo.jpg"), "{code} {err}");
}

#[test]
fn a_stop_seals_and_stores_what_is_open_and_takes_the_last_log_line() {
    let folder = folder();
    replay_config(folder.path(), "0.05");
    let mut child =
        command(folder.path(), &["run", "--config", "car.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let path = folder.path().join("log.sock");
    let started = Instant::now();
    while socket.send_to(b"{\"level\":\"info\",\"service\":\"test\",\"msg\":\"hello\"}", &path).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the log socket did not appear");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    // Nothing is old enough to be sealed by itself yet; the second owner is turned away meanwhile.
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["run", "--config", "car.toml"], ""));
    assert!(code == 74 && err.contains("in use by another process"), "{code} {err}");
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["query", "--store", "ring.db"], ""));
    assert!(code == 66 && err.contains("query a copy"), "{code} {err}");
    socket.send_to(b"{\"level\":\"info\",\"service\":\"test\",\"msg\":\"last\"}", &path).unwrap();
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(!path.exists(), "the socket's file is removed");

    let (_, signals, _) =
        texts(&ecu_daemon(folder.path(), &["query", "--store", "ring.db", "--format", "json"], ""));
    assert!(signals.lines().count() >= 10, "{signals}");
    let (_, logs, _) =
        texts(&ecu_daemon(folder.path(), &["query", "--store", "ring.db", "logs", "--format", "json"], ""));
    assert!(logs.contains("hello") && logs.contains("last"), "{logs}");
}

#[test]
fn a_damaged_ring_is_set_aside_and_recording_goes_on() {
    let folder = folder();
    replay_config(folder.path(), "\"max\"");
    fs::write(folder.path().join("ring.db"), vec![0x5A; 10_000]).unwrap();
    let (code, _, err) = texts(&ecu_daemon(folder.path(), &["run", "--config", "car.toml", "--drain"], ""));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("ring.db.corrupt-1"), "{err}");
    assert_eq!(fs::read(folder.path().join("ring.db.corrupt-1")).unwrap(), vec![0x5A; 10_000]);
    let (code, out, _) =
        texts(&ecu_daemon(folder.path(), &["query", "--store", "ring.db", "--format", "json"], ""));
    assert_eq!((code, out.lines().count()), (0, 1000));
}

/// A log of a bus that is not well: STEER's checksum is wrong in every tenth frame, and from the 200th cycle on somebody
/// else sends WHEEL, too.
fn sick_log() -> String {
    use can_decode::e2e::{Config, Profile};
    let protection = Config::new(Profile::P05 { data_id: 0x1234, offset_bits: 0 }, 8).checked().unwrap();
    let mut lines = String::new();
    let mut line = |at_us: u64, id: &str, payload: [u8; 8]| {
        let hex = u64::from_be_bytes(payload);
        let (seconds, micros) = (1_533_201_287 + at_us / 1_000_000, at_us % 1_000_000);
        writeln!(lines, "({seconds}.{micros:06}) can0 {id}#{hex:016X}").unwrap();
    };
    for round in 0..400_u16 {
        let at_us = u64::from(round) * 20_000;
        let mut steer = [0, 0, 0, 1, 2, 3, 4, 5];
        protection.protect(round % 256, &mut steer).unwrap();
        steer[7] ^= u8::from(round % 10 == 9);
        let wheel = |counter: u16| [(counter % 16) as u8, 0, 0, 0, 0, 0, 0, 0];
        line(at_us, "120", steer);
        line(at_us + 500, "130", wheel(round));
        if round >= 200 {
            line(at_us + 6_000, "130", wheel(round + 7));
        }
    }
    lines
}

#[test]
fn what_frames_say_of_their_senders_is_checked_reported_and_shown() {
    const STEER_AND_WHEEL: &str = "VERSION \"\"\nBU_: ECU\nBO_ 288 STEER: 8 ECU\n SG_ Angle : 32|16@1- (1,0) [0|0] \"\" ECU\n\
                                   BO_ 304 WHEEL: 8 ECU\n SG_ AliveCounter : 0|4@1+ (1,0) [0|15] \"\" ECU\n";
    let folder = folder();
    fs::write(folder.path().join("sick.log"), sick_log()).unwrap();
    fs::write(folder.path().join("sick.dbc"), STEER_AND_WHEEL).unwrap();
    let config = "[store]\npath = \"ring.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[bus]]\nkind = \"replay\"\n\
                  name = \"can0\"\nfile = \"sick.log\"\nspeed = \"max\"\ndbc = [\"sick.dbc\"]\n\
                  [[bus.e2e]]\nmessage = \"STEER\"\nprofile = \"P05\"\ndata_id = 0x1234\n";
    fs::write(folder.path().join("car.toml"), config).unwrap();
    let (code, out, _) = texts(&ecu_daemon(folder.path(), &["check", "car.toml"], ""));
    let protected = "car.toml: can0: protected: 120 STEER: P05, Data ID 0x1234, 8 bytes from byte 0 on";
    assert!(code == 0 && out.contains(protected), "{out}");

    let log = folder.path().join("daemon.log");
    let mut child = command(folder.path(), &["run", "--config", "car.toml"])
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let page = loop {
        let page = metrics(&fs::read_to_string(&log).unwrap()).unwrap_or_default();
        if page.contains("ecu_daemon_observed_frames_total{bus=\"can0\"} 1000") {
            break page;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{page}");
        std::thread::sleep(Duration::from_millis(50));
    };
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
    for line in [
        "ecu_daemon_observed_identifiers{bus=\"can0\"} 2",
        "ecu_daemon_observed_e2e_total{bus=\"can0\",status=\"wrong_crc\"} 40",
        "ecu_daemon_observed_e2e_total{bus=\"can0\",status=\"initial\"} 1",
        "ecu_daemon_message_e2e_bad_total{bus=\"can0\",message=\"STEER\",id=\"120\"} 79",
        "ecu_daemon_message_cycle_seconds{bus=\"can0\",message=\"STEER\",id=\"120\"} 0.02",
        "ecu_daemon_message_overdue_cycles{bus=\"can0\",message=\"STEER\",id=\"120\"} 0",
        "ecu_daemon_message_conflict{bus=\"can0\",message=\"WHEEL\",id=\"130\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    let log = fs::read_to_string(&log).unwrap();
    let reports = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(reports("end-to-end protection does not hold"), 1, "{log}");
    assert_eq!(reports("two senders share an identifier"), 1, "{log}");
    let conflict = "bus=\"can0\" name=\"WHEEL\" id=130";
    assert!(log.contains(conflict) && log.contains("status=\"wrong_crc\""), "{log}");
}

/// What /metrics says, at the address that the daemon's log names.
fn metrics(log: &str) -> Option<String> {
    let address = log.split_once("http://")?.1.split_once("/metrics")?.0;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ecu\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}
