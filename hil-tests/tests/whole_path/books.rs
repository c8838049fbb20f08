//! The daemon's books, as its metrics show them: what went in is somewhere, at any time.

use std::time::Duration;

use hil_tests::{Metrics, Mode, until};

use crate::recording::Counts;
use crate::route::{Plan, Speed, own};

/// Frames that may be between capture and the engine's last word: the queue, and 100 ms of a drive replayed tenfold.
const UNDER_WAY_MAX: u64 = 4096 + 500;
const OUTCOMES: [&str; 7] =
    ["decoded", "unmatched", "control", "filtered", "malformed", "dropped_kernel", "dropped_queue"];
const REST_WITHIN: Duration = Duration::from_secs(40);

#[test]
fn the_books_balance_while_it_runs_and_afterwards() {
    let mut route = own("books", Plan::new(Speed::Times(10), Mode::Service));
    let wanted = route.recording.counts;
    let samples = route.recording.expected.samples();
    let mut looks = 0;
    let last = until("everything is received and acknowledged", REST_WITHIN, || {
        let metrics = route.daemon.metrics()?;
        let (received, accounted) = check_at_any_time(&metrics);
        looks += 1;
        let waiting = metrics.sum("ecu_daemon_ring_waiting_records", &[]);
        let sealed = metrics.sum("ecu_daemon_ring_records_total", &[("state", "sealed")]);
        (received == wanted.received && accounted == received && sealed >= samples && waiting == 0)
            .then_some(metrics)
    });
    assert!(looks > 20, "looked at the books only {looks} times");
    let outcome = |outcome| last.sum("ecu_daemon_frames_total", &[("bus", "can0"), ("outcome", outcome)]);
    let found = Counts {
        received: last.sum("ecu_daemon_frames_received_total", &[("bus", "can0")]),
        decoded: outcome("decoded"),
        unmatched: outcome("unmatched"),
        control: outcome("control"),
        malformed: outcome("malformed"),
        filtered: outcome("filtered"),
        short: last.sum("ecu_daemon_frames_short_total", &[("bus", "can0")]),
    };
    assert_eq!(found, wanted);
    for state in ["taken", "sealed"] {
        assert_eq!(
            last.sum("ecu_daemon_records_total", &[("kind", "sample"), ("state", state)]),
            samples,
            "{state}"
        );
    }
    for state in ["sealed", "acked"] {
        assert_eq!(last.sum("ecu_daemon_ring_records_total", &[("state", state)]), samples, "ring: {state}");
    }
    let batches = |state| last.sum("ecu_daemon_uplink_batches_total", &[("state", state)]);
    assert_eq!(batches("sent"), batches("acked"), "nobody disturbed the connection");
    route.until_everything_has_arrived();
    assert_eq!(route.gateway.metrics().sum("ecu_gateway_samples_total", &[]), samples);
    let status = route.daemon.stop();
    assert!(status.success(), "the daemon ended with {status}");
    route.compare();
}

/// What holds at any time; gives frames received and frames accounted for.
fn check_at_any_time(metrics: &Metrics) -> (u64, u64) {
    let received = metrics.sum("ecu_daemon_frames_received_total", &[]);
    let accounted: u64 =
        OUTCOMES.iter().map(|name| metrics.sum("ecu_daemon_frames_total", &[("outcome", name)])).sum();
    assert_eq!(
        accounted,
        metrics.sum("ecu_daemon_frames_total", &[]),
        "an outcome that this test does not know"
    );
    assert!(
        accounted <= received && received - accounted <= UNDER_WAY_MAX,
        "{received} received, {accounted} accounted for"
    );
    let ring = |state| metrics.sum("ecu_daemon_ring_records_total", &[("state", state)]);
    let waiting = metrics.sum("ecu_daemon_ring_waiting_records", &[]);
    assert_eq!(
        ring("sealed"),
        ring("acked") + waiting + ring("evicted_full") + ring("evicted_damaged"),
        "the ring's books do not balance"
    );
    for lost in ["ecu_daemon_writer_dropped_records_total", "ecu_daemon_ring_commit_failures_total"] {
        assert_eq!(metrics.sum(lost, &[]), 0, "{lost}");
    }
    (received, accounted)
}
