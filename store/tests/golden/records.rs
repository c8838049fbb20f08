//! The records of the golden files. They never change: files of released versions hold them for ever, and a new kind
//! of record gets a function of its own.

#![allow(unreachable_pub, reason = "a module of tests")]

use std::sync::Arc;

use can_decode::uds::{Nrc, Service};
use can_decode::{CanId, Frame, FrameFlags, ValueKind};
use store::block::{
    AttributeValue, BootId, BoundGrowth, BusSpan, BusSpanKind, ClockDomain, ClockMap, ClockSegment,
    ClockSource, ClockSync, Dictionary, HistogramRecord, Identity, LocalSpan, LogRecord, MessageSchema,
    Opening, RawFrame, SampleMark, SamplesBuilder, Schema, SchemaHash, Severity, SignalSchema, SignalValues,
    SpanFailure, SpanKind, SpanLink, SpanLinks, SpanOrigin, SpanRecord, SpanStatus, SyncSource, TaiUtcSource,
    Temperature, Timescale,
};

/// 2026-01-01 in nanoseconds.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

pub const IDENTITY: Identity = Identity { boot: BootId([0xB0; 16]), run: 123_456, sequence: 0 };

pub const SCHEMA: SchemaHash = SchemaHash([0x5C; 16]);

/// Signals of each message of [`samples`].
pub const SIGNALS: [usize; 3] = [5, 2, 1];

/// One row: message, time, clock, and the values as (signal, raw).
pub type Row = (usize, i64, ClockSource, Vec<(usize, u64)>);

/// Repeatable noise, 64 bits each.
pub fn noise() -> impl FnMut() -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// A counter, a checksum, a walk below zero, a constant and a flag that is often absent; floats, and a burst within a
/// millisecond; a message seen once.
pub fn samples() -> Vec<Row> {
    let mut noise = noise();
    let mut rows = Vec::new();
    let mut walk = -40_i64;
    for row in 0..300_i64 {
        let time = START_NS + row * 10_000_000 + (noise() % 200) as i64 * 1_000;
        walk += (noise() % 9) as i64 - 4;
        let mut values = vec![(0, row as u64 % 16), (1, noise() % 256), (2, walk as u64), (3, 7)];
        if row % 50 < 20 {
            values.push((4, u64::from(row % 50 < 10)));
        }
        rows.push((0, time, ClockSource::KernelSoftware, values));
        if row % 10 == 0 {
            let float = f64::from(row as i32) * 0.25 - 3.0;
            let values = vec![(0, u64::from((float as f32).to_bits())), (1, float.to_bits())];
            for burst in 0..=row / 100 {
                rows.push((1, time + burst * 2_000, ClockSource::Hardware, values.clone()));
            }
        }
    }
    rows.push((2, START_NS + 5_000, ClockSource::Recorded, vec![(0, u64::MAX)]));
    rows
}

/// Frames whose times were taken in batches, so that one timeline is smaller than one for each message.
pub fn batches() -> Vec<Row> {
    let mut noise = noise();
    let mut rows = Vec::new();
    for batch in 0..200_i64 {
        let time = START_NS + batch * 2_800_000 + (noise() % 900) as i64 * 1_000;
        for frame in 0..4 {
            let message = ((batch * 3 + frame * frame) % 3) as usize;
            rows.push((message, time + frame * 6_000, ClockSource::UserSpace, vec![(0, noise() % 200)]));
        }
    }
    rows
}

/// A builder with these rows in it.
pub fn builder(rows: &[Row]) -> SamplesBuilder {
    let mut builder = SamplesBuilder::new(SIGNALS, 1_000);
    for (message, time_ns, clock, values) in rows {
        builder.row(*message, *time_ns, *clock).unwrap();
        values.iter().for_each(|&(signal, raw)| builder.value(*message, signal, raw));
    }
    builder
}

pub fn histograms() -> Vec<HistogramRecord> {
    (0..6)
        .map(|row| HistogramRecord {
            message: row % 3,
            signal: row / 3,
            start_ns: START_NS + i64::from(row) * 60_000_000_000,
            duration_ns: 60_000_000_000,
            clock: ClockSource::Hardware,
            scale: row as i32 - 3,
            count: 30 + u64::from(row),
            sum: f64::from(row) * 1.5 - 2.0,
            min: -7.25,
            max: if row == 5 { f64::INFINITY } else { 1e6 },
            zero_count: u64::from(row),
            zero_threshold: 1e-9,
            positive: vec![(-3, 5), (0, 10), (17 + row as i32, 10)],
            negative: vec![(-40, 5)],
        })
        .collect()
}

pub fn clock_map() -> ClockMap {
    let sync = |source, timescale| ClockSync {
        source,
        timescale,
        error_ns: 1_500,
        tai_utc: (37, TaiUtcSource::Ptp),
    };
    let line = |domain, from_boot_ns, opening, offset_ns, sync| ClockSegment {
        domain,
        version: 6,
        from_boot_ns,
        to_boot_ns: from_boot_ns + 60_000_000_000,
        reference_boot_ns: from_boot_ns + 5_000_000_000,
        offset_ns,
        drift_ppt: -12_500,
        error_ns: 250,
        growth: BoundGrowth { ppb: 40, ppb_per_s: 50, ppb_max: 100_000 },
        opening,
        sync,
        holdover: BoundGrowth { ppb: 100_000, ppb_per_s: 0, ppb_max: 100_000 },
        grace_ns: 2_500_000_000,
    };
    let (utc, tai) = (START_NS, START_NS + 37_000_000_000);
    ClockMap {
        id: 7,
        open_ns: 4_000_000_000,
        segments: vec![
            line(ClockDomain::Phc(0), 0, Opening::First, 12_345, None),
            line(
                ClockDomain::Phc(0),
                60_000_000_000,
                Opening::Step,
                tai,
                Some(sync(SyncSource::Ptp, Timescale::Tai)),
            ),
            line(
                ClockDomain::Realtime,
                -1_000,
                Opening::First,
                utc,
                Some(sync(SyncSource::Kernel, Timescale::Utc)),
            ),
            line(ClockDomain::Tai, 1_000, Opening::Gap, tai, Some(sync(SyncSource::Config, Timescale::Tai))),
            line(ClockDomain::MonotonicRaw, 0, Opening::Continues, -88_000, None),
            line(ClockDomain::Timer(3), 0, Opening::First, 5, None),
        ],
        temperatures: vec![
            Temperature { at_boot_ns: 1_000_000_000, milli_celsius: -12_500 },
            Temperature { at_boot_ns: 61_000_000_000, milli_celsius: 54_250 },
        ],
    }
}

/// Untrained: bytes that [`logs`] are like.
pub fn dictionary() -> Dictionary {
    Dictionary::new("camera gateway-über frame late by ms, buffer 0x ".repeat(4).into_bytes()).unwrap()
}

pub fn spans() -> Vec<SpanRecord> {
    let mut noise = noise();
    let mut bytes = move || noise().to_le_bytes();
    (0..20)
        .map(|row| {
            let mut trace_id = [0; 16];
            trace_id[..8].copy_from_slice(&bytes());
            trace_id[8..].copy_from_slice(&bytes());
            frame(trace_id, bytes(), row)
        })
        .collect()
}

/// A frame with a context and nothing else, as version 1 had them.
fn frame(trace_id: [u8; 16], parent: [u8; 8], row: i64) -> SpanRecord {
    let message = (row % 5) as u32;
    let (kind, signals) = (BusSpanKind::Frame, SignalValues::default());
    SpanRecord {
        trace_id,
        span_id: None,
        parent_span_id: Some(parent),
        flags: (row % 4) as u8,
        start_ns: START_NS + row * 3_333_333,
        duration_ns: if row % 3 == 0 { 1_500_000 } else { 0 },
        clock: ClockSource::Hardware,
        origin: SpanOrigin::Bus(BusSpan { kind, message, id: None, signals, sample: None }),
        status: SpanStatus::Unset,
        links: SpanLinks::default(),
    }
}

/// Spans of all origins, kinds and ends, of few traces.
pub fn traces() -> Vec<SpanRecord> {
    let service: Arc<str> = "brake-control".into();
    let local = |row: u64| LocalSpan {
        service: Arc::clone(&service),
        name: ["decide", "réagir"][row as usize % 2].into(),
        kind: SpanKind::ALL[row as usize % 5],
        attributes: vec![
            ("brake.reason".into(), AttributeValue::Text("obstacle".into())),
            ("brake.full".into(), AttributeValue::Bool(row.is_multiple_of(2))),
            ("brake.count".into(), AttributeValue::Int(-(row as i64))),
            ("brake.bar".into(), AttributeValue::Double(row as f64 * 0.5)),
        ],
        attributes_cut: row as u32 % 2,
    };
    let statuses = [
        SpanStatus::Unset,
        SpanStatus::Ok,
        SpanStatus::Error(SpanFailure::NoResponse),
        SpanStatus::Error(SpanFailure::Reported(3)),
        SpanStatus::Error(SpanFailure::Refused(Nrc(0x22))),
        SpanStatus::Error(SpanFailure::Message("no pressure".into())),
    ];
    let kinds = [
        BusSpanKind::Frame,
        BusSpanKind::Exchange,
        BusSpanKind::Message,
        BusSpanKind::Diagnostic(Service(0x22)),
    ];
    (0..40_u64)
        .map(|row| {
            let plain = frame([row as u8 / 4 + 1; 16], [row as u8 % 7 + 1; 8], row as i64);
            let mut signals = SignalValues::default();
            (0..row % 3).for_each(|signal| assert!(signals.push(signal as u16 * 2, row * 1_000)));
            let bus = BusSpan {
                kind: kinds[row as usize % 4],
                message: row as u32 % 4,
                id: (row % 4 == 3).then_some(CanId::Extended(0x18DA_10F1)),
                signals,
                sample: (row % 4 == 1)
                    .then_some(SampleMark { tick_ns: 1_000, slot_delay_ms: (row % 8 == 1).then_some(2) }),
            };
            let is_local = row % 5 == 4;
            let origin =
                if is_local { SpanOrigin::Local(Box::new(local(row))) } else { SpanOrigin::Bus(bus) };
            let link = |at| SpanLink { trace_id: [at as u8 + 1; 16], span_id: [at as u8 + 90; 8] };
            SpanRecord {
                span_id: is_local.then_some([row as u8 + 100; 8]),
                parent_span_id: plain.parent_span_id.filter(|_| row % 9 != 0),
                origin,
                status: statuses[row as usize % 6].clone(),
                links: (0..row % 11 / 8).map(link).collect::<SpanLinks>().with_cut(u32::from(row == 9)),
                ..plain
            }
        })
        .collect()
}

pub fn logs() -> Vec<LogRecord> {
    (0..20)
        .map(|row| LogRecord {
            time_ns: START_NS + row * 50_000_000,
            clock: ClockSource::UserSpace,
            severity: [Severity::INFO, Severity::WARN, Severity::ERROR][row as usize % 3],
            service: ["camera", "gateway-über"][row as usize % 2].to_owned(),
            body: format!("frame {row} late by {} ms, buffer 0x{:x}", row * 7 % 40, row * 4096),
            trace: (row % 4 == 0).then_some(([row as u8 + 1; 16], [row as u8 + 2; 8])),
        })
        .collect()
}

pub fn schema() -> Schema {
    let signal = |name: &str, unit: &str, kind, labels| SignalSchema {
        name: name.to_owned(),
        unit: unit.to_owned(),
        kind,
        factor: 0.01,
        offset: -40.0,
        labels,
    };
    let gears = vec![(-1, "reverse".to_owned()), (0, "neutral".to_owned()), (1, "first".to_owned())];
    let engine = vec![
        signal("EngineSpeed", "rpm", ValueKind::Unsigned, Vec::new()),
        signal("Gear", "", ValueKind::Signed, gears),
    ];
    let floats = vec![
        signal("Torque", "Nm", ValueKind::F32, Vec::new()),
        signal("Température", "°C", ValueKind::F64, Vec::new()),
    ];
    Schema {
        buses: vec!["can0".to_owned(), "can1".to_owned()],
        messages: vec![
            MessageSchema { bus: 0, id: CanId::Standard(0x1D2), name: "ENGINE".to_owned(), signals: engine },
            MessageSchema {
                bus: 1,
                id: CanId::Extended(0xCF0_0400),
                name: "EEC1".to_owned(),
                signals: floats,
            },
        ],
    }
}

/// Frames of all kinds on two buses: with cycles, so that times tell their order, or as an adapter hands them on.
pub fn frames(in_cycles: bool) -> Vec<RawFrame> {
    let mut noise = noise();
    let mut frames = Vec::new();
    for row in 0..240_i64 {
        let cycle_ns = START_NS + row * 10_000_000 + (noise() % 90) as i64 * 1_000;
        let time_ns = if in_cycles { cycle_ns } else { START_NS + row / 12 * 2_800_000 };
        let payload = [row as u8, 0xA5, 0, 0, (row / 7) as u8, 1, 0, noise() as u8];
        let wide = [row as u8 / 4; 64];
        let brs = FrameFlags::BRS.union(if row % 60 == 0 { FrameFlags::ESI } else { FrameFlags::FD });
        let mut put = |bus, frame| {
            frames.push(RawFrame { bus, time_ns, clock: ClockSource::Hardware, frame });
        };
        put(0, Frame::classic(CanId::Standard(0x1D2), &payload).unwrap());
        match row % 6 {
            0 => put(1, Frame::fd(CanId::Extended(0xCF0_0400), brs, &wide).unwrap()),
            1 => put(1, Frame::classic(CanId::Standard(0x7FF), &payload[..row as usize / 40]).unwrap()),
            2 => put(0, Frame::remote(CanId::Standard(0x7DF), (row % 9) as u8)),
            3 => put(0, Frame::error(0x0000_0004, [0, 1, 0, 0, 0, 0, 96, row as u8])),
            _ => {}
        }
    }
    frames
}
