//! The whole path with real programs: a recording, `ecu-daemon`, Mosquitto, `ecu-gateway`, Prometheus.
//!
//! Nothing may be lost and nothing may change, whoever is killed on the way.

mod books;
mod decoder;
mod expected;
mod lines;
mod recording;
mod route;
mod strangers;
mod trouble;

use hil_tests::{Bench, Mode, say};

use crate::recording::Recording;
use crate::route::{Plan, Route, Speed, own};

#[test]
fn every_sample_of_our_own_recording_arrives() {
    let mut route = own("own", Plan::new(Speed::Max, Mode::Drain));
    route.until_drained();
    say(&format!("whole path: {} samples of our own recording", route.recording.expected.samples()));
    assert_eq!(route.check_everything_arrived().runs(), 1);
}

#[test]
fn every_sample_of_a_real_recording_arrives() {
    let Some(recording) = Recording::real() else {
        say("whole path: the data set with real recordings is not here; only our own is replayed");
        return;
    };
    let mut route = Route::start(Bench::new("real"), recording, Plan::new(Speed::Max, Mode::Drain));
    route.until_drained();
    say(&format!("whole path: {} samples of a real recording", route.recording.expected.samples()));
    assert_eq!(route.check_everything_arrived().runs(), 1);
}
