//! What an HTTP receiver's answer means.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

/// Tries of an OTLP request that fails with a status which the protocol calls final but which passing faults give too.
const FINAL_TRIES_MAX: u32 = 8;

/// What is spoken with a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Prometheus remote-write 1.0.
    RemoteWrite,
    /// OTLP/HTTP, `/v1/metrics`.
    OtlpMetrics,
    /// OTLP/HTTP, `/v1/traces`.
    OtlpTraces,
    /// OTLP/HTTP, `/v1/logs`.
    OtlpLogs,
}

/// What to do about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It has the data.
    Accepted,
    /// It will never take this data.
    Refused,
    /// It may take the data later.
    Later,
    /// Whatever answers there is not the receiver, or does not know us: data waits until that is put right.
    Misconfigured,
}

impl Protocol {
    /// Name in logs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote-write",
            Self::OtlpMetrics => "OTLP metrics",
            Self::OtlpTraces => "OTLP traces",
            Self::OtlpLogs => "OTLP logs",
        }
    }

    /// Judges an HTTP status after `tries` requests. Remote-write 1.0 retries every 5xx; OTLP/HTTP only 429, 502, 503
    /// and 504, so that other 5xx end after some tries there lest one request block all that follow.
    pub(super) const fn judge(self, status: u16, tries: u32) -> Judgement {
        match status {
            200..=299 => Judgement::Accepted,
            408 | 425 | 429 | 502..=504 => Judgement::Later,
            500..=599 if matches!(self, Self::RemoteWrite) || tries < FINAL_TRIES_MAX => Judgement::Later,
            400 | 413 | 422 | 500..=599 => Judgement::Refused,
            _ => Judgement::Misconfigured,
        }
    }

    /// Records that an accepting answer says it refused, and why. An unreadable answer says nothing.
    pub(super) fn partial(self, body: &[u8]) -> Option<(u64, String)> {
        let (rejected, message) = match self {
            Self::RemoteWrite => return None,
            Self::OtlpMetrics => {
                let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
                (partial.rejected_data_points, partial.error_message)
            }
            Self::OtlpTraces => {
                let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
                (partial.rejected_spans, partial.error_message)
            }
            Self::OtlpLogs => {
                let partial = ExportLogsServiceResponse::decode(body).ok()?.partial_success?;
                (partial.rejected_log_records, partial.error_message)
            }
        };
        let rejected = u64::try_from(rejected).unwrap_or(0);
        (rejected > 0 || !message.is_empty()).then_some((rejected, message))
    }
}

/// What a receiver says, fit for one line of a log: OTLP's errors are protobuf around a text.
pub(super) fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let legible = |letter: &char| *letter != char::REPLACEMENT_CHARACTER;
    let line = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let line: String = line.filter(legible).take(300).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

    use super::*;

    #[test]
    fn statuses() {
        use Judgement::{Accepted, Later, Misconfigured, Refused};
        use Protocol::{OtlpLogs, RemoteWrite};
        for (status, remote_write, otlp) in [
            (200, Accepted, Accepted),
            (204, Accepted, Accepted),
            (302, Misconfigured, Misconfigured),
            (400, Refused, Refused),
            (401, Misconfigured, Misconfigured),
            (404, Misconfigured, Misconfigured),
            (413, Refused, Refused),
            (415, Misconfigured, Misconfigured),
            (422, Refused, Refused),
            (429, Later, Later),
            (500, Later, Later),
            (503, Later, Later),
        ] {
            assert_eq!(
                (RemoteWrite.judge(status, 1), OtlpLogs.judge(status, 1)),
                (remote_write, otlp),
                "{status}"
            );
        }
        assert_eq!((RemoteWrite.judge(500, 1000), OtlpLogs.judge(500, 1000)), (Later, Refused));
        assert_eq!(OtlpLogs.judge(503, 1000), Later);
    }

    #[test]
    fn partial_successes_are_read() {
        let answer = |rejected_data_points, error_message: &str| {
            let error_message = error_message.to_owned();
            let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        };
        let partial = |body: &[u8]| Protocol::OtlpMetrics.partial(body);
        assert_eq!(partial(&answer(3, "too old")), Some((3, "too old".to_owned())));
        assert_eq!(partial(&answer(0, "deprecated")), Some((0, "deprecated".to_owned())));
        assert_eq!(partial(&answer(-3, "")), None);
        assert_eq!(partial(&answer(0, "")), None);
        assert_eq!(partial(b""), None);
        assert_eq!(partial(b"<html>"), None);
    }

    #[test]
    fn messages_become_one_short_line() {
        assert_eq!(printable(b"\x0a\x05out of\norder\r\n"), "out of order");
        assert_eq!(printable(&[b'x'; 1000]).len(), 300);
        assert_eq!(printable(b"\xFF\xFEbad"), "bad");
    }
}
