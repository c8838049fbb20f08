//! Samples as the gauge `can.signal`: one metric for each unit, one scope for each clock.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message as _;
use store::block::ClockSource;
use uplink::topic::VehicleId;

use super::super::parcel::RECORDS_MAX;
use super::super::post::Mailbox;
use super::{clock_attribute, resource, scope, text, time};
use crate::opened::{NamedSamples, Series};
use crate::schemas::{MessageNames, SignalNames};
use crate::unit::Unit;

/// Points of one piece, by clock and unit in the order of their first appearance.
#[derive(Default)]
pub(super) struct Collected<'a> {
    gauges: Vec<(ClockSource, &'a Unit, Vec<NumberDataPoint>)>,
    pub(super) points: usize,
}

/// Puts the samples of a block into the mailbox.
pub(super) async fn put(samples: &NamedSamples, vehicle: &VehicleId, job: &str, mailbox: &mut Mailbox) {
    let mut collected = Collected::default();
    for series in samples.series() {
        let mut points = points(&series).peekable();
        while points.peek().is_some() {
            collected.take(series.group.clock, &series.names.unit, &mut points);
            if collected.points == RECORDS_MAX {
                let piece = std::mem::take(&mut collected).encode(vehicle, job);
                mailbox.put(&piece, RECORDS_MAX).await;
            }
        }
    }
    let points = collected.points;
    if points > 0 {
        mailbox.put(&collected.encode(vehicle, job), points).await;
    }
}

fn points<'a>(series: &Series<'a>) -> impl Iterator<Item = NumberDataPoint> + use<'a> {
    let (group, signal) = (series.group, &series.names.signal);
    let attributes = attributes(series.message, series.names);
    series.values().map(move |(row, raw)| NumberDataPoint {
        attributes: attributes.clone(),
        time_unix_nano: time(group.times_ns[row]),
        value: Some(number_data_point::Value::AsDouble(signal.physical(raw))),
        ..NumberDataPoint::default()
    })
}

/// What tells the series of a signal from others.
pub(super) fn attributes(message: &MessageNames, names: &SignalNames) -> Vec<KeyValue> {
    vec![
        text("can.bus", &message.bus),
        text("can.message", &message.name),
        text("can.signal", &names.signal.name),
    ]
}

impl<'a> Collected<'a> {
    /// Takes points of signals of this unit as far as there is room.
    pub(super) fn take(
        &mut self,
        clock: ClockSource,
        unit: &'a Unit,
        points: &mut impl Iterator<Item = NumberDataPoint>,
    ) {
        let at =
            self.gauges.iter().position(|gauge| gauge.0 == clock && gauge.1 == unit).unwrap_or_else(|| {
                self.gauges.push((clock, unit, Vec::new()));
                self.gauges.len() - 1
            });
        let data_points = &mut self.gauges[at].2;
        let before = data_points.len();
        data_points.extend(points.take(RECORDS_MAX - self.points));
        self.points += data_points.len() - before;
    }

    pub(super) fn encode(self, vehicle: &VehicleId, job: &str) -> Vec<u8> {
        let mut scope_metrics = Vec::<ScopeMetrics>::new();
        let mut clocks = Vec::new();
        for (clock, unit, data_points) in self.gauges {
            let at = clocks.iter().position(|&known| known == clock).unwrap_or_else(|| {
                clocks.push(clock);
                let scope = Some(scope(vec![clock_attribute(clock)]));
                scope_metrics.push(ScopeMetrics { scope, ..ScopeMetrics::default() });
                clocks.len() - 1
            });
            scope_metrics[at].metrics.push(Metric {
                name: "can.signal".to_owned(),
                unit: unit.ucum().to_owned(),
                data: Some(metric::Data::Gauge(Gauge { data_points })),
                ..Metric::default()
            });
        }
        let resource = Some(resource(job, vehicle));
        let resource_metrics =
            vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }
}
