use store::block::{ClockSource, SealedBlock, SlotMillis, SpanOrigin, SpanRecord};

use super::*;
use crate::fixture::{Car, EEC1, Row, SPEED, START_NS, schema_hash};
use crate::opened::{Opening, open_block};
use crate::schemas::Schemas;

const MS: i64 = 1_000_000;

fn opened(car: &mut Car, block: &SealedBlock) -> Opened {
    let schemas = Schemas::default();
    schemas.offer(schema_hash(), car.schema().bytes()).unwrap();
    let Ok(Opening::Block(opened)) = open_block(&car.id, block.bytes(), &schemas) else {
        panic!("does not open")
    };
    opened
}

/// The series of a block with these rows, and what became of their times.
fn series(rows: &[Row<'_>]) -> Vec<(TimeSeries, Placing)> {
    let mut car = Car::new("car-1");
    let block = car.samples(rows);
    let block = opened(&mut car, &block);
    let Content::Samples(samples) = &block.content else { panic!("not samples") };
    let encode = |series: &Series<'_>| {
        let (samples, placing) = place(series);
        let labels = labels(series.message, series.names, "ecu-daemon", &block.vehicle);
        (TimeSeries { labels, samples, exemplars: Vec::new() }, placing)
    };
    samples.series().iter().map(encode).collect()
}

fn samples(series: &TimeSeries) -> Vec<(i64, f64)> {
    series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect()
}

#[test]
fn a_signal_is_a_series_named_by_its_unit() {
    let all = series(&[
        (SPEED, START_NS, &[(0, 5_000), (1, -3_i64 as u64)]),
        (EEC1, START_NS + 5 * MS, &[(0, u64::from(120.5_f32.to_bits()))]),
        (SPEED, START_NS + 10 * MS, &[(0, 5_100)]),
    ]);
    let text = |label: &Label| format!("{}={}", label.name, label.value);
    let labels: Vec<_> =
        all.iter().map(|(series, _)| series.labels.iter().map(text).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(
        labels,
        [
            "__name__=can_signal_kilometers_per_hour,bus=can0,instance=car-1,job=ecu-daemon,message=SPEED,signal=Speed",
            "__name__=can_signal_meters_per_second_squared,bus=can0,instance=car-1,job=ecu-daemon,message=SPEED,\
             signal=Accel",
            "__name__=can_signal_newton_meters,bus=can1,instance=car-1,job=ecu-daemon,message=EEC1,signal=Torque",
        ]
    );
    let start = START_NS / MS;
    assert_eq!(samples(&all[0].0), [(start, 50.0), (start + 10, 51.0)]);
    assert_eq!(samples(&all[1].0), [(start, -1.5)]);
    assert_eq!(samples(&all[2].0), [(start + 5, 120.5)]);
    assert!(all.iter().all(|(_, placing)| *placing == Placing::default()));
}

#[test]
fn the_bytes_of_a_tiny_request() {
    let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
    let series = TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "a")],
        samples: vec![Sample { value: 1.0, timestamp: 300 }],
        exemplars: Vec::new(),
    };
    let bytes = WriteRequest { timeseries: vec![series] }.encode_to_vec();
    // Worked out by hand from prometheus/prompb: field 1 of each message, doubles little-endian, 300 as a varint.
    let golden = b"\x0a\x28\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x08\x0a\x03job\x12\x01a\
        \x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\xac\x02";
    assert_eq!(bytes, golden);
    let packed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    let unpacked = snap::raw::Decoder::new().decompress_vec(&packed).unwrap();
    assert_eq!(WriteRequest::decode(&unpacked[..]).unwrap().timeseries[0].samples[0].timestamp, 300);
}

#[test]
fn requests_may_be_joined_by_their_bytes() {
    let request = |timestamp| WriteRequest {
        timeseries: vec![TimeSeries {
            labels: Vec::new(),
            samples: vec![Sample { value: 2.0, timestamp }],
            exemplars: Vec::new(),
        }],
    };
    let joined = [request(1).encode_to_vec(), request(2).encode_to_vec()].concat();
    let series = WriteRequest::decode(&joined[..]).unwrap().timeseries;
    assert_eq!(series, [request(1).timeseries, request(2).timeseries].concat());
}

#[test]
fn a_burst_within_a_millisecond_is_spread_and_counted() {
    let rows: Vec<Row<'_>> =
        (0..30).map(|row| (SPEED, START_NS + row * 1_000, &[(0_usize, 100_u64)][..])).collect();
    let (series, placing) = series(&rows).remove(0);
    let slots = SlotMillis::SHIFT_MAX as usize + 1;
    assert_eq!(series.samples.len(), slots);
    assert_eq!(placing, Placing { moved: slots as u64 - 1, unplaceable: 30 - slots as u64 });
    assert!(series.samples.windows(2).all(|pair| pair[0].timestamp + 1 == pair[1].timestamp));
}

#[test]
fn after_a_step_back_of_the_clock_samples_are_in_order_and_none_stands_twice() {
    let back = START_NS - 1_000 * MS;
    let (series, placing) = series(&[
        (SPEED, START_NS, &[(0, 1)]),
        (SPEED, back, &[(0, 2)]),
        (SPEED, back + 10 * MS, &[(0, 3)]),
        (SPEED, START_NS, &[(0, 4)]),
    ])
    .remove(0);
    let (start, back) = (START_NS / MS, back / MS);
    assert_eq!(samples(&series), [(back, 0.02), (back + 10, 0.03), (start, 0.01)]);
    assert_eq!(placing, Placing { moved: 0, unplaceable: 1 });
}

#[test]
fn samples_of_spans_are_the_very_samples_with_an_exemplar_beside_them() {
    let mut car = Car::new("car-1");
    let rows = [(SPEED, START_NS), (SPEED, START_NS + 1_000), (SPEED, START_NS + 3 * MS)];
    let rows = rows.map(|(message, time)| -> Row<'_> { (message, time, &[(0, 100), (1, 7)]) });
    let as_samples = series(&rows);
    let mut builder = store::block::SamplesBuilder::new([2, 1], 1_000);
    let mut spans: Vec<_> = rows
        .iter()
        .map(|&(message, time_ns, _)| {
            let sample = builder.row(message, time_ns, ClockSource::KernelSoftware).unwrap();
            let mut span = SpanRecord { start_ns: time_ns + 999, ..Car::frame_span(SPEED) };
            let SpanOrigin::Bus(bus) = &mut span.origin else { panic!("{span:?}") };
            assert!(bus.signals.push(0, 100) && bus.signals.push(1, 7));
            bus.sample = Some(sample);
            span
        })
        .collect();
    // A second span of the first frame has the same sample.
    spans.push(SpanRecord { trace_id: [8; 16], ..spans[0].clone() });
    let block = car.spans(&spans);
    let identity = block.header().identity;
    let opened = opened(&mut car, &block);
    let Content::Spans(named) = &opened.content else { panic!("not spans") };
    let marked = named.marked(identity);
    let found = exemplars::all_series(&marked, "ecu-daemon", &opened.vehicle);
    assert_eq!(found.len(), 2);
    for (found, (expected, _)) in found.iter().zip(&as_samples) {
        assert_eq!((&found.labels, &found.samples), (&expected.labels, &expected.samples));
        let exemplars: Vec<_> =
            found.exemplars.iter().map(|exemplar| exemplar.timestamp - START_NS / MS).collect();
        assert_eq!(exemplars, [0, 0, 1, 3]);
    }
    let exemplar = &found[0].exemplars[1];
    let labels: Vec<_> =
        exemplar.labels.iter().map(|label| (label.name.as_str(), label.value.clone())).collect();
    let span_id = crate::output::hex(&store::block::span_id(identity, 3));
    assert_eq!(labels, [("span_id", span_id), ("trace_id", "08".repeat(16))]);
    assert_eq!(exemplar.value.to_bits(), 1.0_f64.to_bits());
    let characters: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(characters <= 128, "{characters}");
}

#[test]
fn special_floats_pass_but_never_as_the_end_of_a_series() {
    for (raw, check) in [
        (f32::NAN.to_bits() | 2, f64::is_nan as fn(f64) -> bool),
        (f32::INFINITY.to_bits(), f64::is_infinite),
        (f32::NEG_INFINITY.to_bits(), f64::is_infinite),
    ] {
        let (series, _) = series(&[(EEC1, START_NS, &[(0, u64::from(raw))])]).remove(0);
        let value = series.samples[0].value;
        assert!(check(value), "{raw:x}");
        assert!(!value.is_nan() || value.to_bits() == NORMAL_NAN);
    }
}
