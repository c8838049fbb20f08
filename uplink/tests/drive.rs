//! The session driven against a real broker that is killed and restarted: how the daemon is to wire it, and that it
//! works on a real socket as it does in the simulation.

#![cfg(feature = "mqtt")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[allow(unreachable_pub, dead_code, reason = "a part of this test")]
mod mosquitto;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use mosquitto::{LIMIT, Mosquitto, installed};
use store::block::{BootId, Class, Identity};
use tokio::time::timeout;
use uplink::batch;
use uplink::budget::{Budget, Limits, Now};
use uplink::link::Patience;
use uplink::mqtt::{Answer, Link, Message, Publisher, Received, Subscriber};
use uplink::schedule::{Policies, Waiting};
use uplink::session::{Action, Event, Offer, Parcel, Session, Settings};
use uplink::topic::{Prefix, VehicleId};
use uplink::wire::Wire;

/// Permission and content, as the ring leases them.
struct Leased {
    id: usize,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Ring {
    waiting: VecDeque<usize>,
    acked: BTreeMap<usize, u32>,
}

impl Ring {
    fn waiting(&self) -> Event<Leased> {
        let blocks = self.waiting.len() as u64;
        let mut waiting = [Waiting::default(); 5];
        waiting[Class::Live as usize] = Waiting { blocks, bytes: blocks * 500, records: blocks };
        Event::Waiting(waiting)
    }

    fn lease(&mut self, bytes_max: usize) -> Vec<Offer<Leased>> {
        let count = (bytes_max / 500).clamp(1, self.waiting.len().max(1)).min(self.waiting.len());
        let ids: Vec<usize> = self.waiting.drain(..count).collect();
        let offer = |id: usize| Offer {
            identity: Identity { boot: BootId([1; 16]), run: 1, sequence: id as u64 },
            bytes: 500,
            token: Leased { id, bytes: vec![(id % 251) as u8; 500] },
        };
        ids.into_iter().map(offer).collect()
    }
}

struct Vehicle {
    start: Instant,
    link: Link,
    topic: String,
    id: VehicleId,
    session: Session<Leased>,
    publisher: Option<Publisher<Parcel<Leased>>>,
    ring: Ring,
    wake_at: Option<Duration>,
}

impl Vehicle {
    fn now(&self) -> Now {
        Now { boot: BootId([1; 16]), boottime: self.start.elapsed(), wall: None }
    }

    fn event(&mut self, event: Event<Leased>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let step = self.session.step(self.now(), event);
            self.wake_at = step.wake_at;
            for action in step.actions {
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action<Leased>) -> Option<Event<Leased>> {
        match action {
            Action::Connect => self.publisher = Some(Publisher::connect(&self.link, 32)),
            Action::Disconnect(_) => {
                let parcels = self.publisher.take().map(Publisher::land).unwrap_or_default();
                return Some(Event::Closed { failure: uplink::refusal::Failure::Passing, parcels });
            }
            Action::Greet { .. } => {}
            Action::Lease { class, bytes_max, .. } => {
                return Some(Event::Leased(class, self.ring.lease(bytes_max)));
            }
            Action::Publish(mut parcel) => {
                let bytes: Vec<Vec<u8>> =
                    parcel.blocks.iter_mut().map(|offer| std::mem::take(&mut offer.token.bytes)).collect();
                let payload = batch::encode(&self.id, bytes.iter().map(Vec::as_slice)).into();
                let expiry = parcel.expiry;
                let message = Message { topic: &self.topic, retain: false, expiry, alias: true, payload };
                let publisher = self.publisher.as_mut().expect("the session publishes when connected");
                if let Err(unsent) = publisher.send(message, parcel) {
                    return Some(Event::Unsent(unsent.token));
                }
            }
            Action::Ack(leases) => {
                leases.into_iter().for_each(|lease| *self.ring.acked.entry(lease.id).or_default() += 1);
            }
            Action::Release(leases) => {
                leases.into_iter().rev().for_each(|lease| self.ring.waiting.push_front(lease.id));
                return Some(self.ring.waiting());
            }
            Action::SetAside(offer, why) => panic!("block {} set aside: {why}", offer.token.id),
            Action::SaveBudget(state) => return Some(Event::BudgetSaved(state)),
        }
        None
    }

    /// Waits for the next thing to happen and lets the session have it.
    async fn turn(&mut self) {
        let until = self.wake_at.map(|at| at.saturating_sub(self.start.elapsed()));
        let patience = until.unwrap_or(Duration::from_millis(200)).min(Duration::from_millis(200));
        let Some(publisher) = &mut self.publisher else {
            tokio::time::sleep(patience).await;
            return self.event(Event::Tick);
        };
        let event = match timeout(patience, publisher.next_answer()).await {
            Err(_) | Ok(Ok(Answer::Stray(_))) => Event::Tick,
            Ok(Ok(Answer::Connected { session_present, limits })) => {
                Event::Connected { session_present, limits }
            }
            Ok(Ok(Answer::Acked(parcel))) => Event::Acked(parcel),
            Ok(Ok(Answer::Refused { token, refusal, .. })) => Event::Refused(token, refusal),
            Ok(Ok(Answer::Pong(rtt))) => Event::Heard(rtt),
            Ok(Err(error)) => {
                let parcels = self.publisher.take().map(Publisher::land).unwrap_or_default();
                Event::Closed { failure: error.failure(), parcels }
            }
        };
        self.event(event);
    }
}

fn vehicle(broker: &Mosquitto) -> Vehicle {
    let (id, class) = (VehicleId::new("car-1").unwrap(), Class::Live);
    let topic = Prefix::new("ecu").unwrap().blocks(&id, class);
    let now = Now { boot: BootId([1; 16]), boottime: Duration::ZERO, wall: None };
    let quick = Duration::from_millis(50);
    let settings = Settings {
        policies: Policies::default(),
        patience: Patience {
            first_within: quick,
            spread: quick,
            first: quick,
            cap: quick * 4,
            ..Patience::default()
        },
        wire: Wire { tls: false, ipv6: false },
        topic_bytes: topic.len(),
        batch_overhead: batch::overhead(&id),
        batch_bytes_max: 4000,
        in_flight_max: 8,
        mqtt5: true,
        stay_connected: true,
    };
    let limits = Limits { day: Some(1 << 30), ..Limits::default() };
    Vehicle {
        start: Instant::now(),
        link: Link::parse(&broker.url(), "car-1").unwrap(),
        topic,
        id,
        session: Session::new(settings, Budget::new(limits, None, now), 1, false, now),
        publisher: None,
        ring: Ring { waiting: (0..3000).collect(), acked: BTreeMap::new() },
        wake_at: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_block_arrives_though_the_broker_is_killed_twice() {
    if !installed() {
        return;
    }
    // With its store on disk the broker keeps the gateway's session over its death, as one for a fleet does.
    let lines = "allow_anonymous true\npersistence true\npersistence_location DIR/\nautosave_interval 1";
    let mut broker = Mosquitto::start(lines, |_| {}).await;
    let gateway = Link::parse(&broker.url(), "gateway").unwrap();
    let receiving = tokio::spawn(receive(gateway));
    let mut vehicle = vehicle(&broker);
    let waiting = vehicle.ring.waiting();
    vehicle.event(waiting);
    let mut kills = [1000, 2000].into_iter().peekable();
    let whole = timeout(LIMIT * 4, async {
        while vehicle.ring.acked.len() < 3000 {
            if kills.next_if(|&at| vehicle.ring.acked.len() >= at).is_some() {
                broker.kill();
                for _ in 0..3 {
                    vehicle.turn().await;
                }
                broker.restart().await;
            }
            vehicle.turn().await;
        }
    });
    whole.await.unwrap_or_else(|_| panic!("{:?}", vehicle.session.counts()));
    assert!(vehicle.ring.acked.values().all(|acks| *acks == 1), "acknowledged twice");
    assert!(vehicle.session.is_idle() && vehicle.ring.waiting.is_empty());
    let counts = *vehicle.session.counts();
    println!("{counts:?}, rate {:.0} B/s", vehicle.session.pace().rate());
    assert_eq!(counts.published, counts.acked + counts.refused + counts.returned);
    assert!(counts.connects >= 3, "{counts:?}");
    let batches = receiving.await.unwrap();
    assert!(batches > 0);
    println!("{batches} batches at the gateway");
}

/// Receives until nothing comes for a while; gives how many batches did.
async fn receive(link: Link) -> usize {
    let (mut batches, mut quiet) = (0, 0);
    while quiet < 10 {
        let mut subscriber = Subscriber::connect(&link, &["ecu/+/blocks/+".to_owned()]);
        while quiet < 10 {
            match timeout(Duration::from_millis(500), subscriber.next()).await {
                Ok(Ok(Received::Message(delivery))) => {
                    (batches, quiet) = (batches + 1, 0);
                    if subscriber.acknowledge(&delivery).is_err() {
                        break;
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    break;
                }
                Err(_) => quiet += 1,
            }
        }
    }
    batches
}
