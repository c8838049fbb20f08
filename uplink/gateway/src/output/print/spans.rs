//! Spans as JSON lines.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use store::block::{AttributeValue, BusSpan, BusSpanKind, LocalSpan, SpanOrigin, SpanRecord, service_name};

use super::super::hex;
use super::{Number, TimeFields, number};
use crate::opened::{id_of, signals_of};
use crate::schemas::{MessageNames, SignalNames};
use crate::times::Note;

#[derive(Serialize)]
pub(super) struct SpanLine<'a> {
    time_unix_nano: i64,
    duration_nano: u64,
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u8,
    name: Cow<'a, str>,
    span_kind: &'static str,
    #[serde(flatten)]
    origin: Origin<'a>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "is_zero")]
    links_cut: u32,
    clock: &'static str,
    #[serde(flatten)]
    time: TimeFields,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Origin<'a> {
    Bus(BusLine<'a>),
    Local(LocalLine<'a>),
}

#[derive(Serialize)]
struct BusLine<'a> {
    bus: &'a str,
    id: String,
    message: &'a str,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uds_service: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signals: Vec<SignalValue<'a>>,
}

#[derive(Serialize)]
struct SignalValue<'a> {
    signal: &'a str,
    raw: Number,
    value: f64,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

#[derive(Serialize)]
struct LocalLine<'a> {
    service: &'a str,
    origin: &'static str,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    attributes_cut: u32,
}

#[derive(Serialize)]
struct Link {
    trace_id: String,
    span_id: String,
}

/// As one object, in the order in which they came.
struct Attributes<'a>(&'a LocalSpan);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.attributes.len()))?;
        for (key, value) in &self.0.attributes {
            match value {
                AttributeValue::Text(text) => map.serialize_entry(key.as_ref(), text.as_ref())?,
                AttributeValue::Bool(value) => map.serialize_entry(key.as_ref(), value)?,
                AttributeValue::Int(value) => map.serialize_entry(key.as_ref(), value)?,
                AttributeValue::Double(value) => map.serialize_entry(key.as_ref(), value)?,
            }
        }
        map.end()
    }
}

impl<'a> SpanLine<'a> {
    /// `message` is that of a span on a bus, which has one.
    pub(super) fn new(
        span: &'a SpanRecord,
        id: [u8; 8],
        message: Option<&'a MessageNames>,
        note: Note,
    ) -> Option<Self> {
        let origin = match (&span.origin, message) {
            (SpanOrigin::Local(local), _) => Origin::Local(LocalLine {
                service: &local.service,
                origin: "service",
                attributes: Attributes(local),
                attributes_cut: local.attributes_cut,
            }),
            (SpanOrigin::Bus(bus), message) => Origin::Bus(BusLine::new(bus, message?)),
        };
        let link = |link: &store::block::SpanLink| Link {
            trace_id: hex(&link.trace_id),
            span_id: hex(&link.span_id),
        };
        Some(Self {
            time_unix_nano: span.start_ns,
            duration_nano: span.duration_ns,
            trace_id: hex(&span.trace_id),
            span_id: hex(&id),
            parent_span_id: span.parent_span_id.map(|parent| hex(&parent)),
            flags: span.flags,
            name: span.name(message.map_or("", |message| &message.name)),
            span_kind: span.kind().name(),
            origin,
            status: span.status.name(),
            error: span.status.failure().map(ToString::to_string),
            links: span.links.iter().map(link).collect(),
            links_cut: span.links.cut,
            clock: span.clock.name(),
            time: TimeFields::of(note),
        })
    }
}

impl<'a> BusLine<'a> {
    fn new(bus: &'a BusSpan, message: &'a MessageNames) -> Self {
        let value = |(names, raw): (&'a SignalNames, u64)| SignalValue {
            signal: &names.signal.name,
            raw: number(&names.signal, raw),
            value: names.signal.physical(raw),
            unit: &names.signal.unit,
            label: names.signal.label(raw),
        };
        let uds_service = match bus.kind {
            BusSpanKind::Diagnostic(service) => Some(service_name(service)),
            BusSpanKind::Frame | BusSpanKind::Exchange | BusSpanKind::Message => None,
        };
        Self {
            bus: &message.bus,
            id: id_of(bus, message),
            message: &message.name,
            origin: bus.kind.name(),
            uds_service,
            signals: signals_of(bus, message).map(value).collect(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
