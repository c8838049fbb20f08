//! Log records, by the service that wrote them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord as OtlpRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use store::block::LogRecord;

use super::super::parcel::RECORDS_MAX;
use super::super::post::Mailbox;
use super::{clock_attribute, resource, scope, text, text_value, time, time_attributes};
use crate::opened::Opened;

/// Most bytes of log texts in one piece: collectors refuse large requests, and a piece cannot be halved.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Puts the log records of a block into the mailbox.
pub(super) async fn put(logs: &[LogRecord], block: &Opened, mailbox: &mut Mailbox) {
    let mut rest = logs;
    while !rest.is_empty() {
        let first_row = logs.len() - rest.len();
        let (logs, later) = rest.split_at(fitting(rest));
        rest = later;
        let mut services = Vec::<(&str, Vec<OtlpRecord>)>::new();
        for (row, log) in (first_row..).zip(logs) {
            let record = record(block, row, log);
            match services.iter_mut().find(|(service, _)| *service == log.service) {
                Some((_, records)) => records.push(record),
                None => services.push((&log.service, vec![record])),
            }
        }
        let resource_logs = services.into_iter().map(|(service, log_records)| {
            let scope_logs =
                vec![ScopeLogs { scope: Some(scope(Vec::new())), log_records, ..ScopeLogs::default() }];
            ResourceLogs {
                resource: Some(resource(service, &block.vehicle)),
                scope_logs,
                ..ResourceLogs::default()
            }
        });
        let request = ExportLogsServiceRequest { resource_logs: resource_logs.collect() };
        mailbox.put(&request.encode_to_vec(), logs.len()).await;
    }
}

/// How many of the first records make one piece; at least one.
fn fitting(logs: &[LogRecord]) -> usize {
    let mut bytes = 0;
    let fits = logs.iter().take(RECORDS_MAX).take_while(|log| {
        bytes += log.body.len();
        bytes <= TEXT_BYTES_MAX
    });
    fits.count().max(1)
}

fn record(block: &Opened, row: usize, log: &LogRecord) -> OtlpRecord {
    let (trace_id, span_id) =
        log.trace.map_or((Vec::new(), Vec::new()), |(trace, span)| (trace.into(), span.into()));
    // With this id a backend that knows it leaves out what reaches it twice (`log.record.uid` of the conventions).
    let uid = format!("{}/{}/{row}", block.vehicle, block.header.identity);
    OtlpRecord {
        time_unix_nano: time(log.time_ns),
        // The daemon stamps what it reads. The gateway's own time would differ at every delivery.
        observed_time_unix_nano: time(log.time_ns),
        severity_number: log.severity.number().into(),
        severity_text: log.severity.name().to_owned(),
        body: Some(text_value(&log.body)),
        attributes: [clock_attribute(log.clock), text("log.record.uid", &uid)]
            .into_iter()
            .chain(time_attributes(block.note(row)))
            .collect(),
        trace_id,
        span_id,
        ..OtlpRecord::default()
    }
}
