//! Span ids for a sender: cheap, never zero, never twice.

/// Makes span ids one after the other: 2^64 - 1 different ones before the first comes again.
///
/// Steele and others, "Fast splittable pseudorandom number generators" (2014): `SplitMix64`. Ids have to differ, not to be
/// secret (W3C Trace Context §3.2.2.4). Trace ids need 7 random bytes (§3.2.2.3): draw them from the hardware.
#[derive(Clone, Debug)]
pub struct SpanIds(u64);

impl SpanIds {
    /// `seed` has to differ between senders and between starts of one: a hardware random number, or at least a serial
    /// number mixed with a count of starts.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next id.
    pub const fn next_id(&mut self) -> [u8; 8] {
        loop {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let id = mix(self.0);
            // Of the 2^64 steps one gives zero, so this runs twice at most.
            if id != 0 {
                return id.to_be_bytes();
            }
        }
    }
}

/// `SplitMix64`'s mixing: every bit of the result depends on every bit of the input, and no two inputs give the same.
pub(super) const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_are_never_zero() {
        let mut ids = SpanIds::new(7);
        let seen: HashSet<[u8; 8]> = (0..10_000).map(|_| ids.next_id()).collect();
        assert_eq!(seen.len(), 10_000);
        // The state that mixes to zero is zero itself; the step before it is this one.
        let mut ids = SpanIds::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_neg());
        assert_ne!(ids.next_id(), [0; 8]);
    }
}
