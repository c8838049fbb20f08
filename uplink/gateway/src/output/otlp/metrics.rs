//! Samples as the gauge `can.signal`: one metric for each unit, one scope for each clock and way to its times.
//!
//! How wrong times may be cannot be an attribute of points: each bound would make a series of its own. It is the gauge
//! `ecu.time.error` of the same scope, one point for each piece.

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
use super::{clock_attribute, resource, scope, text, time, worth_attributes};
use crate::opened::{NamedSamples, Series};
use crate::schemas::{MessageNames, SignalNames};
use crate::times::Note;
use crate::unit::Unit;

/// Points of one piece, by clock and unit in the order of their first appearance.
#[derive(Default)]
pub(super) struct Collected<'a> {
    gauges: Vec<(Way, &'a Unit, Vec<NumberDataPoint>)>,
    /// The last time and the largest bound, nanoseconds.
    errors: Vec<(Way, u64, u64)>,
    pub(super) points: usize,
}

/// Which clock times were read from, and how they were found.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    clock: ClockSource,
    /// Without its bound.
    note: Note,
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

fn points<'a>(series: &Series<'a>) -> impl Iterator<Item = (Note, NumberDataPoint)> + use<'a> {
    let (group, signal) = (series.group, &series.names.signal);
    let attributes = attributes(series.message, series.names);
    let series = *series;
    series.values().map(move |(row, raw)| {
        let point = NumberDataPoint {
            attributes: attributes.clone(),
            time_unix_nano: time(group.times_ns[row]),
            value: Some(number_data_point::Value::AsDouble(signal.physical(raw))),
            ..NumberDataPoint::default()
        };
        (series.note(row), point)
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
        points: &mut impl Iterator<Item = (Note, NumberDataPoint)>,
    ) {
        let mut last = None;
        for (note, point) in points.take(RECORDS_MAX - self.points) {
            let way = Way { clock, note: Note { error_ns: None, ..note } };
            let at = match last {
                Some((of, at)) if of == way => at,
                _ => self.gauge(way, unit),
            };
            last = Some((way, at));
            self.take_error(way, note.error_ns, point.time_unix_nano);
            self.gauges[at].2.push(point);
            self.points += 1;
        }
    }

    fn gauge(&mut self, way: Way, unit: &'a Unit) -> usize {
        let known = self.gauges.iter().position(|gauge| gauge.0 == way && gauge.1 == unit);
        known.unwrap_or_else(|| {
            self.gauges.push((way, unit, Vec::new()));
            self.gauges.len() - 1
        })
    }

    fn take_error(&mut self, way: Way, error_ns: Option<u64>, time_unix_nano: u64) {
        let Some(error_ns) = error_ns else { return };
        match self.errors.iter_mut().find(|(of, ..)| *of == way) {
            Some((_, last, most)) => (*last, *most) = (time_unix_nano.max(*last), error_ns.max(*most)),
            None => self.errors.push((way, time_unix_nano, error_ns)),
        }
    }

    pub(super) fn encode(self, vehicle: &VehicleId, job: &str) -> Vec<u8> {
        let mut scope_metrics = Vec::<ScopeMetrics>::new();
        let mut ways = Vec::new();
        let gauges = self
            .gauges
            .into_iter()
            .map(|(way, unit, data_points)| (way, "can.signal", unit.ucum().to_owned(), data_points));
        let errors = self.errors.into_iter().map(|(way, time_unix_nano, error_ns)| {
            let value = Some(number_data_point::Value::AsDouble(error_ns as f64 / 1e9));
            let point = NumberDataPoint { time_unix_nano, value, ..NumberDataPoint::default() };
            (way, "ecu.time.error", "s".to_owned(), vec![point])
        });
        for (way, name, unit, data_points) in gauges.chain(errors) {
            let at = ways.iter().position(|&known| known == way).unwrap_or_else(|| {
                ways.push(way);
                let attributes = [clock_attribute(way.clock)].into_iter().chain(worth_attributes(way.note));
                let scope = Some(scope(attributes.collect()));
                scope_metrics.push(ScopeMetrics { scope, ..ScopeMetrics::default() });
                ways.len() - 1
            });
            scope_metrics[at].metrics.push(Metric {
                name: name.to_owned(),
                unit,
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
