//! What is asked of a ring, as the command line says it.

use std::time::UNIX_EPOCH;

use store::block::Kind;

use super::super::walk::Filter;
use crate::cli::{Failure, exit};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which records.
    pub what: What,
    /// Which of them.
    pub filter: Filter,
    /// Most records printed.
    pub limit: u64,
    /// How they are printed.
    pub format: Format,
    /// All records of this trace together, whatever [`Self::what`] says.
    pub trace: Option<[u8; 16]>,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            what: What::Signals,
            filter: Filter::default(),
            limit: u64::MAX,
            format: Format::Table,
            trace: None,
        }
    }
}

/// Kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Signal samples.
    Signals,
    /// Spans.
    Spans,
    /// Log records.
    Logs,
    /// Raw frames.
    Frames,
}

/// Manners of printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    Table,
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object a line.
    Json,
}

impl What {
    /// From its name on the command line.
    ///
    /// # Errors
    /// [`exit::USAGE`]
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "signals" => Ok(Self::Signals),
            "spans" => Ok(Self::Spans),
            "logs" => Ok(Self::Logs),
            "frames" => Ok(Self::Frames),
            _ => Err(Failure::new(exit::USAGE, format!("{text:?} is not signals, spans, logs or frames"))),
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Signals => Kind::Samples,
            Self::Spans => Kind::Spans,
            Self::Logs => Kind::Logs,
            Self::Frames => Kind::Frames,
        }
    }

    /// The columns of a row with their widths in a table.
    pub(super) const fn columns(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::Signals => &[
                ("time", 30),
                ("bus", 8),
                ("message", 24),
                ("signal", 24),
                ("raw", 12),
                ("value", 14),
                ("unit", 8),
                ("label", 16),
                ("clock", 15),
                ("time_basis", 14),
                ("time_clock", 10),
                ("time_error_ns", 0),
            ],
            Self::Spans => &[
                ("time", 30),
                ("bus", 8),
                ("message", 24),
                ("trace_id", 32),
                ("span_id", 16),
                ("parent_span_id", 16),
                ("duration_ns", 12),
                ("clock", 15),
                ("time_basis", 14),
                ("time_clock", 10),
                ("time_error_ns", 12),
                ("name", 24),
                ("kind", 8),
                ("service", 12),
                ("status", 6),
                ("error", 20),
                ("attributes", 0),
            ],
            Self::Logs => &[
                ("time", 30),
                ("severity", 8),
                ("service", 16),
                ("trace_id", 32),
                ("clock", 15),
                ("time_basis", 14),
                ("time_clock", 10),
                ("time_error_ns", 12),
                ("body", 0),
            ],
            Self::Frames => &[
                ("time", 30),
                ("bus", 8),
                ("id", 8),
                ("kind", 7),
                ("flags", 7),
                ("length", 6),
                ("data", 16),
                ("clock", 15),
                ("time_basis", 14),
                ("time_clock", 10),
                ("time_error_ns", 0),
            ],
        }
    }
}

impl Format {
    /// From its name on the command line.
    ///
    /// # Errors
    /// [`exit::USAGE`]
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err(Failure::new(exit::USAGE, format!("--format {text:?} is not table, csv or json"))),
        }
    }
}

/// A trace id as 32 hex digits (W3C Trace Context §3.2.2.3), also within a whole `traceparent`.
///
/// # Errors
/// [`exit::USAGE`]
pub(super) fn parse_trace(text: &str) -> Result<[u8; 16], Failure> {
    let digits = match text.as_bytes() {
        [_, _, b'-', digits @ .., _] if digits.get(32) == Some(&b'-') => digits.get(..32).unwrap_or_default(),
        digits => digits,
    };
    let mut id = [0; 16];
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let is_id = digits.len() == 32
        && digits.chunks_exact(2).zip(&mut id).all(|(pair, byte)| match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = (high << 4 | low) as u8;
                true
            }
            _ => false,
        });
    if is_id && id != [0; 16] {
        return Ok(id);
    }
    Err(Failure::new(exit::USAGE, format!("--trace {text:?} is not 32 hex digits, not all of them 0")))
}

/// A time as RFC 3339, or as seconds since 1970.
///
/// # Errors
/// [`exit::USAGE`]
pub(in super::super) fn parse_time(text: &str) -> Result<i64, Failure> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() < 9.2e9);
    let stamp = || {
        let time = humantime::parse_rfc3339_weak(text).ok()?;
        i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
    };
    seconds.map(|seconds| (seconds * 1e9) as i64).or_else(stamp).ok_or_else(|| {
        Failure::new(
            exit::USAGE,
            format!("{text:?} is not a time such as 2026-11-20T13:00:00Z or 1763640000.5"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_as_people_have_them() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let parent = format!("00-{id}-b7ad6b7169203331-01");
        for text in [id, &id.to_uppercase(), &parent] {
            assert_eq!(
                parse_trace(text).ok().map(|id| id[..3].to_vec()),
                Some(vec![0x0A, 0xF7, 0x65]),
                "{text}"
            );
        }
        for text in ["", "0", &id[1..], &format!("{id}0"), &"0".repeat(32), &"x".repeat(32), &"é".repeat(16)]
        {
            assert!(parse_trace(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_as_people_write_them() {
        for text in ["2018-08-02T09:14:47Z", "2018-08-02 09:14:47", "1533201287", "1533201287.0"] {
            assert_eq!(parse_time(text).ok(), Some(1_533_201_287_000_000_000), "{text}");
        }
        for text in ["yesterday", "", "1e30"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
