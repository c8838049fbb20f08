//! Trace contexts seen on a bus, as spans of kind CONSUMER.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, span};
use prost::Message as _;
use store::block::{SpanRecord, span_id};

use super::super::parcel::RECORDS_MAX;
use super::super::post::Mailbox;
use super::{clock_attribute, resource, scope, text, time, time_attributes};
use crate::opened::{NamedSpans, Opened};
use crate::schemas::MessageNames;

/// Puts the spans of a block into the mailbox.
pub(super) async fn put(spans: &NamedSpans, block: &Opened, job: &str, mailbox: &mut Mailbox) {
    for (chunk, records) in spans.records().chunks(RECORDS_MAX).enumerate() {
        let rows = (chunk * RECORDS_MAX) as u32..;
        let spans = rows
            .zip(records)
            .filter_map(|(row, span)| Some(self::span(block, row, span, spans.message(span)?)));
        let spans = spans.collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope(Vec::new())), spans, ..ScopeSpans::default() }];
        let resource = Some(resource(job, &block.vehicle));
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        mailbox.put(&ExportTraceServiceRequest { resource_spans }.encode_to_vec(), records.len()).await;
    }
}

fn span(block: &Opened, row: u32, record: &SpanRecord, message: &MessageNames) -> Span {
    let start = time(record.start_ns);
    let parent = record.parent_span_id;
    // The parent is in another ECU, which the flags say beside those of the trace (bits 8 and 9).
    let remote = SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32;
    Span {
        trace_id: record.trace_id.to_vec(),
        span_id: span_id(block.header.identity, row).to_vec(),
        parent_span_id: if parent == [0; 8] { Vec::new() } else { parent.to_vec() },
        flags: u32::from(record.flags) | remote,
        name: message.name.clone(),
        kind: span::SpanKind::Consumer.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(record.duration_ns),
        attributes: [
            text("can.bus", &message.bus),
            text("can.id", &message.id),
            text("can.message", &message.name),
            clock_attribute(record.clock),
        ]
        .into_iter()
        .chain(time_attributes(block.note(row as usize)))
        .collect(),
        ..Span::default()
    }
}
