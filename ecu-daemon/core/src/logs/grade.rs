//! Which log records are kept, how much of them, and with what probability.
//!
//! ERROR and above is kept whole, with the lines of its service that came before it. WARN is kept whole. INFO is
//! trimmed, DEBUG dropped or sampled; both share a budget of records a window, which grows while errors come. What is
//! sampled says with what probability, so that counts can be estimated: one record stands for `1 / probability`.
//! Records of one trace share one throw of the dice, and a trace with an error in it is kept from there on.

use std::collections::{HashMap, VecDeque};

use store::block::{LogRecord, Severity};

use super::hash::{mix, mix_bytes};

/// Length of a budget's window, nanoseconds.
pub const WINDOW_NS: i64 = 10_000_000_000;
/// Records before an error that are kept with it.
pub const CONTEXT_MAX: usize = 20;
/// Services whose context is held, the latest; and all their records together.
const SERVICES_MAX: usize = 64;
/// Bytes of one context record's body.
const CONTEXT_BYTES_MAX: usize = 512;
/// Traces with an error that are remembered.
const TRACES_MAX: usize = 256;
/// How much the budget grows in the window after an error.
const ERROR_BOOST: u32 = 4;

/// What is wanted. One for all services, and others for some.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Bytes of an INFO record's body.
    pub info_bytes_max: usize,
    /// Share of DEBUG records kept, 0 to 1, before the budget; 0 drops them.
    pub debug_share: f32,
    /// INFO and DEBUG records kept in a window, of all services together.
    pub budget: u32,
    /// Services with a least severity of their own: what is below is dropped, what is not is kept whole.
    pub least: HashMap<String, Severity>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { info_bytes_max: 1_024, debug_share: 0.0, budget: 2_000, least: HashMap::new() }
    }
}

/// Why a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is an error: class critical, at once.
    Error,
    /// It came before an error of its service; such a record may have been kept before as what it is itself.
    Context,
    /// Its level or its service's own policy says so.
    Level,
    /// The dice said so.
    Sampled,
}

/// A record to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The record, trimmed as its level says.
    pub record: LogRecord,
    /// Why.
    pub why: Why,
    /// With what probability a record like it is kept, above 0 to 1.
    pub probability: f32,
}

/// Where records went: `received = kept + sampled_out + below_level`. Context is counted apart, as those records were
/// counted before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GradeTotals {
    /// Records seen.
    pub received: u64,
    /// Records kept for themselves.
    pub kept: u64,
    /// Records given as the context of an error.
    pub context: u64,
    /// Records left out by the dice.
    pub sampled_out: u64,
    /// Records left out because of their level.
    pub below_level: u64,
}

/// Grades records.
#[derive(Default)]
pub struct Grader {
    policy: Policy,
    context: HashMap<String, VecDeque<LogRecord>>,
    /// Services in the order in which their context was begun.
    services: VecDeque<String>,
    error_traces: VecDeque<[u8; 16]>,
    window_ns: Option<i64>,
    /// INFO and DEBUG records of this window, and those of them kept.
    offered: u32,
    taken: u32,
    errors: bool,
    probability: f32,
    thrown: u64,
    totals: GradeTotals,
}

impl Grader {
    /// With a policy.
    pub fn new(policy: Policy) -> Self {
        Self { policy, probability: 1.0, ..Self::default() }
    }

    /// Takes a record and gives what is to be kept: nothing, the record, or for an error its context and then itself.
    pub fn take(&mut self, mut record: LogRecord, keep: &mut impl FnMut(Kept)) {
        self.totals.received += 1;
        self.turn(record.time_ns);
        if record.severity >= Severity::ERROR {
            self.errors = true;
            self.remember_trace(&record);
            for before in self.context.get_mut(&record.service).map(std::mem::take).into_iter().flatten() {
                self.totals.context += 1;
                keep(Kept { record: before, why: Why::Context, probability: 1.0 });
            }
            self.totals.kept += 1;
            keep(Kept { record, why: Why::Error, probability: 1.0 });
            return;
        }
        let own = self.policy.least.get(&record.service).copied();
        if own.is_some_and(|least| record.severity < least) {
            self.totals.below_level += 1;
            return self.hold(record);
        }
        if own.is_some() || record.severity >= Severity::WARN || self.is_of_error(&record) {
            self.totals.kept += 1;
            self.hold(record.clone());
            keep(Kept { record, why: Why::Level, probability: 1.0 });
            return;
        }
        let share = if record.severity < Severity::INFO { self.policy.debug_share } else { 1.0 };
        if share <= 0.0 {
            self.totals.below_level += 1;
            return self.hold(record);
        }
        self.offered = self.offered.saturating_add(1);
        let probability = share.min(1.0) * self.probability;
        if !self.throw(&record, probability) {
            self.totals.sampled_out += 1;
            return self.hold(record);
        }
        self.taken += 1;
        self.totals.kept += 1;
        self.hold(record.clone());
        cut(&mut record.body, self.policy.info_bytes_max);
        let why = if probability < 1.0 { Why::Sampled } else { Why::Level };
        keep(Kept { record, why, probability });
        // A storm does not wait for the end of the window.
        if self.taken.is_multiple_of(self.budget()) {
            self.probability /= 2.0;
        }
    }

    fn budget(&self) -> u32 {
        let boost = if self.errors { ERROR_BOOST } else { 1 };
        self.policy.budget.saturating_mul(boost).max(1)
    }

    /// Begins a new window when the last is over, with the probability that would have kept the budget in it.
    fn turn(&mut self, now_ns: i64) {
        let began = *self.window_ns.get_or_insert(now_ns);
        // A clock that was set back begins a new window, too.
        if (0..WINDOW_NS).contains(&now_ns.saturating_sub(began)) {
            return;
        }
        let fits = f64::from(self.budget()) / f64::from(self.offered.max(1));
        self.probability = fits.min(1.0) as f32;
        (self.offered, self.taken, self.errors) = (0, 0, false);
        self.window_ns = Some(now_ns);
    }

    /// One throw for a trace, one for each record without.
    fn throw(&mut self, record: &LogRecord, probability: f32) -> bool {
        let dice = match record.trace {
            Some((trace, _)) => mix_bytes(7, &trace),
            None => {
                self.thrown += 1;
                mix(mix(3, self.thrown), 11)
            }
        };
        // 24 bits are what an f32 tells apart.
        ((dice >> 40) as f32) < probability * 16_777_216.0
    }

    fn is_of_error(&self, record: &LogRecord) -> bool {
        record.trace.is_some_and(|(trace, _)| self.error_traces.contains(&trace))
    }

    fn remember_trace(&mut self, record: &LogRecord) {
        let Some((trace, _)) = record.trace else { return };
        if !self.error_traces.contains(&trace) {
            if self.error_traces.len() >= TRACES_MAX {
                self.error_traces.pop_front();
            }
            self.error_traces.push_back(trace);
        }
    }

    /// Holds a record as the context of an error that may come.
    fn hold(&mut self, mut record: LogRecord) {
        cut(&mut record.body, CONTEXT_BYTES_MAX);
        if !self.context.contains_key(&record.service) {
            if self.services.len() >= SERVICES_MAX
                && let Some(oldest) = self.services.pop_front()
            {
                self.context.remove(&oldest);
            }
            self.services.push_back(record.service.clone());
        }
        let held = self.context.entry(record.service.clone()).or_default();
        if held.len() >= CONTEXT_MAX {
            held.pop_front();
        }
        held.push_back(record);
    }

    /// Where records went.
    pub fn totals(&self) -> GradeTotals {
        self.totals
    }
}

/// Cuts a text at a character, so that it has at most `bytes` bytes.
fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
    }
}
