mod spans;

use std::sync::Arc;

use ecu_core::clock::History;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;
use store::block::{LogRecord, SealedBlock, Severity};

use super::super::post::{self, Mailbox};
use super::super::receiver::Protocol;
use super::*;
use crate::counters::Counters;
use crate::fixture::{Car, EEC1, Row, SPEED, START_NS, clock_map, schema_hash};
use crate::opened::{Opening, open_block};
use crate::options::{HttpUrl, Patience};
use crate::schemas::Schemas;

/// What would be posted to the three addresses for this block.
async fn encode(car: &mut Car, block: &SealedBlock) -> [Vec<u8>; 3] {
    encode_by(None, car, block).await
}

/// The same with what is known of the clocks.
async fn encode_by(map: Option<&History>, car: &mut Car, block: &SealedBlock) -> [Vec<u8>; 3] {
    let schemas = Schemas::default();
    schemas.offer(schema_hash(), car.schema().bytes()).unwrap();
    let Ok(Opening::Block(mut opened)) = open_block(&car.id, block.bytes(), &schemas) else {
        panic!("does not open")
    };
    opened.place(map);
    let patience = Patience::default();
    let url = HttpUrl::parse("http://127.0.0.1:9").unwrap();
    let mailbox = |protocol| {
        let client = post::client(&patience).unwrap();
        Mailbox::new(protocol, client, url.below("v1"), patience, Arc::new(Counters::default()))
    };
    let mut otlp = Otlp {
        metrics: mailbox(Protocol::OtlpMetrics),
        traces: mailbox(Protocol::OtlpTraces),
        logs: mailbox(Protocol::OtlpLogs),
    };
    otlp.put(&opened, "ecu-daemon").await;
    [otlp.metrics, otlp.traces, otlp.logs].map(|mailbox| mailbox.waiting().to_vec())
}

fn attributes(attributes: &[KeyValue]) -> String {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(value)) => format!("{}={value}", attribute.key),
        Some(any_value::Value::DoubleValue(value)) => format!("{}={value:?}", attribute.key),
        Some(any_value::Value::IntValue(value)) => format!("{}={value}", attribute.key),
        Some(any_value::Value::BoolValue(value)) => format!("{}={value}", attribute.key),
        other => panic!("{} is {other:?}", attribute.key),
    };
    attributes.iter().map(text).collect::<Vec<_>>().join(" ")
}

const VEHICLE: &str = "service.instance.id=car-1 host.name=car-1 vehicle.id=car-1";

#[tokio::test]
async fn samples_are_gauges_by_unit_with_exact_times() {
    let mut car = Car::new("car-1");
    let rows: &[Row<'_>] = &[
        (SPEED, START_NS, &[(0, 5_000), (1, -3_i64 as u64)]),
        (SPEED, START_NS + 1_000, &[(0, 5_001)]),
        (EEC1, START_NS + 2_000, &[(0, u64::from(f32::NAN.to_bits()))]),
    ];
    let block = car.samples(rows);
    let [bytes, traces, logs] = encode(&mut car, &block).await;
    assert!(traces.is_empty() && logs.is_empty());
    let mut request = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
    let mut resource = request.resource_metrics.remove(0);
    assert_eq!(
        attributes(&resource.resource.unwrap().attributes),
        format!("service.name=ecu-daemon {VEHICLE}")
    );
    let scope = resource.scope_metrics.remove(0);
    let instrumentation = scope.scope.unwrap();
    assert_eq!(
        (instrumentation.name.as_str(), instrumentation.version.as_str()),
        ("ecu-daemon", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(attributes(&instrumentation.attributes), "clock.source=kernel_software");
    let names: Vec<_> =
        scope.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    assert_eq!(names, [("can.signal", "km/h"), ("can.signal", "m/s2"), ("can.signal", "N.m")]);
    let points = |metric: usize| match &scope.metrics[metric].data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.clone(),
        other => panic!("{other:?}"),
    };
    let speed = points(0);
    let times: Vec<_> = speed.iter().map(|point| point.time_unix_nano).collect();
    assert_eq!(times, [START_NS as u64, START_NS as u64 + 1_000]);
    assert_eq!(speed[0].value, Some(number_data_point::Value::AsDouble(50.0)));
    assert_eq!(attributes(&speed[1].attributes), "can.bus=can0 can.message=SPEED can.signal=Speed");
    assert_eq!(points(1)[0].value, Some(number_data_point::Value::AsDouble(-1.5)));
    assert!(matches!(points(2)[0].value, Some(number_data_point::Value::AsDouble(value)) if value.is_nan()));
}

#[tokio::test]
async fn logs_are_grouped_by_service_and_carry_a_lasting_id() {
    let mut car = Car::new("car-1");
    let log = |service: &str, body: &str, trace| LogRecord {
        time_ns: START_NS,
        clock: ClockSource::UserSpace,
        severity: Severity::WARN,
        service: service.to_owned(),
        body: body.to_owned(),
        trace,
    };
    let block = car.logs(&[
        log("camera", "a", None),
        log("", "b", None),
        log("camera", "c", Some(([1; 16], [2; 8]))),
    ]);
    let [_, _, bytes] = encode(&mut car, &block).await;
    let resources = ExportLogsServiceRequest::decode(&bytes[..]).unwrap().resource_logs;
    let services: Vec<_> =
        resources.iter().map(|r| attributes(&r.resource.as_ref().unwrap().attributes)).collect();
    assert_eq!(
        services,
        [format!("service.name=camera {VEHICLE}"), format!("service.name=unknown_service {VEHICLE}")]
    );
    let camera = &resources[0].scope_logs[0].log_records;
    assert_eq!((camera[0].severity_number, camera[0].severity_text.as_str()), (13, "WARN"));
    assert_eq!(
        (camera[0].time_unix_nano, camera[0].observed_time_unix_nano),
        (START_NS as u64, START_NS as u64)
    );
    assert_eq!(camera[1].body, Some(text_value("c")));
    assert_eq!((&camera[1].trace_id[..], &camera[1].span_id[..]), (&[1; 16][..], &[2; 8][..]));
    assert!(camera[0].trace_id.is_empty());
    let uid = format!("clock.source=user_space log.record.uid=car-1/{}/2", block.header().identity);
    assert_eq!(attributes(&camera[1].attributes), uid);
}

#[tokio::test]
async fn the_same_block_gives_the_same_bytes_and_joined_blocks_are_one_request() {
    let mut car = Car::new("car-1");
    let block = car.samples(&[(SPEED, START_NS, &[(0, 1)])]);
    let [first, ..] = encode(&mut car, &block).await;
    let [second, ..] = encode(&mut car, &block).await;
    assert_eq!(first, second);
    let joined = ExportMetricsServiceRequest::decode(&[first, second].concat()[..]).unwrap();
    assert_eq!(joined.resource_metrics.len(), 2);
}

#[tokio::test]
async fn long_logs_become_several_pieces_without_loss() {
    let mut car = Car::new("car-1");
    let log = LogRecord {
        time_ns: START_NS,
        clock: ClockSource::UserSpace,
        severity: Severity::INFO,
        service: "camera".to_owned(),
        body: "x".repeat(8_000),
        trace: None,
    };
    let block = car.logs(&vec![log; 300]);
    let [_, _, bytes] = encode(&mut car, &block).await;
    let resources = ExportLogsServiceRequest::decode(&bytes[..]).unwrap().resource_logs;
    let records: Vec<_> = resources.iter().map(|resource| &resource.scope_logs[0].log_records).collect();
    assert_eq!(records.iter().map(|records| records.len()).collect::<Vec<_>>(), [131, 131, 38]);
    let uid = format!("clock.source=user_space log.record.uid=car-1/{}/299", block.header().identity);
    assert_eq!(attributes(&records[2][37].attributes), uid);
}

#[test]
fn times_before_1970_are_unknown() {
    assert_eq!((time(-1), time(0), time(i64::MAX)), (0, 0, i64::MAX as u64));
}

#[tokio::test]
async fn times_say_by_which_clock_they_are_and_how_wrong_they_may_be() {
    const S: i64 = 1_000_000_000;
    let mut car = Car::new("car-1");
    car.sealed_boot_ns = 63 * S;
    let mut map = History::default();
    map.absorb_block(&clock_map(7));
    // Before the clock was set back, and afterwards.
    let shown = [START_NS + 59 * S, START_NS + 62 * S - 3_600 * S];
    let log = |time_ns| LogRecord {
        time_ns,
        clock: ClockSource::UserSpace,
        severity: Severity::INFO,
        service: "app".to_owned(),
        body: "hello".to_owned(),
        trace: None,
    };
    let block = car.logs(&shown.map(log));
    let [_, _, bytes] = encode_by(Some(&map), &mut car, &block).await;
    let request = ExportLogsServiceRequest::decode(&bytes[..]).unwrap();
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    let said: Vec<String> = records.iter().map(|record| attributes(&record.attributes)).collect();
    let own = "ecu.time.basis=synchronised ecu.time.clock=realtime ecu.time.error_ns=2000";
    assert!(said[0].ends_with(own), "{said:?}");
    assert!(said[1].contains("ecu.time.basis=placed ecu.time.clock=realtime ecu.time.error_ns="), "{said:?}");
    let apart = records[1].time_unix_nano.abs_diff((START_NS + 62 * S) as u64);
    assert!(apart < 1_000_000, "{apart}");

    let rows = shown.map(|time| (SPEED, time, &[(0, 5_000)][..]));
    let block = car.samples(&rows);
    let [bytes, _, _] = encode_by(Some(&map), &mut car, &block).await;
    let request = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
    let scopes = &request.resource_metrics[0].scope_metrics;
    let said: Vec<String> =
        scopes.iter().map(|scope| attributes(&scope.scope.as_ref().unwrap().attributes)).collect();
    assert_eq!(said[0], "clock.source=kernel_software ecu.time.basis=synchronised ecu.time.clock=realtime");
    assert_eq!(said[1], "clock.source=kernel_software ecu.time.basis=placed ecu.time.clock=realtime");
    for scope in scopes {
        let names: Vec<&str> = scope.metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["can.signal", "ecu.time.error"]);
        let Some(metric::Data::Gauge(gauge)) = &scope.metrics[1].data else { panic!("no gauge") };
        let Some(number_data_point::Value::AsDouble(seconds)) = gauge.data_points[0].value else {
            panic!("no value")
        };
        assert!((2e-6..1e-3).contains(&seconds), "{seconds}");
    }
}
