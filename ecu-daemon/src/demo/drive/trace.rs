//! The trace contexts that the car's control units pass on inside their frames.

use super::random::Random;

/// Trace id, span id, flags (W3C Trace Context, binary).
pub(crate) const CONTEXT_LEN: usize = 25;
/// The trace is kept.
const SAMPLED: u8 = 0x01;
/// The trace id is random (W3C Trace Context level 2).
const RANDOM: u8 = 0x02;

/// One control unit's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The first span of a new trace. Some control units do not know the flag for random ids yet.
    pub(crate) fn root(random: &mut Random) -> Self {
        let flags = if random.one_in(3) { SAMPLED } else { SAMPLED | RANDOM };
        Self { trace_id: random.id(), span_id: random.id(), flags }
    }

    /// A further span of the same trace.
    pub(crate) fn child(&self, random: &mut Random) -> Self {
        Self { span_id: random.id(), ..*self }
    }

    /// As it lies in a frame.
    pub(crate) fn bytes(&self) -> [u8; CONTEXT_LEN] {
        let mut bytes = [0; CONTEXT_LEN];
        bytes[..16].copy_from_slice(&self.trace_id);
        bytes[16..24].copy_from_slice(&self.span_id);
        bytes[24] = self.flags;
        bytes
    }
}
