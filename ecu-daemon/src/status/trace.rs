//! What became of trace contexts, requests and spans, and of what local services brought.

use std::sync::atomic::AtomicU64;

use ecu_core::Tracer;
use ecu_core::span::{CarrierBooks, TraceBooks};

/// What the engine's tracer last said.
#[derive(Clone, Debug, Default)]
pub struct TraceStatus {
    /// Contexts, requests and spans of all buses.
    pub books: TraceBooks,
    /// Requests that wait for a response.
    pub waiting: u64,
    /// By bus; `None` where all contexts are in their frames.
    pub carriers: Vec<Option<CarrierBooks>>,
}

impl TraceStatus {
    /// Takes what `tracer` says of so many buses. Allocates the first time only.
    pub fn update(&mut self, tracer: &Tracer, buses: usize) {
        self.books = tracer.books();
        self.waiting = tracer.waiting() as u64;
        self.carriers.clear();
        self.carriers.extend((0..buses).map(|bus| tracer.carriers(bus)));
    }

    /// Whether every request and every context is in one place.
    pub fn balanced(&self) -> bool {
        self.books.spans.balanced(self.waiting) && self.carriers.iter().flatten().all(CarrierBooks::balanced)
    }
}

/// Counters of the intake of local services' records.
#[derive(Debug, Default)]
pub struct IntakeCounters {
    /// Requests, by outcome.
    pub requests: RequestCounters,
    /// Spans.
    pub spans: BroughtCounters,
    /// Log records.
    pub logs: BroughtCounters,
}

/// Every request is in one of these.
#[derive(Debug, Default)]
pub struct RequestCounters {
    /// Read, and all of it taken.
    pub taken: AtomicU64,
    /// Read, and some of it rejected: the answer says how much.
    pub partly: AtomicU64,
    /// Not read: not of the form, not complete, too long, or at another address.
    pub refused: AtomicU64,
    /// To be sent again later: too many records a second.
    pub later: AtomicU64,
}

/// Every record that was read is in one of these.
#[derive(Debug, Default)]
pub struct BroughtCounters {
    /// Handed to the engine.
    pub taken: AtomicU64,
    /// Without what a record must have, such as a span's ids.
    pub malformed: AtomicU64,
    /// Dropped because the engine did not keep up.
    pub dropped: AtomicU64,
}
