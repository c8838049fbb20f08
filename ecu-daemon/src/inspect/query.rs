//! `ecu-daemon query`: what a ring holds, by name and time.

mod question;
mod rows;
mod trace;

use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use can_decode::FrameFlags;
use ecu_core::clock::{RecordTime, Worth};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};

use super::render::{frame_kind, hex};
use super::source::{Place, Source};
use super::span_text;
use super::walk::{Frame, Record, Walk};
use crate::cli::{Failure, exit};
pub(super) use question::parse_time;
use question::parse_trace;
pub use question::{Format, Question, What};
pub(super) use rows::{Column, Field, Rows};

/// Reads the command's arguments and runs it.
///
/// # Errors
/// [`exit::USAGE`], or those of [`query`].
pub fn command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut place, mut question) = (Place::default(), Question::default());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("trace") => question.trace = Some(parse_trace(&arguments.value()?.string()?)?),
            Long("limit") => question.limit = arguments.value()?.parse()?,
            Long("format") => question.format = Format::parse(&arguments.value()?.string()?)?,
            Long(option) => {
                let option = option.to_owned();
                if !place.take(&option, &mut arguments)? && !question.filter.take(&option, &mut arguments)? {
                    return Err(Long(&option).unexpected().into());
                }
            }
            Value(what) => question.what = What::parse(&what.string()?)?,
            other @ Short(_) => return Err(other.unexpected().into()),
        }
    }
    query(&place, &question)
}

/// Prints what `question` asks of the ring at `place`.
///
/// # Errors
/// [`exit::NO_INPUT`] for a ring that cannot be opened, [`exit::IO`] for one that cannot be read to its end,
/// [`exit::DATA`] when some of its blocks are damaged; the others have been printed then.
pub fn query(place: &Place, question: &Question) -> Result<(), Failure> {
    let source = place.open()?;
    let out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    print(&source, question, out).map_err(|error| Failure::output(&error))?
}

/// Prints the answer to `out`. The outer error is `out`'s; the inner one is what is wrong with the ring, when everything
/// that could be read has been printed.
pub(super) fn print(
    source: &Rc<Source>,
    question: &Question,
    mut out: impl Write,
) -> io::Result<Result<(), Failure>> {
    if let Some(trace_id) = question.trace {
        return trace::print(source, question, trace_id, out);
    }
    let columns =
        question.what.columns().iter().map(|&(name, width)| Column { name: name.to_owned(), width });
    let rows = Rows::new(columns.collect(), question.format, &mut out)?;
    let mut walk = Walk::new(source, question.what.kind(), question.filter.clone());
    let mut left = question.limit;
    let mut ended = Ok(());
    while left > 0 {
        match walk.advance() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                ended = Err(damaged_ring(&error));
                break;
            }
        }
        let Some(record) = walk.record() else { break };
        rows.row(&fields(&record), &mut out)?;
        left -= 1;
    }
    out.flush()?;
    Ok(ended.and_then(|()| walk.damage()))
}

/// How its time was found, see [`Worth`].
fn basis(time: &RecordTime) -> Field {
    if time.worth == Worth::Unknown { Field::Absent } else { Field::Text(time.worth.name().to_owned()) }
}

/// The synchronised clock that the time rests on.
fn by(time: &RecordTime) -> Field {
    time.by.map_or(Field::Absent, |clock| Field::Text(clock.to_string()))
}

/// How far off the time may be, nanoseconds.
fn error(time: &RecordTime) -> Field {
    let error_ns = time.error_ns.map(|error_ns| i64::try_from(error_ns).unwrap_or(i64::MAX));
    error_ns.map_or(Field::Absent, Field::Integer)
}

fn damaged_ring(error: &io::Error) -> Failure {
    Failure::new(exit::IO, format!("the ring cannot be read any further: {error}"))
}

/// The fields of a record, as [`What::columns`] names them.
fn fields(record: &Record<'_>) -> Vec<Field> {
    let text = |text: &str| Field::Text(text.to_owned());
    match record {
        Record::Sample(sample) => vec![
            Field::Time(sample.time.utc_ns),
            text(sample.bus),
            text(&sample.message.name),
            text(&sample.signal.name),
            Field::Raw(sample.signal.kind, sample.raw),
            Field::Float(sample.signal.physical(sample.raw)),
            text(&sample.signal.unit),
            sample.signal.label(sample.raw).map_or(Field::Absent, text),
            text(sample.clock.name()),
            basis(&sample.time),
            by(&sample.time),
            error(&sample.time),
        ],
        Record::Span(span) => vec![
            Field::Time(span.time.utc_ns),
            span.place.map_or(Field::Absent, |(bus, _)| text(bus)),
            span.place.map_or(Field::Absent, |(_, message)| text(&message.name)),
            Field::Text(hex(&span.record.trace_id)),
            Field::Text(hex(&span.id)),
            span.record.parent_span_id.map_or(Field::Absent, |parent| Field::Text(hex(&parent))),
            Field::Integer(i64::try_from(span.record.duration_ns).unwrap_or(i64::MAX)),
            text(span.record.clock.name()),
            basis(&span.time),
            by(&span.time),
            error(&span.time),
            text(&span.name()),
            text(span.record.kind().name()),
            span.service().map_or(Field::Absent, text),
            text(span.record.status.name()),
            span.record.status.failure().map_or(Field::Absent, |failure| Field::Text(failure.to_string())),
            span_text::attributes(span).map_or(Field::Absent, Field::Json),
        ],
        Record::Frame(Frame { bus, raw, time }) => {
            let frame = &raw.frame;
            let flags = [(FrameFlags::BRS, "BRS"), (FrameFlags::ESI, "ESI")];
            let flags = flags.iter().filter(|(flag, _)| frame.flags().contains(*flag)).map(|(_, name)| *name);
            let flags = flags.collect::<Vec<_>>().join(" ");
            vec![
                Field::Time(time.utc_ns),
                text(bus),
                Field::Text(frame.id().to_string()),
                text(frame_kind(frame)),
                if flags.is_empty() { Field::Absent } else { Field::Text(flags) },
                Field::Integer(frame.len() as i64),
                Field::Text(hex(frame.data())),
                text(raw.clock.name()),
                basis(time),
                by(time),
                error(time),
            ]
        }
        Record::Log(log, time) => vec![
            Field::Time(time.utc_ns),
            text(log.severity.name()),
            text(&log.service),
            log.trace.map_or(Field::Absent, |(trace_id, _)| Field::Text(hex(&trace_id))),
            text(log.clock.name()),
            basis(time),
            by(time),
            error(time),
            text(&log.body),
        ],
    }
}
