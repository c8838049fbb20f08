//! Collecting frames, and writing them as a body.

use std::collections::HashMap;

use super::super::columns::{AREA_SHAPES, AreasWriter, ColumnWriter, Role, TICK_NS_MAX, Timeline};
use super::super::limits;
use super::super::wire::{put_varint, zigzag};
use super::{Likeness, RawFrame};

/// Most frames in an open block; half of what a reader takes.
const FRAMES_MAX: usize = limits::FRAMES_MAX / 2;
/// Most bytes of payload in an open block: not compressed at all, they still make a block.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Collects frames until they are sealed. What it holds is bounded whatever is on the bus, and once its buffers have grown
/// it allocates nothing.
pub struct FramesBuilder {
    tick_ns: i64,
    places: HashMap<Likeness, u32>,
    groups: Vec<Group>,
    /// The place of each frame's group, its tick, and where its payload begins, in the order in which frames were taken.
    order: Vec<u64>,
    ticks: Vec<i64>,
    payload: Vec<u8>,
    first_ns: i64,
    last_ns: i64,
    sorted: Sorted,
    timeline: Timeline,
    columns: ColumnWriter,
    areas: AreasWriter,
}

struct Group {
    like: Likeness,
    rows: usize,
    /// Where its rows begin once they are sorted.
    start: usize,
}

/// Frames group by group.
#[derive(Default)]
struct Sorted {
    ticks: Vec<i64>,
    /// Where each frame's payload begins.
    payloads: Vec<u32>,
    column: Vec<u64>,
}

/// The open block has no room for the frame. Seal it, then push again.
#[derive(Debug, PartialEq, Eq)]
pub struct FramesFull;

impl FramesBuilder {
    /// Times are kept in steps of `tick_ns` nanoseconds (1 to 10⁹, taken into that range).
    pub fn new(tick_ns: i64) -> Self {
        Self {
            tick_ns: tick_ns.clamp(1, TICK_NS_MAX),
            places: HashMap::new(),
            groups: Vec::new(),
            order: Vec::new(),
            ticks: Vec::new(),
            payload: Vec::new(),
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            sorted: Sorted::default(),
            timeline: Timeline::default(),
            columns: ColumnWriter::default(),
            areas: AreasWriter::default(),
        }
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`FramesFull`] when there are too many frames, bytes or identifiers in the block; an empty one takes any frame.
    pub fn push(&mut self, raw: &RawFrame) -> Result<(), FramesFull> {
        let like = Likeness::of(raw);
        let known = self.places.get(&like).copied();
        let is_full = self.order.len() >= FRAMES_MAX
            || self.payload.len() + like.payload_len() > PAYLOAD_BYTES_MAX
            || (known.is_none() && self.groups.len() >= limits::FRAME_GROUPS_MAX);
        if is_full {
            return Err(FramesFull);
        }
        let place = known.unwrap_or_else(|| {
            let place = self.groups.len() as u32;
            self.groups.push(Group { like, rows: 0, start: 0 });
            self.places.insert(like, place);
            place
        });
        let tick = raw.time_ns.div_euclid(self.tick_ns);
        let kept_ns = tick.wrapping_mul(self.tick_ns);
        self.groups[place as usize].rows += 1;
        self.order.push(u64::from(place));
        self.ticks.push(tick);
        self.payload.extend_from_slice(raw.frame.data());
        self.first_ns = self.first_ns.min(kept_ns);
        self.last_ns = self.last_ns.max(kept_ns);
        Ok(())
    }

    /// Frames collected.
    pub const fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is collected.
    pub const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Earliest and latest time collected, nanoseconds; `None` when empty.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        (!self.is_empty()).then_some((self.first_ns, self.last_ns))
    }

    /// Writes the body to `out` and starts afresh.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        self.sort();
        let one_timeline = self.has_one_timeline();
        let Self { groups, order, payload, sorted, timeline, columns, areas, .. } = self;
        let base_ns = if order.is_empty() { 0 } else { self.first_ns };
        let head = areas.area(AREA_SHAPES);
        put_varint(head, self.tick_ns as u64);
        put_varint(head, zigzag(base_ns));
        head.push(u8::from(one_timeline));
        put_varint(head, groups.len() as u64);
        for Group { like, rows, start } in groups.iter() {
            let rows = *start..start + rows;
            let head = areas.area(AREA_SHAPES);
            put_varint(head, u64::from(like.bus));
            put_varint(head, u64::from(like.id.with_extended_bit()));
            head.extend_from_slice(&[like.flags, like.clock as u8, like.len]);
            put_varint(head, rows.len() as u64);
            if !one_timeline {
                let ticks = &sorted.ticks[rows.clone()];
                put_varint(head, zigzag(ticks[0].wrapping_sub(base_ns.div_euclid(self.tick_ns))));
                columns.put_some(areas, timeline.of(ticks), Role::Times);
            }
            for byte in 0..like.payload_len() {
                sorted.column.clear();
                let starts = sorted.payloads[rows.clone()].iter();
                sorted.column.extend(starts.map(|&start| u64::from(payload[start as usize + byte])));
                columns.put_some(areas, &sorted.column, Role::Values);
            }
        }
        if one_timeline {
            columns.put_some(areas, order, Role::Order);
            columns.put_some(areas, &timeline.deltas, Role::Times);
        }
        areas.finish(out);
        self.clear();
    }

    /// Puts ticks and payloads group by group.
    fn sort(&mut self) {
        let Self { groups, order, ticks, sorted, .. } = self;
        let mut start = 0;
        for group in groups.iter_mut() {
            group.start = start;
            start += group.rows;
            // Counted again below.
            group.rows = 0;
        }
        sorted.ticks.clear();
        sorted.ticks.resize(order.len(), 0);
        sorted.payloads.clear();
        sorted.payloads.resize(order.len(), 0);
        let mut at = 0;
        for (&place, &tick) in order.iter().zip(ticks.iter()) {
            let group = &mut groups[place as usize];
            let row = group.start + group.rows;
            group.rows += 1;
            sorted.ticks[row] = tick;
            sorted.payloads[row] = at as u32;
            at += group.like.payload_len();
        }
    }

    /// Whether times are one column: where that is smaller, and where times of their own would not tell the order in which
    /// frames were taken.
    fn has_one_timeline(&mut self) -> bool {
        let Self { groups, order, ticks, sorted, timeline, .. } = self;
        let of = |place: usize| &sorted.ticks[groups[place].start..][..groups[place].rows];
        let base = self.first_ns.div_euclid(self.tick_ns);
        let at = |frame: usize| (ticks[frame], order[frame]);
        if !(1..order.len()).all(|frame| at(frame - 1) <= at(frame)) {
            timeline.lay(order, groups.len(), of, base);
            return true;
        }
        groups.len() > 1 && timeline.is_smaller(order, groups.len(), of, base)
    }

    fn clear(&mut self) {
        self.places.clear();
        self.groups.clear();
        self.order.clear();
        self.ticks.clear();
        self.payload.clear();
        (self.first_ns, self.last_ns) = (i64::MAX, i64::MIN);
    }
}
