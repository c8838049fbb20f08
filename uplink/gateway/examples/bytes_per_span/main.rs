//! Bytes per span of blocks, ids included, beside OTLP with gzip and zstd for the same spans, sealed or sent each second.
//!
//! `cargo run --release -p ecu-gateway --example bytes_per_span [-- ZSTD_LEVEL]`
//!
//! The traffic is made up: stamps in nanoseconds with a bus's jitter, random trace and parent ids as W3C wants them, two
//! signals a span that walk as a car's do. "chains" has six spans a trace over two buses, one of them a request with its
//! response, one of a local service; "alone" is the worst case, a trace for each frame, and "bare" the same without signals.
//! OTLP's requests are as small as the protocol allows: nothing beyond ids, times, name, kind, the signals and the status.

mod traffic;

use std::error::Error;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use store::block::{
    Body, BootId, Class, Identity, Kind, SchemaHash, Sealer, SpanOrigin, SpanRecord, SpanStatus, SpansBuilder,
};

use traffic::{NAMES, Traffic};

/// The bound for blocks, ids included.
const BYTES_MAX: f64 = 40.0;
const SECONDS: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let level: i32 = std::env::args().nth(1).map_or(Ok(3), |text| text.parse())?;
    println!("bytes per span over {SECONDS} s, a block or request each second, zstd level {level}");
    println!(
        "{:<8} {:>8} {:>8} {:>7} | {:>6} {:>6} {:>6} | blocks / OTLP+gzip",
        "traffic", "spans/s", "spans", "blocks", "OTLP", "+gzip", "+zstd3"
    );
    let mut worst = 0.0_f64;
    for (name, traffic) in [("chains", Traffic::CHAINS), ("alone", Traffic::ALONE), ("bare", Traffic::BARE)] {
        for rate in [20, 100, 500] {
            let [spans, blocks, otlp, gzip, zstd] = measure(traffic, rate, level)?;
            let each = |bytes: usize| bytes as f64 / spans as f64;
            worst = worst.max(each(blocks));
            println!(
                "{name:<8} {rate:>8} {spans:>8} {:>7.2} | {:>6.1} {:>6.2} {:>6.2} | {:.3}",
                each(blocks),
                each(otlp),
                each(gzip),
                each(zstd),
                blocks as f64 / gzip as f64
            );
        }
    }
    println!("worst {worst:.2} bytes, target at most {BYTES_MAX}");
    Ok(())
}

/// Spans, and what they take: blocks, OTLP, OTLP with gzip, OTLP with zstd.
fn measure(traffic: Traffic, rate: usize, level: i32) -> Result<[usize; 5], Box<dyn Error>> {
    let mut sealer = Sealer::new(BootId([1; 16]), 1, level)?;
    let mut builder = SpansBuilder::default();
    let mut totals = [0; 5];
    let spans = traffic.spans(rate * SECONDS, rate);
    for second in spans.chunks(rate) {
        let mut sum = |at: usize, bytes: usize| totals[at] += bytes;
        second.iter().for_each(|span| builder.push(span.clone()));
        let Some(span_ns) = builder.span_ns() else { continue };
        let (kind, class, schema) = (Kind::Spans, Class::Traces, SchemaHash([1; 16]));
        let count = second.len() as u32;
        builder.encode(&mut sealer.body);
        let block = sealer.seal(Body { kind, class, schema, count, span_ns, sealed_boot_ns: 0 })?;
        let otlp = request(second, block.header().identity);
        sum(0, second.len());
        sum(1, block.bytes().len());
        sum(2, otlp.len());
        sum(3, gzip(&otlp)?);
        sum(4, zstd::bulk::compress(&otlp, 3)?.len());
    }
    Ok(totals)
}

fn request(spans: &[SpanRecord], block: Identity) -> Vec<u8> {
    let spans = (0..).zip(spans).map(|(row, record)| span(record, block, row)).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn span(record: &SpanRecord, block: Identity, row: u32) -> Span {
    let number = |key: String, value: f64| KeyValue {
        key,
        value: Some(AnyValue { value: Some(any_value::Value::DoubleValue(value)) }),
        ..KeyValue::default()
    };
    let (name, attributes) = match &record.origin {
        SpanOrigin::Bus(bus) => {
            let signals = bus.signals.iter();
            let signals =
                signals.map(|(signal, raw)| number(format!("can.signal.S{signal}"), raw as f64 * 0.1));
            (NAMES[bus.message as usize], signals.collect())
        }
        SpanOrigin::Local(local) => (local.name.as_ref(), Vec::new()),
    };
    let status = match &record.status {
        SpanStatus::Unset => None,
        SpanStatus::Ok => Some(Status { code: 1, message: String::new() }),
        SpanStatus::Error(failure) => Some(Status { code: 2, message: failure.to_string() }),
    };
    Span {
        trace_id: record.trace_id.to_vec(),
        span_id: record.id(block, row).to_vec(),
        parent_span_id: record.parent_span_id.map_or(Vec::new(), |parent| parent.to_vec()),
        flags: record.flags.into(),
        name: name.to_owned(),
        kind: record.kind() as i32,
        start_time_unix_nano: record.start_ns as u64,
        end_time_unix_nano: record.start_ns as u64 + record.duration_ns,
        attributes,
        status,
        ..Span::default()
    }
}

/// Length after gzip at its default level.
fn gzip(bytes: &[u8]) -> io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
