//! What is in an export request: spans and log records, each with its service, in place.
//!
//! Field numbers are those of opentelemetry-proto 1.x: `trace/v1/trace.proto`, `logs/v1/logs.proto`,
//! `common/v1/common.proto`, `resource/v1/resource.proto`. The request for spans and the one for log records have the same
//! frame: field 1 of the request is the records of one resource, whose field 1 is the resource, and whose field 2 the
//! records of one scope, whose field 2 is a record.

use super::wire::{Fields, Malformed, Value};

const SERVICE_NAME: &[u8] = b"service.name";
/// What a service is called that does not say its name, as in the log socket.
const UNKNOWN: &str = "unknown";

/// A value of an attribute or a body, as far as it is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
}

/// A span as it was sent. What was not there is empty or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SentSpan<'a> {
    pub(super) service: &'a str,
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
    pub(super) parent_span_id: &'a [u8],
    pub(super) name: &'a str,
    /// `SPAN_KIND_*`.
    pub(super) kind: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// `STATUS_CODE_*`.
    pub(super) status: u64,
    pub(super) status_message: &'a str,
    /// The message itself, for what there may be several of.
    message: &'a [u8],
}

/// A link of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link<'a> {
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
}

/// A log record as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SentLog<'a> {
    pub(super) service: &'a str,
    pub(super) time_ns: u64,
    pub(super) observed_ns: u64,
    pub(super) severity: u64,
    /// `None` when there is none, or it is none of these.
    pub(super) body: Option<Scalar<'a>>,
    pub(super) trace_id: &'a [u8],
    pub(super) span_id: &'a [u8],
}

/// Visits the records of a request, in their order, each with its service and its message.
///
/// # Errors
/// [`Malformed`], maybe after some were visited.
pub(super) fn records<'a>(
    request: &'a [u8],
    mut visit: impl FnMut(&'a str, &'a [u8]),
) -> Result<(), Malformed> {
    for resource in messages(request, 1) {
        let resource = resource?;
        let mut service = UNKNOWN;
        // Fields may come in any order.
        for described in messages(resource, 1) {
            service = name(described?)?.unwrap_or(service);
        }
        for scope in messages(resource, 2) {
            for record in messages(scope?, 2) {
                visit(service, record?);
            }
        }
    }
    Ok(())
}

/// The messages, texts or bytes of one field.
fn messages(message: &[u8], wanted: u32) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok((number, Value::Bytes(bytes))) if number == wanted => Some(Ok(bytes)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

/// A resource's `service.name`.
fn name(resource: &[u8]) -> Result<Option<&str>, Malformed> {
    let mut found = None;
    for attribute in messages(resource, 1) {
        if let (key, Some(Scalar::Text(name))) = key_value(attribute?)?
            && key == SERVICE_NAME
            && !name.is_empty()
        {
            found = Some(name);
        }
    }
    Ok(found)
}

fn key_value(message: &[u8]) -> Result<(&[u8], Option<Scalar<'_>>), Malformed> {
    let (mut key, mut value) = (&[][..], None);
    for field in Fields::of(message) {
        match field? {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2, Value::Bytes(bytes)) => value = scalar(bytes)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`; `None` for arrays, lists, bytes, and nothing.
fn scalar(message: &[u8]) -> Result<Option<Scalar<'_>>, Malformed> {
    let mut value = None;
    for field in Fields::of(message) {
        value = match field? {
            (1, Value::Bytes(bytes)) => Some(Scalar::Text(text(bytes)?)),
            (2, Value::Varint(bit)) => Some(Scalar::Bool(bit != 0)),
            (3, Value::Varint(bits)) => Some(Scalar::Int(bits as i64)),
            (4, Value::Fixed64(bits)) => Some(Scalar::Double(f64::from_bits(bits))),
            (5..=7, _) => None,
            _ => value,
        };
    }
    Ok(value)
}

/// Text is UTF-8, as the language asks.
fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed)
}

impl<'a> SentSpan<'a> {
    pub(super) fn read(service: &'a str, message: &'a [u8]) -> Result<Self, Malformed> {
        let mut span = Self { service, message, ..Self::default() };
        for field in Fields::of(message) {
            match field? {
                (1, Value::Bytes(bytes)) => span.trace_id = bytes,
                (2, Value::Bytes(bytes)) => span.span_id = bytes,
                (4, Value::Bytes(bytes)) => span.parent_span_id = bytes,
                (5, Value::Bytes(bytes)) => span.name = text(bytes)?,
                (6, Value::Varint(kind)) => span.kind = kind,
                (7, Value::Fixed64(ns)) => span.start_ns = ns,
                (8, Value::Fixed64(ns)) => span.end_ns = ns,
                (15, Value::Bytes(status)) => span.read_status(status)?,
                _ => {}
            }
        }
        Ok(span)
    }

    fn read_status(&mut self, status: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::of(status) {
            match field? {
                (2, Value::Bytes(bytes)) => self.status_message = text(bytes)?,
                (3, Value::Varint(code)) => self.status = code,
                _ => {}
            }
        }
        Ok(())
    }

    /// Its attributes; `None` for values that are lists or bytes.
    pub(super) fn attributes(
        &self,
    ) -> impl Iterator<Item = Result<(&'a str, Option<Scalar<'a>>), Malformed>> {
        messages(self.message, 9).map(|attribute| {
            let (key, value) = key_value(attribute?)?;
            Ok((text(key)?, value))
        })
    }

    /// Its links.
    pub(super) fn links(&self) -> impl Iterator<Item = Result<Link<'a>, Malformed>> {
        messages(self.message, 13).map(|message| {
            let mut link = Link::default();
            for field in Fields::of(message?) {
                match field? {
                    (1, Value::Bytes(bytes)) => link.trace_id = bytes,
                    (2, Value::Bytes(bytes)) => link.span_id = bytes,
                    _ => {}
                }
            }
            Ok(link)
        })
    }
}

impl<'a> SentLog<'a> {
    pub(super) fn read(service: &'a str, message: &'a [u8]) -> Result<Self, Malformed> {
        let mut log = Self { service, ..Self::default() };
        for field in Fields::of(message) {
            match field? {
                (1, Value::Fixed64(ns)) => log.time_ns = ns,
                (2, Value::Varint(number)) => log.severity = number,
                (5, Value::Bytes(body)) => log.body = scalar(body)?,
                (9, Value::Bytes(bytes)) => log.trace_id = bytes,
                (10, Value::Bytes(bytes)) => log.span_id = bytes,
                (11, Value::Fixed64(ns)) => log.observed_ns = ns,
                _ => {}
            }
        }
        Ok(log)
    }
}
