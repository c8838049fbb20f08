use proptest::prelude::*;

use super::*;

fn histogram() -> HistogramRecord {
    HistogramRecord {
        message: 3,
        signal: 1,
        start_ns: 1_767_225_600_000_000_000,
        duration_ns: 60_000_000_000,
        clock: ClockSource::Hardware,
        scale: 4,
        count: 12,
        sum: 48.5,
        min: -2.0,
        max: 17.25,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: vec![(5, 4), (6, 2), (40, 3)],
        negative: vec![(-3, 2)],
    }
}

fn any_buckets() -> impl Strategy<Value = Buckets> {
    (
        -100_000..100_000_i32,
        prop::collection::btree_map(0..limits::BUCKET_SPAN_MAX as i32, 1..1_u64 << 40, 0..10),
    )
        .prop_map(|(offset, buckets)| buckets.into_iter().map(|(i, count)| (offset + i, count)).collect())
}

prop_compose! {
    fn any_histogram()(
        names: (u32, u32), start_ns: i64, duration_ns: u64, clock in prop::sample::select(ClockSource::ALL),
        scale in -10..=20_i32, values in (-1e9..1e9, -1e9..1e9, -1e9..1e9), zero in (0..1_u64 << 40, 0.0..1.0),
        positive in any_buckets(), negative in any_buckets()
    ) -> HistogramRecord {
        let count = positive.iter().chain(&negative).map(|bucket| bucket.1).sum::<u64>() + zero.0;
        HistogramRecord {
            message: names.0, signal: names.1, start_ns, duration_ns, clock, scale, count, sum: values.0,
            min: values.1, max: values.2, zero_count: zero.0, zero_threshold: zero.1, positive, negative,
        }
    }
}

proptest! {
    #[test]
    fn histograms_come_back_and_cut_bodies_are_errors(
        histograms in prop::collection::vec(any_histogram(), 0..8), cut in any::<prop::sample::Index>()
    ) {
        let mut builder = HistogramsBuilder::default();
        for histogram in &histograms {
            builder.push(histogram.clone()).unwrap();
            let (first, counts) = dense_buckets(&histogram.positive);
            let sparse = (first..).zip(counts).filter(|bucket| bucket.1 > 0);
            prop_assert!(sparse.eq(histogram.positive.iter().copied()));
        }
        let mut body = Vec::new();
        builder.encode(&mut body);
        prop_assert_eq!(read_histograms(&body).unwrap(), histograms);
        prop_assert!(read_histograms(&body[..cut.index(body.len())]).is_err());
    }
}

#[test]
fn windows_say_when_they_begin_and_end() {
    let mut builder = HistogramsBuilder::default();
    assert_eq!(builder.span_ns(), None);
    builder.push(histogram()).unwrap();
    builder.push(HistogramRecord { start_ns: 5, ..histogram() }).unwrap();
    assert_eq!(builder.span_ns(), Some((5, 1_767_225_660_000_000_000)));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let check = |histogram: HistogramRecord, field: &str| {
        let mut builder = HistogramsBuilder::default();
        let error = builder.push(histogram).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
        assert!(builder.is_empty());
    };
    check(HistogramRecord { count: 13, ..histogram() }, "count");
    check(HistogramRecord { scale: 21, ..histogram() }, "scale");
    check(HistogramRecord { zero_threshold: -1.0, ..histogram() }, "threshold");
    check(HistogramRecord { positive: vec![(6, 5), (5, 4)], ..histogram() }, "buckets");
    check(HistogramRecord { positive: vec![(6, 9), (7, 0)], ..histogram() }, "buckets");
    check(HistogramRecord { positive: vec![(i32::MIN, 5), (i32::MAX, 4)], ..histogram() }, "span");
}
