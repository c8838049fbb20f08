//! Numbers and texts of a body: LEB128 varints, zigzag for signed ones, length-prefixed UTF-8.

use super::BlockError;

/// Signed to unsigned so that small magnitudes are small numbers.
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a body from front to back; every length is checked against what is left.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], BlockError> {
        let (head, tail) = self
            .rest
            .split_at_checked(len)
            .ok_or(BlockError::Truncated { have: self.rest.len(), need: len })?;
        self.rest = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BlockError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BlockError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn varint(&mut self) -> Result<u64, BlockError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BlockError::Field { field: "varint", value })
    }

    /// A count or length, refused above `max` before anybody allocates for it.
    pub(super) fn count(&mut self, field: &'static str, max: usize) -> Result<usize, BlockError> {
        let value = self.varint()?;
        if value > max as u64 {
            return Err(BlockError::Limit { field, value, max: max as u64 });
        }
        Ok(value as usize)
    }

    pub(super) fn text(&mut self, field: &'static str, max: usize) -> Result<&'a str, BlockError> {
        let len = self.count(field, max)?;
        core::str::from_utf8(self.bytes(len)?).map_err(|_| BlockError::Text(field))
    }

    /// Bytes not read yet.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Bytes left over mean that writer and reader disagree.
    pub(super) fn end(&self) -> Result<(), BlockError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(BlockError::Field { field: "bytes after the last column", value: self.rest.len() as u64 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varint_and_zigzag_come_back(values: Vec<i64>) {
            let mut out = Vec::new();
            for &value in &values {
                put_varint(&mut out, zigzag(value));
            }
            let mut reader = Reader::new(&out);
            for &value in &values {
                prop_assert_eq!(unzigzag(reader.varint().unwrap()), value);
            }
            prop_assert!(reader.end().is_ok());
        }
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused_before_allocation() {
        let mut out = Vec::new();
        put_varint(&mut out, 1 << 40);
        assert!(matches!(Reader::new(&out).count("n", 1 << 20), Err(BlockError::Limit { .. })));
        assert!(matches!(Reader::new(&[5, b'a']).text("t", 10), Err(BlockError::Truncated { .. })));
        assert!(matches!(Reader::new(&[0xFF; 11]).varint(), Err(BlockError::Field { .. })));
    }
}
