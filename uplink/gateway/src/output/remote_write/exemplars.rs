//! Samples that a span goes with, each once more with an exemplar that names the span.
//!
//! Prometheus knows exemplars only of series that it has: hence the sample, at the very millisecond and with the value that
//! the samples' own block gives it. One that comes twice is taken for one.

use prost::Message as _;
use uplink::topic::VehicleId;

use super::super::hex;
use super::super::parcel::RECORDS_MAX;
use super::super::post::Mailbox;
use super::{Exemplar, Label, Sample, TimeSeries, WriteRequest, labels, plain};
use crate::opened::{Marked, NamedSpans, Opened};

/// Puts the samples that go with the spans of a block into the mailbox.
pub(super) async fn put(spans: &NamedSpans, block: &Opened, job: &str, mailbox: &mut Mailbox) {
    let mut buffer = Vec::new();
    for piece in spans.marked(block.header.identity).chunks(RECORDS_MAX) {
        let timeseries = all_series(piece, job, &block.vehicle);
        let records = timeseries.iter().map(|series| series.samples.len()).sum();
        if records > 0 {
            buffer.clear();
            // A `Vec` grows as needed, so that encoding cannot fail.
            let _ = WriteRequest { timeseries }.encode(&mut buffer);
            mailbox.put(&buffer, records).await;
        }
    }
}

pub(super) fn all_series(marked: &[Marked<'_>], job: &str, vehicle: &VehicleId) -> Vec<TimeSeries> {
    let labels = |first: &Marked<'_>| labels(first.message, first.names, job, vehicle);
    by_series(marked).iter().map(|marked| series(marked, labels(marked[0]))).collect()
}

/// Those that have a place in time, series by series; none is empty.
fn by_series<'a>(all: &'a [Marked<'a>]) -> Vec<Vec<&'a Marked<'a>>> {
    let mut series = Vec::<Vec<&Marked<'_>>>::new();
    for marked in all.iter().filter(|marked| marked.slot_ms.is_some()) {
        // Names are of one schema, so that those of one signal are at one place.
        let same = |known: &&mut Vec<&Marked<'_>>| std::ptr::eq(known[0].names, marked.names);
        match series.iter_mut().find(same) {
            Some(known) => known.push(marked),
            None => series.push(vec![marked]),
        }
    }
    series
}

fn series(marked: &[&Marked<'_>], labels: Vec<Label>) -> TimeSeries {
    let label = |name: &str, id: &[u8]| Label { name: name.to_owned(), value: hex(id) };
    let mut exemplars: Vec<_> = marked
        .iter()
        .filter_map(|marked| {
            Some(Exemplar {
                labels: vec![label("span_id", &marked.span_id), label("trace_id", &marked.trace_id)],
                value: plain(marked.value()),
                timestamp: marked.slot_ms?,
            })
        })
        .collect();
    exemplars.sort_by_key(|exemplar| exemplar.timestamp);
    let sample = |exemplar: &Exemplar| Sample { value: exemplar.value, timestamp: exemplar.timestamp };
    let mut samples: Vec<_> = exemplars.iter().map(sample).collect();
    // Two spans of one frame have one sample.
    samples.dedup_by_key(|sample| sample.timestamp);
    TimeSeries { labels, samples, exemplars }
}
