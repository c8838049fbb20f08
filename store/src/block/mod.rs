//! Blocks: the unit of storage and transport. Encode once, move many times.
//!
//! A block is a [`BlockHeader`] and a body. The body is columns of one kind of record, compressed with zstd. The same
//! bytes lie on the SD card, travel over MQTT and are opened in the cloud. `store/FORMAT.md` specifies them.

mod clock_map;
mod column;
mod columns;
mod compress;
mod dictionary;
mod frames;
mod header;
mod histograms;
mod logs;
mod names;
mod open;
mod samples;
mod schema;
mod seal;
mod spans;
mod wire;

pub use clock_map::{
    BoundGrowth, ClockDomain, ClockMap, ClockSegment, ClockSync, Opening, SyncSource, TaiUtcSource,
    Temperature, Timescale,
};
pub use dictionary::{Dictionaries, Dictionary};
pub use frames::{Frames, FramesBuilder, FramesFull, RawFrame, read_frames};
pub use header::{BlockHeader, Class, ClockSource, HEADER_LEN, Identity, Kind, VERSION};
pub use histograms::{Buckets, HistogramRecord, HistogramsBuilder, dense_buckets, read_histograms};
pub use logs::{LogRecord, LogsBuilder, Severity, read_logs};
pub use names::{BootId, DictionaryHash, SchemaHash};
pub use open::{Records, open, open_body, open_with};
pub use samples::{
    ClockChanged, Group, Rows, SampleColumn, Samples, SamplesBuilder, SlotMillis, read_samples,
};
pub use schema::{MessageSchema, Schema, SignalSchema};
pub use seal::{Body, SealedBlock, Sealer};
pub use spans::{
    AttributeValue, BusSpan, BusSpanKind, LocalSpan, SampleMark, SignalValues, SpanFailure, SpanKind,
    SpanLink, SpanLinks, SpanOrigin, SpanRecord, SpanStatus, SpansBuilder, read_spans, service_name, span_id,
};

/// The bounds of the format. A reader refuses what exceeds them before it allocates.
pub mod limits {
    /// Largest body before compression, bytes. A 256 KiB block of well-compressing samples stays far below.
    pub const BODY_BYTES_MAX: usize = 16 << 20;
    /// Largest block as stored and sent, header included, bytes.
    pub const BLOCK_BYTES_MAX: usize = 4 << 20;
    /// Most rows of one message, or most log records, in a block.
    pub const ROWS_MAX: usize = 1 << 20;
    /// Most spans in a block; the daemon seals long before.
    pub const SPANS_MAX: usize = 1 << 16;
    /// Most attributes of a local service's span; the rest is counted.
    pub const SPAN_ATTRIBUTES_MAX: usize = 32;
    /// Most attributes, and most links, of all spans of a block together.
    pub const SPAN_DETAILS_MAX: usize = 1 << 18;
    /// Most messages in a schema: the index is a `u16` in the daemon's tables.
    pub const MESSAGES_MAX: usize = 1 << 16;
    /// Most signals in one message; 64 bytes hold 512 bits.
    pub const SIGNALS_MAX: usize = 4096;
    /// Longest name, unit or label in a schema, bytes.
    pub const NAME_BYTES_MAX: usize = 1024;
    /// Most buckets from the first to the last that is not empty, above or below zero; OpenTelemetry's default is 160.
    pub const BUCKET_SPAN_MAX: usize = 1024;
    /// Most lines of a clock map: a day in pieces of ten seconds and more.
    pub const CLOCK_SEGMENTS_MAX: usize = 1 << 14;
    /// Most temperatures in a block of a clock map.
    pub const CLOCK_TEMPERATURES_MAX: usize = 1024;
    /// Most frames in a block; half as many in one that is written.
    pub const FRAMES_MAX: usize = 1 << 17;
    /// Most groups of like frames in a block: of one identifier, as long as length and flags are the same.
    pub const FRAME_GROUPS_MAX: usize = 1 << 12;
    /// Longest zstd dictionary, bytes; zstd's trainer makes 112,640 at most unless told otherwise.
    pub const DICTIONARY_BYTES_MAX: usize = 128 << 10;
    /// Most dictionaries that a reader keeps.
    pub const DICTIONARIES_MAX: usize = 16;
    /// Longest log body, bytes; longer ones are cut and say so.
    pub const LOG_BODY_BYTES_MAX: usize = 8192;
}

/// Why bytes are not a block that this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Fewer bytes than the header or the body it announces.
    #[error("block is cut off: {have} bytes of {need}; it was truncated in transport or storage")]
    Truncated {
        /// Bytes present.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// The first four bytes are not a block's.
    #[error("not an ecu-daemon block: it starts with {0:02x?}, not \"ECUB\"")]
    Magic([u8; 4]),
    /// Written by a later release.
    #[error("block format version {0} is newer than this reader's {max}; update the reader", max = header::VERSION)]
    Version(u8),
    /// The checksum does not match.
    #[error("block is damaged: CRC32C is {found:08x}, its header says {stated:08x}")]
    Checksum {
        /// Computed over what arrived.
        found: u32,
        /// As written by the sealer.
        stated: u32,
    },
    /// A field has a value the format does not have.
    #[error("block field {field} has the impossible value {value}")]
    Field {
        /// Name as in FORMAT.md.
        field: &'static str,
        /// What stood there.
        value: u64,
    },
    /// A limit of [`limits`] is exceeded.
    #[error("block {field} is {value}, above the limit of {max}")]
    Limit {
        /// Name as in FORMAT.md.
        field: &'static str,
        /// What stood there.
        value: u64,
        /// The limit.
        max: u64,
    },
    /// zstd refuses the body.
    #[error("block body does not decompress: {0}")]
    Zstd(String),
    /// The body is compressed with a dictionary that the reader does not have.
    #[error("block needs dictionary {0}, which this reader does not have yet")]
    Dictionary(DictionaryHash),
    /// The body does not fit the schema that the header names.
    #[error("block does not fit its schema: {0}")]
    Schema(&'static str),
    /// A text is not UTF-8.
    #[error("block field {0} is not UTF-8")]
    Text(&'static str),
}
