//! Spans as a car makes them.

use store::block::{
    BusSpan, BusSpanKind, ClockSource, LocalSpan, SampleMark, SignalValues, SpanFailure, SpanKind, SpanLinks,
    SpanOrigin, SpanRecord, SpanStatus,
};

/// 2026-01-01 in nanoseconds.
const START_NS: i64 = 1_767_225_600_000_000_000;
/// Messages of the schema.
pub(crate) const NAMES: [&str; 8] = [
    "RadarObject",
    "BrakeRequest",
    "BrakeStatus",
    "WheelSpeeds",
    "SteeringAngle",
    "PedalPosition",
    "YawRate",
    "GatewayForward",
];

/// What spans there are.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    spans_per_trace: usize,
    signals: u16,
}

impl Traffic {
    pub(crate) const CHAINS: Self = Self { spans_per_trace: 6, signals: 2 };
    pub(crate) const ALONE: Self = Self { spans_per_trace: 1, signals: 2 };
    pub(crate) const BARE: Self = Self { spans_per_trace: 1, signals: 0 };

    /// So many, so many a second, in the order in which they end.
    pub(crate) fn spans(self, count: usize, rate: usize) -> Vec<SpanRecord> {
        let mut maker = Maker { noise: 0x9E37_79B9_7F4A_7C15, walks: [20_000; NAMES.len()] };
        let every_ns = 1_000_000_000 * self.spans_per_trace as i64 / rate as i64;
        let mut spans = Vec::new();
        for trace in 0..count.div_ceil(self.spans_per_trace) as i64 {
            let start_ns = START_NS + trace * every_ns + maker.below(every_ns / 4);
            let trace_id = maker.trace_id();
            let mut parent = maker.id();
            let mut time_ns = start_ns;
            for place in 0..self.spans_per_trace {
                // Hop by hop through the car: a few milliseconds each, stamped by the controller's clock.
                time_ns += 300_000 + maker.below(4_000_000);
                let message = if self.spans_per_trace == 1 { maker.below(8) as usize } else { place };
                let mut span = maker.frame(message, self.signals, time_ns);
                (span.trace_id, span.parent_span_id) = (trace_id, Some(parent));
                match (self.spans_per_trace, place) {
                    (6, 2) => maker.make_local(&mut span, &mut parent),
                    (6, 3) => maker.make_exchange(&mut span),
                    // The next one goes on from a span of the ECU that sent it.
                    _ => parent = maker.id(),
                }
                spans.push(span);
            }
        }
        spans.truncate(count);
        spans
    }
}

struct Maker {
    noise: u64,
    walks: [u64; NAMES.len()],
}

impl Maker {
    fn next(&mut self) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise
    }

    fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound as u64) as i64
    }

    fn id(&mut self) -> [u8; 8] {
        self.next().to_le_bytes()
    }

    fn trace_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.id());
        id[8..].copy_from_slice(&self.id());
        id
    }

    /// A walk of 16 bits and a byte that follows it slowly.
    fn frame(&mut self, message: usize, signals: u16, start_ns: i64) -> SpanRecord {
        let step = self.next() % 64;
        let walk = &mut self.walks[message];
        *walk = (*walk + step).saturating_sub(32) & 0xFFFF;
        let mut values = SignalValues::default();
        for signal in 0..signals {
            values.push(signal, if signal == 0 { *walk } else { *walk >> 8 });
        }
        let bus = BusSpan {
            kind: BusSpanKind::Frame,
            message: message as u32,
            id: None,
            signals: values,
            sample: Some(SampleMark { tick_ns: 1_000, slot_delay_ms: Some(0) }),
        };
        SpanRecord {
            trace_id: [0; 16],
            span_id: None,
            parent_span_id: None,
            flags: 1,
            start_ns,
            duration_ns: 0,
            clock: ClockSource::Hardware,
            origin: SpanOrigin::Bus(bus),
            status: SpanStatus::Unset,
            links: SpanLinks::default(),
        }
    }

    fn make_local(&mut self, span: &mut SpanRecord, parent: &mut [u8; 8]) {
        *parent = self.id();
        span.span_id = Some(*parent);
        span.duration_ns = (500_000 + self.below(1_000_000)) as u64;
        let (service, name, kind) = ("brake-control".into(), "decide".into(), SpanKind::Internal);
        let local = LocalSpan { service, name, kind, attributes: Vec::new(), attributes_cut: 0 };
        span.origin = SpanOrigin::Local(Box::new(local));
    }

    fn make_exchange(&mut self, span: &mut SpanRecord) {
        span.duration_ns = (2_000_000 + self.below(3_000_000)) as u64;
        let fails = self.below(20) == 0;
        span.status = if fails { SpanStatus::Error(SpanFailure::NoResponse) } else { SpanStatus::Ok };
        if let SpanOrigin::Bus(bus) = &mut span.origin {
            bus.kind = BusSpanKind::Exchange;
        }
    }
}
