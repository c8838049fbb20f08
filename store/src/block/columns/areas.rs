//! Areas of a body: bytes of like distribution lie together.
//!
//! Area 0 holds messages and shapes, the others hold numbers and what columns leave over. zstd gives every block of a frame a
//! Huffman table of its own, so that an encoder which ends a block where an area ends has a table for each kind of bytes.
//! Measured on real cars: a fifth less than with the planes in the order of the columns.

use super::super::BlockError;
use super::super::wire::{Reader, put_varint};

/// The area of messages and of the shapes of their columns.
pub(in super::super) const AREA_SHAPES: u8 = 0;
/// The area of rows without a value.
pub(in super::super) const AREA_GAPS: u8 = 15;
/// Most areas that a body may have.
pub(in super::super) const AREAS_MAX: usize = 16;

/// Bytes to be written, by area.
#[derive(Default)]
pub(in super::super) struct AreasWriter {
    areas: [Vec<u8>; AREAS_MAX],
}

impl AreasWriter {
    /// An area, 0 to 15.
    pub(in super::super) const fn area(&mut self, number: u8) -> &mut Vec<u8> {
        &mut self.areas[number as usize % AREAS_MAX]
    }

    /// Appends the directory and all areas to `out` and empties them; their memory stays.
    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) {
        let used = self.areas.iter().rposition(|area| !area.is_empty()).map_or(0, |last| last + 1);
        put_varint(out, used as u64);
        self.areas[..used].iter().for_each(|area| put_varint(out, area.len() as u64));
        for area in &mut self.areas[..used] {
            out.append(area);
        }
    }
}

/// Lengths of the directory and of the areas, in order, that make up a body which [`AreasWriter`] wrote.
pub(in super::super) fn lengths(body: &[u8]) -> Result<impl Iterator<Item = usize>, BlockError> {
    let mut reader = Reader::new(body);
    let (lengths, used) = directory(&mut reader)?;
    let head = body.len() - reader.left();
    Ok(core::iter::once(head).chain(lengths.into_iter().take(used)))
}

fn directory(reader: &mut Reader<'_>) -> Result<([usize; AREAS_MAX], usize), BlockError> {
    let used = reader.count("areas", AREAS_MAX)?;
    let mut lengths = [0; AREAS_MAX];
    for length in &mut lengths[..used] {
        *length = reader.count("area length", super::super::limits::BODY_BYTES_MAX)?;
    }
    Ok((lengths, used))
}

/// A body taken apart; those areas are empty that it does not have.
pub(in super::super) struct AreasReader<'a> {
    areas: [Reader<'a>; AREAS_MAX],
}

impl<'a> AreasReader<'a> {
    pub(in super::super) fn new(body: &'a [u8]) -> Result<Self, BlockError> {
        let mut reader = Reader::new(body);
        let (lengths, _) = directory(&mut reader)?;
        let mut areas = [const { Reader::new(&[]) }; AREAS_MAX];
        for (area, length) in areas.iter_mut().zip(lengths) {
            *area = Reader::new(reader.bytes(length)?);
        }
        reader.end()?;
        Ok(Self { areas })
    }

    /// An area, 0 to 15.
    pub(in super::super) fn area(&mut self, number: u8) -> Result<&mut Reader<'a>, BlockError> {
        let field = BlockError::Field { field: "area", value: u64::from(number) };
        self.areas.get_mut(usize::from(number)).ok_or(field)
    }

    /// Bytes left over in any area mean that writer and reader disagree.
    pub(in super::super) fn end(&self) -> Result<(), BlockError> {
        self.areas.iter().try_for_each(Reader::end)
    }
}
