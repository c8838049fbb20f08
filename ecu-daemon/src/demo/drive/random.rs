//! The drive's only source of chance: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
//!
//! It draws with integer and basic IEEE operations alone, so a seed gives the same drive on every machine.

/// A seeded generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator for `seed`; different `stream`s of one seed are unrelated, so that, for example, one more
    /// message on a bus does not change how the car drives.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        mixed.bits();
        mixed
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly spread over `low` (included) to `high` (not included).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        const STEPS: f64 = (1_u64 << 53) as f64;
        low + (high - low) * ((self.bits() >> 11) as f64 / STEPS)
    }

    /// Sensor noise: bell-shaped round 0 with standard deviation `deviation`, never beyond 3.5 of it.
    /// The sum of four even draws is used because it needs no logarithm, which differs between C libraries.
    pub(crate) fn noise(&mut self, deviation: f64) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xFFFF).sum();
        (sum as f64 / 65_536.0 - 2.0) * 3.0_f64.sqrt() * deviation
    }

    /// True once in `n` on average.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.bits().is_multiple_of(n.max(1))
    }

    /// `N` random bytes, not all of them zero (W3C Trace Context: an all-zero id is invalid).
    pub(crate) fn id<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        if bytes.iter().all(|&byte| byte == 0) {
            bytes[N - 1] = 1;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_their_range_and_are_centred() {
        let mut random = Random::new(7, 0);
        let (mut even, mut bell) = (0.0, 0.0);
        for _ in 0..10_000 {
            let value = random.between(-2.0, 6.0);
            assert!((-2.0..6.0).contains(&value), "{value}");
            even += value;
            let value = random.noise(0.5);
            assert!(value.abs() < 3.5 * 0.5, "{value}");
            bell += value;
        }
        assert!((even / 10_000.0 - 2.0).abs() < 0.1, "{even}");
        assert!((bell / 10_000.0).abs() < 0.02, "{bell}");
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = |stream| Random::new(1, stream).bits();
        assert_ne!(first(0), first(1));
        assert_eq!(first(1), first(1));
        assert_ne!(Random::new(1, 0).id::<16>(), [0; 16]);
    }
}
