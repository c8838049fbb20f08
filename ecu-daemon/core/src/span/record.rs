//! A span as the engine makes it, with all that is known of it.

use can_decode::trace::TraceFlags;
use can_decode::uds::{Nrc, Service};
use can_decode::{CanId, Raw, TraceContext};

use super::links::Links;
use crate::record::{BusIndex, Stamp};

/// Signals that go with a span at most.
pub const ATTRIBUTES_MAX: usize = 4;

/// Something that happened on a bus, as part of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span that sent the frame or request; `None` where the trace begins here.
    pub parent: Option<[u8; 8]>,
    /// Flags as on the wire.
    pub flags: TraceFlags,
    /// Stamp of the frame, or of the request's first frame.
    pub start: Stamp,
    /// From there to the response's last frame, nanoseconds; 0 where no end is known.
    pub duration_ns: u64,
    /// `can.bus`.
    pub bus: BusIndex,
    /// `can.id`, as it was on the bus.
    pub id: CanId,
    /// Index into the schema's messages.
    pub message: u32,
    /// What it is.
    pub kind: SpanKind,
    /// How it ended.
    pub status: Status,
    /// Signals chosen by the configuration, of the frame or of the request.
    pub attributes: Attributes,
    /// What else it has to do with: the response's own context, and the other requests that one response answered.
    pub links: Links,
}

impl Span {
    /// Of one frame with a context.
    pub(super) const fn of(
        context: &TraceContext,
        start: Stamp,
        bus: BusIndex,
        id: CanId,
        message: u32,
    ) -> Self {
        Self {
            trace_id: context.trace_id,
            parent: Some(context.span_id),
            flags: context.flags,
            start,
            duration_ns: 0,
            bus,
            id,
            message,
            kind: SpanKind::Frame,
            status: Status::Unset,
            attributes: [None; ATTRIBUTES_MAX],
            links: Links::NONE,
        }
    }

    /// The context that it was made from.
    pub const fn context(&self) -> Option<TraceContext> {
        match self.parent {
            Some(span_id) => Some(TraceContext { trace_id: self.trace_id, span_id, flags: self.flags }),
            None => None,
        }
    }
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// One frame.
    Frame,
    /// A request and its response, each a frame.
    Exchange,
    /// An ISO-TP message that is no request.
    Message,
    /// A diagnostic request of this service and its response.
    Diagnostic(Service),
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known of an end, or there is none.
    Unset,
    /// There was a response.
    Ok,
    /// It failed.
    Error(Failure),
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No response in time.
    NoResponse,
    /// The response says so, by the signal that the configuration names.
    Reported(Raw),
    /// A negative diagnostic response.
    Refused(Nrc),
}

/// Signals by their index in the message.
pub type Attributes = [Option<(u16, Raw)>; ATTRIBUTES_MAX];
