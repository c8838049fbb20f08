//! The whole path with real programs: a recording, `ecu-daemon`, Mosquitto, `ecu-gateway`, Prometheus.
//!
//! Nothing may be lost and nothing may change, whoever is killed on the way.

mod decoder;
mod expected;
mod lines;
mod recording;
mod route;

use std::thread::sleep;
use std::time::Duration;

use hil_tests::{Bench, Mode, say};

use crate::recording::Recording;
use crate::route::{Route, Speed};

/// How long something stays down after it was killed.
const DOWN: Duration = Duration::from_millis(700);

fn own(test: &str, speed: Speed, mode: Mode) -> Route {
    let bench = Bench::new(test);
    let recording = Recording::own(bench.folder());
    Route::start(bench, recording, speed, mode)
}

#[test]
fn every_sample_of_our_own_recording_arrives() {
    let mut route = own("own", Speed::Max, Mode::Drain);
    route.until_drained();
    let records = route.check_everything_arrived();
    assert_eq!(records.runs(), 1);
}

#[test]
fn every_sample_of_a_real_recording_arrives() {
    let Some(recording) = Recording::real() else {
        say("whole path: the data set with real recordings is not here; only our own was replayed");
        return;
    };
    let mut route = Route::start(Bench::new("real"), recording, Speed::Max, Mode::Drain);
    route.until_drained();
    say(&format!("whole path: {} samples of a real recording", route.recording.expected.samples()));
    route.check_everything_arrived();
}

#[test]
fn a_killed_gateway_costs_nothing() {
    let mut route = own("gateway", Speed::Times(10), Mode::Drain);
    route.until_part_has_arrived(0.2);
    route.gateway.kill();
    sleep(DOWN);
    route.gateway.restart();
    route.until_part_has_arrived(0.6);
    route.gateway.kill();
    sleep(DOWN);
    route.gateway.restart();
    route.until_drained();
    let records = route.check_everything_arrived();
    assert_eq!(records.runs(), 1);
}

#[test]
fn a_killed_broker_costs_nothing() {
    let mut route = own("broker", Speed::Times(10), Mode::Drain);
    route.until_part_has_arrived(0.3);
    route.broker.kill();
    sleep(DOWN);
    route.broker.restart();
    route.until_drained();
    let records = route.check_everything_arrived();
    assert_eq!(records.runs(), 1);
}

#[test]
fn a_killed_daemon_costs_nothing() {
    let mut route = own("daemon", Speed::Times(10), Mode::Drain);
    route.until_part_has_arrived(0.4);
    route.daemon.kill();
    sleep(DOWN);
    // The recording begins again; what was stored before is sent, too.
    route.daemon.restart();
    route.until_drained();
    let records = route.check_everything_arrived();
    assert_eq!(records.runs(), 2);
}
