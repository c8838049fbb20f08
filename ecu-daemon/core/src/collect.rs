//! Open blocks: records gather here until size, age or worth seals them.

use std::io;

use can_decode::{BootNanos, CanId};
use store::block::{
    Body, Class, ClockChanged, ClockMap, ClockSource, Kind, LogRecord, LogsBuilder, SampleMark,
    SamplesBuilder, Schema, SchemaHash, SealedBlock, Sealer, Severity, SpanRecord, SpansBuilder,
};

use crate::books::RecordBooks;
use crate::span::Span;
use crate::watch::Notice;

/// When open blocks are sealed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Samples and ordinary logs are sealed at most this long after their first record, nanoseconds.
    pub seal_after_ns: i64,
    /// Samples in a block at most; 8 bytes of memory each while it is open.
    pub samples_max: usize,
    /// Time resolution of samples, nanoseconds.
    pub tick_ns: i64,
}

/// The first samples of a run are sealed this soon: what follows the start of an ECU, or ends in its next power cut, is then
/// on the card within a second.
const FIRST_AFTER_NS: i64 = 250_000_000;
/// Spans wait at most this long: class 1 of the design.
const SPANS_AFTER_NS: i64 = 1_000_000_000;
/// Spans in a block at most, 300 bytes of memory each, and what local services write.
const SPANS_MAX: usize = 1024;
/// Bytes that local services may write into them; one span adds at most 70 KiB.
const SPAN_BYTES_MAX: usize = 1 << 20;
/// Log records in a block at most; with the longest texts they are 2.3 MiB, which a block holds even uncompressed.
const LOGS_MAX: usize = 256;

/// What the daemon is to do.
#[derive(Debug)]
pub enum Action {
    /// Store this block.
    Store(SealedBlock),
    /// Count and report records that could not be sealed.
    ReportLoss {
        /// What they were.
        kind: Kind,
        /// How many.
        records: u64,
        /// Why.
        error: io::Error,
    },
    /// Report this.
    Report(Notice),
}

/// The open blocks of all kinds.
pub(crate) struct Collector {
    sealer: Sealer,
    schema: SchemaHash,
    limits: Limits,
    samples: SamplesBuilder,
    /// By message: a span says only when its own is another one.
    ids: Vec<CanId>,
    spans: SpansBuilder,
    logs: LogsBuilder,
    critical: LogsBuilder,
    opened: Opened,
    pub(crate) sample_books: RecordBooks,
    pub(crate) span_books: RecordBooks,
    pub(crate) log_books: RecordBooks,
    /// Lines of clock maps.
    pub(crate) clock_books: RecordBooks,
    /// The map that holds, 0 for none.
    clock_map: u32,
}

/// When each open block got its first record.
#[derive(Default)]
struct Opened {
    samples: Option<BootNanos>,
    spans: Option<BootNanos>,
    logs: Option<BootNanos>,
}

impl Collector {
    pub(crate) fn new(schema: &Schema, hash: SchemaHash, sealer: Sealer, limits: Limits) -> Self {
        let signals = schema.messages.iter().map(|message| message.signals.len());
        Self {
            sealer,
            schema: hash,
            ids: schema.messages.iter().map(|message| message.id).collect(),
            samples: SamplesBuilder::new(signals, limits.tick_ns),
            limits,
            spans: SpansBuilder::default(),
            logs: LogsBuilder::default(),
            critical: LogsBuilder::default(),
            opened: Opened::default(),
            sample_books: RecordBooks::default(),
            span_books: RecordBooks::default(),
            log_books: RecordBooks::default(),
            clock_books: RecordBooks::default(),
            clock_map: 0,
        }
    }

    /// Starts a row of samples; the block before it is sealed first when the row cannot join it. Where its samples will
    /// be.
    pub(crate) fn row(
        &mut self,
        message: usize,
        time_ns: i64,
        clock: ClockSource,
        now: BootNanos,
        perform: &mut impl FnMut(Action),
    ) -> Option<SampleMark> {
        // A row without values takes memory, too: messages without signals, or cut off before the first one.
        let full = self.samples.samples().max(self.samples.rows()) >= self.limits.samples_max;
        let mut row = if full { Err(ClockChanged) } else { self.samples.row(message, time_ns, clock) };
        if row.is_err() {
            self.seal_samples(now, perform);
            // An empty block takes any row.
            row = self.samples.row(message, time_ns, clock);
        }
        self.opened.samples.get_or_insert(now);
        row.ok()
    }

    /// A value of the row started last.
    pub(crate) fn value(&mut self, message: usize, signal: usize, raw: u64) {
        self.samples.value(message, signal, raw);
        self.sample_books.taken += 1;
    }

    /// A span of a bus.
    pub(crate) fn span(&mut self, span: &Span, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let expected = self.ids.get(span.message as usize).copied();
        self.span_record(span.record(expected), now, perform);
    }

    /// A span of a bus or of a local service.
    pub(crate) fn span_record(&mut self, span: SpanRecord, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.spans.push(span);
        self.span_books.taken += 1;
        self.opened.spans.get_or_insert(now);
        if self.spans.len() >= SPANS_MAX || self.spans.local_bytes() >= SPAN_BYTES_MAX {
            self.seal_spans(now, perform);
        }
    }

    pub(crate) fn log(&mut self, log: LogRecord, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.log_books.taken += 1;
        if log.severity >= Severity::ERROR {
            // Worth most and wanted at once: a block of its own, which the writer syncs without waiting.
            self.critical.push(log);
            self.seal_logs(Class::Critical, now, perform);
            return;
        }
        self.logs.push(log);
        self.opened.logs.get_or_insert(now);
        if self.logs.len() >= LOGS_MAX {
            self.seal_logs(Class::Logs, now, perform);
        }
    }

    /// Seals a clock map; the blocks behind it name it.
    pub(crate) fn clock_map(&mut self, map: &ClockMap, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let count = map.segments.len() as u32;
        self.clock_books.taken += u64::from(count);
        if let Err(error) = map.encode(&mut self.sealer.body) {
            self.clock_books.failed += u64::from(count);
            let error = io::Error::other(error);
            return perform(Action::ReportLoss { kind: Kind::ClockMap, records: count.into(), error });
        }
        self.hold_clock_map(map.id);
        // A map is of all times of its boot: by its own it is never the one that a query leaves out, or that expires.
        let body = self.body(Kind::ClockMap, Class::Traces, count, (0, 0), now);
        let body = Body { schema: SchemaHash::default(), ..body };
        seal(&mut self.sealer, body, &mut self.clock_books, perform);
    }

    /// Blocks name this map from here on.
    pub(crate) const fn hold_clock_map(&mut self, id: u32) {
        self.clock_map = id;
        self.sealer.set_clock_map(id);
    }

    /// The map that holds, 0 for none.
    pub(crate) const fn held_clock_map(&self) -> u32 {
        self.clock_map
    }

    /// Seals what is old enough.
    pub(crate) fn tick(&mut self, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let due = |opened: Option<BootNanos>, after| opened.is_some_and(|opened| now.since(opened) >= after);
        let is_first = self.sample_books.sealed == 0;
        let samples_after = if is_first { FIRST_AFTER_NS } else { i64::MAX }.min(self.limits.seal_after_ns);
        if due(self.opened.samples, samples_after) {
            self.seal_samples(now, perform);
        }
        if due(self.opened.spans, SPANS_AFTER_NS) {
            self.seal_spans(now, perform);
        }
        if due(self.opened.logs, self.limits.seal_after_ns) {
            self.seal_logs(Class::Logs, now, perform);
        }
    }

    /// Seals everything: the daemon stops.
    pub(crate) fn finish(&mut self, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.seal_samples(now, perform);
        self.seal_spans(now, perform);
        self.seal_logs(Class::Logs, now, perform);
    }

    fn seal_samples(&mut self, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.opened.samples = None;
        let Some(span_ns) = self.samples.span_ns() else { return };
        let count = self.samples.samples() as u32;
        self.samples.encode(&mut self.sealer.body);
        if count == 0 {
            // Rows whose frames were too short for any signal: nothing to keep, the frames stand in the books.
            self.sealer.body.clear();
            return;
        }
        let body = self.body(Kind::Samples, Class::Live, count, span_ns, now);
        seal(&mut self.sealer, body, &mut self.sample_books, perform);
    }

    fn seal_spans(&mut self, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.opened.spans = None;
        let Some(span_ns) = self.spans.span_ns() else { return };
        let count = self.spans.len() as u32;
        self.spans.encode(&mut self.sealer.body);
        let body = self.body(Kind::Spans, Class::Traces, count, span_ns, now);
        seal(&mut self.sealer, body, &mut self.span_books, perform);
    }

    fn seal_logs(&mut self, class: Class, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let builder = if class == Class::Critical { &mut self.critical } else { &mut self.logs };
        if class != Class::Critical {
            self.opened.logs = None;
        }
        let Some(span_ns) = builder.span_ns() else { return };
        let count = builder.len() as u32;
        builder.encode(&mut self.sealer.body);
        let body =
            Body { schema: SchemaHash::default(), ..self.body(Kind::Logs, class, count, span_ns, now) };
        seal(&mut self.sealer, body, &mut self.log_books, perform);
    }

    const fn body(&self, kind: Kind, class: Class, count: u32, span_ns: (i64, i64), now: BootNanos) -> Body {
        Body { kind, class, schema: self.schema, count, span_ns, sealed_boot_ns: now.0 }
    }
}

fn seal(sealer: &mut Sealer, body: Body, books: &mut RecordBooks, perform: &mut impl FnMut(Action)) {
    let records = u64::from(body.count);
    match sealer.seal(body) {
        Ok(block) => {
            books.sealed += records;
            perform(Action::Store(block));
        }
        Err(error) => {
            books.failed += records;
            perform(Action::ReportLoss { kind: body.kind, records, error });
        }
    }
}
