//! Spans, and the exemplars that go with them.

use can_decode::CanId;
use can_decode::uds::{Nrc, Service};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, exemplar};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use store::block::{
    AttributeValue, BusSpan, BusSpanKind, LocalSpan, SampleMark, SignalValues, SpanFailure, SpanKind,
    SpanLink, SpanOrigin, SpanRecord, SpanStatus, span_id,
};

use super::*;

/// A frame of SPEED with both of its signals, the sample of which is where its stamp is.
fn traced() -> SpanRecord {
    let mut span = Car::frame_span(SPEED);
    let SpanOrigin::Bus(bus) = &mut span.origin else { panic!("{span:?}") };
    assert!(bus.signals.push(0, 65_535) && bus.signals.push(1, -3_i64 as u64));
    bus.sample = Some(SampleMark { tick_ns: 1_000, slot_delay_ms: Some(0) });
    span.start_ns = START_NS + 5_123_456;
    span
}

fn with(span: SpanRecord, change: impl FnOnce(&mut BusSpan)) -> SpanRecord {
    let SpanOrigin::Bus(mut bus) = span.origin else { panic!("{span:?}") };
    change(&mut bus);
    SpanRecord { origin: SpanOrigin::Bus(bus), ..span }
}

async fn resources(car: &mut Car, spans: &[SpanRecord]) -> (SealedBlock, Vec<ResourceSpans>) {
    let block = car.spans(spans);
    let [_, bytes, _] = encode(car, &block).await;
    (block, ExportTraceServiceRequest::decode(&bytes[..]).unwrap().resource_spans)
}

async fn one(span: SpanRecord) -> Span {
    let (_, mut resources) = resources(&mut Car::new("car-1"), &[span]).await;
    resources.remove(0).scope_spans.remove(0).spans.remove(0)
}

#[tokio::test]
async fn trace_contexts_are_consumer_spans_below_their_senders() {
    let mut car = Car::new("car-1");
    let span = SpanRecord { duration_ns: 500, ..Car::frame_span(EEC1) };
    let root = SpanRecord { parent_span_id: None, ..span.clone() };
    let (block, mut resources) = resources(&mut car, &[span, root]).await;
    let resource = resources.remove(0);
    let named = format!("service.name=ecu-daemon {VEHICLE}");
    assert_eq!(attributes(&resource.resource.unwrap().attributes), named);
    let spans = &resource.scope_spans[0].spans;
    let identity = block.header().identity;
    assert_eq!((&spans[0].trace_id[..], &spans[0].parent_span_id[..]), (&[7; 16][..], &[9; 8][..]));
    assert_eq!(
        (&spans[0].span_id[..], &spans[1].span_id[..]),
        (&span_id(identity, 0)[..], &span_id(identity, 1)[..])
    );
    assert!(spans[1].parent_span_id.is_empty());
    let (start, end) = (spans[0].start_time_unix_nano, spans[0].end_time_unix_nano);
    assert_eq!((start, end), (START_NS as u64, START_NS as u64 + 500));
    // Kind 5 is CONSUMER; flags: sampled, and that the parent is known to be remote.
    assert_eq!((spans[0].kind, spans[0].flags, spans[0].name.as_str()), (5, 0x301, "EEC1"));
    assert_eq!((spans[1].flags, &spans[0].status), (1, &None));
    let expected = "can.bus=can1 can.id=0CF00400 can.message=EEC1 clock.source=hardware";
    assert_eq!(attributes(&spans[0].attributes), expected);
}

#[tokio::test]
async fn chosen_signals_are_attributes_with_unit_and_label() {
    let expected = "can.bus=can0 can.id=0B4 can.message=SPEED clock.source=hardware \
        can.signal.Speed.unit=km/h can.signal.Speed.label=invalid can.signal.Speed=655.35 \
        can.signal.Accel.unit=m/s2 can.signal.Accel=-1.5";
    assert_eq!(attributes(&one(traced()).await.attributes), expected);
}

#[tokio::test]
async fn requests_are_client_spans_that_say_how_they_ended() {
    let kind = |kind| {
        with(traced(), |bus| {
            *bus =
                BusSpan { kind, id: Some(CanId::Standard(0x7E0)), signals: SignalValues::default(), ..*bus }
        })
    };
    let ended = |kind_of, status| SpanRecord { status, ..kind(kind_of) };
    let read = BusSpanKind::Diagnostic(Service(0x22));
    let failed = SpanStatus::Error;
    let head = "can.bus=can0 can.id=7E0 can.message=SPEED clock.source=hardware";
    let uds = "rpc.system.name=uds rpc.method=ReadDataByIdentifier uds.service.id=0x22";
    for (record, name, code, message, rest) in [
        (ended(BusSpanKind::Exchange, SpanStatus::Ok), "SPEED", 1, "", String::new()),
        (
            ended(BusSpanKind::Exchange, failed(SpanFailure::NoResponse)),
            "SPEED",
            2,
            "no response in time",
            " error.type=timeout".to_owned(),
        ),
        (
            ended(BusSpanKind::Exchange, failed(SpanFailure::Reported(3))),
            "SPEED",
            2,
            "the response reports 3",
            " error.type=reported".to_owned(),
        ),
        (ended(read, SpanStatus::Ok), "ReadDataByIdentifier SPEED", 1, "", format!(" {uds}")),
        (
            ended(read, failed(SpanFailure::Refused(Nrc(0x31)))),
            "ReadDataByIdentifier SPEED",
            2,
            "refused: RequestOutOfRange (0x31)",
            format!(" {uds} error.type=RequestOutOfRange rpc.response.status_code=0x31"),
        ),
    ] {
        let span = one(record).await;
        // Kind 3 is CLIENT.
        assert_eq!((span.kind, span.name.as_str()), (3, name));
        let status = span.status.unwrap();
        assert_eq!((status.code, status.message.as_str()), (code, message));
        assert_eq!(attributes(&span.attributes), format!("{head}{rest}"));
    }
}

#[tokio::test]
async fn spans_of_local_services_keep_what_they_say_and_stand_below_their_service() {
    let local = |service: &str| LocalSpan {
        service: service.into(),
        name: "decide".into(),
        kind: SpanKind::Server,
        attributes: vec![
            ("a.text".into(), AttributeValue::Text("x".into())),
            ("a.flag".into(), AttributeValue::Bool(true)),
            ("a.count".into(), AttributeValue::Int(-2)),
            ("a.size".into(), AttributeValue::Double(0.5)),
        ],
        attributes_cut: 3,
    };
    let of = |service: &str| SpanRecord {
        span_id: Some([4; 8]),
        origin: SpanOrigin::Local(Box::new(local(service))),
        status: SpanStatus::Error(SpanFailure::Message("no pressure".into())),
        links: [SpanLink { trace_id: [5; 16], span_id: [6; 8] }].into_iter().collect(),
        ..Car::frame_span(SPEED)
    };
    let mut car = Car::new("car-1");
    let (_, resources) =
        resources(&mut car, &[of("brakes"), Car::frame_span(SPEED), of(""), of("brakes")]).await;
    let services: Vec<_> = resources
        .iter()
        .map(|of| (attributes(&of.resource.as_ref().unwrap().attributes), of.scope_spans[0].spans.len()))
        .collect();
    let named = |service: &str, spans| (format!("service.name={service} {VEHICLE}"), spans);
    assert_eq!(services, [named("brakes", 2), named("ecu-daemon", 1), named("unknown_service", 1)]);
    let span = &resources[0].scope_spans[0].spans[0];
    // Kind 2 is SERVER. Whether its parent was in another process only the service knows.
    assert_eq!((span.kind, span.flags, span.name.as_str()), (2, 1, "decide"));
    assert_eq!((&span.span_id[..], &span.parent_span_id[..]), (&[4; 8][..], &[9; 8][..]));
    let expected = "a.text=x a.flag=true a.count=-2 a.size=0.5 clock.source=hardware";
    assert_eq!((attributes(&span.attributes).as_str(), span.dropped_attributes_count), (expected, 3));
    let link = &span.links[0];
    assert_eq!((&link.trace_id[..], &link.span_id[..]), (&[5; 16][..], &[6; 8][..]));
    assert_eq!(span.status.as_ref().unwrap().message, "no pressure");
}

fn gauges(bytes: &[u8]) -> Vec<(String, Metric)> {
    let resources = ExportMetricsServiceRequest::decode(bytes).unwrap().resource_metrics;
    let scopes = resources.into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| {
        let clock = attributes(&scope.scope.unwrap().attributes);
        scope.metrics.into_iter().map(move |metric| (clock.clone(), metric))
    });
    metrics.collect()
}

#[tokio::test]
async fn exemplars_stand_beside_the_samples_that_their_spans_go_with() {
    let mut car = Car::new("car-1");
    let stamp = traced().start_ns;
    let samples = car.samples(&[(SPEED, stamp, &[(0, 65_535), (1, -3_i64 as u64)])]);
    let block = car.spans(&[SpanRecord { clock: ClockSource::KernelSoftware, ..traced() }]);
    let [samples, ..] = encode(&mut car, &samples).await;
    let [exemplars, ..] = encode(&mut car, &block).await;
    let mut with_exemplars = gauges(&exemplars);
    for (_, metric) in &mut with_exemplars {
        let Some(metric::Data::Gauge(Gauge { data_points })) = &mut metric.data else { panic!("{metric:?}") };
        for point in data_points {
            let exemplar = point.exemplars.remove(0);
            assert_eq!(
                (&exemplar.trace_id[..], &exemplar.span_id[..]),
                (&[7; 16][..], &span_id(block.header().identity, 0)[..])
            );
            let Some(number_data_point::Value::AsDouble(value)) = point.value else { panic!("{point:?}") };
            assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(value)));
            assert_eq!(exemplar.time_unix_nano, START_NS as u64 + 5_123_000, "in the samples' steps");
        }
    }
    assert_eq!(with_exemplars, gauges(&samples), "the very points");
    let [none, ..] = {
        let unmarked = car.spans(&[with(traced(), |bus| bus.sample = None)]);
        encode(&mut car, &unmarked).await
    };
    assert!(none.is_empty());
}

#[tokio::test]
async fn many_long_spans_become_several_pieces_without_loss() {
    let long: std::sync::Arc<str> = "x".repeat(1_000).into();
    let local = LocalSpan {
        service: "brakes".into(),
        name: "decide".into(),
        kind: SpanKind::Internal,
        attributes: vec![(long.clone(), AttributeValue::Text(long)); 30],
        attributes_cut: 0,
    };
    let span = SpanRecord { origin: SpanOrigin::Local(Box::new(local)), ..Car::frame_span(SPEED) };
    let (block, resources) = resources(&mut Car::new("car-1"), &vec![span; 40]).await;
    let spans: Vec<_> = resources.iter().map(|resource| &resource.scope_spans[0].spans).collect();
    assert_eq!(spans.iter().map(|spans| spans.len()).collect::<Vec<_>>(), [17, 17, 6]);
    assert_eq!(spans[2][5].span_id, span_id(block.header().identity, 39));
}
