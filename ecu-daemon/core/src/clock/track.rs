//! One clock against `CLOCK_BOOTTIME`: readings in, segments out.

use super::bound::{error_within, growth_after, growth_before};
use super::fit::{Contest, Line, WINDOW, fit};
use super::limits::{Limits, Wander};
use super::reading::Point;
use super::segment::{Growth, Opening, Segment};
use super::sync::Sync;
use super::trail::Trail;

/// Fewest readings of a segment that ends by itself.
const SEGMENT_READINGS_MIN: usize = 4;
/// Readings after which unrest counts half.
const CALM_READINGS: u32 = 64;
/// For how long after the last reading a clock counts as synchronised still: two rounds of readings and some.
const GRACE_NS: i64 = 2_500_000_000;
/// The bound on how well a clock is synchronised may shrink by this factor before it is worth a segment of its own.
const SYNC_ERROR_RATIO: u64 = 4;

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It goes on from those before it, or is the first.
    Taken,
    /// It waits for the next reading of the system clock that it was taken against.
    Held,
    /// It contradicts those before it. The bound covers it until the next readings tell whether it was nonsense.
    Suspected,
    /// The clock was stepped: this reading and those after it are on another line.
    Stepped,
    /// The clock had not been read for a while; a new line begins.
    Resumed,
    /// It cannot be used: not later than the last one, or its bracket is in the wrong order.
    Refused,
}

/// What became of the readings of one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub readings: u64,
    /// Those that contradicted the ones before and after.
    pub outliers: u64,
    /// Steps and resets.
    pub steps: u64,
    /// Of the steps, those that a sudden change of drift explains as well: the clock does not keep to its [`Wander`].
    pub restless: u64,
    /// Times without readings for too long.
    pub gaps: u64,
    /// Those that could not be used.
    pub refused: u64,
}

/// The state of one clock.
#[derive(Clone, Debug)]
pub(super) struct Track {
    limits: Limits,
    /// The readings of the line, by time; at most twice [`WINDOW`].
    points: Vec<Point>,
    /// How many of the last ones belong to the open segment.
    open: usize,
    live: Option<Segment>,
    contest: Contest,
    suspect: Option<Point>,
    proofs: u8,
    unrest_ppb: u32,
    calm: u32,
    sync: Option<Sync>,
    counts: Counts,
}

impl Track {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            points: Vec::with_capacity(2 * WINDOW),
            open: 0,
            live: None,
            contest: Contest::default(),
            suspect: None,
            proofs: 0,
            unrest_ppb: 0,
            calm: 0,
            sync: None,
            counts: Counts::default(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn refuse(&mut self) -> Observed {
        self.counts.readings += 1;
        self.counts.refused += 1;
        Observed::Refused
    }

    /// Takes a reading; `sync` is what is known of the clock now. `version` goes up with each segment that begins.
    pub(super) fn observe(
        &mut self,
        point: Point,
        sync: Option<Sync>,
        trail: &mut Trail,
        version: &mut u32,
    ) -> Observed {
        self.counts.readings += 1;
        let (Some(last), Some(live)) = (self.points.last(), self.live) else {
            let opening = if self.live.is_some() { Opening::Gap } else { Opening::First };
            self.begin(point, opening, sync, trail, version);
            return Observed::Taken;
        };
        let elapsed_ns = point.at.since(last.at);
        if elapsed_ns <= 0 {
            self.counts.refused += 1;
            return Observed::Refused;
        }
        if elapsed_ns > self.limits.gap_ns {
            self.counts.gaps += 1;
            self.begin(point, Opening::Gap, sync, trail, version);
            return Observed::Resumed;
        }
        let deviation_ns = point.offset_ns.saturating_sub(live.offset_at(point.at));
        let allowed_ns = live.error_at(point.at).saturating_add(point.half_ns);
        if deviation_ns.unsigned_abs() <= allowed_ns {
            self.counts.outliers += u64::from(self.proofs);
            (self.suspect, self.proofs) = (None, 0);
            self.grow_calm();
            self.take(point, sync, trail, version);
            return Observed::Taken;
        }
        let first = self.suspect.filter(|suspect| self.agree(suspect, &point));
        if first.is_none() {
            self.counts.outliers += u64::from(self.proofs);
            (self.suspect, self.proofs) = (Some(point), 0);
        }
        self.proofs += 1;
        if self.proofs < self.limits.proof {
            let doubt_ns = deviation_ns.unsigned_abs().saturating_add(point.half_ns);
            // On the axis it is more by as much as the clock runs slow, which is a thousandth at most.
            let doubt_ns = doubt_ns.saturating_add(doubt_ns.div_ceil(500));
            trail.put(*version, Segment { error_ns: live.error_ns.saturating_add(doubt_ns), ..live });
            return Observed::Suspected;
        }
        (self.suspect, self.proofs) = (None, 0);
        self.counts.steps += 1;
        self.remember_unrest(deviation_ns.unsigned_abs() - allowed_ns, elapsed_ns);
        // The line that was left is as it was before the doubt.
        trail.put(*version, live);
        self.begin(first.unwrap_or(point), Opening::Step, sync, trail, version);
        if first.is_some() {
            self.take(point, sync, trail, version);
        }
        Observed::Stepped
    }

    /// Ends the line; the next reading begins another one.
    pub(super) fn lose(&mut self, trail: &mut Trail, version: u32) {
        if !self.points.is_empty() {
            self.close(trail, version);
        }
        self.points.clear();
        (self.suspect, self.proofs, self.sync) = (None, 0, None);
    }

    /// Whether two readings can be of one line.
    fn agree(&self, one: &Point, other: &Point) -> bool {
        let elapsed_ns = other.at.since(one.at);
        let drifted_ns = Growth::constant(self.limits.wander.drift_max_ppb).after(elapsed_ns);
        let allowed_ns = one.half_ns.saturating_add(other.half_ns).saturating_add(drifted_ns);
        other.offset_ns.saturating_sub(one.offset_ns).unsigned_abs() <= allowed_ns
    }

    /// A clock that left its line by what a change of drift explains may do so again.
    fn remember_unrest(&mut self, excess_ns: u64, elapsed_ns: i64) {
        let needed_ppb = (excess_ns as f64 / elapsed_ns.max(1) as f64 * 1e9).ceil() as u32;
        if needed_ppb <= self.limits.wander.span_ppb {
            self.counts.restless += 1;
            let unrest_ppb = needed_ppb.saturating_mul(2).min(self.limits.wander.span_ppb);
            (self.unrest_ppb, self.calm) = (self.unrest_ppb.max(unrest_ppb), 0);
        }
    }

    fn grow_calm(&mut self) {
        self.calm += 1;
        if self.calm >= CALM_READINGS {
            (self.unrest_ppb, self.calm) = (self.unrest_ppb / 2, 0);
        }
    }

    fn wander(&self) -> Wander {
        let wander = self.limits.wander;
        Wander { jump_ppb: wander.jump_ppb.saturating_add(self.unrest_ppb), ..wander }
    }

    /// Leaves the line as it is and begins one at `point`.
    fn begin(
        &mut self,
        point: Point,
        opening: Opening,
        sync: Option<Sync>,
        trail: &mut Trail,
        version: &mut u32,
    ) {
        if !self.points.is_empty() {
            self.close(trail, *version);
        }
        self.points.clear();
        self.contest.interrupt();
        self.sync = sync;
        self.push(point);
        self.open(opening, version);
        self.publish(trail, *version);
    }

    /// Goes on with `point`.
    fn take(&mut self, point: Point, sync: Option<Sync>, trail: &mut Trail, version: &mut u32) {
        let change = Change::between(self.sync.as_ref(), sync.as_ref());
        if change == Change::Worse {
            // When it was lost is not known: not later than now, and perhaps right after the last reading.
            self.close(trail, *version);
            self.sync = sync;
            self.open(Opening::Continues, version);
        } else if let (Change::None, Some(known), Some(new)) = (change, &mut self.sync, sync) {
            known.error_ns = known.error_ns.max(new.error_ns);
        }
        self.push(point);
        self.open += 1;
        let size = self.publish(trail, *version);
        let is_full = self.limits.wander.drift_max_ppb > 0 && self.open > SEGMENT_READINGS_MIN.max(size / 2);
        if change == Change::Better || is_full {
            self.close(trail, *version);
            self.sync = sync;
            self.open(Opening::Continues, version);
            self.publish(trail, *version);
        }
    }

    fn push(&mut self, point: Point) {
        if self.points.len() == 2 * WINDOW {
            self.points.drain(..=WINDOW);
        }
        self.points.push(point);
    }

    /// Begins a segment at the last reading.
    fn open(&mut self, opening: Opening, version: &mut u32) {
        *version = version.wrapping_add(1);
        self.open = 1;
        if let Some(point) = self.points.last() {
            let (drift_ppt, at) = (self.live.map_or(0, |live| live.drift_ppt), point.at);
            let holdover = Growth::constant(self.limits.holdover_ppb);
            self.live = Some(Segment {
                from: at,
                to: at,
                at,
                offset_ns: point.offset_ns,
                drift_ppt,
                error_ns: point.half_ns,
                growth: Growth::constant(self.limits.wander.drift_max_ppb),
                opening,
                sync: self.sync,
                holdover,
                grace_ns: GRACE_NS,
            });
        }
    }

    /// Fits the line to what came last, for what comes next. Gives through how many readings it goes.
    fn publish(&mut self, trail: &mut Trail, version: u32) -> usize {
        let wander = self.wander();
        let slope_max = f64::from(wander.drift_max_ppb) * 1e-9;
        let row = &self.points[self.points.len().saturating_sub(WINDOW)..];
        let size = self.contest.observe(row, slope_max);
        let slope_before = self.live.map_or(0.0, |live| live.drift_ppt as f64 * 1e-12);
        let (Some(live), Some(newest)) = (&mut self.live, row.last()) else { return size };
        let Some(line) = fit(&row[row.len().saturating_sub(size)..], slope_before, slope_max) else {
            return size;
        };
        let line = through(line, newest);
        let growth = growth_after(&line, row, &wander);
        let own = &row[row.len().saturating_sub(self.open)..];
        let error_ns = error_within(&line, own, &wander, &growth);
        *live = Segment { to: newest.at, sync: self.sync, ..shaped(live, &line, error_ns, growth) };
        trail.put(version, *live);
        size
    }

    /// Fits the open segment to its own readings, which have others on both sides now, and is done with it.
    fn close(&mut self, trail: &mut Trail, version: u32) {
        let wander = self.wander();
        let slope_max = f64::from(wander.drift_max_ppb) * 1e-9;
        let Some(mut live) = self.live else { return };
        let own = &self.points[self.points.len().saturating_sub(self.open.min(WINDOW))..];
        live.grace_ns = 0;
        live.sync = self.sync;
        if let Some(line) = fit(own, live.drift_ppt as f64 * 1e-12, slope_max).filter(|_| own.len() > 1) {
            let growth = growth_after(&line, own, &wander).or(growth_before(&line, own, &wander));
            let error_ns = error_within(&line, own, &wander, &growth);
            live = shaped(&live, &line, error_ns, growth);
        }
        trail.put(version, live);
    }
}

fn shaped(segment: &Segment, line: &Line, error_ns: u64, growth: Growth) -> Segment {
    let drift_ppt = (line.slope * 1e12).round() as i64;
    // One nanosecond for what the whole numbers round.
    let error_ns = error_ns.saturating_add(1);
    Segment { at: line.at, offset_ns: line.offset_ns, drift_ppt, error_ns, growth, ..*segment }
}

/// The line, moved as little as makes it agree with `point`: whatever the others say, this one is certain.
fn through(line: Line, point: &Point) -> Line {
    let (residual, half) = (line.residual(point), point.half_ns as f64);
    let over = residual - residual.clamp(-half, half);
    Line { offset_ns: line.offset_ns.saturating_add(over.round() as i64), ..line }
}

/// What a new word on a clock's synchronisation changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// It is synchronised now, or better, or by another word.
    Better,
    Worse,
}

impl Change {
    fn between(known: Option<&Sync>, new: Option<&Sync>) -> Self {
        match (known, new) {
            (None, None) => Self::None,
            (None, Some(_)) => Self::Better,
            (Some(_), None) => Self::Worse,
            (Some(known), Some(new)) => {
                let is_same = Sync { error_ns: 0, ..*known } == Sync { error_ns: 0, ..*new };
                let is_sharper = new.error_ns < known.error_ns / SYNC_ERROR_RATIO;
                if is_same && !is_sharper { Self::None } else { Self::Better }
            }
        }
    }
}
