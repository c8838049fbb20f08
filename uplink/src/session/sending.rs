//! What goes next, if anything may.

use core::time::Duration;

use store::block::Class;

use super::{Action, Flying, Offer, Parcel, Session, Why};
use crate::batch;
use crate::budget::Permit;
use crate::link::LinkState;

/// Suspects of a class that are held back until the broker's answer to another block tells who is to blame.
const HELD_MAX: usize = 8;
/// Blocks of a batch; [`batch::BLOCKS_MAX`] is what a reader allows.
const BLOCKS_PER_BATCH: usize = 256;
const _: () = assert!(BLOCKS_PER_BATCH <= batch::BLOCKS_MAX);

impl<T> Session<T> {
    /// Does all that may be done now; gives when more may be.
    pub(super) fn go_on(&mut self, now: Duration, actions: &mut Vec<Action<T>>) -> Option<Duration> {
        if self.budget.save_due() {
            self.save(0, actions);
        }
        let mut wake_at = self.keep_link(now, actions);
        if !self.link.is_up() || self.closing.is_some() {
            return wake_at;
        }
        let mut wake = |at: Duration| wake_at = Some(wake_at.map_or(at, |earlier: Duration| earlier.min(at)));
        for pause in &self.paused {
            if pause.until > now {
                wake(pause.until);
            }
        }
        if let Some(until) = self.stalled_until.filter(|until| *until > now) {
            wake(until);
            return wake_at;
        }
        // Bounded by what may be under way.
        for _ in 0..=self.in_flight_max() {
            let Some(class) = self.next_class(now) else {
                self.pace.idle(self.bytes_under_way());
                break;
            };
            if !self.has_room(class) {
                break;
            }
            if self.sendable(class).is_none() {
                if self.leasing.is_none() {
                    self.lease(class, actions);
                }
                break;
            }
            if let Some(until) = self.send(now, class, actions) {
                wake(until);
                break;
            }
        }
        let deadline = self.flight.values().map(|flying| flying.deadline).min();
        if let Some(deadline) = deadline {
            wake(deadline);
        }
        wake_at
    }

    fn save(&mut self, bytes: u64, actions: &mut Vec<Action<T>>) {
        if !self.saving {
            self.saving = true;
            actions.push(Action::SaveBudget(self.budget.save(bytes)));
        }
    }

    fn keep_link(&mut self, now: Duration, actions: &mut Vec<Action<T>>) -> Option<Duration> {
        if self.closing.is_some() {
            return None;
        }
        if self.link.overdue(now) {
            self.close(Why::NoConnack, actions);
        } else if self.flight.values().any(|flying| flying.deadline <= now) {
            self.close(Why::Silent, actions);
        } else if self.link.is_up() && self.is_spent() {
            self.close(Why::Budget, actions);
        } else if self.link.due(now) && self.is_wanted() {
            let class = if self.waits(Class::Critical) { Class::Critical } else { Class::Live };
            let bytes = self.settings.wire.connect();
            match self.budget.permit(class, bytes, bytes) {
                Permit::Granted => {
                    self.spend(bytes);
                    self.counts.connects += 1;
                    self.link.connecting(now);
                    actions.push(Action::Connect);
                }
                Permit::After(wait) => return Some(now + wait),
                Permit::Save(bytes) => {
                    self.save(bytes, actions);
                    return None;
                }
            }
        }
        self.link.wake_at().filter(|at| *at > now)
    }

    /// Whether not even what happens unasked, pings or retransmissions of what is under way, may go any more.
    fn is_spent(&self) -> bool {
        let ping = if self.flight.is_empty() { self.settings.wire.ping() } else { 0 };
        matches!(self.budget.permit_unasked(2 * ping), Permit::After(_))
    }

    fn is_wanted(&self) -> bool {
        let open = |&class: &Class| {
            self.waits(class) && self.scheduler.open(class, LinkState::Good, &self.conditions)
        };
        self.settings.stay_connected || Class::ALL.iter().any(open)
    }

    fn waits(&self, class: Class) -> bool {
        self.waiting[class as usize].blocks > 0 || !self.ready[class as usize].is_empty()
    }

    fn in_flight_max(&self) -> usize {
        self.settings.in_flight_max.min(usize::from(self.limits.receive_max)).max(1)
    }

    fn bytes_under_way(&self) -> u64 {
        self.flight.values().map(|flying| flying.bytes).sum()
    }

    /// The class that is to go next, whether or not it fits now.
    fn next_class(&self, now: Duration) -> Option<Class> {
        let mut waiting = self.waiting;
        for (class, ready) in waiting.iter_mut().zip(&self.ready) {
            class.blocks += ready.len() as u64;
            class.bytes += ready.iter().map(|offer| offer.bytes as u64).sum::<u64>();
        }
        self.scheduler.choose(&waiting, |class| self.may_go(class, now))
    }

    fn may_go(&self, class: Class, now: Duration) -> bool {
        let index = class as usize;
        self.paused[index].until <= now
            && self.scheduler.open(class, self.link.state(now), &self.conditions)
            && (self.sendable(class).is_some()
                || (self.waiting[index].blocks > 0 && self.ready[index].len() < HELD_MAX))
    }

    /// The first ready block of the class that need not wait for another's fate.
    fn sendable(&self, class: Class) -> Option<usize> {
        let ready = &self.ready[class as usize];
        let free = ready.iter().position(|offer| !self.suspects.waits(&offer.identity));
        // When nothing else is left that could tell, it goes all the same.
        let alone = self.flight.is_empty()
            && Class::ALL.iter().all(|&class| {
                let index = class as usize;
                self.waiting[index].blocks == 0 || self.ready[index].len() >= HELD_MAX
            });
        free.or_else(|| (alone && !ready.is_empty()).then_some(0))
    }

    /// Room for the class under the window and in the number of packets. One packet is kept for class 0, which may
    /// also exceed the window, so that it never waits for an acknowledgement.
    fn has_room(&self, class: Class) -> bool {
        let max = self.in_flight_max();
        let batch = self.pace.batch_bytes();
        let under_way = self.bytes_under_way();
        if class == Class::Critical {
            self.flight.len() < max && under_way <= self.pace.window() + 4 * batch
        } else {
            self.flight.is_empty() || (self.flight.len() + 1 < max && under_way + batch <= self.pace.window())
        }
    }

    fn batch_bytes(&self) -> usize {
        let limit = self.limits.packet_bytes_max.saturating_sub(self.settings.packet_bytes(
            core::iter::empty(),
            Class::Bulk,
            true,
        ));
        let burst = self.budget.burst().map_or(u64::MAX, |burst| burst / 2);
        let bytes = self.pace.batch_bytes().min(limit).min(burst).max(1) as usize;
        bytes.min(self.settings.batch_bytes_max)
    }

    fn lease(&mut self, class: Class, actions: &mut Vec<Action<T>>) {
        self.leasing = Some(class);
        let order = self.scheduler.policies().of(class).order;
        let bytes_max = self.batch_bytes();
        actions.push(Action::Lease { class, order, bytes_max, blocks_max: BLOCKS_PER_BATCH });
    }

    /// Takes blocks for one packet from what is ready, from `at` on.
    fn take(&mut self, class: Class, at: usize) -> Vec<Offer<T>> {
        let bytes_max = self.batch_bytes();
        let mut taken: Vec<Offer<T>> = Vec::new();
        let (mut bytes, mut together) = (0, usize::MAX);
        while let Some(offer) = self.ready[class as usize].get(at) {
            together = together.min(self.suspects.together(&offer.identity));
            bytes += 4 + offer.bytes;
            if !taken.is_empty() && (taken.len() >= together.min(BLOCKS_PER_BATCH) || bytes > bytes_max) {
                break;
            }
            taken.extend(self.ready[class as usize].remove(at));
        }
        taken
    }

    fn put_back(&mut self, class: Class, at: usize, blocks: Vec<Offer<T>>) {
        let ready = &mut self.ready[class as usize];
        blocks.into_iter().rev().for_each(|offer| ready.insert(at.min(ready.len()), offer));
    }

    /// Sends one packet, or gives the time at which the budget may allow it.
    fn send(&mut self, now: Duration, class: Class, actions: &mut Vec<Action<T>>) -> Option<Duration> {
        let at = self.sendable(class)?;
        let blocks = self.take(class, at);
        let expiry = self.scheduler.policies().of(class).expiry.filter(|_| self.settings.mqtt5);
        let bytes =
            self.settings.packet_bytes(blocks.iter().map(|offer| offer.bytes), class, expiry.is_some());
        let wire_bytes = self.settings.wire.publish(bytes);
        if class != Class::Critical
            && !self.flight.is_empty()
            && self.bytes_under_way() + bytes > self.pace.window() + self.pace.batch_bytes()
        {
            // A block may be larger than a batch should be: it waits for the next acknowledgement.
            self.put_back(class, at, blocks);
            return Some(now + Duration::from_secs(60));
        }
        // All that is under way may have to be sent twice more, and must still fit.
        let risk = 2 * (wire_bytes + self.flight.values().map(|flying| flying.wire_bytes).sum::<u64>());
        match self.budget.permit(class, wire_bytes, risk) {
            Permit::Granted => {}
            wait => {
                self.put_back(class, at, blocks);
                return match wait {
                    Permit::After(wait) => Some(now + wait),
                    Permit::Save(bytes) => {
                        self.save(bytes, actions);
                        // The save's answer comes sooner.
                        Some(now + Duration::from_secs(60))
                    }
                    Permit::Granted => None,
                };
            }
        }
        self.spend(wire_bytes);
        let under_way = self.bytes_under_way();
        let stamp = self.pace.sent(now, bytes, under_way);
        let deadline = now + self.pace.ack_within(under_way + bytes);
        let count = blocks.len() as u64;
        self.next_number += 1;
        let flying = Flying { stamp, bytes, wire_bytes, blocks: count, deadline };
        self.flight.insert(self.next_number, flying);
        self.counts.published += count;
        let (waiting, ready) = (self.waiting, &self.ready);
        self.scheduler.went(class, bytes, |class| {
            waiting[class as usize].blocks > 0 || !ready[class as usize].is_empty()
        });
        actions.push(Action::Publish(Parcel { number: self.next_number, class, blocks, expiry }));
        None
    }
}
