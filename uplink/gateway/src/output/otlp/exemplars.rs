//! Samples that a span goes with, as exemplars.
//!
//! A block of spans has what they take, so that no copy of the gateway needs the samples' own block: each point is the
//! sample once more, with the same attributes, time and value, and the span beside it.

use opentelemetry_proto::tonic::metrics::v1::{Exemplar, NumberDataPoint, exemplar, number_data_point};

use super::super::parcel::RECORDS_MAX;
use super::super::post::Mailbox;
use super::metrics::{Collected, attributes};
use super::time;
use crate::opened::{Marked, NamedSpans, Opened};

/// Puts the samples of the spans of a block into the mailbox.
pub(super) async fn put(spans: &NamedSpans, block: &Opened, job: &str, mailbox: &mut Mailbox) {
    let mut collected = Collected::default();
    for marked in spans.marked(block.header.identity) {
        let point = (block.note(marked.row), point(&marked));
        collected.take(marked.clock, &marked.names.unit, &mut [point].into_iter());
        if collected.points == RECORDS_MAX {
            let piece = std::mem::take(&mut collected).encode(&block.vehicle, job);
            mailbox.put(&piece, RECORDS_MAX).await;
        }
    }
    let points = collected.points;
    if points > 0 {
        mailbox.put(&collected.encode(&block.vehicle, job), points).await;
    }
}

fn point(marked: &Marked<'_>) -> NumberDataPoint {
    let (time, value) = (time(marked.time_ns), marked.value());
    let exemplar = Exemplar {
        time_unix_nano: time,
        value: Some(exemplar::Value::AsDouble(value)),
        trace_id: marked.trace_id.to_vec(),
        span_id: marked.span_id.to_vec(),
        ..Exemplar::default()
    };
    NumberDataPoint {
        attributes: attributes(marked.message, marked.names),
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsDouble(value)),
        exemplars: vec![exemplar],
        ..NumberDataPoint::default()
    }
}
