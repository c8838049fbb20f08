//! Which contexts were seen before: a sender gives each frame that it traces a span id of its own, so the same context
//! at the same place is a repetition, be it a cyclic sender's or a recording's.

use super::TraceContext;
use super::ids::mix;

const WAYS: usize = 4;

/// Remembers contexts in fixed memory, 32 bytes a bucket: four to a bucket, of which the oldest gives way.
///
/// What has been pushed out is forgotten and would be taken for new, so this bounds repetitions and does not prove that
/// there are none. Two contexts are taken for the same by chance once in 2^64.
#[derive(Clone, Debug)]
pub struct Recent<const BUCKETS: usize>([[u64; WAYS]; BUCKETS]);

impl<const BUCKETS: usize> Default for Recent<BUCKETS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BUCKETS: usize> Recent<BUCKETS> {
    /// With nothing seen yet.
    pub const fn new() -> Self {
        Self([[0; WAYS]; BUCKETS])
    }

    /// Whether `context` was not seen lately at `place`, a number that the caller gives to each message, channel or
    /// slot. From now on it was.
    pub fn is_new(&mut self, place: u32, context: &TraceContext) -> bool {
        let trace_id = u128::from_be_bytes(context.trace_id);
        let trace = mix((trace_id >> 64) as u64).wrapping_add(trace_id as u64);
        let span = mix(u64::from_be_bytes(context.span_id).wrapping_add(u64::from(place)));
        // Zero stands for a free way.
        let mark = mix(trace ^ span).max(1);
        let Some(bucket) = self.0.get_mut((mark % BUCKETS.max(1) as u64) as usize) else { return true };
        if bucket.contains(&mark) {
            return false;
        }
        bucket.rotate_right(1);
        bucket[0] = mark;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{SpanIds, TraceFlags};

    fn contexts(count: usize) -> Vec<TraceContext> {
        let mut ids = SpanIds::new(1);
        let spans = core::iter::repeat_with(|| ids.next_id()).take(count);
        spans.map(|span_id| TraceContext::new([9; 16], span_id, TraceFlags(1)).unwrap()).collect()
    }

    #[test]
    fn a_context_is_new_once_at_each_place() {
        let mut recent = Recent::<64>::new();
        let contexts = contexts(20);
        for place in [0, 1, u32::MAX] {
            assert!(contexts.iter().all(|context| recent.is_new(place, context)), "{place}");
            assert!(!contexts.iter().any(|context| recent.is_new(place, context)), "{place}");
        }
        let other_trace = TraceContext { trace_id: [8; 16], ..contexts[0] };
        assert!(recent.is_new(0, &other_trace));
        let other_flags = TraceContext { flags: TraceFlags(3), ..contexts[0] };
        assert!(!recent.is_new(0, &other_flags), "the flags do not make another span");
    }

    #[test]
    fn what_is_forgotten_is_the_oldest() {
        let mut recent = Recent::<1>::new();
        let contexts = contexts(5);
        assert!(contexts.iter().all(|context| recent.is_new(0, context)));
        assert!(!contexts[1..].iter().any(|context| recent.is_new(0, context)));
        assert!(recent.is_new(0, &contexts[0]));
    }
}
