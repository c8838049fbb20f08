//! Sets of row ids, which mostly follow one another.

use std::collections::BTreeMap;

/// Runs of ids kept at most: 16 bytes and a little each.
const RUNS_MAX: usize = 1 << 15;

/// A set of ids as runs. Beyond its bound it takes no more, and says of these that they are new.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<i64, i64>);

impl Ids {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is in the set.
    pub(super) fn contains(&self, id: i64) -> bool {
        self.0.range(..=id).next_back().is_some_and(|(_, last)| *last >= id)
    }

    /// Adds it; false if it was there.
    pub(super) fn insert(&mut self, id: i64) -> bool {
        let before = self.0.range(..=id).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= id) {
            return false;
        }
        let joined = id.checked_add(1).and_then(|next| self.0.remove(&next)).unwrap_or(id);
        match before {
            Some((first, last)) if last.checked_add(1) == Some(id) => self.0.insert(first, joined),
            _ if joined != id || self.0.len() < RUNS_MAX => self.0.insert(id, joined),
            _ => None,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_are_a_set() {
        let (mut ids, mut model) = (Ids::default(), BTreeSet::new());
        let mut state = 3_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = (state >> 40) as i64 % 3000;
            assert_eq!(ids.insert(id), model.insert(id), "{id}");
        }
        for id in -1..3001 {
            assert_eq!(ids.contains(id), model.contains(&id), "{id}");
        }
        assert!(ids.0.len() < model.len() / 2, "{} runs", ids.0.len());
    }
}
