//! OTLP/HTTP on the loopback address: spans and log records of this computer's services, in protobuf.
//!
//! ```text
//! service ──POST /v1/traces, /v1/logs──▶ async: read, checked, counted ──bounded channels──▶ engine
//! ```
//! What comes in is bounded: the bytes of a request, also after decompression; the requests that are read at a time; the
//! connections; the records a second. Whatever is not taken is told to the sender and counted. OTLP's rules for answers
//! (opentelemetry.io/docs/specs/otlp): 200 with `partial_success` where records were rejected, 400 where nothing could be
//! read, 429 with `Retry-After` where it is to be sent again.

mod answer;
mod pace;
mod read;
mod record;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use store::block::{LogRecord, SpanRecord};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config;
use crate::http::{self, Answer};
use crate::status::Status;
use crate::stop::Stop;
use pace::Pace;

/// Spans between the intake and the engine.
pub const QUEUE_SPANS: usize = 256;
/// Connections at once; more wait in the kernel's queue. Services keep theirs open between exports.
const CONNECTIONS_MAX: usize = 16;
/// Requests whose bodies are in memory at once: this bounds it, together with the size of one.
const BODIES_MAX: usize = 2;
/// A client has this long to begin a request; exporters send every few seconds.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// A connection is closed after this long, whatever it does: one that is used is opened again.
const CONNECTION_WITHIN: Duration = Duration::from_secs(3600);

/// The listening address.
pub struct Intake {
    listener: TcpListener,
    door: Arc<Door>,
}

/// What all connections share. Dropping the last one tells the engine that no more come.
struct Door {
    pace: Pace,
    bodies: Semaphore,
    spans: SyncSender<SpanRecord>,
    logs: SyncSender<LogRecord>,
    status: Arc<Status>,
}

impl Intake {
    /// Listens as `intake` says, for the engine at the other ends of `spans` and `logs`.
    ///
    /// # Errors
    /// When the address is taken or not ours; the error names it.
    pub async fn bind(
        intake: &config::Intake,
        spans: SyncSender<SpanRecord>,
        logs: SyncSender<LogRecord>,
        status: Arc<Status>,
    ) -> io::Result<Self> {
        let address = intake.address;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let text = format!(
                "cannot listen on {address}: {error}; going on without spans of local services; choose another \
                 [trace] listen"
            );
            io::Error::new(error.kind(), text)
        })?;
        if let Ok(bound) = listener.local_addr() {
            info!("OTLP/HTTP at {bound}: spans and log records of local services");
            // Set once: the service listens at one address.
            let _ = status.otlp.set(bound);
        }
        let pace = Pace::new(intake.records_per_second, Instant::now());
        let door = Door { pace, bodies: Semaphore::new(BODIES_MAX), spans, logs, status };
        Ok(Self { listener, door: Arc::new(door) })
    }

    /// Serves until `end`. What was answered with success by then is with the engine.
    pub async fn run(self, end: &Stop) {
        let mut connections = JoinSet::new();
        let mut end = std::pin::pin!(end.wait());
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => accepted,
                Some(_) = connections.join_next() => continue,
                () = &mut end => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let door = Arc::clone(&self.door);
                    let answer: Answer = Box::new(move |request| {
                        let door = Arc::clone(&door);
                        Box::pin(async move { door.answer(request).await })
                    });
                    connections.spawn(http::serve(stream, HEAD_WITHIN, CONNECTION_WITHIN, answer));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // Each holds the engine's channels.
        connections.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
