//! The service: its threads, and what they hand to each other, in the order of the flow.
//!
//! ```text
//! capture   all buses            ──frames, bounded SPSC of QUEUE_FRAMES──▶ engine
//! time      a reading a second   ──the clock map, shared───────────────────▶ capture
//!           ──what is new in it, channel of one; events, with the log socket's ▶ engine
//! async     log socket           ──records, bounded channel of QUEUE_LOGS─▶ engine
//! async     OTLP intake          ──the same, and spans, of QUEUE_SPANS────▶ engine
//! engine    decode, collect, seal ──blocks, Inbox bounded in bytes────────▶ writer
//! writer    the ring's only owner ──leases, one request at a time────────▶ async
//! async     uplink               ──acknowledgements──────────────────────▶ writer
//! async     reload               ──a new schema, one request──────────────▶ writer
//! async     reload               ──schemas, watch channel────────────────▶ uplink
//! time      ──the map in short, watch channel──────────────────────────────▶ uplink
//! async     reload               ──other tables, channel of one──────────▶ engine
//! async     control socket       ──pages of the ring, one request at a time▶ writer
//! async     http                 ◀──Status, counters─────────────────────  all
//! ```
//!
//! A stop travels the same way: capture ends, the engine seals what is open, the writer commits it, the uplink sends
//! until all is acknowledged or its time is up, and the writer closes the ring.

mod edge;
mod reload;
mod schemas;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use ecu_core::catalog::TooManyMessages;
use ecu_core::span::SettingsError;
use ecu_core::{Catalog, Engine, FrameRecord};
use heapless::spsc::Queue;
use store::block::{DictionaryHash, SchemaHash, SealedBlock};
use store::ring::{RingError, RingFile, Tally, open_or_quarantine_with};
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use crate::capture::{Capture, Player, QUEUE_FRAMES};
use crate::clock;
use crate::config::{Config, Source};
use crate::diagnostics::Diagnostics;
use crate::engine_thread::{EngineThread, Swap};
use crate::inbox::{Inbox, Request};
use crate::log_socket::QUEUE_LOGS;
use crate::otlp::QUEUE_SPANS;
use crate::status::Status;
use crate::stop::Stop;
use crate::telemetry::Telemetry;
use crate::time::{Clocks, Keeper, Recording};
use crate::writer::Writer;
use edge::Edge;
use reload::Reload;
pub use schemas::Schemas;
use schemas::{dictionary_blocks, message_names, schema_block, sealer};

/// What is to run.
pub struct Service {
    /// The configuration.
    pub config: Config,
    /// Recordings besides those that the configuration names.
    pub players: Vec<Player>,
    /// Stop when all recordings have ended and everything is acknowledged.
    pub drain: bool,
    /// The process's metrics.
    pub telemetry: Telemetry,
}

/// Why the service could not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The schema.
    #[error(transparent)]
    Schema(#[from] TooManyMessages),
    /// What is to be traced.
    #[error("[trace]: {0}")]
    Trace(#[from] SettingsError),
    /// A socket, a thread or the kernel.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
    /// What a run that was to drain has lost.
    #[error(
        "{records} records in {blocks} blocks are lost: the ring did not take them{because}; all others are stored"
    )]
    Lost {
        /// How many records.
        records: u64,
        /// In how many blocks.
        blocks: u64,
        /// What the ring said at the end, after a colon.
        because: String,
    },
    /// A thread panicked; what was sealed is stored.
    #[error("a thread of the service panicked; what it had sealed is stored, and a restart is safe")]
    Panicked,
}

/// What the threads share.
struct Shared {
    status: Arc<Status>,
    stop: Arc<Stop>,
    captured: Arc<Stop>,
    inbox: Arc<Inbox>,
    stored: Notify,
    complete: AtomicBool,
    panicked: AtomicBool,
}

impl Shared {
    fn new(status: Arc<Status>, stop: Arc<Stop>) -> Self {
        Self {
            status,
            stop,
            captured: Arc::default(),
            inbox: Arc::default(),
            stored: Notify::new(),
            complete: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        }
    }

    /// Reports something that the service does without.
    fn fault<T>(&self, fault: &io::Error) -> Option<T> {
        error!("{fault}");
        self.status.fault(fault.to_string());
        None
    }
}

/// Runs the service until `stop` is set, a signal comes, or it is drained.
///
/// # Errors
/// [`RunError`]
pub fn run(service: Service, status: Arc<Status>, stop: Arc<Stop>) -> Result<(), RunError> {
    let Service { mut config, players, drain, telemetry } = service;
    let Ready { ring, engine, schema, dictionaries, reload, swaps } = Ready::new(&config, &status)?;
    let shared = Shared::new(status, stop);
    let mut queue = Box::new(Queue::<FrameRecord, QUEUE_FRAMES>::new());
    let (frames_in, frames_out) = queue.split();
    let (logs_in, logs_out) = sync_channel(QUEUE_LOGS);
    let (spans_in, spans_out) = sync_channel(QUEUE_SPANS);
    let (maps_in, clock_maps) = sync_channel(1);
    let clocks = Clocks::new(config.buses.len());
    let time = config.time.clone();
    let (announce, announced) = watch::channel(None);
    let open_ns = config.blocks.limits.seal_after_ns;
    let recording = records_time(&config).then(|| Recording {
        maps: maps_in,
        events: logs_in.clone(),
        announce,
        open_ns,
    });
    let mut writer = Writer::new(
        ring,
        &shared.inbox,
        &shared.status,
        &shared.stored,
        &shared.complete,
        &config.store,
        config.blocks.limits.seal_after_ns,
    );
    writer.put_first(schema.0, schema.1.clone(), dictionaries.clone());
    say_hello(&config, &shared.status);
    let result = std::thread::scope(|scope| {
        let engine_end = EngineThread {
            frames: frames_out,
            logs: logs_out,
            spans: spans_out,
            clock_maps,
            swaps,
            inbox: &shared.inbox,
            patient: Capture::can_wait(&config.buses),
            by_message: config.buses.iter().map(|bus| bus.observe.by_message).collect(),
            diagnostics: Diagnostics::new(config.buses.iter().map(|bus| bus.diagnostics.clone())),
            status: &shared.status,
            captured: Arc::clone(&shared.captured),
        };
        let engine = spawn(scope, "engine", &shared, move || engine_end.run(engine))?;
        let waker = engine.thread().clone();
        let latency = time.stamp_latency_ns;
        let capture =
            Capture::new(&config.buses, players, frames_in, waker, &shared.status, &clocks, latency);
        let shared = &shared;
        let keeper = Keeper::new(&time, &clocks, &shared.status, recording);
        let keeper = spawn(scope, "time", shared, move || keeper.run(&shared.captured))?;
        let keeper = keeper.thread().clone();
        spawn(scope, "capture", shared, move || {
            capture.run(&shared.stop);
            while !drain && !shared.stop.is_set() {
                std::thread::park_timeout(Duration::from_millis(50));
            }
            shared.captured.set();
            keeper.unpark();
        })?;
        spawn(scope, "writer", shared, move || writer.run())?;
        let uplink = config.uplink.take();
        let schemas = Schemas::new(schema.0, schema.1).with_dictionaries(dictionaries);
        let schemas = watch::Sender::new(schemas);
        let local = (spans_in, logs_in);
        let edge =
            Edge { config: &config, uplink, schemas, clock_map: announced, telemetry, local, reload, shared };
        let result = run_edge(edge);
        shared.stop.set();
        shared.inbox.ask(Request::Close);
        result
    });
    say_goodbye(&shared.status);
    if shared.panicked.load(Ordering::Acquire) {
        return Err(RunError::Panicked);
    }
    result?;
    // Who waits for a drain relies on its result; a service that is stopped has said and counted what it lost.
    if drain { complete(&shared.status) } else { Ok(()) }
}

/// Everything asynchronous, on this thread.
fn run_edge(edge: Edge<'_>) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| RunError::System("the async runtime", error))?.block_on(edge.run())
}

/// Whether clock maps and events of clocks become records: a recording's stamps are of other clocks than this machine's.
fn records_time(config: &Config) -> bool {
    let is_live = |source: &Source| matches!(source, Source::Socketcan { .. });
    config.time.record.unwrap_or_else(|| config.buses.iter().any(|bus| is_live(&bus.source)))
}

/// What is made before the first thread.
struct Ready {
    ring: RingFile,
    engine: Engine,
    schema: (SchemaHash, SealedBlock),
    dictionaries: Vec<(DictionaryHash, SealedBlock)>,
    reload: Reload,
    swaps: Receiver<Swap>,
}

impl Ready {
    fn new(config: &Config, status: &Status) -> Result<Self, RunError> {
        let tables = config.buses.iter().map(|bus| (bus.name.clone(), bus.table.clone()));
        let mut catalog = Catalog::new(tables)?;
        let traced = config.trace.settings(&mut catalog, clock::random())?;
        let ring = open_ring(config, status)?;
        let boot = clock::boot_id().map_err(|error| RunError::System("the kernel's boot id", error))?;
        let run = clock::boot().0 as u64 / 1_000;
        let zstd = |error| RunError::System("zstd", error);
        let sealer = sealer(boot, run, config.blocks.zstd_level, &config.dictionaries).map_err(zstd)?;
        let dictionaries = dictionary_blocks(&config.dictionaries).map_err(zstd)?;
        let schema = (catalog.hash(), schema_block(&catalog).map_err(zstd)?);
        *status.names() = message_names(&catalog);
        let observers = config.buses.iter().map(|bus| bus.observe.observer());
        let mut engine = Engine::new(catalog, observers, sealer, config.blocks.limits);
        engine.keep_raw(config.buses.iter().map(|bus| bus.raw));
        engine.keep_steps(config.buses.iter().map(|bus| &bus.steps[..]));
        engine.trace(&traced)?;
        // One reload is under way at a time.
        let (swaps_in, swaps) = sync_channel(1);
        let reload = Reload::new(config, boot, swaps_in);
        Ok(Self { ring, engine, schema, dictionaries, reload, swaps })
    }
}

/// Whether everything that was sealed is stored.
fn complete(status: &Status) -> Result<(), RunError> {
    let store = status.store().clone();
    let Tally { blocks, records } = store.dropped;
    if blocks == 0 {
        return Ok(());
    }
    let because = store.error.map(|error| format!(": {error}")).unwrap_or_default();
    Err(RunError::Lost { records, blocks, because })
}

/// The ring; one that is damaged is set aside, which is said.
fn open_ring(config: &Config, status: &Status) -> Result<RingFile, RunError> {
    let (ring, aside) = open_or_quarantine_with(&config.store.path, config.store.retention)?;
    if let Some(aside) = aside {
        error!(reason = aside.reason, "the ring file was damaged; it is now {}", aside.path.display());
        status.store().salvage.set_aside(&aside);
    }
    Ok(ring)
}

/// What runs, for the journal.
fn say_hello(config: &Config, status: &Status) {
    let messages: usize = status.names().0.iter().map(Vec::len).sum();
    let seal_after = Duration::from_nanos(config.blocks.limits.seal_after_ns as u64);
    info!(
        vehicle = %config.vehicle,
        buses = config.buses.len(),
        messages,
        ring = %config.store.path.display(),
        loss_window = ?(seal_after + config.store.commit_after_max()),
        "started"
    );
}

/// The run in one line, for the journal and for scripts that measure.
fn say_goodbye(status: &Status) {
    let engine = status.engine().clone();
    let (waiting, uplink) = (status.store().books.total().waiting, status.uplink().clone());
    let frames: u64 = status.buses.iter().map(|bus| bus.read().received).sum();
    info!(
        frames,
        samples = engine.samples.sealed,
        raw_frames = engine.frames.sealed,
        spans = engine.spans.sealed,
        logs = engine.logs.sealed,
        blocks = engine.blocks,
        block_bytes = engine.block_bytes,
        sent_bytes = uplink.sent_bytes,
        waiting_blocks = waiting.blocks,
        books_balanced = status.balanced(),
        "stopped"
    );
}

/// A thread that takes the whole service down with it when it panics, instead of leaving the others waiting.
fn spawn<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    name: &'static str,
    shared: &'scope Shared,
    work: impl FnOnce() + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, ()>, RunError> {
    let work = move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            shared.panicked.store(true, Ordering::Release);
            shared.complete.store(true, Ordering::Release);
            shared.stop.set();
            shared.captured.set();
            shared.inbox.finish();
            shared.stored.notify_one();
        }
    };
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .map_err(|error| RunError::System(name, error))
}
