//! `ecu-daemon query`: what a ring holds, by name and time.

mod question;
mod rows;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use can_decode::ValueKind;
use store::block::{MessageSchema, Records, Samples, Schema, SchemaHash, open, span_id};
use store::ring::{RingError, RingReader, StoredBlock};

use super::glob;
use super::render::hex;
use crate::cli::{Failure, exit};
pub use question::{Format, Question, What, parse_time};
use rows::{Field, Rows};

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
    let rows = Rows::new(question.what, question.format, out).map_err(|error| Failure::output(&error))?;
    let mut answer = Answer { question, rows, left: question.limit, schemas: BTreeMap::new(), damaged: 0 };
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
    answer.rows.flush().map_err(|error| Failure::output(&error))?;
    if answer.damaged > 0 {
        let text =
            format!("{} blocks of {} could not be read and are left out", answer.damaged, path.display());
        return Err(Failure::new(exit::DATA, text));
    }
    Ok(())
}

struct Answer<'a, W> {
    question: &'a Question,
    rows: Rows<W>,
    left: u64,
    schemas: BTreeMap<SchemaHash, Option<Schema>>,
    damaged: u64,
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
                    let row = [
                        Field::Time(log.time_ns),
                        severity,
                        Field::Text(log.service),
                        trace,
                        Field::Text(log.body),
                    ];
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
                let Some((bus, message)) = named_message(&schema, span.message as usize) else {
                    return Ok(());
                };
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
                    Field::Raw(ValueKind::Unsigned, span.duration_ns),
                    Field::Text(span.clock.name().to_owned()),
                ])
            }),
            // A question is about one kind, which the ring's index knows.
            _ => Ok(()),
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
                eprintln!(
                    "block {block}: it names a message that its schema does not have; the message is left out"
                );
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
                    let label =
                        signal.label(raw).map_or(Field::Absent, |label| Field::Text(label.to_owned()));
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
        self.question
            .name
            .as_deref()
            .is_none_or(|pattern| names.iter().any(|name| glob::matches(pattern, name)))
    }

    fn row(&mut self, fields: &[Field]) -> io::Result<()> {
        self.left -= 1;
        self.rows.row(fields)
    }
}

fn named_message(schema: &Schema, index: usize) -> Option<(&str, &MessageSchema)> {
    let message = schema.messages.get(index)?;
    Some((schema.buses.get(message.bus)?, message))
}
