//! Prometheus remote-write 1.0: one series for each signal.

mod exemplars;

use prost::Message;
use uplink::topic::VehicleId;

use super::parcel::RECORDS_MAX;
use super::post::Mailbox;
use crate::counters::Counters;
use crate::opened::{Content, NamedSamples, Opened, Series};
use crate::schemas::{MessageNames, SignalNames};

/// The quiet NaN that Prometheus takes for a value. Other bit patterns have meanings there: one marks the end of a
/// series.
const NORMAL_NAN: u64 = 0x7FF8_0000_0000_0001;

/// `prometheus.WriteRequest` of remote-write 1.0.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`
#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    /// Sorted by time.
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    /// Sorted by time.
    #[prost(message, repeated, tag = "3")]
    pub(super) exemplars: Vec<Exemplar>,
}

/// `prometheus.Label`
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// `prometheus.Sample`
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// `prometheus.Exemplar`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    /// With their names at most 128 characters, or receivers refuse it.
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "3")]
    pub(super) timestamp: i64,
}

/// What became of the samples' times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Placing {
    moved: u64,
    unplaceable: u64,
}

/// Puts the samples of a block into the mailbox, of spans those that go with them; logs and frames are not for Prometheus.
pub(super) async fn put(block: &Opened, job: &str, mailbox: &mut Mailbox, counters: &Counters) {
    match &block.content {
        Content::Samples(samples) => put_samples(samples, block, job, mailbox, counters).await,
        Content::Spans(spans) => exemplars::put(spans, block, job, mailbox).await,
        Content::Logs(_) | Content::Frames(_) => {}
    }
}

async fn put_samples(
    samples: &NamedSamples,
    block: &Opened,
    job: &str,
    mailbox: &mut Mailbox,
    counters: &Counters,
) {
    let mut buffer = Vec::new();
    for series in samples.series() {
        let (samples, placing) = place(&series);
        counters.samples_moved_ms.add(placing.moved);
        counters.samples_unplaceable.add(placing.unplaceable);
        let labels = labels(series.message, series.names, job, &block.vehicle);
        let mut rest = samples;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(RECORDS_MAX));
            let records = rest.len();
            let series = TimeSeries { labels: labels.clone(), samples: rest, exemplars: Vec::new() };
            buffer.clear();
            // A `Vec` grows as needed, so that encoding cannot fail.
            let _ = WriteRequest { timeseries: vec![series] }.encode(&mut buffer);
            mailbox.put(&buffer, records).await;
            rest = later;
        }
    }
}

fn labels(message: &MessageNames, names: &SignalNames, job: &str, vehicle: &VehicleId) -> Vec<Label> {
    let labels = [
        ("__name__", names.metric.as_str()),
        ("bus", &message.bus),
        ("instance", vehicle.as_str()),
        ("job", job),
        ("message", &message.name),
        ("signal", &names.signal.name),
    ];
    // An empty value means the same as no label, and receivers may refuse it.
    let present = labels.into_iter().filter(|(_, value)| !value.is_empty());
    present.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

/// The samples of a series, each at a millisecond of its own, in time order.
fn place(series: &Series<'_>) -> (Vec<Sample>, Placing) {
    let mut placing = Placing::default();
    let mut samples = Vec::with_capacity(series.len());
    for (row, raw) in series.values() {
        let Some(timestamp) = series.group.slots_ms[row] else {
            placing.unplaceable += 1;
            continue;
        };
        let own = series.group.times_ns[row].div_euclid(1_000_000);
        placing.moved += u64::from(timestamp != own);
        samples.push(Sample { value: plain(series.names.signal.physical(raw)), timestamp });
    }
    // Slots rise, except where the clock was set back: then rows have to be put in order, and of two at the same
    // millisecond the one that was first received stays.
    if !samples.is_sorted_by(|a, b| a.timestamp < b.timestamp) {
        samples.sort_by_key(|sample| sample.timestamp);
        let placed = samples.len();
        samples.dedup_by_key(|sample| sample.timestamp);
        placing.unplaceable += (placed - samples.len()) as u64;
    }
    (samples, placing)
}

/// The value as Prometheus takes it.
const fn plain(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(NORMAL_NAN) } else { value }
}

#[cfg(test)]
mod tests;
