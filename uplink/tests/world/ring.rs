//! A ring that panics when a permission is used twice.

use std::time::Duration;

use store::block::{BootId, Class, Identity};
use uplink::random::Random;
use uplink::schedule::{Order, Waiting};
use uplink::session::Offer;

use super::Plan;

/// Permission to send one block; not to be copied, and gone when it is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(pub usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Leased,
    Acked(Duration),
    Aside,
}

#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub class: Class,
    pub bytes: usize,
    pub poison: bool,
    pub oversize: bool,
    pub sealed_at: Duration,
    pub state: State,
    /// Times that it was acknowledged and not taken back.
    pub acks: u32,
    /// Times that the gateway got it.
    pub received: u32,
    /// Whether the broker has seen it.
    pub seen: bool,
}

#[derive(Default)]
pub struct Ring {
    pub blocks: Vec<Block>,
}

#[allow(clippy::needless_pass_by_value, reason = "a permission is used up")]
impl Ring {
    pub fn seal(&mut self, plan: &Plan, random: &mut Random, class: Class, now: Duration) {
        let mut one_in = |n: Option<u64>| n.is_some_and(|n| random.next_u64().is_multiple_of(n));
        let (poison, oversize) = (one_in(plan.poison_one_in), one_in(plan.oversize_one_in));
        let mean = plan.load[class as usize].1;
        let bytes = if oversize { 200 << 10 } else { mean / 2 + random.next_u64() as usize % mean };
        self.blocks.push(Block {
            class,
            bytes,
            poison,
            oversize,
            sealed_at: now,
            state: State::Waiting,
            acks: 0,
            received: 0,
            seen: false,
        });
    }

    pub fn waiting(&self) -> [Waiting; 5] {
        let mut waiting = [Waiting::default(); 5];
        for block in self.blocks.iter().filter(|block| block.state == State::Waiting) {
            let class = &mut waiting[block.class as usize];
            class.blocks += 1;
            class.bytes += block.bytes as u64;
            class.records += 50;
        }
        waiting
    }

    pub fn lease(&mut self, class: Class, order: Order, bytes_max: usize, max: usize) -> Vec<Offer<Ticket>> {
        let mut ids: Vec<usize> = (0..self.blocks.len()).collect();
        if order == Order::Newest {
            ids.reverse();
        }
        let (mut offers, mut sum) = (Vec::new(), 0);
        for id in ids {
            let block = &mut self.blocks[id];
            if block.class != class || block.state != State::Waiting {
                continue;
            }
            sum += block.bytes;
            if offers.len() >= max || (!offers.is_empty() && sum > bytes_max) {
                break;
            }
            block.state = State::Leased;
            let identity = Identity { boot: BootId([7; 16]), run: 1, sequence: id as u64 };
            offers.push(Offer { identity, bytes: block.bytes, token: Ticket(id) });
        }
        offers
    }

    fn end_lease(&mut self, ticket: &Ticket, state: State) {
        let block = &mut self.blocks[ticket.0];
        assert_eq!(block.state, State::Leased, "block {}", ticket.0);
        block.state = state;
    }

    pub fn ack(&mut self, ticket: Ticket, now: Duration) {
        self.end_lease(&ticket, State::Acked(now));
        self.blocks[ticket.0].acks += 1;
    }

    pub fn release(&mut self, ticket: Ticket) {
        self.end_lease(&ticket, State::Waiting);
    }

    pub fn set_aside(&mut self, ticket: Ticket) {
        self.end_lease(&ticket, State::Aside);
    }

    pub fn reoffer(&mut self, since: Duration) {
        for block in &mut self.blocks {
            if matches!(block.state, State::Acked(at) if at >= since) {
                block.state = State::Waiting;
                block.acks -= 1;
            }
        }
    }
}
