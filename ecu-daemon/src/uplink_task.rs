//! The uplink: leases blocks from the ring, publishes them, and frees them when the broker has them.

mod announcements;
mod clock_maps;
mod recall;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::{Duration, Instant};

use store::block::ClockMap;
use store::ring::{Lease, Leased};
use tokio::sync::{Notify, oneshot, watch};
use tracing::{debug, info, warn};
use uplink::backoff::Backoff;
use uplink::batch;
use uplink::mqtt::{Happened, LinkError, Message, Publisher};
use uplink::topic::VehicleId;

use crate::clock;
use crate::config::Uplink;
use crate::inbox::{Inbox, Request};
use crate::run::Schemas;
use crate::status::Status;
use announcements::{Announcement, Announcements, Named};
use clock_maps::MapSealer;

/// The first connection comes within this long, so that a fleet that is switched on together does not call at once.
const FIRST_WITHIN: Duration = Duration::from_millis(500);
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_secs(60);
/// A broker that acknowledges nothing for this long while packets are under way is not there.
const ACK_WITHIN: Duration = Duration::from_secs(60);
/// What a broker acknowledged this shortly before it forgot our session is offered again.
const REOFFER_NS: i64 = 60_000_000_000;
/// How long to wait when the broker has nobody to give blocks to: until a gateway is back, they are ours to keep.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// How long to wait before a ring that could not be read is read again, unless something is stored meanwhile; doubles.
const READ_AGAIN_FIRST: Duration = Duration::from_secs(1);
const READ_AGAIN_CAP: Duration = Duration::from_secs(60);
const BLOCKS_PER_BATCH: usize = 256;
/// Bytes of a PUBLISH besides topic and payload: type, a length of up to 3 bytes, topic length, packet id (MQTT 3.1.1
/// §3.3).
const PUBLISH_OVERHEAD: usize = 8;
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// What travels with a packet until it is acknowledged.
enum Parcel {
    Blocks(Vec<Lease>),
    Named(Named),
    ClockMap,
    Status,
}

/// The task's state.
pub struct UplinkTask<'a> {
    /// Where to.
    pub config: Uplink,
    /// Who we are.
    pub vehicle: VehicleId,
    /// What the blocks refer to; a schema is here before there is a block that names it.
    pub schemas: watch::Receiver<Schemas>,
    /// How this boot's clocks ran, in short; `None` while nothing is known, or nothing of it becomes a record.
    pub clock_map: watch::Receiver<Option<ClockMap>>,
    /// The writer.
    pub inbox: &'a Inbox,
    /// Told after every commit.
    pub stored: &'a Notify,
    /// What the others may know.
    pub status: &'a Status,
    /// Set once everything is sealed and in the ring.
    pub complete: &'a AtomicBool,
    /// What it learns.
    pub memory: Memory,
}

/// What the task knows of broker and ring, from one connection to the next.
#[derive(Default)]
pub struct Memory {
    /// Whether there was a session with the broker before; not known before the first connection.
    had_session: bool,
    announcements: Announcements,
    /// Schemas and dictionaries of earlier runs that are to be announced, each as a block.
    older: BTreeMap<Named, Vec<u8>>,
    map_sealer: MapSealer,
    /// Why the ring could not be read, while it cannot.
    unreadable: Option<String>,
}

/// Why a connection was left.
enum Left {
    /// It broke.
    Broken(LinkError),
    /// The broker stopped answering.
    Silent,
    /// Everything is acknowledged.
    Done,
    /// Time is up.
    Stopped,
}

impl UplinkTask<'_> {
    /// Sends until everything is complete and acknowledged, or until `give_up`.
    pub async fn run(mut self, give_up: impl Future<Output = ()>) {
        let mut give_up = pin!(give_up);
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_CAP);
        let topic = self.config.prefix.status(&self.vehicle);
        self.config.link.will = Some((topic, self.status_text("offline")));
        let mut pause = FIRST_WITHIN.mul_f64(f64::from(clock::jitter()) / f64::from(u32::MAX));
        loop {
            tokio::select! {
                () = &mut give_up => return,
                () = tokio::time::sleep(pause) => {}
            }
            let mut publisher = Publisher::connect(&self.config.link, self.config.in_flight);
            let left = tokio::select! {
                () = &mut give_up => Left::Stopped,
                left = self.serve(&mut publisher, &mut backoff) => left,
            };
            let end = matches!(left, Left::Done | Left::Stopped);
            let parcels = if end {
                let topic = self.config.prefix.status(&self.vehicle);
                let _ = publisher.publish(&topic, true, self.status_text("stopped"), Parcel::Status);
                publisher.disconnect(GOODBYE_WITHIN).await
            } else {
                publisher.land()
            };
            self.land(parcels, &left);
            if end {
                return;
            }
            pause = backoff.next(clock::jitter());
        }
    }

    async fn serve(&mut self, publisher: &mut Publisher<Parcel>, backoff: &mut Backoff) -> Left {
        let mut connected = false;
        let mut heard = Instant::now();
        let mut more = true;
        let mut refused_until: Option<Instant> = None;
        let (mut unread_until, mut read_again) = (None, Backoff::new(READ_AGAIN_FIRST, READ_AGAIN_CAP));
        loop {
            // Silence counts from when there was something to answer.
            if publisher.in_flight() == 0 {
                heard = Instant::now();
            }
            if connected {
                self.announce(publisher);
            }
            let paused = refused_until.is_some() || unread_until.is_some();
            if connected && more && !paused && publisher.has_room() {
                match self.send_next(publisher).await {
                    Sent::Batch | Sent::Later => {
                        read_again.reset();
                        continue;
                    }
                    Sent::Nothing => {
                        read_again.reset();
                        more = false;
                    }
                    // The whole bound, without jitter: the card is ours alone.
                    Sent::Unreadable => unread_until = Some(Instant::now() + read_again.next(u32::MAX)),
                }
            }
            let idle = publisher.in_flight() == 0;
            if connected && !more && idle && self.complete.load(Acquire) {
                return Left::Done;
            }
            let silent_at = if idle { None } else { Some(heard + ACK_WITHIN) };
            tokio::select! {
                happened = publisher.next() => {
                    heard = Instant::now();
                    match happened {
                        Err(error) => return Left::Broken(error),
                        Ok(Happened::Connected { session_present }) => {
                            connected = true;
                            backoff.reset();
                            self.greet(session_present).await;
                        }
                        Ok(Happened::Refused { token: Parcel::Blocks(leases), reason }) => {
                            self.refused(leases, &reason);
                            refused_until = Some(Instant::now() + REFUSED_PAUSE);
                            more = true;
                        }
                        Ok(happened) => more |= self.landed(happened),
                    }
                    self.status.uplink().in_flight = publisher.in_flight();
                }
                // Without a sender there are no further schemas.
                Ok(()) = self.schemas.changed(), if connected => {}
                // Without the other end nothing is told of clocks, or no longer.
                Ok(()) = self.clock_map.changed(), if connected => self.memory.announcements.add_clock_map(),
                // What can be written can most often be read, too.
                () = self.stored.notified() => (more, unread_until) = (true, None),
                () = at(refused_until) => refused_until = None,
                () = at(unread_until) => unread_until = None,
                () = at(silent_at) => return Left::Silent,
            }
        }
    }

    /// Takes note of a packet's fate; true when there may be something to send.
    fn landed(&mut self, happened: Happened<Parcel>) -> bool {
        let announcements = &mut self.memory.announcements;
        match happened {
            Happened::Acked(Parcel::Blocks(leases)) => {
                let mut status = self.status.uplink();
                (status.acked_batches, status.error) = (status.acked_batches + 1, None);
                drop(status);
                self.inbox.ask(Request::Acked(leases));
                return true;
            }
            Happened::Returned(Parcel::Blocks(leases)) => self.inbox.ask(Request::Release(leases)),
            Happened::Acked(Parcel::Named(named)) => announcements.acknowledged(named),
            Happened::Returned(Parcel::Named(named)) => announcements.returned(named),
            // Schemas and status are retained: whoever comes later gets them.
            Happened::Acked(_)
            | Happened::Returned(_)
            | Happened::Refused { .. }
            | Happened::Connected { .. } => {}
        }
        false
    }

    /// The broker did not take a batch: most often because no gateway is subscribed.
    fn refused(&self, leases: Vec<Lease>, reason: &str) {
        let mut status = self.status.uplink();
        status.refused_batches += 1;
        let text = format!("the broker does not take blocks ({reason}); is a gateway running?");
        if status.error.as_deref() != Some(&text) {
            warn!("{text} They stay in the ring; trying every {REFUSED_PAUSE:?}");
            status.error = Some(text);
        }
        drop(status);
        self.inbox.ask(Request::Release(leases));
    }

    async fn greet(&mut self, session_present: bool) {
        info!(broker = self.config.link.broker(), session_present, "connected");
        {
            let mut status = self.status.uplink();
            (status.connected, status.error) = (true, None);
            status.connects += 1;
        }
        if !self.memory.had_session {
            // It may have been an earlier process's: the ring remembers.
            let link = &self.config.link;
            let (reply, answer) = oneshot::channel();
            self.inbox.ask(Request::Session(format!("{} at {}", link.client_id, link.broker()), reply));
            self.memory.had_session = answer.await.unwrap_or(false);
        }
        if self.memory.had_session && !session_present {
            warn!("the broker has lost this vehicle's session; what it acknowledged last is sent again");
            self.inbox.ask(Request::Reoffer(clock::boot().0 - REOFFER_NS));
        }
        self.memory.had_session = true;
        self.memory.announcements.begin(session_present);
    }

    /// Publishes what is to be known before blocks are, as far as there is room: where there is room left, all of it.
    fn announce(&mut self, publisher: &mut Publisher<Parcel>) {
        let schemas = self.schemas.borrow_and_update().clone();
        let announcements = &mut self.memory.announcements;
        announcements.add(schemas.iter().map(|(hash, _)| Named::Schema(*hash)));
        announcements.add(schemas.dictionaries().map(Named::Dictionary));
        if self.clock_map.has_changed().unwrap_or(false) {
            self.clock_map.mark_unchanged();
            announcements.add_clock_map();
        }
        while publisher.has_room()
            && let Some(next) = self.memory.announcements.next()
        {
            let (topic, payload, parcel) = match next {
                Announcement::Online => {
                    let topic = self.config.prefix.status(&self.vehicle);
                    (topic, self.status_text("online"), Parcel::Status)
                }
                Announcement::ClockMap => {
                    self.announce_clock_map(publisher);
                    continue;
                }
                Announcement::Named(named) => {
                    let (topic, block) = match named {
                        Named::Schema(hash) => (self.config.prefix.schema(hash), schemas.find(hash)),
                        Named::Dictionary(hash) => {
                            (self.config.prefix.dictionary(hash), schemas.find_dictionary(hash))
                        }
                    };
                    let block = block.map(|block| block.bytes().to_vec());
                    let Some(block) = block.or_else(|| self.memory.older.remove(&named)) else { continue };
                    (topic, block, Parcel::Named(named))
                }
            };
            // Where there is room and it is not taken the connection is going; the next one begins anew.
            let _ = publisher.publish(&topic, true, payload, parcel);
        }
    }

    /// Publishes what is known of the clocks. The broker forgets it in time: boots are many.
    fn announce_clock_map(&mut self, publisher: &mut Publisher<Parcel>) {
        let map = self.clock_map.borrow();
        let Some((boot, block)) = map.as_ref().and_then(|map| self.memory.map_sealer.seal(map)) else {
            return;
        };
        let topic = self.config.prefix.clock(&self.vehicle, boot);
        let expiry = Some(clock_maps::KEPT);
        let message = Message { topic: &topic, retain: true, expiry, alias: false, payload: block.into() };
        // As with the others: a connection that is going is followed by one that begins anew.
        let _ = publisher.send(message, Parcel::ClockMap);
    }

    async fn send_next(&mut self, publisher: &mut Publisher<Parcel>) -> Sent {
        let Some(leased) = self.lease().await else { return Sent::Unreadable };
        self.recall(&leased).await;
        // A reload may have come between: a schema is announced here before it is in use, and goes before its blocks.
        self.announce(publisher);
        if !publisher.has_room() {
            self.inbox.ask(Request::Release(leased.into_iter().map(|block| block.lease).collect()));
            return Sent::Later;
        }
        let Some(first) = leased.first() else { return Sent::Nothing };
        let topic = self.config.prefix.blocks(&self.vehicle, first.class);
        let payload = batch::encode(&self.vehicle, leased.iter().map(|block| block.bytes.as_slice()));
        let bytes = (payload.len() + topic.len() + PUBLISH_OVERHEAD) as u64;
        let leases: Vec<Lease> = leased.into_iter().map(|block| block.lease).collect();
        match publisher.publish(&topic, false, payload, Parcel::Blocks(leases)) {
            Ok(()) => {
                let mut status = self.status.uplink();
                status.sent_batches += 1;
                status.sent_bytes += bytes;
                status.in_flight = publisher.in_flight();
                Sent::Batch
            }
            Err(Parcel::Blocks(leases)) => {
                // The connection is going; `next` will say so.
                self.inbox.ask(Request::Release(leases));
                Sent::Nothing
            }
            Err(_) => Sent::Nothing,
        }
    }

    /// Blocks to send; `None` when the ring cannot be read.
    async fn lease(&mut self) -> Option<Vec<Leased>> {
        let (reply, answer) = oneshot::channel();
        self.inbox.ask(Request::Lease(self.config.batch_bytes, BLOCKS_PER_BATCH, reply));
        // A writer that is gone is a service that ends: nothing will come any more.
        let answer = answer.await.unwrap_or_else(|_| Ok(Vec::new()));
        let unreadable = answer.as_ref().err().map(ToString::to_string);
        match (&unreadable, &self.memory.unreadable) {
            (Some(error), before) if Some(error) == before.as_ref() => {
                debug!(error, "the ring cannot be read");
            }
            // A card that stays broken is reported once.
            (Some(error), _) => warn!(error, "the ring cannot be read; trying again with growing pauses"),
            (None, Some(_)) => info!("the ring can be read again"),
            (None, None) => return answer.ok(),
        }
        self.status.uplink().unreadable.clone_from(&unreadable);
        self.memory.unreadable = unreadable;
        answer.ok()
    }

    fn land(&self, parcels: Vec<Parcel>, left: &Left) {
        let leases: Vec<Lease> = parcels
            .into_iter()
            .flat_map(|parcel| if let Parcel::Blocks(leases) = parcel { leases } else { Vec::new() })
            .collect();
        let reason = match left {
            Left::Broken(error) => Some(error.to_string()),
            Left::Silent => {
                Some(format!("{} acknowledged nothing for {ACK_WITHIN:?}", self.config.link.broker()))
            }
            Left::Done | Left::Stopped => None,
        };
        if let Some(reason) = &reason {
            let mut status = self.status.uplink();
            // A broker that stays away is reported once.
            if status.error.as_deref() == Some(reason) {
                debug!("{reason}");
            } else {
                warn!(returned = leases.len(), "{reason}; trying again with growing pauses");
            }
            status.error.clone_from(&Some(reason.clone()));
        }
        let mut status = self.status.uplink();
        (status.connected, status.in_flight) = (false, 0);
        drop(status);
        if !leases.is_empty() {
            self.inbox.ask(Request::Release(leases));
        }
    }

    fn status_text(&self, state: &str) -> Vec<u8> {
        let status = serde_json::json!({
            "state": state,
            "vehicle": self.vehicle.as_str(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        status.to_string().into_bytes()
    }
}

/// Ends at the time given; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

enum Sent {
    /// A batch is under way.
    Batch,
    /// Something else has to go first.
    Later,
    /// There is nothing to send.
    Nothing,
    /// The ring cannot be read.
    Unreadable,
}
