//! The tables that SQL sees.

use std::ffi::CStr;

use can_decode::{FrameFlags, ValueKind};
use ecu_core::clock::{RecordTime, Worth};
use ecu_sys::sql::{self, Compare, Limit, Value, ValueRef};
use store::block::Kind;

use super::super::render::{frame_kind, hex};
use super::super::source::Place;
use super::super::span_text;
use super::super::walk::{Filter, Frame, Record, Walk};

/// A table and its columns; the first one is the time, in nanoseconds since 1970.
pub(super) struct Layout {
    pub(super) name: &'static str,
    kind: Kind,
    declaration: &'static CStr,
    /// Columns whose equality limits what is read.
    bus: Option<usize>,
    message: Option<usize>,
    signal: Option<usize>,
}

/// `raw` is an integer exactly; one beyond 2⁶³ − 1, which SQLite does not have, is its decimal digits as text.
pub(super) const TABLES: [Layout; 4] = [
    Layout {
        name: "samples",
        kind: Kind::Samples,
        declaration: c"CREATE TABLE x(time_ns INTEGER, bus TEXT, message TEXT, signal TEXT, raw, value REAL,
            unit TEXT, label TEXT, clock TEXT, time_basis TEXT, time_clock TEXT, time_error_ns INTEGER)",
        bus: Some(1),
        message: Some(2),
        signal: Some(3),
    },
    Layout {
        name: "spans",
        kind: Kind::Spans,
        declaration: c"CREATE TABLE x(time_ns INTEGER, bus TEXT, message TEXT, trace_id TEXT, span_id TEXT,
            parent_span_id TEXT, duration_ns INTEGER, clock TEXT, name TEXT, kind TEXT, origin TEXT, service TEXT,
            can_id TEXT, flags INTEGER, status TEXT, error TEXT, attributes TEXT, links TEXT, time_basis TEXT,
            time_clock TEXT, time_error_ns INTEGER)",
        bus: Some(1),
        message: Some(2),
        signal: None,
    },
    Layout {
        name: "logs",
        kind: Kind::Logs,
        declaration:
            c"CREATE TABLE x(time_ns INTEGER, severity TEXT, service TEXT, trace_id TEXT, span_id TEXT,
            body TEXT, clock TEXT, time_basis TEXT, time_clock TEXT, time_error_ns INTEGER)",
        bus: None,
        message: Some(2),
        signal: None,
    },
    Layout {
        name: "frames",
        kind: Kind::Frames,
        declaration:
            c"CREATE TABLE x(time_ns INTEGER, bus TEXT, id INTEGER, extended INTEGER, kind TEXT, brs INTEGER,
            esi INTEGER, length INTEGER, data BLOB, clock TEXT, time_basis TEXT, time_clock TEXT, time_error_ns INTEGER)",
        bus: Some(1),
        message: None,
        signal: None,
    },
];

/// A table of a ring.
pub(super) struct RingTable {
    pub(super) place: Place,
    pub(super) layout: &'static Layout,
}

struct RingRows {
    walk: Walk,
    row: Vec<Value>,
}

impl sql::Table for RingTable {
    fn declaration(&self) -> &'static CStr {
        self.layout.declaration
    }

    fn scan(&self, limits: &[Limit]) -> Result<Box<dyn sql::Rows>, String> {
        let source = self.place.open().map_err(|failure| failure.to_string())?;
        let walk = Walk::new(&source, self.layout.kind, self.layout.filter(limits));
        Ok(Box::new(RingRows { walk, row: Vec::new() }))
    }
}

impl Layout {
    /// What of the limits saves reading.
    fn filter(&self, limits: &[Limit]) -> Filter {
        let mut filter = Filter::default();
        let (mut message, mut signal) = (None, None);
        for Limit { column, compare, value } in limits {
            match value {
                // Whole nanoseconds: to leave out what is equal, too, is up to SQLite.
                Value::Integer(ns) if *column == 0 => {
                    if matches!(compare, Compare::Equal | Compare::Greater | Compare::GreaterOrEqual) {
                        filter.from_ns = filter.from_ns.max(*ns);
                    }
                    if matches!(compare, Compare::Equal | Compare::Less | Compare::LessOrEqual) {
                        filter.to_ns = filter.to_ns.min(*ns);
                    }
                }
                Value::Text(text) if *compare == Compare::Equal => {
                    if self.bus == Some(*column) {
                        filter.bus = Some(text.clone());
                    } else if self.message == Some(*column) {
                        message = Some(text);
                    } else if self.signal == Some(*column) {
                        signal = Some(text);
                    }
                }
                _ => {}
            }
        }
        // Names of DBC files are C identifiers, but a service's may have anything in it, such as a `*`: then SQLite
        // alone compares.
        let plain = |name: &&String| !name.contains(['*', '?']);
        filter.name = match (message.filter(plain), signal.filter(plain)) {
            (Some(message), Some(signal)) => Some(format!("{message}.{signal}")),
            (Some(name), None) | (None, Some(name)) => Some(name.clone()),
            (None, None) => None,
        };
        filter
    }
}

impl sql::Rows for RingRows {
    fn advance(&mut self) -> Result<bool, String> {
        self.row.clear();
        if !self.walk.advance().map_err(|error| format!("the ring cannot be read any further: {error}"))? {
            return Ok(false);
        }
        if let Some(record) = self.walk.record() {
            fill(&mut self.row, &record);
        }
        Ok(true)
    }

    fn value(&self, column: usize) -> ValueRef<'_> {
        self.row.get(column).map_or(ValueRef::Null, ValueRef::from)
    }
}

/// The values of a record in the order of its table's columns.
fn fill(row: &mut Vec<Value>, record: &Record<'_>) {
    let time = record.time();
    let text = |text: &str| Value::Text(text.to_owned());
    match record {
        Record::Sample(sample) => row.extend([
            Value::Integer(sample.time.utc_ns),
            text(sample.bus),
            text(&sample.message.name),
            text(&sample.signal.name),
            raw(sample.signal.kind, sample.raw),
            Value::Real(sample.signal.physical(sample.raw)),
            text(&sample.signal.unit),
            sample.signal.label(sample.raw).map_or(Value::Null, text),
            text(sample.clock.name()),
        ]),
        Record::Span(span) => row.extend([
            Value::Integer(span.time.utc_ns),
            span.place.map_or(Value::Null, |(bus, _)| text(bus)),
            span.place.map_or(Value::Null, |(_, message)| text(&message.name)),
            Value::Text(hex(&span.record.trace_id)),
            Value::Text(hex(&span.id)),
            span.record.parent_span_id.map_or(Value::Null, |parent| Value::Text(hex(&parent))),
            Value::Integer(i64::try_from(span.record.duration_ns).unwrap_or(i64::MAX)),
            text(span.record.clock.name()),
            text(&span.name()),
            text(span.record.kind().name()),
            text(span.origin()),
            span.service().map_or(Value::Null, text),
            span.can_id().map_or(Value::Null, |id| Value::Text(id.to_string())),
            Value::Integer(span.record.flags.into()),
            text(span.record.status.name()),
            span.record.status.failure().map_or(Value::Null, |failure| Value::Text(failure.to_string())),
            span_text::attributes(span).map_or(Value::Null, Value::Text),
            span_text::links(span).map_or(Value::Null, Value::Text),
        ]),
        Record::Frame(Frame { bus, raw, .. }) => {
            let frame = &raw.frame;
            let flag = |flag| Value::Integer(i64::from(frame.flags().contains(flag)));
            row.extend([
                Value::Integer(time.utc_ns),
                text(bus),
                Value::Integer(i64::from(frame.id().raw())),
                Value::Integer(i64::from(frame.id().is_extended())),
                text(frame_kind(frame)),
                flag(FrameFlags::BRS),
                flag(FrameFlags::ESI),
                Value::Integer(frame.len() as i64),
                Value::Blob(frame.data().to_vec()),
                text(raw.clock.name()),
            ]);
        }
        Record::Log(log, _) => row.extend([
            Value::Integer(time.utc_ns),
            text(log.severity.name()),
            text(&log.service),
            log.trace.map_or(Value::Null, |(trace_id, _)| Value::Text(hex(&trace_id))),
            log.trace.map_or(Value::Null, |(_, span_id)| Value::Text(hex(&span_id))),
            text(&log.body),
            text(log.clock.name()),
        ]),
    }
    row.extend(worth(time));
}

/// How a time was found, by which synchronised clock, and how wrong it may be.
fn worth(time: &RecordTime) -> [Value; 3] {
    let basis = (time.worth != Worth::Unknown).then(|| Value::Text(time.worth.name().to_owned()));
    let by = time.by.map(|clock| Value::Text(clock.to_string()));
    let error = time.error_ns.map(|error_ns| Value::Integer(i64::try_from(error_ns).unwrap_or(i64::MAX)));
    [basis, by, error].map(|value| value.unwrap_or(Value::Null))
}

fn raw(kind: ValueKind, raw: u64) -> Value {
    match (kind, i64::try_from(raw)) {
        (ValueKind::Signed, _) => Value::Integer(raw as i64),
        (_, Ok(number)) => Value::Integer(number),
        (_, Err(_)) => Value::Text(raw.to_string()),
    }
}
