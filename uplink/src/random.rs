//! Randomness as an input: a seed at the start, the same sequence ever after.

/// `SplitMix64` (Steele, Lea, Flood 2014): enough for jitter; not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The seed may be any number; a fleet's members must not share one.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in `u64`.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `u32`.
    pub const fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_sequence() {
        let mut random = Random::new(1_234_567);
        // From the reference implementation.
        assert_eq!(
            [random.next_u64(), random.next_u64()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }
}
