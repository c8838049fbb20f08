//! How wrong a line may be: what must be true of a clock that was within each reading's bracket and keeps to its
//! [`Wander`]. Nothing here is an estimate.
//!
//! The line's error `e(t)` is known to an interval at each reading. Between two readings that lie `T` apart it strays from
//! the straight connection of the two by at most `T/4 × (jump + change × T/2)`; after the last one it goes on with the
//! mean drift since an earlier one, and what the drift may have changed by.

use can_decode::BootNanos;

use super::fit::{Line, good_half_ns};
use super::limits::Wander;
use super::reading::Point;
use super::segment::Growth;

const PPB: f64 = 1e-9;

/// Where the line's error is at a reading, nanoseconds.
#[derive(Clone, Copy)]
struct Known {
    at: BootNanos,
    low: f64,
    high: f64,
}

impl Known {
    fn of(line: &Line, point: &Point) -> Self {
        let (residual, half) = (line.residual(point), point.half_ns as f64);
        Self { at: point.at, low: residual - half, high: residual + half }
    }

    fn worst(&self) -> f64 {
        self.high.max(-self.low)
    }

    /// What is left of it, seen from a neighbour: the error cannot change faster than `rate`.
    fn narrowed(self, neighbour: &Self, rate: f64) -> Self {
        let reach = rate * self.at.since(neighbour.at).abs() as f64;
        let (low, high) = (self.low.max(neighbour.low - reach), self.high.min(neighbour.high + reach));
        // Nothing is left when the clock did not keep to its limits; then the reading itself is what is known.
        if low <= high { Self { low, high, ..self } } else { self }
    }
}

/// How the bound grows after the last of `points`.
pub(super) fn growth_after(line: &Line, points: &[Point], wander: &Wander) -> Growth {
    growth_beyond(good(points).rev().map(|point| Known::of(line, point)), line, wander)
}

/// How the bound grows before the first of `points`.
pub(super) fn growth_before(line: &Line, points: &[Point], wander: &Wander) -> Growth {
    growth_beyond(good(points).map(|point| Known::of(line, point)), line, wander)
}

/// The bound on the line's error anywhere between the first and the last of `points`, nanoseconds; `growth` is how it grows
/// beyond the good ones among them.
pub(super) fn error_within(line: &Line, points: &[Point], wander: &Wander, growth: &Growth) -> u64 {
    let rate = f64::from(wander.drift_max_ppb) * PPB + line.slope.abs();
    let mut worst = 0.0_f64;
    let mut before: Option<Known> = None;
    for point in good(points) {
        let known = Known::of(line, point);
        let known = before.map_or(known, |before| known.narrowed(&before, rate));
        worst = worst.max(match &before {
            Some(before) => before.worst().max(known.worst()) + stray(wander, known.at.since(before.at)),
            None => known.worst(),
        });
        before = Some(known);
    }
    // Before the first good reading and after the last one there may be bad ones that belong to the row as well.
    let ends = points.first().zip(good(points).next()).zip(points.last().zip(good(points).next_back()));
    let beyond = ends.map_or(0, |((first, first_good), (last, last_good))| {
        growth.after(first_good.at.since(first.at).max(last.at.since(last_good.at)))
    });
    (worst.ceil() as u64).saturating_add(beyond)
}

/// By how much the drift must have changed at once for the last readings to be as they are, ppb: what steady change and the
/// delays of the readings do not explain. 0 for a clock that keeps to what is trusted.
pub(super) fn jump_shown_ppb(points: &[Point], wander: &Wander) -> u32 {
    // A jump between two readings shows in the drift before the first and after the second.
    let mut last = good(points).rev();
    let [Some(d), Some(c), Some(b), Some(a)] = [last.next(), last.next(), last.next(), last.next()] else {
        return 0;
    };
    let drift_ppb = |from: &Point, to: &Point| {
        let elapsed = to.at.since(from.at).max(1) as f64 * PPB;
        let drift = to.offset_ns.saturating_sub(from.offset_ns) as f64 / elapsed;
        (drift, (to.half_ns.saturating_add(from.half_ns)) as f64 / elapsed)
    };
    let ((before, before_error), (after, after_error)) = (drift_ppb(a, b), drift_ppb(c, d));
    let change = f64::from(wander.change_ppb_per_s) * d.at.since(a.at) as f64 * PPB;
    let excess = (after - before).abs() - before_error - after_error - change;
    ceil_ppb(excess.max(0.0))
}

fn good(points: &[Point]) -> impl DoubleEndedIterator<Item = &Point> {
    let good_half_ns = good_half_ns(points);
    points.iter().filter(move |point| point.half_ns <= good_half_ns)
}

/// How far the error gets from the straight connection of two readings `distance_ns` apart.
fn stray(wander: &Wander, distance_ns: i64) -> f64 {
    let distance = distance_ns as f64;
    let change = f64::from(wander.change_ppb_per_s) * PPB * distance * 0.5;
    distance / 4.0 * (f64::from(wander.jump_ppb) + change).min(f64::from(wander.span_ppb)) * PPB
}

/// The growth beyond the first of `known`: its partner is the reading that leaves the least open.
fn growth_beyond(mut known: impl Iterator<Item = Known>, line: &Line, wander: &Wander) -> Growth {
    let drift_max_ppb = f64::from(wander.drift_max_ppb) + line.slope.abs() / PPB;
    let all = Growth { ppb: ceil_ppb(drift_max_ppb), ppb_per_s: 0, ppb_max: ceil_ppb(drift_max_ppb) };
    let Some(last) = known.next() else { return all };
    let mut best = all;
    for partner in known {
        let distance = last.at.since(partner.at).abs() as f64;
        if distance <= 0.0 {
            continue;
        }
        // How far the mean drift between the two may be from the line's.
        let mean = (last.high - partner.low).abs().max((partner.high - last.low).abs()) / distance / PPB;
        let changed = f64::from(wander.jump_ppb) + f64::from(wander.change_ppb_per_s) * PPB * distance * 0.5;
        let ppb = mean + changed.min(f64::from(wander.span_ppb));
        if ppb < f64::from(best.ppb) {
            best = Growth {
                ppb: ceil_ppb(ppb),
                ppb_per_s: wander.change_ppb_per_s.div_ceil(2),
                ppb_max: ceil_ppb((mean + f64::from(wander.span_ppb)).min(drift_max_ppb)),
            };
        }
    }
    best
}

/// Saturates, as `as` does.
fn ceil_ppb(ppb: f64) -> u32 {
    ppb.ceil() as u32
}
