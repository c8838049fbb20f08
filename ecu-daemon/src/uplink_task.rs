//! The uplink: leases blocks from the ring, publishes them, and frees them when the broker has them.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::time::{Duration, Instant};

use store::block::{SchemaHash, SealedBlock};
use store::ring::{Lease, Leased};
use tokio::sync::{Notify, oneshot};
use tracing::{debug, info, warn};
use uplink::backoff::Backoff;
use uplink::batch;
use uplink::mqtt::{Happened, LinkError, Publisher};
use uplink::topic::VehicleId;

use crate::clock;
use crate::config::Uplink;
use crate::inbox::{Inbox, Request};
use crate::status::Status;

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
const BLOCKS_PER_BATCH: usize = 256;
/// Bytes of a PUBLISH besides topic and payload: type, a length of up to 3 bytes, topic length, packet id (MQTT 3.1.1
/// §3.3).
const PUBLISH_OVERHEAD: usize = 8;
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// What travels with a packet until it is acknowledged.
enum Parcel {
    Blocks(Vec<Lease>),
    Schema,
    Status,
}

/// The task's state.
pub struct UplinkTask<'a> {
    /// Where to.
    pub config: Uplink,
    /// Who we are.
    pub vehicle: VehicleId,
    /// What the blocks refer to.
    pub schema: (SchemaHash, SealedBlock),
    /// The writer.
    pub inbox: &'a Inbox,
    /// Told after every commit.
    pub stored: &'a Notify,
    /// What the others may know.
    pub status: &'a Status,
    /// Set once everything is sealed and in the ring.
    pub complete: &'a AtomicBool,
    /// Whether this process had a session with the broker before.
    pub had_session: bool,
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
        loop {
            if connected && more && refused_until.is_none() && publisher.has_room() {
                match self.send_next(publisher).await {
                    Sent::Batch => {
                        // Silence counts from when there was something to answer.
                        if publisher.in_flight() == 1 {
                            heard = Instant::now();
                        }
                        continue;
                    }
                    Sent::Nothing => more = false,
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
                            self.greet(publisher, session_present);
                        }
                        Ok(Happened::Acked(Parcel::Blocks(leases))) => {
                            let mut status = self.status.uplink();
                            (status.acked_batches, status.error) = (status.acked_batches + 1, None);
                            drop(status);
                            self.inbox.ask(Request::Acked(leases));
                            more = true;
                        }
                        Ok(Happened::Refused { token: Parcel::Blocks(leases), reason }) => {
                            self.refused(leases, &reason);
                            refused_until = Some(Instant::now() + REFUSED_PAUSE);
                            more = true;
                        }
                        Ok(Happened::Returned(Parcel::Blocks(leases))) => self.inbox.ask(Request::Release(leases)),
                        // Schema and status are retained: whoever comes later gets them.
                        Ok(Happened::Acked(_) | Happened::Returned(_) | Happened::Refused { .. }) => {}
                    }
                    self.status.uplink().in_flight = publisher.in_flight();
                }
                () = self.stored.notified() => more = true,
                () = at(refused_until) => refused_until = None,
                () = at(silent_at) => return Left::Silent,
            }
        }
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

    /// What the broker must know before blocks make sense.
    fn greet(&mut self, publisher: &mut Publisher<Parcel>, session_present: bool) {
        info!(broker = self.config.link.broker(), session_present, "connected");
        let mut status = self.status.uplink();
        (status.connected, status.error) = (true, None);
        status.connects += 1;
        drop(status);
        if self.had_session && !session_present {
            warn!("the broker has lost this vehicle's session; what it acknowledged last is sent again");
            self.inbox.ask(Request::Reoffer(clock::boot().0 - REOFFER_NS));
        }
        // Retained: once per broker memory. A new process may have a new configuration, so it says it once, too.
        if !self.had_session || !session_present {
            let (hash, block) = &self.schema;
            let topic = self.config.prefix.schema(*hash);
            let _ = publisher.publish(&topic, true, block.bytes().to_vec(), Parcel::Schema);
        }
        let topic = self.config.prefix.status(&self.vehicle);
        let _ = publisher.publish(&topic, true, self.status_text("online"), Parcel::Status);
        self.had_session = true;
    }

    async fn send_next(&self, publisher: &mut Publisher<Parcel>) -> Sent {
        let leased = self.lease().await;
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

    async fn lease(&self) -> Vec<Leased> {
        let (reply, answer) = oneshot::channel();
        self.inbox.ask(Request::Lease(self.config.batch_bytes, BLOCKS_PER_BATCH, reply));
        match answer.await {
            Ok(Ok(leased)) => leased,
            Ok(Err(error)) => {
                warn!(%error, "the ring cannot be read; trying again with the next block");
                Vec::new()
            }
            // The writer is gone; nothing will come any more.
            Err(_) => Vec::new(),
        }
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
    Batch,
    Nothing,
}
