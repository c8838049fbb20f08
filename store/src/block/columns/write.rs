//! A column of samples or frames: what a prediction leaves over, in as few bits as its range needs.
//!
//! Raw integers of a CAN signal have few values, often a common step, and wrap: counters at their end, checksums
//! anywhere. So values are counted in steps from the smallest, and residuals are taken modulo the number of values:
//! a counter is constant, noise of 8 bits needs 8. Small residuals are packed, others lie in byte planes.

use super::super::wire::{put_varint, unzigzag, zigzag};
use super::areas::{AREA_SHAPES, AreasWriter};

/// No values at all: a signal that was not seen.
pub(in super::super) const ABSENT: u8 = 0;
/// Forms 1 to 8 are byte planes; these are packed: the form, and the bits of a residual.
pub(in super::super) const PACKED: [(u8, u32); 3] = [(9, 1), (10, 2), (11, 4)];
/// All values are equal.
pub(in super::super) const CONSTANT: u8 = 12;
/// All values are 0, as most constants are.
pub(in super::super) const ZERO: u8 = 13;
pub(in super::super) const FORM_MASK: u8 = 0x0F;
/// The prediction is one value for all rows, not the value before.
pub(in super::super) const CENTRED: u8 = 0x10;
/// Values are any 64 bits: no least value, no range, no step.
pub(in super::super) const UNBOUNDED: u8 = 0x20;
/// There is a common step above 1.
pub(in super::super) const STEPPED: u8 = 0x40;
/// There are rows without a value.
pub(in super::super) const GAPS: u8 = 0x80;
/// Ranges from here on are left unbounded: differences must not overflow.
pub(in super::super) const RANGE_END: u64 = 1 << 62;

/// What a column holds: its planes go to areas of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Role {
    /// Steps between rows.
    Times,
    /// Raw values of a signal.
    Values,
    /// Names: their differences mean nothing.
    Order,
}

/// Areas of the numbers of descriptions: least values, ranges and steps, guesses.
pub(in super::super) const AREA_LEAST: u8 = 1;
pub(in super::super) const AREA_SPAN: u8 = 2;
pub(in super::super) const AREA_GUESS: u8 = 3;
/// Areas of packed residuals, in the order of [`PACKED`].
const AREA_PACKED: u8 = 4;
/// Areas of byte planes of values: five, by how many bits their bytes have on average.
const AREA_PLANES: u8 = 7;
const AREA_TIMES_HIGH: u8 = 12;
const AREA_TIMES_LOW: u8 = 13;
const AREA_ORDER: u8 = 14;
/// Values looked at for choices that a wrong guess makes worse, not wrong.
const GUESS_ROWS: usize = 32;

/// Writes columns. Keeps its memory.
#[derive(Default)]
pub(in super::super) struct ColumnWriter {
    steps: Vec<u64>,
}

/// How a column's values become small numbers: `(value - least) / step`, at most `span`.
#[derive(Clone, Copy)]
pub(in super::super) struct Scale {
    pub(in super::super) least: u64,
    pub(in super::super) step: u64,
    pub(in super::super) span: u64,
}

impl ColumnWriter {
    /// Writes a signal that was not seen.
    pub(in super::super) fn put_absent(areas: &mut AreasWriter) {
        areas.area(AREA_SHAPES).push(ABSENT);
    }

    /// Writes `values` without gaps; nothing for none.
    pub(in super::super) fn put_some(&mut self, areas: &mut AreasWriter, values: &[u64], role: Role) {
        if !values.is_empty() {
            self.put(areas, values, false, role);
        }
    }

    /// Writes `values`, at least one: their shape into area 0, all else into other areas. `gaps` says that the gaps
    /// follow.
    pub(in super::super) fn put(&mut self, areas: &mut AreasWriter, values: &[u64], gaps: bool, role: Role) {
        let gaps = if gaps { GAPS } else { 0 };
        let first = values.first().map_or(0, |&first| first as i64);
        let (least, most) = values
            .iter()
            .fold((first, first), |(least, most), &value| (least.min(value as i64), most.max(value as i64)));
        if least == most {
            areas.area(AREA_SHAPES).push(gaps | if least == 0 { ZERO } else { CONSTANT });
            if least != 0 {
                put_varint(areas.area(AREA_LEAST), zigzag(least));
            }
            return;
        }
        let scale = scale(values, least, most);
        self.steps.clear();
        if scale.step == 1 {
            self.steps.extend(values.iter().map(|value| value.wrapping_sub(scale.least)));
        } else {
            self.steps.extend(values.iter().map(|value| value.wrapping_sub(scale.least) / scale.step));
        }
        let centre = if role == Role::Order { Some(0) } else { centre(&self.steps, scale.span).0 };
        let first = self.steps[0];
        let mut all = 0;
        let residuals = match centre {
            Some(centre) => {
                for step in &mut self.steps {
                    *step = residual(*step, centre, scale.span);
                    all |= *step;
                }
                &self.steps[..]
            }
            None => {
                let mut previous = first;
                for step in &mut self.steps {
                    let next = *step;
                    *step = residual(next, previous, scale.span);
                    all |= *step;
                    previous = next;
                }
                &self.steps[1..]
            }
        };
        let form = PACKED.iter().find(|(_, bits)| all >> bits == 0);
        let planes = (64 - all.leading_zeros()).div_ceil(8).max(1) as u8;
        let mut shape = gaps | form.map_or(planes, |form| form.0);
        shape |= if centre.is_some() { CENTRED } else { 0 };
        shape |= if scale.span == u64::MAX { UNBOUNDED } else { 0 };
        shape |= if scale.step > 1 { STEPPED } else { 0 };
        areas.area(AREA_SHAPES).push(shape);
        scale.put(areas);
        put_varint(areas.area(AREA_GUESS), centre.unwrap_or(first));
        match form {
            Some(&(form, bits)) => pack(areas.area(packed_area(form)), residuals, bits),
            None => (0..planes).for_each(|plane| {
                let area = plane_area(residuals, plane, role);
                areas.area(AREA_SHAPES).push(area);
                let shift = u32::from(plane) * 8;
                areas.area(area).extend(residuals.iter().map(|residual| (residual >> shift) as u8));
            }),
        }
    }
}

impl Scale {
    fn put(self, areas: &mut AreasWriter) {
        if self.span != u64::MAX {
            put_varint(areas.area(AREA_LEAST), zigzag(self.least as i64));
            put_varint(areas.area(AREA_SPAN), self.span);
        }
        if self.step > 1 {
            put_varint(areas.area(AREA_SPAN), self.step);
        }
    }
}

pub(in super::super) const fn packed_area(form: u8) -> u8 {
    AREA_PACKED + (form - PACKED[0].0)
}

fn scale(values: &[u64], least: i64, most: i64) -> Scale {
    let range = most.wrapping_sub(least) as u64;
    if range >= RANGE_END {
        return Scale { least: 0, step: 1, span: u64::MAX };
    }
    let least = least as u64;
    let step = common_step(values, least, range);
    Scale { least, step, span: range / step }
}

/// The greatest common divisor of all differences from `least`; most columns have 1, which is seen within a few values.
fn common_step(values: &[u64], least: u64, range: u64) -> u64 {
    let mut step = range;
    for value in values {
        let mut rest = value.wrapping_sub(least);
        // Narrow division is several times faster on small cores.
        rest = match (u32::try_from(rest), u32::try_from(step)) {
            (Ok(rest), Ok(step)) => u64::from(rest % step),
            _ => rest % step,
        };
        while rest != 0 {
            (step, rest) = (rest, step % rest);
        }
        if step == 1 {
            break;
        }
    }
    step
}

/// What is left of `value` when `guess` is taken off, modulo `span + 1`, zigzag: at most `span`.
const fn residual(value: u64, guess: u64, span: u64) -> u64 {
    let half = (span / 2) as i64;
    let low = (span / 2).wrapping_sub(span) as i64;
    let count = span.wrapping_add(1) as i64;
    let mut difference = value.wrapping_sub(guess) as i64;
    if difference > half {
        difference = difference.wrapping_sub(count);
    } else if difference < low {
        difference = difference.wrapping_add(count);
    }
    zigzag(difference)
}

/// The inverse of [`residual`]; `residual` and `guess` must be at most `span`.
pub(in super::super) const fn restore(residual: u64, guess: u64, span: u64) -> u64 {
    let difference = unzigzag(residual);
    let value = guess.wrapping_add(difference as u64);
    let count = span.wrapping_add(1);
    if value <= span {
        value
    } else if difference < 0 {
        value.wrapping_add(count)
    } else {
        value.wrapping_sub(count)
    }
}

/// The one guess for all rows, where that leaves less than the value before does: noise around a level. Also bits that
/// are left of a value on average, in 1/64.
fn centre(steps: &[u64], span: u64) -> (Option<u64>, u64) {
    let stride = (steps.len() / GUESS_ROWS).max(1);
    let pairs = || steps.windows(2).step_by(stride).take(GUESS_ROWS);
    let mut seen = [0; GUESS_ROWS];
    let count = pairs().zip(&mut seen).map(|(pair, seen)| *seen = pair[1]).count();
    if count == 0 {
        return (None, 0);
    }
    let (_, &mut centre, _) = seen[..count].select_nth_unstable(count / 2);
    let bits = |value, guess| u64::from(64 - residual(value, guess, span).leading_zeros());
    let centred: u64 = pairs().map(|pair| bits(pair[1], centre)).sum();
    let chained: u64 = pairs().map(|pair| bits(pair[1], pair[0])).sum();
    let count = count as u64;
    let left = centred.min(chained) * 64 / count;
    ((centred * 8 + count < chained * 8).then_some(centre), left)
}

/// A guess at the bits that a column takes.
pub(in super::super) fn bits(values: &[u64]) -> u64 {
    centre(values, u64::MAX).1 * values.len() as u64 / 64
}

fn plane_area(residuals: &[u64], plane: u8, role: Role) -> u8 {
    match (role, plane) {
        (Role::Times, 0) => AREA_TIMES_LOW,
        (Role::Times, _) => AREA_TIMES_HIGH,
        (Role::Order, _) => AREA_ORDER,
        (Role::Values, _) => {
            let stride = (residuals.len() / GUESS_ROWS).max(1);
            let bytes = || residuals.iter().step_by(stride).map(|residual| (residual >> (plane * 8)) as u8);
            let bits: usize = bytes().map(|byte| 8 - byte.leading_zeros() as usize).sum();
            let count = bytes().count();
            // Two bits to an area, rounded.
            AREA_PLANES + ((bits + count) / (2 * count)) as u8
        }
    }
}

/// Several residuals to a byte, the first in the lowest bits.
fn pack(area: &mut Vec<u8>, residuals: &[u64], bits: u32) {
    let packed = residuals
        .chunks((8 / bits) as usize)
        .map(|chunk| chunk.iter().rev().fold(0_u8, |byte, &residual| byte << (bits % 8) | residual as u8));
    area.extend(packed);
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
