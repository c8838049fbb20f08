//! Where a stamp belongs: on the axis of the boot, and in true time.

use can_decode::{BootNanos, TaiNanos, UtcNanos};

use super::domain::{Clock, Instant};
use super::history::History;
use super::segment::{Opening, Segment};
use super::sync::{SyncSource, TaiUtc};

/// Between which instants a record was certainly taken. A clock that is set back shows the same times twice; this tells
/// them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Not before this.
    pub not_before: BootNanos,
    /// Not after this: when it was seen here.
    pub not_after: BootNanos,
}

/// What a placement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The record's stamp.
    Stamp,
    /// When the record arrived: its stamp makes no sense for that time, or its clock was never read.
    Arrival,
}

/// True time, and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// In TAI.
    pub tai: TaiNanos,
    /// In UTC.
    pub utc: UtcNanos,
    /// How far both may be off, nanoseconds: reading, drift and synchronisation.
    pub error_ns: u64,
    /// The synchronised clock.
    pub clock: Clock,
    /// Who says that it was synchronised.
    pub source: SyncSource,
    /// What joins TAI and UTC.
    pub tai_utc: TaiUtc,
    /// Whether the clock was not synchronised at that very time, but before or afterwards.
    pub is_held: bool,
}

/// A stamp in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// On the axis of the boot.
    pub boot: BootNanos,
    /// How far `boot` may be off, nanoseconds.
    pub boot_error_ns: u64,
    /// What it rests on.
    pub basis: Basis,
    /// In true time; `None` while no clock has been synchronised.
    pub truth: Option<Truth>,
    /// The version of the map.
    pub version: u32,
}

/// An instant with its bound, and the segment that gave it when there was just one.
struct Located<'a> {
    boot: BootNanos,
    error_ns: u64,
    by: Option<&'a Segment>,
}

impl History {
    /// Places a stamp with all that is known now. Once a reading of the stamp's clock later than the stamp is in the map,
    /// the bound holds whatever happened in between; before, a step that nobody has seen yet can break it.
    pub fn place(&self, instant: Instant, taken: Taken) -> Placed {
        let (located, own) = match instant.split() {
            Err(boot) => (Some(Located { boot, error_ns: 0, by: None }), None),
            Ok((clock, shown_ns)) => {
                let located = self.locate(clock, shown_ns, taken);
                let own = located.as_ref().and_then(|located| own_truth(located, clock, shown_ns));
                (located, own)
            }
        };
        let basis = if located.is_some() { Basis::Stamp } else { Basis::Arrival };
        let Located { boot, error_ns, .. } = located.unwrap_or(Located {
            boot: taken.not_after,
            error_ns: taken.not_after.since(taken.not_before).unsigned_abs(),
            by: None,
        });
        let truth = own.or_else(|| self.truth(boot, error_ns));
        Placed { boot, boot_error_ns: error_ns, basis, truth, version: self.version() }
    }

    /// True time at `boot`, which may be off by `error_ns`: by the synchronised clock that leaves the least open.
    pub fn truth(&self, boot: BootNanos, error_ns: u64) -> Option<Truth> {
        let mut best: Option<Truth> = None;
        let mut consider = |truth: Truth| {
            if best.as_ref().is_none_or(|best| truth.error_ns < best.error_ns) {
                best = Some(truth);
            }
        };
        for (clock, trail) in self.trails() {
            let around = trail.synchronised(boot);
            let before = around.before.and_then(|segment| truth_by(clock, segment, boot));
            let after = around.after.and_then(|segment| truth_by(clock, segment, boot));
            match (before, after) {
                // Somewhere between the two the clock was stepped, or began to drift: either line may be in force.
                (Some(before), Some(after)) if around.is_step && before.is_held => {
                    consider(either(before, after));
                }
                _ => before.into_iter().chain(after).for_each(&mut consider),
            }
        }
        // A clock that runs fast by a thousandth, which is the most, makes the bound larger by as much.
        let own_ns = error_ns.saturating_add(error_ns.div_ceil(1_000));
        best.map(|truth| Truth { error_ns: truth.error_ns.saturating_add(own_ns), ..truth })
    }

    /// When `clock` showed `shown_ns`, if it did so within `taken`.
    fn locate(&self, clock: Clock, shown_ns: i64, taken: Taken) -> Option<Located<'_>> {
        let trail = self.trail(clock)?;
        let mut span: Option<(i64, i64)> = None;
        let mut one: Option<Located<'_>> = None;
        let mut had_before = false;
        for (before, segment, behind) in trail.around(taken.not_before, taken.not_after) {
            let boot = segment.boot_at(shown_ns);
            let error_ns = segment.error_at(boot);
            let slack = i64::try_from(error_ns).unwrap_or(i64::MAX);
            let is_within = |from: Option<BootNanos>, to: Option<BootNanos>| {
                from.is_none_or(|from| boot >= from.plus(slack.saturating_neg()))
                    && to.is_none_or(|to| boot <= to.plus(slack))
            };
            let fits = is_within(before, behind) && is_within(Some(taken.not_before), Some(taken.not_after));
            // Where one line goes on from another, both fit near the joint; either will do.
            if fits && !(had_before && segment.opening == Opening::Continues) {
                let (low, high) = (boot.0.saturating_sub(slack), boot.0.saturating_add(slack));
                one = if span.is_none() { Some(Located { boot, error_ns, by: Some(segment) }) } else { None };
                span = Some(span.map_or((low, high), |(least, most)| (least.min(low), most.max(high))));
            }
            had_before = fits;
        }
        let (low, high) = span?;
        let width = high.abs_diff(low);
        Some(one.unwrap_or(Located {
            boot: BootNanos(low).plus((width / 2) as i64),
            error_ns: width.div_ceil(2),
            by: None,
        }))
    }
}

impl History {
    /// The line by which `clock` showed `shown_ns` within `taken`, when there is just one.
    pub(super) fn only_line(&self, clock: Clock, shown_ns: i64, taken: Taken) -> Option<&Segment> {
        self.locate(clock, shown_ns, taken)?.by
    }
}

/// True time at `boot` by one segment of a synchronised clock.
fn truth_by(clock: Clock, segment: &Segment, boot: BootNanos) -> Option<Truth> {
    let sync = segment.sync?;
    let (tai, utc) = sync.truth(segment.shown_at(boot));
    Some(Truth {
        tai,
        utc,
        error_ns: segment.truth_error_at(boot)?,
        clock,
        source: sync.source,
        tai_utc: sync.tai_utc,
        is_held: segment.outside_ns(boot) > segment.grace_ns,
    })
}

/// Covers both.
fn either(one: Truth, other: Truth) -> Truth {
    let reach = |truth: &Truth| i64::try_from(truth.error_ns).unwrap_or(i64::MAX);
    let low = one.tai.plus(-reach(&one)).min(other.tai.plus(-reach(&other)));
    let high = one.tai.plus(reach(&one)).max(other.tai.plus(reach(&other)));
    let width = high.0.abs_diff(low.0);
    let tai = low.plus((width / 2) as i64);
    Truth { tai, utc: tai.utc(other.tai_utc.seconds), error_ns: width.div_ceil(2), ..other }
}

/// A stamp of a synchronised clock is true time already; the way over the axis would only add the errors of reading it.
fn own_truth(located: &Located<'_>, clock: Clock, shown_ns: i64) -> Option<Truth> {
    let segment = located.by?;
    let sync = segment.sync?;
    let is_covered =
        located.boot >= segment.from && located.boot.since(segment.to) <= segment.grace_ns.max(0);
    let (tai, utc) = sync.truth(shown_ns);
    is_covered.then_some(Truth {
        tai,
        utc,
        error_ns: sync.error_ns,
        clock,
        source: sync.source,
        tai_utc: sync.tai_utc,
        is_held: false,
    })
}
