//! Messages that are held until they may be acknowledged.
//!
//! Acknowledgements go out in the order in which messages came (MQTT 3.1.1 §4.6), whatever the order in which they are
//! done: one that waits for its schema holds back the acknowledgements of those behind it, though not their work.

use std::collections::VecDeque;

use crate::need::Need;

/// Most messages held. Brokers let a few be under way (Mosquitto: 20 unless configured otherwise).
const MESSAGES_MAX: usize = 1024;
/// Most bytes of messages held.
const BYTES_MAX: usize = 128 << 20;

/// Names a message while it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Working,
    Parked(Vec<Need>),
    Done,
}

#[derive(Debug)]
struct Held<T> {
    ticket: Ticket,
    bytes: usize,
    state: State,
    /// Whether the connection that it came on is still there to take an acknowledgement.
    ackable: bool,
    item: T,
}

/// The messages held; `T` is what an acknowledgement needs.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    held: VecDeque<Held<T>>,
    bytes: usize,
    tickets: u64,
    shed: bool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { held: VecDeque::new(), bytes: 0, tickets: 0, shed: false }
    }
}

impl<T> Inbox<T> {
    /// Takes a message. `false` when there is no room: it is let go unacknowledged, and comes again with the next
    /// connection.
    pub(crate) fn admit(&mut self, item: T, bytes: usize) -> bool {
        if self.held.len() >= MESSAGES_MAX || (self.bytes + bytes > BYTES_MAX && !self.held.is_empty()) {
            self.shed = true;
            return false;
        }
        self.bytes += bytes;
        self.tickets += 1;
        self.held.push_back(Held {
            ticket: Ticket(self.tickets),
            bytes,
            state: State::Waiting,
            ackable: true,
            item,
        });
        true
    }

    /// The oldest message that waits for work; it is at work from now on.
    pub(crate) fn next(&mut self) -> Option<(Ticket, &T)> {
        let held = self.held.iter_mut().find(|held| held.state == State::Waiting)?;
        held.state = State::Working;
        Some((held.ticket, &held.item))
    }

    /// The work is done. Gives the messages that may be acknowledged now, in order.
    pub(crate) fn done(&mut self, ticket: Ticket) -> Vec<T> {
        if let Some(held) = self.find(ticket) {
            held.state = State::Done;
        }
        let mut acknowledge = Vec::new();
        while self.held.front().is_some_and(|held| held.state == State::Done) {
            let Some(held) = self.held.pop_front() else { break };
            self.bytes -= held.bytes;
            if held.ackable {
                acknowledge.push(held.item);
            }
        }
        acknowledge
    }

    /// It has to wait for these.
    pub(crate) fn park(&mut self, ticket: Ticket, missing: Vec<Need>) {
        if let Some(held) = self.find(ticket) {
            held.state = State::Parked(missing);
        }
    }

    /// This is here, or will not come: nobody waits for it any longer.
    pub(crate) fn release(&mut self, need: &Need) {
        for held in &mut self.held {
            if let State::Parked(missing) = &mut held.state {
                missing.retain(|other| other != need);
                if missing.is_empty() {
                    held.state = State::Waiting;
                }
            }
        }
    }

    /// A new connection: acknowledgements for the old one are void. When the broker kept the session it delivers
    /// everything again, otherwise what is held may be all there is.
    pub(crate) fn reconnected(&mut self, session_present: bool) {
        self.shed = false;
        if session_present {
            self.held.clear();
            self.bytes = 0;
        }
        self.held.iter_mut().for_each(|held| held.ackable = false);
    }

    /// Whether messages were let go and there is room again: a new connection brings them back.
    pub(crate) fn wants_redelivery(&self) -> bool {
        self.shed && self.held.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Held<T>> {
        let at = self.held.binary_search_by_key(&ticket, |held| held.ticket).ok()?;
        Some(&mut self.held[at])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use store::block::SchemaHash;

    use super::*;

    const SCHEMA: Need = Need::Schema(SchemaHash([1; 16]));
    const OTHER: Need = Need::Schema(SchemaHash([2; 16]));

    fn work(inbox: &mut Inbox<u32>) -> Option<(Ticket, u32)> {
        inbox.next().map(|(ticket, &item)| (ticket, item))
    }

    #[test]
    fn a_parked_message_holds_back_acknowledgements_but_no_work() {
        let mut inbox = Inbox::default();
        (0..3).for_each(|item| assert!(inbox.admit(item, 10)));
        let (first, _) = work(&mut inbox).unwrap();
        inbox.park(first, vec![SCHEMA, OTHER]);
        let (second, item) = work(&mut inbox).unwrap();
        assert_eq!(item, 1);
        assert!(inbox.done(second).is_empty());
        inbox.release(&SCHEMA);
        let (third, item) = work(&mut inbox).unwrap();
        assert_eq!(item, 2);
        assert_eq!(work(&mut inbox), None);
        inbox.release(&OTHER);
        assert_eq!(work(&mut inbox), Some((first, 0)));
        assert_eq!(inbox.done(first), [0, 1]);
        assert_eq!(inbox.done(third), [2]);
        assert_eq!((inbox.len(), inbox.bytes), (0, 0));
    }

    #[test]
    fn what_the_broker_delivers_again_is_forgotten_and_late_results_are_void() {
        let mut inbox = Inbox::default();
        inbox.admit(0, 10);
        let (old, _) = work(&mut inbox).unwrap();
        inbox.reconnected(true);
        inbox.admit(0, 10);
        assert!(inbox.done(old).is_empty());
        let (new, _) = work(&mut inbox).unwrap();
        assert_eq!(inbox.done(new), [0]);
    }

    #[test]
    fn what_a_broker_without_memory_does_not_deliver_again_is_worked_on_unacknowledged() {
        let mut inbox = Inbox::default();
        inbox.admit(0, 10);
        inbox.reconnected(false);
        inbox.admit(1, 10);
        let (old, item) = work(&mut inbox).unwrap();
        assert_eq!((item, inbox.done(old)), (0, vec![]));
        let (new, _) = work(&mut inbox).unwrap();
        assert_eq!(inbox.done(new), [1]);
    }

    #[test]
    fn without_room_messages_are_let_go_until_the_next_connection() {
        let mut inbox = Inbox::default();
        assert!(inbox.admit(0, BYTES_MAX + 1), "one is taken however large");
        assert!(!inbox.admit(1, 1));
        assert!(!inbox.wants_redelivery());
        let (ticket, _) = work(&mut inbox).unwrap();
        inbox.done(ticket);
        assert!(inbox.wants_redelivery());
        inbox.reconnected(true);
        assert!(!inbox.wants_redelivery());
        assert_eq!((0..=MESSAGES_MAX as u32).filter(|&item| inbox.admit(item, 1)).count(), MESSAGES_MAX);
    }

    proptest! {
        #[test]
        fn acknowledgements_are_complete_and_in_order(steps in prop::collection::vec(0..5_u8, 0..200)) {
            let mut inbox = Inbox::default();
            let (mut admitted, mut acknowledged, mut working) = (0, Vec::new(), Vec::new());
            for step in steps {
                match step {
                    0 | 1 => {
                        inbox.admit(admitted, 1);
                        admitted += 1;
                    }
                    2 => working.extend(inbox.next().map(|(ticket, _)| ticket)),
                    3 => if let Some(ticket) = working.pop() {
                        inbox.park(ticket, vec![SCHEMA]);
                    },
                    _ => if let Some(ticket) = working.pop() {
                        acknowledged.extend(inbox.done(ticket));
                    },
                }
            }
            inbox.release(&SCHEMA);
            for ticket in working {
                acknowledged.extend(inbox.done(ticket));
            }
            while let Some((ticket, _)) = inbox.next() {
                acknowledged.extend(inbox.done(ticket));
            }
            prop_assert_eq!(acknowledged, (0..admitted).collect::<Vec<_>>());
        }
    }
}
