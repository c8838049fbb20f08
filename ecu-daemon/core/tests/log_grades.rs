//! Grading and sampling: what matters is kept, the rest within its budget, and counts can be estimated.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ecu_core::logs::grade::{CONTEXT_MAX, Grader, Kept, Policy, WINDOW_NS, Why};
use store::block::{ClockSource, LogRecord, Severity};

fn record(time_ns: i64, severity: Severity, service: &str, body: &str, trace: Option<u8>) -> LogRecord {
    LogRecord {
        time_ns,
        clock: ClockSource::UserSpace,
        severity,
        service: service.to_owned(),
        body: body.to_owned(),
        trace: trace.map(|id| ([id; 16], [1; 8])),
    }
}

fn take(grader: &mut Grader, record: LogRecord) -> Vec<Kept> {
    let mut kept = Vec::new();
    grader.take(record, &mut |one| kept.push(one));
    kept
}

fn check_books(grader: &Grader) {
    let totals = grader.totals();
    assert_eq!(totals.received, totals.kept + totals.sampled_out + totals.below_level, "{totals:?}");
}

#[test]
fn each_level_has_its_treatment() {
    let long = "x".repeat(5_000);
    for (severity, share, kept) in [
        (Severity::FATAL, 0.0, Some((Why::Error, 5_000))),
        (Severity::ERROR, 0.0, Some((Why::Error, 5_000))),
        (Severity::WARN, 0.0, Some((Why::Level, 5_000))),
        (Severity::INFO, 0.0, Some((Why::Level, 1_024))),
        (Severity::DEBUG, 0.0, None),
        (Severity::DEBUG, 1.0, Some((Why::Level, 1_024))),
    ] {
        let mut grader = Grader::new(Policy { debug_share: share, ..Policy::default() });
        let given = take(&mut grader, record(0, severity, "app", &long, None));
        let found = given.first().map(|kept| (kept.why, kept.record.body.len()));
        assert_eq!((found, given.len()), (kept, usize::from(kept.is_some())), "{severity:?}");
        check_books(&grader);
    }
}

#[test]
fn an_error_brings_what_its_service_said_before_it_once() {
    let mut grader = Grader::new(Policy::default());
    for line in 0..50 {
        take(&mut grader, record(line, Severity::DEBUG, "app", &format!("step {line}"), None));
        take(&mut grader, record(line, Severity::DEBUG, "other", "not mine", None));
    }
    let kept = take(&mut grader, record(50, Severity::ERROR, "app", "failed", None));
    assert_eq!(kept.len(), CONTEXT_MAX + 1);
    assert_eq!((kept[0].record.body.as_str(), kept[0].why), ("step 30", Why::Context));
    assert_eq!((kept[CONTEXT_MAX].record.body.as_str(), kept[CONTEXT_MAX].why), ("failed", Why::Error));
    assert_eq!(take(&mut grader, record(51, Severity::ERROR, "app", "again", None)).len(), 1);
    check_books(&grader);
}

#[test]
fn a_service_has_a_policy_of_its_own() {
    let least = [("loud", Severity::WARN), ("dear", Severity::DEBUG)];
    let least = least.map(|(name, severity)| (name.to_owned(), severity)).into();
    let mut grader = Grader::new(Policy { least, ..Policy::default() });
    assert!(take(&mut grader, record(0, Severity::INFO, "loud", "x", None)).is_empty());
    assert_eq!(take(&mut grader, record(0, Severity::DEBUG, "dear", "x", None))[0].why, Why::Level);
    check_books(&grader);
}

/// Ten times the budget: it is kept to, and the probabilities tell how many there were.
#[test]
fn a_storm_keeps_to_the_budget_and_can_be_counted() {
    const LINES: i64 = 20_000;
    let mut grader = Grader::new(Policy { budget: 1_000, ..Policy::default() });
    let mut estimates = Vec::new();
    for window in 0..10 {
        let (mut kept, mut estimate) = (0, 0.0);
        for line in 0..LINES {
            let time = window * WINDOW_NS + line * (WINDOW_NS / LINES);
            for one in take(&mut grader, record(time, Severity::INFO, "app", "again", None)) {
                kept += 1;
                estimate += 1.0 / f64::from(one.probability);
            }
        }
        assert!(kept <= if window == 0 { 6_000 } else { 1_400 }, "{kept} in window {window}");
        if window > 0 {
            estimates.push(estimate);
        }
    }
    let mean = estimates.iter().sum::<f64>() / estimates.len() as f64;
    assert!((mean / LINES as f64 - 1.0).abs() < 0.05, "{estimates:?}");
    check_books(&grader);
}

/// Errors widen the budget of the next window's records.
#[test]
fn while_errors_come_more_is_kept() {
    let kept = |errors: bool| {
        let mut grader = Grader::new(Policy { budget: 100, ..Policy::default() });
        let mut kept = 0;
        for line in 0..4_000 {
            let time = line * (WINDOW_NS / 1_000);
            if errors && line % 100 == 0 {
                take(&mut grader, record(time, Severity::ERROR, "other", "failed", None));
            }
            kept += take(&mut grader, record(time, Severity::INFO, "app", "again", None)).len();
        }
        kept
    };
    let (calm, troubled) = (kept(false), kept(true));
    assert!(troubled > 2 * calm, "{calm} {troubled}");
}

#[test]
fn a_trace_is_kept_whole_or_not_at_all_and_whole_from_its_error_on() {
    let mut grader = Grader::new(Policy { debug_share: 0.3, ..Policy::default() });
    let mut of_trace = [0; 64];
    for line in 0..10_i64 {
        for (trace, lines) in (0..).zip(&mut of_trace) {
            *lines += take(&mut grader, record(line, Severity::DEBUG, "app", "x", Some(trace))).len();
        }
    }
    assert!(of_trace.iter().all(|&lines| lines == 0 || lines == 10), "{of_trace:?}");
    assert!(of_trace.contains(&0) && of_trace.contains(&10));
    let dropped = of_trace.iter().position(|&lines| lines == 0).unwrap() as u8;
    take(&mut grader, record(11, Severity::ERROR, "app", "failed", Some(dropped)));
    let after = take(&mut grader, record(12, Severity::DEBUG, "app", "x", Some(dropped)));
    assert_eq!((after.len(), after[0].why), (1, Why::Level));
    check_books(&grader);
}
