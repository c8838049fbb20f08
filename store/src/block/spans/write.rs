//! Collecting spans, and writing them as a body.

use std::sync::Arc;

use super::super::wire::{put_varint, zigzag};
use super::super::{column, limits, logs};
use super::record::{
    AttributeValue, LocalSpan, SampleMark, SpanFailure, SpanLinks, SpanOrigin, SpanRecord, SpanStatus,
};
use super::tables::{Place, Tables};

/// Collects spans until they are sealed.
#[derive(Default)]
pub struct SpansBuilder {
    spans: Vec<SpanRecord>,
    local_bytes: usize,
}

impl SpansBuilder {
    /// Adds a span. Attributes beyond the limit are counted in it and left out; longer texts are cut at a character and
    /// end with `…`.
    pub fn push(&mut self, mut span: SpanRecord) {
        if let SpanOrigin::Local(local) = &mut span.origin {
            let cut = local.attributes.len().saturating_sub(limits::SPAN_ATTRIBUTES_MAX);
            local.attributes.truncate(limits::SPAN_ATTRIBUTES_MAX);
            local.attributes_cut =
                local.attributes_cut.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX));
            shorten(&mut local.service);
            shorten(&mut local.name);
            for (key, value) in &mut local.attributes {
                shorten(key);
                if let AttributeValue::Text(text) = value {
                    shorten(text);
                }
            }
        }
        if let SpanStatus::Error(SpanFailure::Message(text)) = &mut span.status {
            shorten(text);
        }
        self.local_bytes += local_bytes(&span);
        self.spans.push(span);
    }

    /// Spans collected; a block holds at most [`limits::SPANS_MAX`].
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// What local services wrote into them, about, bytes: whoever collects bounds it, as a body has an end.
    pub const fn local_bytes(&self) -> usize {
        self.local_bytes
    }

    /// Whether nothing is collected.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Earliest and latest start, nanoseconds; `None` when empty.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        let starts = || self.spans.iter().map(|span| span.start_ns);
        starts().min().zip(starts().max())
    }

    /// Writes the body to `out` and starts afresh.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        let tables = Tables::of(&self.spans);
        put_varint(out, self.spans.len() as u64);
        tables.put(out);
        let mut columns = Columns { out, values: Vec::new() };
        let rare = Rare::of(&self.spans);
        columns.out.push(rare.0);
        columns.put_spans(&self.spans, &tables, rare);
        if rare.has(Rare::LINKS) {
            columns.put_links(&self.spans, &tables);
        }
        columns.put_signals(&self.spans, &tables);
        columns.put_local(&self.spans, &tables);
        self.spans.clear();
        self.local_bytes = 0;
    }
}

/// Texts, and what attributes take beside them.
fn local_bytes(span: &SpanRecord) -> usize {
    let message = match &span.status {
        SpanStatus::Error(SpanFailure::Message(text)) => text.len(),
        SpanStatus::Unset | SpanStatus::Ok | SpanStatus::Error(_) => 0,
    };
    let SpanOrigin::Local(local) = &span.origin else { return message };
    let attributes = local.attributes.iter().map(|(key, value)| match value {
        AttributeValue::Text(text) => key.len() + text.len(),
        AttributeValue::Bool(_) | AttributeValue::Int(_) | AttributeValue::Double(_) => key.len(),
    });
    let fixed = size_of::<LocalSpan>() + local.attributes.len() * size_of::<(Arc<str>, AttributeValue)>();
    message + fixed + local.service.len() + local.name.len() + attributes.sum::<usize>()
}

fn shorten(text: &mut Arc<str>) {
    if text.len() > limits::NAME_BYTES_MAX {
        let mut shorter = text.as_ref().to_owned();
        logs::cut(&mut shorter, limits::NAME_BYTES_MAX);
        *text = shorter.into();
    }
}

/// Which of the columns that frames have no use for are there, as bits.
#[derive(Clone, Copy)]
struct Rare(u8);

impl Rare {
    const OWN: u8 = 1;
    const DURATIONS: u8 = 1 << 1;
    const STATUSES: u8 = 1 << 2;
    const LINKS: u8 = 1 << 3;

    fn of(spans: &[SpanRecord]) -> Self {
        let of_span = |span: &SpanRecord| {
            let bit = |bit, is_there| if is_there { bit } else { 0 };
            bit(Self::OWN, span.span_id.is_some())
                | bit(Self::DURATIONS, span.duration_ns != 0)
                | bit(Self::STATUSES, span.status != SpanStatus::Unset)
                | bit(Self::LINKS, span.links != SpanLinks::default())
        };
        Self(spans.iter().fold(0, |all, span| all | of_span(span)))
    }

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// Writes plain columns.
struct Columns<'a> {
    out: &'a mut Vec<u8>,
    values: Vec<u64>,
}

impl Columns<'_> {
    fn put(&mut self, values: impl Iterator<Item = u64>) {
        self.values.clear();
        self.values.extend(values);
        column::put(self.out, &self.values);
    }

    fn put_spans(&mut self, spans: &[SpanRecord], tables: &Tables<'_>, rare: Rare) {
        self.put(spans.iter().map(|span| tables.traces.place(span.trace_id)));
        self.put(spans.iter().map(|span| tables.id(span.parent_span_id)));
        if rare.has(Rare::OWN) {
            self.put(spans.iter().map(|span| tables.id(span.span_id)));
        }
        self.put(spans.iter().map(|span| span.flags.into()));
        // A plain column's differences are signed already.
        self.put(spans.iter().map(|span| span.start_ns as u64));
        if rare.has(Rare::DURATIONS) {
            self.put(spans.iter().map(|span| span.duration_ns));
        }
        self.put(spans.iter().map(|span| span.clock as u64));
        self.put(spans.iter().map(|span| tables.origin(span)));
        if !rare.has(Rare::STATUSES) {
            return;
        }
        self.put(spans.iter().map(|span| status(&span.status)));
        self.put(spans.iter().filter_map(|span| match &span.status {
            SpanStatus::Error(SpanFailure::Reported(raw)) => Some(*raw),
            SpanStatus::Error(SpanFailure::Refused(nrc)) => Some(nrc.0.into()),
            SpanStatus::Error(SpanFailure::Message(text)) => Some(tables.texts.place(text)),
            SpanStatus::Unset | SpanStatus::Ok | SpanStatus::Error(SpanFailure::NoResponse) => None,
        }));
    }

    fn put_links(&mut self, spans: &[SpanRecord], tables: &Tables<'_>) {
        self.put(spans.iter().map(|span| span.links.len() as u64));
        self.put(spans.iter().map(|span| span.links.cut.into()));
        let links = || spans.iter().flat_map(|span| span.links.iter());
        self.put(links().map(|link| tables.traces.place(link.trace_id)));
        self.put(links().map(|link| tables.ids.place(link.span_id)));
    }

    fn put_signals(&mut self, spans: &[SpanRecord], tables: &Tables<'_>) {
        let samples = spans.iter().filter_map(|span| span.bus()?.sample);
        self.put(
            samples.map(|sample: SampleMark| sample.slot_delay_ms.map_or(0, |delay| u64::from(delay) + 1)),
        );
        let mut by_place = vec![Vec::new(); tables.places.entries.len()];
        for span in spans.iter().filter_map(SpanRecord::bus) {
            if let Some(of_place) = by_place.get_mut(tables.places.place(Place::of(span)) as usize) {
                of_place.push(span.signals);
            }
        }
        for (of_place, place) in by_place.iter().zip(&tables.places.entries) {
            for signal in 0..place.signals {
                self.put(of_place.iter().filter_map(|values| Some(values.iter().nth(signal)?.1)));
            }
        }
    }

    fn put_local(&mut self, spans: &[SpanRecord], tables: &Tables<'_>) {
        let local = || {
            spans.iter().filter_map(|span| match &span.origin {
                SpanOrigin::Local(local) => Some(local),
                SpanOrigin::Bus(_) => None,
            })
        };
        let attributes = || local().flat_map(|local| &local.attributes);
        self.put(local().map(|local| tables.texts.place(&local.service)));
        self.put(local().map(|local| tables.texts.place(&local.name)));
        self.put(local().map(|local| local.attributes.len() as u64));
        self.put(local().map(|local| local.attributes_cut.into()));
        self.put(attributes().map(|(key, _)| tables.texts.place(key)));
        self.put(attributes().map(|(_, value)| match value {
            AttributeValue::Text(_) => 0,
            AttributeValue::Bool(_) => 1,
            AttributeValue::Int(_) => 2,
            AttributeValue::Double(_) => 3,
        }));
        self.put(attributes().map(|(_, value)| match value {
            AttributeValue::Text(text) => tables.texts.place(text),
            AttributeValue::Bool(value) => u64::from(*value),
            AttributeValue::Int(value) => zigzag(*value),
            AttributeValue::Double(value) => value.to_bits(),
        }));
    }
}

const fn status(status: &SpanStatus) -> u64 {
    match status {
        SpanStatus::Unset => 0,
        SpanStatus::Ok => 1,
        SpanStatus::Error(SpanFailure::NoResponse) => 2,
        SpanStatus::Error(SpanFailure::Reported(_)) => 3,
        SpanStatus::Error(SpanFailure::Refused(_)) => 4,
        SpanStatus::Error(SpanFailure::Message(_)) => 5,
    }
}
