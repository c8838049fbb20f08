//! Log bodies after the OpenTelemetry log data model: severity number, body, service, trace and span id.

use super::wire::{Reader, put_text, put_varint, unzigzag, zigzag};
use super::{BlockError, ClockSource, column, limits};

/// Severity number of the OpenTelemetry log data model, 1 (TRACE) to 24 (FATAL4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Severity(u8);

impl Severity {
    /// Detail for developers.
    pub const DEBUG: Self = Self(5);
    /// Ordinary operation.
    pub const INFO: Self = Self(9);
    /// Something is odd.
    pub const WARN: Self = Self(13);
    /// Something failed.
    pub const ERROR: Self = Self(17);
    /// The service cannot go on.
    pub const FATAL: Self = Self(21);

    /// From its number, 1 to 24.
    pub const fn from_number(number: u8) -> Option<Self> {
        if matches!(number, 1..=24) { Some(Self(number)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Short name of its range: TRACE, DEBUG, INFO, WARN, ERROR, FATAL.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0..=4 => "TRACE",
            5..=8 => "DEBUG",
            9..=12 => "INFO",
            13..=16 => "WARN",
            17..=20 => "ERROR",
            _ => "FATAL",
        }
    }

    /// From the names that loggers write, in any case: `warn`, `WARNING`, `err`, `critical` ...
    pub fn from_name(name: &str) -> Option<Self> {
        let names: [(&[&str], Self); 6] = [
            (&["trace", "verbose"], Self(1)),
            (&["debug"], Self::DEBUG),
            (&["info", "information", "notice"], Self::INFO),
            (&["warn", "warning"], Self::WARN),
            (&["error", "err"], Self::ERROR),
            (&["fatal", "critical", "crit", "alert", "emergency", "emerg", "panic"], Self::FATAL),
        ];
        names
            .iter()
            .find(|(names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
            .map(|&(_, severity)| severity)
    }
}

/// One log record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// When it was written, nanoseconds since 1970.
    pub time_ns: i64,
    /// The clock of `time_ns`.
    pub clock: ClockSource,
    /// How bad it is.
    pub severity: Severity,
    /// Which service of the ECU wrote it (`service.name`).
    pub service: String,
    /// The text, at most [`limits::LOG_BODY_BYTES_MAX`] bytes.
    pub body: String,
    /// The trace and span it belongs to, when the writer said so.
    pub trace: Option<([u8; 16], [u8; 8])>,
}

/// Collects log records until they are sealed.
#[derive(Default)]
pub struct LogsBuilder {
    logs: Vec<LogRecord>,
}

impl LogsBuilder {
    /// Adds a record. A body beyond the limit is cut at a character and ends with `…`.
    pub fn push(&mut self, mut log: LogRecord) {
        cut(&mut log.body, limits::LOG_BODY_BYTES_MAX);
        cut(&mut log.service, limits::NAME_BYTES_MAX);
        self.logs.push(log);
    }

    /// Records collected.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    /// Whether nothing is collected.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    /// Earliest and latest time, nanoseconds; `None` when empty.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        let times = || self.logs.iter().map(|log| log.time_ns);
        times().min().zip(times().max())
    }

    /// Writes the body to `out` and starts afresh.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        let mut services: Vec<&str> = self.logs.iter().map(|log| log.service.as_str()).collect();
        services.sort_unstable();
        services.dedup();
        put_varint(out, self.logs.len() as u64);
        put_varint(out, services.len() as u64);
        services.iter().for_each(|service| put_text(out, service));
        let columns: [&dyn Fn(&LogRecord) -> u64; 4] =
            [&|log| zigzag(log.time_ns), &|log| log.clock as u64, &|log| u64::from(log.severity.0), &|log| {
                services.binary_search(&log.service.as_str()).unwrap_or(0) as u64
            }];
        for value in columns {
            column::put(out, &self.logs.iter().map(value).collect::<Vec<_>>());
        }
        for log in &self.logs {
            put_text(out, &log.body);
            out.push(u8::from(log.trace.is_some()));
            if let Some((trace_id, span_id)) = &log.trace {
                out.extend_from_slice(trace_id);
                out.extend_from_slice(span_id);
            }
        }
        self.logs.clear();
    }
}

/// Shortens `text` to at most `bytes_max`, at a character, with `…` as its sign.
pub(super) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let mut end = bytes_max - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

/// Reads a log body.
///
/// # Errors
/// [`BlockError`] when it is cut off, exceeds the limits or has left-overs.
pub fn read_logs(body: &[u8]) -> Result<Vec<LogRecord>, BlockError> {
    let mut reader = Reader::new(body);
    // Each record takes at least two bytes of the body, so the count is bounded by it.
    let count = reader.count("logs", limits::ROWS_MAX.min(body.len()))?;
    let services = reader.count("services", count)?;
    let services = (0..services)
        .map(|_| reader.text("service", limits::NAME_BYTES_MAX))
        .collect::<Result<Vec<_>, _>>()?;
    let times = column::read(&mut reader, count)?;
    let clocks = column::read(&mut reader, count)?;
    let severities = column::read(&mut reader, count)?;
    let service_of = column::read(&mut reader, count)?;
    let logs = (0..count)
        .map(|row| {
            let field = |field, value| BlockError::Field { field, value };
            let severity = u8::try_from(severities[row]).ok().and_then(Severity::from_number);
            let service = services.get(service_of[row] as usize);
            let body = reader.text("log body", limits::LOG_BODY_BYTES_MAX)?.to_owned();
            let trace = match reader.byte()? {
                0 => None,
                1 => Some((reader.array()?, reader.array()?)),
                other => return Err(field("log trace", u64::from(other))),
            };
            Ok(LogRecord {
                time_ns: unzigzag(times[row]),
                clock: ClockSource::from_column(clocks[row])?,
                severity: severity.ok_or_else(|| field("severity", severities[row]))?,
                service: (*service.ok_or_else(|| field("service", service_of[row]))?).to_owned(),
                body,
                trace,
            })
        })
        .collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_log()(
            time_ns: i64, severity in 1_u8..=24, service in "[a-z]{0,4}", body in "\\PC{0,40}",
            trace: Option<([u8; 16], [u8; 8])>, clock in prop::sample::select(ClockSource::ALL)
        ) -> LogRecord {
            LogRecord { time_ns, clock, severity: Severity(severity), service, body, trace }
        }
    }

    fn encode(logs: &[LogRecord]) -> Vec<u8> {
        let mut builder = LogsBuilder::default();
        logs.iter().for_each(|log| builder.push(log.clone()));
        let mut body = Vec::new();
        builder.encode(&mut body);
        body
    }

    proptest! {
        #[test]
        fn logs_come_back_and_cut_bodies_are_errors(
            logs in prop::collection::vec(any_log(), 0..20), cut in any::<prop::sample::Index>()
        ) {
            let body = encode(&logs);
            prop_assert_eq!(read_logs(&body).unwrap(), logs);
            prop_assert!(read_logs(&body[..cut.index(body.len())]).is_err());
        }
    }

    #[test]
    fn an_overlong_body_is_cut_at_a_character_and_says_so() {
        let log = LogRecord {
            time_ns: 0,
            clock: ClockSource::UserSpace,
            severity: Severity::INFO,
            service: "camera".into(),
            body: "ü".repeat(limits::LOG_BODY_BYTES_MAX),
            trace: None,
        };
        let back = read_logs(&encode(&[log])).unwrap();
        assert!(back[0].body.len() <= limits::LOG_BODY_BYTES_MAX && back[0].body.ends_with("ü…"));
    }

    #[test]
    fn names_of_severities_as_loggers_write_them() {
        for (name, number) in [("INFO", 9), ("Warning", 13), ("err", 17), ("CRITICAL", 21), ("debug", 5)] {
            assert_eq!(Severity::from_name(name).map(Severity::number), Some(number), "{name}");
        }
        assert_eq!(Severity::from_name("loud"), None);
    }
}
