//! The 25-byte trace context a frame carries: W3C Trace Context ids in their network order.
//!
//! Layout: trace id (16 bytes), parent or span id (8 bytes), trace flags (1 byte), each as in the `traceparent`
//! header (W3C Trace Context Level 2, §3.2.2). No W3C document defines 25 bytes; the fields and their rules are W3C's,
//! the packing without field numbers is ours, so that a context and signals fit into one CAN-FD frame.
//!
//! How a context gets from one place to another is each a module of its own, with a writer and a reader: [`payload`]
//! (CAN-FD frames and ISO-TP messages, at an offset), [`classic`] (four frames before the one that is meant),
//! [`trailer`] (ISO-TP messages and Unix datagrams, at the end), [`slot`] (shared memory), [`metadata`] (HTTP and gRPC).
//! `can-decode/TRACE.md` has the formats, and what each makes of damage.

mod binary;
pub mod classic;
mod counts;
mod error;
mod ids;
pub mod metadata;
pub mod payload;
mod recent;
mod sampling;
mod sealed;
pub mod slot;
mod text;
pub mod trailer;

pub use binary::BINARY_LEN;
pub use counts::ContextCounts;
pub use error::TraceError;
pub use ids::SpanIds;
pub use recent::Recent;
pub use sampling::Threshold;
pub use sealed::SEALED_LEN;
pub use text::TRACEPARENT_LEN;

/// W3C trace flags (§3.2.2.5). Bits other than the two below are reserved: kept as received, and written as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(pub u8);

impl TraceFlags {
    /// Bit 0, see [`Self::sampled`].
    pub const SAMPLED: Self = Self(1);
    /// Bit 1, see [`Self::random`].
    pub const RANDOM: Self = Self(2);

    /// Without the reserved bits, as they are passed on.
    #[must_use]
    pub const fn known(self) -> Self {
        Self(self.0 & (Self::SAMPLED.0 | Self::RANDOM.0))
    }

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

    /// A context of these ids.
    ///
    /// # Errors
    /// [`TraceError::ZeroTraceId`] and [`TraceError::ZeroSpanId`], which W3C Trace Context calls invalid.
    pub const fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: TraceFlags) -> Result<Self, TraceError> {
        if u128::from_ne_bytes(trace_id) == 0 {
            return Err(TraceError::ZeroTraceId);
        }
        if u64::from_ne_bytes(span_id) == 0 {
            return Err(TraceError::ZeroSpanId);
        }
        Ok(Self { trace_id, span_id, flags })
    }

    /// Reads the context at the start of `bytes`; what follows it is left alone.
    ///
    /// # Errors
    /// [`TraceError`]: fewer than 25 bytes, all of them zero, or an id that W3C Trace Context calls invalid.
    pub fn parse(bytes: &[u8]) -> Result<Self, TraceError> {
        let truncated = TraceError::Truncated(bytes.len());
        let (trace_id, rest) = bytes.split_first_chunk().ok_or(truncated)?;
        let (span_id, rest) = rest.split_first_chunk().ok_or(truncated)?;
        let flags = *rest.first().ok_or(truncated)?;
        let context = Self::new(*trace_id, *span_id, TraceFlags(flags));
        // Looked at only where there is an error: a sender that traces nothing leaves the place zero.
        match context {
            Err(TraceError::ZeroTraceId) if *span_id == [0; 8] && flags == 0 => Err(TraceError::Absent),
            context => context,
        }
    }

    /// The 25 bytes to put into a payload; reserved flags are zero.
    pub fn write(&self) -> [u8; Self::WIRE_LEN] {
        let mut bytes = [0; Self::WIRE_LEN];
        bytes[..16].copy_from_slice(&self.trace_id);
        bytes[16..24].copy_from_slice(&self.span_id);
        bytes[24] = self.flags.known().0;
        bytes
    }

    /// The context of a span below this one: same trace, same flags but for the reserved ones (§3.2.2.5 has them set to
    /// zero), `span_id` its own. [`SpanIds`] makes such ids.
    ///
    /// # Errors
    /// [`TraceError::ZeroSpanId`]
    pub const fn child(&self, span_id: [u8; 8]) -> Result<Self, TraceError> {
        Self::new(self.trace_id, span_id, self.flags.known())
    }
}

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
        assert_eq!(TraceContext::parse(&wire(0, 0, 0)), Err(TraceError::Absent));
        assert_eq!(TraceContext::parse(&wire(0, 0, 1)), Err(TraceError::ZeroTraceId));
        assert_eq!(TraceContext::parse(&wire(0, 1, 1)), Err(TraceError::ZeroTraceId));
        assert_eq!(TraceContext::parse(&wire(1, 0, 1)), Err(TraceError::ZeroSpanId));
        let flags = TraceContext::parse(&wire(1, 1, 0xFE)).unwrap().flags;
        assert_eq!((flags, flags.sampled(), flags.random()), (TraceFlags(0xFE), false, true));
    }

    #[test]
    fn a_child_has_its_own_span_and_its_parents_trace() {
        let parent = TraceContext::parse(&wire(1, 2, 0xFF)).unwrap();
        let child = parent.child([3; 8]).unwrap();
        assert_eq!((child.trace_id, child.span_id, child.flags), ([1; 16], [3; 8], TraceFlags(0b11)));
        assert_eq!(parent.child([0; 8]), Err(TraceError::ZeroSpanId));
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
