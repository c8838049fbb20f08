//! The stream of frames and log lines: order, rates, traces, repeatability.

use std::collections::BTreeMap;
use std::time::Duration;

use can_decode::{CanId, TraceContext};

use super::buses::{BATTERY, BUSES, CHASSIS, battery, chassis};
use super::{Drive, DriveLog, Timed};

fn drive(seed: u64, seconds: u64) -> (Vec<Timed>, Vec<DriveLog>) {
    let mut drive = Drive::new(seed, Duration::from_secs(seconds));
    let (mut frames, mut logs) = (Vec::new(), Vec::new());
    while let Some(timed) = drive.next() {
        frames.push(timed);
        let lines = drive.take_logs();
        assert!(lines.iter().all(|line| line.at_ns <= timed.at_ns), "a line from after its frame: {lines:?}");
        logs.extend(lines);
    }
    assert!(drive.next().is_none(), "a drive that is over stays over");
    (frames, logs)
}

/// Time and trace context of each frame of a message, those without a context left out.
fn contexts(frames: &[Timed], bus: usize, id: CanId) -> Vec<(i64, TraceContext)> {
    let message = BUSES[bus].iter().find(|message| message.id == id).unwrap();
    let own = frames.iter().filter(|timed| timed.bus == bus && timed.frame.id() == id);
    let parsed =
        own.map(|timed| (timed.at_ns, TraceContext::parse(&timed.frame.data()[message.context.unwrap()..])));
    parsed.filter_map(|(at_ns, context)| Some((at_ns, context.ok()?))).collect()
}

#[test]
fn a_seed_repeats_its_drive_and_another_does_not() {
    let first = drive(5, 4);
    assert!(first == drive(5, 4), "the same seed gave two drives");
    assert!(first.0 != drive(6, 4).0, "two seeds gave one drive");
}

#[test]
fn time_runs_forwards_to_the_end() {
    for seconds in [1, 10, 40] {
        let (frames, logs) = drive(3, seconds);
        let end_ns = seconds as i64 * 1_000_000_000;
        assert!(frames.is_sorted_by_key(|timed| timed.at_ns) && logs.is_sorted_by_key(|line| line.at_ns));
        let (first, last) = (frames[0].at_ns, frames[frames.len() - 1].at_ns);
        assert!((0..10_000_000).contains(&first), "first frame at {first} ns");
        assert!((end_ns - 10_000_000..end_ns).contains(&last), "last frame of {seconds} s at {last} ns");
    }
    assert!(Drive::new(1, Duration::ZERO).next().is_none());
}

#[test]
fn no_bus_carries_two_frames_at_once() {
    let (frames, _) = drive(9, 10);
    let mut free_ns = [0; BUSES.len()];
    for timed in &frames {
        let message = BUSES[timed.bus].iter().find(|message| message.id == timed.frame.id()).unwrap();
        assert!(timed.at_ns >= free_ns[timed.bus], "{} at {} ns", message.id, timed.at_ns);
        free_ns[timed.bus] = timed.at_ns + message.wire_ns(timed.bus == super::buses::SLOW_BUS);
    }
}

#[test]
fn cyclic_messages_keep_their_cycle() {
    let (frames, _) = drive(2, 12);
    let mut times: BTreeMap<(usize, CanId), Vec<i64>> = BTreeMap::new();
    for timed in &frames {
        times.entry((timed.bus, timed.frame.id())).or_default().push(timed.at_ns);
    }
    for (bus, message) in
        BUSES.iter().enumerate().flat_map(|(bus, all)| all.iter().map(move |one| (bus, one)))
    {
        // Messages that events bring forward are looked at below.
        if message.cycle_ms == 0 || message.context.is_some() {
            continue;
        }
        let cycle_ns = i64::from(message.cycle_ms) * 1_000_000;
        let times = &times[&(bus, message.id)];
        assert!((12_000 / i64::from(message.cycle_ms) - times.len() as i64).abs() <= 1, "{}", message.id);
        // The slow bus makes a frame wait for up to six others of 1 ms.
        let slack_ns = if bus == super::buses::SLOW_BUS { 7_000_000 } else { 2_000_000 };
        let even = times.windows(2).all(|pair| (pair[1] - pair[0] - cycle_ns).abs() < slack_ns);
        assert!(even, "{} strays from {} ms", message.id, message.cycle_ms);
        assert!(
            times.windows(3).any(|three| three[1] - three[0] != three[2] - three[1]),
            "{} has no jitter",
            message.id
        );
    }
}

#[test]
fn every_brake_request_is_answered_in_its_trace_after_3_to_8_ms() {
    let mut found = 0;
    for seed in 0..4 {
        let (frames, logs) = drive(seed, 20);
        let requests = contexts(&frames, CHASSIS, chassis::BRAKE_REQUEST);
        let responses = contexts(&frames, CHASSIS, chassis::BRAKE_RESPONSE);
        for ((asked_ns, asked), (answered_ns, answered)) in requests.iter().zip(&responses) {
            assert_eq!(asked.trace_id, answered.trace_id);
            assert_ne!(asked.span_id, answered.span_id);
            let took_ns = answered_ns - asked_ns;
            assert!((3_000_000..=8_000_000).contains(&took_ns), "{took_ns} ns");
            let told = logs.iter().filter(|line| line.trace_id == Some(asked.trace_id)).count();
            assert_eq!(told, 2, "lines of a brake event");
            assert!(asked.flags.sampled(), "{asked:?}");
        }
        // The drive may end between a request and its answer.
        assert!(
            requests.len() - responses.len() <= 1,
            "{} requests, {} answers",
            requests.len(),
            responses.len()
        );
        found += responses.len();
    }
    assert!(found >= 12, "{found} brake events in 80 s");
}

#[test]
fn the_breakdown_is_one_trace_on_the_bus_and_in_the_logs() {
    for seconds in [10, 60] {
        let (frames, logs) = drive(4, seconds);
        let faults = contexts(&frames, BATTERY, battery::BMS_FAULT);
        assert_eq!(faults.len(), 3, "flow, hot, overheated");
        let trace_id = faults[0].1.trace_id;
        assert!(faults.iter().all(|(_, context)| context.trace_id == trace_id));
        let answers = contexts(&frames, BATTERY, battery::POWER_LIMIT_RESPONSE);
        let took_ns = answers[0].0 - faults[2].0;
        assert!(answers.len() == 1 && answers[0].1.trace_id == trace_id, "{answers:?}");
        assert!((3_000_000..=8_000_000).contains(&took_ns), "{took_ns} ns");
        let cyclic =
            frames.iter().filter(|timed| timed.bus == BATTERY && timed.frame.id() == battery::BMS_FAULT);
        assert_eq!(cyclic.count() as u64, seconds + 3, "one a second besides the three");
        let count =
            |level| logs.iter().filter(|line| line.level == level && line.trace_id == Some(trace_id)).count();
        assert_eq!(
            (count("WARN"), count("ERROR")),
            (5, 2),
            "pump, flow, hot, two lamps; overheated, limp home"
        );
        let errors = logs.iter().filter(|line| line.level == "ERROR").count();
        assert_eq!(errors, 2, "nothing else is an error");
    }
}

#[test]
fn services_log_a_few_lines_per_second() {
    let (_, logs) = drive(8, 20);
    assert!((2 * 20..10 * 20).contains(&logs.len()), "{} lines in 20 s", logs.len());
}
