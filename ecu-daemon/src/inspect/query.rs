//! `ecu-daemon query`: what a ring holds, by name and time.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use store::block::{Kind, MessageSchema, Records, Samples, Schema, SchemaHash, open, span_id};
use store::ring::{RingError, RingReader, StoredBlock};

use super::glob;
use super::render::{hex, json_float, json_text, raw_integer};
use crate::cli::{Failure, exit};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which records.
    pub what: What,
    /// `MESSAGE.SIGNAL`, a message, a signal, or a log's service, with `*` and `?`.
    pub name: Option<String>,
    /// A bus.
    pub bus: Option<String>,
    /// Earliest time, nanoseconds since 1970.
    pub from_ns: i64,
    /// Latest time.
    pub to_ns: i64,
    /// Most records printed.
    pub limit: u64,
    /// How they are printed.
    pub format: Format,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            what: What::Signals,
            name: None,
            bus: None,
            from_ns: i64::MIN,
            to_ns: i64::MAX,
            limit: u64::MAX,
            format: Format::Table,
        }
    }
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Signal samples.
    Signals,
    /// Spans.
    Spans,
    /// Log records.
    Logs,
}

/// Manners of printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    Table,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object a line.
    Json,
}

impl What {
    /// From its name on the command line.
    ///
    /// # Errors
    /// [`exit::USAGE`]
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "signals" => Ok(Self::Signals),
            "spans" => Ok(Self::Spans),
            "logs" => Ok(Self::Logs),
            _ => Err(Failure::new(exit::USAGE, format!("{text:?} is not signals, spans or logs"))),
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Signals => Kind::Samples,
            Self::Spans => Kind::Spans,
            Self::Logs => Kind::Logs,
        }
    }

    const fn columns(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Signals => {
                &[("time", 30), ("bus", 8), ("message", 24), ("signal", 24), ("raw", 12), ("value", 14), ("unit", 8),
                  ("label", 16), ("clock", 0)]
            }
            Self::Spans => {
                &[("time", 30), ("bus", 8), ("message", 24), ("trace_id", 32), ("span_id", 16), ("parent_span_id", 16),
                  ("duration_ns", 12), ("clock", 0)]
            }
            Self::Logs => &[("time", 30), ("severity", 8), ("service", 16), ("trace_id", 32), ("body", 0)],
        }
    }
}

impl Format {
    /// From its name on the command line.
    ///
    /// # Errors
    /// [`exit::USAGE`]
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err(Failure::new(exit::USAGE, format!("--format {text:?} is not table, csv or json"))),
        }
    }
}

/// A time as RFC 3339, or as seconds since 1970.
///
/// # Errors
/// [`exit::USAGE`]
pub fn parse_time(text: &str) -> Result<i64, Failure> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() < 9.2e9);
    let stamp = || {
        let time = humantime::parse_rfc3339_weak(text).ok()?;
        i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
    };
    seconds.map(|seconds| (seconds * 1e9) as i64).or_else(stamp).ok_or_else(|| {
        Failure::new(exit::USAGE, format!("{text:?} is not a time such as 2026-11-20T13:00:00Z or 1763640000.5"))
    })
}

/// Prints what `question` asks of the ring at `path`.
///
/// # Errors
/// [`exit::NO_INPUT`] for a ring that cannot be opened, [`exit::DATA`] when some of its blocks are damaged; the others
/// have been printed then.
pub fn query(path: &Path, question: &Question) -> Result<(), Failure> {
    let refused = |error: RingError| {
        let hint = if matches!(error, RingError::Busy(_)) {
            "; a running service owns its ring: stop it, or query a copy of the file and its -wal"
        } else {
            ""
        };
        Failure::new(exit::NO_INPUT, format!("{error}{hint}"))
    };
    let ring = RingReader::open(path).map_err(refused)?;
    let out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut answer = Answer { question, out, left: question.limit, schemas: BTreeMap::new(), damaged: 0 };
    answer.head().map_err(|error| Failure::output(&error))?;
    let mut failed = None;
    ring.blocks(question.what.kind(), question.from_ns, question.to_ns, |block| {
        match answer.block(&ring, &block) {
            Ok(()) => answer.left > 0,
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    })
    .map_err(refused)?;
    if let Some(error) = failed {
        return Err(Failure::output(&error));
    }
    answer.out.flush().map_err(|error| Failure::output(&error))?;
    if answer.damaged > 0 {
        let text = format!("{} blocks of {} could not be read and are left out", answer.damaged, path.display());
        return Err(Failure::new(exit::DATA, text));
    }
    Ok(())
}

struct Answer<'a, W> {
    question: &'a Question,
    out: W,
    left: u64,
    schemas: BTreeMap<SchemaHash, Option<Schema>>,
    damaged: u64,
}

/// A field of a row.
enum Field {
    Time(i64),
    Text(String),
    Raw(can_decode::ValueKind, u64),
    Float(f64),
    Absent,
}

impl<W: Write> Answer<'_, W> {
    fn block(&mut self, ring: &RingReader, block: &StoredBlock) -> io::Result<()> {
        let (header, records) = match open(&block.bytes) {
            Ok(opened) => opened,
            Err(error) => {
                eprintln!("block {}: {error}; it is left out", block.id);
                self.damaged += 1;
                return Ok(());
            }
        };
        if let Records::Logs(logs) = records {
            for log in logs {
                let trace = log.trace.map_or(Field::Absent, |(trace_id, _)| Field::Text(hex(&trace_id)));
                let severity = Field::Text(log.severity.name().to_owned());
                if self.wants(log.time_ns) && self.named(&[&log.service]) {
                    let row = [Field::Time(log.time_ns), severity, Field::Text(log.service), trace, Field::Text(log.body)];
                    self.row(&row)?;
                }
            }
            return Ok(());
        }
        let Some(schema) = self.take_schema(ring, header.schema) else {
            eprintln!("block {}: its schema {} is not in the ring; it is left out", block.id, header.schema);
            self.damaged += 1;
            return Ok(());
        };
        let result = match records {
            Records::Samples(samples) => self.samples(&schema, &samples, block.id),
            Records::Spans(spans) => spans.iter().enumerate().try_for_each(|(row, span)| {
                let Some((bus, message)) = named_message(&schema, span.message as usize) else { return Ok(()) };
                if !self.wants(span.start_ns) || !self.on_bus(bus) || !self.named(&[&message.name]) {
                    return Ok(());
                }
                self.row(&[
                    Field::Time(span.start_ns),
                    Field::Text(bus.to_owned()),
                    Field::Text(message.name.clone()),
                    Field::Text(hex(&span.trace_id)),
                    Field::Text(hex(&span_id(header.identity, row as u32))),
                    Field::Text(hex(&span.parent_span_id)),
                    Field::Raw(can_decode::ValueKind::Unsigned, span.duration_ns),
                    Field::Text(span.clock.name().to_owned()),
                ])
            }),
            Records::Logs(_) | Records::Schema(..) => Ok(()),
        };
        self.schemas.insert(header.schema, Some(schema));
        result
    }

    /// Borrowing it while rows are printed would borrow all of `self`; it is put back afterwards.
    fn take_schema(&mut self, ring: &RingReader, hash: SchemaHash) -> Option<Schema> {
        if let Some(known) = self.schemas.get_mut(&hash) {
            return known.take();
        }
        match ring.schema(hash) {
            Ok(schema) => schema,
            Err(error) => {
                eprintln!("{error}");
                None
            }
        }
    }

    fn samples(&mut self, schema: &Schema, samples: &Samples, block: i64) -> io::Result<()> {
        for group in &samples.groups {
            let Some((bus, message)) = named_message(schema, group.message) else {
                eprintln!("block {block}: it names a message that its schema does not have; the message is left out");
                self.damaged += 1;
                continue;
            };
            if !self.on_bus(bus) {
                continue;
            }
            for column in &group.columns {
                let Some(signal) = message.signals.get(column.signal) else { continue };
                if !self.named(&[&format!("{}.{}", message.name, signal.name), &message.name, &signal.name]) {
                    continue;
                }
                for (row, &raw) in column.rows.iter().zip(&column.values) {
                    let time_ns = group.times_ns[row];
                    if !self.wants(time_ns) {
                        continue;
                    }
                    let label = signal.label(raw).map_or(Field::Absent, |label| Field::Text(label.to_owned()));
                    self.row(&[
                        Field::Time(time_ns),
                        Field::Text(bus.to_owned()),
                        Field::Text(message.name.clone()),
                        Field::Text(signal.name.clone()),
                        Field::Raw(signal.kind, raw),
                        Field::Float(signal.physical(raw)),
                        Field::Text(signal.unit.clone()),
                        label,
                        Field::Text(group.clock.name().to_owned()),
                    ])?;
                }
            }
        }
        Ok(())
    }

    const fn wants(&self, time_ns: i64) -> bool {
        self.left > 0 && time_ns >= self.question.from_ns && time_ns <= self.question.to_ns
    }

    fn on_bus(&self, bus: &str) -> bool {
        self.question.bus.as_deref().is_none_or(|wanted| wanted == bus)
    }

    fn named(&self, names: &[&str]) -> bool {
        self.question.name.as_deref().is_none_or(|pattern| names.iter().any(|name| glob::matches(pattern, name)))
    }

    fn head(&mut self) -> io::Result<()> {
        let columns = self.question.what.columns();
        match self.question.format {
            Format::Json => Ok(()),
            Format::Csv => {
                let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
                write!(self.out, "{}\r\n", names.join(","))
            }
            Format::Table => {
                for (name, width) in columns {
                    write!(self.out, "{name:width$} ")?;
                }
                writeln!(self.out)
            }
        }
    }

    fn row(&mut self, fields: &[Field]) -> io::Result<()> {
        self.left -= 1;
        let columns = self.question.what.columns();
        let out = &mut self.out;
        match self.question.format {
            Format::Json => {
                let mut separator = "{";
                for ((name, _), field) in columns.iter().zip(fields) {
                    if matches!(field, Field::Absent) {
                        continue;
                    }
                    // Nanoseconds as an integer: a time's text would have to be parsed again by every reader.
                    let name = if *name == "time" { "time_unix_nano" } else { name };
                    write!(out, "{separator}\"{name}\":")?;
                    field.json(out)?;
                    separator = ",";
                }
                out.write_all(b"}\n")
            }
            Format::Csv => {
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        out.write_all(b",")?;
                    }
                    out.write_all(csv(&field.text()).as_bytes())?;
                }
                out.write_all(b"\r\n")
            }
            Format::Table => {
                for ((_, width), field) in columns.iter().zip(fields) {
                    write!(out, "{:width$} ", field.text())?;
                }
                writeln!(out)
            }
        }
    }
}

fn named_message(schema: &Schema, index: usize) -> Option<(&str, &MessageSchema)> {
    let message = schema.messages.get(index)?;
    Some((schema.buses.get(message.bus)?, message))
}

/// A field as RFC 4180 wants it.
fn csv(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

impl Field {
    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Time(ns) => write!(out, "{ns}"),
            Self::Text(text) => json_text(out, text),
            Self::Raw(kind, raw) => raw_integer(out, *kind, *raw),
            Self::Float(value) => json_float(out, *value),
            Self::Absent => out.write_all(b"null"),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Time(ns) => match u64::try_from(*ns) {
                Ok(ns) => humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(ns)).to_string(),
                Err(_) => format!("{ns} ns"),
            },
            Self::Text(text) => text.clone(),
            Self::Raw(can_decode::ValueKind::Signed, raw) => (*raw as i64).to_string(),
            Self::Raw(_, raw) => raw.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Absent => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for text in ["2018-08-02T09:14:47Z", "2018-08-02 09:14:47", "1533201287", "1533201287.0"] {
            assert_eq!(parse_time(text).ok(), Some(1_533_201_287_000_000_000), "{text}");
        }
        for text in ["yesterday", "", "1e30"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        assert_eq!(csv("plain"), "plain");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
