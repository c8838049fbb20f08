//! Opening a block.

use super::samples::read_samples_v1;
use super::spans::read_spans_v1;
use super::{
    BlockError, BlockHeader, ClockMap, Dictionaries, Dictionary, Frames, HistogramRecord, Kind, LogRecord,
    Samples, Schema, SchemaHash, SpanRecord, read_frames, read_histograms, read_logs, read_samples,
    read_spans,
};

/// The records of a block.
#[derive(Debug, PartialEq)]
pub enum Records {
    /// Signal values.
    Samples(Samples),
    /// Spans.
    Spans(Vec<SpanRecord>),
    /// Log records.
    Logs(Vec<LogRecord>),
    /// A schema; its hash is that of the body.
    Schema(SchemaHash, Schema),
    /// Distributions of signals.
    Histograms(Vec<HistogramRecord>),
    /// How the clocks ran.
    ClockMap(ClockMap),
    /// A dictionary, named by [`Dictionary::hash`].
    Dictionary(Dictionary),
    /// Frames, not decoded.
    Frames(Frames),
}

/// Opens a block that needs no dictionary: checks, decompresses and reads its records.
///
/// # Errors
/// [`BlockError`]; memory stays within the limits whatever the bytes say.
pub fn open(block: &[u8]) -> Result<(BlockHeader, Records), BlockError> {
    open_with(block, &Dictionaries::default())
}

/// As [`open`], with the dictionaries at hand.
///
/// # Errors
/// [`BlockError`]; [`BlockError::Dictionary`] when the block needs one that is not among them.
pub fn open_with(block: &[u8], dictionaries: &Dictionaries) -> Result<(BlockHeader, Records), BlockError> {
    let (header, raw) = open_body(block, dictionaries)?;
    let (found, records) = read(&header, raw)?;
    if found == header.count as usize { Ok((header, records)) } else { Err(wrong_count(&header)) }
}

/// The header and the decompressed body, unread: to train dictionaries with.
///
/// # Errors
/// [`BlockError`]; [`BlockError::Dictionary`] when the block needs one that is not among `dictionaries`.
pub fn open_body(block: &[u8], dictionaries: &Dictionaries) -> Result<(BlockHeader, Vec<u8>), BlockError> {
    let (header, body) = BlockHeader::read(block)?;
    let raw = dictionaries.decompress(body, header.raw_len as usize, header.dictionary)?;
    Ok((header, raw))
}

fn wrong_count(header: &BlockHeader) -> BlockError {
    BlockError::Field { field: "count", value: u64::from(header.count) }
}

/// The records and their number.
fn read(header: &BlockHeader, raw: Vec<u8>) -> Result<(usize, Records), BlockError> {
    // Version 1 had four kinds.
    if header.version == 1 && header.kind > Kind::Schema {
        return Err(BlockError::Field { field: "kind", value: header.kind as u64 });
    }
    Ok(match header.kind {
        Kind::Samples => {
            let read = if header.version == 1 { read_samples_v1 } else { read_samples };
            (header.count as usize, Records::Samples(read(&raw, header.count)?))
        }
        Kind::Spans => {
            let read = if header.version == 1 { read_spans_v1 } else { read_spans };
            let spans = read(&raw)?;
            (spans.len(), Records::Spans(spans))
        }
        Kind::Logs => {
            let logs = read_logs(&raw)?;
            (logs.len(), Records::Logs(logs))
        }
        Kind::Schema => {
            let schema = Schema::read(&raw)?;
            (schema.messages.len(), Records::Schema(Schema::hash(&raw), schema))
        }
        Kind::Dictionary => (1, Records::Dictionary(Dictionary::new(raw)?)),
        Kind::Histograms => {
            let histograms = read_histograms(&raw)?;
            (histograms.len(), Records::Histograms(histograms))
        }
        Kind::ClockMap => {
            let map = ClockMap::read(&raw)?;
            (map.segments.len(), Records::ClockMap(map))
        }
        Kind::Frames => (header.count as usize, Records::Frames(read_frames(&raw, header.count)?)),
    })
}
