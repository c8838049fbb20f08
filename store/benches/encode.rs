//! Nanoseconds a sample of each stage between a decoded value and a sealed block, beside what the machine takes at least:
//! `cargo bench -p store --bench encode`.
//!
//! A made-up car of 40 messages with the mix of signals that recorded ones have: constants, counters, checksums, flags,
//! walks and noise. A stage is compared with copying the raw values (8 bytes each) and with zstd alone over them, in
//! the same run.

use std::hint::black_box;
use std::time::Instant;

use store::block::{Body, BootId, Class, ClockSource, Kind, SamplesBuilder, SchemaHash, Sealer, open};

const MESSAGES: usize = 40;
const SIGNALS: usize = 6;
/// Rows of each message in a block: 10 s at 83 a second.
const ROWS: usize = 830;
const ROUNDS: usize = 15;

/// Time, message, values.
type Row = (i64, usize, [u64; SIGNALS]);

fn rows() -> Vec<Row> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut rows = Vec::new();
    let mut walks = [40_000_u64; MESSAGES];
    for row in 0..ROWS {
        for (message, walk) in walks.iter_mut().enumerate() {
            let time = 1_767_225_600_000_000_000 + row as i64 * 12_000_000 + message as i64 * 250_000;
            *walk = (*walk + noise(13)).saturating_sub(6);
            let flag = u64::from(row / 100 % 2 == 0);
            let values = [7, row as u64 % 16, noise(256), flag, *walk, 1000 + noise(12)];
            rows.push((time + noise(400) as i64 * 1_000, message, values));
        }
    }
    rows
}

/// The best of some rounds, nanoseconds a sample.
struct Stage(&'static str, f64);

impl Stage {
    fn take(&mut self, started: Instant) {
        let samples = (ROWS * MESSAGES * SIGNALS) as f64;
        self.1 = self.1.min(started.elapsed().as_nanos() as f64 / samples);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = rows();
    let raw: Vec<u8> = rows.iter().flat_map(|row| row.2).flat_map(u64::to_le_bytes).collect();
    let names =
        ["copy of raw values", "zstd 3 of raw values", "collect", "columns", "zstd and checksum", "open"];
    let [mut copy, mut alone, mut collect, mut columns, mut seal, mut opening] =
        names.map(|name| Stage(name, f64::MAX));
    let mut builder = SamplesBuilder::new([SIGNALS; MESSAGES], 1_000);
    let mut sealer = Sealer::new(BootId([1; 16]), 1, 3)?;
    let mut target = vec![0; raw.len()];
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        target.copy_from_slice(black_box(&raw));
        black_box(&target);
        copy.take(start);
        let start = Instant::now();
        black_box(zstd::bulk::compress(&raw, 3)?);
        alone.take(start);
        let start = Instant::now();
        for (time_ns, message, values) in black_box(&rows) {
            // There is only one clock, so that every row joins.
            let _ = builder.row(*message, *time_ns, ClockSource::KernelSoftware);
            values.iter().enumerate().for_each(|(signal, &raw)| builder.value(*message, signal, raw));
        }
        collect.take(start);
        let (count, span_ns) = (builder.samples() as u32, builder.span_ns().unwrap_or_default());
        let start = Instant::now();
        builder.encode(&mut sealer.body);
        columns.take(start);
        let (kind, class, schema) = (Kind::Samples, Class::Live, SchemaHash::default());
        let start = Instant::now();
        let block = sealer.seal(Body { kind, class, schema, count, span_ns, sealed_boot_ns: 0 })?;
        seal.take(start);
        bytes = block.bytes().len();
        let start = Instant::now();
        black_box(open(block.bytes())?);
        opening.take(start);
    }
    let samples = (ROWS * MESSAGES * SIGNALS) as f64;
    println!("{samples} samples in {bytes} bytes, {:.3} a sample", bytes as f64 / samples);
    let peer = alone.1;
    for stage in [&copy, &alone, &collect, &columns, &seal, &opening] {
        println!("{:<22} {:>6.2} ns a sample, {:>5.2} of zstd alone", stage.0, stage.1, stage.1 / peer);
    }
    let encode = columns.1 + seal.1;
    println!("{:<22} {encode:>6.2} ns a sample, {:>5.2} of zstd alone", "columns to block", encode / peer);
    Ok(())
}
