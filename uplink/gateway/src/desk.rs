//! Fetches schemas, over a connection of its own.
//!
//! Schemas do not come through the connection for blocks: a broker lets only so many messages be unacknowledged, and
//! when all of them wait for a schema it would never be sent. The connection exists while something is wanted.

mod wanted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use store::block::SchemaHash;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uplink::backoff::Backoff;
use uplink::mqtt::{Link, LinkError, Received, Subscriber};
use uplink::topic::{Prefix, Topic};

use self::wanted::Wanted;
use crate::counters::{Counters, Refusal};
use crate::options::Options;
use crate::output::jitter;
use crate::quiet::Quiet;
use crate::schemas::Schemas;

/// Notes that may wait for their reader, either way.
const NOTES_MAX: usize = 1024;
/// How long a connection that is no longer needed is kept for what it has yet to send.
pub(crate) const LINGER: Duration = Duration::from_millis(200);

/// The desk, as seen by those who want schemas.
pub(crate) struct Desk {
    wants: mpsc::Sender<SchemaHash>,
    settled: mpsc::Receiver<SchemaHash>,
    task: JoinHandle<()>,
}

impl Desk {
    /// Starts it. What arrives, or is given up, is told to `schemas`.
    pub(crate) fn open(options: &Options, schemas: Schemas, counters: Arc<Counters>) -> Self {
        let (wants, wanted) = mpsc::channel(NOTES_MAX);
        let (settle, settled) = mpsc::channel(NOTES_MAX);
        let mut link = options.link.clone();
        link.client_id.push_str("-schemas");
        let patience = &options.patience;
        let work = Work {
            link,
            prefix: options.prefix.clone(),
            schemas,
            counters,
            wanted: Wanted::new(patience.schema, patience.retry_first, patience.retry_cap),
            backoff: Backoff::new(patience.retry_first, patience.retry_cap),
            settle,
            quiet: Quiet::default(),
        };
        Self { wants, settled, task: tokio::spawn(work.run(wanted)) }
    }

    /// Asks for a schema. `false` when there are too many requests already: nobody will answer this one.
    pub(crate) fn want(&self, hash: SchemaHash) -> bool {
        self.wants.try_send(hash).is_ok()
    }

    /// The next schema that arrived or was given up; [`Schemas`] knows which. May be cancelled.
    pub(crate) async fn settled(&mut self) -> Option<SchemaHash> {
        self.settled.recv().await
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    link: Link,
    prefix: Prefix,
    schemas: Schemas,
    counters: Arc<Counters>,
    wanted: Wanted,
    backoff: Backoff,
    settle: mpsc::Sender<SchemaHash>,
    quiet: Quiet,
}

impl Work {
    async fn run(mut self, mut wants: mpsc::Receiver<SchemaHash>) {
        while let Some(hash) = wants.recv().await {
            self.want(hash).await;
            while !self.wanted.is_empty() {
                if let Err(error) = self.connected(&mut wants).await {
                    let wait = self.backoff.next(jitter());
                    if let Some(suppressed) = self.quiet.pass(Instant::now()) {
                        tracing::warn!(%error, ?wait, suppressed, "no connection for schemas; trying again");
                    }
                    tokio::time::sleep(wait).await;
                    self.give_up().await;
                }
            }
        }
    }

    /// One connection, until nothing is wanted any longer.
    async fn connected(&mut self, wants: &mut mpsc::Receiver<SchemaHash>) -> Result<(), LinkError> {
        let topics: Vec<_> = self.wanted.hashes().map(|hash| self.prefix.schema(hash)).collect();
        let mut subscriber = Subscriber::connect(&self.link, &topics);
        while !self.wanted.is_empty() {
            let next = self.wanted.next_event().map(tokio::time::Instant::from_std);
            let alarm = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = subscriber.next() => self.received(received?, &subscriber).await?,
                hash = wants.recv() => match hash {
                    Some(hash) => {
                        self.want(hash).await;
                        subscriber.subscribe(&self.prefix.schema(hash))?;
                    }
                    // The gateway is gone, and drops this task in a moment.
                    None => std::future::pending().await,
                },
                () = alarm => {
                    self.give_up().await;
                    // A broker sends the retained message again for every subscription, even a repeated one.
                    for hash in self.wanted.ask(Instant::now(), jitter()) {
                        subscriber.subscribe(&self.prefix.schema(hash))?;
                    }
                }
            }
        }
        // What was acknowledged and unsubscribed last is still to be sent.
        let _ = tokio::time::timeout(LINGER, async { while subscriber.next().await.is_ok() {} }).await;
        Ok(())
    }

    async fn received(&mut self, received: Received, subscriber: &Subscriber) -> Result<(), LinkError> {
        let delivery = match received {
            Received::Connected { .. } => {
                self.backoff.reset();
                return Ok(());
            }
            Received::Refused => {
                if let Some(suppressed) = self.quiet.pass(Instant::now()) {
                    tracing::error!(
                        suppressed,
                        "the broker refuses subscriptions to schemas; allow them in its ACL"
                    );
                }
                return Ok(());
            }
            Received::Message(delivery) => delivery,
        };
        subscriber.acknowledge(&delivery)?;
        let Some(Topic::Schema(hash)) = self.prefix.parse(delivery.topic()) else { return Ok(()) };
        // An empty message is how a retained one is deleted.
        if delivery.payload().is_empty() {
            return Ok(());
        }
        match self.schemas.offer(hash, delivery.payload()) {
            Ok(()) => {
                self.counters.schemas.add(1);
                subscriber.unsubscribe(delivery.topic())?;
                if self.wanted.remove(hash) {
                    self.settled(hash).await;
                }
            }
            Err(error) => {
                self.counters.refuse(Refusal::Schema);
                if let Some(suppressed) = self.quiet.pass(Instant::now()) {
                    tracing::warn!(topic = delivery.topic(), %error, suppressed, "not the schema of its topic; refused");
                }
            }
        }
        Ok(())
    }

    async fn want(&mut self, hash: SchemaHash) {
        if let Some(forgotten) = self.wanted.add(hash, Instant::now()) {
            self.abandon(forgotten).await;
        }
    }

    async fn give_up(&mut self) {
        for hash in self.wanted.overdue(Instant::now()) {
            tracing::error!(
                schema = %hash,
                "schema did not come in time: blocks that need it are refused until it does; still asking"
            );
            self.abandon(hash).await;
        }
    }

    async fn abandon(&mut self, hash: SchemaHash) {
        self.counters.schemas_given_up.add(1);
        self.schemas.give_up(hash);
        self.settled(hash).await;
    }

    async fn settled(&self, hash: SchemaHash) {
        // Without a reader the gateway is gone.
        let _ = self.settle.send(hash).await;
    }
}
