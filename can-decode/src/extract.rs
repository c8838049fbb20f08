//! Bit fields of a payload, numbered as DBC files number them: Intel and Motorola, 1 to 64 bits, signed or not.

use crate::frame::FD_LEN_MAX;

/// How a signal's bits are numbered and ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Little-endian (`@1`): the start bit is the least significant bit, higher bits follow in higher bytes.
    Intel,
    /// Big-endian (`@0`): the start bit is the most significant bit in the "sawtooth" numbering, where bit 7 is the
    /// top bit of byte 0 and bit 15 the top bit of byte 1; lower bits follow to the right.
    Motorola,
}

/// A bit field, worked out once so that reading it is one load, one shift and a mask.
///
/// The load is of eight bytes; only a field that touches nine takes a slower way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extractor {
    /// The field's bits, moved down to bit 0.
    mask: u64,
    /// The field's top bit when it is signed, else 0: `(value ^ bit) - bit` extends the sign.
    sign_bit: u64,
    /// First byte of the eight (or sixteen, when `wide`) that are loaded; a multiple of eight for every field that lies
    /// within eight bytes from there.
    load: u8,
    /// Shift that moves the field down to bit 0.
    shift: u8,
    /// Payload length from which on the field is there completely.
    end: u8,
    order: ByteOrder,
    wide: bool,
}

impl Extractor {
    /// A field of `bits` bits at `start` (numbered as [`ByteOrder`] says); `signed` makes it two's complement.
    ///
    /// `None` unless there are 1 to 64 bits and all of them lie in a payload of 64 bytes.
    pub fn new(start: u16, bits: u8, order: ByteOrder, signed: bool) -> Option<Self> {
        if bits == 0 || bits > 64 || start >= FD_LEN_MAX as u16 * 8 {
            return None;
        }
        // Distance of the field's first bit from the start of the payload, counted the way its byte order runs.
        let first_bit = match order {
            ByteOrder::Intel => start,
            ByteOrder::Motorola => start / 8 * 8 + (7 - start % 8),
        };
        let end = (first_bit + u16::from(bits)).div_ceil(8);
        if end > FD_LEN_MAX as u16 {
            return None;
        }
        let first_byte = first_bit / 8;
        let wide = end - first_byte > 8;
        let width = if wide { 128 } else { 64 };
        // From a multiple of eight on where it is there, so that neighbours come out of one load.
        let aligned = first_byte / 8 * 8;
        let load = if end <= aligned + 8 { aligned } else { first_byte.min((FD_LEN_MAX as u16) - width / 8) };
        let skipped = first_bit - load * 8;
        let shift = match order {
            ByteOrder::Intel => skipped,
            ByteOrder::Motorola => width - skipped - u16::from(bits),
        };
        Some(Self {
            mask: u64::MAX >> (64 - bits),
            sign_bit: if signed { 1 << (bits - 1) } else { 0 },
            load: load as u8,
            shift: shift as u8,
            end: end as u8,
            order,
            wide,
        })
    }

    /// Payload length in bytes from which on the field is there completely, 1 to 64.
    pub const fn end(&self) -> usize {
        self.end as usize
    }

    /// How its bits are ordered.
    #[cfg(feature = "alloc")]
    pub(crate) const fn order(&self) -> ByteOrder {
        self.order
    }

    /// Whether [`Self::pick`] can take it out of the payload's first eight bytes.
    #[cfg(feature = "alloc")]
    pub(crate) const fn in_first_word(&self) -> bool {
        self.end <= 8
    }

    /// Whether its top bit is a sign.
    #[cfg(feature = "alloc")]
    pub(crate) const fn is_signed(&self) -> bool {
        self.sign_bit != 0
    }

    /// Whether it touches nine bytes.
    #[cfg(feature = "alloc")]
    pub(crate) const fn is_wide(&self) -> bool {
        self.wide
    }

    /// First byte of the eight that hold the field.
    #[cfg(feature = "alloc")]
    pub(crate) const fn load(&self) -> u8 {
        self.load
    }

    /// Its bits, and of these the one that is a sign, in the word that holds it.
    #[cfg(feature = "alloc")]
    pub(crate) const fn placed(&self) -> (u64, u64) {
        (self.mask << (self.shift & 63), self.sign_bit << (self.shift & 63))
    }

    /// The field's value, sign-extended to 64 bits when it is signed. The caller has checked [`Self::end`].
    #[inline]
    pub fn read(&self, payload: &[u8; FD_LEN_MAX]) -> u64 {
        if self.wide {
            return self.read_wide(payload);
        }
        match self.order {
            ByteOrder::Intel => self.pick(self.intel(payload)),
            ByteOrder::Motorola => self.pick(self.motorola(payload)),
        }
    }

    /// The eight bytes from `load` on, the first one lowest; 0 where they are not in the payload.
    #[inline]
    pub(crate) fn word(payload: &[u8; FD_LEN_MAX], load: u8) -> u64 {
        u64::from_le_bytes(chunk(payload, load))
    }

    /// The eight bytes that hold the field, the first one lowest.
    #[inline]
    pub(crate) fn intel(&self, payload: &[u8; FD_LEN_MAX]) -> u64 {
        Self::word(payload, self.load)
    }

    /// The eight bytes that hold the field, the first one highest.
    #[inline]
    pub(crate) fn motorola(&self, payload: &[u8; FD_LEN_MAX]) -> u64 {
        u64::from_be_bytes(chunk(payload, self.load))
    }

    /// The value out of its eight bytes, which were loaded in the field's order.
    #[inline]
    pub(crate) const fn pick(&self, word: u64) -> u64 {
        let value = self.pick_unsigned(word);
        (value ^ self.sign_bit).wrapping_sub(self.sign_bit)
    }

    /// The same for a field that is not signed.
    #[inline]
    pub(crate) const fn pick_unsigned(&self, word: u64) -> u64 {
        // `& 63` tells the compiler that no shift is too far.
        (word >> (self.shift & 63)) & self.mask
    }

    /// A field of 58 to 64 bits that begins in one byte and ends in the ninth.
    #[cold]
    pub(crate) fn read_wide(&self, payload: &[u8; FD_LEN_MAX]) -> u64 {
        let word = match self.order {
            ByteOrder::Intel => u128::from_le_bytes(chunk(payload, self.load)),
            ByteOrder::Motorola => u128::from_be_bytes(chunk(payload, self.load)),
        };
        let value = (word >> self.shift) as u64 & self.mask;
        (value ^ self.sign_bit).wrapping_sub(self.sign_bit)
    }

    /// Bit set of the payload bits the field occupies, bit `8 * byte + bit in byte`.
    #[cfg(feature = "dbc")]
    pub(crate) fn occupied(start: u16, bits: u8, order: ByteOrder) -> [u64; FD_LEN_MAX / 8] {
        let mut set = [0; FD_LEN_MAX / 8];
        for bit in bit_positions(start, bits, order) {
            if let Some(word) = set.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        }
        set
    }
}

/// `N` bytes from `load` on, which [`Extractor::new`] has kept inside of the payload.
#[inline]
fn chunk<const N: usize>(payload: &[u8; FD_LEN_MAX], load: u8) -> [u8; N] {
    let load = usize::from(load);
    payload.get(load..load + N).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

/// Payload bits of a field from its least significant one up, one by one: the definition [`Extractor`] is tested against.
#[cfg(any(feature = "dbc", test))]
fn bit_positions(start: u16, bits: u8, order: ByteOrder) -> impl Iterator<Item = usize> {
    let (start, bits) = (usize::from(start), usize::from(bits));
    (0..bits).map(move |significance| match order {
        ByteOrder::Intel => start + significance,
        ByteOrder::Motorola => {
            let from_top = start / 8 * 8 + (7 - start % 8) + (bits - 1 - significance);
            from_top / 8 * 8 + (7 - from_top % 8)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(payload: &mut [u8; 64], start: u16, bits: u8, order: ByteOrder, value: u64) {
        for (significance, position) in bit_positions(start, bits, order).enumerate() {
            let bit = 1 << (position % 8);
            payload[position / 8] &= !bit;
            if value >> significance & 1 != 0 {
                payload[position / 8] |= bit;
            }
        }
    }

    #[test]
    fn known_fields() {
        use ByteOrder::{Intel, Motorola};
        let check = |payload: &[u8], start, bits, order, signed, expected: i64| {
            let mut padded = [0; 64];
            padded[..payload.len()].copy_from_slice(payload);
            let field = Extractor::new(start, bits, order, signed).unwrap();
            assert_eq!(field.read(&padded) as i64, expected, "{start}|{bits} {order:?} of {payload:02X?}");
        };
        check(&[0x34, 0x12], 0, 16, Intel, false, 0x1234);
        check(&[0x12, 0x34], 7, 16, Motorola, false, 0x1234);
        check(&[0xFF, 0x0F], 0, 12, Intel, true, -1);
        check(&[0x01, 0xF0], 3, 8, Motorola, false, 0x1F);
        check(&[0x00, 0x80], 15, 1, Motorola, true, -1);
        check(&[0x80], 7, 1, Intel, false, 1);
        check(&[0, 1, 2, 3, 4, 5, 6, 7], 7, 64, Motorola, false, 0x0001_0203_0405_0607);
        // Nine bytes: 64 bits that begin at bit 4.
        check(&[0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], 4, 64, Intel, true, i64::MAX);
        check(
            &[0x07, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xF0],
            3,
            64,
            Motorola,
            true,
            0x7FFF_FFFF_FFFF_FFFF,
        );
    }

    #[test]
    fn fields_outside_of_64_bytes_are_refused() {
        assert_eq!(Extractor::new(0, 0, ByteOrder::Intel, false), None);
        assert_eq!(Extractor::new(0, 65, ByteOrder::Intel, false), None);
        assert_eq!(Extractor::new(512, 1, ByteOrder::Motorola, false), None);
        assert_eq!(Extractor::new(u16::MAX, 64, ByteOrder::Intel, false), None);
        assert_eq!(Extractor::new(511, 2, ByteOrder::Intel, false), None);
        assert_eq!(Extractor::new(504, 2, ByteOrder::Motorola, false), None);
        assert_eq!(Extractor::new(511, 1, ByteOrder::Intel, false).map(|field| field.end()), Some(64));
    }

    #[test]
    fn every_field_that_fits_can_be_made() {
        for order in [ByteOrder::Intel, ByteOrder::Motorola] {
            for start in 0..512u16 {
                for bits in 1..=64u8 {
                    let last = bit_positions(start, bits, order).map(|bit| bit / 8).max().unwrap();
                    let end = Extractor::new(start, bits, order, false).map(|field| field.end());
                    assert_eq!(end, (last < 64).then_some(last + 1), "{start}|{bits} {order:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_placed_anywhere_reads_back(
            start in 0..512u16, bits in 1..=64u8, motorola: bool, signed: bool, value: u64,
            noise in proptest::array::uniform32(any::<u8>()),
        ) {
            let order = if motorola { ByteOrder::Motorola } else { ByteOrder::Intel };
            let Some(field) = Extractor::new(start, bits, order, signed) else { return Ok(()) };
            let mut payload = [0; 64];
            payload[..32].copy_from_slice(&noise);
            payload[32..].copy_from_slice(&noise);
            place(&mut payload, start, bits, order, value);
            let unused = 64 - u32::from(bits);
            let expected = if signed { ((value << unused) as i64 >> unused) as u64 } else { value << unused >> unused };
            prop_assert_eq!(field.read(&payload), expected);
        }
    }
}
