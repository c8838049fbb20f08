//! Reading columns of samples and frames.

use super::super::BlockError;
use super::super::wire::unzigzag;
use super::areas::{AREA_SHAPES, AreasReader};
use super::write::{
    ABSENT, AREA_GUESS, AREA_LEAST, AREA_SPAN, CENTRED, CONSTANT, FORM_MASK, GAPS, PACKED, RANGE_END,
    STEPPED, Scale, UNBOUNDED, ZERO, packed_area, restore,
};

/// What the shape of a column says before its values are read.
#[derive(Clone, Copy)]
pub(in super::super) struct Shape(u8);

impl Shape {
    pub(in super::super) fn read(areas: &mut AreasReader<'_>) -> Result<Self, BlockError> {
        let shape = areas.area(AREA_SHAPES)?.byte()?;
        let known = match shape & FORM_MASK {
            ABSENT => 0,
            CONSTANT | ZERO => GAPS,
            _ => GAPS | CENTRED | UNBOUNDED | STEPPED,
        };
        if shape & !FORM_MASK & !known == 0 && shape & FORM_MASK <= ZERO {
            Ok(Self(shape))
        } else {
            Err(BlockError::Field { field: "column shape", value: u64::from(shape) })
        }
    }

    pub(in super::super) const fn is_absent(self) -> bool {
        self.0 == ABSENT
    }

    pub(in super::super) const fn has_gaps(self) -> bool {
        self.0 & GAPS != 0
    }

    /// Reads `count` values, at least one. What they lie in must be there before they are allocated; a constant column
    /// takes no bytes, so that the caller has to bound `count`.
    pub(in super::super) fn values(
        self,
        areas: &mut AreasReader<'_>,
        count: usize,
    ) -> Result<Vec<u64>, BlockError> {
        match self.0 & FORM_MASK {
            ABSENT => Err(BlockError::Field { field: "column shape", value: 0 }),
            ZERO => Ok(vec![0; count]),
            CONSTANT => Ok(vec![unzigzag(areas.area(AREA_LEAST)?.varint()?) as u64; count]),
            form => self.residual_values(areas, form, count),
        }
    }

    fn residual_values(
        self,
        areas: &mut AreasReader<'_>,
        form: u8,
        count: usize,
    ) -> Result<Vec<u64>, BlockError> {
        let scale = self.scale(areas)?;
        let guess = areas.area(AREA_GUESS)?.varint()?;
        within("first or centre", guess, scale.span)?;
        let centred = self.0 & CENTRED != 0;
        let rows = if centred { count } else { count - 1 };
        let mut values = residuals(areas, form, rows)?;
        if values.iter().any(|&residual| residual > scale.span) {
            return Err(BlockError::Field { field: "residual above the range", value: scale.span });
        }
        if centred {
            values.iter_mut().for_each(|value| *value = restore(*value, guess, scale.span));
        } else {
            let mut previous = guess;
            for value in &mut values {
                previous = restore(*value, previous, scale.span);
                *value = previous;
            }
            values.insert(0, guess);
        }
        values.iter_mut().for_each(|value| *value = value.wrapping_mul(scale.step).wrapping_add(scale.least));
        Ok(values)
    }

    fn scale(self, areas: &mut AreasReader<'_>) -> Result<Scale, BlockError> {
        let (mut least, mut span, mut step) = (0, u64::MAX, 1);
        if self.0 & UNBOUNDED == 0 {
            least = unzigzag(areas.area(AREA_LEAST)?.varint()?) as u64;
            span = areas.area(AREA_SPAN)?.varint()?;
            within("column range", span, RANGE_END - 1)?;
        }
        if self.0 & STEPPED != 0 {
            step = areas.area(AREA_SPAN)?.varint()?;
        }
        Ok(Scale { least, step, span })
    }
}

/// Reads a column of `count` values, each row of which has one; of none there is none.
pub(in super::super) fn read_all(areas: &mut AreasReader<'_>, count: usize) -> Result<Vec<u64>, BlockError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let shape = Shape::read(areas)?;
    if shape.has_gaps() {
        return Err(BlockError::Field { field: "column with gaps", value: 1 });
    }
    shape.values(areas, count)
}

fn within(field: &'static str, value: u64, max: u64) -> Result<(), BlockError> {
    if value <= max { Ok(()) } else { Err(BlockError::Field { field, value }) }
}

/// Residuals as they were before they were packed or laid out in planes.
fn residuals(areas: &mut AreasReader<'_>, form: u8, rows: usize) -> Result<Vec<u64>, BlockError> {
    if let Some((_, bits)) = PACKED.iter().find(|packed| packed.0 == form) {
        let in_byte = (8 / bits) as usize;
        let bytes = areas.area(packed_area(form))?.bytes(rows.div_ceil(in_byte))?;
        let mask = (1_u64 << bits) - 1;
        let mut residuals = Vec::with_capacity(rows + 1);
        residuals.extend(bytes.iter().flat_map(|&byte| {
            (0..in_byte as u32).map(move |place| u64::from(byte) >> (place * bits) & mask)
        }));
        residuals.truncate(rows);
        return Ok(residuals);
    }
    let mut planes = [[].as_slice(); 8];
    for plane in &mut planes[..usize::from(form)] {
        let area = areas.area(AREA_SHAPES)?.byte()?;
        *plane = areas.area(area)?.bytes(rows)?;
    }
    let mut residuals = Vec::with_capacity(rows + 1);
    residuals.extend(planes[0].iter().map(|&byte| u64::from(byte)));
    for (shift, plane) in (8_u32..).step_by(8).zip(&planes[1..usize::from(form)]) {
        residuals.iter_mut().zip(*plane).for_each(|(residual, &byte)| *residual |= u64::from(byte) << shift);
    }
    Ok(residuals)
}
