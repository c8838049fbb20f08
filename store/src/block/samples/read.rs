//! Reading sample bodies.

use super::super::columns::{AREA_GAPS, AREA_SHAPES, AreasReader, Shape, TICK_NS_MAX, read_all};
use super::super::wire::{Reader, unzigzag};
use super::super::{BlockError, ClockSource, limits};
use super::{SAMPLES_MAX, SlotMillis};

/// An opened sample block.
#[derive(Debug, PartialEq, Eq)]
pub struct Samples {
    /// One for each message that was seen.
    pub groups: Vec<Group>,
}

/// The rows of one message.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Index into the schema's messages.
    pub message: usize,
    /// The clock its times were read from.
    pub clock: ClockSource,
    /// Time of each row, nanoseconds since 1970 in that clock.
    pub times_ns: Vec<i64>,
    /// A millisecond for each row, see [`SlotMillis`].
    pub slots_ms: Vec<Option<i64>>,
    /// One for each signal that has values.
    pub columns: Vec<SampleColumn>,
}

/// The values of one signal.
#[derive(Debug, PartialEq, Eq)]
pub struct SampleColumn {
    /// Index into the message's signals.
    pub signal: usize,
    /// Raw values, see `can_decode::Raw`.
    pub values: Vec<u64>,
    /// The row of each value.
    pub rows: Rows,
}

/// Which rows of a group have a value of the signal.
#[derive(Debug, PartialEq, Eq)]
pub struct Rows {
    pub(super) gaps: Vec<(u32, u32)>,
}

impl Rows {
    /// The row index of each value, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let mut gaps = self.gaps.iter().peekable();
        let mut row = 0_usize;
        core::iter::repeat_with(move || {
            while let Some((start, rows)) = gaps.peek() {
                if *start as usize != row {
                    break;
                }
                row += *rows as usize;
                gaps.next();
            }
            row += 1;
            row - 1
        })
    }
}

/// Reads a sample body that holds `count` samples according to its header.
///
/// # Errors
/// [`BlockError`] when the body does not hold exactly what it announces, or exceeds the limits.
pub fn read_samples(body: &[u8], count: u32) -> Result<Samples, BlockError> {
    let mut budget = Budget::new(count)?;
    let mut areas = AreasReader::new(body)?;
    let head = areas.area(AREA_SHAPES)?;
    let tick_ns = head.count("tick", TICK_NS_MAX as usize)? as i64;
    if tick_ns == 0 {
        return Err(BlockError::Field { field: "tick", value: 0 });
    }
    let base_ns = unzigzag(head.varint()?);
    let one_timeline = match head.byte()? {
        0 => false,
        1 => true,
        other => return Err(BlockError::Field { field: "timeline", value: u64::from(other) }),
    };
    let ticks = Ticks { most_ns: tick_ns, base_ns, one_timeline };
    // Each takes at least six bytes.
    let groups = head.count("groups", limits::MESSAGES_MAX.min(head.left()))?;
    let mut groups =
        (0..groups).map(|_| read_group(&mut areas, ticks, &mut budget)).collect::<Result<Vec<_>, _>>()?;
    if one_timeline {
        read_timeline(&mut areas, ticks, &mut groups)?;
    }
    areas.end()?;
    budget.end(count)?;
    groups.iter_mut().for_each(|open| open.group.slots_ms = slots(&open.group.times_ns, open.carry));
    Ok(Samples { groups: groups.into_iter().map(|open| open.group).collect() })
}

/// What all groups have in common.
#[derive(Clone, Copy)]
struct Ticks {
    most_ns: i64,
    base_ns: i64,
    one_timeline: bool,
}

/// A group that is being read.
struct Open {
    group: Group,
    rows: usize,
    carry: u64,
}

/// What a block may still make its reader allocate: a constant column of a million rows takes three bytes.
pub(super) struct Budget {
    pub(super) samples: usize,
    pub(super) rows: usize,
}

impl Budget {
    pub(super) fn new(count: u32) -> Result<Self, BlockError> {
        if count as usize > SAMPLES_MAX {
            let max = SAMPLES_MAX as u64;
            return Err(BlockError::Limit { field: "count", value: u64::from(count), max });
        }
        Ok(Self { samples: count as usize, rows: SAMPLES_MAX })
    }

    /// The header's count must be used up.
    pub(super) fn end(&self, count: u32) -> Result<(), BlockError> {
        if self.samples == 0 {
            Ok(())
        } else {
            Err(BlockError::Field { field: "count", value: u64::from(count) })
        }
    }

    /// Rows of a group: at least one.
    pub(super) fn rows(&mut self, reader: &mut Reader<'_>) -> Result<usize, BlockError> {
        let rows = reader.count("rows", limits::ROWS_MAX.min(self.rows))?;
        if rows == 0 {
            return Err(BlockError::Field { field: "rows", value: 0 });
        }
        self.rows -= rows;
        Ok(rows)
    }
}

fn read_group(areas: &mut AreasReader<'_>, ticks: Ticks, budget: &mut Budget) -> Result<Open, BlockError> {
    let head = areas.area(AREA_SHAPES)?;
    let message = head.count("message", limits::MESSAGES_MAX - 1)?;
    let clock = ClockSource::from_number(head.byte()?)?;
    let rows = budget.rows(head)?;
    let carry = head.count("carry", SlotMillis::SHIFT_MAX as usize + 1)? as u64;
    let times_ns = if ticks.one_timeline { Vec::new() } else { read_times(areas, ticks, rows)? };
    let head = areas.area(AREA_SHAPES)?;
    // Each takes at least a byte.
    let signals = head.count("signals", limits::SIGNALS_MAX.min(head.left()))?;
    let mut columns = Vec::with_capacity(signals);
    for signal in 0..signals {
        let shape = Shape::read(areas)?;
        if !shape.is_absent() {
            columns.push(read_column(areas, signal, shape, rows, budget)?);
        }
    }
    let group = Group { message, clock, times_ns, slots_ms: Vec::new(), columns };
    Ok(Open { group, rows, carry })
}

/// The times of a message that has a column of its own.
fn read_times(areas: &mut AreasReader<'_>, ticks: Ticks, rows: usize) -> Result<Vec<i64>, BlockError> {
    let head = areas.area(AREA_SHAPES)?;
    let tick_ns = match head.count("tick", TICK_NS_MAX as usize)? as i64 {
        0 => ticks.most_ns,
        own => own,
    };
    let first = ticks.base_ns.div_euclid(tick_ns).wrapping_add(unzigzag(head.varint()?));
    let deltas = read_all(areas, rows - 1)?;
    Ok(times(first, &deltas, tick_ns))
}

/// The times of all messages at once, in the order in which their rows were taken.
fn read_timeline(areas: &mut AreasReader<'_>, ticks: Ticks, groups: &mut [Open]) -> Result<(), BlockError> {
    let rows = groups.iter().map(|open| open.rows).sum();
    let order = read_all(areas, rows)?;
    let deltas = read_all(areas, rows)?;
    groups.iter_mut().for_each(|open| open.group.times_ns.reserve_exact(open.rows));
    let mut tick = ticks.base_ns.div_euclid(ticks.most_ns);
    for (&place, &delta) in order.iter().zip(&deltas) {
        tick = tick.wrapping_add(delta as i64);
        // A message may have as many rows as it said, no more: so that all have theirs in the end.
        let open = usize::try_from(place).ok().and_then(|place| groups.get_mut(place));
        match open.filter(|open| open.group.times_ns.len() < open.rows) {
            Some(open) => open.group.times_ns.push(tick.wrapping_mul(ticks.most_ns)),
            None => return Err(BlockError::Field { field: "order", value: place }),
        }
    }
    Ok(())
}

fn read_column(
    areas: &mut AreasReader<'_>,
    signal: usize,
    shape: Shape,
    rows: usize,
    budget: &mut Budget,
) -> Result<SampleColumn, BlockError> {
    let (mut missing, mut gaps) = (0, Vec::new());
    if shape.has_gaps() {
        let head = areas.area(AREA_GAPS)?;
        missing = head.count("rows without a value", rows - 1)?;
        gaps = read_gaps(head, rows, missing)?;
    }
    let values = rows - missing;
    if values > budget.samples {
        let max = budget.samples as u64;
        return Err(BlockError::Limit { field: "values", value: values as u64, max });
    }
    budget.samples -= values;
    Ok(SampleColumn { signal, values: shape.values(areas, values)?, rows: Rows { gaps } })
}

/// Times of rows in nanoseconds: of the first, and of as many more as there are deltas.
pub(super) fn times(first: i64, deltas: &[u64], tick_ns: i64) -> Vec<i64> {
    let mut times_ns = Vec::with_capacity(deltas.len() + 1);
    let mut tick = first;
    times_ns.push(tick.wrapping_mul(tick_ns));
    for &delta in deltas {
        tick = tick.wrapping_add(delta as i64);
        times_ns.push(tick.wrapping_mul(tick_ns));
    }
    times_ns
}

/// Milliseconds of rows at these times, at least one.
pub(super) fn slots(times_ns: &[i64], carry: u64) -> Vec<Option<i64>> {
    let mut slots = SlotMillis::resume(carry, times_ns.first().copied().unwrap_or(0));
    times_ns.iter().map(|&time| slots.place(time)).collect()
}

/// Runs of rows without a value, as (first row, rows): together at most `missing`, the rest of which is at the end.
pub(super) fn read_gaps(
    reader: &mut Reader<'_>,
    rows: usize,
    missing: usize,
) -> Result<Vec<(u32, u32)>, BlockError> {
    // Each takes at least two bytes.
    let count = reader.count("gaps", missing.min(reader.left() / 2))?;
    let (mut left, mut end) = (missing, 0);
    let mut gaps = Vec::with_capacity(count);
    for _ in 0..count {
        let start = end + reader.count("gap start", rows - end)?;
        let length = reader.count("gap rows", left.min(rows - start))?;
        if length == 0 {
            return Err(BlockError::Field { field: "gap rows", value: 0 });
        }
        left -= length;
        end = start + length;
        gaps.push((start as u32, length as u32));
    }
    Ok(gaps)
}
