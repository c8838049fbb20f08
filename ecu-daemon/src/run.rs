//! The service: its threads, and what they hand to each other, in the order of the flow.
//!
//! ```text
//! capture   all buses            ──frames, bounded SPSC of QUEUE_FRAMES──▶ engine
//! async     log socket           ──records, bounded channel of QUEUE_LOGS─▶ engine
//! engine    decode, collect, seal ──blocks, Inbox bounded in bytes────────▶ writer
//! writer    the ring's only owner ──leases, one request at a time────────▶ async
//! async     uplink               ──acknowledgements──────────────────────▶ writer
//! async     reload               ──other tables, channel of one──────────▶ engine
//! async     control socket       ──pages of the ring, one request at a time▶ writer
//! async     http                 ◀──Status, counters─────────────────────  all
//! ```
//!
//! A stop travels the same way: capture ends, the engine seals what is open, the writer commits it, the uplink sends
//! until all is acknowledged or its time is up, and the writer closes the ring.

mod reload;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use ecu_core::catalog::TooManyMessages;
use ecu_core::{Catalog, Engine, FrameRecord};
use heapless::spsc::Queue;
use store::block::{Body, BootId, Class, Kind, LogRecord, SchemaHash, SealedBlock, Sealer};
use store::ring::{RingError, RingFile, open_or_quarantine};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::capture::{Capture, Player, QUEUE_FRAMES};
use crate::clock;
use crate::config::{Config, Uplink};
use crate::control::Control;
use crate::engine_thread::{EngineThread, Swap};
use crate::http::Http;
use crate::inbox::{Inbox, Request};
use crate::log_socket::{LogSocket, QUEUE_LOGS};
use crate::status::Status;
use crate::stop::Stop;
use crate::telemetry::Telemetry;
use crate::uplink_task::UplinkTask;
use crate::writer::Writer;
use reload::{Running, reloads};

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
    /// A socket, a thread or the kernel.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
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
    let tables = config.buses.iter().map(|bus| (bus.name.clone(), bus.table.clone()));
    let catalog = Catalog::new(tables)?;
    let ring = open_ring(&config, &status)?;
    let boot = clock::boot_id().map_err(|error| RunError::System("the kernel's boot id", error))?;
    let run = clock::boot().0 as u64 / 1_000;
    let zstd = |error| RunError::System("zstd", error);
    let sealer = Sealer::new(boot, run, config.blocks.zstd_level).map_err(zstd)?;
    let running = Running::new(&config, boot, catalog.hash());
    let schema = (catalog.hash(), schema_block(&catalog).map_err(zstd)?);
    let messages = catalog.schema().messages.len();
    // Set once: a service runs once with its status.
    let _ = status.messages.set(message_names(&catalog));
    let observers = config.buses.iter().map(|bus| bus.observe.observer());
    let engine = Engine::new(catalog, observers, sealer, config.blocks.limits);

    let shared = Shared {
        status,
        stop,
        captured: Arc::default(),
        inbox: Arc::default(),
        stored: Notify::new(),
        complete: AtomicBool::new(false),
        panicked: AtomicBool::new(false),
    };
    let mut queue = Box::new(Queue::<FrameRecord, QUEUE_FRAMES>::new());
    let (frames_in, frames_out) = queue.split();
    let (logs_in, logs_out) = sync_channel(QUEUE_LOGS);
    let (swaps_in, swaps_out) = sync_channel(1);
    let mut writer = Writer::new(
        ring,
        &shared.inbox,
        &shared.status,
        &shared.stored,
        &shared.complete,
        config.store.commit_after,
    );
    writer.put_schema(schema.0, &schema.1);
    info!(
        vehicle = %config.vehicle,
        buses = config.buses.len(),
        messages,
        ring = %config.store.path.display(),
        loss_window = ?(Duration::from_nanos(config.blocks.limits.seal_after_ns as u64) + config.store.commit_after),
        "started"
    );
    let result = std::thread::scope(|scope| {
        let engine_end = EngineThread {
            frames: frames_out,
            logs: logs_out,
            swaps: swaps_out,
            inbox: &shared.inbox,
            patient: Capture::can_wait(&config.buses),
            by_message: config.buses.iter().map(|bus| bus.observe.by_message).collect(),
            status: &shared.status,
            captured: Arc::clone(&shared.captured),
        };
        let engine = spawn(scope, "engine", &shared, move || engine_end.run(engine))?;
        let capture =
            Capture::new(&config.buses, players, frames_in, engine.thread().clone(), &shared.status);
        let shared = &shared;
        spawn(scope, "capture", shared, move || {
            capture.run(&shared.stop);
            while !drain && !shared.stop.is_set() {
                std::thread::park_timeout(Duration::from_millis(50));
            }
            shared.captured.set();
        })?;
        spawn(scope, "writer", shared, move || writer.run())?;
        let uplink = config.uplink.take();
        let edge = edge(&config, uplink, schema, telemetry, logs_in, (running, swaps_in), shared);
        let result = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RunError::System("the async runtime", error))
            .and_then(|runtime| runtime.block_on(edge));
        shared.stop.set();
        shared.inbox.ask(Request::Close);
        result
    });
    say_goodbye(&shared.status);
    if shared.panicked.load(Ordering::Acquire) { Err(RunError::Panicked) } else { result }
}

/// The ring; one that is damaged is set aside, which is said.
fn open_ring(config: &Config, status: &Status) -> Result<RingFile, RunError> {
    let (ring, aside) = open_or_quarantine(&config.store.path, config.store.bytes_max)?;
    if let Some(aside) = aside {
        error!(reason = aside.reason, "the ring file was damaged; it is now {}", aside.path.display());
        status.store().quarantined = Some(aside.path.display().to_string());
    }
    Ok(ring)
}

/// By bus, the names of its messages.
fn message_names(catalog: &Catalog) -> Vec<Vec<Box<str>>> {
    let names = catalog.buses().iter().map(|bus| {
        let messages = catalog.schema().messages.iter().skip(bus.first_message);
        messages.take(bus.table.messages().len()).map(|message| message.name.as_str().into()).collect()
    });
    names.collect()
}

/// The run in one line, for the journal and for scripts that measure.
fn say_goodbye(status: &Status) {
    let engine = status.engine().clone();
    let (waiting, uplink) = (status.store().books.total().waiting, status.uplink().clone());
    let frames: u64 = status.buses.iter().map(|bus| bus.read().received).sum();
    info!(
        frames,
        samples = engine.samples.sealed,
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

/// Everything asynchronous, until the last block is acknowledged, or stored where there is no uplink.
async fn edge(
    config: &Config,
    uplink: Option<Uplink>,
    schema: (SchemaHash, SealedBlock),
    telemetry: Telemetry,
    logs: SyncSender<LogRecord>,
    (running, swaps): (Running, SyncSender<Swap>),
    shared: &Shared,
) -> Result<(), RunError> {
    // A car records even when an address is taken or a folder is missing: the fault is reported, the rest goes on.
    let http = match config.http {
        Some(address) => Http::bind(address, telemetry, Arc::clone(&shared.status)).await.map(Some),
        None => Ok(None),
    };
    let http = http.unwrap_or_else(|error| shared.fault(&error));
    let log_socket = config.log_socket.as_deref().map(LogSocket::bind).transpose();
    let log_socket = log_socket.unwrap_or_else(|error| shared.fault(&error));
    let control = config.control.as_deref().map(|path| Control::bind(path, &config.store.path)).transpose();
    let control = control.unwrap_or_else(|error| shared.fault(&error));
    let answer = async {
        match control {
            Some(control) => control.run(Arc::clone(&shared.inbox)).await,
            None => std::future::pending().await,
        }
    };
    let serve = async {
        match http {
            Some(http) => http.run().await,
            None => std::future::pending().await,
        }
    };
    let listen = async {
        match log_socket {
            Some(socket) => socket.run(logs, &shared.status, &shared.captured).await,
            None => drop(logs),
        }
        std::future::pending::<()>().await;
    };
    let send = async {
        match uplink {
            Some(uplink) => {
                shared.status.uplink().configured = true;
                let patience = uplink.shutdown_upload;
                let task = UplinkTask {
                    config: uplink,
                    vehicle: config.vehicle.clone(),
                    schema,
                    inbox: &shared.inbox,
                    stored: &shared.stored,
                    status: &shared.status,
                    complete: &shared.complete,
                    had_session: false,
                };
                task.run(give_up(&shared.stop, patience)).await;
                // Stored it must be, sent it need not be: the ring keeps it for the next start.
                until_complete(shared).await;
            }
            None => until_complete(shared).await,
        }
    };
    tokio::select! {
        () = serve => {}
        () = answer => {}
        () = listen => {}
        () = send => {}
        error = signals(&shared.stop) => return Err(RunError::System("signals", error)),
        error = reloads(running, swaps, &shared.status) => return Err(RunError::System("SIGHUP", error)),
    }
    Ok(())
}

async fn until_complete(shared: &Shared) {
    while !shared.complete.load(Ordering::Acquire) {
        shared.stored.notified().await;
    }
}

/// When the uplink is to give up: some time after a stop was asked for.
async fn give_up(stop: &Stop, patience: Duration) {
    stop.wait().await;
    tokio::time::sleep(patience).await;
    warn!("time to send is up; what is left stays in the ring for the next start");
}

/// SIGINT and SIGTERM ask for a stop; ends only when signals cannot be had.
async fn signals(stop: &Stop) -> io::Error {
    let (mut interrupt, mut terminate) =
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => return error,
        };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        info!("stopping: sealing, storing and sending what is left");
        stop.set();
    }
}

/// The schema as a block. It names no vehicle and no boot: the same bytes for a whole fleet.
fn schema_block(catalog: &Catalog) -> io::Result<SealedBlock> {
    let mut sealer = Sealer::new(BootId::default(), 0, 19)?;
    sealer.body.extend_from_slice(catalog.encoded());
    sealer.seal(Body {
        kind: Kind::Schema,
        class: Class::Critical,
        schema: SchemaHash::default(),
        count: catalog.schema().messages.len() as u32,
        span_ns: (0, 0),
        sealed_boot_ns: 0,
    })
}
