//! OTLP/HTTP with protobuf bodies: samples as gauges, spans, and log records.

mod exemplars;
mod logs;
mod metrics;
mod traces;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use store::block::ClockSource;
use uplink::topic::VehicleId;

use super::post::Mailbox;
use crate::opened::{Content, Opened};

/// The three addresses of an OTLP/HTTP receiver.
pub(super) struct Otlp {
    pub(super) metrics: Mailbox,
    pub(super) traces: Mailbox,
    pub(super) logs: Mailbox,
}

impl Otlp {
    /// Puts a block into the mailbox for its kind of records.
    pub(super) async fn put(&mut self, block: &Opened, job: &str) {
        match &block.content {
            Content::Samples(samples) => metrics::put(samples, &block.vehicle, job, &mut self.metrics).await,
            Content::Spans(spans) => {
                traces::put(spans, block, job, &mut self.traces).await;
                exemplars::put(spans, block, job, &mut self.metrics).await;
            }
            Content::Logs(logs) => logs::put(logs, block, &mut self.logs).await,
        }
    }

    /// Posts what was put.
    pub(super) async fn flush(&mut self) {
        self.metrics.post().await;
        self.traces.post().await;
        self.logs.post().await;
    }
}

/// What OpenTelemetry calls a service that did not say its name.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// A service on a vehicle. `host.name` is the vehicle because that is what backends group by.
fn resource(service: &str, vehicle: &VehicleId) -> Resource {
    let vehicle = vehicle.as_str();
    let service = if service.is_empty() { UNKNOWN_SERVICE } else { service };
    let attributes = vec![
        text("service.name", service),
        text("service.instance.id", vehicle),
        text("host.name", vehicle),
        text("vehicle.id", vehicle),
    ];
    Resource { attributes, ..Resource::default() }
}

/// Who recorded it: the daemon, of which this gateway is a part and shares the version.
fn scope(attributes: Vec<KeyValue>) -> InstrumentationScope {
    let (name, version) = ("ecu-daemon".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, attributes, ..InstrumentationScope::default() }
}

fn clock_attribute(clock: ClockSource) -> KeyValue {
    text("clock.source", clock.name())
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(text_value(value)), ..KeyValue::default() }
}

fn text_value(value: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }
}

/// OTLP's times start in 1970 and 0 says that the time is not known.
fn time(time_ns: i64) -> u64 {
    u64::try_from(time_ns).unwrap_or(0)
}

#[cfg(test)]
mod tests;
