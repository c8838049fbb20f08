//! Everything asynchronous: sockets, signals, the uplink.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use std::{future, io};

use store::block::{ClockMap, LogRecord, SpanRecord};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use super::reload::Reload;
use super::{RunError, Schemas, Shared};
use crate::config::{Config, Uplink};
use crate::control::Control;
use crate::http::Http;
use crate::log_socket::LogSocket;
use crate::otlp::Intake;
use crate::stop::Stop;
use crate::telemetry::Telemetry;
use crate::uplink_task::{Memory, UplinkTask};

/// What the asynchronous part works with.
pub(super) struct Edge<'a> {
    pub(super) config: &'a Config,
    pub(super) uplink: Option<Uplink>,
    pub(super) schemas: watch::Sender<Schemas>,
    pub(super) clock_map: watch::Receiver<Option<ClockMap>>,
    pub(super) telemetry: Telemetry,
    /// What local services send.
    pub(super) local: (SyncSender<SpanRecord>, SyncSender<LogRecord>),
    pub(super) reload: Reload,
    pub(super) shared: &'a Shared,
}

impl Edge<'_> {
    /// Runs until the last block is acknowledged, or stored where there is no uplink.
    pub(super) async fn run(self) -> Result<(), RunError> {
        let Self { config, uplink, schemas, clock_map, telemetry, local: (spans, logs), reload, shared } =
            self;
        // A car records even when an address is taken or a folder is missing: the fault is reported, the rest goes on.
        let http = match config.http {
            Some(address) => Http::bind(address, telemetry, Arc::clone(&shared.status)).await.map(Some),
            None => Ok(None),
        };
        let http = http.unwrap_or_else(|error| shared.fault(&error));
        let log_socket = config.log_socket.as_deref().map(LogSocket::bind).transpose();
        let log_socket = log_socket.unwrap_or_else(|error| shared.fault(&error));
        let intake = match &config.trace.intake {
            Some(intake) => {
                Intake::bind(intake, spans, logs.clone(), Arc::clone(&shared.status)).await.map(Some)
            }
            // The engine waits for its senders to go.
            None => {
                drop(spans);
                Ok(None)
            }
        };
        let intake = intake.unwrap_or_else(|error| shared.fault(&error));
        let control =
            config.control.as_deref().map(|path| Control::bind(path, &config.store.path)).transpose();
        let control = control.unwrap_or_else(|error| shared.fault(&error));
        let answer = async {
            match control {
                Some(control) => control.run(Arc::clone(&shared.inbox)).await,
                None => future::pending().await,
            }
        };
        let serve = async {
            match http {
                Some(http) => http.run().await,
                None => future::pending().await,
            }
        };
        let listen = async {
            match log_socket {
                Some(socket) => socket.run(logs, &shared.status, &shared.captured).await,
                None => drop(logs),
            }
            future::pending::<()>().await;
        };
        let take_in = async {
            if let Some(intake) = intake {
                intake.run(&shared.captured).await;
            }
            future::pending::<()>().await;
        };
        tokio::select! {
            () = take_in => {}
            () = serve => {}
            () = answer => {}
            () = listen => {}
            () = send(config, uplink, (schemas.subscribe(), clock_map), shared) => {}
            error = signals(&shared.stop) => return Err(RunError::System("signals", error)),
            error = reload.serve(&schemas, &shared.inbox, &shared.status) => {
                return Err(RunError::System("SIGHUP", error));
            }
        }
        Ok(())
    }
}

/// Uploads, where it is to be uploaded, until everything is stored and acknowledged or time is up.
async fn send(
    config: &Config,
    uplink: Option<Uplink>,
    (schemas, clock_map): (watch::Receiver<Schemas>, watch::Receiver<Option<ClockMap>>),
    shared: &Shared,
) {
    if let Some(uplink) = uplink {
        shared.status.uplink().configured = true;
        let patience = uplink.shutdown_upload;
        let (vehicle, complete) = (config.vehicle.clone(), &shared.complete);
        let (inbox, stored, status) = (&shared.inbox, &shared.stored, &shared.status);
        let memory = Memory::default();
        let task = UplinkTask {
            config: uplink,
            vehicle,
            schemas,
            clock_map,
            inbox,
            stored,
            status,
            complete,
            memory,
        };
        task.run(give_up(&shared.stop, patience)).await;
    }
    // Stored it must be, sent it need not be: the ring keeps it for the next start.
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
