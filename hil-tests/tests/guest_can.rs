//! The daemon as it ships, on a real kernel's CAN: what the generator sent is what the gateway prints. On the emulated
//! ECU, or on the real one that `HIL_TARGET` names.

mod guest_path;

use std::fmt::Write as _;
use std::time::Duration;

use guest_path::Path;
use hil_tests::guest::WITHIN;
use hil_tests::{say, until};

const NOTICED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn every_frame_of_every_kind_arrives() {
    let path = Path::start("kinds");
    let traffic =
        path.send("--rate 2000 --seconds 5 --mix classic=60,fd=25,traced=5,unmatched=5,remote=3,error=2");
    path.check_all(&traffic);
}

#[test]
fn twenty_thousand_frames_a_second_arrive() {
    let path = Path::start_metered("rate");
    let traffic = path.send("--rate 20000 --seconds 6 --mix classic=3,fd=1");
    path.check_all(&traffic);
}

#[test]
fn a_minute_at_twenty_thousand_frames_a_second_arrives() {
    let mut path = Path::start_metered_counting("minute");
    let traffic = path.send("--rate 20000 --seconds 60 --mix classic=3,fd=1");
    path.until_acknowledged(traffic.count("frames"));
    path.check_books(&traffic);
    path.until_counted(traffic.count("samples"));
}

#[test]
fn bursts_and_recordings_arrive() {
    let path = Path::start("bursts");
    let bursts = path.send("--rate 2000 --seconds 4 --burst 1000 --mix classic=1");
    // Two of a message, one of none, a remote frame, CAN FD where the bus takes it, and a line that is no frame.
    let fd = path.ecu.takes_fd();
    let mut recording = String::new();
    for i in 0..500 {
        let _ = write!(
            recording,
            "(1.{i:03}) can0 100#{i:08X}00000000\n(1.{i:03}) can0 100#00\n(1.{i:03}) can0 7F1#\n\
             (1.{i:03}) can0 100#R\nno frame\n"
        );
        if fd {
            let _ = writeln!(recording, "(1.{i:03}) can0 201##1{i:08X}");
        }
    }
    let log = path.ecu.path("recording.log");
    path.ecu.write(&log, &recording);
    let replay = path.send(&format!("--replay {log} --speed 2"));
    let replayed_fd = if fd { 500 } else { 0 };
    assert_eq!((replay.count("replayed"), replay.count("skipped")), (2000 + replayed_fd, 500));
    path.until_acknowledged(bursts.count("frames") + replay.count("replayed"));
    let metrics = path.metrics();
    let frames = |outcome| metrics.sum("ecu_daemon_frames_total", &[("outcome", outcome)]);
    let seen =
        ["decoded", "unmatched", "control", "dropped_kernel", "dropped_queue", "malformed"].map(frames);
    assert_eq!(seen, [bursts.count("decoded") + 1000 + replayed_fd, 500, 500, 0, 0, 0]);
    // The one byte of 100#00 and the four of 201 hold less than their messages.
    assert_eq!(metrics.sum("ecu_daemon_frames_short_total", &[]), 500 + replayed_fd);
}

#[test]
fn a_bus_that_goes_and_comes_is_opened_again() {
    let path = Path::start("reopened");
    let listen = &path.ecu.can().listen;
    let set = |state| format!("ip link set {listen} {state}");
    if path.ecu.attempt(&set("up"), WITHIN).status != 0 {
        say(&format!("skipped: only root may take {listen} away"));
        return;
    }
    let mut ways = vec![(set("down"), set("up"))];
    if path.ecu.made_can() {
        let add = format!("ip link add {listen} type vcan; {}", set("mtu 72 up"));
        ways.push((format!("ip link del {listen}"), add));
    }
    let until_open = |open| {
        until("the daemon sees the bus", NOTICED_WITHIN, || {
            (path.metrics().sum("ecu_daemon_bus_open", &[]) == open).then_some(())
        });
    };
    let mut sent = 0;
    for (away, back) in &ways {
        sent += path.send("--rate 1000 --seconds 1 --mix classic=1,fd=1").count("frames");
        path.ecu.run(away);
        until_open(0);
        path.ecu.run(back);
        until_open(1);
    }
    sent += path.send("--rate 1000 --seconds 1 --mix classic=1,fd=1").count("frames");
    path.until_acknowledged(sent);
    assert_eq!(path.metrics().sum("ecu_daemon_frames_received_total", &[]), sent);
    path.daemon().stop();
}
