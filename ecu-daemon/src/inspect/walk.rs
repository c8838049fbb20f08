//! The records of a ring, one after the other: what `query`, `sql` and `export` have in common.

use std::borrow::Cow;
use std::rc::Rc;

use can_decode::CanId;
use ecu_core::clock::RecordTime;
use lexopt::ValueExt;
use store::block::{
    BlockHeader, ClockSource, Kind, LogRecord, MessageSchema, RawFrame, Records, Schema, SignalSchema,
    SpanOrigin, SpanRecord,
};
use store::ring::Selection;

use super::query::parse_time;
use super::source::{Blocks, Source, open};
use super::times::Times;
use crate::cli::{Failure, exit};
use crate::glob;

/// What of a ring is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// `MESSAGE.SIGNAL`, a message, a signal, a service, the name of a service's span, or a raw frame's identifier, with
    /// `*` and `?`.
    pub name: Option<String>,
    /// A bus.
    pub bus: Option<String>,
    /// Earliest time, nanoseconds since 1970.
    pub from_ns: i64,
    /// Latest time.
    pub to_ns: i64,
}

impl Default for Filter {
    fn default() -> Self {
        Self { name: None, bus: None, from_ns: i64::MIN, to_ns: i64::MAX }
    }
}

impl Filter {
    pub(super) const fn selection(&self, kind: Kind) -> Selection {
        Selection { kind, first_ns: self.from_ns, last_ns: self.to_ns }
    }

    /// Takes an option of the command line; false when it is another one.
    ///
    /// # Errors
    /// [`exit::USAGE`]
    pub(super) fn take(&mut self, option: &str, arguments: &mut lexopt::Parser) -> Result<bool, Failure> {
        match option {
            "name" => self.name = Some(arguments.value()?.string()?),
            "bus" => self.bus = Some(arguments.value()?.string()?),
            "from" => self.from_ns = parse_time(&arguments.value()?.string()?)?,
            "to" => self.to_ns = parse_time(&arguments.value()?.string()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) const fn wants(&self, time_ns: i64) -> bool {
        time_ns >= self.from_ns && time_ns <= self.to_ns
    }

    fn on_bus(&self, bus: &str) -> bool {
        self.bus.as_deref().is_none_or(|wanted| wanted == bus)
    }

    pub(super) fn wants_signal(&self, bus: &str, message: &MessageSchema, signal: &SignalSchema) -> bool {
        let full = || format!("{}.{}", message.name, signal.name);
        self.on_bus(bus) && (self.name.is_none() || self.named([&full(), &message.name, &signal.name]))
    }

    fn named<const N: usize>(&self, names: [&str; N]) -> bool {
        self.name.as_deref().is_none_or(|pattern| names.iter().any(|name| glob::matches(pattern, name)))
    }
}

/// A record with the names that belong to it.
pub(super) enum Record<'a> {
    Sample(Sample<'a>),
    Span(Span<'a>),
    Log(&'a LogRecord, RecordTime),
    Frame(Frame<'a>),
}

/// A frame as it was on the bus.
pub(super) struct Frame<'a> {
    pub(super) bus: &'a str,
    pub(super) time: RecordTime,
    pub(super) raw: RawFrame,
}

/// A sample of a signal.
pub(super) struct Sample<'a> {
    pub(super) time: RecordTime,
    /// What its clock showed, nanoseconds.
    pub(super) shown_ns: i64,
    pub(super) clock: ClockSource,
    pub(super) bus: &'a str,
    pub(super) message: &'a MessageSchema,
    pub(super) signal: &'a SignalSchema,
    pub(super) raw: u64,
}

/// A span.
pub(super) struct Span<'a> {
    pub(super) id: [u8; 8],
    pub(super) time: RecordTime,
    /// The bus and the message; `None` for those of local services.
    pub(super) place: Option<(&'a str, &'a MessageSchema)>,
    pub(super) record: &'a SpanRecord,
}

impl Span<'_> {
    /// As outputs call it, too.
    pub(super) fn name(&self) -> Cow<'_, str> {
        self.record.name(self.place.map_or("", |(_, message)| &message.name))
    }

    /// Its identifier on the bus.
    pub(super) fn can_id(&self) -> Option<CanId> {
        let message = self.place?.1;
        self.record.bus().map(|bus| bus.id.unwrap_or(message.id))
    }

    /// What it is of: a frame, an exchange, a message, a diagnostic request, or something in a service.
    pub(super) const fn origin(&self) -> &'static str {
        match &self.record.origin {
            SpanOrigin::Bus(bus) => bus.kind.name(),
            SpanOrigin::Local(_) => "service",
        }
    }

    /// The service that sent it.
    pub(super) fn service(&self) -> Option<&str> {
        match &self.record.origin {
            SpanOrigin::Bus(_) => None,
            SpanOrigin::Local(local) => Some(&local.service),
        }
    }
}

/// Walks over the records of one kind. Blocks that cannot be opened are named, counted and left out.
pub(super) struct Walk {
    source: Rc<Source>,
    blocks: Blocks,
    times: Rc<Times>,
    filter: Filter,
    open: Option<Open>,
    /// Blocks, or messages of blocks, that were left out.
    damaged: u64,
}

/// The block under the walker.
struct Open {
    row: i64,
    header: BlockHeader,
    records: Records,
    schema: Rc<Schema>,
    at: At,
}

/// Where in the block it is. Samples lie column by column, message by message; the others in one row each.
#[derive(Default)]
struct At {
    group: usize,
    column: usize,
    /// The record, and the one after it.
    index: usize,
    next: usize,
    /// The row in the message of each value of the column; empty until the column is entered.
    rows: Vec<usize>,
}

impl Walk {
    pub(super) fn new(source: &Rc<Source>, kind: Kind, filter: Filter) -> Self {
        let times = source.times();
        let blocks = source.blocks(times.widened(&filter).selection(kind));
        Self { source: Rc::clone(source), blocks, times, filter, open: None, damaged: 0 }
    }

    /// Goes on to the next wanted record; false behind the last one.
    ///
    /// # Errors
    /// When the ring cannot be read any further.
    pub(super) fn advance(&mut self) -> std::io::Result<bool> {
        loop {
            if let Some(open) = &mut self.open {
                if open.advance(&self.filter, &self.times, &mut self.damaged) {
                    return Ok(true);
                }
                self.open = None;
            }
            let Some(stored) = self.blocks.next().transpose()? else { return Ok(false) };
            match open(&self.source, &stored) {
                Ok((header, records, schema)) => {
                    self.open = Some(Open { row: stored.id, header, records, schema, at: At::default() });
                }
                Err(error) => {
                    eprintln!("block {}: {error}; it is left out", stored.id);
                    self.damaged += 1;
                }
            }
        }
    }

    /// As [`damage`], once the walk has ended.
    pub(super) fn damage(&self) -> Result<(), Failure> {
        damage(self.damaged)
    }

    /// The record that [`Self::advance`] went to.
    pub(super) fn record(&self) -> Option<Record<'_>> {
        self.open.as_ref().and_then(|open| open.record(&self.times))
    }
}

impl Open {
    /// Goes to the next wanted record of the block.
    fn advance(&mut self, filter: &Filter, times: &Times, damaged: &mut u64) -> bool {
        if matches!(self.records, Records::Samples(_)) {
            return self.advance_samples(filter, times, damaged);
        }
        let count = match &self.records {
            Records::Spans(spans) => spans.len(),
            Records::Logs(logs) => logs.len(),
            Records::Frames(frames) => frames.len(),
            _ => 0,
        };
        while self.at.next < count {
            (self.at.index, self.at.next) = (self.at.next, self.at.next + 1);
            if self.record(times).is_some_and(|record| record.is_wanted(filter)) {
                return true;
            }
        }
        false
    }

    fn advance_samples(&mut self, filter: &Filter, times: &Times, damaged: &mut u64) -> bool {
        let Self { records: Records::Samples(samples), schema, at, header, .. } = self else { return false };
        while let Some(group) = samples.groups.get(at.group) {
            let Some((bus, message)) = named_message(schema, group.message) else {
                eprintln!(
                    "block {}: it names a message that its schema does not have; it is left out",
                    self.row
                );
                *damaged += 1;
                at.next_group();
                continue;
            };
            let Some(column) = group.columns.get(at.column).filter(|_| filter.on_bus(bus)) else {
                at.next_group();
                continue;
            };
            let is_wanted = |signal: &SignalSchema| filter.wants_signal(bus, message, signal);
            if at.next == 0 && !message.signals.get(column.signal).is_some_and(is_wanted) {
                at.next_column();
                continue;
            }
            if at.rows.is_empty() {
                at.rows.extend(column.rows.iter().take(column.values.len()));
            }
            while let Some(&row) = at.rows.get(at.next) {
                (at.index, at.next) = (at.next, at.next + 1);
                if filter.wants(times.of(header, group.clock, group.times_ns[row], 0).utc_ns) {
                    return true;
                }
            }
            at.next_column();
        }
        false
    }

    fn record(&self, times: &Times) -> Option<Record<'_>> {
        let (index, header) = (self.at.index, &self.header);
        match &self.records {
            Records::Samples(samples) => {
                let group = samples.groups.get(self.at.group)?;
                let column = group.columns.get(self.at.column)?;
                let (bus, message) = named_message(&self.schema, group.message)?;
                let shown_ns = group.times_ns[*self.at.rows.get(index)?];
                Some(Record::Sample(Sample {
                    time: times.of(header, group.clock, shown_ns, 0),
                    shown_ns,
                    clock: group.clock,
                    bus,
                    message,
                    signal: message.signals.get(column.signal)?,
                    raw: *column.values.get(index)?,
                }))
            }
            Records::Spans(spans) => {
                let record = spans.get(index)?;
                let place = match record.bus() {
                    Some(bus) => Some(named_message(&self.schema, bus.message as usize)?),
                    None => None,
                };
                let id = record.id(self.header.identity, index as u32);
                let time = times.of(header, record.clock, record.start_ns, record.duration_ns);
                Some(Record::Span(Span { id, time, place, record }))
            }
            Records::Logs(logs) => {
                let log = logs.get(index)?;
                Some(Record::Log(log, times.of(header, log.clock, log.time_ns, 0)))
            }
            Records::Frames(frames) => {
                let raw = frames.get(index)?;
                let bus = self.schema.buses.get(usize::from(raw.bus))?;
                let time = times.of(header, raw.clock, raw.time_ns, 0);
                Some(Record::Frame(Frame { bus, time, raw }))
            }
            _ => None,
        }
    }
}

impl At {
    fn next_column(&mut self) {
        self.column += 1;
        (self.index, self.next) = (0, 0);
        self.rows.clear();
    }

    fn next_group(&mut self) {
        self.next_column();
        (self.group, self.column) = (self.group + 1, 0);
    }
}

impl Record<'_> {
    /// When it was taken; of a span, when it began.
    pub(super) const fn time(&self) -> &RecordTime {
        match self {
            Self::Sample(sample) => &sample.time,
            Self::Span(span) => &span.time,
            Self::Log(_, time) => time,
            Self::Frame(frame) => &frame.time,
        }
    }

    fn is_wanted(&self, filter: &Filter) -> bool {
        match self {
            Self::Sample(sample) => filter.wants(sample.time.utc_ns),
            Self::Span(span) => {
                let is_named = match span.place {
                    Some((bus, message)) => filter.on_bus(bus) && filter.named([&message.name]),
                    None => {
                        let name = span.name();
                        filter.bus.is_none() && filter.named([span.service().unwrap_or(""), name.as_ref()])
                    }
                };
                filter.wants(span.time.utc_ns) && is_named
            }
            Self::Frame(frame) => {
                filter.wants(frame.time.utc_ns)
                    && filter.on_bus(frame.bus)
                    && (filter.name.is_none() || filter.named([&frame.raw.frame.id().to_string()]))
            }
            Self::Log(log, time) => filter.wants(time.utc_ns) && filter.named([&log.service]),
        }
    }
}

/// What had to be left out of an answer.
///
/// # Errors
/// [`exit::DATA`] when something was.
pub(super) fn damage(count: u64) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    let text = format!("{count} damaged blocks, or messages of them, are left out");
    Err(Failure::new(exit::DATA, text))
}

/// The bus and the message with this index.
pub(super) fn named_message(schema: &Schema, index: usize) -> Option<(&str, &MessageSchema)> {
    let message = schema.messages.get(index)?;
    Some((schema.buses.get(message.bus)?, message))
}
