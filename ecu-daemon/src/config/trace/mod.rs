//! `[trace]`: what makes spans, what is kept of them, and where local services bring theirs.

mod carriers;
mod intake;
mod names;
mod pairs;
pub(super) mod raw;

use std::ops::Range;
use std::time::Duration;

use can_decode::CanId;
use can_decode::trace::{Threshold, classic};
use ecu_core::Catalog;
use ecu_core::catalog::TooManyMessages;
use ecu_core::span::{BusSettings, Expectation, Sampling, Settings, Tracer};
use toml::Spanned;

use super::{Bus, Check, units};

pub use intake::Intake;
use names::Names;

/// How long a request may wait for its response unless the configuration says otherwise.
const TIMEOUT_NS: u64 = 10_000_000_000;
const HOUR_NS: u64 = 3_600_000_000_000;

/// How traces are followed.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// But for the seed, and for where the schema has the conversations.
    settings: Settings,
    roots: bool,
    conversations: Vec<NamedConversation>,
    /// Where local services bring their spans and log records; `None`: nowhere.
    pub intake: Option<Intake>,
    described: Vec<String>,
}

/// What the spans of a conversation are called after.
#[derive(Clone, Debug)]
struct NamedConversation {
    bus: usize,
    id: CanId,
    name: String,
}

impl Trace {
    /// What the tracer needs, with the conversations named in `catalog`, which is of the same buses. `seed` is a random
    /// number, for the ids of traces that begin here.
    ///
    /// # Errors
    /// [`TooManyMessages`] when there is no room for the names of conversations.
    pub fn settings(&self, catalog: &mut Catalog, seed: u64) -> Result<Settings, TooManyMessages> {
        let mut settings = self.settings.clone();
        let mut named = self.conversations.iter();
        // Both are in the order of the buses.
        for conversation in settings.buses.iter_mut().flat_map(|bus| &mut bus.conversations) {
            if let Some(NamedConversation { bus, id, name }) = named.next() {
                conversation.message = catalog.name_conversation(*bus, *id, name.clone())?;
            }
        }
        settings.roots = self.roots.then_some(seed);
        Ok(settings)
    }

    /// What was made of it, a line for each thing that is followed.
    pub fn described(&self) -> &[String] {
        &self.described
    }
}

/// Durations of requests that say nothing of them.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    slow: Option<Duration>,
}

impl Check<'_> {
    /// What names messages or signals that are not there is left out and told: the rest is traced without it.
    pub(super) fn trace(&mut self, raw: raw::Trace, buses: &[Bus]) -> Trace {
        let names = Names(buses);
        let mut trace = Trace { roots: raw.roots, ..Trace::default() };
        let settings = &mut trace.settings;
        settings.sampling = Sampling {
            ratio: self.ratio(raw.ratio),
            spans_per_second: raw
                .spans_per_second
                .map(|rate| self.bounded(Some(rate), 0, 0..=1_000_000, "0 to 1000000")),
        };
        let waiting = settings.waiting_max;
        settings.waiting_max = self.bounded(raw.waiting_max, waiting, 1..=4096, "1 to 4096");
        let timeout = self.trace_time(raw.timeout, TIMEOUT_NS);
        let slow = raw.slow.map(|slow| self.trace_time(Some(slow), 0));
        let patience = Patience { timeout, slow };
        settings.local_slow_ns = slow.map(|slow| slow.as_nanos() as u64);
        let plain = classic::Limits::default();
        let limits = classic::Limits {
            part_ns: self.trace_time(raw.part_timeout, plain.part_ns as u64).as_nanos() as i64,
            frame_ns: self.trace_time(raw.frame_timeout, plain.frame_ns as u64).as_nanos() as i64,
        };
        settings.buses = vec![BusSettings { classic_limits: limits, ..BusSettings::default() }; buses.len()];
        self.offsets(raw.offsets, names, &mut trace);
        self.attributes(raw.attributes, names, &mut trace);
        for entry in raw.context_frames {
            self.context_frames(entry, names, &mut trace);
        }
        for entry in raw.conversation {
            self.conversation(entry, names, patience, &mut trace);
        }
        trace.conversations.sort_by_key(|conversation| conversation.bus);
        for entry in raw.pair {
            self.pair(entry, names, patience, &mut trace);
        }
        trace.intake = self.intake(raw.listen, raw.allow_remote, raw.records_per_second);
        self.tried(trace, buses)
    }

    /// The settings together, as the tracer takes them: entries that are right by themselves may be too many together.
    fn tried(&mut self, trace: Trace, buses: &[Bus]) -> Trace {
        if trace.described.is_empty() {
            return trace;
        }
        let tables = buses.iter().map(|bus| (bus.name.clone(), bus.table.clone()));
        // More messages than a schema holds is an error of its own, at the start.
        let Ok(mut catalog) = Catalog::new(tables) else { return trace };
        let tried = match trace.settings(&mut catalog, 0) {
            Ok(settings) => Tracer::new(&settings, &catalog).map(drop).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let Err(why) = tried else { return trace };
        let text = format!("[trace] is left out but for its sampling and its intake: {why}");
        self.tolerable.push(self.file.problem(None, text));
        let settings = Settings { sampling: trace.settings.sampling, ..Settings::default() };
        Trace { settings, intake: trace.intake, ..Trace::default() }
    }

    fn ratio(&mut self, raw: Option<Spanned<f64>>) -> Threshold {
        let Some(raw) = raw else { return Threshold::default() };
        let span = raw.span();
        Threshold::from_ratio(raw.into_inner()).unwrap_or_else(|| {
            let text = "out of range; allowed is 0 (none but failed and slow ones) to 1 (all)";
            self.fatal.push(self.file.problem(Some(span), text));
            Threshold::default()
        })
    }

    /// A duration of up to an hour; the default is in nanoseconds.
    fn trace_time(&mut self, value: Option<Spanned<units::Time>>, default: u64) -> Duration {
        let value = value.map(|value| Spanned::new(value.span(), value.get_ref().0));
        let ns = Duration::from_nanos;
        self.bounded(value, ns(default), ns(1_000)..=ns(HOUR_NS), "1us to 1h")
    }

    fn expectation(
        &mut self,
        timeout: Option<Spanned<units::Time>>,
        slow: Option<Spanned<units::Time>>,
        patience: Patience,
    ) -> Expectation {
        let timeout = match timeout {
            Some(timeout) => self.trace_time(Some(timeout), TIMEOUT_NS),
            None => patience.timeout,
        };
        let slow = match slow {
            Some(slow) => Some(self.trace_time(Some(slow), TIMEOUT_NS)),
            None => patience.slow,
        };
        // At most an hour, by the bounds above.
        Expectation {
            timeout_ns: timeout.as_nanos() as i64,
            slow_ns: slow.map(|slow| slow.as_nanos() as u64),
        }
    }

    /// An entry that the rest can be traced without.
    fn untraced(&mut self, span: Range<usize>, entry: &str, why: &str) {
        let text = format!("{entry} is left out: {why}");
        self.tolerable.push(self.file.problem(Some(span), text));
    }
}

/// How long, and from when on it is slow, for a line of what is followed.
fn in_words(expectation: &Expectation) -> String {
    let timeout = Duration::from_nanos(expectation.timeout_ns.unsigned_abs());
    match expectation.slow_ns {
        Some(slow) => format!("within {timeout:?}, slow from {:?} on", Duration::from_nanos(slow)),
        None => format!("within {timeout:?}"),
    }
}

#[cfg(test)]
mod tests;
