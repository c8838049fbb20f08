//! What became of the places where contexts may be.

use super::{TraceContext, TraceError};

/// Outcomes of one carrier's readings. Every reading is in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextCounts {
    /// Contexts that are well-formed and were not there before.
    pub valid: u64,
    /// Places left zero: nothing is traced.
    pub absent: u64,
    /// Cut off before their end.
    pub truncated: u64,
    /// With one id zero and the other not.
    pub zero_ids: u64,
    /// Whose checksum does not hold.
    pub checksum: u64,
    /// Of another form than expected: text, versions, several at once.
    pub malformed: u64,
    /// Shared slots that could not be read between two writings.
    pub unsettled: u64,
    /// Well-formed, and seen before at the same place: sent again, or recorded and replayed. No span is made of them.
    pub repeated: u64,
}

impl ContextCounts {
    /// Books a reading that was not [`Self::repeated`].
    pub const fn count(&mut self, reading: &Result<TraceContext, TraceError>) {
        let counter = match reading {
            Ok(_) => &mut self.valid,
            Err(TraceError::Absent) => &mut self.absent,
            Err(TraceError::Truncated(_)) => &mut self.truncated,
            Err(TraceError::ZeroTraceId | TraceError::ZeroSpanId) => &mut self.zero_ids,
            Err(TraceError::Checksum) => &mut self.checksum,
            Err(TraceError::Format(_) | TraceError::Text(_) | TraceError::Several) => &mut self.malformed,
            Err(TraceError::Unsettled) => &mut self.unsettled,
        };
        *counter += 1;
    }

    /// Contexts that cannot be used because something is wrong with them.
    pub const fn damaged(&self) -> u64 {
        self.truncated + self.zero_ids + self.checksum + self.malformed
    }

    /// All readings.
    pub const fn taken(&self) -> u64 {
        self.valid + self.absent + self.damaged() + self.unsettled + self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceFlags;

    #[test]
    fn every_reading_is_in_one_counter() {
        let valid = TraceContext::new([1; 16], [1; 8], TraceFlags(0));
        let errors = [
            TraceError::Truncated(3),
            TraceError::Absent,
            TraceError::ZeroTraceId,
            TraceError::ZeroSpanId,
            TraceError::Checksum,
            TraceError::Format(1),
            TraceError::Text(0),
            TraceError::Several,
            TraceError::Unsettled,
        ];
        let mut counts = ContextCounts::default();
        counts.count(&valid);
        for (before, error) in errors.into_iter().enumerate() {
            assert_eq!(counts.taken(), before as u64 + 1);
            counts.count(&Err(error));
        }
        assert_eq!((counts.taken(), counts.damaged()), (10, 7));
        assert_eq!((counts.valid, counts.absent, counts.unsettled), (1, 1, 1));
    }
}
