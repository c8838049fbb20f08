//! The running gateway: which tasks there are and what goes between them.
//!
//! ```text
//! broker ──Subscriber──▶ Inbox ──one at a time──▶ worker (Pipeline → outputs)
//!    ▲                     │ ▲                        │
//!    └──acknowledgements───┘ └──done, or parked───────┘
//! broker ──Desk──▶ Schemas, Maps ──▶ Pipeline
//! ```
//! The connection is read whatever the worker waits for, so that it stays alive.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uplink::backoff::Backoff;
use uplink::mqtt::{Delivery, LinkError, Received, Subscriber};

use crate::counters::Counters;
use crate::desk::{Desk, LINGER};
use crate::error::GatewayError;
use crate::inbox::{Inbox, Ticket};
use crate::listen::Listener;
use crate::maps::Maps;
use crate::need::Need;
use crate::options::Options;
use crate::output::jitter;
use crate::pipeline::{Outcome, Pipeline};
use crate::quiet::Quiet;
use crate::schemas::Schemas;

/// A gateway that has not started yet.
pub struct Gateway {
    options: Options,
    schemas: Schemas,
    counters: Arc<Counters>,
    pipeline: Pipeline,
}

/// What a gateway did until it was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Batches dealt with.
    pub batches: u64,
    /// Blocks that all outputs took.
    pub blocks: u64,
    /// Signal samples in them.
    pub samples: u64,
    /// Spans in them.
    pub spans: u64,
    /// Log records in them.
    pub logs: u64,
    /// Raw frames in them.
    pub frames: u64,
    /// Messages and blocks published nowhere.
    pub refused: u64,
    /// Messages held without acknowledgement: the broker delivers them again.
    pub held: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} batches with {} blocks: {} samples, {} spans, {} logs, {} raw frames; {} refused, {} left with the broker",
            self.batches,
            self.blocks,
            self.samples,
            self.spans,
            self.logs,
            self.frames,
            self.refused,
            self.held
        )
    }
}

impl Gateway {
    /// Prepares a gateway; nothing is connected yet.
    ///
    /// # Errors
    /// [`GatewayError::Client`]
    pub fn new(options: Options) -> Result<Self, GatewayError> {
        let (schemas, counters) = (Schemas::default(), Arc::new(Counters::default()));
        let pipeline = Pipeline::new(&options, None, schemas.clone(), Arc::clone(&counters))?;
        Ok(Self { options, schemas, counters, pipeline })
    }

    /// What it counts, to be read while it runs and afterwards.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until `stop` is ready, on a tokio runtime with time and I/O. A broker or receiver that is away is waited
    /// for.
    ///
    /// # Errors
    /// [`GatewayError::Listen`] at the start, [`GatewayError::Print`] when the reader of printed lines is gone.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<Report, GatewayError> {
        let listener = match self.options.listen {
            Some(address) => Some(Listener::open(address, Arc::clone(&self.counters)).await?),
            None => None,
        };
        if let Some(listener) = &listener {
            tracing::info!(address = %listener.address(), "metrics and health are served");
        }
        let maps = self.pipeline.maps();
        let desk = Desk::open(&self.options, self.schemas.clone(), maps.clone(), Arc::clone(&self.counters));
        let mut work = Work {
            filter: self.options.prefix.blocks_shared(self.options.group.as_str()),
            backoff: Backoff::new(self.options.patience.retry_first, self.options.patience.retry_cap),
            options: self.options,
            schemas: self.schemas,
            maps,
            counters: self.counters,
            inbox: Inbox::default(),
            worker: Worker::start(self.pipeline),
            desk,
            quiet: Quiet::default(),
        };
        work.run(stop).await?;
        Ok(work.report())
    }
}

struct Job {
    ticket: Ticket,
    topic: String,
    payload: bytes::Bytes,
}

type JobResult = (Ticket, Result<Outcome, GatewayError>);

/// The task that owns the pipeline. At most one job is with it.
struct Worker {
    jobs: mpsc::Sender<Job>,
    results: mpsc::Receiver<JobResult>,
    task: JoinHandle<()>,
    busy: bool,
}

impl Worker {
    fn start(mut pipeline: Pipeline) -> Self {
        let (jobs, mut receive_jobs) = mpsc::channel::<Job>(1);
        let (send_results, results) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            while let Some(job) = receive_jobs.recv().await {
                let result = pipeline.deliver(&job.topic, &job.payload).await;
                if send_results.send((job.ticket, result)).await.is_err() {
                    return;
                }
            }
        });
        Self { jobs, results, task, busy: false }
    }

    async fn result(&mut self) -> Result<JobResult, GatewayError> {
        let result = self.results.recv().await.ok_or(GatewayError::Worker)?;
        self.busy = false;
        Ok(result)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    options: Options,
    filter: String,
    schemas: Schemas,
    maps: Maps,
    counters: Arc<Counters>,
    inbox: Inbox<Delivery>,
    worker: Worker,
    desk: Desk,
    backoff: Backoff,
    quiet: Quiet,
}

impl Work {
    async fn run(&mut self, stop: impl Future<Output = ()>) -> Result<(), GatewayError> {
        let mut stop = std::pin::pin!(stop);
        // A fleet's gateways that start together do not connect together.
        let mut wait = self.options.patience.retry_first.mul_f64(f64::from(jitter()) / f64::from(u32::MAX));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                paused = self.pause(wait) => paused?,
            }
            let began = Instant::now();
            let mut subscriber = Subscriber::connect(&self.options.link, std::slice::from_ref(&self.filter));
            let ended = tokio::select! {
                () = &mut stop => None,
                ended = self.connected(&mut subscriber) => Some(ended?),
            };
            self.counters.connected.set(false);
            let Some(error) = ended else { return self.finish(subscriber).await };
            if began.elapsed() > self.options.patience.retry_cap {
                self.backoff.reset();
            }
            wait = self.backoff.next(jitter());
            if let Some(suppressed) = self.quiet.pass(Instant::now()) {
                tracing::warn!(%error, ?wait, suppressed, "not connected; trying again");
            }
        }
    }

    /// Works on what is held while there is no connection.
    async fn pause(&mut self, wait: Duration) -> Result<(), GatewayError> {
        let mut until = std::pin::pin!(tokio::time::sleep(wait));
        loop {
            self.dispatch();
            tokio::select! {
                () = &mut until => return Ok(()),
                result = self.worker.result() => self.settle(result?, None)?,
                Some(need) = self.desk.settled() => self.inbox.release(&need),
            }
        }
    }

    /// One connection, until it ends; gives the reason.
    async fn connected(&mut self, subscriber: &mut Subscriber) -> Result<Ended, GatewayError> {
        loop {
            self.dispatch();
            let ended = tokio::select! {
                received = subscriber.next() => match received {
                    Ok(received) => self.received(received),
                    Err(error) => Some(Ended::Link(error)),
                },
                result = self.worker.result() => {
                    self.settle(result?, Some(subscriber))?;
                    self.inbox.wants_redelivery().then_some(Ended::Redelivery)
                }
                Some(need) = self.desk.settled() => {
                    self.inbox.release(&need);
                    None
                }
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    fn received(&mut self, received: Received) -> Option<Ended> {
        match received {
            Received::Connected { session_present } => {
                tracing::info!(
                    broker = self.options.link.broker(),
                    filter = self.filter,
                    session_present,
                    "connected"
                );
                self.counters.connections.add(1);
                self.counters.connected.set(true);
                self.inbox.reconnected(session_present);
            }
            Received::Refused => return Some(Ended::Refused(self.filter.clone())),
            Received::Message(delivery) => {
                // Only now is it certain that the broker serves us; one that accepts and drops is backed off from.
                self.backoff.reset();
                let bytes = delivery.topic().len() + delivery.payload().len();
                if !self.inbox.admit(delivery, bytes) {
                    self.counters.shed.add(1);
                }
            }
        }
        self.counters.held.set(self.inbox.len() as u64);
        None
    }

    fn dispatch(&mut self) {
        if self.worker.busy {
            return;
        }
        let Some((ticket, delivery)) = self.inbox.next() else { return };
        let job = Job { ticket, topic: delivery.topic().to_owned(), payload: delivery.payload().clone() };
        self.worker.busy = true;
        // The channel has room for the one job that there is; a worker that is gone shows when its result is awaited.
        let _ = self.worker.jobs.try_send(job);
    }

    fn settle(&mut self, result: JobResult, subscriber: Option<&Subscriber>) -> Result<(), GatewayError> {
        let (ticket, outcome) = result;
        match outcome? {
            Outcome::Done => {
                for delivery in self.inbox.done(ticket) {
                    // A connection that is gone shows at once in the loop, and what it did not take comes again.
                    if subscriber.is_some_and(|subscriber| subscriber.acknowledge(&delivery).is_ok()) {
                        self.counters.acknowledged.add(1);
                    }
                }
            }
            Outcome::Missing(needs) => {
                self.inbox.park(ticket, needs.clone());
                for need in needs {
                    if !self.desk.want(need.clone()) {
                        match &need {
                            Need::Schema(hash) => self.schemas.give_up(*hash),
                            Need::Dictionary(hash) => self.schemas.give_up_dictionary(*hash),
                            Need::ClockMap(vehicle, boot, _) => {
                                self.maps.give_up(vehicle, *boot, Instant::now());
                            }
                        }
                        self.inbox.release(&need);
                    }
                }
            }
        }
        self.counters.held.set(self.inbox.len() as u64);
        Ok(())
    }

    /// Lets the batch at work end, and sends the last acknowledgements.
    async fn finish(&mut self, mut subscriber: Subscriber) -> Result<(), GatewayError> {
        let until = tokio::time::Instant::now() + self.options.patience.stop;
        while self.worker.busy {
            tokio::select! {
                result = self.worker.result() => self.settle(result?, Some(&subscriber))?,
                // What comes now is left with the broker.
                received = subscriber.next() => if received.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(until) => break,
            }
        }
        let _ = tokio::time::timeout(LINGER, async { while subscriber.next().await.is_ok() {} }).await;
        Ok(())
    }

    fn report(&self) -> Report {
        let c = &self.counters;
        Report {
            batches: c.batches.get(),
            blocks: c.blocks.get(),
            samples: c.samples.get(),
            spans: c.spans.get(),
            logs: c.logs.get(),
            frames: c.frames.get(),
            refused: c.refused_total(),
            held: c.held.get(),
        }
    }
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Link(LinkError),
    #[error(
        "the broker refuses the subscription to {0}; allow it in its ACL, and shared subscriptions in its settings"
    )]
    Refused(String),
    #[error("messages were let go for want of room and are fetched again")]
    Redelivery,
}
