//! The binary form with field numbers, as gRPC's `grpc-trace-bin` metadata carries it: a version byte, then each field
//! behind its number (W3C Trace Context binary format, draft; `OpenCensus` has the same).

use super::{TraceContext, TraceError, TraceFlags};

/// Bytes of the form: version, and three fields with their numbers.
pub const BINARY_LEN: usize = 1 + (1 + 16) + (1 + 8) + (1 + 1);
const VERSION: u8 = 0;
const TRACE_ID_FIELD: u8 = 0;
const SPAN_ID_FIELD: u8 = 1;
const FLAGS_FIELD: u8 = 2;

const _: () = assert!(BINARY_LEN == 29);

impl TraceContext {
    /// The 29 bytes; reserved flags are zero.
    pub fn binary(&self) -> [u8; BINARY_LEN] {
        let mut bytes = [0; BINARY_LEN];
        bytes[0] = VERSION;
        bytes[1] = TRACE_ID_FIELD;
        bytes[2..18].copy_from_slice(&self.trace_id);
        bytes[18] = SPAN_ID_FIELD;
        bytes[19..27].copy_from_slice(&self.span_id);
        bytes[27] = FLAGS_FIELD;
        bytes[28] = self.flags.known().0;
        bytes
    }

    /// Reads the form at the start of `bytes`; what follows the three fields are fields of a later day, and left alone.
    ///
    /// # Errors
    /// [`TraceError::Format`] for another version or another field in the place of one of the three,
    /// [`TraceError::Truncated`], [`TraceError::ZeroTraceId`] and [`TraceError::ZeroSpanId`].
    pub fn parse_binary(bytes: &[u8]) -> Result<Self, TraceError> {
        let mut fields = Fields { rest: bytes, len: bytes.len() };
        fields.number(VERSION)?;
        fields.number(TRACE_ID_FIELD)?;
        let trace_id = fields.take()?;
        fields.number(SPAN_ID_FIELD)?;
        let span_id = fields.take()?;
        fields.number(FLAGS_FIELD)?;
        let [flags] = fields.take()?;
        Self::new(trace_id, span_id, TraceFlags(flags))
    }
}

struct Fields<'a> {
    rest: &'a [u8],
    len: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TraceError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(TraceError::Truncated(self.len))?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn number(&mut self, expected: u8) -> Result<(), TraceError> {
        let [number] = self.take()?;
        if number == expected { Ok(()) } else { Err(TraceError::Format(number)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_with_anything_behind_it(
            trace_id in 1..=u128::MAX, span_id in 1..=u64::MAX, flags in 0..4_u8, more: Vec<u8>
        ) {
            let flags = TraceFlags(flags);
            let context = TraceContext::new(trace_id.to_be_bytes(), span_id.to_be_bytes(), flags).unwrap();
            let mut bytes = context.binary().to_vec();
            bytes.extend(more);
            prop_assert_eq!(TraceContext::parse_binary(&bytes), Ok(context));
            for len in 0..BINARY_LEN {
                prop_assert_eq!(TraceContext::parse_binary(&bytes[..len]), Err(TraceError::Truncated(len)));
            }
            for at in [0, 1, 18, 27] {
                let mut other = context.binary();
                other[at] ^= 4;
                prop_assert_eq!(TraceContext::parse_binary(&other), Err(TraceError::Format(other[at])));
            }
        }
    }
}
