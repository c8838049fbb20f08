//! What is worth raising a hand for: a line of a new kind, a kind that comes far more often, a heartbeat that stopped.
//!
//! Time is an argument. [`Alarms::line`] takes each mined line, [`Alarms::advance`] closes the windows that are over,
//! so that silence is noticed, too. What one kind of line needs is bounded, and so is how many are followed.

mod novelty;
mod rate;

use std::collections::HashMap;

use novelty::Novelty;
use rate::{Rate, Verdict};

use super::miner::{ClusterId, Miner, Origin};
use super::table::TEMPLATES_MAX;
use super::template::TemplateId;

/// Length of a short window, nanoseconds.
pub const WINDOW_NS: i64 = 10_000_000_000;
/// Short windows in a long one.
pub const WINDOWS_LONG: usize = 6;
/// Windows that are closed one by one after a jump of time; a longer gap starts all rates afresh.
const WINDOWS_AT_ONCE: i64 = 60;
/// Bytes of an example.
const EXAMPLE_BYTES_MAX: usize = 160;
/// Trace ids kept of each cluster, the latest.
const TRACES_MAX: usize = 4;
/// Keywords of an alarm.
const KEYWORDS_MAX: usize = 6;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlarmKind {
    /// A kind of line that was never seen.
    New,
    /// Two windows in a row had far more lines than usual.
    Burst {
        /// Length of the window, nanoseconds.
        window_ns: i64,
    },
    /// A kind of line that came steadily stays away.
    Vanished {
        /// Time without it, nanoseconds.
        silent_ns: i64,
    },
}

/// A hand raised.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// When it was noticed: the time of the line, or the end of the window.
    pub time_ns: i64,
    /// What happened.
    pub kind: AlarmKind,
    /// Of which kind of line.
    pub cluster: ClusterId,
    /// Its text with holes.
    pub template: String,
    /// The words of the template that say most, longest first.
    pub keywords: Vec<String>,
    /// Its latest line, cut.
    pub example: String,
    /// Lines a window before, and now.
    pub rate_before: f32,
    /// Lines in the window that raised the alarm.
    pub rate_now: f32,
    /// Traces of its latest lines.
    pub traces: Vec<[u8; 16]>,
}

/// A line after mining.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When, nanoseconds; any clock that does not step.
    pub time_ns: i64,
    /// Who wrote it.
    pub origin: Origin,
    /// What the miner said.
    pub template: TemplateId,
    /// What the miner said.
    pub cluster: ClusterId,
    /// What the miner said.
    pub new: bool,
    /// The line itself.
    pub line: &'a [u8],
    /// The trace that it belongs to.
    pub trace: Option<[u8; 16]>,
}

#[derive(Default)]
struct Kind {
    rate: Rate,
    template: Option<TemplateId>,
    example: Box<[u8]>,
    traces: Vec<[u8; 16]>,
}

/// Watches the kinds of lines.
#[derive(Default)]
pub struct Alarms {
    kinds: HashMap<ClusterId, Kind>,
    novelty: Novelty,
    /// End of the open window; `None` before the first line.
    closes_ns: Option<i64>,
    closed: u64,
    untracked: u64,
}

impl Alarms {
    /// Takes a line that `miner` has just mined, and gives what it calls for. Windows that ended before it are closed.
    pub fn line(&mut self, miner: &Miner, seen: &Seen<'_>, raise: &mut impl FnMut(Alarm)) {
        self.advance(miner, seen.time_ns, raise);
        for &gone in miner.merged() {
            if let Some(kind) = self.kinds.remove(&gone) {
                self.kinds.entry(seen.cluster).or_default().rate.add(&kind.rate);
            }
        }
        if !self.kinds.contains_key(&seen.cluster) && self.kinds.len() >= TEMPLATES_MAX {
            self.forget();
        }
        let kind = self.kinds.entry(seen.cluster).or_default();
        kind.rate.count();
        kind.template = Some(seen.template);
        let cut = &seen.line[..seen.line.len().min(EXAMPLE_BYTES_MAX)];
        if kind.example.len() == cut.len() {
            kind.example.copy_from_slice(cut);
        } else {
            kind.example = cut.into();
        }
        if let Some(trace) = seen.trace
            && !kind.traces.contains(&trace)
        {
            if kind.traces.len() >= TRACES_MAX {
                kind.traces.remove(0);
            }
            kind.traces.push(trace);
        }
        if !seen.new {
            return;
        }
        let Some(template) = miner.template(seen.template) else { return };
        if self.novelty.is_news(seen.time_ns, seen.origin, template)
            && let Some(kind) = self.kinds.get(&seen.cluster)
        {
            raise(alarm(miner, seen.time_ns, AlarmKind::New, seen.cluster, kind, (0.0, 1.0)));
        }
    }

    /// Closes the windows that ended by `now_ns`.
    pub fn advance(&mut self, miner: &Miner, now_ns: i64, raise: &mut impl FnMut(Alarm)) {
        let Some(mut closes) = self.closes_ns else {
            self.closes_ns = Some(now_ns.saturating_add(WINDOW_NS));
            return;
        };
        if now_ns < closes {
            return;
        }
        if (now_ns - closes) / WINDOW_NS >= WINDOWS_AT_ONCE {
            // The ECU slept, or the clock jumped: what came before says nothing about now.
            self.kinds.values_mut().for_each(|kind| kind.rate = Rate::default());
            self.closes_ns = Some(now_ns.saturating_add(WINDOW_NS));
            return;
        }
        while now_ns >= closes {
            self.close(miner, closes, raise);
            closes += WINDOW_NS;
        }
        self.closes_ns = Some(closes);
    }

    fn close(&mut self, miner: &Miner, now_ns: i64, raise: &mut impl FnMut(Alarm)) {
        self.closed += self.kinds.len() as u64;
        let mut raised: Vec<(ClusterId, Verdict)> = self
            .kinds
            .iter_mut()
            .filter_map(|(&id, kind)| kind.rate.close().map(|verdict| (id, verdict)))
            .collect();
        // The order of a hash map must not show.
        raised.sort_unstable_by_key(|&(id, _)| id);
        for (id, verdict) in raised {
            let (kind, before, now) = match verdict {
                Verdict::Burst { windows, usual, seen } => {
                    (AlarmKind::Burst { window_ns: windows as i64 * WINDOW_NS }, usual, seen)
                }
                Verdict::Vanished { windows, usual } => {
                    (AlarmKind::Vanished { silent_ns: i64::from(windows) * WINDOW_NS }, usual, 0.0)
                }
            };
            raise(alarm(miner, now_ns, kind, id, &self.kinds[&id], (before, now)));
        }
    }

    /// Makes room: a quarter of the kinds, those that came least, are no longer followed.
    fn forget(&mut self) {
        let mut ids: Vec<(u64, ClusterId)> =
            self.kinds.iter().map(|(&id, kind)| (kind.rate.worth(), id)).collect();
        ids.sort_unstable();
        for &(_, id) in &ids[..ids.len() / 4] {
            self.kinds.remove(&id);
            self.untracked += 1;
        }
    }

    /// Kinds of lines whose rate is no longer followed, because there were too many.
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Kinds of lines times windows so far: what a rate of false alarms is counted against.
    pub fn windows_closed(&self) -> u64 {
        self.closed
    }
}

fn alarm(
    miner: &Miner,
    time_ns: i64,
    what: AlarmKind,
    cluster: ClusterId,
    kind: &Kind,
    rates: (f32, f32),
) -> Alarm {
    let template =
        kind.template.and_then(|id| miner.template(id)).map(ToString::to_string).unwrap_or_default();
    let mut keywords: Vec<String> = template
        .split(|sign: char| !sign.is_alphabetic() && sign != '_')
        .filter(|word| word.len() > 3)
        .map(str::to_owned)
        .collect();
    keywords.sort_unstable_by_key(|word| (std::cmp::Reverse(word.len()), word.clone()));
    keywords.dedup();
    keywords.truncate(KEYWORDS_MAX);
    Alarm {
        time_ns,
        kind: what,
        cluster,
        template,
        keywords,
        example: String::from_utf8_lossy(&kind.example).into_owned(),
        rate_before: rates.0,
        rate_now: rates.1,
        traces: kind.traces.clone(),
    }
}
