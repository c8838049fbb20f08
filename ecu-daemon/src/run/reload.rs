//! SIGHUP: the configuration and its DBC files are read again, and the engine gets other tables between two frames. Sockets,
//! queues, ring and connection stay as they are.
//!
//! ```text
//! async     SIGHUP ──▶ a thread of the runtime: read, compare, compile
//!           ──Swap, bounded channel of one──▶ engine: seals what is open, goes on with the new tables
//!           ◀──what it replaced, or why not──
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;

use ecu_core::engine::SwapError;
use ecu_core::{Catalog, Engine};
use store::block::{BootId, SchemaHash, Sealer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::config::{Blocks, Bus, Config, Grade, Problem};
use crate::engine_thread::Swap;
use crate::status::Status;

/// What the service runs with for as long as it runs.
pub(super) struct Running {
    file: Option<PathBuf>,
    boot: BootId,
    blocks: Blocks,
    schema: SchemaHash,
    buses: Vec<String>,
    /// Keys and what they stand at.
    fixed: Vec<(&'static str, String)>,
}

/// What was read again.
struct Fresh {
    engine: Engine,
    by_message: Vec<bool>,
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
        "{file}: the DBC files name other messages, signals, units, scales or labels than before, and a running service \
         keeps the one schema that it has stored and published; restart to use them"
    )]
    Schema { file: String },
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
    /// To be made before anything is taken out of `config`.
    pub(super) fn new(config: &Config, boot: BootId, schema: SchemaHash) -> Self {
        Self {
            file: config.file.clone(),
            boot,
            blocks: config.blocks,
            schema,
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
        let tables = config.buses.into_iter().map(|bus| (bus.name, bus.table));
        let catalog = Catalog::new(tables).map_err(|error| other(error.to_string()))?;
        if catalog.hash() != self.schema {
            return Err(Refused::Schema { file });
        }
        // A run of its own: the engine's numbers of blocks begin at 0 again.
        let run = clock::boot().0 as u64 / 1_000;
        let sealer = Sealer::new(self.boot, run, self.blocks.zstd_level)
            .map_err(|error| other(format!("zstd: {error}; try again")))?;
        let engine = Engine::new(catalog, observers, sealer, self.blocks.limits);
        Ok(Fresh { engine, by_message, problems, unchanged })
    }
}

/// What of a bus stays as it is. Whether it is observed, because its counters would stand still.
fn bus(bus: &Bus) -> String {
    format!("{:?} {:?} {}", bus.name, bus.source, bus.observe.identifiers > 0)
}

fn fixed(config: &Config) -> Vec<(&'static str, String)> {
    vec![
        ("[vehicle]", format!("{:?}", config.vehicle)),
        ("[store]", format!("{:?}", config.store)),
        ("[blocks]", format!("{:?}", config.blocks)),
        ("[uplink]", format!("{:?}", config.uplink)),
        ("[http]", format!("{:?}", config.http)),
        ("[logs]", format!("{:?}", config.log_socket)),
    ]
}

/// Serves SIGHUP, one after the other; ends only when it cannot be had.
pub(super) async fn reloads(running: Running, swaps: SyncSender<Swap>, status: &Status) -> io::Error {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return error,
    };
    let running = Arc::new(running);
    while hangup.recv().await.is_some() {
        info!("reading the configuration and its DBC files again");
        match reload(&running, &swaps, status).await {
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

async fn reload(running: &Arc<Running>, swaps: &SyncSender<Swap>, status: &Status) -> Result<(), Refused> {
    let reader = Arc::clone(running);
    // A task that panics is a fault of ours; the old tables are as good as before.
    let read = tokio::task::spawn_blocking(move || reader.read()).await;
    let Fresh { engine, by_message, problems, unchanged } = read.unwrap_or(Err(Refused::Stopping))?;
    let (done, replaced) = oneshot::channel();
    // One at a time is under way, so there is room unless the engine has ended.
    swaps.try_send(Swap { engine, by_message, done }).map_err(|_| Refused::Stopping)?;
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
