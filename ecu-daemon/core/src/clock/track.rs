//! One clock against `CLOCK_BOOTTIME`: readings in, segments out.

use super::bound::{error_within, growth_after, growth_before, jump_shown_ppb};
use super::fit::{Contest, Line, WINDOW, fit, good_half_ns};
use super::limits::{Limits, Wander};
use super::outcome::{Counts, Observed};
use super::reading::Point;
use super::segment::{Growth, Opening, Segment};
use super::sync::{Change, Sync};
use super::trail::Trail;

/// Fewest readings of a segment that ends by itself.
const SEGMENT_READINGS_MIN: usize = 4;
/// Readings after which unrest counts half.
const CALM_READINGS: u32 = 64;
/// Vague readings in a row after which they are what there is to be had.
const VAGUE_MAX: u8 = 8;
/// For how long after the last reading a clock counts as synchronised still: two rounds of readings and some.
const GRACE_NS: i64 = 2_500_000_000;
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
    /// Through how many readings the line goes.
    size: usize,
    suspect: Option<Point>,
    proofs: u8,
    vague: u8,
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
            size: 0,
            suspect: None,
            proofs: 0,
            vague: 0,
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
            return self.go_on(point, sync, trail, version);
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
            // If it began to drift instead, it will be further off at each later instant.
            let growth = Growth::constant(self.limits.wander.drift_max_ppb).or(live.growth);
            trail.put(*version, Segment { error_ns: live.error_ns.saturating_add(doubt_ns), growth, ..live });
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

    /// Takes a reading that agrees with the line, unless it would agree with anything: a segment that reached up to it
    /// would promise that nothing happened where nobody could see it.
    fn go_on(&mut self, point: Point, sync: Option<Sync>, trail: &mut Trail, version: &mut u32) -> Observed {
        let row = &self.points[self.points.len().saturating_sub(WINDOW)..];
        if point.half_ns <= good_half_ns(row) {
            self.vague = 0;
            self.grow_calm();
            self.take(point, sync, trail, version);
            return Observed::Taken;
        }
        self.counts.vague += 1;
        self.vague += 1;
        if self.vague >= VAGUE_MAX {
            self.counts.gaps += 1;
            self.begin(point, Opening::Gap, sync, trail, version);
            return Observed::Resumed;
        }
        if Change::between(self.sync.as_ref(), sync.as_ref()) == Change::Worse {
            self.desynchronise(trail, version);
        }
        Observed::Vague
    }

    /// When synchronisation was lost is not known: not later than now, and perhaps right after the last reading.
    fn desynchronise(&mut self, trail: &mut Trail, version: &mut u32) {
        self.close(0, trail, *version);
        self.sync = None;
        self.open(0, Opening::Continues, version);
        self.publish(trail, *version);
    }

    /// Ends the line; the next reading begins another one.
    pub(super) fn lose(&mut self, trail: &mut Trail, version: u32) {
        if !self.points.is_empty() {
            self.close(0, trail, version);
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

    /// A drift may change by too little to leave the line at once, and by too much for what is trusted all the same.
    fn see_unrest(&mut self) {
        let wander = self.wander();
        let shown_ppb = jump_shown_ppb(&self.points[self.points.len().saturating_sub(WINDOW)..], &wander);
        if wander.drift_max_ppb > 0 && shown_ppb > wander.jump_ppb {
            self.counts.restless += 1;
            self.unrest_ppb = self.unrest_ppb.max(shown_ppb.saturating_mul(2).min(wander.drift_max_ppb));
            self.calm = 0;
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
        let jump_ppb = wander.jump_ppb.saturating_add(self.unrest_ppb);
        Wander { jump_ppb, span_ppb: wander.span_ppb.max(jump_ppb), ..wander }
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
        // The last reading of all may be off the line already, by too little to show. What lies between it and the one
        // before it is left to both lines.
        let doubtful = opening == Opening::Step && self.limits.wander.drift_max_ppb > 0 && self.open > 1;
        if !self.points.is_empty() {
            self.close(usize::from(doubtful), trail, *version);
        }
        self.points.clear();
        self.vague = 0;
        self.contest.interrupt();
        self.sync = sync;
        self.push(point);
        self.open(0, opening, version);
        self.publish(trail, *version);
    }

    /// Goes on with `point`.
    fn take(&mut self, point: Point, sync: Option<Sync>, trail: &mut Trail, version: &mut u32) {
        let change = Change::between(self.sync.as_ref(), sync.as_ref());
        if change == Change::Worse {
            self.desynchronise(trail, version);
        } else if let (Change::None, Some(known), Some(new)) = (change, &mut self.sync, sync) {
            known.error_ns = known.error_ns.max(new.error_ns);
        }
        self.push(point);
        self.open += 1;
        self.see_unrest();
        self.publish(trail, *version);
        let is_better = change == Change::Better;
        if is_better || self.is_full() {
            // The newest reading stays open, so that it can be taken back when the next ones show a step.
            let keep = usize::from(!is_better);
            self.close(keep, trail, *version);
            self.sync = sync;
            self.open(keep, Opening::Continues, version);
            self.publish(trail, *version);
        }
    }

    fn is_full(&self) -> bool {
        self.limits.wander.drift_max_ppb > 0 && self.open > 1 + SEGMENT_READINGS_MIN.max(self.size / 2)
    }

    fn push(&mut self, point: Point) {
        if self.points.len() == 2 * WINDOW {
            self.points.drain(..=WINDOW);
        }
        self.points.push(point);
        let row = &self.points[self.points.len().saturating_sub(WINDOW)..];
        self.size = self.contest.observe(row, slope_max(&self.limits.wander));
    }

    /// Begins a segment at the last reading but `keep`.
    fn open(&mut self, keep: usize, opening: Opening, version: &mut u32) {
        *version = version.wrapping_add(1);
        self.open = 1 + keep;
        if let Some(point) = self.points.iter().nth_back(keep) {
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

    /// Fits the line to what came last, for what comes next.
    fn publish(&mut self, trail: &mut Trail, version: u32) {
        let wander = self.wander();
        let row = &self.points[self.points.len().saturating_sub(WINDOW)..];
        let last = &row[row.len().saturating_sub(self.size.max(1))..];
        let (Some(live), Some(newest)) = (&mut self.live, row.last()) else { return };
        let Some(line) = fit(last, slope_of(live), slope_max(&wander)) else { return };
        let line = through(line, newest);
        let growth = growth_after(&line, row, &wander);
        let own = &row[row.len().saturating_sub(self.open)..];
        let error_ns = error_within(&line, own, &wander, &growth);
        *live = Segment { to: newest.at, sync: self.sync, ..shaped(live, &line, error_ns, growth) };
        trail.put(version, *live);
    }

    /// Fits the open segment to its own readings but the last `keep`, and is done with it.
    fn close(&mut self, keep: usize, trail: &mut Trail, version: u32) {
        let wander = self.wander();
        let Some(mut live) = self.live else { return };
        let len = self.points.len();
        let own = &self.points[len.saturating_sub(self.open.min(WINDOW))..len.saturating_sub(keep)];
        live.to = own.last().map_or(live.to, |point| point.at);
        live.grace_ns = 0;
        live.sync = self.sync;
        if let Some(line) = fit(own, slope_of(&live), slope_max(&wander)).filter(|_| own.len() > 1) {
            let growth = growth_after(&line, own, &wander).or(growth_before(&line, own, &wander));
            let error_ns = error_within(&line, own, &wander, &growth);
            live = shaped(&live, &line, error_ns, growth);
        }
        trail.put(version, live);
    }
}

fn slope_max(wander: &Wander) -> f64 {
    f64::from(wander.drift_max_ppb) * 1e-9
}

fn slope_of(segment: &Segment) -> f64 {
    segment.drift_ppt as f64 * 1e-12
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
