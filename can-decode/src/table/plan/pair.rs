//! Two signals at a time: an f64 is made of integer bits by logic and one subtraction, in the compiler's vectors.
//!
//! A field of up to 52 bits becomes a number where it stands in its word, without a shift: its bits are the low end of
//! a mantissa whose exponent says 2⁵², so that taking away 2⁵² leaves the field times a power of two, which the factor is
//! divided by beforehand. Both are exact, so that the physical value is rounded as if there had been a shift. Against a
//! shift and a conversion a signal, this saves a seventh to a quarter of the time a frame and half of the time a column
//! (W0 to W4 of `benches/decode`, x86-64).

use super::{Field, Number};
use crate::extract::Extractor;
use crate::frame::FD_LEN_MAX;

/// Bits of a mantissa.
const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
/// The shift after which a word's upper bits are in a mantissa's place.
const UPPER: u32 = u64::BITS - MANTISSA_BITS;
/// The bits of 2⁵², whose mantissa counts ones.
const UNIT: u64 = ((f64::MAX_EXP - 1) as u64 + MANTISSA_BITS as u64) << MANTISSA_BITS;

/// Two fields of a run, or the last one and nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(align(16))]
pub(super) struct Pair {
    /// The field's bits in its word, where a mantissa has room for them there; else 0.
    lower: [u64; 2],
    /// The field's bits in its word shifted down by [`UPPER`], where they are not in `lower`.
    upper: [u64; 2],
    /// Bits of 2⁵², and the field's sign bit where it has one.
    flip: [u64; 2],
    /// Physical value per unit of the mantissa.
    factor: [f64; 2],
    offset: [f64; 2],
    /// The signals' indices in their message.
    pub(super) signal: [u16; 2],
    /// Where the fields' words begin in the payload.
    load: [u8; 2],
}

impl Pair {
    /// Whether a field can be one of a pair.
    pub(super) fn takes(field: &Field) -> bool {
        Lane::of(field).is_some()
    }

    /// Pairs of fields that [`Self::takes`] takes, in their order.
    pub(super) fn all_of(fields: &[Field]) -> impl Iterator<Item = Self> {
        fields.chunks(2).map(|two| {
            let mut pair = Self { flip: [UNIT; 2], ..Self::default() };
            for (at, field) in two.iter().enumerate().take(2) {
                let lane = Lane::of(field).unwrap_or_default();
                if lane.down == 0 {
                    pair.lower[at] = lane.mask;
                } else {
                    pair.upper[at] = lane.mask;
                }
                pair.flip[at] = lane.flip;
                pair.factor[at] = lane.factor;
                pair.offset[at] = lane.offset;
                pair.signal[at] = field.signal;
                pair.load[at] = field.extractor.load();
            }
            pair
        })
    }

    /// The physical values, of the words that hold the fields.
    #[inline]
    pub(super) fn physical(&self, words: [u64; 2]) -> [f64; 2] {
        core::array::from_fn(|at| {
            let bits = (words[at] & self.lower[at]) | ((words[at] >> UPPER) & self.upper[at]);
            scale(bits, self.flip[at], self.factor[at], self.offset[at])
        })
    }

    /// The words that hold the fields, wherever they are; the first byte is the lowest.
    #[inline]
    pub(super) fn words(&self, payload: &[u8; FD_LEN_MAX]) -> [u64; 2] {
        // The minimum is the same, and tells the compiler that it lies within the payload: no branch in the loop.
        self.load.map(|load| Extractor::word(payload, load.min(FD_LEN_MAX as u8 - 8)))
    }
}

/// The physical value of bits in a mantissa's place.
#[inline]
fn scale(bits: u64, flip: u64, factor: f64, offset: f64) -> f64 {
    // A sign bit that is flipped and then taken away extends the sign.
    let units = f64::from_bits(bits ^ flip) - f64::from_bits(flip);
    units * factor + offset
}

/// One field of a pair.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    /// 0 or [`UPPER`]: the shift of the word.
    down: u32,
    /// The field's bits after that.
    mask: u64,
    flip: u64,
    factor: f64,
    offset: f64,
}

impl Lane {
    /// `None` where the field does not fit in a mantissa, or its factor is so small that dividing it would round.
    pub(super) fn of(field: &Field) -> Option<Self> {
        if field.number != Number::Integer || field.extractor.is_wide() {
            return None;
        }
        let (mask, sign) = field.extractor.placed();
        let down = if mask >> MANTISSA_BITS == 0 { 0 } else { UPPER };
        let shift = mask.trailing_zeros().checked_sub(down)?;
        let factor = field.factor * f64::from_bits((1023 - u64::from(shift)) << MANTISSA_BITS);
        let exact = factor.is_normal() || field.factor == 0.0 || !field.factor.is_finite();
        exact.then_some(Self {
            down,
            mask: mask >> down,
            flip: UNIT ^ (sign >> down),
            factor,
            offset: field.offset,
        })
    }

    /// The physical value, of the word that holds the field.
    #[inline]
    pub(super) fn physical(&self, word: u64) -> f64 {
        scale((word >> (self.down & 63)) & self.mask, self.flip, self.factor, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::extract::ByteOrder;

    /// The widest field that fits in a mantissa wherever it stands.
    const BITS_ALWAYS: u8 = 41;

    fn bits(value: f64) -> u64 {
        // One not-a-number is like another.
        if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
    }

    proptest! {
        #[test]
        fn the_value_is_that_of_a_shift_and_a_conversion(
            start in 0..512u16, bit_count in 1..=64u8, motorola: bool, signed: bool,
            factor in prop_oneof![
                any::<f64>(), -1000.0..1000.0, Just(0.1), Just(0.0), Just(-0.0), Just(5e-324),
                Just(f64::MIN_POSITIVE), Just(f64::MAX), Just(f64::INFINITY), Just(f64::NAN),
            ],
            offset in prop_oneof![any::<f64>(), Just(0.0), Just(-40.0)],
            noise in proptest::array::uniform32(any::<u8>()), ones: bool,
        ) {
            let order = if motorola { ByteOrder::Motorola } else { ByteOrder::Intel };
            let Some(extractor) = Extractor::new(start, bit_count, order, signed) else { return Ok(()) };
            let field = Field { extractor, factor, offset, signal: 7, number: Number::Integer };
            let mut payload = [0xFF; FD_LEN_MAX];
            if !ones {
                payload[..32].copy_from_slice(&noise);
                payload[32..].copy_from_slice(&noise);
            }
            let Some(lane) = Lane::of(&field) else {
                let is_ordinary = (1e-200..1e200).contains(&factor.abs());
                prop_assert!(bit_count > BITS_ALWAYS || !is_ordinary, "{field:?}");
                return Ok(());
            };
            let expected = bits(extractor.read(&payload) as i64 as f64 * factor + offset);
            let in_order = |word: u64| if motorola { word.swap_bytes() } else { word };
            prop_assert_eq!(bits(lane.physical(in_order(extractor.intel(&payload)))), expected, "{:?}", field);
            // Alone, and in each half of a pair.
            let fields = [field; 3];
            let pairs: Vec<Pair> = Pair::all_of(&fields).collect();
            prop_assert_eq!(pairs.len(), 2);
            for (pair, count) in pairs.iter().zip([2, 1]) {
                prop_assert_eq!(&pair.signal[..count], &[7; 2][..count]);
                let values = pair.physical(pair.words(&payload).map(in_order));
                prop_assert!(values[..count].iter().all(|value| bits(*value) == expected), "{:?}", field);
            }
        }
    }
}
