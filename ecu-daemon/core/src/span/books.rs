//! What became of contexts and spans.

use can_decode::isotp;
use can_decode::trace::ContextCounts;
use can_decode::trace::classic::ClassicCounts;

use super::sampling::SamplingBooks;

/// Contexts and what was made of them, of all buses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceBooks {
    /// Readings of places where contexts may be.
    pub contexts: ContextCounts,
    /// Requests and their ends.
    pub spans: SpanBooks,
    /// What was decided of the spans.
    pub sampling: SamplingBooks,
}

/// Requests: `opened` = `answered` + `unanswered` + `quiet` + `displaced` + `ended` + those that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanBooks {
    /// Requests that were waited for.
    pub opened: u64,
    /// Requests with a response, good or bad.
    pub answered: u64,
    /// Requests without one in time.
    pub unanswered: u64,
    /// Requests that asked for no response unless it be a bad one, and got none.
    pub quiet: u64,
    /// Requests forgotten because too many waited: spans without length.
    pub displaced: u64,
    /// Requests that waited when the engine stopped or gave way to another: spans without length.
    pub ended: u64,
    /// Responses to no request that waits: late ones, or ones whose request was not traced.
    pub unsolicited: u64,
    /// Requests that belong to no trace; with a seed for trace ids they begin one.
    pub untraced: u64,
    /// Requests and responses that are cut off before the signal that tells which belong together.
    pub unkeyed: u64,
    /// Links for which there was no room.
    pub links_cut: u64,
}

/// What one bus has of contexts that are not in the frame that they are of. Numbers go on when an engine gives way to
/// another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarrierBooks {
    /// Context frames of classical CAN.
    pub classic: ClassicCounts,
    /// Contexts of which frames are still to come.
    pub under_way: usize,
    /// Whole contexts that wait for their frame.
    pub waiting: usize,
    /// Frames of conversations.
    pub transport: isotp::Counters,
    /// Messages of conversations that began and wait for frames.
    pub transfers: usize,
}

impl SpanBooks {
    /// Whether every request is in one place, when so many wait.
    pub const fn balanced(&self, waiting: u64) -> bool {
        let gone = self.answered + self.unanswered + self.quiet + self.displaced + self.ended;
        self.opened == gone + waiting
    }
}

impl CarrierBooks {
    /// Whether every context, frame and message is in one place.
    pub fn balanced(&self) -> bool {
        let classic = &self.classic;
        let begun = classic.complete
            + classic.absent
            + classic.damaged
            + classic.unknown
            + classic.interrupted
            + classic.timed_out;
        let complete = classic.carried + classic.replaced + classic.missed + classic.expired;
        let seen = &self.transport;
        let frames = seen.single_frames + seen.first_frames + seen.consecutive_frames + seen.flow_controls;
        let long = seen.messages - seen.single_frames + seen.abandoned_total();
        classic.begun == begun + self.under_way as u64
            && classic.complete == complete + self.waiting as u64
            && seen.frames == frames + seen.ignored_total()
            && seen.first_frames == long + self.transfers as u64
    }

    /// As another one finds them that goes on: what was under way is given up, and nobody reads on.
    pub(super) fn closed(self) -> Self {
        let mut classic = self.classic;
        classic.interrupted += self.under_way as u64;
        classic.expired += self.waiting as u64;
        Self { classic, under_way: 0, waiting: 0, transfers: 0, ..self }
    }

    /// With what was counted before.
    pub(super) fn after(self, before: &Self) -> Self {
        Self {
            classic: before.classic.plus(self.classic),
            transport: before.transport.plus(self.transport),
            ..self
        }
    }
}
