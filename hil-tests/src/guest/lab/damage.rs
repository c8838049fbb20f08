//! Which of the writes under way the card kept when the power went.

use std::ops::Range;

use super::log::{SECTOR, Write};

/// Writes that a card which lies may hold in its cache and lose, though it said that it had flushed them.
const LIE_WRITES: usize = 200;

/// What the card makes of the writes under way when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The last one did not arrive at all.
    Clean,
    /// Some sectors of the last one arrived.
    Torn,
    /// The last one arrived as noise.
    Scrambled,
    /// Of all since the last flush, some arrived, some are torn and some did not arrive. The write cache of an honest
    /// card does that.
    Reordered,
    /// Of the last 200 some arrived, some are torn and some did not arrive, flushed or not: the card lies. No store
    /// can keep a promise on it.
    Lying,
}

impl Damage {
    /// Its name in the summary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Torn => "torn",
            Self::Scrambled => "scrambled",
            Self::Reordered => "reordered",
            Self::Lying => "lying",
        }
    }

    /// The writes that the card may not have kept when the power goes during write `point`; all before them it has.
    pub(super) fn unsettled(self, writes: &[Write], point: usize) -> Range<usize> {
        let first = match self {
            Self::Clean | Self::Torn | Self::Scrambled => point,
            Self::Reordered => writes[..point].iter().rposition(|write| write.flush).unwrap_or(0),
            Self::Lying => point.saturating_sub(LIE_WRITES),
        };
        first..point + 1
    }

    /// Puts onto `card`, which has all settled writes, what becomes of the unsettled ones. The same for the same seed.
    pub(super) fn strike(self, card: &mut [u8], unsettled: &[Write], mut seed: u64) {
        for write in unsettled {
            match self {
                Self::Clean => {}
                Self::Torn => tear(card, write, &mut seed),
                Self::Scrambled => {
                    let noise: Vec<u8> = write.bytes.iter().map(|_| random(&mut seed) as u8).collect();
                    apply(card, write.offset, &noise);
                }
                Self::Reordered if write.fua => apply(card, write.offset, &write.bytes),
                Self::Reordered | Self::Lying => match random(&mut seed) % 4 {
                    0 | 1 => apply(card, write.offset, &write.bytes),
                    2 => tear(card, write, &mut seed),
                    _ => {}
                },
            }
        }
    }
}

/// Only the first sectors arrive.
fn tear(card: &mut [u8], write: &Write, seed: &mut u64) {
    let sectors = write.bytes.len() / SECTOR;
    let kept = random(seed) as usize % (sectors + 1) * SECTOR;
    apply(card, write.offset, &write.bytes[..kept]);
}

/// Puts a whole write onto the card.
pub(super) fn apply(card: &mut [u8], offset: usize, bytes: &[u8]) {
    card[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Random enough, and the same each time (xorshift64).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sector: usize) -> Write {
        Write { offset: sector * SECTOR, bytes: vec![1; 2 * SECTOR], flush: false, fua: false }
    }

    fn flush() -> Write {
        Write { offset: 0, bytes: vec![], flush: true, fua: false }
    }

    #[test]
    fn a_flush_settles_for_all_but_a_card_that_lies() {
        let writes = [write(0), write(2), flush(), write(4), write(6), write(8)];
        for (damage, expected) in [
            (Damage::Clean, 4..5),
            (Damage::Torn, 4..5),
            (Damage::Scrambled, 4..5),
            // The flush, which writes nothing, and the write after it.
            (Damage::Reordered, 2..5),
            (Damage::Lying, 0..5),
        ] {
            assert_eq!(damage.unsettled(&writes, 4), expected, "{damage:?}");
        }
    }

    #[test]
    fn each_damage_leaves_its_traces() {
        // Over many seeds: how many of the two sectors of a write are there, and how many are anything else.
        let traces = |damage: Damage, write: &Write| {
            let mut seen = Vec::new();
            for seed in 1..200_u64 {
                let mut card = vec![0; 2 * SECTOR];
                damage.strike(
                    &mut card,
                    std::slice::from_ref(write),
                    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                );
                let sectors = card.chunks(SECTOR);
                let whole = sectors.clone().filter(|sector| sector.iter().all(|&byte| byte == 1)).count();
                let none = sectors.filter(|sector| sector.iter().all(|&byte| byte == 0)).count();
                seen.push((whole, 2 - whole - none));
            }
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        let (plain, kept) = (write(0), Write { fua: true, ..write(0) });
        assert_eq!(traces(Damage::Clean, &plain), [(0, 0)]);
        assert_eq!(traces(Damage::Torn, &plain), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(traces(Damage::Scrambled, &plain), [(0, 2)]);
        assert_eq!(traces(Damage::Reordered, &plain), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(traces(Damage::Reordered, &kept), [(2, 0)]);
        assert_eq!(traces(Damage::Lying, &kept), [(0, 0), (1, 0), (2, 0)]);
    }
}
