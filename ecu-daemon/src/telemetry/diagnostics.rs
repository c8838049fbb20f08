//! Diagnostic messages, of the buses where they are followed.

use can_decode::isotp::{Abandon, Ignored};
use metrics::{counter, describe_counter};

use crate::status::Status;

pub(super) fn describe() {
    describe_counter!(
        "ecu_daemon_diagnostic_messages_total",
        "Complete diagnostic messages by kind: request, positive, negative, pending (an ECU asks for time), unrecognised."
    );
    describe_counter!(
        "ecu_daemon_diagnostic_requests_unanswered_total",
        "Requests without a response in time, as of the last message of the bus."
    );
    describe_counter!(
        "ecu_daemon_diagnostic_messages_cut_off_total",
        "Diagnostic messages that began and were not completed, by reason."
    );
    describe_counter!(
        "ecu_daemon_diagnostic_frames_ignored_total",
        "Frames on diagnostic identifiers that are no part of a message, by reason."
    );
}

/// Brings them up to date.
pub(super) fn update(status: &Status) {
    let counts = status.diagnostics().clone();
    for (name, counts) in status.bus_names.iter().zip(counts) {
        let Some(counts) = counts else { continue };
        let seen = &counts.exchanges;
        for (kind, value) in [
            ("request", seen.requests),
            ("positive", seen.positive),
            ("negative", seen.negative),
            ("pending", seen.pending),
            ("unrecognised", seen.unrecognised),
        ] {
            counter!("ecu_daemon_diagnostic_messages_total", "bus" => name.clone(), "kind" => kind)
                .absolute(value);
        }
        counter!("ecu_daemon_diagnostic_requests_unanswered_total", "bus" => name.clone())
            .absolute(seen.unanswered);
        for reason in Abandon::ALL {
            counter!("ecu_daemon_diagnostic_messages_cut_off_total", "bus" => name.clone(), "reason" => reason.text())
                .absolute(counts.transport.abandoned(reason));
        }
        for reason in Ignored::ALL {
            counter!("ecu_daemon_diagnostic_frames_ignored_total", "bus" => name.clone(), "reason" => reason.text())
                .absolute(counts.transport.ignored(reason));
        }
    }
}
