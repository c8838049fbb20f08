//! Blocks that a broker may not like: found by halving, and set aside after a few tries.
//!
//! A refused batch of many says that one of them may be to blame: each may then travel in batches half as large only,
//! until one travels alone. A block that was refused alone [`TRIES`] times is set aside, if the broker took another
//! block in the meantime; when it takes none at all, the broker is to blame and nothing is set aside.
//!
//! A connection that breaks says little, as links break. So only connections on which nothing at all was acknowledged
//! count, and only for the batch that was sent first.

use std::collections::BTreeMap;

use store::block::Identity;

/// Refusals of a block that travelled alone until it is set aside.
pub const TRIES: u32 = 3;
/// Connections that broke without any acknowledgement, for the same first batch, until it is halved like a refused one.
const BREAKS: u32 = 3;
/// Most blocks under suspicion; of more, the newest suspicion is forgotten.
const SUSPECTS_MAX: usize = 2048;

#[derive(Clone, Copy, Debug)]
struct Suspect {
    /// Most blocks of a batch it may travel in.
    together: usize,
    /// Refusals alone.
    tries: u32,
    /// Connections that broke with it at their head.
    breaks: u32,
    /// Acknowledged blocks when it was last refused.
    acked: u64,
}

/// What became of a refused batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Send it again, as [`Suspects::together`] says.
    Again,
    /// Its only block is not to be sent any more.
    SetAside,
}

/// The blocks under suspicion.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    blocks: BTreeMap<Identity, Suspect>,
    acked: u64,
}

impl Suspects {
    /// How many blocks may travel in one batch with this one.
    pub fn together(&self, block: &Identity) -> usize {
        self.blocks.get(block).map_or(usize::MAX, |suspect| suspect.together)
    }

    /// Whether it should wait until another block was acknowledged: that will tell who is to blame.
    pub fn waits(&self, block: &Identity) -> bool {
        self.blocks.get(block).is_some_and(|suspect| suspect.together == 1 && suspect.acked == self.acked)
    }

    /// Blocks under suspicion.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The broker took these.
    pub fn acked<'a>(&mut self, blocks: impl IntoIterator<Item = &'a Identity>) {
        for block in blocks {
            self.acked += 1;
            self.blocks.remove(block);
        }
    }

    /// The broker refused this batch for what is in it.
    pub fn refused(&mut self, batch: &[Identity]) -> Judgement {
        let acked = self.acked;
        if let [block] = batch {
            let Some(suspect) = self.suspect(*block) else { return Judgement::Again };
            suspect.together = 1;
            // After the first, a try counts only beside a broker that took something else since the last.
            if suspect.tries == 0 || suspect.acked < acked {
                suspect.tries += 1;
                suspect.acked = acked;
            }
            if suspect.tries >= TRIES {
                self.blocks.remove(block);
                return Judgement::SetAside;
            }
            return Judgement::Again;
        }
        for block in batch {
            if let Some(suspect) = self.suspect(*block) {
                suspect.together = suspect.together.min(batch.len() / 2).max(1);
                suspect.acked = acked;
            }
        }
        Judgement::Again
    }

    /// A connection broke on which nothing was acknowledged; this batch had been sent first.
    pub fn broke(&mut self, first_batch: &[Identity]) -> Judgement {
        let mut often = false;
        for block in first_batch {
            if let Some(suspect) = self.suspect(*block) {
                suspect.breaks += 1;
                often |= suspect.breaks >= BREAKS;
            }
        }
        if often { self.refused(first_batch) } else { Judgement::Again }
    }

    fn suspect(&mut self, block: Identity) -> Option<&mut Suspect> {
        if self.blocks.len() >= SUSPECTS_MAX && !self.blocks.contains_key(&block) {
            return None;
        }
        let new = Suspect { together: usize::MAX, tries: 0, breaks: 0, acked: self.acked };
        Some(self.blocks.entry(block).or_insert(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::block::BootId;

    fn block(sequence: u64) -> Identity {
        Identity { boot: BootId([1; 16]), run: 1, sequence }
    }

    /// Sends 16 blocks, and a good one more now and then, to a broker that refuses batches with a bad one, until these
    /// are set aside and the rest acknowledged.
    fn drain(bad: &[u64]) -> (Vec<u64>, u32) {
        let mut suspects = Suspects::default();
        let mut queue: Vec<Identity> = (0..16).map(block).collect();
        let (mut aside, mut batches) = (Vec::new(), 0);
        while !queue.is_empty() && batches < 500 {
            let start = queue.iter().position(|block| !suspects.waits(block)).unwrap_or(0);
            let mut batch: Vec<Identity> = Vec::new();
            for block in &queue[start..] {
                let together =
                    batch.iter().chain([block]).map(|block| suspects.together(block)).min().unwrap();
                if batch.len() >= together {
                    break;
                }
                batch.push(*block);
            }
            batches += 1;
            if batches % 4 == 0 && !bad.is_empty() && aside.len() < bad.len() {
                queue.push(block(100 + u64::from(batches)));
            }
            if batch.iter().any(|block| bad.contains(&block.sequence)) {
                if suspects.refused(&batch) == Judgement::SetAside {
                    aside.push(batch[0].sequence);
                    queue.retain(|block| *block != batch[0]);
                }
            } else {
                suspects.acked(&batch);
                queue.retain(|block| !batch.contains(block));
            }
        }
        (aside, batches)
    }

    #[test]
    fn halving_finds_the_bad_ones_and_only_them() {
        assert_eq!(drain(&[]), (vec![], 1));
        for bad in [vec![0], vec![15], vec![7], vec![3, 4], vec![0, 15]] {
            let (mut aside, batches) = drain(&bad);
            aside.sort_unstable();
            assert_eq!(aside, bad);
            assert!(batches < 60, "{bad:?}: {batches}");
        }
    }

    #[test]
    fn a_broker_that_takes_nothing_has_nothing_set_aside() {
        let all: Vec<u64> = (0..1000).collect();
        let (aside, batches) = drain(&all);
        assert_eq!((aside, batches), (vec![], 500));
    }

    #[test]
    fn breaks_count_only_when_they_repeat_for_the_same_batch() {
        let mut suspects = Suspects::default();
        let batch = [block(1), block(2)];
        for _ in 0..2 {
            assert_eq!(suspects.broke(&batch), Judgement::Again);
            assert_eq!(suspects.together(&block(1)), usize::MAX);
        }
        suspects.broke(&batch);
        assert_eq!(suspects.together(&block(1)), 1);
        suspects.acked(&batch);
        assert!(suspects.is_empty());
    }

    #[test]
    fn suspicion_is_bounded() {
        let mut suspects = Suspects::default();
        for sequence in 0..10_000 {
            suspects.refused(&[block(sequence)]);
        }
        assert_eq!(suspects.len(), SUSPECTS_MAX);
    }
}
