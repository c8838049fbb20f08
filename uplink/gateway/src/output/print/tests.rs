use std::sync::{Arc, Mutex};

use store::block::{
    AttributeValue, ClockSource, LocalSpan, SealedBlock, Severity, SpanFailure, SpanKind, SpanLink,
    SpanOrigin, SpanRecord, SpanStatus, span_id,
};

use super::*;
use crate::fixture::{Car, EEC1, SPEED, START_NS, schema_hash};
use crate::opened::{Opening, open_block};
use crate::schemas::Schemas;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn opened(car: &mut Car, block: &SealedBlock) -> Opened {
    let schemas = Schemas::default();
    schemas.offer(schema_hash(), car.schema().bytes()).unwrap();
    let Ok(Opening::Block(opened)) = open_block(&car.id, block.bytes(), &schemas) else {
        panic!("does not open")
    };
    opened
}

async fn printed(car: &mut Car, block: &SealedBlock) -> String {
    let paper = Paper::default();
    let mut printer = Printer::new(Box::new(paper.clone()));
    printer.put(&opened(car, block)).await.unwrap();
    assert!(paper.0.lock().unwrap().is_empty(), "nothing is written before it is flushed");
    printer.flush().await.unwrap();
    let text = paper.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn samples_are_lines_with_exact_integers() {
    let mut car = Car::new("car-1");
    let block = car.samples(&[
        (SPEED, START_NS + 1_000, &[(0, 65_535), (1, -3_i64 as u64)]),
        (EEC1, START_NS, &[(0, u64::from(f32::INFINITY.to_bits()))]),
    ]);
    let boot = "b0".repeat(16);
    let head = |row: u32| {
        format!(r#"{{"kind":"sample","vehicle":"car-1","boot":"{boot}","run":42,"sequence":0,"row":{row},"#)
    };
    let clock = r#""clock":"kernel_software"}"#;
    let expected = [
        format!(
            r#"{}"time_unix_nano":1767225600000001000,"bus":"can0","message":"SPEED","signal":"Speed","raw":65535,"value":655.35,"unit":"km/h","label":"invalid",{clock}"#,
            head(0)
        ),
        format!(
            r#"{}"time_unix_nano":1767225600000001000,"bus":"can0","message":"SPEED","signal":"Accel","raw":-3,"value":-1.5,"unit":"m/s^2",{clock}"#,
            head(1)
        ),
        format!(
            r#"{}"time_unix_nano":1767225600000000000,"bus":"can1","message":"EEC1","signal":"Torque","raw":null,"value":null,"unit":"Nm",{clock}"#,
            head(2)
        ),
    ];
    assert_eq!(printed(&mut car, &block).await.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn spans_and_logs_are_lines() {
    let mut car = Car::new("car-1");
    let span = SpanRecord { trace_id: [0xAB; 16], parent_span_id: Some([0xCD; 8]), ..Car::frame_span(SPEED) };
    let block = car.spans(&[span]);
    let line: serde_json::Value = serde_json::from_str(&printed(&mut car, &block).await).unwrap();
    assert_eq!((&line["kind"], &line["trace_id"]), (&"span".into(), &"ab".repeat(16).into()));
    assert_eq!((&line["parent_span_id"], &line["id"]), (&"cd".repeat(8).into(), &"0B4".into()));
    assert_eq!(line["span_id"], hex(&span_id(block.header().identity, 0)));
    assert_eq!(
        (&line["name"], &line["span_kind"], &line["origin"]),
        (&"SPEED".into(), &"consumer".into(), &"frame".into())
    );
    assert!(
        ["error", "links", "links_cut", "signals", "service"].iter().all(|field| line.get(field).is_none())
    );

    let log = LogRecord {
        time_ns: START_NS,
        clock: ClockSource::UserSpace,
        severity: Severity::ERROR,
        service: "camera".to_owned(),
        body: "lost \"sync\"\n".to_owned(),
        trace: None,
    };
    let block = car.logs(&[log.clone(), LogRecord { trace: Some(([1; 16], [2; 8])), ..log }]);
    let text = printed(&mut car, &block).await;
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["severity"], &lines[0]["body"]), (&"ERROR".into(), &"lost \"sync\"\n".into()));
    assert_eq!((&lines[0]["row"], &lines[1]["row"]), (&0.into(), &1.into()));
    assert!(lines[0].get("trace_id").is_none());
    assert_eq!(lines[1]["span_id"], "02".repeat(8));
}

#[tokio::test]
async fn all_that_is_known_of_a_span_is_in_its_line() {
    let mut car = Car::new("car-1");
    let mut of_bus = Car::frame_span(SPEED);
    let SpanOrigin::Bus(bus) = &mut of_bus.origin else { panic!("{of_bus:?}") };
    assert!(bus.signals.push(0, 65_535));
    of_bus.status = SpanStatus::Error(SpanFailure::NoResponse);
    of_bus.links = [SpanLink { trace_id: [1; 16], span_id: [2; 8] }].into_iter().collect();
    let local = LocalSpan {
        service: "brakes".into(),
        name: "decide".into(),
        kind: SpanKind::Server,
        attributes: vec![
            ("a".into(), AttributeValue::Text("x".into())),
            ("b".into(), AttributeValue::Bool(true)),
            ("c".into(), AttributeValue::Int(-2)),
            ("d".into(), AttributeValue::Double(0.5)),
        ],
        attributes_cut: 1,
    };
    let of_service = SpanRecord {
        span_id: Some([4; 8]),
        parent_span_id: None,
        origin: SpanOrigin::Local(Box::new(local)),
        ..Car::frame_span(SPEED)
    };
    let block = car.spans(&[of_bus, of_service]);
    let text = printed(&mut car, &block).await;
    let [first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let rest = r#""bus":"can0","id":"0B4","message":"SPEED","origin":"frame","signals":[{"signal":"Speed","raw":65535,"value":655.35,"unit":"km/h","label":"invalid"}],"status":"error","error":"no response in time","links":[{"trace_id":"01010101010101010101010101010101","span_id":"0202020202020202"}],"clock":"hardware"}"#;
    assert!(first.ends_with(rest), "{first}");
    let rest = r#""span_id":"0404040404040404","flags":1,"name":"decide","span_kind":"server","service":"brakes","origin":"service","attributes":{"a":"x","b":true,"c":-2,"d":0.5},"attributes_cut":1,"status":"unset","clock":"hardware"}"#;
    assert!(second.ends_with(rest), "{second}");
}

#[tokio::test]
async fn a_reader_that_went_away_is_an_error() {
    let mut car = Car::new("car-1");
    let block = car.samples(&[(SPEED, START_NS, &[(0, 1)])]);
    let mut printer = Printer::new(Box::new(Closed));
    printer.put(&opened(&mut car, &block)).await.unwrap();
    assert_eq!(printer.flush().await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
