//! Spans with the names that belong to them.

use std::sync::Arc;

use store::block::{BlockError, BusSpan, ClockSource, Identity, SpanRecord};

use super::NO_MESSAGE;
use crate::schemas::{MessageNames, ResolvedSchema, SignalNames};
use crate::times::{Notes, Placing};

/// Spans and what their messages are called.
#[derive(Debug)]
pub(crate) struct NamedSpans {
    spans: Vec<SpanRecord>,
    /// By how much their times were put right, nanoseconds; empty before.
    moved_ns: Vec<i64>,
    schema: Arc<ResolvedSchema>,
}

impl NamedSpans {
    /// Checks that the schema has what they refer to.
    pub(super) fn new(spans: Vec<SpanRecord>, schema: Arc<ResolvedSchema>) -> Result<Self, BlockError> {
        for bus in spans.iter().filter_map(SpanRecord::bus) {
            let message = schema.message(bus.message as usize).ok_or(NO_MESSAGE)?;
            if bus.signals.iter().any(|(signal, _)| usize::from(signal) >= message.signals.len()) {
                return Err(BlockError::Schema("a span has a signal that its message does not have"));
            }
        }
        Ok(Self { spans, moved_ns: Vec::new(), schema })
    }

    /// Puts their times right.
    pub(super) fn place(&mut self, placing: Placing<'_>) -> Notes {
        let shown_ns: Vec<i64> = self.spans.iter().map(|span| span.start_ns).collect();
        let times = self.spans.iter_mut().map(|span| (span.clock, &mut span.start_ns, span.duration_ns));
        let notes = placing.records(times);
        let moved = self.spans.iter().zip(shown_ns);
        self.moved_ns = moved.map(|(span, shown_ns)| span.start_ns.saturating_sub(shown_ns)).collect();
        notes
    }

    /// The spans, in the order of the block.
    pub(crate) fn records(&self) -> &[SpanRecord] {
        &self.spans
    }

    /// The samples that go with spans, in the order of the spans. `block` is that of the spans.
    pub(crate) fn marked(&self, block: Identity) -> Vec<Marked<'_>> {
        let mut all = Vec::new();
        for (row, record) in (0..).zip(&self.spans) {
            // The mark is of the time that the clock showed; samples move as far as the span does.
            let moved_ns = self.moved_ns.get(row as usize).copied().unwrap_or(0);
            let shown_ns = record.start_ns.saturating_sub(moved_ns);
            let Some(span) = record.bus() else { continue };
            let (Some(message), Some(sample)) = (self.message(span), span.sample) else { continue };
            all.extend(signals_of(span, message).map(|(names, raw)| Marked {
                trace_id: record.trace_id,
                span_id: record.id(block, row),
                message,
                names,
                clock: record.clock,
                row: row as usize,
                time_ns: sample.time_ns(shown_ns).saturating_add(moved_ns),
                slot_ms:
                    sample.slot_ms(shown_ns).map(|slot| slot.saturating_add(moved_ns.div_euclid(1_000_000))),
                raw,
            }));
        }
        all
    }

    /// The message of a span on a bus; there is one.
    pub(crate) fn message(&self, span: &BusSpan) -> Option<&MessageNames> {
        self.schema.message(span.message as usize)
    }
}

/// A sample that goes with a span.
pub(crate) struct Marked<'a> {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) message: &'a MessageNames,
    pub(crate) names: &'a SignalNames,
    pub(crate) clock: ClockSource,
    /// The span's row in its block.
    pub(crate) row: usize,
    /// The sample's time, nanoseconds since 1970.
    pub(crate) time_ns: i64,
    /// Its slot, see [`store::block::SlotMillis`].
    pub(crate) slot_ms: Option<i64>,
    raw: u64,
}

impl Marked<'_> {
    /// Its physical value.
    pub(crate) fn value(&self) -> f64 {
        self.names.signal.physical(self.raw)
    }
}

/// The signals that go with a span of this message, and their raw values.
pub(crate) fn signals_of<'a>(
    span: &'a BusSpan,
    message: &'a MessageNames,
) -> impl Iterator<Item = (&'a SignalNames, u64)> {
    span.signals.iter().filter_map(|(signal, raw)| Some((message.signals.get(usize::from(signal))?, raw)))
}

/// A span's identifier on the bus as candump writes it: its own, else that of its message.
pub(crate) fn id_of(span: &BusSpan, message: &MessageNames) -> String {
    span.id.map_or_else(|| message.id.clone(), |id| id.to_string())
}
