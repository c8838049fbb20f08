//! Span bodies: what trace contexts on the bus say, as columns.

use super::wire::{Reader, put_varint, unzigzag, zigzag};
use super::{BlockError, ClockSource, Identity, column, limits};
use sha2::{Digest, Sha256};

/// A frame that carried a trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRecord {
    /// The trace it belongs to (W3C Trace Context §3.2.2.3).
    pub trace_id: [u8; 16],
    /// The span that sent the frame: the parent of ours (§3.2.2.4).
    pub parent_span_id: [u8; 8],
    /// Trace flags as on the wire (§3.2.2.5).
    pub flags: u8,
    /// Time of the frame, nanoseconds since 1970.
    pub start_ns: i64,
    /// Length, nanoseconds; 0 for a single frame.
    pub duration_ns: u64,
    /// The clock of `start_ns`.
    pub clock: ClockSource,
    /// Index into the schema's messages.
    pub message: u32,
}

/// The span id of row `row` of a block: derived from the block's identity, so that it needs no bytes on the wire and
/// a block that is delivered twice gives the same span twice.
pub fn span_id(block: Identity, row: u32) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(block.boot.0);
    hash.update(block.run.to_le_bytes());
    hash.update(block.sequence.to_le_bytes());
    hash.update(row.to_le_bytes());
    let digest = hash.finalize();
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    // All zeros is not a valid span id.
    id[0] |= u8::from(id == [0; 8]);
    id
}

/// Collects spans until they are sealed.
#[derive(Default)]
pub struct SpansBuilder {
    spans: Vec<SpanRecord>,
    column: Vec<u64>,
}

impl SpansBuilder {
    /// Adds a span.
    pub fn push(&mut self, span: SpanRecord) {
        self.spans.push(span);
    }

    /// Spans collected.
    pub fn len(&self) -> usize {
        self.spans.len()
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
        let spans = core::mem::take(&mut self.spans);
        put_varint(out, spans.len() as u64);
        spans.iter().for_each(|span| out.extend_from_slice(&span.trace_id));
        spans.iter().for_each(|span| out.extend_from_slice(&span.parent_span_id));
        spans.iter().for_each(|span| out.push(span.flags));
        spans.iter().for_each(|span| out.push(span.clock as u8));
        let columns: [fn(&SpanRecord) -> u64; 3] =
            [|span| zigzag(span.start_ns), |span| span.duration_ns, |span| u64::from(span.message)];
        for value in columns {
            self.column.clear();
            self.column.extend(spans.iter().map(value));
            column::put(out, &self.column);
        }
        self.spans = spans;
        self.spans.clear();
    }
}

/// Reads a span body.
///
/// # Errors
/// [`BlockError`] when it is cut off, exceeds the limits or has left-overs.
pub fn read_spans(body: &[u8]) -> Result<Vec<SpanRecord>, BlockError> {
    let mut reader = Reader::new(body);
    let count = reader.count("spans", limits::ROWS_MAX)?;
    let trace_ids = reader.bytes(16 * count)?;
    let parents = reader.bytes(8 * count)?;
    let flags = reader.bytes(count)?;
    let clocks = reader.bytes(count)?;
    let starts = column::read(&mut reader, count)?;
    let durations = column::read(&mut reader, count)?;
    let messages = column::read(&mut reader, count)?;
    reader.end()?;
    (0..count)
        .map(|row| {
            let (mut trace_id, mut parent_span_id) = ([0; 16], [0; 8]);
            trace_id.copy_from_slice(&trace_ids[16 * row..][..16]);
            parent_span_id.copy_from_slice(&parents[8 * row..][..8]);
            let message = u32::try_from(messages[row])
                .map_err(|_| BlockError::Field { field: "span message", value: messages[row] })?;
            Ok(SpanRecord {
                trace_id,
                parent_span_id,
                flags: flags[row],
                start_ns: unzigzag(starts[row]),
                duration_ns: durations[row],
                clock: ClockSource::from_number(clocks[row])?,
                message,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BootId;
    use proptest::prelude::*;

    prop_compose! {
        fn any_span()(
            trace_id: [u8; 16], parent_span_id: [u8; 8], flags: u8, start_ns: i64, duration_ns: u64, message: u32,
            clock in prop::sample::select(ClockSource::ALL)
        ) -> SpanRecord {
            SpanRecord { trace_id, parent_span_id, flags, start_ns, duration_ns, clock, message }
        }
    }

    proptest! {
        #[test]
        fn spans_come_back_and_cut_bodies_are_errors(
            spans in prop::collection::vec(any_span(), 0..20), cut in any::<prop::sample::Index>()
        ) {
            let mut builder = SpansBuilder::default();
            spans.iter().for_each(|&span| builder.push(span));
            let mut body = Vec::new();
            builder.encode(&mut body);
            prop_assert_eq!(read_spans(&body).unwrap(), spans);
            prop_assert!(read_spans(&body[..cut.index(body.len())]).is_err());
        }
    }

    #[test]
    fn span_ids_differ_by_row_and_repeat_by_identity() {
        let block = Identity { boot: BootId([7; 16]), run: 1, sequence: 2 };
        assert_eq!(span_id(block, 3), span_id(block, 3));
        assert_ne!(span_id(block, 3), span_id(block, 4));
        assert_ne!(span_id(block, 3), span_id(Identity { sequence: 3, ..block }, 3));
    }
}
