//! A vehicle, a link, a broker and a gateway in simulated time: everything that goes wrong comes from one seed.

mod net;
mod ring;

use std::time::Duration;

use store::block::{BootId, Class};
use uplink::budget::{Budget, Limits, Now, Permit};
use uplink::flight::Flight;
use uplink::link::Patience;
use uplink::random::Random;
use uplink::refusal::{Failure, Refusal};
use uplink::schedule::Policies;
use uplink::session::{Action, BrokerLimits, Event, Parcel, Session, Settings};
use uplink::window::{Conditions, Network};
use uplink::wire::Wire;

pub use net::Weather;
use net::{Arrival, Net};
use ring::Ring;
pub use ring::{Block, State, Ticket};

/// The dearest there is.
const WIRE: Wire = Wire { tls: true, ipv6: true };

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the vehicle does and how the world is.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub weather: Weather,
    pub limits: Limits,
    pub policies: Policies,
    /// Blocks a second of each class, on average, and their bytes.
    pub load: [(f64, usize); 5],
    /// Blocks that wait at the start.
    pub backlog: [usize; 5],
    /// Blocks are sealed and faults happen for this long.
    pub lasts: Duration,
    /// Then it may take this long until all is quiet.
    pub settles: Duration,
    /// One block in this many is refused as invalid.
    pub poison_one_in: Option<u64>,
    /// One block in this many is too large for the broker.
    pub oversize_one_in: Option<u64>,
    pub receive_max: u16,
}

pub struct World {
    pub plan: Plan,
    pub now: Duration,
    pub random: Random,
    pub session: Session<Ticket>,
    pub ring: Ring,
    net: Net,
    flight: Flight<Parcel<Ticket>>,
    next_pkid: u16,
    wake_at: Option<Duration>,
    /// What the broker acknowledged and has not yet given on: lost with its memory.
    in_broker: Vec<(Duration, Vec<usize>)>,
    session_present: bool,
    /// Wire bytes with their times, all of them.
    pub wire: Vec<(Duration, u64)>,
    /// What went without the session's knowledge and is not yet told.
    untold: u64,
    pub stray_acks: u64,
    pub refusals: u64,
    connection: u64,
    up_since: Option<Duration>,
    /// Delays of class 0 from sealing, or from the connection where that came later, to the broker.
    pub critical_delays: Vec<Duration>,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let settings = Settings {
            policies: plan.policies.clone(),
            patience: Patience::default(),
            wire: WIRE,
            topic_bytes: 24,
            batch_overhead: 11,
            batch_bytes_max: 64 << 10,
            in_flight_max: 32,
            mqtt5: true,
            stay_connected: true,
        };
        let budget = Budget::new(plan.limits, None, at(Duration::ZERO));
        let session = Session::new(settings, budget, random.next_u64(), false, at(Duration::ZERO));
        let mut ring = Ring::default();
        for &class in Class::ALL {
            for _ in 0..plan.backlog[class as usize] {
                ring.seal(&plan, &mut random, class, Duration::ZERO);
            }
        }
        Self {
            net: Net::new(plan.weather, random.next_u64()),
            plan,
            now: Duration::ZERO,
            random,
            session,
            ring,
            flight: Flight::new(64),
            next_pkid: 0,
            wake_at: Some(Duration::ZERO),
            in_broker: Vec::new(),
            session_present: false,
            wire: Vec::new(),
            untold: 0,
            stray_acks: 0,
            refusals: 0,
            connection: 0,
            up_since: None,
            critical_delays: Vec::new(),
        }
    }

    /// Lets it all happen.
    pub fn run(&mut self) {
        self.event(Event::Conditions(Conditions { network: Network::Cellular, ..Conditions::default() }));
        self.event(Event::Waiting(self.ring.waiting()));
        let tick = Duration::from_millis(100);
        let end = self.plan.lasts + self.plan.settles;
        while self.now < end {
            self.now += tick;
            let calm = self.now > self.plan.lasts;
            if !calm {
                self.seal(tick);
            }
            for arrival in self.net.pass(self.now, tick, calm) {
                self.arrive(arrival);
            }
            self.give_on();
            if self.wake_at.is_some_and(|at| at <= self.now) {
                self.event(Event::Tick);
            }
            if calm && self.ring.waiting().iter().all(|class| class.blocks == 0) && self.session.is_idle() {
                break;
            }
        }
        self.now += seconds(60);
        self.give_on();
    }

    fn seal(&mut self, tick: Duration) {
        let mut sealed = false;
        for &class in Class::ALL {
            let chance = self.plan.load[class as usize].0 * tick.as_secs_f64();
            if f64::from(self.random.next_u32()) < chance * f64::from(u32::MAX) {
                self.ring.seal(&self.plan, &mut self.random, class, self.now);
                sealed = true;
            }
        }
        if sealed {
            self.event(Event::Waiting(self.ring.waiting()));
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Connack(connection) if connection == self.connection => {
                self.up_since = Some(self.now);
                let limits = BrokerLimits {
                    packet_bytes_max: 128 << 10,
                    receive_max: self.plan.receive_max,
                    ..BrokerLimits::default()
                };
                let session_present = std::mem::replace(&mut self.session_present, true);
                self.event(Event::Connected { session_present, limits });
            }
            Arrival::Publish { connection, pkid, blocks, class } => {
                // The broker has it, whether or not the vehicle is still there.
                let poisoned = blocks.iter().any(|&block| self.ring.blocks[block].poison);
                if !poisoned {
                    if class == Class::Critical && connection == self.connection {
                        self.note_delay(&blocks);
                    }
                    self.in_broker.push((self.now, blocks));
                }
                self.net.answer(self.now, connection, pkid, poisoned);
            }
            Arrival::Puback { connection, pkid, poisoned } if connection == self.connection => {
                match self.flight.acknowledge(pkid) {
                    None => self.stray_acks += 1,
                    Some(parcel) if poisoned => {
                        self.refusals += 1;
                        self.event(Event::Refused(parcel, Refusal::PAYLOAD_FORMAT_INVALID));
                    }
                    Some(parcel) => self.event(Event::Acked(parcel)),
                }
            }
            Arrival::Broken(connection) if connection == self.connection => self.end(),
            Arrival::Retransmitted(bytes) => {
                self.wire.push((self.now, bytes));
                self.untold += bytes;
                let untold = std::mem::take(&mut self.untold);
                self.event(Event::Spent(untold));
            }
            Arrival::Forgotten => {
                // The broker died without its disk: what it had acknowledged and not given on is gone.
                self.in_broker.clear();
                self.session_present = false;
            }
            Arrival::Connack(_) | Arrival::Puback { .. } | Arrival::Broken(_) => {}
        }
    }

    fn note_delay(&mut self, blocks: &[usize]) {
        for &block in blocks {
            let block = &mut self.ring.blocks[block];
            if !std::mem::replace(&mut block.seen, true) {
                let since = block.sealed_at.max(self.up_since.unwrap_or_default());
                self.critical_delays.push(self.now.saturating_sub(since));
            }
        }
    }

    /// A broker gives on what it has for up to five seconds.
    fn give_on(&mut self) {
        let now = self.now;
        let (due, rest) = std::mem::take(&mut self.in_broker)
            .into_iter()
            .partition::<Vec<_>, _>(|(since, _)| now.saturating_sub(*since) > seconds(5));
        self.in_broker = rest;
        for block in due.into_iter().flat_map(|(_, blocks)| blocks) {
            self.ring.blocks[block].received += 1;
        }
    }

    /// The connection is over: everything under way comes back.
    fn end(&mut self) {
        self.connection += 1;
        self.up_since = None;
        let parcels = self.flight.land();
        self.event(Event::Closed { failure: Failure::Passing, parcels });
    }

    fn event(&mut self, event: Event<Ticket>) {
        let mut events = std::collections::VecDeque::from([event]);
        let mut turns = 0;
        while let Some(event) = events.pop_front() {
            turns += 1;
            assert!(turns < 10_000, "the session never rests");
            let step = self.session.step(at(self.now), event);
            self.wake_at = step.wake_at;
            if let Some(wake_at) = step.wake_at {
                assert!(wake_at > self.now || !events.is_empty() || !step.actions.is_empty(), "a busy loop");
            }
            for action in step.actions {
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action<Ticket>) -> Option<Event<Ticket>> {
        match action {
            Action::Connect => {
                self.wire.push((self.now, WIRE.connect()));
                self.net.connect(self.now, self.connection);
                None
            }
            Action::Disconnect(_) => {
                self.net.hang_up(self.connection);
                self.connection += 1;
                self.up_since = None;
                let parcels = self.flight.land();
                Some(Event::Closed { failure: Failure::Passing, parcels })
            }
            Action::Greet { reoffer_since, .. } => {
                if let Some(since) = reoffer_since {
                    self.ring.reoffer(since);
                }
                Some(Event::Waiting(self.ring.waiting()))
            }
            Action::Lease { class, order, bytes_max, blocks_max } => {
                let offers = self.ring.lease(class, order, bytes_max, blocks_max);
                Some(Event::Leased(class, offers))
            }
            Action::Publish(parcel) => self.publish(parcel),
            Action::Ack(tickets) => {
                tickets.into_iter().for_each(|ticket| self.ring.ack(ticket, self.now));
                None
            }
            Action::Release(tickets) => {
                tickets.into_iter().for_each(|ticket| self.ring.release(ticket));
                Some(Event::Waiting(self.ring.waiting()))
            }
            Action::SetAside(offer, _) => {
                self.ring.set_aside(offer.token);
                None
            }
            Action::SaveBudget(state) => Some(Event::BudgetSaved(state)),
        }
    }

    fn publish(&mut self, parcel: Parcel<Ticket>) -> Option<Event<Ticket>> {
        if !self.flight.has_room() {
            return Some(Event::Unsent(parcel));
        }
        let payload = 11 + parcel.blocks.iter().map(|offer| 4 + offer.bytes).sum::<usize>();
        let packet =
            uplink::wire::publish_packet(uplink::wire::TopicForm::Introduced(24), payload, true, false);
        let bytes = WIRE.publish(packet);
        self.wire.push((self.now, bytes));
        assert!(packet <= 128 << 10, "above the broker's limit");
        self.next_pkid = self.next_pkid % 4096 + 1;
        let blocks = parcel.blocks.iter().map(|offer| offer.token.0).collect();
        self.net.publish(self.now, self.connection, self.next_pkid, blocks, parcel.class, bytes);
        self.flight.take_off(parcel);
        let lost = self.flight.number(self.next_pkid);
        assert!(lost.is_none(), "a packet id was used twice");
        None
    }

    /// Most wire bytes in any interval of this length.
    pub fn most_in(&self, span: Duration) -> u64 {
        let (mut most, mut sum, mut from) = (0, 0, 0);
        for &(at, bytes) in &self.wire {
            sum += bytes;
            while self.wire[from].0 + span <= at {
                sum -= self.wire[from].1;
                from += 1;
            }
            most = most.max(sum);
        }
        most
    }

    /// Whether class 0 may spend a byte, as a vehicle asks.
    pub fn permit(&self) -> Permit {
        self.session.budget().permit(Class::Critical, 1, 0)
    }
}

pub fn at(boottime: Duration) -> Now {
    Now { boot: BootId([7; 16]), boottime, wall: None }
}
