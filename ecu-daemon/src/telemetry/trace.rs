//! What became of trace contexts, requests and spans, and of what local services brought.

use std::sync::atomic::Ordering::Relaxed;

use can_decode::isotp::{Abandon, Ignored};
use ecu_core::span::CarrierBooks;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::status::{BroughtCounters, Status};

pub(super) fn describe() {
    describe_counter!(
        "ecu_daemon_trace_contexts_total",
        "Places in frames and messages where a trace context may be: valid, absent (zeros), truncated, zero_ids, checksum, \
         malformed, unsettled, repeated (sent or played again: no second span)."
    );
    describe_counter!(
        "ecu_daemon_trace_requests_total",
        "Requests of pairs and conversations: opened = answered + unanswered + quiet + displaced + ended + waiting."
    );
    describe_gauge!("ecu_daemon_trace_requests_waiting", "Requests that wait for a response.");
    describe_counter!(
        "ecu_daemon_trace_requests_untraced_total",
        "Requests that belong to no trace; with `roots` they begin one."
    );
    describe_counter!(
        "ecu_daemon_trace_responses_unsolicited_total",
        "Responses to no request that waits: late ones, or ones whose request was not traced."
    );
    describe_counter!(
        "ecu_daemon_trace_unkeyed_total",
        "Requests and responses that are cut off before the signal that tells which belong together."
    );
    describe_counter!("ecu_daemon_trace_links_cut_total", "Links for which a span had no room.");
    describe_counter!(
        "ecu_daemon_trace_spans_total",
        "What was decided of spans: kept, kept_failed, kept_slow, unsampled (by their sender), by_ratio, by_limit."
    );
    describe_counter!(
        "ecu_daemon_trace_context_frames_total",
        "Context frames of classical CAN: all of them, malformed ones, and strays (of a context whose beginning was not seen)."
    );
    describe_counter!(
        "ecu_daemon_trace_classic_contexts_total",
        "Contexts on classical CAN: begun = complete + absent + damaged + unknown + interrupted + timed_out + under way; \
         complete = carried + replaced + missed + expired + waiting."
    );
    describe_gauge!(
        "ecu_daemon_trace_classic_contexts_open",
        "Contexts on classical CAN under way or waiting."
    );
    describe_counter!("ecu_daemon_trace_messages_total", "ISO-TP messages of traced conversations.");
    describe_counter!(
        "ecu_daemon_trace_messages_cut_off_total",
        "ISO-TP messages of traced conversations that began and were not completed, by reason."
    );
    describe_counter!(
        "ecu_daemon_trace_frames_ignored_total",
        "Frames of traced conversations that are no part of a message, by reason."
    );
    describe_counter!(
        "ecu_daemon_otlp_requests_total",
        "Requests of local services: taken, partly (some records rejected), refused, later (too many records a second)."
    );
    describe_counter!(
        "ecu_daemon_otlp_records_total",
        "Spans and log records of local services: taken, malformed, dropped."
    );
}

/// Brings them up to date.
pub(super) fn update(status: &Status) {
    let trace = status.trace().clone();
    let (contexts, spans, sampling) = (trace.books.contexts, trace.books.spans, trace.books.sampling);
    for (outcome, value) in [
        ("valid", contexts.valid),
        ("absent", contexts.absent),
        ("truncated", contexts.truncated),
        ("zero_ids", contexts.zero_ids),
        ("checksum", contexts.checksum),
        ("malformed", contexts.malformed),
        ("unsettled", contexts.unsettled),
        ("repeated", contexts.repeated),
    ] {
        counter!("ecu_daemon_trace_contexts_total", "outcome" => outcome).absolute(value);
    }
    for (outcome, value) in [
        ("opened", spans.opened),
        ("answered", spans.answered),
        ("unanswered", spans.unanswered),
        ("quiet", spans.quiet),
        ("displaced", spans.displaced),
        ("ended", spans.ended),
    ] {
        counter!("ecu_daemon_trace_requests_total", "outcome" => outcome).absolute(value);
    }
    gauge!("ecu_daemon_trace_requests_waiting").set(trace.waiting as f64);
    counter!("ecu_daemon_trace_requests_untraced_total").absolute(spans.untraced);
    counter!("ecu_daemon_trace_responses_unsolicited_total").absolute(spans.unsolicited);
    counter!("ecu_daemon_trace_unkeyed_total").absolute(spans.unkeyed);
    counter!("ecu_daemon_trace_links_cut_total").absolute(spans.links_cut);
    for (outcome, value) in [
        ("kept", sampling.kept),
        ("kept_failed", sampling.kept_failed),
        ("kept_slow", sampling.kept_slow),
        ("unsampled", sampling.unsampled),
        ("by_ratio", sampling.by_ratio),
        ("by_limit", sampling.by_limit),
    ] {
        counter!("ecu_daemon_trace_spans_total", "outcome" => outcome).absolute(value);
    }
    for (name, books) in status.bus_names.iter().zip(&trace.carriers) {
        if let Some(books) = books {
            carriers(name, books);
        }
    }
    intake(status);
}

fn carriers(bus: &str, books: &CarrierBooks) {
    let bus = bus.to_owned();
    let classic = &books.classic;
    for (outcome, value) in
        [("all", classic.frames), ("malformed", classic.malformed), ("stray", classic.strays)]
    {
        counter!("ecu_daemon_trace_context_frames_total", "bus" => bus.clone(), "outcome" => outcome)
            .absolute(value);
    }
    for (outcome, value) in [
        ("begun", classic.begun),
        ("complete", classic.complete),
        ("absent", classic.absent),
        ("damaged", classic.damaged),
        ("unknown", classic.unknown),
        ("interrupted", classic.interrupted),
        ("timed_out", classic.timed_out),
        ("carried", classic.carried),
        ("replaced", classic.replaced),
        ("missed", classic.missed),
        ("expired", classic.expired),
    ] {
        counter!("ecu_daemon_trace_classic_contexts_total", "bus" => bus.clone(), "outcome" => outcome)
            .absolute(value);
    }
    for (state, value) in [("under_way", books.under_way), ("waiting", books.waiting)] {
        gauge!("ecu_daemon_trace_classic_contexts_open", "bus" => bus.clone(), "state" => state)
            .set(value as f64);
    }
    let seen = &books.transport;
    counter!("ecu_daemon_trace_messages_total", "bus" => bus.clone()).absolute(seen.messages);
    for reason in Abandon::ALL {
        counter!("ecu_daemon_trace_messages_cut_off_total", "bus" => bus.clone(), "reason" => reason.text())
            .absolute(seen.abandoned(reason));
    }
    for reason in Ignored::ALL {
        counter!("ecu_daemon_trace_frames_ignored_total", "bus" => bus.clone(), "reason" => reason.text())
            .absolute(seen.ignored(reason));
    }
}

fn intake(status: &Status) {
    let intake = &status.intake;
    let requests = &intake.requests;
    for (outcome, value) in [
        ("taken", &requests.taken),
        ("partly", &requests.partly),
        ("refused", &requests.refused),
        ("later", &requests.later),
    ] {
        counter!("ecu_daemon_otlp_requests_total", "outcome" => outcome).absolute(value.load(Relaxed));
    }
    for (kind, BroughtCounters { taken, malformed, dropped }) in
        [("span", &intake.spans), ("log", &intake.logs)]
    {
        for (outcome, value) in [("taken", taken), ("malformed", malformed), ("dropped", dropped)] {
            counter!("ecu_daemon_otlp_records_total", "kind" => kind, "outcome" => outcome)
                .absolute(value.load(Relaxed));
        }
    }
}
