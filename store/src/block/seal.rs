//! Sealing a body into a block, and opening one.

use std::io;

use super::{
    BlockError, BlockHeader, BootId, Class, Identity, Kind, LogRecord, Samples, Schema, SchemaHash,
    SpanRecord, limits, read_logs, read_samples, read_spans,
};

/// A block and its header. Made by [`Sealer::seal`] or [`SealedBlock::from_bytes`] only, so that the two always agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlock {
    header: BlockHeader,
    bytes: Vec<u8>,
}

impl SealedBlock {
    /// From stored or received bytes: exactly one block.
    ///
    /// # Errors
    /// [`BlockError`] when it is damaged, cut off or too long.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, BlockError> {
        if bytes.len() > limits::BLOCK_BYTES_MAX {
            let value = bytes.len() as u64;
            return Err(BlockError::Limit { field: "length", value, max: limits::BLOCK_BYTES_MAX as u64 });
        }
        let (header, body) = BlockHeader::read(&bytes)?;
        if bytes.len() != header.block_len() {
            let value = (bytes.len() - body.len()) as u64;
            return Err(BlockError::Field { field: "bytes after the block", value });
        }
        Ok(Self { header, bytes })
    }

    /// Its header.
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// Header and body, as stored and sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Seals bodies: compresses, numbers and checksums them. One for each run of the daemon: it owns the sequence.
pub struct Sealer {
    boot: BootId,
    run: u64,
    sequence: u64,
    compressor: zstd::bulk::Compressor<'static>,
    /// Filled by the caller, emptied by [`Self::seal`]; kept so that sealing reuses its memory.
    pub body: Vec<u8>,
    compressed: Vec<u8>,
}

/// What the header says beyond what the sealer knows.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// What the records are.
    pub kind: Kind,
    /// What they are worth.
    pub class: Class,
    /// The schema they refer to; zero for none.
    pub schema: SchemaHash,
    /// Number of records.
    pub count: u32,
    /// Earliest and latest time, nanoseconds since 1970.
    pub span_ns: (i64, i64),
    /// `CLOCK_BOOTTIME` now, nanoseconds.
    pub sealed_boot_ns: i64,
}

impl Sealer {
    /// `run` is `CLOCK_BOOTTIME` in microseconds at the start of the process; `level` is zstd's, 1 to 19.
    ///
    /// # Errors
    /// When zstd refuses the level or has no memory.
    pub fn new(boot: BootId, run: u64, level: i32) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        // The header has the length and a checksum of its own; magic bytes and content size would cost 8 bytes.
        compressor.include_contentsize(false)?;
        compressor.include_checksum(false)?;
        Ok(Self { boot, run, sequence: 0, compressor, body: Vec::new(), compressed: Vec::new() })
    }

    /// Blocks sealed so far.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Seals what stands in [`Self::body`] and empties it.
    ///
    /// # Errors
    /// When the body exceeds the limits or zstd fails; the sequence number is then not used up.
    pub fn seal(&mut self, body: Body) -> io::Result<SealedBlock> {
        let raw_len = self.body.len();
        let result = self.compress(raw_len);
        self.body.clear();
        result?;
        let header = BlockHeader {
            kind: body.kind,
            class: body.class,
            identity: Identity { boot: self.boot, run: self.run, sequence: self.sequence },
            schema: body.schema,
            first_ns: body.span_ns.0,
            last_ns: body.span_ns.1,
            sealed_boot_ns: body.sealed_boot_ns,
            count: body.count,
            clock_map: 0,
            dictionary: 0,
            raw_len: raw_len as u32,
            body_len: self.compressed.len() as u32,
        };
        let bytes = header.write(&self.compressed);
        self.sequence += 1;
        Ok(SealedBlock { header, bytes })
    }

    fn compress(&mut self, raw_len: usize) -> io::Result<()> {
        if raw_len > limits::BODY_BYTES_MAX {
            return Err(io::Error::other(format!("body of {raw_len} bytes exceeds the format's limit")));
        }
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(raw_len));
        self.compressor.compress_to_buffer(&self.body, &mut self.compressed)?;
        if self.compressed.len() + super::HEADER_LEN > limits::BLOCK_BYTES_MAX {
            return Err(io::Error::other("block exceeds the format's limit; seal earlier"));
        }
        Ok(())
    }
}

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
}

/// Opens a block: checks, decompresses and reads its records.
///
/// # Errors
/// [`BlockError`]; memory stays within the limits whatever the bytes say.
pub fn open(block: &[u8]) -> Result<(BlockHeader, Records), BlockError> {
    let (header, body) = BlockHeader::read(block)?;
    if header.dictionary != 0 {
        return Err(BlockError::Dictionary(header.dictionary));
    }
    let raw_len = header.raw_len as usize;
    if raw_len > limits::BODY_BYTES_MAX {
        let max = limits::BODY_BYTES_MAX as u64;
        return Err(BlockError::Limit { field: "raw length", value: raw_len as u64, max });
    }
    let raw = zstd::bulk::decompress(body, raw_len).map_err(|error| BlockError::Zstd(error.to_string()))?;
    if raw.len() != raw_len {
        return Err(BlockError::Field { field: "raw length", value: raw_len as u64 });
    }
    let (found, records) = match header.kind {
        Kind::Samples => (header.count as usize, Records::Samples(read_samples(&raw, header.count)?)),
        Kind::Spans => {
            let spans = read_spans(&raw)?;
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
    };
    if found != header.count as usize {
        return Err(BlockError::Field { field: "count", value: u64::from(header.count) });
    }
    Ok((header, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{ClockSource, SamplesBuilder};

    fn sealed(rows: i64) -> SealedBlock {
        let mut builder = SamplesBuilder::new([1], 1_000);
        for row in 0..rows {
            builder.row(0, row * 10_000_000, ClockSource::KernelSoftware).unwrap();
            builder.value(0, 0, (row % 7) as u64);
        }
        let mut sealer = Sealer::new(BootId([3; 16]), 42, 3).unwrap();
        let span_ns = builder.span_ns().unwrap();
        let count = builder.samples() as u32;
        builder.encode(&mut sealer.body);
        sealer
            .seal(Body {
                kind: Kind::Samples,
                class: Class::Live,
                schema: SchemaHash([9; 16]),
                count,
                span_ns,
                sealed_boot_ns: 77,
            })
            .unwrap()
    }

    #[test]
    fn a_sealed_block_opens_to_its_records() {
        let block = sealed(1000);
        let (header, records) = open(block.bytes()).unwrap();
        assert_eq!(&header, block.header());
        assert_eq!((header.count, header.first_ns, header.last_ns), (1000, 0, 9_990_000_000));
        let Records::Samples(samples) = records else { panic!("not samples") };
        assert_eq!(samples.groups[0].columns[0].values[8], 1);
        assert_eq!(SealedBlock::from_bytes(block.bytes().to_vec()).unwrap(), block);
        assert!(block.bytes().len() < 500, "{} bytes", block.bytes().len());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let block = sealed(20);
        for at in 0..block.bytes().len() {
            for bit in 0..8 {
                let mut damaged = block.bytes().to_vec();
                damaged[at] ^= 1 << bit;
                assert!(open(&damaged).is_err(), "byte {at} bit {bit}");
            }
            assert!(open(&block.bytes()[..at]).is_err(), "cut at {at}");
        }
        let mut longer = block.bytes().to_vec();
        longer.push(0);
        assert!(SealedBlock::from_bytes(longer).is_err());
    }

    #[test]
    fn errors_say_what_to_do() {
        let mut newer = sealed(1).bytes().to_vec();
        newer[4] = 9;
        assert!(open(&newer).unwrap_err().to_string().contains("update the reader"));
        assert!(open(b"GIF89a..").unwrap_err().to_string().contains("cut off"));
        assert!(open(&[0; 200]).unwrap_err().to_string().contains("not an ecu-daemon block"));
    }
}
