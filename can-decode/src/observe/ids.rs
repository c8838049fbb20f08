//! From an identifier to its place: a hash table that is filled while frames come, up to a fixed number.

use alloc::boxed::Box;
use alloc::vec;

use crate::frame::CanId;

/// Marks an empty place; [`Ids::new`] makes fewer places than this.
const EMPTY: u16 = u16::MAX;

/// Identifiers and the order in which they were seen.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    /// Identifier and index. Open addressing, at most half full, so that a search ends after few steps.
    places: Box<[(u32, u16)]>,
    /// `32 - log2(places)`: the hash is the top bits of a product.
    shift: u32,
    capacity: u16,
    known: u16,
}

/// Where an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Known(usize),
    /// Its index from now on, which is the number of those known before.
    New(usize),
    /// All places are taken.
    Full,
}

impl Ids {
    pub(super) fn new(capacity: u16) -> Self {
        let len = (usize::from(capacity) * 2).next_power_of_two().max(2);
        Self {
            places: vec![(0, EMPTY); len].into_boxed_slice(),
            shift: 32 - len.ilog2(),
            capacity: capacity.min(EMPTY - 1),
            known: 0,
        }
    }

    #[inline]
    pub(super) fn find_or_add(&mut self, id: CanId) -> Place {
        let key = id.with_extended_bit();
        // Fibonacci hashing (Knuth, TAOCP vol. 3, §6.4): neighbouring identifiers land far apart.
        let mut at = (key.wrapping_mul(0x9E37_79B1) >> self.shift) as usize;
        let last = self.places.len() - 1;
        // There is an empty place, as the table is at most half full.
        while let Some((found, index)) = self.places.get_mut(at & last) {
            if *index == EMPTY {
                if self.known == self.capacity {
                    break;
                }
                (*found, *index) = (key, self.known);
                self.known += 1;
                return Place::New(usize::from(*index));
            }
            if *found == key {
                return Place::Known(usize::from(*index));
            }
            at += 1;
        }
        Place::Full
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn standard_and_extended_identifiers_are_distinct() {
        let mut ids = Ids::new(2);
        assert_eq!(ids.find_or_add(CanId::Standard(5)), Place::New(0));
        assert_eq!(ids.find_or_add(CanId::Extended(5)), Place::New(1));
        assert_eq!(ids.find_or_add(CanId::Standard(6)), Place::Full);
        assert_eq!(ids.find_or_add(CanId::Extended(5)), Place::Known(1));
        assert_eq!(Ids::new(0).find_or_add(CanId::Standard(0)), Place::Full);
    }

    proptest! {
        #[test]
        fn places_are_those_of_a_list(keys in prop::collection::vec(0..60_u32, 0..200), capacity in 0..40_u16) {
            let mut ids = Ids::new(capacity);
            let mut list: Vec<u32> = Vec::new();
            for key in keys {
                let place = ids.find_or_add(CanId::Extended(key << 8));
                let expected = match list.iter().position(|known| *known == key) {
                    Some(at) => Place::Known(at),
                    None if list.len() == usize::from(capacity) => Place::Full,
                    None => {
                        list.push(key);
                        Place::New(list.len() - 1)
                    }
                };
                prop_assert_eq!(place, expected);
            }
        }
    }
}
