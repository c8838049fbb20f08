//! The engine: frames and log records in, sealed blocks out.

use can_decode::BootNanos;
use can_decode::observe::Observer;
use store::block::{ClockMap, LogRecord, SchemaHash, Sealer, SpanRecord};

use crate::books::{BusBooks, RecordBooks};
use crate::catalog::Catalog;
use crate::collect::{Action, Collector, Limits};
use crate::raw::RawFrames;
use crate::record::FrameRecord;
use crate::span::{self, Settings, SettingsError, Span, Tracer};
use crate::watch::Watch;

/// Why an engine did not give way to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// Frames in the queue are named by bus index; it must mean the same before and after.
    #[error("the new tables are of other buses than those that are received; restart to change the buses")]
    Buses,
    /// Its books would be lost.
    #[error("the new tables have been used before; read the files again")]
    Used,
}

/// Decodes and collects. Allocates nothing per frame once its open blocks have reached their usual size.
pub struct Engine {
    catalog: Catalog,
    collector: Collector,
    buses: Vec<BusBooks>,
    /// By bus; `None` for one that is not observed.
    watches: Vec<Option<Watch>>,
    /// By bus; none of one that is not named.
    raw: Vec<RawFrames>,
    tracer: Tracer,
}

impl Engine {
    /// For the buses of `catalog`, each with its observer, which expects what the bus's table has; `sealer` numbers the
    /// blocks of this run. A bus without an observer, or beyond the last one, is not observed.
    pub fn new(
        catalog: Catalog,
        observers: impl IntoIterator<Item = Option<Observer>>,
        sealer: Sealer,
        limits: Limits,
    ) -> Self {
        let collector = Collector::new(catalog.schema(), catalog.hash(), sealer, limits);
        let buses = vec![BusBooks::default(); catalog.buses().len()];
        let mut watches: Vec<_> =
            observers.into_iter().map(|observer| observer.map(Watch::new)).take(buses.len()).collect();
        watches.resize_with(buses.len(), || None);
        let tracer = Tracer::plain(&catalog);
        Self { catalog, collector, buses, watches, raw: Vec::new(), tracer }
    }

    /// Makes spans as `settings` say. To be called before the first frame; without it there is a span for each frame whose
    /// context, where the database has one, its sender sampled.
    ///
    /// # Errors
    /// [`SettingsError`]; then nothing has changed.
    pub fn trace(&mut self, settings: &Settings) -> Result<(), SettingsError> {
        self.tracer = Tracer::new(settings, &self.catalog)?;
        Ok(())
    }

    /// Keeps the times of samples in these steps, nanoseconds (1 to 10⁹): by bus, and in it by message of its table; that of
    /// the limits where there is `None` or nothing. To be called before the first frame.
    pub fn keep_steps<'a>(&mut self, steps: impl IntoIterator<Item = &'a [Option<i64>]>) {
        let mut by_message = vec![None; self.catalog.schema().messages.len()];
        for (bus, steps) in self.catalog.buses().iter().zip(steps) {
            let of_bus = by_message.iter_mut().skip(bus.first_message).take(bus.table.messages().len());
            of_bus.zip(steps).for_each(|(of_message, step)| *of_message = *step);
        }
        let signals = self.catalog.schema().messages.iter().map(|message| message.signals.len());
        self.collector.keep_steps(signals.zip(by_message));
    }

    /// Keeps frames raw, by bus; without it, none.
    pub fn keep_raw(&mut self, raw: impl IntoIterator<Item = RawFrames>) {
        self.raw = raw.into_iter().take(self.buses.len()).collect();
    }

    /// Takes a frame. `now` is the time of its arrival here, which ages the open blocks; the frame's own stamp may be
    /// of any time.
    pub fn frame(&mut self, record: &FrameRecord, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let bus = usize::from(record.bus.0);
        let (Some(books), Some(tables)) = (self.buses.get_mut(bus), self.catalog.buses().get(bus)) else {
            // Capture takes bus indices from the same configuration; a foreign one has no books to stand in.
            debug_assert!(false, "bus index {bus} is not configured");
            return;
        };
        let frame = &record.frame;
        let found = tables.table.find(frame.id());
        if let Some(Some(watch)) = self.watches.get_mut(bus) {
            watch.frame(record, found, now, perform);
        }
        let is_decoded = frame.is_data() && found.is_some();
        if self.raw.get(bus).is_some_and(|raw| raw.keep(is_decoded)) {
            books.raw += 1;
            self.collector.frame(record, now, perform);
        }
        if !frame.is_data() {
            books.control += 1;
            return;
        }
        let collector = &mut self.collector;
        let mut sink = |span: &Span| collector.span(span, now, perform);
        let carried = self.tracer.carry(record, now, &mut sink);
        let Some(index) = found else {
            books.unmatched += 1;
            return;
        };
        books.decoded += 1;
        let message = tables.first_message + usize::from(index.0);
        let collector = &mut self.collector;
        let sample = collector.row(message, record.stamp.ns, record.stamp.clock, now, perform);
        let decoded =
            tables.table.decode(index, frame, |signal, raw| collector.value(message, signal, raw.0));
        books.short += u64::from(decoded.short);
        let definition = tables.table.message(index);
        let traced = span::Decoded { record, message, definition, carried, sample, now };
        let error = self.tracer.decoded(&traced, &mut |span| collector.span(span, now, perform));
        books.contexts_malformed += u64::from(error.is_some());
    }

    /// Takes a span that a local service has sent, and keeps it with the others of its trace.
    pub fn span(&mut self, span: SpanRecord, now: BootNanos, perform: &mut impl FnMut(Action)) {
        if self.tracer.keeps_local(&span) {
            self.collector.span_record(span, now, perform);
        }
    }

    /// Takes a log record.
    pub fn log(&mut self, log: LogRecord, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.collector.log(log, now, perform);
    }

    /// Takes what is new in the clock map: it becomes a block, and the blocks behind it name its version.
    pub fn clock_map(&mut self, map: &ClockMap, now: BootNanos, perform: &mut impl FnMut(Action)) {
        self.collector.clock_map(map, now, perform);
    }

    /// Seals what has been open long enough. To be called a few times a second.
    pub fn tick(&mut self, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let collector = &mut self.collector;
        self.tracer.tick(now, &mut |span| collector.span(span, now, perform));
        collector.tick(now, perform);
    }

    /// Seals everything that is open.
    pub fn finish(&mut self, now: BootNanos, perform: &mut impl FnMut(Action)) {
        let collector = &mut self.collector;
        self.tracer.finish(&mut |span| collector.span(span, now, perform));
        collector.finish(now, perform);
    }

    /// Gives way to `next`, which has taken nothing yet, between two frames: what is open is sealed under its own schema,
    /// and the books go on in `next`. Its blocks are of the run that its sealer names, which must be another one. What
    /// was observed begins anew; the engine that comes back still has it.
    ///
    /// # Errors
    /// [`SwapError`]; then nothing has changed.
    pub fn swap(
        &mut self,
        mut next: Self,
        now: BootNanos,
        perform: &mut impl FnMut(Action),
    ) -> Result<Self, SwapError> {
        if next.catalog.schema().buses != self.catalog.schema().buses {
            return Err(SwapError::Buses);
        }
        let kinds = [next.samples(), next.frames(), next.spans(), next.logs()];
        if kinds.iter().any(|books| books.taken > 0) || next.buses.iter().any(|books| books.taken() > 0) {
            return Err(SwapError::Used);
        }
        self.finish(now, perform);
        next.buses.clone_from(&self.buses);
        next.collector.sample_books = self.collector.sample_books;
        next.collector.frame_books = self.collector.frame_books;
        next.collector.span_books = self.collector.span_books;
        next.collector.log_books = self.collector.log_books;
        next.collector.clock_books = self.collector.clock_books;
        next.collector.hold_clock_map(self.collector.held_clock_map());
        next.tracer.go_on(&self.tracer);
        Ok(std::mem::replace(self, next))
    }

    /// Names what its blocks refer to.
    pub const fn schema(&self) -> SchemaHash {
        self.catalog.hash()
    }

    /// What became of the frames, by bus.
    pub fn buses(&self) -> &[BusBooks] {
        &self.buses
    }

    /// What the frames said of their senders, by bus; `None` for a bus that is not observed.
    pub fn watches(&self) -> &[Option<Watch>] {
        &self.watches
    }

    /// What became of trace contexts, requests and spans before they were collected.
    pub const fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// What became of the samples.
    pub const fn samples(&self) -> RecordBooks {
        self.collector.sample_books
    }

    /// What became of the frames that are kept raw.
    pub const fn frames(&self) -> RecordBooks {
        self.collector.frame_books
    }

    /// What became of the spans.
    pub const fn spans(&self) -> RecordBooks {
        self.collector.span_books
    }

    /// What became of the log records.
    pub const fn logs(&self) -> RecordBooks {
        self.collector.log_books
    }

    /// What became of the lines of clock maps.
    pub const fn clock_maps(&self) -> RecordBooks {
        self.collector.clock_books
    }
}
