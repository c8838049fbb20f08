//! Which multiplexor each multiplexed signal hangs on.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use std::collections::HashMap;

use can_dbc::MultiplexIndicator;

use super::references::MuxRanges;
use crate::signal::{Branch, Signal, ValueKind};
use crate::table::BRANCH_DEPTH_MAX;

/// Most ranges of values that open one branch, those that touch counted as one: each costs time with each frame.
/// Diagnostic messages have a few.
pub(super) const BRANCH_RANGES_MAX: usize = 256;

/// A signal while its branch is not known yet.
pub(super) struct Unresolved<'a> {
    pub(super) signal: Signal,
    pub(super) indicator: MultiplexIndicator,
    /// Its `SG_MUL_VAL_` statements.
    pub(super) ranges: &'a [&'a MuxRanges<'a>],
    pub(super) line: u32,
}

/// A signal that cannot be decoded, because its branch cannot be told.
pub(super) struct Unreachable {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) text: String,
}

/// What [`resolve`] makes of a message's signals.
#[derive(Default)]
pub(super) struct Resolved {
    /// Those that can be decoded, with their lines.
    pub(super) signals: Vec<(Signal, u32)>,
    pub(super) unreachable: Vec<Unreachable>,
}

/// Fills in [`Signal::branch`]. Signals whose branch cannot be told are taken out: reported, they would have values
/// that are not theirs.
pub(super) fn resolve(unresolved: Vec<Unresolved<'_>>) -> Resolved {
    let is_root = |entry: &Unresolved<'_>| {
        entry.indicator == MultiplexIndicator::Multiplexor && entry.ranges.is_empty()
    };
    let root = unresolved.iter().position(is_root);
    // Names are unique, so that each has one place. Most messages name no multiplexor.
    let is_named = unresolved.iter().any(|entry| !entry.ranges.is_empty());
    let place = |(at, entry): (usize, &Unresolved<'_>)| (entry.signal.name.clone(), at);
    let named = unresolved.iter().enumerate().take(if is_named { usize::MAX } else { 0 });
    let by_name: HashMap<String, usize> = named.map(place).collect();
    let branches: Vec<_> = unresolved.iter().map(|entry| branch_of(entry, &by_name, root)).collect();
    let verdicts: Vec<_> = (0..unresolved.len()).map(|at| verdict(at, &unresolved, &branches)).collect();
    // Where each signal is once the unreachable ones are gone; the multiplexors of reachable ones are reachable too.
    let mut kept = 0;
    let mut places = Vec::with_capacity(verdicts.len());
    for verdict in &verdicts {
        places.push(kept);
        kept += usize::from(verdict.is_ok());
    }
    let mut is_multiplexor = vec![false; kept];
    let mut resolved = Resolved::default();
    for ((entry, branch), verdict) in unresolved.into_iter().zip(branches).zip(verdicts) {
        let branch = match verdict.and(branch) {
            Ok(branch) => branch,
            Err(text) => {
                let unreachable = Unreachable { name: entry.signal.name, line: entry.line, text };
                resolved.unreachable.push(unreachable);
                continue;
            }
        };
        let branch = branch.map(|branch| Branch { multiplexor: places[branch.multiplexor], ..branch });
        if let Some(branch) = &branch {
            is_multiplexor[branch.multiplexor] = true;
        }
        resolved.signals.push((Signal { branch, ..entry.signal }, entry.line));
    }
    for ((signal, _), is_multiplexor) in resolved.signals.iter_mut().zip(is_multiplexor) {
        signal.is_multiplexor = is_multiplexor;
    }
    resolved
}

/// The branch as the file gives it: `SG_MUL_VAL_` where there is one (whatever the indicator says: cantools writes
/// nested multiplexors as `M`), else the value behind `m` and the message's multiplexor. `Ok(None)` for a signal that
/// is always present.
fn branch_of(
    entry: &Unresolved<'_>,
    by_name: &HashMap<String, usize>,
    root: Option<usize>,
) -> Result<Option<Branch>, String> {
    let Some(first) = entry.ranges.first() else {
        let value = match entry.indicator {
            MultiplexIndicator::Plain | MultiplexIndicator::Multiplexor => return Ok(None),
            MultiplexIndicator::MultiplexedSignal(value)
            | MultiplexIndicator::MultiplexorAndMultiplexedSignal(value) => value,
        };
        let multiplexor = root.ok_or("it is multiplexed and its message has no multiplexor (M)")?;
        return Ok(Some(Branch { multiplexor, ranges: vec![(value, value)] }));
    };
    let name = first.multiplexor;
    let multiplexor = *by_name
        .get(name)
        .ok_or_else(|| format!("SG_MUL_VAL_ names a multiplexor {name} that cannot be decoded"))?;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for statement in entry.ranges {
        if statement.multiplexor != name {
            let other = statement.multiplexor;
            return Err(format!("SG_MUL_VAL_ hangs it on both {name} and {other}"));
        }
        ranges.extend(&statement.ranges);
    }
    ranges.retain(|(first, last)| first <= last);
    if ranges.is_empty() {
        return Err("SG_MUL_VAL_ gives only ranges that end before they begin".to_string());
    }
    let ranges = merged(ranges);
    if ranges.len() > BRANCH_RANGES_MAX {
        let count = ranges.len();
        return Err(format!("SG_MUL_VAL_ gives {count} ranges; {BRANCH_RANGES_MAX} can be decoded"));
    }
    Ok(Some(Branch { multiplexor, ranges }))
}

/// Ranges in ascending order, those that touch joined.
fn merged(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Whether a signal's multiplexors can all be decoded, up to one that is always present.
fn verdict(
    at: usize,
    all: &[Unresolved<'_>],
    branches: &[Result<Option<Branch>, String>],
) -> Result<(), String> {
    let mut at = at;
    for depth in 0..=BRANCH_DEPTH_MAX {
        match branches.get(at) {
            Some(Ok(Some(branch))) => {
                at = branch.multiplexor;
                let Some(multiplexor) = all.get(at) else { break };
                if matches!(multiplexor.signal.kind, ValueKind::F32 | ValueKind::F64) {
                    return Err(format!(
                        "its multiplexor {} is a floating point number",
                        multiplexor.signal.name
                    ));
                }
            }
            Some(Err(text)) if depth == 0 => return Err(text.clone()),
            Some(Err(_)) => return Err(format!("its multiplexor {} cannot be decoded", all[at].signal.name)),
            _ => return Ok(()),
        }
    }
    Err(format!("its multiplexors hang on each other in a circle, or more than {BRANCH_DEPTH_MAX} deep"))
}
