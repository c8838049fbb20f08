//! Collecting samples, and writing them as a body.

use super::super::columns::{AREA_GAPS, AREA_SHAPES, AreasWriter, ColumnWriter, Role, TICK_NS_MAX, Timeline};
use super::super::wire::{put_varint, zigzag};
use super::super::{ClockSource, SampleMark};
use super::SlotMillis;

#[derive(Default)]
struct ColumnBuffer {
    values: Vec<u64>,
    /// Runs of rows without a value, as (first row, rows); the run at the end is implied.
    gaps: Vec<(u32, u32)>,
    gap_rows: u32,
}

struct GroupBuffer {
    tick_ns: i64,
    /// Place in [`SamplesBuilder::active`] while there are rows.
    place: usize,
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
    /// The place in `active` of each row's message, in the order of the rows.
    order: Vec<u64>,
    samples: usize,
    first_ns: i64,
    last_ns: i64,
    timeline: Timeline,
    columns: ColumnWriter,
    areas: AreasWriter,
}

/// The row cannot join the open block: it holds rows of this message from another clock. Seal it, then push again.
#[derive(Debug, PartialEq, Eq)]
pub struct ClockChanged;

impl SamplesBuilder {
    /// For a schema whose message `i` has `signals[i]` signals; times are kept in steps of `tick_ns` nanoseconds
    /// (1 to 10⁹, taken into that range).
    pub fn new(signals: impl IntoIterator<Item = usize>, tick_ns: i64) -> Self {
        Self::with_ticks(signals.into_iter().map(|signals| (signals, tick_ns)), tick_ns)
    }

    /// As [`Self::new`], with signals and steps for each message: `tick_ns` stands for most of them and takes no bytes.
    pub fn with_ticks(messages: impl IntoIterator<Item = (usize, i64)>, tick_ns: i64) -> Self {
        let group = |(signals, tick_ns): (usize, i64)| GroupBuffer {
            tick_ns: tick_ns.clamp(1, TICK_NS_MAX),
            place: 0,
            clock: ClockSource::UserSpace,
            ticks: Vec::new(),
            columns: (0..signals).map(|_| ColumnBuffer::default()).collect(),
            slots: SlotMillis::default(),
            carry: 0,
        };
        Self {
            tick_ns: tick_ns.clamp(1, TICK_NS_MAX),
            groups: messages.into_iter().map(group).collect(),
            active: Vec::new(),
            order: Vec::new(),
            samples: 0,
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            timeline: Timeline::default(),
            columns: ColumnWriter::default(),
            areas: AreasWriter::default(),
        }
    }

    /// Starts a row: one frame of `message` at `time_ns`. Values follow with [`Self::value`]. Where its samples will be.
    ///
    /// # Errors
    /// [`ClockChanged`] when the message's rows so far are from another clock.
    pub fn row(
        &mut self,
        message: usize,
        time_ns: i64,
        clock: ClockSource,
    ) -> Result<SampleMark, ClockChanged> {
        let group = &mut self.groups[message];
        let tick = time_ns.div_euclid(group.tick_ns);
        let kept_ns = tick.wrapping_mul(group.tick_ns);
        if group.ticks.is_empty() {
            group.clock = clock;
            group.carry = group.slots.carry(kept_ns);
            group.place = self.active.len();
            self.active.push(message as u32);
        } else if group.clock != clock {
            return Err(ClockChanged);
        }
        group.ticks.push(tick);
        self.order.push(group.place as u64);
        let slot_ms = group.slots.place(kept_ns);
        self.first_ns = self.first_ns.min(kept_ns);
        self.last_ns = self.last_ns.max(kept_ns);
        // Both are small: a tick is a second at most, and a slot at most `SHIFT_MAX` away.
        let delay_ms = |slot_ms: i64| (slot_ms - kept_ns.div_euclid(1_000_000)) as u8;
        Ok(SampleMark { tick_ns: group.tick_ns as u32, slot_delay_ms: slot_ms.map(delay_ms) })
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
        self.order.len()
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
        let one_timeline = self.one_timeline_is_smaller();
        let Self { areas, columns, timeline, tick_ns: most_ns, .. } = self;
        let base_ns = if self.active.is_empty() { 0 } else { self.first_ns };
        let head = areas.area(AREA_SHAPES);
        put_varint(head, *most_ns as u64);
        put_varint(head, zigzag(base_ns));
        head.push(u8::from(one_timeline));
        put_varint(head, self.active.len() as u64);
        for &message in &self.active {
            let group = &mut self.groups[message as usize];
            let head = areas.area(AREA_SHAPES);
            put_varint(head, u64::from(message));
            head.push(group.clock as u8);
            put_varint(head, group.ticks.len() as u64);
            put_varint(head, group.carry);
            if !one_timeline {
                put_varint(head, if group.tick_ns == *most_ns { 0 } else { group.tick_ns as u64 });
                put_varint(head, zigzag(group.ticks[0].wrapping_sub(base_ns.div_euclid(group.tick_ns))));
                columns.put_some(areas, timeline.of(&group.ticks), Role::Times);
            }
            put_varint(areas.area(AREA_SHAPES), group.columns.len() as u64);
            for column in &mut group.columns {
                column.encode(group.ticks.len(), columns, areas);
            }
            group.ticks.clear();
        }
        if one_timeline {
            columns.put_some(areas, &self.order, Role::Order);
            columns.put_some(areas, &timeline.deltas, Role::Times);
        }
        areas.finish(out);
        self.active.clear();
        self.order.clear();
        self.samples = 0;
        (self.first_ns, self.last_ns) = (i64::MAX, i64::MIN);
    }

    /// See [`Timeline::is_smaller`]. One column is of one step.
    fn one_timeline_is_smaller(&mut self) -> bool {
        let Self { timeline, groups, active, order, tick_ns, .. } = self;
        let of = |place: usize| &groups[active[place] as usize];
        let is_of_one_step = (0..active.len()).all(|place| of(place).tick_ns == *tick_ns);
        let base = self.first_ns / *tick_ns;
        active.len() > 1
            && is_of_one_step
            && timeline.is_smaller(order, active.len(), |place| of(place).ticks.as_slice(), base)
    }
}

impl ColumnBuffer {
    fn encode(&mut self, rows: usize, columns: &mut ColumnWriter, areas: &mut AreasWriter) {
        if self.values.is_empty() {
            ColumnWriter::put_absent(areas);
            return;
        }
        columns.put(areas, &self.values, self.values.len() < rows, Role::Values);
        if self.values.len() < rows {
            let head = areas.area(AREA_GAPS);
            put_varint(head, (rows - self.values.len()) as u64);
            put_varint(head, self.gaps.len() as u64);
            let mut row = 0;
            for &(start, rows) in &self.gaps {
                put_varint(head, u64::from(start - row));
                put_varint(head, u64::from(rows));
                row = start + rows;
            }
        }
        self.values.clear();
        self.gaps.clear();
        self.gap_rows = 0;
    }
}
