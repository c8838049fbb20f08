//! The same samples as requests of OTLP and of Prometheus remote-write.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point::Value,
};
use prost::Message;

use crate::drives::{Drive, Row};

/// Requests before compression.
pub(crate) struct Requests {
    pub(crate) otlp: Vec<u8>,
    pub(crate) remote_write: Vec<u8>,
}

/// `prometheus.WriteRequest` of remote-write 1.0.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// `prometheus.Label`
#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `prometheus.Sample`
#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// One request of each kind with all samples of `rows`, signal by signal.
pub(crate) fn requests(drive: &Drive, rows: &[Row]) -> Requests {
    let messages: Vec<_> = drive.messages().collect();
    let mut points: Vec<Vec<Vec<(i64, f64)>>> =
        messages.iter().map(|message| vec![Vec::new(); message.signals.len()]).collect();
    for row in rows {
        for &(signal, raw) in &row.values {
            let value = messages[row.message].signals[signal].physical(raw);
            points[row.message][signal].push((row.time_ns, value));
        }
    }
    let (mut scope_metrics, mut timeseries) = (Vec::new(), Vec::new());
    for (message, points) in messages.iter().zip(points) {
        let mut metrics = Vec::new();
        for (signal, points) in message.signals.iter().zip(points).filter(|(_, points)| !points.is_empty()) {
            metrics.push(gauge(&message.name, &signal.name, &signal.unit, &points));
            timeseries.push(series(&message.name, &signal.name, &points));
        }
        if !metrics.is_empty() {
            scope_metrics.push(ScopeMetrics { metrics, ..ScopeMetrics::default() });
        }
    }
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    Requests {
        otlp: ExportMetricsServiceRequest { resource_metrics }.encode_to_vec(),
        remote_write: WriteRequest { timeseries }.encode_to_vec(),
    }
}

fn gauge(message: &str, signal: &str, unit: &str, points: &[(i64, f64)]) -> Metric {
    let point = |&(time_ns, value): &(i64, f64)| NumberDataPoint {
        time_unix_nano: time_ns as u64,
        value: Some(Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    Metric {
        name: format!("{message}.{signal}"),
        unit: unit.to_owned(),
        data: Some(metric::Data::Gauge(Gauge { data_points: points.iter().map(point).collect() })),
        ..Metric::default()
    }
}

fn series(message: &str, signal: &str, points: &[(i64, f64)]) -> TimeSeries {
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    TimeSeries {
        labels: vec![label("__name__", format!("{message}_{signal}")), label("instance", "car-1".to_owned())],
        samples: points
            .iter()
            .map(|&(time_ns, value)| Sample { value, timestamp: time_ns.div_euclid(1_000_000) })
            .collect(),
    }
}

/// Length after gzip at its default level.
pub(crate) fn gzip(bytes: &[u8]) -> io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
