//! Traces through the running daemon: contexts in a recording, spans and log records of local services, and a reload.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use daemon::{Card, Daemon};
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 ASK: 32 ECU
 SG_ Number : 0|8@1+ (1,0) [0|255] "" ECU
BO_ 257 REPLY: 8 ECU
 SG_ Number : 0|8@1+ (1,0) [0|255] "" ECU
 SG_ Result : 8|8@1+ (1,0) [0|255] "" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 256 4;
"#;
const CONFIG: &str = "[store]\npath = \"ring.db\"\ncommit_after = \"20ms\"\n[blocks]\nseal_after = \"50ms\"\n\
                      [http]\nlisten = \"127.0.0.1:0\"\n[[bus]]\nkind = \"replay\"\nname = \"can0\"\n\
                      file = \"drive.log\"\nspeed = \"max\"\ndbc = [\"car.dbc\"]\n";
const PAIR: &str = "[[trace.pair]]\nrequest = \"ASK\"\nresponse = \"REPLY\"\nkey = \"Number\"\n\
                    failure = { signal = \"Result\", ok = 0 }\ntimeout = \"1s\"\nslow = \"200ms\"\n";
const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";

/// ASK at this millisecond, with a context of these bytes.
fn ask(log: &mut String, ms: u32, number: u8, context: &[u8]) {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes[4..4 + context.len()].copy_from_slice(context);
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let hex = hex.concat();
    writeln!(log, "({}.{:03}000) can0 100##1{hex}", 1_533_201_287 + ms / 1000, ms % 1000).unwrap();
}

fn reply(log: &mut String, ms: u32, number: u8, result: u8) {
    writeln!(log, "({}.{:03}000) can0 101#{number:02X}{result:02X}", 1_533_201_287 + ms / 1000, ms % 1000)
        .unwrap();
}

fn context(number: u8, flags: u8) -> [u8; 25] {
    let mut bytes = [number; 25];
    bytes[24] = flags;
    bytes
}

fn folder(log: &str, config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [("drive.log", log), ("car.dbc", DBC), ("car.toml", config)] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn metric(daemon: &Daemon<'_>, name: &str, outcome: &str) -> u64 {
    daemon.metric(&format!("ecu_daemon_{name}{{outcome=\"{outcome}\"}}")).unwrap_or(u64::MAX)
}

#[test]
fn every_context_and_request_is_counted() {
    let mut log = String::new();
    // Answered; failed, though not sampled; slow; unanswered; damaged, absent, cut off, and sent again.
    ask(&mut log, 0, 1, &context(1, 1));
    reply(&mut log, 10, 1, 0);
    ask(&mut log, 20, 2, &context(2, 0));
    reply(&mut log, 30, 2, 7);
    ask(&mut log, 40, 3, &context(3, 0));
    reply(&mut log, 300, 3, 0);
    ask(&mut log, 310, 4, &context(4, 1));
    ask(&mut log, 320, 5, &[[0; 16].as_slice(), &[5; 9]].concat());
    ask(&mut log, 330, 6, &[]);
    writeln!(log, "(1533201287.340000) can0 100#0700").unwrap();
    ask(&mut log, 350, 8, &context(1, 1));
    // Without a request; and what makes time pass.
    reply(&mut log, 360, 9, 0);
    reply(&mut log, 5_000, 9, 0);
    let folder = folder(&log, &format!("[trace]\n{PAIR}{CONFIG}"));
    let mut daemon = Daemon::start(folder.path(), &[], Card::Whole);
    daemon.until("the recording is decoded", |daemon| {
        daemon.metric("ecu_daemon_trace_responses_unsolicited_total") == Some(2)
    });
    let check = |name: &str, expected: &[(&str, u64)]| {
        let found: Vec<_> =
            expected.iter().map(|(outcome, _)| (*outcome, metric(&daemon, name, outcome))).collect();
        assert_eq!(found, expected, "{name}");
    };
    check(
        "trace_contexts_total",
        &[("valid", 4), ("absent", 1), ("truncated", 1), ("zero_ids", 1), ("repeated", 1), ("checksum", 0)],
    );
    check("trace_requests_total", &[("opened", 4), ("answered", 3), ("unanswered", 1), ("displaced", 0)]);
    check("trace_spans_total", &[("kept", 1), ("kept_failed", 2), ("kept_slow", 1), ("by_ratio", 0)]);
    assert_eq!(daemon.metric("ecu_daemon_trace_requests_untraced_total"), Some(4));
    assert_eq!(daemon.metric("ecu_daemon_trace_requests_waiting"), Some(0));
    let taken = "ecu_daemon_records_total{kind=\"span\",state=\"taken\"}";
    assert_eq!(daemon.metric(taken), Some(4));

    // Other settings come with a reload, and the books go on.
    daemon.reload("car.toml", &format!("[trace]\nratio = 0.0\nlisten = \"127.0.0.1:0\"\n{CONFIG}"), "ok", 1);
    assert!(daemon.log().contains("restart to change [trace] listen"), "{}", daemon.log());
    assert_eq!(metric(&daemon, "trace_requests_total", "opened"), 4);
    let wrong = PAIR.replace("REPLY", "RELPY");
    daemon.reload("car.toml", &format!("[trace]\n{wrong}{CONFIG}"), "refused", 1);
    let told =
        "car.toml:4: error: [[trace.pair]] of \"ASK\" and \"RELPY\" is left out: no DBC file of any bus has";
    assert!(daemon.log().contains(told), "{}", daemon.log());
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
}

/// Sends a request; status, headers and body of the answer.
fn send(daemon: &Daemon<'_>, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let log = daemon.log();
    let address = log.split_once("OTLP/HTTP at ").unwrap().1.split_once(": ").unwrap().0;
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}Host: ecu\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
    // Whoever is refused by the head alone may hang up before the body.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

fn post(daemon: &Daemon<'_>, path: &str, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    send(daemon, &format!("POST {path} HTTP/1.1\r\n{headers}"), body)
}

fn span(number: u8) -> Span {
    let (trace_id, span_id) = (vec![number; 16], vec![number; 8]);
    Span { trace_id, span_id, start_time_unix_nano: 1_763_640_000_000_000_000, ..Span::default() }
}

fn spans(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn log(text: &str) -> Vec<u8> {
    let body = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let scope_logs = vec![ScopeLogs {
        log_records: vec![LogRecord { body, ..LogRecord::default() }],
        ..ScopeLogs::default()
    }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

#[test]
fn local_services_bring_spans_and_log_records() {
    let config = format!("[trace]\nlisten = \"127.0.0.1:0\"\nrecords_per_second = 20\n{CONFIG}");
    let folder = folder("", &config);
    let mut daemon = Daemon::start(folder.path(), &[], Card::Whole);
    daemon.until("the intake listens", |daemon| daemon.log().contains("OTLP/HTTP at "));

    let taken = post(&daemon, "/v1/traces", PROTOBUF, &spans(vec![span(1), span(2)]));
    assert_eq!((taken.0, taken.2.as_slice()), (200, &[][..]), "{}", taken.1);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&spans(vec![span(3), Span::default()])).unwrap();
    let headers = format!("{PROTOBUF}Content-Encoding: gzip\r\n");
    let partly = post(&daemon, "/v1/traces", &headers, &gzip.finish().unwrap());
    assert_eq!(partly.0, 200, "{}", partly.1);
    let rejected = ExportTraceServiceResponse::decode(&partly.2[..]).unwrap().partial_success.unwrap();
    assert_eq!(rejected.rejected_spans, 1);
    assert!(rejected.error_message.contains("without a trace id"), "{}", rejected.error_message);
    assert_eq!(post(&daemon, "/v1/logs", PROTOBUF, &log("hello")).0, 200);

    let refused = |status: u16, said: &str, answer: (u16, String, Vec<u8>)| {
        let text = String::from_utf8_lossy(&answer.2).into_owned();
        assert!(answer.0 == status && text.contains(said), "{status}: {} {text}", answer.1);
    };
    refused(415, "http/protobuf", post(&daemon, "/v1/traces", "Content-Type: application/json\r\n", b"{}"));
    let brotli = format!("{PROTOBUF}Content-Encoding: br\r\n");
    refused(415, "send gzip", post(&daemon, "/v1/traces", &brotli, &[]));
    refused(400, "wire format", post(&daemon, "/v1/traces", PROTOBUF, b"\x0a\xff"));
    refused(400, "no gzip", post(&daemon, "/v1/traces", &headers, b"plain"));
    refused(404, "/v1/traces", post(&daemon, "/v1/metrics", PROTOBUF, &[]));
    refused(405, "only POST", send(&daemon, "GET /v1/traces HTTP/1.1\r\n", &[]));
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 4 << 20]).unwrap();
    refused(413, "send less", post(&daemon, "/v1/traces", &headers, &bomb.finish().unwrap()));
    refused(413, "send less", post(&daemon, "/v1/traces", PROTOBUF, &vec![0; (1 << 20) + 1]));

    // More than a second's worth is still taken as a whole; what follows has to wait.
    assert_eq!(post(&daemon, "/v1/traces", PROTOBUF, &spans((10..200).map(span).collect())).0, 200);
    let later = post(&daemon, "/v1/traces", PROTOBUF, &spans(vec![span(4)]));
    assert!(later.0 == 429 && later.1.to_lowercase().contains("retry-after: "), "{}", later.1);

    let sums = [
        ("ecu_daemon_records_total{kind=\"span\",state=\"sealed\"}", 193),
        ("ecu_daemon_records_total{kind=\"log\",state=\"sealed\"}", 1),
        ("ecu_daemon_otlp_records_total{kind=\"span\",outcome=\"taken\"}", 193),
        ("ecu_daemon_otlp_records_total{kind=\"span\",outcome=\"malformed\"}", 1),
        ("ecu_daemon_otlp_records_total{kind=\"log\",outcome=\"taken\"}", 1),
        ("ecu_daemon_otlp_requests_total{outcome=\"taken\"}", 3),
        ("ecu_daemon_otlp_requests_total{outcome=\"partly\"}", 1),
        ("ecu_daemon_otlp_requests_total{outcome=\"refused\"}", 8),
        ("ecu_daemon_otlp_requests_total{outcome=\"later\"}", 1),
    ];
    for (series, expected) in sums {
        daemon.wait_for(series, expected);
        assert_eq!(daemon.metric(series), Some(expected), "{series}");
    }
    let log = daemon.stop();
    assert!(log.contains("books_balanced=true"), "{log}");
}
