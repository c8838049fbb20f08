//! The 25-byte trace context a frame carries: W3C Trace Context ids in their network order.
//!
//! Layout: trace id (16 bytes), parent or span id (8 bytes), trace flags (1 byte), each as in the `traceparent`
//! header (W3C Trace Context Level 2, §3.2.2). No W3C document defines 25 bytes; the fields and their rules are W3C's,
//! the packing without field numbers is ours, so that a context and signals fit into one CAN-FD frame.

use core::fmt;

/// W3C trace flags (§3.2.2.5). Bits other than the two below are reserved: kept as received, and written as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(pub u8);

impl TraceFlags {
    const KNOWN: u8 = 0b11;

    /// Bit 0: the caller recorded this trace.
    pub const fn sampled(self) -> bool {
        self.0 & 1 != 0
    }

    /// Bit 1 (Level 2): the low 7 bytes of the trace id are random.
    pub const fn random(self) -> bool {
        self.0 & 2 != 0
    }
}

/// Which trace a frame belongs to, and the span that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Trace id, big-endian; never all zero once parsed.
    pub trace_id: [u8; 16],
    /// The sender's span, which is the parent of the span made for the frame; never all zero once parsed.
    pub span_id: [u8; 8],
    /// Sampled and random flags.
    pub flags: TraceFlags,
}

const _: () = assert!(TraceContext::WIRE_LEN == 16 + 8 + 1);

impl TraceContext {
    /// Bytes of a context in a payload.
    pub const WIRE_LEN: usize = 25;

    /// Reads the context at the start of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    /// [`TraceError`]: fewer than 25 bytes, or an id that W3C Trace Context calls invalid.
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        let truncated = TraceError::Truncated(bytes.len());
        let (trace_id, rest) = bytes.split_first_chunk().ok_or(truncated)?;
        let (span_id, rest) = rest.split_first_chunk().ok_or(truncated)?;
        let flags = TraceFlags(*rest.first().ok_or(truncated)?);
        if *trace_id == [0; 16] {
            return Err(TraceError::ZeroTraceId);
        }
        if *span_id == [0; 8] {
            return Err(TraceError::ZeroSpanId);
        }
        Ok(Self { trace_id: *trace_id, span_id: *span_id, flags })
    }

    /// The 25 bytes to put into a payload; reserved flags are zero.
    pub fn write(&self) -> [u8; Self::WIRE_LEN] {
        let mut bytes = [0; Self::WIRE_LEN];
        bytes[..16].copy_from_slice(&self.trace_id);
        bytes[16..24].copy_from_slice(&self.span_id);
        bytes[24] = self.flags.0 & TraceFlags::KNOWN;
        bytes
    }
}

/// Why bytes are no trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// This many bytes instead of 25.
    Truncated(usize),
    /// The trace id is all zero, which W3C reserves as invalid (§3.2.2.3).
    ZeroTraceId,
    /// The span id is all zero, which W3C reserves as invalid (§3.2.2.4).
    ZeroSpanId,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(len) => {
                write!(
                    f,
                    "trace context: {len} bytes where 25 are needed; check TraceContextOffset and the DLC"
                )
            }
            Self::ZeroTraceId => {
                f.write_str("trace context: the trace id is all zero; the sender has no trace")
            }
            Self::ZeroSpanId => f.write_str("trace context: the span id is all zero; the sender has no span"),
        }
    }
}

impl core::error::Error for TraceError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wire(trace: u8, span: u8, flags: u8) -> [u8; 25] {
        let mut bytes = [trace; 25];
        bytes[16..24].fill(span);
        bytes[24] = flags;
        bytes
    }

    #[test]
    fn fields_stand_in_network_order() {
        // The identifiers of the W3C specification's example header.
        let bytes = [
            0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c,
            0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31, 0x01,
        ];
        let context = TraceContext::parse(&bytes).unwrap();
        assert_eq!(context.trace_id[..2], [0x0a, 0xf7]);
        assert_eq!(context.span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
        assert_eq!((context.flags.sampled(), context.flags.random()), (true, false));
        assert_eq!(context.write(), bytes);
    }

    #[test]
    fn invalid_contexts_are_told_apart() {
        for len in 0..25 {
            assert_eq!(TraceContext::parse(&wire(1, 1, 1)[..len]), Err(TraceError::Truncated(len)));
        }
        assert_eq!(TraceContext::parse(&wire(0, 1, 1)), Err(TraceError::ZeroTraceId));
        assert_eq!(TraceContext::parse(&wire(1, 0, 1)), Err(TraceError::ZeroSpanId));
        let flags = TraceContext::parse(&wire(1, 1, 0xFE)).unwrap().flags;
        assert_eq!((flags, flags.sampled(), flags.random()), (TraceFlags(0xFE), false, true));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(context) = TraceContext::parse(&bytes) {
                let written = context.write();
                prop_assert_eq!(&written[..24], &bytes[..24]);
                prop_assert_eq!(written[24], bytes[24] & 0b11);
            }
        }
    }
}
