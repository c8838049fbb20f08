//! Reading frame bodies.

use can_decode::CanId;

use super::super::columns::{AREA_SHAPES, AreasReader, TICK_NS_MAX, read_all};
use super::super::wire::{Reader, unzigzag};
use super::super::{BlockError, ClockSource, limits};
use super::{Likeness, RawFrame};

/// The frames of a block, in the order in which they were taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Frames {
    groups: Vec<Group>,
    /// Group, and row in it, of each frame.
    order: Vec<(u32, u32)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Group {
    like: Likeness,
    times_ns: Vec<i64>,
    /// Row after row.
    payloads: Vec<u8>,
}

impl Frames {
    /// How many.
    pub const fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The frame with this index.
    pub fn get(&self, index: usize) -> Option<RawFrame> {
        let (group, row) = *self.order.get(index)?;
        let Group { like, times_ns, payloads } = self.groups.get(group as usize)?;
        let len = like.payload_len();
        let payload = payloads.get(row as usize * len..)?.get(..len)?;
        let time_ns = *times_ns.get(row as usize)?;
        // That there are such frames was seen when the group was read.
        Some(RawFrame { bus: like.bus, time_ns, clock: like.clock, frame: like.frame(payload).ok()? })
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = RawFrame> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The largest index of a bus; `None` without frames.
    pub fn bus_max(&self) -> Option<u16> {
        self.groups.iter().map(|group| group.like.bus).max()
    }
}

/// Reads a body that holds `count` frames according to its header.
///
/// # Errors
/// [`BlockError`] when the body does not hold exactly what it announces, or exceeds the limits.
pub fn read_frames(body: &[u8], count: u32) -> Result<Frames, BlockError> {
    let wrong_count = BlockError::Field { field: "count", value: u64::from(count) };
    if count as usize > limits::FRAMES_MAX {
        let max = limits::FRAMES_MAX as u64;
        return Err(BlockError::Limit { field: "count", value: u64::from(count), max });
    }
    let mut areas = AreasReader::new(body)?;
    let head = areas.area(AREA_SHAPES)?;
    let tick_ns = head.count("tick", TICK_NS_MAX as usize)? as i64;
    if tick_ns == 0 {
        return Err(BlockError::Field { field: "tick", value: 0 });
    }
    let base = unzigzag(head.varint()?).div_euclid(tick_ns);
    let one_timeline = match head.byte()? {
        0 => false,
        1 => true,
        other => return Err(BlockError::Field { field: "timeline", value: u64::from(other) }),
    };
    // Each takes at least six bytes.
    let groups = head.count("groups", limits::FRAME_GROUPS_MAX.min(head.left()))?;
    let mut ticks =
        Ticks { tick_ns, base, one_timeline, left: count as usize, rows: Vec::with_capacity(groups) };
    let mut groups =
        (0..groups).map(|_| read_group(&mut areas, &mut ticks)).collect::<Result<Vec<_>, _>>()?;
    if ticks.left > 0 {
        return Err(wrong_count);
    }
    let order = if one_timeline {
        read_timeline(&mut areas, &ticks, &mut groups)?
    } else {
        merge(&groups, count as usize)
    };
    areas.end()?;
    Ok(Frames { groups, order })
}

/// What all groups have in common.
struct Ticks {
    tick_ns: i64,
    base: i64,
    one_timeline: bool,
    /// Frames that groups may still have.
    left: usize,
    /// Frames of each group so far.
    rows: Vec<usize>,
}

fn read_group(areas: &mut AreasReader<'_>, ticks: &mut Ticks) -> Result<Group, BlockError> {
    let head = areas.area(AREA_SHAPES)?;
    let like = read_likeness(head)?;
    let rows = head.count("rows", ticks.left)?;
    if rows == 0 {
        return Err(BlockError::Field { field: "rows", value: 0 });
    }
    // Payloads are 64 bytes at most, so that what follows is bounded by the count.
    ticks.left -= rows;
    ticks.rows.push(rows);
    let times_ns = if ticks.one_timeline { Vec::new() } else { read_times(areas, ticks, rows)? };
    let len = like.payload_len();
    let mut payloads = vec![0; rows * len];
    for byte in 0..len {
        for (row, value) in read_all(areas, rows)?.into_iter().enumerate() {
            payloads[row * len + byte] =
                u8::try_from(value).map_err(|_| BlockError::Field { field: "payload byte", value })?;
        }
    }
    Ok(Group { like, times_ns, payloads })
}

fn read_likeness(head: &mut Reader<'_>) -> Result<Likeness, BlockError> {
    let bus = head.count("bus", usize::from(u16::MAX))? as u16;
    let number = head.count("identifier", u32::MAX as usize)? as u32;
    let id = match number & CanId::EXTENDED_BIT {
        0 => u16::try_from(number).ok().and_then(CanId::standard),
        _ => CanId::extended(number & !CanId::EXTENDED_BIT),
    };
    let id = id.ok_or(BlockError::Field { field: "identifier", value: u64::from(number) })?;
    let [flags, clock, len] = head.array()?;
    let like = Likeness { bus, id, flags, len, clock: ClockSource::from_number(clock)? };
    // Whatever the payloads are: all frames of a group are possible, or none is.
    like.frame(&[0; u8::MAX as usize][..like.payload_len()])?;
    Ok(like)
}

/// The times of a group that has a column of its own.
fn read_times(areas: &mut AreasReader<'_>, ticks: &Ticks, rows: usize) -> Result<Vec<i64>, BlockError> {
    let mut tick = ticks.base.wrapping_add(unzigzag(areas.area(AREA_SHAPES)?.varint()?));
    let deltas = read_all(areas, rows - 1)?;
    let mut times_ns = Vec::with_capacity(rows);
    times_ns.push(tick.wrapping_mul(ticks.tick_ns));
    times_ns.extend(deltas.iter().map(|&delta| {
        tick = tick.wrapping_add(delta as i64);
        tick.wrapping_mul(ticks.tick_ns)
    }));
    Ok(times_ns)
}

/// The order and the times of all frames at once.
fn read_timeline(
    areas: &mut AreasReader<'_>,
    ticks: &Ticks,
    groups: &mut [Group],
) -> Result<Vec<(u32, u32)>, BlockError> {
    let count = ticks.rows.iter().sum();
    let places = read_all(areas, count)?;
    let deltas = read_all(areas, count)?;
    let mut tick = ticks.base;
    let mut order = Vec::with_capacity(count);
    groups.iter_mut().zip(&ticks.rows).for_each(|(group, &rows)| group.times_ns.reserve_exact(rows));
    for (&place, &delta) in places.iter().zip(&deltas) {
        tick = tick.wrapping_add(delta as i64);
        let wrong = BlockError::Field { field: "order", value: place };
        let at = usize::try_from(place).map_err(|_| wrong.clone())?;
        // A group may have as many frames as it said, no more: so that all have theirs in the end.
        let times_ns = match groups.get_mut(at) {
            Some(group) if group.times_ns.len() < ticks.rows[at] => &mut group.times_ns,
            _ => return Err(wrong),
        };
        order.push((at as u32, times_ns.len() as u32));
        times_ns.push(tick.wrapping_mul(ticks.tick_ns));
    }
    Ok(order)
}

/// The order that times and groups tell.
fn merge(groups: &[Group], count: usize) -> Vec<(u32, u32)> {
    let mut order = Vec::with_capacity(count);
    for (place, group) in groups.iter().enumerate() {
        order.extend((0..group.times_ns.len()).map(|row| (place as u32, row as u32)));
    }
    order.sort_by_key(|&(place, row)| (groups[place as usize].times_ns[row as usize], place, row));
    order
}
