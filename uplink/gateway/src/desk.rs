//! Fetches schemas, dictionaries and clock maps, over a connection of its own.
//!
//! They do not come through the connection for blocks: a broker lets only so many messages be unacknowledged, and when all
//! of them wait for a schema it would never be sent. The connection exists while something is wanted.

mod wanted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use store::block::{BootId, DictionaryHash, SchemaHash};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uplink::backoff::Backoff;
use uplink::mqtt::{Delivery, Link, LinkError, Received, Subscriber};
use uplink::topic::{Prefix, Topic, VehicleId};

use self::wanted::Wanted;
use crate::counters::{Counters, Refusal};
use crate::maps::Maps;
use crate::need::Need;
use crate::options::Options;
use crate::output::jitter;
use crate::quiet::Quiet;
use crate::schemas::Schemas;

/// Notes that may wait for their reader, either way.
const NOTES_MAX: usize = 1024;
/// How long a connection that is no longer needed is kept for what it has yet to send.
pub(crate) const LINGER: Duration = Duration::from_millis(200);

/// The desk, as seen by those who want something.
pub(crate) struct Desk {
    wants: mpsc::Sender<Need>,
    settled: mpsc::Receiver<Need>,
    task: JoinHandle<()>,
}

impl Desk {
    /// Starts it. What arrives, or is given up, is told to `schemas` and `maps`.
    pub(crate) fn open(options: &Options, schemas: Schemas, maps: Maps, counters: Arc<Counters>) -> Self {
        let (wants, wanted) = mpsc::channel(NOTES_MAX);
        let (settle, settled) = mpsc::channel(NOTES_MAX);
        let mut link = options.link.clone();
        link.client_id.push_str("-schemas");
        let patience = &options.patience;
        let work = Work {
            link,
            prefix: options.prefix.clone(),
            schemas,
            maps,
            counters,
            wanted: Wanted::new(
                (patience.schema, patience.clock_map),
                patience.retry_first,
                patience.retry_cap,
            ),
            backoff: Backoff::new(patience.retry_first, patience.retry_cap),
            settle,
            quiet: Quiet::default(),
        };
        Self { wants, settled, task: tokio::spawn(work.run(wanted)) }
    }

    /// Asks for something. `false` when there are too many requests already: nobody will answer this one.
    pub(crate) fn want(&self, need: Need) -> bool {
        self.wants.try_send(need).is_ok()
    }

    /// The next one that arrived or was given up; [`Schemas`] and [`Maps`] know which. May be cancelled.
    pub(crate) async fn settled(&mut self) -> Option<Need> {
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
    maps: Maps,
    counters: Arc<Counters>,
    wanted: Wanted,
    backoff: Backoff,
    settle: mpsc::Sender<Need>,
    quiet: Quiet,
}

impl Work {
    async fn run(mut self, mut wants: mpsc::Receiver<Need>) {
        while let Some(need) = wants.recv().await {
            self.want(need).await;
            while !self.wanted.is_empty() {
                if let Err(error) = self.connected(&mut wants).await {
                    let wait = self.backoff.next(jitter());
                    if let Some(suppressed) = self.quiet.pass(Instant::now()) {
                        tracing::warn!(%error, ?wait, suppressed, "no connection for schemas and clock maps; trying again");
                    }
                    tokio::time::sleep(wait).await;
                    self.give_up().await;
                }
            }
        }
    }

    /// One connection, until nothing is wanted any longer.
    async fn connected(&mut self, wants: &mut mpsc::Receiver<Need>) -> Result<(), LinkError> {
        let topics: Vec<_> = self.wanted.needs().map(|need| need.topic(&self.prefix)).collect();
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
                need = wants.recv() => match need {
                    Some(need) => {
                        let topic = need.topic(&self.prefix);
                        self.want(need).await;
                        subscriber.subscribe(&topic)?;
                    }
                    // The gateway is gone, and drops this task in a moment.
                    None => std::future::pending().await,
                },
                () = alarm => {
                    self.give_up().await;
                    // A broker sends the retained message again for every subscription, even a repeated one.
                    for need in self.wanted.ask(Instant::now(), jitter()) {
                        subscriber.subscribe(&need.topic(&self.prefix))?;
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
                        "the broker refuses subscriptions to schemas or clock maps; allow them in its ACL"
                    );
                }
                return Ok(());
            }
            Received::Message(delivery) => delivery,
        };
        subscriber.acknowledge(&delivery)?;
        // An empty message is how a retained one is deleted.
        if delivery.payload().is_empty() {
            return Ok(());
        }
        let still_wanted = match self.prefix.parse(delivery.topic()) {
            Some(Topic::Schema(hash)) => self.schema(hash, &delivery).await,
            Some(Topic::Dictionary(hash)) => self.dictionary(hash, &delivery).await,
            Some(Topic::ClockMap(vehicle, boot)) => self.clock_map(&vehicle, boot, &delivery).await,
            _ => true,
        };
        if still_wanted { Ok(()) } else { subscriber.unsubscribe(delivery.topic()) }
    }

    /// Whether more is wanted of the topic.
    async fn schema(&mut self, hash: SchemaHash, delivery: &Delivery) -> bool {
        match self.schemas.offer(hash, delivery.payload()) {
            Ok(()) => {
                self.counters.schemas.add(1);
                self.here(Need::Schema(hash)).await;
                false
            }
            Err(error) => {
                self.refuse(Refusal::Schema, delivery.topic(), &error);
                true
            }
        }
    }

    /// As [`Self::schema`].
    async fn dictionary(&mut self, hash: DictionaryHash, delivery: &Delivery) -> bool {
        match self.schemas.offer_dictionary(hash, delivery.payload()) {
            Ok(()) => {
                self.counters.dictionaries.add(1);
                self.here(Need::Dictionary(hash)).await;
                false
            }
            Err(error) => {
                self.refuse(Refusal::Dictionary, delivery.topic(), &error);
                true
            }
        }
    }

    /// As [`Self::schema`]. The map grows: where a later version is wanted it will come on the same topic.
    async fn clock_map(&mut self, vehicle: &VehicleId, boot: BootId, delivery: &Delivery) -> bool {
        match self.maps.offer(vehicle, boot, delivery.payload()) {
            Ok(version) => {
                self.counters.clock_maps.add(1);
                let is_of_it = |need: &&Need| matches!(need, Need::ClockMap(car, of, _) if car == vehicle && *of == boot);
                let (here, wanted): (Vec<Need>, Vec<Need>) = self
                    .wanted
                    .needs()
                    .filter(is_of_it)
                    .cloned()
                    .partition(|need| matches!(need, Need::ClockMap(.., wanted) if *wanted <= version));
                for need in here {
                    self.here(need).await;
                }
                !wanted.is_empty()
            }
            Err(error) => {
                self.refuse(Refusal::ClockMap, delivery.topic(), &error);
                true
            }
        }
    }

    async fn here(&mut self, need: Need) {
        if self.wanted.remove(&need) {
            self.settled(need).await;
        }
    }

    fn refuse(&mut self, reason: Refusal, topic: &str, error: &dyn std::error::Error) {
        self.counters.refuse(reason);
        if let Some(suppressed) = self.quiet.pass(Instant::now()) {
            tracing::warn!(topic, %error, suppressed, "not the {} of its topic; refused", reason.name());
        }
    }

    async fn want(&mut self, need: Need) {
        if let Some(forgotten) = self.wanted.add(need, Instant::now()) {
            self.abandon(forgotten).await;
        }
    }

    async fn give_up(&mut self) {
        for need in self.wanted.overdue(Instant::now()) {
            match &need {
                Need::Schema(hash) => tracing::error!(
                    schema = %hash,
                    "schema did not come in time: blocks that need it are refused until it does; still asking"
                ),
                Need::Dictionary(hash) => tracing::error!(
                    dictionary = %hash,
                    "dictionary did not come in time: blocks that need it are refused until it does; still asking"
                ),
                Need::ClockMap(vehicle, boot, version) => tracing::warn!(
                    %vehicle, %boot, version,
                    "clock map did not come in time: times are put right as far as the clocks are known"
                ),
            }
            self.abandon(need).await;
        }
    }

    async fn abandon(&mut self, need: Need) {
        match &need {
            Need::Schema(hash) => {
                self.counters.schemas_given_up.add(1);
                self.schemas.give_up(*hash);
            }
            Need::Dictionary(hash) => {
                self.counters.dictionaries_given_up.add(1);
                self.schemas.give_up_dictionary(*hash);
            }
            Need::ClockMap(vehicle, boot, _) => {
                self.counters.clock_maps_given_up.add(1);
                self.maps.give_up(vehicle, *boot, Instant::now());
            }
        }
        self.settled(need).await;
    }

    async fn settled(&self, need: Need) {
        // Without a reader the gateway is gone.
        let _ = self.settle.send(need).await;
    }
}
