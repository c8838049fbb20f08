//! Histogram bodies: distributions of a signal's physical values over windows of time, after OpenTelemetry's exponential
//! histogram: bucket `i` holds values from above `base^i` to `base^(i+1)`, where `base` is `2^(2^-scale)`.

use super::wire::{Reader, put_varint, unzigzag, zigzag};
use super::{BlockError, ClockSource, column, limits};

/// Counts of buckets that are not empty, as (index, count), by ascending index.
pub type Buckets = Vec<(i32, u64)>;

/// The distribution of one signal in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramRecord {
    /// Index into the schema's messages.
    pub message: u32,
    /// Index into the message's signals.
    pub signal: u32,
    /// Start of the window, nanoseconds since 1970.
    pub start_ns: i64,
    /// Its length, nanoseconds.
    pub duration_ns: u64,
    /// The clock of `start_ns`.
    pub clock: ClockSource,
    /// Fineness of the buckets, -10 to 20 (OpenTelemetry metrics data model, exponential scale).
    pub scale: i32,
    /// Values counted: the sum of all buckets and of `zero_count`.
    pub count: u64,
    /// Their sum, in the signal's unit.
    pub sum: f64,
    /// The least value; NaN when nobody kept it.
    pub min: f64,
    /// The greatest value; NaN when nobody kept it.
    pub max: f64,
    /// Values whose magnitude is at most `zero_threshold`.
    pub zero_count: u64,
    /// Magnitude up to which a value counts as zero; finite, not below 0.
    pub zero_threshold: f64,
    /// Values above zero.
    pub positive: Buckets,
    /// Values below zero, by their magnitudes.
    pub negative: Buckets,
}

/// The first index and the counts from there on, empty buckets included: as OTLP has them. Bounded by
/// [`limits::BUCKET_SPAN_MAX`] for the buckets of an opened block.
pub fn dense_buckets(buckets: &[(i32, u64)]) -> (i32, Vec<u64>) {
    let first = buckets.first().map_or(0, |bucket| bucket.0);
    let mut counts = Vec::new();
    for &(index, count) in buckets {
        counts.resize(index.wrapping_sub(first) as u32 as usize, 0);
        counts.push(count);
    }
    (first, counts)
}

impl HistogramRecord {
    fn check(&self) -> Result<(), BlockError> {
        let wrong = |field, value| Err(BlockError::Field { field, value });
        if !(-10..=20).contains(&self.scale) {
            return wrong("histogram scale", self.scale as u64);
        }
        if !(self.zero_threshold.is_finite() && self.zero_threshold >= 0.0) {
            return wrong("histogram zero threshold", self.zero_threshold.to_bits());
        }
        for buckets in [&self.positive, &self.negative] {
            let ascending = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0);
            if !ascending || buckets.iter().any(|bucket| bucket.1 == 0) {
                return wrong("histogram buckets", buckets.len() as u64);
            }
            if let (Some(first), Some(last)) = (buckets.first(), buckets.last()) {
                let (span, max) = (u64::from(last.0.abs_diff(first.0)) + 1, limits::BUCKET_SPAN_MAX as u64);
                if span > max {
                    return Err(BlockError::Limit { field: "histogram bucket span", value: span, max });
                }
            }
        }
        let counts = self.positive.iter().chain(&self.negative).map(|bucket| bucket.1);
        let sum = counts.map(u128::from).sum::<u128>() + u128::from(self.zero_count);
        if sum == u128::from(self.count) { Ok(()) } else { wrong("histogram count", self.count) }
    }
}

/// Collects histograms until they are sealed.
#[derive(Default)]
pub struct HistogramsBuilder {
    histograms: Vec<HistogramRecord>,
}

impl HistogramsBuilder {
    /// Adds a histogram.
    ///
    /// # Errors
    /// [`BlockError`] when it contradicts itself or exceeds the limits; it is not added then.
    pub fn push(&mut self, histogram: HistogramRecord) -> Result<(), BlockError> {
        histogram.check()?;
        self.histograms.push(histogram);
        Ok(())
    }

    /// Histograms collected.
    pub fn len(&self) -> usize {
        self.histograms.len()
    }

    /// Whether nothing is collected.
    pub fn is_empty(&self) -> bool {
        self.histograms.is_empty()
    }

    /// Earliest start and latest end of a window, nanoseconds; `None` when empty.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        let end = |histogram: &HistogramRecord| {
            histogram.start_ns.saturating_add(i64::try_from(histogram.duration_ns).unwrap_or(i64::MAX))
        };
        let starts = self.histograms.iter().map(|histogram| histogram.start_ns);
        starts.min().zip(self.histograms.iter().map(end).max())
    }

    /// Writes the body to `out` and starts afresh.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        put_varint(out, self.histograms.len() as u64);
        let columns: [fn(&HistogramRecord) -> u64; COLUMNS] = [
            |histogram| u64::from(histogram.message),
            |histogram| u64::from(histogram.signal),
            |histogram| zigzag(histogram.start_ns),
            |histogram| histogram.duration_ns,
            |histogram| histogram.clock as u64,
            |histogram| zigzag(i64::from(histogram.scale)),
            |histogram| histogram.count,
            |histogram| histogram.zero_count,
            |histogram| histogram.sum.to_bits(),
            |histogram| histogram.min.to_bits(),
            |histogram| histogram.max.to_bits(),
            |histogram| histogram.zero_threshold.to_bits(),
        ];
        let mut values = Vec::with_capacity(self.histograms.len());
        for column in columns {
            values.clear();
            values.extend(self.histograms.iter().map(column));
            column::put(out, &values);
        }
        for histogram in &self.histograms {
            put_buckets(out, &histogram.positive);
            put_buckets(out, &histogram.negative);
        }
        self.histograms.clear();
    }
}

const COLUMNS: usize = 12;

fn put_buckets(out: &mut Vec<u8>, buckets: &[(i32, u64)]) {
    put_varint(out, buckets.len() as u64);
    let mut next = 0;
    for &(index, count) in buckets {
        put_varint(out, zigzag(i64::from(index) - next));
        put_varint(out, count);
        next = i64::from(index) + 1;
    }
}

/// Reads a histogram body.
///
/// # Errors
/// [`BlockError`] when it is cut off, exceeds the limits or contradicts itself.
pub fn read_histograms(body: &[u8]) -> Result<Vec<HistogramRecord>, BlockError> {
    let mut reader = Reader::new(body);
    // Each takes two bytes at least.
    let count = reader.count("histograms", limits::ROWS_MAX.min(body.len() / 2))?;
    let mut columns = [const { Vec::new() }; COLUMNS];
    for column in &mut columns {
        *column = column::read(&mut reader, count)?;
    }
    let [messages, signals, starts, durations, clocks, scales, counts, zeros, sums, mins, maxes, thresholds] =
        columns;
    let small = |field, value: u64| u32::try_from(value).map_err(|_| BlockError::Field { field, value });
    let histograms = (0..count)
        .map(|row| {
            let scale = unzigzag(scales[row]);
            let scale = i32::try_from(scale)
                .map_err(|_| BlockError::Field { field: "histogram scale", value: scales[row] })?;
            let histogram = HistogramRecord {
                message: small("histogram message", messages[row])?,
                signal: small("histogram signal", signals[row])?,
                start_ns: unzigzag(starts[row]),
                duration_ns: durations[row],
                clock: ClockSource::from_column(clocks[row])?,
                scale,
                count: counts[row],
                sum: f64::from_bits(sums[row]),
                min: f64::from_bits(mins[row]),
                max: f64::from_bits(maxes[row]),
                zero_count: zeros[row],
                zero_threshold: f64::from_bits(thresholds[row]),
                positive: read_buckets(&mut reader)?,
                negative: read_buckets(&mut reader)?,
            };
            histogram.check()?;
            Ok(histogram)
        })
        .collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(histograms)
}

fn read_buckets(reader: &mut Reader<'_>) -> Result<Buckets, BlockError> {
    // Each takes two bytes at least.
    let count = reader.count("histogram buckets", limits::BUCKET_SPAN_MAX.min(reader.left() / 2))?;
    let mut next = 0_i64;
    (0..count)
        .map(|_| {
            let index = next.wrapping_add(unzigzag(reader.varint()?));
            let value = index as u64;
            let index =
                i32::try_from(index).map_err(|_| BlockError::Field { field: "histogram bucket", value })?;
            next = i64::from(index) + 1;
            Ok((index, reader.varint()?))
        })
        .collect()
}

#[cfg(test)]
#[path = "histograms_tests.rs"]
mod tests;
