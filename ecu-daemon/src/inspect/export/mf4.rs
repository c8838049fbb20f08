//! Signals as an ASAM MDF 4.10 file: one channel group for each message of each bus, raw values with their conversions.
//!
//! The file is written in one go, whatever the size of the ring: records of all messages as they come ("unsorted" in
//! MDF's words), compressed (`##DZ`); what describes them follows at the end.

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};

use can_decode::ValueKind;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use store::block::{ClockSource, Group, MessageSchema, Samples, Schema, SchemaHash, SignalSchema};

use super::super::walk::{Filter, named_message};
use super::mf4_block::{Block, Blocks, ID_LEN};

/// Records are gathered to about this many bytes and then compressed.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a record's number (`dg_rec_id_size`).
const RECORD_ID_LEN: u8 = 4;
/// Bytes of a record's time.
const TIME_LEN: usize = 8;
/// Room for the header block: 6 links and 32 bytes.
const HEAD_LEN: usize = 104;

/// A file under way.
pub(super) struct Mf4<W> {
    blocks: Blocks<W>,
    groups: BTreeMap<(SchemaHash, usize, u8), ChannelGroup>,
    /// Records that are not written yet.
    chunk: Vec<u8>,
    /// Links to the compressed ones, with the bytes before each.
    data: Vec<(u64, u64)>,
    data_len: u64,
    start_ns: Option<i64>,
}

/// A message's rows.
struct ChannelGroup {
    record_id: u32,
    bus: String,
    message: MessageSchema,
    clock: ClockSource,
    /// By signal of the message; `None` for one that is not wanted.
    wanted: Vec<bool>,
    rows: u64,
}

impl<W: Write + Seek> Mf4<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            blocks: Blocks::new(out, HEAD_LEN)?,
            groups: BTreeMap::new(),
            chunk: Vec::with_capacity(CHUNK_BYTES),
            data: Vec::new(),
            data_len: 0,
            start_ns: None,
        })
    }

    /// Takes the wanted samples of a block. A message that its schema does not have is left out.
    pub(super) fn block(
        &mut self,
        hash: SchemaHash,
        schema: &Schema,
        samples: &Samples,
        filter: &Filter,
    ) -> io::Result<()> {
        for rows in &samples.groups {
            let Some((bus, message)) = named_message(schema, rows.message) else { continue };
            let next_id = self.groups.len() as u32 + 1;
            let group = self.groups.entry((hash, rows.message, rows.clock as u8)).or_insert_with(|| {
                let wanted =
                    message.signals.iter().map(|signal| filter.wants_signal(bus, message, signal)).collect();
                ChannelGroup {
                    record_id: next_id,
                    bus: bus.to_owned(),
                    message: message.clone(),
                    clock: rows.clock,
                    wanted,
                    rows: 0,
                }
            });
            if let Some(&first) = rows.times_ns.first() {
                self.start_ns.get_or_insert(first);
            }
            let start_ns = self.start_ns.unwrap_or(0);
            group.append(rows, filter, start_ns, &mut self.chunk);
            if self.chunk.len() >= CHUNK_BYTES {
                self.compress()?;
            }
        }
        Ok(())
    }

    /// Writes the records so far (`##DZ` with deflate, which is zlib's format of RFC 1950).
    fn compress(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.chunk)?;
        let bytes = encoder.finish()?;
        let block = Block::new(*b"DZ", [])
            .bytes(b"DT\0\0")
            .u32(0)
            .u64(self.chunk.len() as u64)
            .u64(bytes.len() as u64)
            .bytes(&bytes);
        self.data.push((self.blocks.put(&block)?, self.data_len));
        self.data_len += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }

    /// Describes what was written, and ends the file.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.compress()?;
        let links: Vec<u64> = std::iter::once(0).chain(self.data.iter().map(|data| data.0)).collect();
        let mut list = Block::new(*b"DL", links).u32(0).u32(self.data.len() as u32);
        for (_, offset) in &self.data {
            list = list.u64(*offset);
        }
        let list = self.blocks.put(&list)?;
        let data = self.blocks.put(&Block::new(*b"HL", [list]).u64(0))?;
        let mut next = 0;
        let mut sources = BTreeMap::new();
        for group in self.groups.values() {
            if group.rows > 0 {
                next = group.describe(next, &mut self.blocks, &mut sources)?;
            }
        }
        let data = if self.data.is_empty() { 0 } else { data };
        let group = Block::new(*b"DG", [0, next, data, 0]).u64(RECORD_ID_LEN.into());
        let group = self.blocks.put(&group)?;
        let version = env!("CARGO_PKG_VERSION");
        let comment = format!(
            "<FHcomment xmlns=\"http://www.asam.net/mdf/v4\"><TX>exported from a ring</TX><tool_id>ecu-daemon</tool_id>\
             <tool_vendor>ecu-daemon</tool_vendor><tool_version>{version}</tool_version></FHcomment>"
        );
        let comment = self.blocks.put(&Block::text(*b"MD", &comment))?;
        let start_ns = self.start_ns.unwrap_or(0).max(0) as u64;
        let history = self.blocks.put(&Block::new(*b"FH", [0, comment]).u64(start_ns).u64(0))?;
        // Times are UTC: both offsets are 0, and are valid (time_flags, bit 1).
        let head = Block::new(*b"HD", [group, history, 0, 0, 0, 0])
            .u64(start_ns)
            .u32(0)
            .bytes(&[0b10, 0, 0, 0])
            .f64(0.0)
            .f64(0.0);
        self.blocks.finish(&identification(), &head)
    }
}

/// `##ID` of version 4.10, complete (`id_unfin_flags` 0).
fn identification() -> [u8; ID_LEN as usize] {
    let mut bytes = [0; ID_LEN as usize];
    bytes[..24].copy_from_slice(b"MDF     4.10    ecu-dmn ");
    bytes[28..30].copy_from_slice(&410_u16.to_le_bytes());
    bytes
}

/// Bytes of a signal in a record: raw values are 64 bits, a float has its own.
const fn width(signal: &SignalSchema) -> usize {
    if matches!(signal.kind, ValueKind::F32) { 4 } else { 8 }
}

impl ChannelGroup {
    fn data_len(&self) -> usize {
        TIME_LEN + self.message.signals.iter().map(width).sum::<usize>()
    }

    fn invalid_len(&self) -> usize {
        self.message.signals.len().div_ceil(8)
    }

    /// Appends the rows as records: number, time, raw values, and a bit for each value that is not there.
    fn append(&mut self, rows: &Group, filter: &Filter, start_ns: i64, out: &mut Vec<u8>) {
        if !self.wanted.contains(&true) {
            return;
        }
        let (id_len, data_len, invalid_len) =
            (usize::from(RECORD_ID_LEN), self.data_len(), self.invalid_len());
        let offsets: Vec<usize> = self
            .message
            .signals
            .iter()
            .scan(id_len + TIME_LEN, |at, signal| {
                let offset = *at;
                *at += width(signal);
                Some(offset)
            })
            .collect();
        // The record of each row that is wanted.
        let mut record_at = vec![None; rows.times_ns.len()];
        for (record, &time_ns) in record_at.iter_mut().zip(&rows.times_ns) {
            if filter.wants(time_ns) {
                *record = Some(out.len());
                out.extend_from_slice(&self.record_id.to_le_bytes());
                out.extend_from_slice(&(time_ns - start_ns).to_le_bytes());
                out.resize(out.len() + data_len - TIME_LEN, 0);
                out.resize(out.len() + invalid_len, 0xFF);
                self.rows += 1;
            }
        }
        for column in &rows.columns {
            let signal = column.signal;
            if !self.wanted.get(signal).is_some_and(|wanted| *wanted) {
                continue;
            }
            let width = width(&self.message.signals[signal]);
            for (row, raw) in column.rows.iter().zip(&column.values) {
                if let Some(record) = record_at[row] {
                    out[record + offsets[signal]..][..width].copy_from_slice(&raw.to_le_bytes()[..width]);
                    out[record + id_len + data_len + signal / 8] &= !(1 << (signal % 8));
                }
            }
        }
    }

    /// Writes the group's blocks; gives the link to it. `sources` are the buses described before.
    fn describe<W: Write + Seek>(
        &self,
        next: u64,
        blocks: &mut Blocks<W>,
        sources: &mut BTreeMap<String, u64>,
    ) -> io::Result<u64> {
        let mut byte = self.data_len();
        let mut channel = 0;
        // From the last one to the first, because each has a link to the next one.
        for (index, signal) in self.message.signals.iter().enumerate().rev() {
            byte -= width(signal);
            if self.wanted[index] {
                channel = signal_channel(signal, byte, index, channel, blocks)?;
            }
        }
        channel = time_channel(self.clock, channel, blocks)?;
        let source = match sources.get(&self.bus) {
            Some(&source) => source,
            None => {
                let name = blocks.put(&Block::text(*b"TX", &self.bus))?;
                // si_type 2: bus; si_bus_type 2: CAN.
                let source = blocks.put(
                    &Block::new(*b"SI", [name, 0, 0]).u64(u64::from_le_bytes([2, 2, 0, 0, 0, 0, 0, 0])),
                )?;
                sources.insert(self.bus.clone(), source);
                source
            }
        };
        let name = blocks.put(&Block::text(*b"TX", &self.message.name))?;
        let group = Block::new(*b"CG", [next, channel, name, source, 0, 0])
            .u64(self.record_id.into())
            .u64(self.rows)
            .u16(0)
            .u16(u16::from(b'.'))
            .u32(0)
            .u32(self.data_len() as u32)
            .u32(self.invalid_len() as u32);
        blocks.put(&group)
    }
}

/// What a channel block says besides its links.
struct Channel {
    /// `cn_type` and `cn_sync_type`: 0 and 0 for a value, 2 and 1 for the time.
    types: [u8; 2],
    /// `cn_data_type`: 0 unsigned, 2 signed, 4 IEEE 754, all little-endian.
    data_type: u8,
    byte: usize,
    width: usize,
    /// Number of its invalidation bit.
    invalid_bit: Option<usize>,
}

fn put_channel<W: Write + Seek>(
    channel: &Channel,
    links: [u64; 8],
    blocks: &mut Blocks<W>,
) -> io::Result<u64> {
    let [kind, sync] = channel.types;
    // cn_flags, bit 1: the invalidation bit is valid.
    let flags = if channel.invalid_bit.is_some() { 0b10 } else { 0 };
    let mut block = Block::new(*b"CN", links)
        .bytes(&[kind, sync, channel.data_type, 0])
        .u32(channel.byte as u32)
        .u32(8 * channel.width as u32)
        .u32(flags)
        .u32(channel.invalid_bit.unwrap_or(0) as u32)
        .u32(0);
    // Ranges and limits, none of which is valid.
    for _ in 0..6 {
        block = block.f64(0.0);
    }
    blocks.put(&block)
}

fn time_channel<W: Write + Seek>(clock: ClockSource, next: u64, blocks: &mut Blocks<W>) -> io::Result<u64> {
    let name = blocks.put(&Block::text(*b"TX", "time"))?;
    let unit = blocks.put(&Block::text(*b"TX", "s"))?;
    let comment = blocks.put(&Block::text(*b"TX", &format!("clock: {}", clock.name())))?;
    let seconds = linear(1e-9, 0.0, blocks)?;
    let channel = Channel { types: [2, 1], data_type: 2, byte: 0, width: TIME_LEN, invalid_bit: None };
    put_channel(&channel, [next, 0, name, 0, seconds, 0, unit, comment], blocks)
}

fn signal_channel<W: Write + Seek>(
    signal: &SignalSchema,
    byte: usize,
    index: usize,
    next: u64,
    blocks: &mut Blocks<W>,
) -> io::Result<u64> {
    let name = blocks.put(&Block::text(*b"TX", &signal.name))?;
    let unit = if signal.unit.is_empty() { 0 } else { blocks.put(&Block::text(*b"TX", &signal.unit))? };
    let conversion = conversion(signal, blocks)?;
    let data_type = match signal.kind {
        ValueKind::Unsigned => 0,
        ValueKind::Signed => 2,
        ValueKind::F32 | ValueKind::F64 => 4,
    };
    let channel = Channel { types: [0, 0], data_type, byte, width: width(signal), invalid_bit: Some(index) };
    put_channel(&channel, [next, 0, name, 0, conversion, 0, unit, 0], blocks)
}

/// The link to the signal's scale; with the labels of its raw values where it has some. 0 when raw is physical.
fn conversion<W: Write + Seek>(signal: &SignalSchema, blocks: &mut Blocks<W>) -> io::Result<u64> {
    let is_plain = signal.factor.to_bits() == 1_f64.to_bits() && signal.offset == 0.0;
    if signal.labels.is_empty() {
        return if is_plain { Ok(0) } else { linear(signal.factor, signal.offset, blocks) };
    }
    // cc_type 7, value to text: a reference for each value, and one for all the others.
    let other = linear(signal.factor, signal.offset, blocks)?;
    let mut links = vec![0; 4];
    for (_, label) in &signal.labels {
        links.push(blocks.put(&Block::text(*b"TX", label))?);
    }
    links.push(other);
    let count = signal.labels.len() as u16;
    let mut block =
        Block::new(*b"CC", links).bytes(&[7, 0]).u16(0).u16(count + 1).u16(count).f64(0.0).f64(0.0);
    for (value, _) in &signal.labels {
        block = block.f64(*value as f64);
    }
    blocks.put(&block)
}

/// `cc_type` 1, linear: offset and factor.
fn linear<W: Write + Seek>(factor: f64, offset: f64, blocks: &mut Blocks<W>) -> io::Result<u64> {
    let block = Block::new(*b"CC", [0; 4])
        .bytes(&[1, 0])
        .u16(0)
        .u16(0)
        .u16(2)
        .f64(0.0)
        .f64(0.0)
        .f64(offset)
        .f64(factor);
    blocks.put(&block)
}
