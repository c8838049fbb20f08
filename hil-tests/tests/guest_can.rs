//! The daemon as it ships, on a real kernel's CAN: what the generator sent is what the gateway prints.

mod guest_path;

use guest_path::Path;
use hil_tests::guest::Time;

fn check(test: &str, arguments: &str) {
    let path = Path::start(test);
    let traffic = path.send(arguments);
    path.until_acknowledged(traffic.count("frames"));
    path.check_books(&traffic);
    path.until_printed(traffic.count("samples"));
    path.printed().check_complete(&traffic);
}

#[test]
fn every_frame_of_every_kind_arrives() {
    check(
        "kinds",
        "vcan0 --rate 2000 --seconds 5 --mix classic=60,fd=25,traced=5,unmatched=5,remote=3,error=2",
    );
}

#[test]
fn twenty_thousand_frames_a_second_arrive() {
    check("rate", "vcan0 --rate 20000 --seconds 6 --mix classic=3,fd=1");
}

/// On a processor of its own speed, so that it does not matter how busy this machine is.
#[test]
fn a_minute_at_twenty_thousand_frames_a_second_arrives() {
    let mut path = Path::start_counting("minute", Time::Metered);
    let traffic = path.send("vcan0 --rate 20000 --seconds 60 --mix classic=3,fd=1");
    path.until_acknowledged(traffic.count("frames"));
    path.check_books(&traffic);
    path.until_counted(traffic.count("samples"));
}
