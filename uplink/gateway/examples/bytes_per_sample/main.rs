//! Bytes per sample of blocks beside OTLP with gzip and zstd and Prometheus remote-write with snappy, for the same
//! samples: all signals of recorded drives, times of 1 µs, a block or request every 10 s (or as many as are asked for).
//!
//! `cargo run --release -p ecu-gateway --example bytes_per_sample [-- SECONDS [ZSTD_LEVEL]]`
//!
//! The drives are those of `shared/data/can` beside the repository; without them a made-up one shows the way. Requests
//! are as small as the protocols allow: one metric or series for each signal, no attributes on points.

mod drives;
mod peers;

use std::error::Error;

use store::block::{Body, BootId, Class, ClockSource, Kind, SamplesBuilder, SchemaHash, Sealer};

use drives::Drive;

/// What the samples of a drive take, bytes.
#[derive(Default)]
struct Totals {
    blocks: usize,
    block_bytes: usize,
    otlp: usize,
    otlp_gzip: usize,
    otlp_zstd: usize,
    remote_write_snappy: usize,
}

/// Times as they are kept.
const TICK_NS: i64 = 1_000;
/// The bound for blocks against OTLP with zstd.
const RATIO_MAX: f64 = 0.3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(10.0), |text| text.parse())?;
    let level: i32 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    println!("bytes per sample, a block or request every {seconds} s, blocks with zstd level {level}");
    println!(
        "{:<38} {:>8} {:>6} {:>7} | {:>6} {:>6} {:>6} {:>6} | blocks / OTLP+zstd",
        "drive", "samples", "blocks", "blocks", "OTLP", "+gzip", "+zstd3", "RW+sn"
    );
    let mut worst = 0.0_f64;
    for drive in drives::all()? {
        let totals = measure(&drive, (seconds * 1e9) as i64, level)?;
        let each = |bytes: usize| bytes as f64 / drive.samples as f64;
        let ratio = totals.block_bytes as f64 / totals.otlp_zstd as f64;
        worst = worst.max(ratio);
        println!(
            "{:<38} {:>8} {:>6} {:>7.4} | {:>6.2} {:>6.3} {:>6.3} {:>6.3} | {ratio:.3}",
            drive.name,
            drive.samples,
            totals.blocks,
            each(totals.block_bytes),
            each(totals.otlp),
            each(totals.otlp_gzip),
            each(totals.otlp_zstd),
            each(totals.remote_write_snappy),
        );
    }
    println!("worst ratio {worst:.3}, target at 10 s: at most {RATIO_MAX}");
    Ok(())
}

fn measure(drive: &Drive, every_ns: i64, level: i32) -> Result<Totals, Box<dyn Error>> {
    let mut builder = SamplesBuilder::new(drive.signals(), TICK_NS);
    let mut sealer = Sealer::new(BootId([1; 16]), 1, level)?;
    let mut totals = Totals::default();
    let mut rest = &drive.rows[..];
    while let Some(first) = rest.first() {
        let end = rest.iter().position(|row| row.time_ns - first.time_ns >= every_ns).unwrap_or(rest.len());
        let (rows, later) = rest.split_at(end);
        rest = later;
        for row in rows {
            builder
                .row(row.message, row.time_ns, ClockSource::Recorded)
                .map_err(|error| format!("{}: {error:?}", drive.name))?;
            row.values.iter().for_each(|&(signal, raw)| builder.value(row.message, signal, raw.0));
        }
        let Some(span_ns) = builder.span_ns() else { continue };
        let count = builder.samples() as u32;
        builder.encode(&mut sealer.body);
        let (kind, class, schema) = (Kind::Samples, Class::Live, SchemaHash([1; 16]));
        let block = sealer.seal(Body { kind, class, schema, count, span_ns, sealed_boot_ns: 0 })?;
        let requests = peers::requests(drive, rows);
        totals.blocks += 1;
        totals.block_bytes += block.bytes().len();
        totals.otlp += requests.otlp.len();
        totals.otlp_gzip += peers::gzip(&requests.otlp)?;
        totals.otlp_zstd += zstd::bulk::compress(&requests.otlp, 3)?.len();
        totals.remote_write_snappy += snap::raw::Encoder::new().compress_vec(&requests.remote_write)?.len();
    }
    Ok(totals)
}
