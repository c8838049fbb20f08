//! Protobuf's wire format (protobuf.dev, "Encoding"), as much of it as OTLP has: fields in place, nothing is copied.
//!
//! A generated reader would bring five crates into the ECU's tree, to build whole trees of messages of which most is not
//! looked at.

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Bytes, text, or a message.
    Bytes(&'a [u8]),
}

/// Not of the format, or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of protobuf's wire format, or cut off")]
pub(super) struct Malformed;

/// The fields of a message, each with its number; ends after the first error.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            // Of the tenth byte one bit is left (the 64th); what is above it is dropped, as other readers do.
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number != 0).ok_or(Malformed)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take()?)),
            // Groups went with the second version of the language; OTLP is of the third.
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Appends a number.
pub(super) fn put_varint(out: &mut Vec<u8>, field: u32, value: u64) {
    put_raw(out, u64::from(field) << 3);
    put_raw(out, value);
}

/// Appends bytes, text, or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_raw(out, u64::from(field) << 3 | 2);
    put_raw(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_raw(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn fields_are_read_as_they_are_written() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, 1, 150);
        put_bytes(&mut bytes, 2, b"testing");
        put_varint(&mut bytes, 536_870_911, u64::MAX);
        // The first two as in the format's own description.
        assert_eq!(bytes[..12], *b"\x08\x96\x01\x12\x07testing");
        bytes.extend_from_slice(&[0x39, 1, 2, 3, 4, 5, 6, 7, 8, 0x45, 1, 2, 3, 4]);
        let expected = [
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"testing")),
            (536_870_911, Value::Varint(u64::MAX)),
            (7, Value::Fixed64(0x0807_0605_0403_0201)),
            (8, Value::Fixed32(0x0403_0201)),
        ];
        assert_eq!(all(&bytes).unwrap(), expected);
        // Cut anywhere but between two fields, it is an error.
        let ends = [0, 3, 12, bytes.len() - 14, bytes.len() - 5, bytes.len()];
        for cut in 0..=bytes.len() {
            assert_eq!(all(&bytes[..cut]).is_ok(), ends.contains(&cut), "{cut}");
        }
    }

    #[test]
    fn what_is_of_another_form_is_an_error() {
        for bytes in [
            &[0x00, 0x00][..],
            &[0x0B, 0x0C],
            &[0x0E],
            &[0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            &[0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            &[0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00],
        ] {
            assert_eq!(all(bytes), Err(Malformed), "{bytes:02X?}");
        }
    }
}
