//! Span bodies of version 1: frames only, without anything that the schema does not say.

use super::super::wire::{Reader, unzigzag};
use super::super::{BlockError, ClockSource, column, limits};
use super::record::{BusSpan, BusSpanKind, SignalValues, SpanLinks, SpanOrigin, SpanRecord, SpanStatus};

/// Reads a span body of version 1.
///
/// # Errors
/// [`BlockError`] when it is cut off, exceeds the limits or has left-overs.
pub(in super::super) fn read_spans_v1(body: &[u8]) -> Result<Vec<SpanRecord>, BlockError> {
    let mut reader = Reader::new(body);
    let count = reader.count("spans", limits::ROWS_MAX)?;
    let (trace_ids, _) = reader.bytes(16 * count)?.as_chunks::<16>();
    let (parents, _) = reader.bytes(8 * count)?.as_chunks::<8>();
    let flags = reader.bytes(count)?;
    let clocks = reader.bytes(count)?;
    let starts = column::read(&mut reader, count)?;
    let durations = column::read(&mut reader, count)?;
    let messages = column::read(&mut reader, count)?;
    reader.end()?;
    (0..count)
        .map(|row| {
            let message = u32::try_from(messages[row])
                .map_err(|_| BlockError::Field { field: "span message", value: messages[row] })?;
            let bus = BusSpan {
                kind: BusSpanKind::Frame,
                message,
                id: None,
                signals: SignalValues::default(),
                sample: None,
            };
            Ok(SpanRecord {
                trace_id: trace_ids[row],
                span_id: None,
                // All zeros stood for none.
                parent_span_id: Some(parents[row]).filter(|parent| *parent != [0; 8]),
                flags: flags[row],
                start_ns: unzigzag(starts[row]),
                duration_ns: durations[row],
                clock: ClockSource::from_number(clocks[row])?,
                origin: SpanOrigin::Bus(bus),
                status: SpanStatus::Unset,
                links: SpanLinks::default(),
            })
        })
        .collect()
}
