//! The engine thread: feeds the engine from the queues and hands its blocks to the writer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use can_decode::BootNanos;
use can_decode::observe::ConflictSigns;
use ecu_core::engine::SwapError;
use ecu_core::{Action, Engine, FrameRecord, Notice, Suspicion};
use heapless::spsc::Consumer;
use store::block::{ClockMap, Kind, LogRecord, SpanRecord};
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::clock;
use crate::diagnostics::Diagnostics;
use crate::inbox::Inbox;
use crate::status::{BusObserved, Names, Status};
use crate::stop::Stop;

/// Frames taken between two looks at the clock.
const FRAMES_PER_LOOK: usize = 256;
/// Log records, and spans of local services, taken between two rounds of frames.
const LOGS_PER_ROUND: usize = 64;
/// The longest sleep: open blocks are looked at this often.
const WAIT_MAX: Duration = Duration::from_millis(50);
/// How often the status is written, at most.
const TELL_EVERY_NS: i64 = 100_000_000;

/// How often what was observed is copied for /metrics, at most.
const OBSERVED_EVERY_NS: i64 = 1_000_000_000;

/// Other tables for the running engine.
pub struct Swap {
    /// What is to go on.
    pub engine: Engine,
    /// By bus, as in [`EngineThread::by_message`].
    pub by_message: Vec<bool>,
    /// Of its messages.
    pub names: Names,
    /// Gets what it replaced, to be freed elsewhere.
    pub done: oneshot::Sender<Result<Engine, SwapError>>,
}

/// The thread's ends of the channels.
pub struct EngineThread<'a> {
    /// Frames from capture.
    pub frames: Consumer<'a, FrameRecord>,
    /// Log records from the log socket and from the intake.
    pub logs: Receiver<LogRecord>,
    /// Spans of local services from the intake.
    pub spans: Receiver<SpanRecord>,
    /// What is new in the clock map.
    pub clock_maps: Receiver<ClockMap>,
    /// Other tables.
    pub swaps: Receiver<Swap>,
    /// Blocks to the writer.
    pub inbox: &'a Inbox,
    /// Whether all sources can wait for the card.
    pub patient: bool,
    /// By bus, whether what was observed of its identifiers is told.
    pub by_message: Vec<bool>,
    /// Counts diagnostic messages.
    pub diagnostics: Diagnostics,
    /// What the others may know.
    pub status: &'a Status,
    /// Set when capture has ended: what is queued then is all there is.
    pub captured: Arc<Stop>,
}

impl EngineThread<'_> {
    /// Runs until capture, the log socket and the intake have ended and everything is sealed.
    pub fn run(mut self, mut engine: Engine) {
        let (mut told_at, mut observed_at) = (BootNanos(i64::MIN), BootNanos(i64::MIN));
        loop {
            // Asked before the queues are emptied: what was sent before capture ended is then surely seen.
            let last = self.captured.is_set();
            let mut now = clock::boot();
            if let Ok(swap) = self.swaps.try_recv() {
                self.swap(&mut engine, swap, now);
            }
            self.take_clock_map(&mut engine, now);
            let mut frames = 0;
            while let Some(record) = self.frames.dequeue() {
                engine.frame(&record, now, &mut |action| self.perform(action));
                self.diagnostics.frame(&record);
                frames += 1;
                if frames % FRAMES_PER_LOOK == 0 {
                    now = clock::boot();
                    engine.tick(now, &mut |action| self.perform(action));
                }
                if frames % (16 * FRAMES_PER_LOOK) == 0 {
                    break;
                }
            }
            let (logs, logs_open) = take(&self.logs, |log| {
                engine.log(log, now, &mut |action| self.perform(action));
            });
            let (spans, spans_open) = take(&self.spans, |span| {
                engine.span(span, now, &mut |action| self.perform(action));
            });
            engine.tick(now, &mut |action| self.perform(action));
            let idle = frames == 0 && logs == 0 && spans == 0;
            if idle && last && !logs_open && !spans_open {
                break;
            }
            if now.0.saturating_sub(told_at.0) >= TELL_EVERY_NS {
                self.tell(&engine);
                told_at = now;
            }
            if now.0.saturating_sub(observed_at.0) >= OBSERVED_EVERY_NS {
                self.tell_observed(&engine, now);
                observed_at = now;
            }
            if idle {
                std::thread::park_timeout(WAIT_MAX);
            }
        }
        // The last one came before its sender hung up the log channel, maybe after the last look.
        self.take_clock_map(&mut engine, clock::boot());
        engine.finish(clock::boot(), &mut |action| self.perform(action));
        self.tell(&engine);
        self.tell_observed(&engine, clock::boot());
        self.inbox.finish();
    }

    fn take_clock_map(&self, engine: &mut Engine, now: BootNanos) {
        while let Ok(map) = self.clock_maps.try_recv() {
            engine.clock_map(&map, now, &mut |action| self.perform(action));
        }
    }

    fn swap(&mut self, engine: &mut Engine, swap: Swap, now: BootNanos) {
        let Swap { engine: next, by_message, names, done } = swap;
        let replaced = engine.swap(next, now, &mut |action| self.perform(action));
        if let Ok(before) = &replaced {
            self.by_message = by_message;
            // Under one lock with the first look at the new observers: /metrics must not count twice what has passed on.
            let mut observed = self.status.observed();
            *self.status.names() = names;
            self.status.observed_before().add(before.watches());
            self.update_observed(engine, &mut observed, now);
        }
        // Nobody waits for it while the service stops.
        let _ = done.send(replaced);
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Store(block) => {
                let mut status = self.status.engine();
                let len = block.bytes().len() as u64;
                status.blocks += 1;
                status.block_bytes += len;
                if block.header().kind == Kind::Samples {
                    status.sample_bytes += len;
                }
                drop(status);
                self.inbox.push(block, self.patient);
                self.status.store().count_unstored(self.inbox);
            }
            Action::Report(notice) => self.report(&notice),
            Action::ReportLoss { kind, records, error } => {
                error!(?kind, records, %error, "records lost: their block could not be sealed");
            }
        }
    }

    /// One line for what a bus shows for the first time.
    fn report(&self, notice: &Notice) {
        let bus = self.status.bus_names.get(usize::from(notice.bus.0)).map_or("", |name| name);
        let names = self.status.names();
        let name = notice.message.map_or("", |index| names.of(usize::from(notice.bus.0), index));
        let (id, time_ns, is_last) = (notice.id, notice.stamp.ns, notice.is_last);
        match notice.suspicion {
            Suspicion::Conflict(signs) => {
                let has = |sign| signs.contains(sign);
                let (counters, timing, shapes) =
                    (has(ConflictSigns::COUNTERS), has(ConflictSigns::TIMING), has(ConflictSigns::SHAPES));
                warn!(bus, name, %id, time_ns, counters, timing, shapes, "two senders share an identifier");
            }
            Suspicion::CycleDiffers { declared_ns, seen_ns } => {
                let (declared, seen) = (Duration::from_nanos(declared_ns), Duration::from_nanos(seen_ns));
                warn!(bus, name, %id, time_ns, ?declared, ?seen, "a message does not keep its declared cycle");
            }
            Suspicion::E2e(status) => {
                let status = status.name();
                warn!(bus, name, %id, time_ns, status, "end-to-end protection does not hold");
            }
        }
        if is_last {
            warn!(bus, "further ones of this kind are counted in /metrics and not reported");
        }
    }

    fn tell_observed(&self, engine: &Engine, now: BootNanos) {
        self.update_observed(engine, &mut self.status.observed(), now);
        let mut diagnostics = self.status.diagnostics();
        diagnostics.clear();
        diagnostics.extend(self.diagnostics.counts());
    }

    fn update_observed(&self, engine: &Engine, observed: &mut [BusObserved], now: BootNanos) {
        let watches = engine.watches().iter().zip(&self.by_message);
        for (observed, (watch, by_message)) in observed.iter_mut().zip(watches) {
            observed.update(watch.as_ref(), *by_message, now);
        }
        self.status.observed_before().raise(observed);
    }

    fn tell(&self, engine: &Engine) {
        let mut status = self.status.engine();
        status.buses.clear();
        status.buses.extend_from_slice(engine.buses());
        status.samples = engine.samples();
        status.frames = engine.frames();
        status.spans = engine.spans();
        status.logs = engine.logs();
        status.clock_maps = engine.clock_maps();
        drop(status);
        self.status.trace().update(engine.tracer(), engine.buses().len());
    }
}

/// Takes what is there, as far as one round goes; how many, and whether more can come.
fn take<T>(records: &Receiver<T>, mut each: impl FnMut(T)) -> (usize, bool) {
    for taken in 0..LOGS_PER_ROUND {
        match records.try_recv() {
            Ok(record) => each(record),
            Err(TryRecvError::Empty) => return (taken, true),
            Err(TryRecvError::Disconnected) => return (taken, false),
        }
    }
    (LOGS_PER_ROUND, true)
}
