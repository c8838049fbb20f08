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
use crate::times::Note;

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
            // OTLP has no form for them: `Outputs` counts and says it.
            Content::Frames(_) => {}
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

/// How a time was found, by which synchronised clock, and how wrong it may be; nothing where nothing is known of its clock.
fn time_attributes(note: Note) -> impl Iterator<Item = KeyValue> {
    let error_ns = note.error_ns.map(|error_ns| {
        let value = any_value::Value::IntValue(i64::try_from(error_ns).unwrap_or(i64::MAX));
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: "ecu.time.error_ns".to_owned(), value, ..KeyValue::default() }
    });
    worth_attributes(note).chain(error_ns)
}

/// The part of [`time_attributes`] that has few values.
fn worth_attributes(note: Note) -> impl Iterator<Item = KeyValue> {
    let basis = note.basis().map(|basis| text("ecu.time.basis", basis));
    let clock = note.by.map(|clock| text("ecu.time.clock", &clock.to_string()));
    basis.into_iter().chain(clock)
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
