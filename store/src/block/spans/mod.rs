//! Span bodies: what happened on the buses and in local services as parts of traces, as columns.

mod names;
mod read;
mod read_v1;
mod record;
mod tables;
mod write;

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use super::Identity;

pub use names::service_name;
pub use read::read_spans;
pub(super) use read_v1::read_spans_v1;
pub use record::{
    AttributeValue, BusSpan, BusSpanKind, LocalSpan, SampleMark, SignalValues, SpanFailure, SpanKind,
    SpanLink, SpanLinks, SpanOrigin, SpanRecord, SpanStatus,
};
pub use write::SpansBuilder;

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
