//! SIGHUP: the configuration and its DBC files are read again, and the engine gets other tables between two frames. Sockets,
//! queues, ring and connection stay as they are.
//!
//! ```text
//! async     SIGHUP ──▶ a thread of the runtime: read, compare, compile
//!           ──a schema that is new──▶ writer: stores it ──▶ uplink: publishes it
//!           ──Swap, bounded channel of one──▶ engine: seals what is open, goes on with the new tables
//!           ◀──what it replaced, or why not──
//! ```
//! So there is no block, in the ring or on its way, whose schema is not there before it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;

use ecu_core::engine::SwapError;
use ecu_core::{Catalog, Engine};
use store::block::{BootId, Dictionary, Kind, SchemaHash, SealedBlock};
use store::ring::RingError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing::{debug, error, info, warn};

use super::schemas::{Schemas, message_names, schema_block, sealer};
use crate::clock;
use crate::config::{Blocks, Bus, Config, Grade, Problem};
use crate::engine_thread::Swap;
use crate::inbox::{Inbox, Request};
use crate::status::{Names, Status};

/// Serves SIGHUP.
pub(super) struct Reload {
    running: Arc<Running>,
    swaps: SyncSender<Swap>,
}

/// What the service runs with for as long as it runs.
struct Running {
    file: Option<PathBuf>,
    boot: BootId,
    blocks: Blocks,
    dictionaries: Vec<(Kind, Dictionary)>,
    buses: Vec<String>,
    /// Keys and what they stand at.
    fixed: Vec<(&'static str, String)>,
}

/// What was read again.
struct Fresh {
    engine: Engine,
    by_message: Vec<bool>,
    names: Names,
    schema: (SchemaHash, SealedBlock),
    /// Problems that it can run in spite of.
    problems: Vec<Problem>,
    /// Keys that were changed, but not while it runs.
    unchanged: Vec<&'static str>,
}

/// Why the old tables stay.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("there is no configuration file to read again; start with `run --config FILE`")]
    NoFile,
    #[error("{}", lines(.0))]
    Files(Vec<Problem>),
    #[error(
        "{file}: the number, order, names, kinds or sources of the buses have changed, or whether they are observed; \
         restart to change them"
    )]
    Buses { file: String },
    #[error(
        "{file}: the DBC files make another schema (messages, signals, units, scales, labels) than before, and this run \
         has {} already; restart to use it",
        Schemas::MAX
    )]
    Schemas { file: String },
    #[error(
        "the new schema is not stored, so that no block may refer to it: {0}; reload again when the card is well"
    )]
    Ring(#[from] RingError),
    #[error("{file}: {text}")]
    Other { file: String, text: String },
    #[error(transparent)]
    Swap(#[from] SwapError),
    #[error("the service is stopping")]
    Stopping,
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Running {
    fn new(config: &Config, boot: BootId) -> Self {
        Self {
            file: config.file.clone(),
            boot,
            blocks: config.blocks,
            dictionaries: config.dictionaries.clone(),
            buses: config.buses.iter().map(bus).collect(),
            fixed: fixed(config),
        }
    }

    /// Reads, compares and compiles; takes as long as a start does.
    fn read(&self) -> Result<Fresh, Refused> {
        let path = self.file.as_deref().ok_or(Refused::NoFile)?;
        let (config, problems) = Config::read(path).map_err(Refused::Files)?;
        let file = path.display().to_string();
        // A start makes do without a DBC file that is broken; here there is something better to go on with.
        let (broken, problems): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.grade == Grade::Error);
        if !broken.is_empty() {
            return Err(Refused::Files(broken));
        }
        if !config.buses.iter().map(bus).eq(self.buses.iter().cloned()) {
            return Err(Refused::Buses { file });
        }
        let other = |text: String| Refused::Other { file: file.clone(), text };
        let changed = fixed(&config).into_iter().zip(&self.fixed);
        let unchanged = changed.filter(|(now, before)| now != *before).map(|((key, _), _)| key).collect();
        let by_message = config.buses.iter().map(|bus| bus.observe.by_message).collect();
        let observers: Vec<_> = config.buses.iter().map(|bus| bus.observe.observer()).collect();
        let raw: Vec<_> = config.buses.iter().map(|bus| bus.raw).collect();
        let steps: Vec<_> = config.buses.iter().map(|bus| bus.steps.clone()).collect();
        let tables = config.buses.into_iter().map(|bus| (bus.name, bus.table));
        let mut catalog = Catalog::new(tables).map_err(|error| other(error.to_string()))?;
        let traced = config.trace.settings(&mut catalog, clock::random());
        let traced = traced.map_err(|error| other(error.to_string()))?;
        let zstd = |error| other(format!("zstd: {error}; try again"));
        let (names, schema) =
            (message_names(&catalog), (catalog.hash(), schema_block(&catalog).map_err(zstd)?));
        // A run of its own: the engine's numbers of blocks begin at 0 again.
        let run = clock::boot().0 as u64 / 1_000;
        let sealer = sealer(self.boot, run, self.blocks.zstd_level, &self.dictionaries).map_err(zstd)?;
        let mut engine = Engine::new(catalog, observers, sealer, self.blocks.limits);
        engine.keep_raw(raw);
        engine.keep_steps(steps.iter().map(|steps| &steps[..]));
        engine.trace(&traced).map_err(|error| other(format!("[trace]: {error}")))?;
        Ok(Fresh { engine, by_message, names, schema, problems, unchanged })
    }
}

/// What of a bus stays as it is. Whether it is observed, because its counters would stand still.
fn bus(bus: &Bus) -> String {
    format!("{:?} {:?} {}", bus.name, bus.source, bus.observe.identifiers > 0)
}

fn fixed(config: &Config) -> Vec<(&'static str, String)> {
    let diagnostics: Vec<_> = config.buses.iter().map(|bus| &bus.diagnostics).collect();
    vec![
        ("[vehicle]", format!("{:?}", config.vehicle)),
        ("[store]", format!("{:?}", config.store)),
        ("[blocks]", format!("{:?} {:?}", config.blocks, config.dictionaries)),
        ("[uplink]", format!("{:?}", config.uplink)),
        ("[http]", format!("{:?}", config.http)),
        ("[logs]", format!("{:?}", config.log_socket)),
        ("`diagnostics` of a bus", format!("{diagnostics:?}")),
        ("[time]", format!("{:?}", config.time)),
        ("[trace] listen", format!("{:?}", config.trace.intake)),
    ]
}

impl Reload {
    /// Of what is about to run; to be made before anything is taken out of `config`.
    pub(super) fn new(config: &Config, boot: BootId, swaps: SyncSender<Swap>) -> Self {
        Self { running: Arc::new(Running::new(config, boot)), swaps }
    }

    /// Serves SIGHUP, one after the other; ends only when it cannot be had.
    pub(super) async fn serve(
        self,
        schemas: &watch::Sender<Schemas>,
        inbox: &Inbox,
        status: &Status,
    ) -> io::Error {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return error,
        };
        while hangup.recv().await.is_some() {
            info!("reading the configuration and its DBC files again");
            match self.reload(schemas, inbox, status).await {
                Ok(()) => {
                    status.reloads.ok.fetch_add(1, Relaxed);
                    info!("the new tables are in use");
                }
                Err(refused) => {
                    status.reloads.refused.fetch_add(1, Relaxed);
                    refused.to_string().lines().for_each(|line| error!("{line}"));
                    error!("not reloaded: the old tables stay in use");
                }
            }
        }
        io::Error::other("SIGHUP is not delivered any more")
    }

    async fn reload(
        &self,
        schemas: &watch::Sender<Schemas>,
        inbox: &Inbox,
        status: &Status,
    ) -> Result<(), Refused> {
        let reader = Arc::clone(&self.running);
        // A task that panics is a fault of ours; the old tables are as good as before.
        let read = tokio::task::spawn_blocking(move || reader.read()).await;
        let Fresh { engine, by_message, names, schema, problems, unchanged } =
            read.unwrap_or(Err(Refused::Stopping))?;
        self.keep(schema, schemas, inbox).await?;
        let (done, replaced) = oneshot::channel();
        // One at a time is under way, so there is room unless the engine has ended.
        let swap = Swap { engine, by_message, names, done };
        self.swaps.try_send(swap).map_err(|_| Refused::Stopping)?;
        // The old engine is freed here, not by the thread that has frames to take.
        drop(replaced.await.map_err(|_| Refused::Stopping)??);
        for problem in &problems {
            match problem.grade {
                Grade::Error | Grade::LeftOut => warn!("{problem}"),
                Grade::Warning | Grade::Note => debug!("{problem}"),
            }
        }
        let left_out = problems.iter().filter(|problem| problem.grade >= Grade::LeftOut).count();
        status.config_problems.store(left_out as u64, Relaxed);
        for key in unchanged {
            warn!("{key} has changed and is used as it was; restart to change {key}");
        }
        Ok(())
    }

    /// Stores and publishes a schema that this run did not have yet.
    async fn keep(
        &self,
        (hash, block): (SchemaHash, SealedBlock),
        schemas: &watch::Sender<Schemas>,
        inbox: &Inbox,
    ) -> Result<(), Refused> {
        if schemas.borrow().find(hash).is_some() {
            return Ok(());
        }
        let file = self.running.file.as_deref().map(|file| file.display().to_string());
        let more = schemas.borrow().with(hash, block.clone());
        let more = more.ok_or(Refused::Schemas { file: file.unwrap_or_default() })?;
        let (done, stored) = oneshot::channel();
        inbox.ask(Request::Schema(hash, block, done));
        stored.await.map_err(|_| Refused::Stopping)??;
        schemas.send_replace(more);
        Ok(())
    }
}
