//! The uplink as one state machine: what happened goes in, what to do comes out.
//!
//! ```text
//! ring ── Lease ──▶ Offer<T> ── ready ── Parcel<T> ── Publish ──▶ broker
//!   ▲                                       │
//!   └── Ack │ Release │ SetAside ◀── Acked │ Refused │ Closed
//! ```
//! `T` is the caller's permission to send a block, such as the ring's lease with its bytes. It is never copied: each
//! goes out once, in [`Action::Ack`], [`Action::Release`] or [`Action::SetAside`]. The session reads no clock and does
//! no I/O; [`crate::budget::Now`] comes with every event.

mod events;
mod sending;
mod settings;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use store::block::{Class, Identity};

use crate::budget::{Budget, Now, Permit};
use crate::link::{Link, LinkState};
use crate::pace::{Pace, Stamp};
use crate::refusal::{Failure, Refusal, Verdict};
use crate::schedule::{CLASSES, Scheduler, Waiting};
use crate::suspects::{Judgement, Suspects};
use crate::window::{Conditions, Network};

pub use events::{Action, Aside, Counts, Event, Offer, Parcel, Step, Why};
pub use settings::{BrokerLimits, Settings};

/// What a broker acknowledged this shortly before the last acknowledgement may not yet have been with a gateway.
const REOFFER: Duration = Duration::from_secs(60);
/// How long to wait for a word of an edge that could not take a packet.
const STALL: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Flying {
    stamp: Stamp,
    bytes: u64,
    wire_bytes: u64,
    blocks: u64,
    deadline: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    until: Duration,
    /// Its length; nothing when the class is not paused.
    length: Duration,
}

/// The state machine. See the module's text.
#[derive(Debug)]
pub struct Session<T> {
    settings: Settings,
    scheduler: Scheduler,
    link: Link,
    pace: Pace,
    budget: Budget,
    suspects: Suspects,
    conditions: Conditions,
    limits: BrokerLimits,
    waiting: [Waiting; CLASSES],
    /// Leased and not yet sent; at most one lease's worth of a class, and a few suspects.
    ready: [VecDeque<Offer<T>>; CLASSES],
    /// A lease was asked for and not yet answered.
    leasing: Option<Class>,
    flight: BTreeMap<u64, Flying>,
    next_number: u64,
    paused: [Pause; CLASSES],
    /// The end of the connection was asked for.
    closing: Option<Why>,
    saving: bool,
    was_connected: bool,
    /// The last acknowledgement.
    acked_at: Option<Duration>,
    /// The edge took nothing; nothing is given to it before this time or its next word.
    stalled_until: Option<Duration>,
    /// Whether anything was acknowledged on this connection.
    carried: bool,
    counts: Counts,
}

impl<T> Session<T> {
    /// Down. `seed` is for jitter; a fleet's members must not share it. `was_connected`: whether this vehicle's process
    /// was before, so that a broker without a session has lost something.
    pub fn new(settings: Settings, budget: Budget, seed: u64, was_connected: bool, now: Now) -> Self {
        Self {
            scheduler: Scheduler::new(settings.policies.clone()),
            link: Link::new(settings.patience, seed, now.boottime),
            settings,
            pace: Pace::default(),
            budget,
            suspects: Suspects::default(),
            conditions: Conditions::default(),
            limits: BrokerLimits::default(),
            waiting: [Waiting::default(); CLASSES],
            ready: core::array::from_fn(|_| VecDeque::new()),
            leasing: None,
            flight: BTreeMap::new(),
            next_number: 0,
            paused: [Pause::default(); CLASSES],
            closing: None,
            saving: false,
            was_connected,
            acked_at: None,
            stalled_until: None,
            carried: false,
            counts: Counts::default(),
        }
    }

    /// Takes in what happened and says what to do.
    pub fn step(&mut self, now: Now, event: Event<T>) -> Step<T> {
        let mut actions = Vec::new();
        self.budget.advance(now);
        self.take_in(now.boottime, event, &mut actions);
        let wake_at = self.go_on(now.boottime, &mut actions);
        Step { actions, wake_at }
    }

    /// How the link is.
    pub fn link(&self, now: Duration) -> LinkState {
        self.link.state(now)
    }

    /// The estimate of rate and round trip.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The account. At an orderly stop, keep [`Budget::close`].
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What was done so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// Whether nothing is leased or under way, so that it could end.
    pub fn is_idle(&self) -> bool {
        self.flight.is_empty() && self.leasing.is_none() && self.ready.iter().all(VecDeque::is_empty)
    }

    /// Gives back what was leased and not sent, to stop.
    pub fn stop(&mut self) -> Vec<T> {
        self.ready.iter_mut().flat_map(core::mem::take).map(|offer| offer.token).collect()
    }

    fn take_in(&mut self, now: Duration, event: Event<T>, actions: &mut Vec<Action<T>>) {
        match event {
            Event::Tick => {}
            Event::Waiting(waiting) => self.waiting = waiting,
            Event::Leased(class, blocks) => self.leased(class, blocks, actions),
            Event::Conditions(conditions) => {
                self.conditions = conditions;
                if self.link.interface(now, conditions.network != Network::None) {
                    self.close(Why::NoRoute, actions);
                }
            }
            Event::Connected { session_present, limits } => {
                self.link.connected();
                (self.limits, self.carried) = (limits, false);
                let retained = !(self.was_connected && session_present);
                // Counted from the last acknowledgement, not from now: the broker may have been away for long.
                let reoffer_since = (self.was_connected && !session_present)
                    .then(|| self.acked_at.unwrap_or(now).saturating_sub(REOFFER));
                self.was_connected = true;
                actions.push(Action::Greet { retained, reoffer_since });
            }
            Event::Closed { failure, parcels } => self.closed(now, failure, parcels, actions),
            Event::Acked(parcel) => self.acked(now, parcel, actions),
            Event::Refused(parcel, refusal) => self.refused(now, parcel, refusal, actions),
            Event::Unsent(parcel) => {
                if let Some(flying) = self.flight.remove(&parcel.number) {
                    self.counts.published -= flying.blocks;
                    self.counts.wire_bytes -= flying.wire_bytes;
                    self.budget.refund(flying.wire_bytes);
                }
                // The connection will say what is wrong; until then nothing is offered to it.
                self.stalled_until = Some(now + STALL);
                actions.push(Action::Release(tokens(parcel.blocks)));
            }
            Event::Heard(rtt) => {
                if self.link.is_up() {
                    self.link.acked(rtt);
                }
            }
            Event::Spent(bytes) => self.spend(bytes),
            Event::BudgetSaved(state) => {
                self.saving = false;
                self.budget.saved(&state);
            }
        }
    }

    fn spend(&mut self, bytes: u64) {
        self.counts.wire_bytes += bytes;
        self.budget.spend(bytes);
    }

    fn close(&mut self, why: Why, actions: &mut Vec<Action<T>>) {
        if self.closing.is_none() {
            self.closing = Some(why);
            actions.push(Action::Disconnect(why));
        }
    }

    fn leased(&mut self, class: Class, blocks: Vec<Offer<T>>, actions: &mut Vec<Action<T>>) {
        if let Some(asked) = self.leasing.take()
            && (blocks.is_empty() || asked != class)
        {
            // Nothing of what was counted is to be had now; the ring's next word will say.
            self.waiting[asked as usize] = Waiting::default();
        }
        let waiting = &mut self.waiting[class as usize];
        for offer in blocks {
            waiting.blocks = waiting.blocks.saturating_sub(1);
            waiting.bytes = waiting.bytes.saturating_sub(offer.bytes as u64);
            let packet = self.settings.packet_bytes(core::iter::once(offer.bytes), class, false);
            if packet > self.limits.packet_bytes_max {
                self.counts.set_aside += 1;
                let limit = self.limits.packet_bytes_max;
                actions.push(Action::SetAside(offer, Aside::Oversize { packet, limit }));
            } else {
                self.ready[class as usize].push_back(offer);
            }
        }
    }

    fn acked(&mut self, now: Duration, parcel: Parcel<T>, actions: &mut Vec<Action<T>>) {
        (self.carried, self.acked_at, self.stalled_until) = (true, Some(now), None);
        self.paused[parcel.class as usize] = Pause::default();
        self.suspects.acked(parcel.blocks.iter().map(|offer| &offer.identity));
        if let Some(flying) = self.flight.remove(&parcel.number) {
            let rtt = self.pace.acked(now, flying.stamp);
            if self.link.is_up() {
                self.link.acked(rtt);
            }
        }
        self.counts.acked += parcel.blocks.len() as u64;
        actions.push(Action::Ack(tokens(parcel.blocks)));
    }

    fn refused(&mut self, now: Duration, parcel: Parcel<T>, refusal: Refusal, actions: &mut Vec<Action<T>>) {
        // An answer all the same: the link carries.
        (self.carried, self.stalled_until) = (true, None);
        if let Some(flying) = self.flight.remove(&parcel.number) {
            let rtt = self.pace.acked(now, flying.stamp);
            if self.link.is_up() {
                self.link.acked(rtt);
            }
        }
        self.counts.refused += parcel.blocks.len() as u64;
        match refusal.verdict() {
            Verdict::Later { first, cap } => self.pause(now, parcel.class, first, cap),
            Verdict::Slower { first, cap } => {
                self.pause(now, parcel.class, first, cap);
                self.pace.lost(1);
            }
            Verdict::Reconnect => self.close(Why::PacketIds, actions),
            Verdict::Suspect => {
                self.pause(now, parcel.class, Duration::from_millis(500), Duration::from_secs(60));
                let identities: Vec<Identity> = parcel.blocks.iter().map(|offer| offer.identity).collect();
                if self.suspects.refused(&identities) == Judgement::SetAside {
                    self.set_aside(parcel.blocks, Aside::Refused(refusal), actions);
                    return;
                }
            }
        }
        actions.push(Action::Release(tokens(parcel.blocks)));
    }

    fn set_aside(&mut self, blocks: Vec<Offer<T>>, why: Aside, actions: &mut Vec<Action<T>>) {
        self.counts.set_aside += blocks.len() as u64;
        actions.extend(blocks.into_iter().map(|offer| Action::SetAside(offer, why)));
    }

    /// Refusals that come while a class is paused already were under way before and lengthen nothing.
    fn pause(&mut self, now: Duration, class: Class, first: Duration, cap: Duration) {
        let pause = &mut self.paused[class as usize];
        if now >= pause.until {
            pause.length = (pause.length * 2).clamp(first, cap);
            pause.until = now + pause.length;
        }
    }

    fn closed(
        &mut self,
        now: Duration,
        failure: Failure,
        mut parcels: Vec<Parcel<T>>,
        actions: &mut Vec<Action<T>>,
    ) {
        let why = self.closing.take();
        self.stalled_until = None;
        let under_way: u64 = self.flight.values().map(|flying| flying.bytes).sum();
        self.counts.returned += parcels.iter().map(|parcel| parcel.blocks.len() as u64).sum::<u64>();
        self.flight.clear();
        self.pace.lost(under_way);
        if why == Some(Why::Budget) {
            let wait = match self.budget.permit(Class::Critical, self.settings.wire.connect(), 0) {
                Permit::After(wait) => wait,
                Permit::Granted | Permit::Save(_) => Duration::ZERO,
            };
            self.link.rest(now + wait);
        } else {
            self.link.lost(now, failure);
        }
        let mut returned: Vec<T> = self.stop();
        parcels.sort_by_key(|parcel| parcel.number);
        let mut parcels = parcels.into_iter();
        if !self.carried
            && why.is_none_or(|why| why == Why::Silent)
            && let Some(first) = parcels.next()
        {
            let identities: Vec<Identity> = first.blocks.iter().map(|offer| offer.identity).collect();
            if self.suspects.broke(&identities) == Judgement::SetAside {
                self.set_aside(first.blocks, Aside::Breaks, actions);
            } else {
                returned.extend(tokens(first.blocks));
            }
        }
        returned.extend(parcels.flat_map(|parcel| tokens(parcel.blocks)));
        if !returned.is_empty() {
            actions.push(Action::Release(returned));
        }
    }
}

fn tokens<T>(blocks: Vec<Offer<T>>) -> Vec<T> {
    blocks.into_iter().map(|offer| offer.token).collect()
}
