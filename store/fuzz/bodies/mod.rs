//! What the fuzz targets do with arbitrary bytes; also run on stable by `store/tests/fuzz_bodies.rs`.
#![allow(dead_code, reason = "no target runs all of it")]
#![allow(unreachable_pub, reason = "a module of tests")]

use can_decode::{CanId, Frame, FrameFlags};
use store::block::{
    BlockHeader, Body, BootId, Class, ClockMap, ClockSource, Dictionaries, FramesBuilder, HistogramsBuilder,
    Kind, LogsBuilder, RawFrame, Records, Samples, SamplesBuilder, Schema, SchemaHash, Sealer, SpansBuilder,
    open, open_with, read_frames, read_histograms, read_logs, read_samples, read_spans,
};

/// A block as it comes from the card or the link.
pub fn block(bytes: &[u8]) {
    if let Ok((header, records)) = open(bytes) {
        assert_eq!(count(&header, &records), header.count as usize);
    }
}

fn count(header: &BlockHeader, records: &Records) -> usize {
    match records {
        Records::Samples(samples) => samples_in(samples),
        Records::Spans(spans) => spans.len(),
        Records::Logs(logs) => logs.len(),
        Records::Schema(_, schema) => schema.messages.len(),
        Records::Histograms(histograms) => histograms.len(),
        Records::ClockMap(map) => map.segments.len(),
        Records::Dictionary(_) => header.count as usize,
        Records::Frames(frames) => frames.iter().count(),
    }
}

fn samples_in(samples: &Samples) -> usize {
    samples.groups.iter().flat_map(|group| &group.columns).map(|column| column.values.len()).sum()
}

/// A body of any kind, without the checksum and the compression that keep arbitrary bytes away from the readers: what is
/// read is written and read again.
pub fn body(bytes: &[u8]) {
    let Some((&kind, body)) = bytes.split_first() else { return };
    let mut again = Vec::new();
    match kind % 8 {
        0 | 1 => {
            let Some((count, body)) = body.split_first_chunk::<3>() else { return };
            let count = u32::from_le_bytes([count[0], count[1], count[2] & 0x0F, 0]);
            if let Ok(samples) = read_samples(body, count) {
                assert_eq!(samples_in(&samples), count as usize);
                for group in &samples.groups {
                    assert!(
                        group
                            .columns
                            .iter()
                            .all(|c| c.rows.iter().nth(c.values.len() - 1) < Some(group.times_ns.len()))
                    );
                    assert_eq!(group.times_ns.len(), group.slots_ms.len());
                }
            }
        }
        2 => {
            if let Ok(spans) = read_spans(body) {
                let mut builder = SpansBuilder::default();
                spans.iter().for_each(|span| builder.push(span.clone()));
                builder.encode(&mut again);
                assert_eq!(read_spans(&again).as_ref(), Ok(&spans));
            }
        }
        3 => {
            if let Ok(logs) = read_logs(body) {
                let mut builder = LogsBuilder::default();
                logs.iter().for_each(|log| builder.push(log.clone()));
                builder.encode(&mut again);
                assert_eq!(read_logs(&again).as_ref(), Ok(&logs));
            }
        }
        4 => {
            if let Ok(schema) = Schema::read(body) {
                // NaNs are not equal to themselves, their bytes are.
                let again = schema.encode();
                assert_eq!(Schema::read(&again).map(|schema| schema.encode()), Ok(again));
            }
        }
        5 => {
            if let Ok(histograms) = read_histograms(body) {
                let mut builder = HistogramsBuilder::default();
                histograms.into_iter().for_each(|one| builder.push(one).expect("it was read"));
                builder.encode(&mut again);
                assert!(read_histograms(&again).is_ok());
            }
        }
        6 => frames_body(body),
        _ => {
            if let Ok(map) = ClockMap::read(body) {
                map.encode(&mut again).expect("it was read");
                assert_eq!(ClockMap::read(&again), Ok(map));
            }
        }
    }
}

/// What is read is written and read again: a tick of 1 ns keeps all times.
fn frames_body(body: &[u8]) {
    let Some((count, body)) = body.split_first_chunk::<2>() else { return };
    let count = u16::from_le_bytes(*count);
    let Ok(frames) = read_frames(body, count.into()) else { return };
    let frames: Vec<RawFrame> = frames.iter().collect();
    assert_eq!(frames.len(), usize::from(count));
    let (mut builder, mut again) = (FramesBuilder::new(1), Vec::new());
    if frames.iter().all(|raw| builder.push(raw).is_ok()) {
        builder.encode(&mut again);
        let read = read_frames(&again, count.into()).expect("it was written");
        assert!(read.iter().eq(frames));
    }
}

/// Frames out of arbitrary bytes: sealed and opened they are the same.
pub fn frames(bytes: &[u8]) {
    let (mut builder, mut expected) = (FramesBuilder::new(1_000), Vec::new());
    let mut time = 1_767_225_600_000_000_000_i64;
    for row in bytes.chunks_exact(8) {
        time += i64::from(i16::from_le_bytes([row[0], row[1]])) * 1_000;
        let id = match u32::from(row[2] >> 4) {
            id @ 0..8 => CanId::Standard(id as u16),
            id => CanId::Extended(id << 20),
        };
        let payload = [row[3], row[4], row[5], row[6], row[7], 0, row[3], row[4]].repeat(2);
        let frame = match row[2] & 7 {
            0 => Frame::remote(id, row[3] % 9),
            1 => Frame::error(id.raw(), [row[4]; 8]),
            2 => Frame::fd(id, FrameFlags::BRS, &payload).expect("16 bytes"),
            _ => Frame::classic(id, &payload[..usize::from(row[3] % 9)]).expect("8 bytes"),
        };
        let clock = ClockSource::Recorded;
        expected.push(RawFrame { bus: u16::from(row[2] >> 3 & 1), time_ns: time, clock, frame });
    }
    if expected.iter().any(|raw| builder.push(raw).is_err()) {
        return;
    }
    let Some(span_ns) = builder.span_ns() else { return };
    let mut sealer = Sealer::new(BootId([1; 16]), 1, 3).expect("zstd has memory");
    builder.encode(&mut sealer.body);
    let (kind, class, schema) = (Kind::Frames, Class::Bulk, SchemaHash::default());
    let body = Body { kind, class, schema, count: expected.len() as u32, span_ns, sealed_boot_ns: 0 };
    let block = sealer.seal(body).expect("it is small");
    let Ok((_, Records::Frames(frames))) = open(block.bytes()) else { panic!("a block of another kind") };
    assert!(frames.iter().eq(expected));
}

/// Rows out of arbitrary bytes: sealed and opened they are the same.
pub fn samples(bytes: &[u8]) {
    const SIGNALS: usize = 3;
    let mut builder = SamplesBuilder::with_ticks([(SIGNALS, 1_000), (SIGNALS, 1_000), (SIGNALS, 7)], 1_000);
    let mut expected: [Vec<(i64, [Option<u64>; SIGNALS])>; 3] = Default::default();
    let mut time = 1_767_225_600_000_000_000_i64;
    let mut last = [0_u64; SIGNALS];
    for row in bytes.chunks_exact(6) {
        let (message, present) = (usize::from(row[0] % 3), row[0] >> 2);
        time += i64::from(i16::from_le_bytes([row[1], row[2]])) << (row[0] >> 6 << 2);
        let tick = if message == 2 { 7 } else { 1_000 };
        if builder.row(message, time, ClockSource::Hardware).is_err() {
            return;
        }
        let mut values = [None; SIGNALS];
        for (signal, value) in values.iter_mut().enumerate().filter(|(signal, _)| present >> signal & 1 == 1)
        {
            // Walks, jumps, and values of any width.
            let raw = match row[3] % 3 {
                0 => last[signal].wrapping_add(i64::from(row[4] as i8) as u64),
                1 => u64::from(row[4]) << (row[5] % 64),
                _ => u64::from_le_bytes([row[5]; 8]) ^ u64::from(row[4]),
            };
            last[signal] = raw;
            *value = Some(raw);
            builder.value(message, signal, raw);
        }
        expected[message].push((time.div_euclid(tick) * tick, values));
    }
    let Some(span_ns) = builder.span_ns() else { return };
    let count = builder.samples() as u32;
    let mut sealer = Sealer::new(BootId([1; 16]), 1, 3).expect("zstd has memory");
    builder.encode(&mut sealer.body);
    let (kind, class, schema) = (Kind::Samples, Class::Live, SchemaHash::default());
    let body = Body { kind, class, schema, count, span_ns, sealed_boot_ns: 0 };
    let block = sealer.seal(body).expect("it is small");
    let opened = open_with(block.bytes(), &Dictionaries::default());
    let Ok((_, Records::Samples(samples))) = opened else { panic!("{opened:?}") };
    for (message, rows) in expected.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        let group = samples.groups.iter().find(|group| group.message == message).expect("the message");
        let mut found: Vec<_> = group.times_ns.iter().map(|&time| (time, [None; SIGNALS])).collect();
        for column in &group.columns {
            for (row, &value) in column.rows.iter().zip(&column.values) {
                found[row].1[column.signal] = Some(value);
            }
        }
        assert_eq!(found, *rows);
    }
}
