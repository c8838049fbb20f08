//! A small vehicle: its schema and blocks, made as the daemon makes them. Used by unit and integration tests.

use can_decode::{CanId, ValueKind};
use store::block::{
    Body, BootId, BoundGrowth, BusSpan, BusSpanKind, Class, ClockDomain, ClockMap, ClockSegment, ClockSource,
    ClockSync, Dictionary, FramesBuilder, Kind, LogRecord, LogsBuilder, MessageSchema, Opening, RawFrame,
    SamplesBuilder, Schema, SchemaHash, SealedBlock, Sealer, SignalSchema, SignalValues, SpanLinks,
    SpanOrigin, SpanRecord, SpanStatus, SpansBuilder, SyncSource, TaiUtcSource, Timescale,
};
use uplink::batch;
use uplink::topic::{Prefix, VehicleId};

/// 2026-01-01T00:00:00Z
pub(crate) const START_NS: i64 = 1_767_225_600_000_000_000;
/// Index of the message SPEED: `Speed` (km/h, 0.01), `Accel` (m/s², 0.5, signed).
pub(crate) const SPEED: usize = 0;
/// Index of the message EEC1: `Torque` (Nm, float).
pub(crate) const EEC1: usize = 1;

fn signal(name: &str, unit: &str, kind: ValueKind, factor: f64) -> SignalSchema {
    let labels = if name == "Speed" { vec![(65_535, "invalid".to_owned())] } else { Vec::new() };
    SignalSchema { name: name.to_owned(), unit: unit.to_owned(), kind, factor, offset: 0.0, labels }
}

pub(crate) fn schema() -> Schema {
    let message = |bus, id, name: &str, signals| MessageSchema { bus, id, name: name.to_owned(), signals };
    Schema {
        buses: vec!["can0".to_owned(), "can1".to_owned()],
        messages: vec![
            message(
                0,
                CanId::Standard(0x0B4),
                "SPEED",
                vec![
                    signal("Speed", "km/h", ValueKind::Unsigned, 0.01),
                    signal("Accel", "m/s^2", ValueKind::Signed, 0.5),
                ],
            ),
            message(
                1,
                CanId::Extended(0x0CF0_0400),
                "EEC1",
                vec![signal("Torque", "Nm", ValueKind::F32, 1.0)],
            ),
        ],
    }
}

pub(crate) fn schema_hash() -> SchemaHash {
    Schema::hash(&schema().encode())
}

/// A map in which `CLOCK_REALTIME` was right for a minute, ahead of `CLOCK_BOOTTIME` by [`START_NS`], and was then set back an
/// hour by somebody.
pub(crate) fn clock_map(id: u32) -> ClockMap {
    const S: i64 = 1_000_000_000;
    let growth = BoundGrowth { ppb: 100_000, ppb_per_s: 0, ppb_max: 100_000 };
    let tai_utc = (37, TaiUtcSource::BuiltIn);
    let sync = ClockSync { source: SyncSource::Kernel, timescale: Timescale::Utc, error_ns: 2_000, tai_utc };
    let right = ClockSegment {
        domain: ClockDomain::Realtime,
        version: id,
        from_boot_ns: 0,
        to_boot_ns: 60 * S,
        reference_boot_ns: 0,
        offset_ns: START_NS,
        drift_ppt: 0,
        error_ns: 300,
        growth: BoundGrowth::default(),
        opening: Opening::First,
        sync: Some(sync),
        holdover: growth,
        grace_ns: 0,
    };
    let wrong = ClockSegment {
        from_boot_ns: 60 * S + 500_000_000,
        to_boot_ns: 70 * S,
        offset_ns: START_NS - 3_600 * S,
        opening: Opening::Step,
        sync: None,
        ..right
    };
    let segments = vec![right, wrong];
    ClockMap { id, open_ns: 4_000_000_000, segments, temperatures: Vec::new() }
}

/// One row of samples: message, time, and raw values by signal.
pub(crate) type Row<'a> = (usize, i64, &'a [(usize, u64)]);

pub(crate) struct Car {
    pub(crate) id: VehicleId,
    /// `CLOCK_BOOTTIME` at which it seals, nanoseconds.
    pub(crate) sealed_boot_ns: i64,
    sealer: Sealer,
}

impl Car {
    pub(crate) fn new(id: &str) -> Self {
        let sealer = Sealer::new(BootId([0xB0; 16]), 42, 3).unwrap();
        Self { id: VehicleId::new(id).unwrap(), sealed_boot_ns: 7, sealer }
    }

    fn seal(&mut self, kind: Kind, schema: SchemaHash, count: usize, span_ns: (i64, i64)) -> SealedBlock {
        let (count, sealed_boot_ns) = (count as u32, self.sealed_boot_ns);
        let body = Body { kind, class: Class::Live, schema, count, span_ns, sealed_boot_ns };
        self.sealer.seal(body).unwrap()
    }

    pub(crate) fn schema(&mut self) -> SealedBlock {
        self.sealer.body = schema().encode();
        self.seal(Kind::Schema, SchemaHash::default(), schema().messages.len(), (0, 0))
    }

    /// [`clock_map`] as a block; the ones behind it name it.
    pub(crate) fn clock_map(&mut self, id: u32) -> SealedBlock {
        let map = clock_map(id);
        map.encode(&mut self.sealer.body).unwrap();
        self.sealer.set_clock_map(id);
        self.seal(Kind::ClockMap, SchemaHash::default(), map.segments.len(), (0, 0))
    }

    pub(crate) fn samples(&mut self, rows: &[Row<'_>]) -> SealedBlock {
        self.samples_of(schema_hash(), &[2, 1], rows)
    }

    /// Samples of another schema, whose messages have so many signals.
    pub(crate) fn samples_of(
        &mut self,
        schema: SchemaHash,
        signals: &[usize],
        rows: &[Row<'_>],
    ) -> SealedBlock {
        let mut builder = SamplesBuilder::new(signals.iter().copied(), 1_000);
        for &(message, time_ns, values) in rows {
            builder.row(message, time_ns, ClockSource::KernelSoftware).unwrap();
            values.iter().for_each(|&(signal, raw)| builder.value(message, signal, raw));
        }
        let (count, span_ns) = (builder.samples(), builder.span_ns().unwrap());
        builder.encode(&mut self.sealer.body);
        self.seal(Kind::Samples, schema, count, span_ns)
    }

    /// A frame with a context, without anything else.
    pub(crate) fn frame_span(message: usize) -> SpanRecord {
        let bus = BusSpan {
            kind: BusSpanKind::Frame,
            message: message as u32,
            id: None,
            signals: SignalValues::default(),
            sample: None,
        };
        SpanRecord {
            trace_id: [7; 16],
            span_id: None,
            parent_span_id: Some([9; 8]),
            flags: 1,
            start_ns: START_NS,
            duration_ns: 0,
            clock: ClockSource::Hardware,
            origin: SpanOrigin::Bus(bus),
            status: SpanStatus::Unset,
            links: SpanLinks::default(),
        }
    }

    pub(crate) fn spans(&mut self, spans: &[SpanRecord]) -> SealedBlock {
        let mut builder = SpansBuilder::default();
        spans.iter().for_each(|span| builder.push(span.clone()));
        let (count, span_ns) = (builder.len(), builder.span_ns().unwrap());
        builder.encode(&mut self.sealer.body);
        self.seal(Kind::Spans, schema_hash(), count, span_ns)
    }

    pub(crate) fn logs(&mut self, logs: &[LogRecord]) -> SealedBlock {
        let mut builder = LogsBuilder::default();
        logs.iter().for_each(|log| builder.push(log.clone()));
        let (count, span_ns) = (builder.len(), builder.span_ns().unwrap());
        builder.encode(&mut self.sealer.body);
        self.seal(Kind::Logs, SchemaHash::default(), count, span_ns)
    }

    pub(crate) fn frames(&mut self, frames: &[RawFrame]) -> SealedBlock {
        let mut builder = FramesBuilder::new(1_000);
        frames.iter().for_each(|raw| builder.push(raw).unwrap());
        let (count, span_ns) = (builder.len(), builder.span_ns().unwrap());
        builder.encode(&mut self.sealer.body);
        self.seal(Kind::Frames, schema_hash(), count, span_ns)
    }

    pub(crate) fn dictionary(&mut self, dictionary: &Dictionary) -> SealedBlock {
        self.sealer.body.extend_from_slice(dictionary.bytes());
        self.seal(Kind::Dictionary, SchemaHash::default(), 1, (0, 0))
    }

    /// Compresses logs with it from here on.
    pub(crate) fn use_dictionary(&mut self, dictionary: &Dictionary) {
        self.sealer.set_dictionary(Kind::Logs, Some(dictionary)).unwrap();
    }

    /// The payload that carries these blocks.
    pub(crate) fn batch(&self, blocks: &[SealedBlock]) -> Vec<u8> {
        batch::encode(&self.id, blocks.iter().map(SealedBlock::bytes))
    }

    /// The topic it is published on.
    pub(crate) fn topic(&self) -> String {
        Prefix::new("ecu").unwrap().blocks(&self.id, Class::Live)
    }
}
