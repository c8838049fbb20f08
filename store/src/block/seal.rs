//! Sealing a body into a block.

use std::io;

use super::columns::area_lengths;
use super::compress::Compressor;
use super::{
    BlockError, BlockHeader, BootId, Class, Dictionary, DictionaryHash, Identity, Kind, SchemaHash, VERSION,
    limits,
};

/// Larger bodies have enough in common with themselves.
const DICTIONARY_BODY_BYTES_MAX: usize = 16 << 10;

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
    clock_map: u32,
    level: i32,
    plain: Compressor,
    /// For each kind that has a dictionary.
    with_dictionary: Vec<(Kind, DictionaryHash, Compressor)>,
    /// Filled by the caller, emptied by [`Self::seal`]; kept so that sealing reuses its memory.
    pub body: Vec<u8>,
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
        let plain = Compressor::new(level, None)?;
        let (body, with_dictionary) = (Vec::new(), Vec::new());
        Ok(Self { boot, run, sequence: 0, clock_map: 0, level, plain, with_dictionary, body })
    }

    /// Blocks sealed so far.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Names the clock map that places the times of the blocks from here on: [`super::ClockMap::id`], 0 for none.
    pub const fn set_clock_map(&mut self, id: u32) {
        self.clock_map = id;
    }

    /// Compresses small bodies of `kind` with `dictionary` from here on, or with none. Whoever opens the blocks needs
    /// the dictionary: see to it that its block gets there. Schemas, dictionaries and clock maps never take one, so that
    /// each can be opened by itself.
    ///
    /// # Errors
    /// When zstd refuses the dictionary or has no memory.
    pub fn set_dictionary(&mut self, kind: Kind, dictionary: Option<&Dictionary>) -> io::Result<()> {
        self.with_dictionary.retain(|(known, ..)| *known != kind);
        let stands_alone = matches!(kind, Kind::Schema | Kind::Dictionary | Kind::ClockMap);
        if let Some(dictionary) = dictionary.filter(|_| !stands_alone) {
            let compressor = Compressor::new(self.level, Some(dictionary))?;
            self.with_dictionary.push((kind, dictionary.hash(), compressor));
        }
        Ok(())
    }

    /// Seals what stands in [`Self::body`] and empties it.
    ///
    /// # Errors
    /// When the body exceeds the limits or zstd fails; the sequence number is then not used up.
    pub fn seal(&mut self, body: Body) -> io::Result<SealedBlock> {
        let result = self.seal_body(body);
        self.body.clear();
        let block = result?;
        self.sequence += 1;
        Ok(block)
    }

    fn seal_body(&mut self, body: Body) -> io::Result<SealedBlock> {
        let raw_len = self.body.len();
        if raw_len > limits::BODY_BYTES_MAX {
            return Err(io::Error::other(format!("body of {raw_len} bytes exceeds the format's limit")));
        }
        let small = raw_len <= DICTIONARY_BODY_BYTES_MAX;
        let with = self.with_dictionary.iter_mut().find(|(kind, ..)| small && *kind == body.kind);
        let (dictionary, compressor) = match with {
            Some((_, hash, compressor)) => (*hash, compressor),
            None => (DictionaryHash::default(), &mut self.plain),
        };
        let has_areas = matches!(body.kind, Kind::Samples | Kind::Frames);
        let areas = has_areas.then(|| area_lengths(&self.body).ok()).flatten();
        let compressed = compressor.compress(&self.body, has_areas, areas.into_iter().flatten())?;
        let header = BlockHeader {
            version: VERSION,
            kind: body.kind,
            class: body.class,
            identity: Identity { boot: self.boot, run: self.run, sequence: self.sequence },
            schema: body.schema,
            first_ns: body.span_ns.0,
            last_ns: body.span_ns.1,
            sealed_boot_ns: body.sealed_boot_ns,
            count: body.count,
            clock_map: self.clock_map,
            dictionary,
            raw_len: raw_len as u32,
            body_len: compressed.len() as u32,
        };
        let bytes = header.write(compressed);
        Ok(SealedBlock { header, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{ClockSource, Dictionaries, Records, SamplesBuilder, open, open_with};

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

    #[test]
    fn small_bodies_take_the_dictionary_of_their_kind_and_need_it() {
        let dictionary = Dictionary::new(b"timeout waiting for CAN ID on can0 after ms".repeat(3)).unwrap();
        let mut sealer = Sealer::new(BootId::default(), 0, 3).unwrap();
        for kind in [Kind::Logs, Kind::Schema] {
            sealer.set_dictionary(kind, Some(&dictionary)).unwrap();
        }
        let mut seal = |kind, len| {
            sealer.body.resize(len, 0);
            let (class, schema, span_ns) = (Class::Logs, SchemaHash::default(), (0, 0));
            sealer.seal(Body { kind, class, schema, count: 0, span_ns, sealed_boot_ns: 0 }).unwrap()
        };
        let small = seal(Kind::Logs, 2);
        assert_eq!(small.header().dictionary, dictionary.hash());
        let none = DictionaryHash::default();
        assert_eq!(seal(Kind::Logs, DICTIONARY_BODY_BYTES_MAX + 1).header().dictionary, none);
        assert_eq!(seal(Kind::Spans, 2).header().dictionary, none);
        assert_eq!(seal(Kind::Schema, 2).header().dictionary, none);
        assert_eq!(open(small.bytes()), Err(BlockError::Dictionary(dictionary.hash())));
        let mut dictionaries = Dictionaries::default();
        dictionaries.insert(dictionary);
        assert_eq!(open_with(small.bytes(), &dictionaries).unwrap().1, Records::Logs(Vec::new()));
    }
}
