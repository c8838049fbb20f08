//! From what services sent to the records that are kept.

use std::sync::Arc;

use store::block::limits::{NAME_BYTES_MAX, SPAN_ATTRIBUTES_MAX};
use store::block::{
    AttributeValue, ClockSource, LocalSpan, LogRecord, Severity, SpanFailure, SpanKind, SpanLink, SpanLinks,
    SpanOrigin, SpanRecord, SpanStatus,
};

use super::read::{Scalar, SentLog, SentSpan};
use super::wire::Malformed;
use crate::clock;

/// Bytes of a log text that come further: the block cuts it to half of that, and says so.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// `STATUS_CODE_*` of trace/v1/trace.proto.
const STATUS_OK: u64 = 1;
const STATUS_ERROR: u64 = 2;
/// What is exported was sampled.
const SAMPLED: u8 = 1;

/// A span of a local service, in its message's bytes.
///
/// # Errors
/// Why it is none, for the sender.
pub(super) fn span(service: &str, message: &[u8]) -> Result<SpanRecord, String> {
    let span = SentSpan::read(service, message).map_err(in_words)?;
    let trace_id = id(span.trace_id).ok_or("a span without a trace id of 16 bytes that are not all zero")?;
    let span_id = id(span.span_id).ok_or("a span without a span id of 8 bytes that are not all zero")?;
    let parent_span_id = match span.parent_span_id {
        [] => None,
        bytes => Some(id(bytes).ok_or("a span whose parent's id is not 8 bytes, or all zero")?),
    };
    let start_ns = time(span.start_ns).ok_or("a span without a start time after 1970")?;
    let status = match span.status {
        STATUS_OK => SpanStatus::Ok,
        STATUS_ERROR => SpanStatus::Error(SpanFailure::Message(name(span.status_message))),
        _ => SpanStatus::Unset,
    };
    let links = links(&span).map_err(in_words)?;
    let (attributes, attributes_cut) = attributes(&span).map_err(in_words)?;
    let local = LocalSpan {
        service: name(span.service),
        name: name(span.name),
        kind: SpanKind::from_otlp(i32::try_from(span.kind).unwrap_or(0)),
        attributes,
        attributes_cut,
    };
    Ok(SpanRecord {
        trace_id,
        span_id: Some(span_id),
        parent_span_id,
        flags: SAMPLED,
        start_ns,
        duration_ns: span.end_ns.saturating_sub(span.start_ns),
        clock: ClockSource::UserSpace,
        origin: SpanOrigin::Local(Box::new(local)),
        status,
        links,
    })
}

/// A log record of a local service, likewise.
///
/// # Errors
/// Why it is none, for the sender.
pub(super) fn log(service: &str, message: &[u8]) -> Result<LogRecord, String> {
    let log = SentLog::read(service, message).map_err(in_words)?;
    let body = match log.body.ok_or("a log record whose body is no text and no number")? {
        Scalar::Text(text) => cut(text, TEXT_BYTES_MAX).to_owned(),
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Double(value) => value.to_string(),
    };
    // 0 is "not specified".
    let severity = u8::try_from(log.severity).ok().and_then(Severity::from_number).unwrap_or(Severity::INFO);
    let trace = match (log.trace_id, log.span_id) {
        ([], _) => None,
        (trace_id, span_id) => {
            let trace_id = id(trace_id).ok_or("a log record whose trace id is not 16 bytes, or all zero")?;
            Some((trace_id, id(span_id).unwrap_or([0; 8])))
        }
    };
    Ok(LogRecord {
        time_ns: time(log.time_ns).or_else(|| time(log.observed_ns)).unwrap_or_else(|| clock::realtime().0),
        clock: ClockSource::UserSpace,
        severity,
        service: cut(log.service, NAME_BYTES_MAX).to_owned(),
        body,
        trace,
    })
}

fn in_words(malformed: Malformed) -> String {
    format!("a record that is {malformed}")
}

/// Ids of all zeros are invalid (W3C Trace Context §3.2.2).
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}

/// 0 says that it is not known.
fn time(ns: u64) -> Option<i64> {
    i64::try_from(ns).ok().filter(|ns| *ns > 0)
}

fn links(span: &SentSpan<'_>) -> Result<SpanLinks, Malformed> {
    let mut links = SpanLinks::default();
    for link in span.links() {
        let link = link?;
        // Links without ids lead nowhere.
        if let (Some(trace_id), Some(span_id)) = (id(link.trace_id), id(link.span_id)) {
            links.push(SpanLink { trace_id, span_id });
        }
    }
    Ok(links)
}

/// Key and value of each, and for how many there was no room.
type Attributes = (Vec<(Arc<str>, AttributeValue)>, u32);

fn attributes(span: &SentSpan<'_>) -> Result<Attributes, Malformed> {
    let (mut attributes, mut more) = (Vec::new(), 0);
    for attribute in span.attributes() {
        let (key, value) = attribute?;
        if attributes.len() >= SPAN_ATTRIBUTES_MAX {
            more += 1;
            continue;
        }
        let value = match value {
            Some(Scalar::Text(text)) => AttributeValue::Text(name(text)),
            Some(Scalar::Bool(value)) => AttributeValue::Bool(value),
            Some(Scalar::Int(value)) => AttributeValue::Int(value),
            Some(Scalar::Double(value)) => AttributeValue::Double(value),
            // Lists and bytes have no place.
            None => {
                more += 1;
                continue;
            }
        };
        attributes.push((name(key), value));
    }
    Ok((attributes, more))
}

fn name(text: &str) -> Arc<str> {
    Arc::from(cut(text, NAME_BYTES_MAX))
}

/// At most so many bytes of it, up to a character: what waits for the engine is bounded.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
