//! From an identifier to a message: an array for 11-bit identifiers, a hash table for 29-bit ones.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::frame::CanId;

/// Marks an empty place; no message has this index, because there are at most `u16::MAX` of them.
pub(super) const EMPTY: u16 = u16::MAX;

const STANDARD_IDS: usize = CanId::STANDARD_MAX as usize + 1;

/// Message indices by 11-bit identifier.
#[derive(Clone, Debug)]
pub(super) struct StandardIds(Box<[u16; STANDARD_IDS]>);

impl StandardIds {
    pub(super) fn new(entries: &[(u32, u16)]) -> Self {
        let mut places = Box::new([EMPTY; STANDARD_IDS]);
        for (id, index) in entries {
            if let Some(place) = places.get_mut(*id as usize) {
                *place = *index;
            }
        }
        Self(places)
    }

    /// [`EMPTY`] where there is none: one comparison for both kinds of identifiers is made by the caller.
    #[inline]
    pub(super) fn find(&self, id: u16) -> u16 {
        self.0.get(usize::from(id)).copied().unwrap_or(EMPTY)
    }
}

/// Message indices by a 32-bit key: open addressing, at most half full, so that a search ends after few steps.
#[derive(Clone, Debug)]
pub(super) struct HashedKeys {
    places: Box<[(u32, u16)]>,
    /// `32 - log2(places)`: the hash is the top bits of a product.
    shift: u32,
}

impl HashedKeys {
    /// `entries` have distinct keys.
    pub(super) fn new(entries: &[(u32, u16)]) -> Self {
        let len = (entries.len() * 2).next_power_of_two().max(2);
        let places: Vec<_> = vec![(0, EMPTY); len];
        let mut map = Self { places: places.into_boxed_slice(), shift: 32 - len.ilog2() };
        for (key, index) in entries {
            let at = map.place_of(*key);
            if let Some(place) = map.places.get_mut(at) {
                *place = (*key, *index);
            }
        }
        map
    }

    /// [`EMPTY`] where there is none.
    #[inline]
    pub(super) fn find(&self, key: u32) -> u16 {
        self.places.get(self.place_of(key)).map_or(EMPTY, |(_, index)| *index)
    }

    /// Where `key` is, or the empty place where it would go. There is one, as the table is at most half full.
    #[inline]
    fn place_of(&self, key: u32) -> usize {
        // Fibonacci hashing (Knuth, TAOCP vol. 3, §6.4): neighbouring identifiers land far apart.
        let mut at = (key.wrapping_mul(0x9E37_79B1) >> self.shift) as usize;
        while let Some((found, index)) = self.places.get(at) {
            if *index == EMPTY || *found == key {
                break;
            }
            at = (at + 1) & (self.places.len() - 1);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_tables_find_nothing() {
        assert_eq!(HashedKeys::new(&[]).find(0), EMPTY);
        assert_eq!(StandardIds::new(&[]).find(0x7FF), EMPTY);
        assert_eq!(StandardIds::new(&[(0x7FF, 3)]).find(0x7FF), 3);
        assert_eq!(StandardIds::new(&[(0x7FF, 3)]).find(0x800), EMPTY);
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(entries: BTreeMap<u32, u16>, others: Vec<u32>) {
            let entries: BTreeMap<u32, u16> = entries.into_iter().filter(|(_, index)| *index != EMPTY).collect();
            let keys = HashedKeys::new(&entries.iter().map(|(key, index)| (*key, *index)).collect::<Vec<_>>());
            for key in entries.keys().copied().chain(others) {
                prop_assert_eq!(keys.find(key), entries.get(&key).copied().unwrap_or(EMPTY));
            }
        }
    }
}
