//! What is under way: which packet id carries what, so that an acknowledgement reaches its owner.
//!
//! The MQTT client numbers packets itself, in the order in which they were handed over. So what is handed over waits
//! in a queue until its number is known, and under that number until its PUBACK. Nothing is forgotten: what was not
//! acknowledged comes back from [`Flight::land`].

use std::collections::{BTreeMap, VecDeque};

/// Tokens under way; `T` is whatever the owner needs back, such as the leases of a batch.
#[derive(Debug)]
pub struct Flight<T> {
    handed_over: VecDeque<T>,
    numbered: BTreeMap<u16, T>,
    max: usize,
}

impl<T> Flight<T> {
    /// Room for `max` tokens.
    pub const fn new(max: usize) -> Self {
        Self { handed_over: VecDeque::new(), numbered: BTreeMap::new(), max }
    }

    /// Tokens under way.
    pub fn len(&self) -> usize {
        self.handed_over.len() + self.numbered.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether another token may take off.
    pub fn has_room(&self) -> bool {
        self.len() < self.max
    }

    /// A packet was handed to the client.
    pub fn take_off(&mut self, token: T) {
        self.handed_over.push_back(token);
    }

    /// The client wrote its next publish with this packet id. A token that still held the id comes back: the client
    /// has reused a number whose acknowledgement never came.
    pub fn number(&mut self, packet_id: u16) -> Option<T> {
        let token = self.handed_over.pop_front()?;
        self.numbered.insert(packet_id, token)
    }

    /// Whether a token holds this packet id.
    pub fn holds(&self, packet_id: u16) -> bool {
        self.numbered.contains_key(&packet_id)
    }

    /// The broker acknowledged this packet id; `None` for one that was not under way.
    pub fn acknowledge(&mut self, packet_id: u16) -> Option<T> {
        self.numbered.remove(&packet_id)
    }

    /// The connection is gone: everything that was not acknowledged, in the order of packet ids, then of handing over.
    pub fn land(&mut self) -> Vec<T> {
        let numbered = core::mem::take(&mut self.numbered);
        numbered.into_values().chain(self.handed_over.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn acknowledgements_in_any_order_find_their_tokens() {
        let mut flight = Flight::new(3);
        for token in ["a", "b", "c"] {
            assert!(flight.has_room());
            flight.take_off(token);
        }
        assert!(!flight.has_room());
        assert_eq!(flight.number(1), None);
        assert_eq!(flight.number(2), None);
        assert_eq!(flight.acknowledge(2), Some("b"));
        assert_eq!(flight.acknowledge(2), None, "a second PUBACK frees nothing");
        assert_eq!(flight.acknowledge(9), None);
        assert_eq!(flight.land(), ["a", "c"]);
        assert!(flight.is_empty());
    }

    proptest! {
        #[test]
        fn every_token_comes_back_exactly_once(acks in prop::collection::vec(1..40_u16, 0..60), count in 0..30_u16) {
            let mut flight = Flight::new(100);
            let mut back = Vec::new();
            for token in 0..count {
                flight.take_off(token);
                // The client's numbers run in a circle of 16.
                back.extend(flight.number(token % 16 + 1));
            }
            back.extend(acks.into_iter().filter_map(|id| flight.acknowledge(id)));
            back.extend(flight.land());
            back.sort_unstable();
            prop_assert_eq!(back, (0..count).collect::<Vec<_>>());
        }
    }
}
