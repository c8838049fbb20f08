//! What became of contexts and spans.

use can_decode::trace::ContextCounts;

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
