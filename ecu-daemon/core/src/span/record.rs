//! A span as the engine makes it, with all that is known of it.

use can_decode::trace::TraceFlags;
use can_decode::uds::{Nrc, Service};
use can_decode::{CanId, Raw, TraceContext};
use store::block::{
    BusSpan, BusSpanKind, SampleMark, SignalValues, SpanFailure, SpanLink, SpanLinks, SpanOrigin, SpanRecord,
    SpanStatus,
};

use super::links::Links;
use crate::record::{BusIndex, Stamp};

/// Signals that go with a span at most.
pub const ATTRIBUTES_MAX: usize = SignalValues::MAX;

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
    /// Where the samples of that frame are.
    pub sample: Option<SampleMark>,
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
            sample: None,
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

    /// As a block holds it; `expected` is the identifier that the schema has for the message.
    pub fn record(&self, expected: Option<CanId>) -> SpanRecord {
        let mut signals = SignalValues::default();
        // There is room for as many: see ATTRIBUTES_MAX.
        self.attributes.iter().flatten().for_each(|(signal, raw)| _ = signals.push(*signal, raw.0));
        let bus = BusSpan {
            kind: match self.kind {
                SpanKind::Frame => BusSpanKind::Frame,
                SpanKind::Exchange => BusSpanKind::Exchange,
                SpanKind::Message => BusSpanKind::Message,
                SpanKind::Diagnostic(service) => BusSpanKind::Diagnostic(service),
            },
            message: self.message,
            id: Some(self.id).filter(|id| Some(*id) != expected),
            signals,
            sample: self.sample,
        };
        let link = |context: &TraceContext| SpanLink { trace_id: context.trace_id, span_id: context.span_id };
        SpanRecord {
            trace_id: self.trace_id,
            span_id: None,
            parent_span_id: self.parent,
            flags: self.flags.0,
            start_ns: self.start.ns,
            duration_ns: self.duration_ns,
            clock: self.start.clock,
            origin: SpanOrigin::Bus(bus),
            status: match self.status {
                Status::Unset => SpanStatus::Unset,
                Status::Ok => SpanStatus::Ok,
                Status::Error(Failure::NoResponse) => SpanStatus::Error(SpanFailure::NoResponse),
                Status::Error(Failure::Reported(raw)) => SpanStatus::Error(SpanFailure::Reported(raw.0)),
                Status::Error(Failure::Refused(nrc)) => SpanStatus::Error(SpanFailure::Refused(nrc)),
            },
            links: self.links.iter().map(link).collect::<SpanLinks>().with_cut(self.links.cut),
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
