//! The blocks of an ASAM MDF 4.10 file: each a header, links to other blocks, and data.
//!
//! ASAM MDF 4.1.0, "Block structure of MDF files": all numbers little-endian, links are positions in the file (0: none),
//! blocks begin at multiples of 8.

use std::io::{self, Seek, SeekFrom, Write};

/// Length of the identification block, which is first, in front of the header block.
pub(super) const ID_LEN: u64 = 64;
/// Length of the header of a block.
const HEADER_LEN: usize = 24;

/// A block that is being put together.
pub(super) struct Block {
    name: [u8; 2],
    links: Vec<u64>,
    data: Vec<u8>,
}

impl Block {
    pub(super) fn new(name: [u8; 2], links: impl Into<Vec<u64>>) -> Self {
        Self { name, links: links.into(), data: Vec::new() }
    }

    /// A text; an XML one in an `MD` block.
    pub(super) fn text(name: [u8; 2], text: &str) -> Self {
        let mut block = Self::new(name, []);
        block.data.extend_from_slice(text.as_bytes());
        block.data.push(0);
        block
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.data.extend_from_slice(bytes);
        self
    }

    pub(super) fn u16(self, number: u16) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn f64(self, number: f64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Bytes of the block, its header and links included.
    pub(super) fn len(&self) -> usize {
        HEADER_LEN + 8 * self.links.len() + self.data.len()
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"##")?;
        out.write_all(&self.name)?;
        out.write_all(&[0; 4])?;
        out.write_all(&(self.len() as u64).to_le_bytes())?;
        out.write_all(&(self.links.len() as u64).to_le_bytes())?;
        self.links.iter().try_for_each(|link| out.write_all(&link.to_le_bytes()))?;
        out.write_all(&self.data)
    }
}

/// A file to which blocks are appended.
pub(super) struct Blocks<W> {
    out: W,
    /// Where the next block begins.
    at: u64,
}

impl<W: Write + Seek> Blocks<W> {
    /// Leaves room for the identification and for the header block, of `head_len` bytes, which are written last.
    pub(super) fn new(mut out: W, head_len: usize) -> io::Result<Self> {
        let at = ID_LEN + head_len as u64;
        out.write_all(&vec![0; at as usize])?;
        Ok(Self { out, at })
    }

    /// Appends a block; gives the link to it.
    pub(super) fn put(&mut self, block: &Block) -> io::Result<u64> {
        let link = self.at;
        block.write(&mut self.out)?;
        let padding = block.len().next_multiple_of(8) - block.len();
        self.out.write_all(&[0; 8][..padding])?;
        self.at += (block.len() + padding) as u64;
        Ok(link)
    }

    /// Writes what room was left for, and everything out.
    pub(super) fn finish(mut self, identification: &[u8; ID_LEN as usize], head: &Block) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(identification)?;
        head.write(&mut self.out)?;
        self.out.flush()
    }
}
