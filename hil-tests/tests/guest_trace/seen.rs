//! What a trace back end would show.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::receiver::Arrived;

/// Spans and log records, each once, however often it was delivered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) spans: Vec<SpanSeen>,
    pub(crate) logs: Vec<LogSeen>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpanSeen {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// 0 unset, 1 good, 2 failed.
    pub(crate) status: i32,
    /// Trace and span.
    pub(crate) links: Vec<(String, String)>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogSeen {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) body: String,
    uid: Option<String>,
}

impl Seen {
    pub(crate) fn new(arrived: &Arrived) -> Self {
        let mut seen = Self::default();
        for resource in arrived.traces.iter().flat_map(|request| &request.resource_spans) {
            let service = service(resource.resource.as_ref());
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let span = SpanSeen {
                    service: service.clone(),
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    name: span.name.clone(),
                    start_ns: span.start_time_unix_nano,
                    end_ns: span.end_time_unix_nano,
                    status: span.status.as_ref().map_or(0, |status| status.code),
                    links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                    attributes: attributes(&span.attributes),
                };
                if !seen.spans.iter().any(|other| (&other.trace, &other.id) == (&span.trace, &span.id)) {
                    seen.spans.push(span);
                }
            }
        }
        for resource in arrived.logs.iter().flat_map(|request| &request.resource_logs) {
            let service = service(resource.resource.as_ref());
            for log in resource.scope_logs.iter().flat_map(|scope| &scope.log_records) {
                let body = log.body.as_ref().and_then(|body| body.value.as_ref());
                let log = LogSeen {
                    service: service.clone(),
                    trace: hex(&log.trace_id),
                    span: hex(&log.span_id),
                    body: body.map(text).unwrap_or_default(),
                    uid: attributes(&log.attributes).remove("log.record.uid"),
                };
                // Events of the daemon's own are of no trace.
                if !log.trace.is_empty() && !seen.logs.contains(&log) {
                    seen.logs.push(log);
                }
            }
        }
        seen
    }
}

impl SpanSeen {
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = attributes(resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default());
    attributes.get("service.name").cloned().unwrap_or_default()
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value =
        |attribute: &KeyValue| attribute.value.as_ref().and_then(|value| value.value.as_ref()).map(text);
    attributes.iter().filter_map(|attribute| Some((attribute.key.clone(), value(attribute)?))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// As ids are written.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // A `String` takes any text.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
