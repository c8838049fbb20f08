//! When each message goes onto its bus: cycles with jitter, events, and arbitration where two want the bus at
//! once.

use can_decode::{CanId, TraceContext};

use super::buses::{BUSES, Message, SLOW_BUS};
use super::random::Random;

/// A message with nothing to send.
const NEVER: i64 = i64::MAX;
/// Jitter of a cyclic frame, ns: at most this, and at most a fiftieth of its cycle.
const JITTER_NS: f64 = 200_000.0;
/// Control units' clocks differ by up to this.
const DRIFT: f64 = 40e-6;

/// One message's place in time.
struct Slot {
    bus: usize,
    message: &'static Message,
    /// Cycle by the sender's own clock, ns; 0 without one.
    cycle_ns: f64,
    first_ns: f64,
    cycles: u64,
    /// Next cyclic frame.
    cyclic_ns: i64,
    /// Next frame because of an event, and its context.
    event_ns: i64,
    context: Option<TraceContext>,
    sent: u32,
}

/// What is to be sent next.
pub(crate) struct Due {
    slot: usize,
    /// Start of the frame on the bus, ns.
    pub(crate) at_ns: i64,
}

/// A frame that got the bus.
pub(crate) struct Sending {
    pub(crate) bus: usize,
    pub(crate) message: &'static Message,
    /// Frames of this message before.
    pub(crate) sent: u32,
    pub(crate) context: Option<TraceContext>,
}

/// All messages of all buses.
pub(crate) struct Schedule {
    slots: Vec<Slot>,
    free_ns: [i64; BUSES.len()],
    random: Random,
}

impl Schedule {
    /// Every message starts somewhere in its first cycle.
    pub(crate) fn new(mut random: Random) -> Self {
        let mut slots = Vec::new();
        for (bus, messages) in BUSES.iter().enumerate() {
            for message in *messages {
                let cycle_ns = f64::from(message.cycle_ms) * 1e6 * (1.0 + random.between(-DRIFT, DRIFT));
                let first_ns = random.between(0.0, cycle_ns);
                let cyclic_ns = if message.cycle_ms == 0 { NEVER } else { first_ns as i64 };
                slots.push(Slot {
                    bus,
                    message,
                    cycle_ns,
                    first_ns,
                    cycles: 0,
                    cyclic_ns,
                    event_ns: NEVER,
                    context: None,
                    sent: 0,
                });
            }
        }
        Self { slots, free_ns: [0; BUSES.len()], random }
    }

    /// The frame that starts next. Of those that wait for one bus the lowest identifier wins (ISO 11898-1).
    pub(crate) fn next_due(&self) -> Due {
        let mut best = Due { slot: 0, at_ns: NEVER };
        let mut best_id = u32::MAX;
        for (slot, waiting) in self.slots.iter().enumerate() {
            let at_ns = waiting.cyclic_ns.min(waiting.event_ns).max(self.free_ns[waiting.bus]);
            let id = arbitration(waiting.message.id);
            if (at_ns, id) < (best.at_ns, best_id) {
                best = Due { slot, at_ns };
                best_id = id;
            }
        }
        best
    }

    /// Takes `due` off the schedule and keeps its bus busy while it is on the wire.
    pub(crate) fn send(&mut self, due: &Due) -> Sending {
        let slot = &mut self.slots[due.slot];
        let context = if slot.event_ns <= due.at_ns {
            slot.event_ns = NEVER;
            slot.context.take()
        } else {
            slot.cycles += 1;
            let jitter = self.random.between(0.0, JITTER_NS.min(slot.cycle_ns / 50.0));
            slot.cyclic_ns = (slot.first_ns + slot.cycles as f64 * slot.cycle_ns + jitter) as i64;
            None
        };
        let sending = Sending { bus: slot.bus, message: slot.message, sent: slot.sent, context };
        slot.sent = slot.sent.wrapping_add(1);
        self.free_ns[slot.bus] = due.at_ns.saturating_add(slot.message.wire_ns(slot.bus == SLOW_BUS));
        sending
    }

    /// Sends the message `id` of `bus` once at `at_ns` with a context, besides its cycle if it has one.
    pub(crate) fn send_at(&mut self, bus: usize, id: CanId, at_ns: i64, context: TraceContext) {
        for slot in self.slots.iter_mut().filter(|slot| slot.bus == bus && slot.message.id == id) {
            slot.event_ns = at_ns;
            slot.context = Some(context);
        }
    }
}

/// The identifier as arbitration sees it: the first 11 bits of an extended one, then, behind standard frames,
/// the rest.
fn arbitration(id: CanId) -> u32 {
    match id {
        CanId::Standard(id) => u32::from(id) << 19,
        CanId::Extended(id) => (id >> 18) << 19 | 1 << 18 | id & 0x3_FFFF,
    }
}
