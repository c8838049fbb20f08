//! Spans of buses and of local services, each below the service that it is of.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, SpanFlags, Status, span, status,
};
use prost::Message as _;
use store::block::{
    AttributeValue, BusSpan, BusSpanKind, LocalSpan, SpanFailure, SpanOrigin, SpanRecord, SpanStatus,
    service_name,
};

use super::super::parcel::RECORDS_MAX;
use super::super::post::Mailbox;
use super::{clock_attribute, resource, scope, text, time, time_attributes};
use crate::opened::{NamedSpans, Opened, id_of, signals_of};
use crate::schemas::MessageNames;

/// Most bytes of local services' texts in one piece: collectors refuse large requests, and a piece cannot be halved.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Puts the spans of a block into the mailbox.
pub(super) async fn put(spans: &NamedSpans, block: &Opened, job: &str, mailbox: &mut Mailbox) {
    let all = spans.records();
    let mut rest = all;
    while !rest.is_empty() {
        let first_row = (all.len() - rest.len()) as u32;
        let (piece, later) = rest.split_at(fitting(rest));
        rest = later;
        let mut services = Vec::<(&str, Vec<Span>)>::new();
        for (row, record) in (first_row..).zip(piece) {
            let (service, span) = match &record.origin {
                SpanOrigin::Bus(bus) => {
                    let Some(message) = spans.message(bus) else { continue };
                    (job, of_bus(block, row, record, bus, message))
                }
                SpanOrigin::Local(local) => (local.service.as_ref(), of_service(block, row, record, local)),
            };
            match services.iter_mut().find(|(known, _)| *known == service) {
                Some((_, spans)) => spans.push(span),
                None => services.push((service, vec![span])),
            }
        }
        let resource_spans = services.into_iter().map(|(service, spans)| {
            let scope_spans =
                vec![ScopeSpans { scope: Some(scope(Vec::new())), spans, ..ScopeSpans::default() }];
            let resource = Some(resource(service, &block.vehicle));
            ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }
        });
        let request = ExportTraceServiceRequest { resource_spans: resource_spans.collect() };
        mailbox.put(&request.encode_to_vec(), piece.len()).await;
    }
}

/// How many of the first spans make one piece; at least one.
fn fitting(spans: &[SpanRecord]) -> usize {
    let mut bytes = 0;
    let fits = spans.iter().take(RECORDS_MAX).take_while(|span| {
        if let SpanOrigin::Local(local) = &span.origin {
            bytes += text_bytes(local);
        }
        bytes <= TEXT_BYTES_MAX
    });
    fits.count().max(1)
}

fn text_bytes(local: &LocalSpan) -> usize {
    let attributes = local.attributes.iter().map(|(key, value)| match value {
        AttributeValue::Text(text) => key.len() + text.len(),
        AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_) => key.len(),
    });
    local.name.len() + attributes.sum::<usize>()
}

/// What all spans have.
fn span(block: &Opened, row: u32, record: &SpanRecord) -> Span {
    let start = time(record.start_ns);
    let link = |link: &store::block::SpanLink| span::Link {
        trace_id: link.trace_id.to_vec(),
        span_id: link.span_id.to_vec(),
        ..span::Link::default()
    };
    Span {
        trace_id: record.trace_id.to_vec(),
        span_id: record.id(block.header.identity, row).to_vec(),
        parent_span_id: record.parent_span_id.map_or(Vec::new(), |parent| parent.to_vec()),
        flags: record.flags.into(),
        // Ours have OpenTelemetry's numbers.
        kind: record.kind() as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(record.duration_ns),
        links: record.links.iter().map(link).collect(),
        dropped_links_count: record.links.cut,
        status: status(&record.status),
        ..Span::default()
    }
}

fn of_bus(block: &Opened, row: u32, record: &SpanRecord, bus: &BusSpan, message: &MessageNames) -> Span {
    let mut attributes = vec![
        text("can.bus", &message.bus),
        text("can.id", &id_of(bus, message)),
        text("can.message", &message.name),
        clock_attribute(record.clock),
    ];
    attributes.extend(time_attributes(block.note(row as usize)));
    if let BusSpanKind::Diagnostic(service) = bus.kind {
        attributes.push(text("rpc.system.name", "uds"));
        attributes.push(text("rpc.method", &service_name(service)));
        attributes.push(text("uds.service.id", &format!("0x{:02X}", service.0)));
    }
    if let Some(failure) = record.status.failure() {
        attributes.extend(failure.class().map(|class| text("error.type", &class)));
        if let SpanFailure::Refused(nrc) = failure {
            attributes.push(text("rpc.response.status_code", &format!("0x{:02X}", nrc.0)));
        }
    }
    for (names, raw) in signals_of(bus, message) {
        let key = format!("can.signal.{}", names.signal.name);
        if !names.unit.ucum().is_empty() {
            attributes.push(text(&format!("{key}.unit"), names.unit.ucum()));
        }
        attributes.extend(names.signal.label(raw).map(|label| text(&format!("{key}.label"), label)));
        attributes.push(attribute(&key, any_value::Value::DoubleValue(names.signal.physical(raw))));
    }
    // The parent is in another ECU, which the flags say beside those of the trace (bits 8 and 9).
    let remote = SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32;
    let plain = span(block, row, record);
    let flags = plain.flags | if record.parent_span_id.is_some() { remote } else { 0 };
    Span { name: record.name(&message.name).into_owned(), flags, attributes, ..plain }
}

fn of_service(block: &Opened, row: u32, record: &SpanRecord, local: &LocalSpan) -> Span {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => any_value::Value::StringValue(text.to_string()),
        AttributeValue::Bool(value) => any_value::Value::BoolValue(*value),
        AttributeValue::Int(value) => any_value::Value::IntValue(*value),
        AttributeValue::Double(value) => any_value::Value::DoubleValue(*value),
    };
    let attributes = local.attributes.iter().map(|(key, attribute)| self::attribute(key, value(attribute)));
    Span {
        name: local.name.to_string(),
        attributes: attributes
            .chain([clock_attribute(record.clock)])
            .chain(time_attributes(block.note(row as usize)))
            .collect(),
        dropped_attributes_count: local.attributes_cut,
        ..span(block, row, record)
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn status(status: &SpanStatus) -> Option<Status> {
    let (code, message) = match status {
        SpanStatus::Unset => return None,
        SpanStatus::Ok => (status::StatusCode::Ok, String::new()),
        SpanStatus::Error(failure) => (status::StatusCode::Error, failure.to_string()),
    };
    Some(Status { code: code.into(), message })
}
