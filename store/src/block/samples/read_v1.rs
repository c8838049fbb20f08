//! Sample bodies of format version 1, which are read for ever and no longer written.

use super::super::columns::TICK_NS_MAX;
use super::super::wire::{Reader, unzigzag};
use super::super::{BlockError, ClockSource, column, limits};
use super::read::{Budget, read_gaps, slots, times};
use super::{Group, Rows, SampleColumn, Samples, SlotMillis};

/// As `read_samples` of this version: what the body does not hold, or what exceeds the limits, is an error.
pub(in super::super) fn read_samples(body: &[u8], count: u32) -> Result<Samples, BlockError> {
    let mut budget = Budget::new(count)?;
    let mut reader = Reader::new(body);
    let tick_ns = reader.count("tick", TICK_NS_MAX as usize)? as i64;
    let base = unzigzag(reader.varint()?);
    let groups = reader.count("groups", limits::MESSAGES_MAX)?;
    let groups =
        (0..groups).map(|_| read_group(&mut reader, tick_ns, base, &mut budget)).collect::<Result<_, _>>()?;
    reader.end()?;
    budget.end(count)?;
    Ok(Samples { groups })
}

fn read_group(
    reader: &mut Reader<'_>,
    tick_ns: i64,
    base: i64,
    budget: &mut Budget,
) -> Result<Group, BlockError> {
    let message = reader.count("message", limits::MESSAGES_MAX - 1)?;
    let clock = ClockSource::from_number(reader.byte()?)?;
    let rows = budget.rows(reader)?;
    let carry = reader.count("carry", SlotMillis::SHIFT_MAX as usize + 1)? as u64;
    let first = base.wrapping_add(unzigzag(reader.varint()?));
    let deltas = column::read(reader, rows - 1)?;
    let times_ns = times(first, &deltas, tick_ns);
    let slots_ms = slots(&times_ns, carry);
    let signals = reader.count("signals", limits::SIGNALS_MAX)?;
    let mut columns = Vec::with_capacity(signals);
    for signal in 0..signals {
        let values = reader.count("values", rows.min(budget.samples))?;
        if values == 0 {
            continue;
        }
        budget.samples -= values;
        let gaps = read_gaps(reader, rows, rows - values)?;
        columns.push(SampleColumn { signal, values: column::read(reader, values)?, rows: Rows { gaps } });
    }
    Ok(Group { message, clock, times_ns, slots_ms, columns })
}
