//! Sample bodies: per message one column of times and one column of raw values per signal.

use super::wire::{Reader, put_varint, unzigzag, zigzag};
use super::{BlockError, ClockSource, column, limits};

/// Most samples in a block, and most rows: what a reader may have to hold at once (8 bytes each).
const SAMPLES_MAX: usize = 1 << 22;

/// Gives every sample of a series a millisecond of its own, for sinks that keep no finer time (Prometheus).
///
/// Two frames of one message within a millisecond would otherwise collide there and one would be lost. The later one
/// moves to the next free millisecond, at most [`SlotMillis::SHIFT_MAX`]; a burst beyond that has no place. The rule
/// looks only at the frames before it, and blocks carry its state, so that a block gives the same slots whenever and
/// wherever it is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlotMillis {
    last: Option<(i64, i64)>,
}

impl SlotMillis {
    /// The furthest that a sample is moved, milliseconds.
    pub const SHIFT_MAX: i64 = 20;

    /// The slot for a frame at `time_ns` (milliseconds since 1970), or `None` when all slots near it are taken.
    pub fn place(&mut self, time_ns: i64) -> Option<i64> {
        let ms = time_ns.div_euclid(1_000_000);
        let slot = match self.last {
            // Far behind its predecessor: the clock or the recording was set back, not a burst.
            Some((last_ms, _)) if ms < last_ms - Self::SHIFT_MAX => ms,
            Some((_, last_slot)) => ms.max(last_slot + 1),
            None => ms,
        };
        if slot - ms > Self::SHIFT_MAX {
            return None;
        }
        self.last = Some((ms, slot));
        Some(slot)
    }

    /// How much of the state the next frame needs: 0 for none, else the first free slot after its own + 1.
    fn carry(self, next_ns: i64) -> u64 {
        let ms = next_ns.div_euclid(1_000_000);
        match self.last {
            Some((last_ms, last_slot)) if last_slot >= ms && ms >= last_ms - Self::SHIFT_MAX => {
                (last_slot - ms + 1).min(Self::SHIFT_MAX + 1) as u64
            }
            _ => 0,
        }
    }

    fn resume(carry: u64, next_ns: i64) -> Self {
        let ms = next_ns.div_euclid(1_000_000);
        Self { last: (carry > 0).then(|| (ms, ms + carry as i64 - 1)) }
    }
}

#[derive(Default)]
struct ColumnBuffer {
    values: Vec<u64>,
    /// Runs of rows without a value, as (first row, rows); the run at the end is implied.
    gaps: Vec<(u32, u32)>,
    gap_rows: u32,
}

struct GroupBuffer {
    clock: ClockSource,
    ticks: Vec<i64>,
    columns: Vec<ColumnBuffer>,
    slots: SlotMillis,
    carry: u64,
}

/// Collects samples until they are sealed. Its buffers keep their capacity, so that it stops allocating once warm.
pub struct SamplesBuilder {
    tick_ns: i64,
    groups: Vec<GroupBuffer>,
    /// Messages that have rows, in order of first appearance.
    active: Vec<u32>,
    samples: usize,
    rows: usize,
    first_ns: i64,
    last_ns: i64,
    deltas: Vec<u64>,
}

/// The row cannot join the open block: it holds rows of this message from another clock. Seal it, then push again.
#[derive(Debug, PartialEq, Eq)]
pub struct ClockChanged;

impl SamplesBuilder {
    /// For a schema whose message `i` has `signals[i]` signals; times are kept in steps of `tick_ns` nanoseconds
    /// (at least 1).
    pub fn new(signals: impl IntoIterator<Item = usize>, tick_ns: i64) -> Self {
        let group = |count| GroupBuffer {
            clock: ClockSource::UserSpace,
            ticks: Vec::new(),
            columns: (0..count).map(|_| ColumnBuffer::default()).collect(),
            slots: SlotMillis::default(),
            carry: 0,
        };
        Self {
            tick_ns: tick_ns.max(1),
            groups: signals.into_iter().map(group).collect(),
            active: Vec::new(),
            samples: 0,
            rows: 0,
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            deltas: Vec::new(),
        }
    }

    /// Starts a row: one frame of `message` at `time_ns`. Values follow with [`Self::value`].
    ///
    /// # Errors
    /// [`ClockChanged`] when the message's rows so far are from another clock.
    pub fn row(&mut self, message: usize, time_ns: i64, clock: ClockSource) -> Result<(), ClockChanged> {
        let group = &mut self.groups[message];
        let tick = time_ns.div_euclid(self.tick_ns);
        let kept_ns = tick * self.tick_ns;
        if group.ticks.is_empty() {
            group.clock = clock;
            group.carry = group.slots.carry(kept_ns);
            self.active.push(message as u32);
        } else if group.clock != clock {
            return Err(ClockChanged);
        }
        group.ticks.push(tick);
        self.rows += 1;
        group.slots.place(kept_ns);
        self.first_ns = self.first_ns.min(kept_ns);
        self.last_ns = self.last_ns.max(kept_ns);
        Ok(())
    }

    /// The raw value of a signal in the row last started for `message`: at most one for each signal.
    pub fn value(&mut self, message: usize, signal: usize, raw: u64) {
        let group = &mut self.groups[message];
        let row = group.ticks.len() as u32 - 1;
        let column = &mut group.columns[signal];
        let next = column.values.len() as u32 + column.gap_rows;
        if next < row {
            column.gaps.push((next, row - next));
            column.gap_rows += row - next;
        }
        column.values.push(raw);
        self.samples += 1;
    }

    /// Samples collected.
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// Rows collected, those without values included.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Whether nothing is collected, not even a row without values.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Earliest and latest time collected, nanoseconds; `None` when empty.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        (!self.is_empty()).then_some((self.first_ns, self.last_ns))
    }

    /// Writes the body to `out` and starts afresh.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        let base = if self.is_empty() { 0 } else { self.first_ns / self.tick_ns };
        put_varint(out, self.tick_ns as u64);
        put_varint(out, zigzag(base));
        put_varint(out, self.active.len() as u64);
        for &message in &self.active {
            let group = &mut self.groups[message as usize];
            put_varint(out, u64::from(message));
            out.push(group.clock as u8);
            put_varint(out, group.ticks.len() as u64);
            put_varint(out, group.carry);
            put_varint(out, zigzag(group.ticks[0] - base));
            self.deltas.clear();
            self.deltas.extend(group.ticks.windows(2).map(|pair| (pair[1] - pair[0]) as u64));
            column::put(out, &self.deltas);
            put_varint(out, group.columns.len() as u64);
            for column in &mut group.columns {
                column.encode(out);
            }
            group.ticks.clear();
        }
        self.active.clear();
        (self.samples, self.rows) = (0, 0);
        (self.first_ns, self.last_ns) = (i64::MAX, i64::MIN);
    }
}

impl ColumnBuffer {
    fn encode(&mut self, out: &mut Vec<u8>) {
        put_varint(out, self.values.len() as u64);
        if !self.values.is_empty() {
            put_varint(out, self.gaps.len() as u64);
            let mut row = 0;
            for &(start, rows) in &self.gaps {
                put_varint(out, u64::from(start - row));
                put_varint(out, u64::from(rows));
                row = start + rows;
            }
            column::put(out, &self.values);
        }
        self.values.clear();
        self.gaps.clear();
        self.gap_rows = 0;
    }
}

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
    gaps: Vec<(u32, u32)>,
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
    let mut reader = Reader::new(body);
    if count as usize > SAMPLES_MAX {
        return Err(BlockError::Limit { field: "count", value: u64::from(count), max: SAMPLES_MAX as u64 });
    }
    let tick_ns = reader.count("tick", 1_000_000_000)? as i64;
    let base = unzigzag(reader.varint()?);
    let groups = reader.count("groups", limits::MESSAGES_MAX)?;
    let mut budget = Budget { samples: count as usize, rows: SAMPLES_MAX };
    let groups =
        (0..groups).map(|_| read_group(&mut reader, tick_ns, base, &mut budget)).collect::<Result<_, _>>()?;
    reader.end()?;
    if budget.samples != 0 {
        return Err(BlockError::Field { field: "count", value: u64::from(count) });
    }
    Ok(Samples { groups })
}

/// What a block may still make its reader allocate: a constant column of a million rows takes three bytes.
struct Budget {
    samples: usize,
    rows: usize,
}

fn read_group(
    reader: &mut Reader<'_>,
    tick_ns: i64,
    base: i64,
    budget: &mut Budget,
) -> Result<Group, BlockError> {
    let message = reader.count("message", limits::MESSAGES_MAX - 1)?;
    let clock = ClockSource::from_number(reader.byte()?)?;
    let rows = reader.count("rows", limits::ROWS_MAX.min(budget.rows))?;
    if rows == 0 {
        return Err(BlockError::Field { field: "rows", value: 0 });
    }
    budget.rows -= rows;
    let carry = reader.count("carry", SlotMillis::SHIFT_MAX as usize + 1)? as u64;
    let mut tick = base.wrapping_add(unzigzag(reader.varint()?));
    let deltas = column::read(reader, rows - 1)?;
    let times_ns: Vec<i64> = core::iter::once(0)
        .chain(deltas)
        .map(|delta| {
            tick = tick.wrapping_add(delta as i64);
            tick.wrapping_mul(tick_ns)
        })
        .collect();
    let mut slots = SlotMillis::resume(carry, times_ns[0]);
    let slots_ms = times_ns.iter().map(|&time| slots.place(time)).collect();
    let signals = reader.count("signals", limits::SIGNALS_MAX)?;
    let mut columns = Vec::with_capacity(signals);
    for signal in 0..signals {
        let values = reader.count("values", rows.min(budget.samples))?;
        if values == 0 {
            continue;
        }
        budget.samples -= values;
        let gaps = read_gaps(reader, rows - values)?;
        columns.push(SampleColumn { signal, values: column::read(reader, values)?, rows: Rows { gaps } });
    }
    Ok(Group { message, clock, times_ns, slots_ms, columns })
}

fn read_gaps(reader: &mut Reader<'_>, missing: usize) -> Result<Vec<(u32, u32)>, BlockError> {
    let count = reader.count("gaps", missing)?;
    let mut left = missing;
    let mut row = 0;
    let mut gaps = Vec::with_capacity(count);
    for _ in 0..count {
        let start = row + reader.count("gap start", limits::ROWS_MAX)? as u32;
        let rows = reader.count("gap rows", left)?;
        if rows == 0 {
            return Err(BlockError::Field { field: "gap rows", value: 0 });
        }
        left -= rows;
        row = start + rows as u32;
        gaps.push((start, rows as u32));
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests;
