//! Records as JSON lines.
//!
//! A record is identified by `vehicle`, `boot`, `run`, `sequence` and `row`, its index within the block: a line that
//! comes twice after a restart has the same identity both times.

mod spans;

use std::io::{self, Write};

use can_decode::FrameFlags;
use serde::Serialize;
use store::block::{LogRecord, RawFrame, SignalSchema};

use self::spans::SpanLine;
use super::hex;
use crate::opened::{Content, Opened};
use crate::times::Note;

/// Lines collected before they are written, bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes lines; whoever reads them may take his time without holding up the runtime.
pub(super) struct Printer {
    /// Away while it writes.
    writer: Option<Box<dyn Write + Send>>,
    buffer: Vec<u8>,
}

impl Printer {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self { writer: Some(writer), buffer: Vec::new() }
    }

    /// Adds the lines of a block.
    pub(super) async fn put(&mut self, block: &Opened) -> io::Result<()> {
        match &block.content {
            Content::Samples(samples) => {
                let mut row = 0;
                for series in samples.series() {
                    for (at, raw) in series.values() {
                        let signal = &series.names.signal;
                        let line = SampleLine {
                            time_unix_nano: series.group.times_ns[at],
                            bus: &series.message.bus,
                            message: &series.message.name,
                            signal: &signal.name,
                            raw: number(signal, raw),
                            value: signal.physical(raw),
                            unit: &signal.unit,
                            label: signal.label(raw),
                            clock: series.group.clock.name(),
                            time: TimeFields::of(series.note(at)),
                        };
                        self.line("sample", block, row, &line).await?;
                        row += 1;
                    }
                }
            }
            Content::Spans(spans) => {
                for (row, span) in (0..).zip(spans.records()) {
                    let message = span.bus().and_then(|bus| spans.message(bus));
                    let id = span.id(block.header.identity, row);
                    let Some(line) = SpanLine::new(span, id, message, block.note(row as usize)) else {
                        continue;
                    };
                    self.line("span", block, row, &line).await?;
                }
            }
            Content::Frames(frames) => {
                for (row, (bus, raw)) in (0..).zip(frames.records()) {
                    let line = FrameLine::new(bus, &raw, block.note(row as usize));
                    self.line("frame", block, row, &line).await?;
                }
            }
            Content::Logs(logs) => {
                for (row, log) in (0..).zip(logs) {
                    self.line("log", block, row, &LogLine::new(log, block.note(row as usize))).await?;
                }
            }
        }
        Ok(())
    }

    async fn line<T: Serialize>(
        &mut self,
        kind: &'static str,
        block: &Opened,
        row: u32,
        rest: &T,
    ) -> io::Result<()> {
        let identity = block.header.identity;
        let line = Line {
            kind,
            vehicle: block.vehicle.as_str(),
            boot: identity.boot.to_string(),
            run: identity.run,
            sequence: identity.sequence,
            row,
            rest,
        };
        serde_json::to_writer(&mut self.buffer, &line)?;
        self.buffer.push(b'\n');
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.flush().await }
    }

    /// Writes what was put; the operating system has it when this returns.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut writer =
            self.writer.take().ok_or_else(|| io::Error::other("an earlier line could not be written"))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = tokio::task::spawn_blocking(move || {
            let result = writer.write_all(&buffer).and_then(|()| writer.flush());
            buffer.clear();
            (result, writer, buffer)
        });
        let (result, writer, buffer) = written.await.map_err(io::Error::other)?;
        (self.writer, self.buffer) = (Some(writer), buffer);
        result
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    vehicle: &'a str,
    boot: String,
    run: u64,
    sequence: u64,
    row: u32,
    #[serde(flatten)]
    rest: &'a T,
}

#[derive(Serialize)]
struct SampleLine<'a> {
    time_unix_nano: i64,
    bus: &'a str,
    message: &'a str,
    signal: &'a str,
    raw: Number,
    /// Not a number and infinite ones become null, as JSON has no words for them.
    value: f64,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    clock: &'static str,
    #[serde(flatten)]
    time: TimeFields,
}

/// How a time was found and how wrong it may be; nothing where nothing is known of its clock.
#[derive(Serialize)]
struct TimeFields {
    #[serde(rename = "time_basis", skip_serializing_if = "Option::is_none")]
    basis: Option<&'static str>,
    #[serde(rename = "time_clock", skip_serializing_if = "Option::is_none")]
    clock: Option<String>,
    #[serde(rename = "time_error_nano", skip_serializing_if = "Option::is_none")]
    error: Option<u64>,
}

impl TimeFields {
    fn of(note: Note) -> Self {
        Self { basis: note.basis(), clock: note.by.map(|clock| clock.to_string()), error: note.error_ns }
    }
}

/// A raw value: integers exactly, floats as the number they stand for.
#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

fn number(signal: &SignalSchema, raw: u64) -> Number {
    use can_decode::{Raw, ValueKind};
    match signal.kind {
        ValueKind::Unsigned => Number::Unsigned(raw),
        ValueKind::Signed => Number::Signed(raw as i64),
        ValueKind::F32 | ValueKind::F64 => Number::Float(signal.kind.number(Raw(raw))),
    }
}

#[derive(Serialize)]
struct LogLine<'a> {
    time_unix_nano: i64,
    severity: &'static str,
    severity_number: u8,
    service: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    clock: &'static str,
    #[serde(flatten)]
    time: TimeFields,
}

impl<'a> LogLine<'a> {
    fn new(log: &'a LogRecord, note: Note) -> Self {
        Self {
            time_unix_nano: log.time_ns,
            severity: log.severity.name(),
            severity_number: log.severity.number(),
            service: &log.service,
            body: &log.body,
            trace_id: log.trace.map(|(trace, _)| hex(&trace)),
            span_id: log.trace.map(|(_, span)| hex(&span)),
            clock: log.clock.name(),
            time: TimeFields::of(note),
        }
    }
}

/// A frame as it was on the bus.
#[derive(Serialize)]
struct FrameLine<'a> {
    time_unix_nano: i64,
    bus: &'a str,
    id: u32,
    extended: bool,
    /// Of fd, brs, esi, remote and error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
    length: usize,
    data: String,
    clock: &'static str,
    #[serde(flatten)]
    time: TimeFields,
}

impl<'a> FrameLine<'a> {
    fn new(bus: &'a str, raw: &RawFrame, note: Note) -> Self {
        let named = FRAME_FLAGS.iter().filter(|(flag, _)| raw.frame.flags().contains(*flag));
        Self {
            time_unix_nano: raw.time_ns,
            bus,
            id: raw.frame.id().raw(),
            extended: raw.frame.id().is_extended(),
            flags: named.map(|(_, name)| *name).collect(),
            length: raw.frame.len(),
            data: hex(raw.frame.data()),
            clock: raw.clock.name(),
            time: TimeFields::of(note),
        }
    }
}

const FRAME_FLAGS: [(FrameFlags, &str); 5] = [
    (FrameFlags::FD, "fd"),
    (FrameFlags::BRS, "brs"),
    (FrameFlags::ESI, "esi"),
    (FrameFlags::REMOTE, "remote"),
    (FrameFlags::ERROR, "error"),
];

#[cfg(test)]
mod tests;
