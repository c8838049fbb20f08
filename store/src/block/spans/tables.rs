//! What the spans of a block have in common, each written once.

use std::collections::HashMap;
use std::hash::Hash;

use can_decode::CanId;

use super::super::wire::{put_text, put_varint};
use super::record::{
    AttributeValue, BusSpan, BusSpanKind, LocalSpan, SignalValues, SpanFailure, SpanOrigin, SpanRecord,
    SpanStatus,
};

/// Different values by their place, in the order of their first appearance.
pub(super) struct Table<T> {
    pub(super) entries: Vec<T>,
    places: HashMap<T, u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Table<T> {
    fn add(&mut self, value: T) {
        let next = self.entries.len() as u64;
        self.places.entry(value).or_insert_with(|| {
            self.entries.push(value);
            next
        });
    }

    pub(super) fn place(&self, value: T) -> u64 {
        self.places.get(&value).copied().unwrap_or(0)
    }

    fn put(&self, out: &mut Vec<u8>, mut put: impl FnMut(&mut Vec<u8>, &T)) {
        put_varint(out, self.entries.len() as u64);
        self.entries.iter().for_each(|entry| put(out, entry));
    }
}

/// What spans of a bus have in common with others of the same message.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    kind: u8,
    service: u8,
    message: u32,
    id: Option<CanId>,
    tick_ns: u32,
    pub(super) signals: usize,
    signal: [u16; SignalValues::MAX],
}

impl Place {
    pub(super) fn of(span: &BusSpan) -> Self {
        let (kind, service) = match span.kind {
            BusSpanKind::Frame => (0, 0),
            BusSpanKind::Exchange => (1, 0),
            BusSpanKind::Message => (2, 0),
            BusSpanKind::Diagnostic(service) => (3, service.0),
        };
        Self {
            kind,
            service,
            message: span.message,
            id: span.id,
            tick_ns: span.sample.map_or(0, |sample| sample.tick_ns.max(1)),
            signals: span.signals.len(),
            signal: span.signals.signals(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        if self.kind == 3 {
            out.push(self.service);
        }
        put_varint(out, u64::from(self.message));
        put_varint(out, self.id.map_or(0, |id| u64::from(id.with_extended_bit()) + 1));
        put_varint(out, u64::from(self.tick_ns));
        out.push(self.signals as u8);
        self.signal.iter().take(self.signals).for_each(|&signal| put_varint(out, u64::from(signal)));
    }
}

/// What is written once for all spans.
#[derive(Default)]
pub(super) struct Tables<'a> {
    pub(super) traces: Table<[u8; 16]>,
    pub(super) ids: Table<[u8; 8]>,
    pub(super) places: Table<Place>,
    pub(super) texts: Table<&'a str>,
}

impl<'a> Tables<'a> {
    pub(super) fn of(spans: &'a [SpanRecord]) -> Self {
        let mut tables = Self::default();
        for span in spans {
            tables.traces.add(span.trace_id);
            span.parent_span_id.into_iter().chain(span.span_id).for_each(|id| tables.ids.add(id));
            for link in span.links.iter() {
                tables.traces.add(link.trace_id);
                tables.ids.add(link.span_id);
            }
            match &span.origin {
                SpanOrigin::Bus(bus) => tables.places.add(Place::of(bus)),
                SpanOrigin::Local(local) => tables.add_local(local),
            }
            if let SpanStatus::Error(SpanFailure::Message(text)) = &span.status {
                tables.texts.add(text);
            }
        }
        tables
    }

    fn add_local(&mut self, local: &'a LocalSpan) {
        self.texts.add(&local.service);
        self.texts.add(&local.name);
        for (key, value) in &local.attributes {
            self.texts.add(key);
            if let AttributeValue::Text(text) = value {
                self.texts.add(text);
            }
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.traces.put(out, |out, id| out.extend_from_slice(id));
        self.ids.put(out, |out, id| out.extend_from_slice(id));
        self.places.put(out, |out, place| place.put(out));
        self.texts.put(out, |out, text| put_text(out, text));
    }

    pub(super) fn origin(&self, span: &SpanRecord) -> u64 {
        match &span.origin {
            SpanOrigin::Bus(bus) => self.places.place(Place::of(bus)),
            SpanOrigin::Local(local) => self.places.entries.len() as u64 + local.kind as u64 - 1,
        }
    }

    /// 0 for none.
    pub(super) fn id(&self, id: Option<[u8; 8]>) -> u64 {
        id.map_or(0, |id| self.ids.place(id) + 1)
    }
}
