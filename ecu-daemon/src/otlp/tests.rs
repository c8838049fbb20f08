//! What is read, against what an independent library has written.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as OtlpLog, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message as _;
use store::block::limits::{NAME_BYTES_MAX, SPAN_ATTRIBUTES_MAX};
use store::block::{
    AttributeValue, ClockSource, LogRecord, Severity, SpanFailure, SpanKind, SpanLink, SpanLinks, SpanOrigin,
    SpanRecord, SpanStatus,
};

use super::{read, record};

const START: u64 = 1_763_640_000_000_000_000;

fn attribute(key: &str, value: impl Into<Option<Value>>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: value.into() }), ..KeyValue::default() }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn resource(service: &str) -> Resource {
    let attributes = vec![attribute("host.name", text("ecu")), attribute("service.name", text(service))];
    Resource { attributes, ..Resource::default() }
}

fn spans_request(resource: impl Into<Option<Resource>>, spans: Vec<Span>) -> Vec<u8> {
    let resource = resource.into();
    // Two scopes, of which one is empty.
    let scope_spans = vec![ScopeSpans::default(), ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn logs_request(log_records: Vec<OtlpLog>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: Some(resource("camera")), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn all<T>(request: &[u8], read: impl Fn(&str, &[u8]) -> Result<T, String>) -> Vec<Result<T, String>> {
    let mut records = Vec::new();
    read::records(request, |service, message| records.push(read(service, message))).unwrap();
    records
}

fn plain() -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: "brake".to_owned(),
        start_time_unix_nano: START,
        end_time_unix_nano: START + 5,
        ..Span::default()
    }
}

#[test]
fn a_span_is_read_with_all_that_is_kept_of_it() {
    let sent = Span {
        parent_span_id: vec![9; 8],
        trace_state: "ot=th:8".to_owned(),
        kind: span::SpanKind::Server.into(),
        flags: 0x301,
        attributes: vec![
            attribute("text", text("grün")),
            attribute("bool", Some(Value::BoolValue(true))),
            attribute("int", Some(Value::IntValue(-7))),
            attribute("double", Some(Value::DoubleValue(0.5))),
            attribute("list", Some(Value::ArrayValue(ArrayValue::default()))),
        ],
        events: vec![span::Event { name: "not kept".to_owned(), ..span::Event::default() }],
        links: vec![
            span::Link { trace_id: vec![1; 16], span_id: vec![2; 8], ..span::Link::default() },
            span::Link { trace_id: vec![0; 16], span_id: vec![2; 8], ..span::Link::default() },
        ],
        status: Some(Status { message: "no pressure".to_owned(), code: 2 }),
        ..plain()
    };
    let [Ok(record)] = &all(&spans_request(resource("brakes"), vec![sent]), record::span)[..] else {
        panic!("one")
    };
    let SpanOrigin::Local(local) = &record.origin else { panic!("{record:?}") };
    assert_eq!((&*local.service, &*local.name, local.kind), ("brakes", "brake", SpanKind::Server));
    let attributes: Vec<_> = local.attributes.iter().map(|(key, value)| (&**key, value.clone())).collect();
    let expected = [
        ("text", AttributeValue::Text("grün".into())),
        ("bool", AttributeValue::Bool(true)),
        ("int", AttributeValue::Int(-7)),
        ("double", AttributeValue::Double(0.5)),
    ];
    assert_eq!((&attributes[..], local.attributes_cut), (&expected[..], 1));
    let whole = SpanRecord {
        trace_id: [7; 16],
        span_id: Some([8; 8]),
        parent_span_id: Some([9; 8]),
        flags: 1,
        start_ns: START as i64,
        duration_ns: 5,
        clock: ClockSource::UserSpace,
        origin: record.origin.clone(),
        status: SpanStatus::Error(SpanFailure::Message("no pressure".into())),
        links: SpanLinks::from_iter([SpanLink { trace_id: [1; 16], span_id: [2; 8] }]),
    };
    assert_eq!(*record, whole);
}

#[test]
fn spans_that_are_none_say_why_and_the_others_are_read() {
    let check = |span: Span, expected: &str| {
        let records = all(&spans_request(resource("x"), vec![plain(), span, plain()]), record::span);
        let [Ok(_), Err(why), Ok(_)] = &records[..] else { panic!("{expected}: {records:?}") };
        assert!(why.contains(expected), "{why}");
    };
    check(Span::default(), "without a trace id");
    check(Span { trace_id: vec![0; 16], ..plain() }, "without a trace id");
    check(Span { trace_id: vec![7; 15], ..plain() }, "without a trace id");
    check(Span { span_id: vec![0; 8], ..plain() }, "without a span id");
    check(Span { parent_span_id: vec![1; 7], ..plain() }, "whose parent's id");
    check(Span { start_time_unix_nano: 0, ..plain() }, "without a start time");
    check(Span { start_time_unix_nano: u64::MAX, ..plain() }, "without a start time");
}

#[test]
fn what_is_kept_of_a_span_is_bounded() {
    let long = "é".repeat(NAME_BYTES_MAX);
    let sent = Span {
        name: long.clone(),
        end_time_unix_nano: 0,
        attributes: (0..SPAN_ATTRIBUTES_MAX + 3).map(|_| attribute(&long, text(&long))).collect(),
        links: (0..SpanLinks::MAX + 2)
            .map(|_| span::Link { trace_id: vec![1; 16], span_id: vec![2; 8], ..span::Link::default() })
            .collect(),
        ..plain()
    };
    let [Ok(record)] = &all(&spans_request(None, vec![sent]), record::span)[..] else { panic!("one") };
    let SpanOrigin::Local(local) = &record.origin else { panic!("{record:?}") };
    assert_eq!((&*local.service, local.name.len(), record.duration_ns), ("unknown", NAME_BYTES_MAX, 0));
    assert_eq!((local.attributes.len(), local.attributes_cut), (SPAN_ATTRIBUTES_MAX, 3));
    assert_eq!((record.links.len(), record.links.cut), (SpanLinks::MAX, 2));
    assert!(local.attributes.iter().all(|(key, _)| key.len() <= NAME_BYTES_MAX));
}

#[test]
fn log_records_are_read_with_their_traces() {
    let sent = OtlpLog {
        time_unix_nano: START,
        severity_number: 13,
        body: Some(AnyValue { value: Some(text("late")) }),
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        ..OtlpLog::default()
    };
    let with_body = |value| OtlpLog { body: Some(AnyValue { value }), ..OtlpLog::default() };
    let bare = OtlpLog { observed_time_unix_nano: START + 1, ..with_body(Some(Value::IntValue(5))) };
    let list = with_body(Some(Value::ArrayValue(ArrayValue::default())));
    let request = logs_request(vec![sent, bare, list, OtlpLog::default()]);
    let records = all(&request, record::log);
    let [Ok(late), Ok(bare), Err(list), Err(empty)] = &records[..] else { panic!("{records:?}") };
    let expected = LogRecord {
        time_ns: START as i64,
        clock: ClockSource::UserSpace,
        severity: Severity::WARN,
        service: "camera".to_owned(),
        body: "late".to_owned(),
        trace: Some(([7; 16], [8; 8])),
    };
    assert_eq!(*late, expected);
    assert_eq!((bare.time_ns, bare.severity, bare.body.as_str()), (START as i64 + 1, Severity::INFO, "5"));
    assert!(list.contains("body is no text") && empty.contains("body is no text"), "{list} {empty}");
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..10));
    (ids, ".{0,20}", any::<[u64; 2]>(), any::<i32>(), prop::collection::vec((".{0,5}", any::<i64>()), 0..4))
        .prop_map(|((trace_id, span_id), name, [start, end], kind, attributes)| Span {
            trace_id,
            span_id,
            name,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            kind,
            attributes: attributes
                .iter()
                .map(|(key, value)| attribute(key, Some(Value::IntValue(*value))))
                .collect(),
            ..Span::default()
        })
}

proptest! {
    #[test]
    fn whatever_the_library_writes_is_read_the_same(spans in prop::collection::vec(any_span(), 0..5), service in "[a-z]{1,9}") {
        let request = spans_request(resource(&service), spans.clone());
        let mut read = Vec::new();
        read::records(&request, |service, message| {
            read.push(read::SentSpan::read(service, message).map(|span| (span, span.attributes().count())));
        }).unwrap();
        prop_assert_eq!(read.len(), spans.len());
        for (read, sent) in read.into_iter().zip(&spans) {
            let (read, attributes) = read.unwrap();
            prop_assert_eq!((read.service, read.trace_id, read.span_id), (&*service, &sent.trace_id[..], &sent.span_id[..]));
            prop_assert_eq!((read.name, read.kind as i32), (&*sent.name, sent.kind));
            prop_assert_eq!((read.start_ns, read.end_ns), (sent.start_time_unix_nano, sent.end_time_unix_nano));
            prop_assert_eq!(attributes, sent.attributes.len());
        }
    }

    #[test]
    fn broken_requests_are_errors_and_no_more(
        spans in prop::collection::vec(any_span(), 1..4), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()
    ) {
        let mut request = spans_request(resource("x"), spans);
        let at = at.index(request.len());
        request[at] = byte;
        request.truncate(cut.index(request.len()) + 1);
        let _ = read::records(&request, |service, message| drop(record::span(service, message)));
        let _ = read::records(&request, |service, message| drop(record::log(service, message)));
    }
}
