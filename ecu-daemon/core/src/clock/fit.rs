//! The best line through readings, and through how many of them.
//!
//! As linuxptp's `linreg` servo does: lines through the last 4, 8, … 64 readings compete, and the longest one that
//! predicts the next reading about as well as any is taken. A steady oscillator gets a long line that averages the
//! jitter away, a warming one a short line that follows it.

use can_decode::BootNanos;

use super::reading::Point;

/// Readings that are kept.
pub(super) const WINDOW: usize = 64;
/// The sizes that compete.
const SIZES: [usize; 5] = [4, 8, 16, 32, WINDOW];
/// Weight of a new prediction error in the mean of those before it.
const SMOOTH: f64 = 0.05;
/// A longer line may be worse by this factor and is taken all the same.
const ABOUT_AS_WELL: f64 = 1.05;
/// A reading tells lines apart only when its delay is at most so many times the shortest one.
pub(super) const GOOD_RATIO: u64 = 4;

/// Offset and drift at some instant. The offset is a whole number and a remainder, because it may be decades.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) at: BootNanos,
    pub(super) offset_ns: i64,
    /// Nanoseconds gained in a nanosecond.
    pub(super) slope: f64,
}

impl Line {
    /// How far `point` lies above the line, nanoseconds.
    pub(super) fn residual(&self, point: &Point) -> f64 {
        point.offset_ns.saturating_sub(self.offset_ns) as f64 - self.slope * point.at.since(self.at) as f64
    }
}

/// The longest delay, halved, at which a reading of this row is a good one.
pub(super) fn good_half_ns(points: &[Point]) -> u64 {
    let least = points.iter().map(|point| point.half_ns).min().unwrap_or(0);
    least.saturating_mul(GOOD_RATIO)
}

/// The line through `points`, weighted by what their delays leave open, at the instant of the newest. With fewer than two
/// the slope is `slope_before`; `slope_max` bounds it either way. `None` without points.
pub(super) fn fit(points: &[Point], slope_before: f64, slope_max: f64) -> Option<Line> {
    let newest = points.last()?;
    let (mut weights, mut xs, mut ys, mut xxs, mut xys) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for point in points {
        let half = point.half_ns.max(1) as f64;
        let weight = 1.0 / (half * half);
        let x = point.at.since(newest.at) as f64;
        let y = point.offset_ns.saturating_sub(newest.offset_ns) as f64;
        weights += weight;
        xs += weight * x;
        ys += weight * y;
        xxs += weight * x * x;
        xys += weight * x * y;
    }
    let spread = xxs - xs * xs / weights;
    let slope =
        if points.len() < 2 || spread <= 0.0 { slope_before } else { (xys - xs * ys / weights) / spread };
    let slope = slope.clamp(-slope_max, slope_max);
    let intercept = (ys - slope * xs) / weights;
    let offset_ns = newest.offset_ns.saturating_add(intercept.round() as i64);
    Some(Line { at: newest.at, offset_ns, slope })
}

/// How well each size has predicted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contest([Contender; SIZES.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Contender {
    line: Option<Line>,
    /// Mean of the prediction errors, nanoseconds; `None` before the first.
    error: Option<f64>,
}

impl Contest {
    /// Takes the last of `points`, the newest reading, and says through how many of them the line should go.
    pub(super) fn observe(&mut self, points: &[Point], slope_max: f64) -> usize {
        let Some(newest) = points.last() else { return 0 };
        let is_good = newest.half_ns <= good_half_ns(points);
        let mut best: Option<(usize, f64)> = None;
        for (size, contender) in SIZES.iter().zip(&mut self.0) {
            if is_good && let Some(line) = &contender.line {
                let error = line.residual(newest).abs();
                contender.error = Some(contender.error.map_or(error, |mean| mean + SMOOTH * (error - mean)));
            }
            contender.line =
                points.len().checked_sub(*size).and_then(|first| fit(&points[first..], 0.0, slope_max));
            if let (Some(_), Some(error)) = (&contender.line, contender.error)
                && best.is_none_or(|(_, least)| error <= least * ABOUT_AS_WELL)
            {
                best = Some((*size, best.map_or(error, |(_, least)| error.min(least))));
            }
        }
        best.map_or(points.len().min(SIZES[0]), |(size, _)| size)
    }

    /// Forgets the lines, because they do not go on; how well each size does is a matter of the oscillator and stays.
    pub(super) fn interrupt(&mut self) {
        self.0.iter_mut().for_each(|contender| contender.line = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize, offset: impl Fn(f64) -> f64, half_ns: impl Fn(usize) -> u64) -> Vec<Point> {
        let point = |i: usize| {
            let offset_ns = offset(i as f64) as i64 + 1_790_000_000_000_000_000;
            Point { at: BootNanos(i as i64 * 1_000_000_000), offset_ns, half_ns: half_ns(i) }
        };
        (0..count).map(point).collect()
    }

    #[test]
    fn a_line_is_found_and_late_readings_hardly_move_it() {
        let late = |i: usize| if i % 10 == 3 { 1_000_000 } else { 1_000 };
        let offset = |i: f64| 50_000.0 * i + if i as usize % 10 == 3 { 700_000.0 } else { 0.0 };
        let line = fit(&points(64, offset, late), 0.0, 1e-3).unwrap();
        assert!((line.slope - 50e-6).abs() < 1e-9, "{line:?}");
        assert!((line.offset_ns - 1_790_000_000_003_150_000).abs() < 20, "{line:?}");
    }

    #[test]
    fn one_reading_keeps_the_drift_from_before() {
        let line = fit(&points(1, |_| 5.0, |_| 1), 3e-6, 1e-3).unwrap();
        assert!((line.slope - 3e-6).abs() < 1e-12);
        assert!(fit(&[], 0.0, 1.0).is_none());
    }

    #[test]
    fn a_steady_clock_gets_a_long_line_and_a_wild_one_a_short_line() {
        let size = |curve: f64| {
            let jitter = |i: f64| ((i * 7_919.0) % 13.0 - 6.0) * 100.0;
            let all = points(300, |i| curve * i * i + jitter(i), |_| 2_000);
            let (mut contest, mut size) = (Contest::default(), 0);
            for end in 1..=all.len() {
                size = contest.observe(&all[end.saturating_sub(WINDOW)..end], 1e-3);
            }
            size
        };
        assert!(size(0.0) >= 32, "{}", size(0.0));
        assert!(size(50.0) <= 8, "{}", size(50.0));
    }
}
