//! A fast hash of short texts. Not against attackers: whatever it finds is compared before it is believed.

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const OTHER_MULTIPLIER: u64 = 0xD6E8_FEB8_6659_FD93;

/// Adds `value` to `state`; zeros count, too.
#[inline]
pub(super) const fn mix(state: u64, value: u64) -> u64 {
    let sum = (state ^ value).wrapping_add(MULTIPLIER);
    let product = sum as u128 * OTHER_MULTIPLIER as u128;
    (product as u64) ^ ((product >> 64) as u64) ^ state.rotate_left(23)
}

/// Adds `bytes` and their length to `state`, eight at a time.
#[inline]
pub(super) fn mix_bytes(state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = words.iter().fold(state, |state, word| mix(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = mix(state, u64::from_le_bytes(last));
    mix(state, bytes.len() as u64)
}
