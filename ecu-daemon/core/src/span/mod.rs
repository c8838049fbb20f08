//! Spans from what is on the buses: frames with trace contexts, and requests with their responses.
//!
//! A frame whose context its sender sampled gives a span without length: parent = the context, start = the frame's stamp.
//! A request and its response, told by the configuration or by UDS over ISO-TP, give one span together, from one stamp to
//! the other, with a status. What is kept is decided at the end, when it is known whether it failed or was slow.
//!
//! A context that is damaged, all zero or seen before makes no span; the signals beside it are decoded as ever.

mod books;
mod exchanges;
mod links;
mod record;
mod roles;
mod sampling;
mod settings;
mod tracer;
mod transport;
mod waiting;

pub use books::{CarrierBooks, SpanBooks, TraceBooks};
pub use links::{LINKS_MAX, Links};
pub use record::{ATTRIBUTES_MAX, Attributes, Failure, Span, SpanKind, Status};
pub use sampling::{Sampling, SamplingBooks};
pub use settings::{
    Answers, BusSettings, Conversation, Expectation, FailureSignal, Pair, Place, SENDERS_MAX, Settings,
    SettingsError, TARGETS_MAX,
};
pub(crate) use tracer::Decoded;
pub use tracer::Tracer;

#[cfg(test)]
mod tests;
