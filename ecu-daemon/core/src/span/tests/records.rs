//! Nothing of a span is lost on its way into a block.

use can_decode::uds::{Nrc, Service};
use store::block::{
    BusSpanKind, SampleMark, SpanFailure, SpanLink, SpanOrigin, SpanRecord, SpanStatus, SpansBuilder,
    read_spans,
};

use super::*;
use crate::span::record::{Failure, Span, SpanKind, Status};
use can_decode::Raw;

fn span() -> Span {
    let stamp = Stamp { ns: 5, clock: ClockSource::Hardware };
    let mut span = Span::of(&context(7, 3), stamp, BusIndex(1), REPLY, REPLY_INDEX as u32);
    span.duration_ns = 9;
    span.attributes = [None, Some((1, Raw(80))), None, Some((0, Raw(3)))];
    span.sample = Some(SampleMark { tick_ns: 1_000, slot_delay_ms: Some(2) });
    (1..=6).for_each(|number| span.links.add(context(number, 1)));
    span
}

/// The same out of a block.
fn stored(span: &Span, expected: Option<CanId>) -> SpanRecord {
    let mut builder = SpansBuilder::default();
    builder.push(span.record(expected));
    let mut body = Vec::new();
    builder.encode(&mut body);
    read_spans(&body).unwrap().remove(0)
}

#[test]
fn a_block_has_all_of_a_span() {
    let record = stored(&span(), Some(REPLY));
    let SpanOrigin::Bus(bus) = &record.origin else { panic!("{record:?}") };
    assert_eq!((record.trace_id, record.parent_span_id, record.flags), ([7; 16], Some([7; 8]), 3));
    assert_eq!((record.start_ns, record.duration_ns, record.clock), (5, 9, ClockSource::Hardware));
    assert_eq!((bus.message, bus.id, bus.sample), (REPLY_INDEX as u32, None, span().sample));
    assert_eq!(bus.signals.iter().collect::<Vec<_>>(), [(1, 80), (0, 3)], "those that the frame had");
    let links: Vec<_> = record.links.iter().copied().collect();
    let link = |number| SpanLink { trace_id: [number; 16], span_id: [number; 8] };
    assert_eq!((links, record.links.cut), ((1..=4).map(link).collect(), 2));
    let root = stored(&Span { parent: None, ..span() }, Some(REPLY));
    assert_eq!((root.parent_span_id, root.span_id), (None, None));
}

#[test]
fn an_identifier_is_kept_where_the_schema_has_another_one() {
    // The same parameter group from another source address, say.
    for (expected, id) in [(Some(REPLY), None), (Some(ASK), Some(REPLY)), (None, Some(REPLY))] {
        assert_eq!(stored(&span(), expected).bus().unwrap().id, id);
    }
}

#[test]
fn kinds_and_ends_are_kept() {
    for (kind, expected) in [
        (SpanKind::Frame, BusSpanKind::Frame),
        (SpanKind::Exchange, BusSpanKind::Exchange),
        (SpanKind::Message, BusSpanKind::Message),
        (SpanKind::Diagnostic(Service(0x22)), BusSpanKind::Diagnostic(Service(0x22))),
    ] {
        assert_eq!(stored(&Span { kind, ..span() }, None).bus().unwrap().kind, expected);
    }
    for (status, expected) in [
        (Status::Unset, SpanStatus::Unset),
        (Status::Ok, SpanStatus::Ok),
        (Status::Error(Failure::NoResponse), SpanStatus::Error(SpanFailure::NoResponse)),
        (Status::Error(Failure::Reported(Raw(2))), SpanStatus::Error(SpanFailure::Reported(2))),
        (Status::Error(Failure::Refused(Nrc(0x31))), SpanStatus::Error(SpanFailure::Refused(Nrc(0x31)))),
    ] {
        assert_eq!(stored(&Span { status, ..span() }, None).status, expected);
    }
}
