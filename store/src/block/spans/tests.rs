use std::sync::Arc;

use can_decode::CanId;
use can_decode::uds::{Nrc, Service};
use proptest::prelude::*;

use super::*;
use crate::block::{BlockError, BootId, ClockSource, limits};

fn any_bus() -> impl Strategy<Value = SpanOrigin> {
    let kind = prop_oneof![
        Just(BusSpanKind::Frame),
        Just(BusSpanKind::Exchange),
        Just(BusSpanKind::Message),
        any::<u8>().prop_map(|service| BusSpanKind::Diagnostic(Service(service))),
    ];
    let id = prop_oneof![
        (0..=CanId::STANDARD_MAX).prop_map(CanId::Standard),
        (0..=CanId::EXTENDED_MAX).prop_map(CanId::Extended),
    ];
    let sample = (1_u32.., prop::option::of(0..=20_u8))
        .prop_map(|(tick_ns, slot_delay_ms)| SampleMark { tick_ns, slot_delay_ms });
    let signals = prop::collection::vec((0..3_u16, any::<u64>()), 0..=SignalValues::MAX);
    (kind, 0..4_u32, prop::option::of(id), signals, prop::option::of(sample)).prop_map(
        |(kind, message, id, pairs, sample)| {
            let mut signals = SignalValues::default();
            assert!(pairs.into_iter().all(|(signal, raw)| signals.push(signal, raw)));
            SpanOrigin::Bus(BusSpan { kind, message, id, signals, sample })
        },
    )
}

fn any_text() -> impl Strategy<Value = Arc<str>> {
    "\\PC{0,6}".prop_map(Arc::from)
}

fn any_local() -> impl Strategy<Value = SpanOrigin> {
    let value = prop_oneof![
        any_text().prop_map(AttributeValue::Text),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        any::<u64>().prop_map(|bits| AttributeValue::Double(f64::from_bits(bits))),
    ];
    let attributes = prop::collection::vec((any_text(), value), 0..4);
    let kind = prop::sample::select(SpanKind::ALL.as_slice());
    (any_text(), any_text(), kind, attributes, any::<u32>()).prop_map(
        |(service, name, kind, attributes, attributes_cut)| {
            SpanOrigin::Local(Box::new(LocalSpan { service, name, kind, attributes, attributes_cut }))
        },
    )
}

fn any_status() -> impl Strategy<Value = SpanStatus> {
    prop_oneof![
        Just(SpanStatus::Unset),
        Just(SpanStatus::Ok),
        Just(SpanStatus::Error(SpanFailure::NoResponse)),
        any::<u64>().prop_map(|raw| SpanStatus::Error(SpanFailure::Reported(raw))),
        any::<u8>().prop_map(|nrc| SpanStatus::Error(SpanFailure::Refused(Nrc(nrc)))),
        any_text().prop_map(|text| SpanStatus::Error(SpanFailure::Message(text))),
    ]
}

prop_compose! {
    fn any_span()(
        // Few different ones, so that they repeat.
        ids in (0..4_u8, prop::option::of(0..4_u8), prop::option::of(0..4_u8)),
        flags: u8, start_ns: i64, duration_ns: u64, clock in prop::sample::select(ClockSource::ALL),
        origin in prop_oneof![any_bus(), any_local()], status in any_status(),
        links in prop::collection::vec((0..4_u8, 0..4_u8), 0..=SpanLinks::MAX), cut: u32,
    ) -> SpanRecord {
        let link = |(trace, id)| SpanLink { trace_id: [trace; 16], span_id: [id; 8] };
        SpanRecord {
            trace_id: [ids.0; 16],
            span_id: ids.1.map(|id| [id; 8]),
            parent_span_id: ids.2.map(|id| [id; 8]),
            flags, start_ns, duration_ns, clock, origin, status,
            links: links.into_iter().map(link).collect::<SpanLinks>().with_cut(cut),
        }
    }
}

fn encode(spans: &[SpanRecord]) -> Vec<u8> {
    let mut builder = SpansBuilder::default();
    spans.iter().for_each(|span| builder.push(span.clone()));
    let mut body = Vec::new();
    builder.encode(&mut body);
    assert!(builder.is_empty());
    body
}

proptest! {
    #[test]
    fn spans_come_back_and_cut_bodies_are_errors(
        spans in prop::collection::vec(any_span(), 0..20), cut in any::<prop::sample::Index>()
    ) {
        let body = encode(&spans);
        prop_assert_eq!(read_spans(&body).unwrap(), spans);
        prop_assert!(read_spans(&body[..cut.index(body.len())]).is_err());
    }

    #[test]
    fn a_damaged_body_is_an_error_or_other_spans(
        spans in prop::collection::vec(any_span(), 1..8), at in any::<prop::sample::Index>(), flip in 1_u8..
    ) {
        let mut body = encode(&spans);
        let at = at.index(body.len());
        body[at] ^= flip;
        if let Ok(read) = read_spans(&body) {
            prop_assert_eq!(read_spans(&encode(&read)), Ok(read));
        }
    }
}

fn frame(trace: u8, start_ns: i64) -> SpanRecord {
    let signals = SignalValues::default();
    SpanRecord {
        trace_id: [trace; 16],
        span_id: None,
        parent_span_id: Some([trace; 8]),
        flags: 1,
        start_ns,
        duration_ns: 0,
        clock: ClockSource::Hardware,
        origin: SpanOrigin::Bus(BusSpan {
            kind: BusSpanKind::Frame,
            message: 0,
            id: None,
            signals,
            sample: None,
        }),
        status: SpanStatus::Unset,
        links: SpanLinks::default(),
    }
}

#[test]
fn a_span_takes_as_much_memory_as_the_daemon_says() {
    assert!(size_of::<SpanRecord>() <= 320, "{}", size_of::<SpanRecord>());
}

#[test]
fn an_id_that_repeats_is_stored_once() {
    let one: Vec<_> = (0..200).map(|row| frame(7, row * 1_000)).collect();
    let many: Vec<_> = (0..200).map(|row| frame(row as u8, row * 1_000)).collect();
    // Two bytes a span for the start, and as good as nothing else.
    assert!(encode(&one).len() < 2 * 200 + 24 + 60, "{} bytes", encode(&one).len());
    assert!(encode(&many).len() > 24 * 200);
}

#[test]
fn what_is_beyond_the_limits_is_cut_and_counted() {
    let long: Arc<str> = "ü".repeat(limits::NAME_BYTES_MAX).into();
    let attributes = vec![(Arc::clone(&long), AttributeValue::Text(Arc::clone(&long))); 40];
    let local = LocalSpan {
        service: Arc::clone(&long),
        name: Arc::clone(&long),
        kind: SpanKind::Server,
        attributes,
        attributes_cut: 1,
    };
    let span = SpanRecord {
        origin: SpanOrigin::Local(Box::new(local)),
        status: SpanStatus::Error(SpanFailure::Message(long)),
        links: [SpanLink { trace_id: [1; 16], span_id: [2; 8] }; 20].into_iter().collect(),
        ..frame(1, 0)
    };
    let mut builder = SpansBuilder::default();
    builder.push(span.clone());
    let bytes = 64 * 1024..70 * 1024;
    assert!(bytes.contains(&builder.local_bytes()), "{}", builder.local_bytes());
    let read = read_spans(&encode(&[span])).unwrap();
    let (SpanOrigin::Local(local), [back]) = (&read[0].origin, &read[..]) else { panic!("{read:?}") };
    assert_eq!((local.attributes.len(), local.attributes_cut), (limits::SPAN_ATTRIBUTES_MAX, 9));
    assert_eq!((back.links.len(), back.links.cut), (SpanLinks::MAX, 16));
    let SpanStatus::Error(SpanFailure::Message(message)) = &back.status else { panic!("{back:?}") };
    for text in [&local.service, &local.name, &local.attributes[0].0, message] {
        assert!(text.len() <= limits::NAME_BYTES_MAX && text.ends_with("ü…"), "{text}");
    }
}

#[test]
fn counts_beyond_the_limits_are_refused_before_allocation() {
    // A varint of 2^28, as the number of spans, of traces, of ids and of texts.
    let huge: &[u8] = &[0x80, 0x80, 0x80, 0x80, 0x01];
    for head in [&[][..], &[1], &[1, 0], &[1, 0, 0], &[1, 0, 0, 0]] {
        let found = read_spans(&[head, huge].concat());
        assert!(matches!(found, Err(BlockError::Limit { .. })), "{head:?}: {found:?}");
    }
    let linked = SpanRecord { links: SpanLinks::default().with_cut(1), ..frame(1, 0) };
    let mut links = encode(&vec![linked; limits::SPANS_MAX]);
    assert_eq!(read_spans(&links).map(|spans| spans.len()), Ok(limits::SPANS_MAX));
    // The last columns are constant: no links, and one cut; there are no slots and no local spans.
    let at = links.len() - 4;
    assert_eq!(links[at..], [0, 0, 0, 2]);
    // Five for each, as zigzag.
    links[at + 1] = 10;
    assert!(matches!(read_spans(&links), Err(BlockError::Limit { field: "links", .. })));
}

#[test]
fn samples_of_a_frame_are_found_by_the_span() {
    let mark = SampleMark { tick_ns: 1_000, slot_delay_ms: Some(2) };
    for (start_ns, time_ns, slot_ms) in [(5_999_999, 5_999_000, 7), (-1, -1_000, 1), (0, 0, 2)] {
        assert_eq!((mark.time_ns(start_ns), mark.slot_ms(start_ns)), (time_ns, Some(slot_ms)));
    }
    assert_eq!(SampleMark { slot_delay_ms: None, ..mark }.slot_ms(0), None);
}

#[test]
fn span_ids_differ_by_row_and_repeat_by_identity() {
    let block = Identity { boot: BootId([7; 16]), run: 1, sequence: 2 };
    assert_eq!(span_id(block, 3), span_id(block, 3));
    assert_ne!(span_id(block, 3), span_id(block, 4));
    assert_ne!(span_id(block, 3), span_id(Identity { sequence: 3, ..block }, 3));
    assert_eq!(frame(1, 0).id(block, 3), span_id(block, 3));
    assert_eq!(SpanRecord { span_id: Some([9; 8]), ..frame(1, 0) }.id(block, 3), [9; 8]);
}
