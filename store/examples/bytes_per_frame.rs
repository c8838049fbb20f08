//! Bytes per frame of blocks of raw frames, beside a log of `candump -L` and binary records through zstd as one stream:
//! `zcat drive.log.gz | cargo run --release -p store --example bytes_per_frame [-- SECONDS [ZSTD_LEVEL]]`
//!
//! A block every SECONDS (4 unless told otherwise), times of 1 µs. A stream has all that was before as its context, and
//! must be read from its beginning; a block stands alone. Binary records are the kernel's `can_frame` of 16 bytes, or
//! `canfd_frame` of 72, and 8 bytes of time. Blocks are opened again and compared.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead as _};
use std::time::Instant;

use can_decode::candump::{parse_line, write_line};
use can_decode::{FrameFlags, RealtimeNanos};
use store::block::{
    Body, BootId, Class, ClockSource, FramesBuilder, Kind, RawFrame, Records, SchemaHash, Sealer, open,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(4.0), |text| text.parse())?;
    let level: i32 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let (mut frames, mut text, mut records, mut buses) =
        (Vec::new(), String::new(), Vec::new(), BTreeMap::new());
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Ok(line) = parse_line(&line) else { continue };
        let next = buses.len() as u16;
        let bus = *buses.entry(line.interface.to_owned()).or_insert(next);
        let frame = line.frame;
        write_line(&mut text, RealtimeNanos(line.time.0), line.interface, &frame)?;
        text.push('\n');
        frames.push(RawFrame { bus, time_ns: line.time.0, clock: ClockSource::Recorded, frame });
        record(&mut records, &frames[frames.len() - 1]);
    }
    if frames.is_empty() {
        return Err("no frames; give it a log of candump -L on the standard input".into());
    }
    let each = |bytes: usize| bytes as f64 / frames.len() as f64;
    println!("{} frames of {} buses", frames.len(), buses.len());
    for (name, bytes) in [("candump -L", text.as_bytes()), ("binary records", &records)] {
        let packed = |level| zstd::bulk::compress(bytes, level).map(|packed| each(packed.len()));
        println!(
            "{name:<16} {:>7.3}, zstd -3 {:.3}, zstd -19 {:.3}",
            each(bytes.len()),
            packed(3)?,
            packed(19)?
        );
    }
    let (blocks, bytes, nanos) = blocks(&frames, (seconds * 1e9) as i64, level)?;
    let nanos = nanos / frames.len() as f64;
    println!("{blocks} blocks         {:>7.3}, {nanos:.0} ns a frame to collect and seal", each(bytes));
    Ok(())
}

/// As a reader of the socket would store it.
fn record(out: &mut Vec<u8>, raw: &RawFrame) {
    let frame = &raw.frame;
    let remote = u32::from(frame.flags().contains(FrameFlags::REMOTE)) << 30;
    let error = u32::from(frame.flags().contains(FrameFlags::ERROR)) << 29;
    let size = if frame.is_fd() { 64 } else { 8 };
    out.extend_from_slice(&raw.time_ns.to_le_bytes());
    out.extend_from_slice(&(frame.id().with_extended_bit() | remote | error).to_le_bytes());
    out.extend_from_slice(&[frame.len() as u8, frame.flags().bits() & 7, raw.bus as u8, 0]);
    out.extend_from_slice(&frame.padded()[..size]);
}

/// Number and bytes of blocks, and how long collecting and sealing took.
fn blocks(frames: &[RawFrame], every_ns: i64, level: i32) -> Result<(usize, usize, f64), Box<dyn Error>> {
    let mut builder = FramesBuilder::new(1_000);
    let mut sealer = Sealer::new(BootId([1; 16]), 1, level)?;
    let (mut blocks, mut bytes, mut nanos) = (0, 0, 0.0);
    let mut rest = frames;
    while let Some(first) = rest.first() {
        let began = Instant::now();
        let is_late = |raw: &RawFrame| (raw.time_ns - first.time_ns).abs() >= every_ns;
        let taken =
            rest.iter().position(|raw| is_late(raw) || builder.push(raw).is_err()).unwrap_or(rest.len());
        let span_ns = builder.span_ns().unwrap_or_default();
        builder.encode(&mut sealer.body);
        let (kind, class, schema) = (Kind::Frames, Class::Bulk, SchemaHash([1; 16]));
        let block =
            sealer.seal(Body { kind, class, schema, count: taken as u32, span_ns, sealed_boot_ns: 0 })?;
        nanos += began.elapsed().as_secs_f64() * 1e9;
        let Records::Frames(opened) = open(block.bytes())?.1 else { return Err("another kind".into()) };
        let in_microseconds =
            |raw: &RawFrame| RawFrame { time_ns: raw.time_ns.div_euclid(1_000) * 1_000, ..*raw };
        if !opened.iter().eq(rest[..taken].iter().map(in_microseconds)) {
            return Err("what was opened is not what was sealed".into());
        }
        (blocks, bytes, rest) = (blocks + 1, bytes + block.bytes().len(), &rest[taken..]);
    }
    Ok((blocks, bytes, nanos))
}
