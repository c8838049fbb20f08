//! One trace: its spans, its log records and the signals of its frames on one axis of time.

use std::collections::HashMap;
use std::io::{self, Write};
use std::rc::Rc;

use store::block::{BusSpanKind, Kind, LogRecord, SampleMark};

use super::super::render::hex;
use super::super::source::Source;
use super::super::span_text;
use super::super::walk::{Filter, Record, Sample, Span, Walk};
use super::rows::{Column, Field, Rows};
use super::{Question, damaged_ring};
use crate::cli::Failure;

/// Records that are put in order at most: what every trace of a car has room in, and an id that all frames carry has not.
const RECORDS_MAX: usize = 100_000;

/// Steps of sample times where a span does not tell them: blocks of version 1 had no others.
const TICK_DEFAULT: SampleMark = SampleMark { tick_ns: 1_000, slot_delay_ms: None };

const COLUMNS: [(&str, usize); 17] = [
    ("time", 30),
    ("after_ns", 12),
    ("record", 6),
    ("source", 12),
    ("name", 28),
    ("value", 12),
    ("unit", 6),
    ("duration_ns", 12),
    ("status", 6),
    ("span_id", 16),
    ("parent_span_id", 16),
    ("label", 0),
    ("error", 0),
    ("severity", 0),
    ("text", 0),
    ("attributes", 0),
    ("links", 0),
];

/// Prints the trace to `out`; as [`super::print`] does.
pub(super) fn print(
    source: &Rc<Source>,
    question: &Question,
    trace_id: [u8; 16],
    mut out: impl Write,
) -> io::Result<Result<(), Failure>> {
    let columns = COLUMNS.iter().map(|&(name, width)| Column { name: name.to_owned(), width });
    let rows = Rows::new(columns.collect(), question.format, &mut out)?;
    let mut trace = Trace { id: trace_id, frames: Frames::default(), events: Vec::new(), is_cut: false };
    let ended = trace.collect(source, &question.filter);
    // Spans before what belongs to them, at the same instant.
    trace.events.sort_by_key(|event| (event.time_ns, event.rank));
    let first_ns = trace.events.first().map_or(0, |event| event.time_ns);
    let limit = usize::try_from(question.limit).unwrap_or(usize::MAX);
    for event in trace.events.iter().take(limit) {
        rows.row(&event.fields(first_ns), &mut out)?;
    }
    out.flush()?;
    if trace.is_cut {
        eprintln!(
            "the trace has more than {RECORDS_MAX} records, the rest is left out; narrow it with --from and --to"
        );
    }
    Ok(ended)
}

/// What was found.
struct Trace {
    id: [u8; 16],
    frames: Frames,
    events: Vec<Event>,
    is_cut: bool,
}

/// A record of the trace. `None` and empty texts stand for what it does not have.
struct Event {
    time_ns: i64,
    /// 0 span, 1 signal, 2 log.
    rank: u8,
    source: String,
    name: String,
    span_id: Option<[u8; 8]>,
    /// Those of [`COLUMNS`] that differ: value and unit; duration and status; the parent; from the label on.
    value: [Field; 2],
    course: [Field; 2],
    parent: Field,
    rest: [Field; 6],
}

impl Event {
    fn new(time_ns: i64, rank: u8, source: &str, name: String, span_id: Option<[u8; 8]>) -> Self {
        Self {
            time_ns,
            rank,
            source: source.to_owned(),
            name,
            span_id,
            value: [const { Field::Absent }; 2],
            course: [const { Field::Absent }; 2],
            parent: Field::Absent,
            rest: [const { Field::Absent }; 6],
        }
    }

    /// As [`COLUMNS`] names them.
    fn fields(&self, first_ns: i64) -> Vec<Field> {
        let record = ["span", "signal", "log"].get(usize::from(self.rank)).copied().unwrap_or_default();
        let mut fields = vec![
            Field::Time(self.time_ns),
            Field::Integer(self.time_ns.saturating_sub(first_ns)),
            Field::Text(record.to_owned()),
            Field::Text(self.source.clone()),
            if self.name.is_empty() { Field::Absent } else { Field::Text(self.name.clone()) },
        ];
        fields.extend(self.value.iter().chain(&self.course).cloned());
        fields.push(self.span_id.map_or(Field::Absent, |id| Field::Text(hex(&id))));
        fields.push(self.parent.clone());
        fields.extend(self.rest.iter().cloned());
        fields
    }
}

/// The frames of the trace, by bus, message and the time that the clock of their samples showed: the spans that they are of.
#[derive(Default)]
struct Frames {
    by_bus: HashMap<String, HashMap<String, HashMap<i64, [u8; 8]>>>,
    /// First and last of those times, put right.
    range_ns: Option<(i64, i64)>,
}

impl Frames {
    fn add(&mut self, span: &Span<'_>) {
        let (Some((bus, message)), Some(of_bus)) = (span.place, span.record.bus()) else { return };
        if !matches!(of_bus.kind, BusSpanKind::Frame | BusSpanKind::Exchange) {
            return;
        }
        let mark = of_bus.sample.unwrap_or(TICK_DEFAULT);
        let by_message = self.by_bus.entry(bus.to_owned()).or_default();
        let shown_ns = mark.time_ns(span.record.start_ns);
        by_message.entry(message.name.clone()).or_default().entry(shown_ns).or_insert(span.id);
        // The samples may be a step before the span.
        let time_ns = span.time.utc_ns;
        let (first, last) = self.range_ns.unwrap_or((time_ns, time_ns));
        self.range_ns = Some((first.min(time_ns - i64::from(mark.tick_ns)), last.max(time_ns)));
    }

    fn find(&self, sample: &Sample<'_>) -> Option<[u8; 8]> {
        self.by_bus.get(sample.bus)?.get(&sample.message.name)?.get(&sample.shown_ns).copied()
    }
}

impl Trace {
    /// Reads what there is; what is wrong with the ring, when everything that could be read is there.
    fn collect(&mut self, source: &Rc<Source>, filter: &Filter) -> Result<(), Failure> {
        let spans = self.walk(Walk::new(source, Kind::Spans, filter.clone()));
        let samples = match self.frames.range_ns {
            None => Ok(()),
            Some((first_ns, last_ns)) => {
                let (from_ns, to_ns) = (filter.from_ns.max(first_ns), filter.to_ns.min(last_ns));
                self.walk(Walk::new(source, Kind::Samples, Filter { from_ns, to_ns, ..filter.clone() }))
            }
        };
        let logs = self.walk(Walk::new(source, Kind::Logs, filter.clone()));
        spans.and(samples).and(logs)
    }

    fn walk(&mut self, mut walk: Walk) -> Result<(), Failure> {
        while !self.is_cut && walk.advance().map_err(|error| damaged_ring(&error))? {
            let Some(record) = walk.record() else { break };
            let event = match &record {
                Record::Span(span) => self.span(span),
                Record::Sample(sample) => self.frames.find(sample).map(|span_id| signal(sample, span_id)),
                Record::Log(log, time) => self.log(log, time.utc_ns),
                // Frames that are kept as they are have no names, and a trace is told by its spans.
                Record::Frame(_) => None,
            };
            self.events.extend(event);
            if self.events.len() > RECORDS_MAX {
                self.events.truncate(RECORDS_MAX);
                self.is_cut = true;
            }
        }
        walk.damage()
    }

    fn span(&mut self, span: &Span<'_>) -> Option<Event> {
        let record = span.record;
        if record.trace_id != self.id {
            return None;
        }
        self.frames.add(span);
        let source = span.place.map(|(bus, _)| bus).or(span.service()).unwrap_or_default();
        let event = Event::new(span.time.utc_ns, 0, source, span.name().into_owned(), Some(span.id));
        let duration_ns = i64::try_from(record.duration_ns).unwrap_or(i64::MAX);
        let parent = record.parent_span_id.map_or(Field::Absent, |parent| Field::Text(hex(&parent)));
        let error = record.status.failure().map_or(Field::Absent, |failure| Field::Text(failure.to_string()));
        let attributes = span_text::attributes(span).map_or(Field::Absent, Field::Json);
        let links = span_text::links(span).map_or(Field::Absent, Field::Json);
        Some(Event {
            course: [Field::Integer(duration_ns), Field::Text(record.status.name().to_owned())],
            parent,
            rest: [Field::Absent, error, Field::Absent, Field::Absent, attributes, links],
            ..event
        })
    }

    fn log(&self, log: &LogRecord, time_ns: i64) -> Option<Event> {
        let (_, span_id) = log.trace.filter(|(trace_id, _)| *trace_id == self.id)?;
        let event = Event::new(time_ns, 2, &log.service, String::new(), Some(span_id));
        let severity = Field::Text(log.severity.name().to_owned());
        let text = Field::Text(log.body.clone());
        let rest = [Field::Absent, Field::Absent, severity, text, Field::Absent, Field::Absent];
        Some(Event { rest, ..event })
    }
}

fn signal(sample: &Sample<'_>, span_id: [u8; 8]) -> Event {
    let name = format!("{}.{}", sample.message.name, sample.signal.name);
    let event = Event::new(sample.time.utc_ns, 1, sample.bus, name, Some(span_id));
    let value = Field::Float(sample.signal.physical(sample.raw));
    let unit = Field::Text(sample.signal.unit.clone());
    let label = sample.signal.label(sample.raw).map_or(Field::Absent, |label| Field::Text(label.to_owned()));
    let mut signal = Event { value: [value, unit], ..event };
    signal.rest[0] = label;
    signal
}
