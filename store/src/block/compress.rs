//! zstd for bodies.

use std::io;

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective as Directive;
use zstd::zstd_safe::{
    CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
};

use super::{Dictionary, limits};

/// Fewer bytes than this share the table of their neighbours: a Huffman table takes 30 to 100 bytes.
const PIECE_BYTES_MIN: usize = 1024;

/// Up to this level samples are compressed at level 1: chance matches in noise of sensors, which the levels above find,
/// cost more than they save. Measured: a third less time, and on three of four cars fewer bytes.
const LEVEL_AS_FAST_MAX: i32 = 4;

/// Compresses bodies, with or without a dictionary. Keeps its memory.
pub(super) struct Compressor {
    context: CCtx<'static>,
    level: i32,
    compressed: Vec<u8>,
}

impl Compressor {
    /// `level` is zstd's; a dictionary is for all bodies.
    pub(super) fn new(level: i32, dictionary: Option<&Dictionary>) -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        // The header has the length, the dictionary and a checksum of its own; here they would cost 12 bytes.
        let parameters = [
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ];
        for parameter in parameters {
            context.set_parameter(parameter).map_err(error)?;
        }
        if let Some(dictionary) = dictionary {
            context.load_dictionary(dictionary.bytes()).map_err(error)?;
        }
        Ok(Self { context, level, compressed: Vec::new() })
    }

    /// Compresses `body` as one frame. `noise` says that it holds samples. `pieces` are lengths that make up its beginning, for pieces of unlike bytes: where
    /// one ends, a block of the frame may end, and with it the table that its bytes are coded with.
    pub(super) fn compress(
        &mut self,
        body: &[u8],
        noise: bool,
        pieces: impl IntoIterator<Item = usize>,
    ) -> io::Result<&[u8]> {
        let mut ends = [0; 32];
        let mut count = 0;
        let (mut start, mut end) = (0, 0);
        for piece in pieces {
            end += piece;
            if end - start >= PIECE_BYTES_MIN && end < body.len() && count < ends.len() {
                ends[count] = end;
                count += 1;
                start = end;
            }
        }
        // Each piece may end with a block that does not compress: its head has three bytes.
        self.compressed.clear();
        self.compressed.reserve(compress_bound(body.len()) + 8 * (count + 1));
        self.context.reset(ResetDirective::SessionOnly).map_err(error)?;
        let fast = noise && (1..=LEVEL_AS_FAST_MAX).contains(&self.level);
        let level = if fast { 1 } else { self.level };
        self.context.set_parameter(CParameter::CompressionLevel(level)).map_err(error)?;
        self.context.set_pledged_src_size(Some(body.len() as u64)).map_err(error)?;
        let mut out = OutBuffer::around(&mut self.compressed);
        let mut start = 0;
        for &end in &ends[..count] {
            step(&mut self.context, &mut out, &body[start..end], Directive::ZSTD_e_flush)?;
            start = end;
        }
        step(&mut self.context, &mut out, &body[start..], Directive::ZSTD_e_end)?;
        if self.compressed.len() + super::HEADER_LEN > limits::BLOCK_BYTES_MAX {
            return Err(io::Error::other("block exceeds the format's limit; seal earlier"));
        }
        Ok(&self.compressed)
    }
}

fn step(
    context: &mut CCtx<'static>,
    out: &mut OutBuffer<'_, Vec<u8>>,
    piece: &[u8],
    directive: Directive,
) -> io::Result<()> {
    let mut input = InBuffer::around(piece);
    loop {
        let (read, written) = (input.pos(), out.pos());
        let left = context.compress_stream2(out, &mut input, directive).map_err(error)?;
        if left == 0 && input.pos() == piece.len() {
            return Ok(());
        }
        if (read, written) == (input.pos(), out.pos()) {
            return Err(io::Error::other("zstd needs more room than it announced"));
        }
    }
}

fn error(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}
