//! Rows of an answer, as a table, CSV or JSON lines.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use can_decode::ValueKind;

use super::super::render::{json_float, json_text, raw_integer};
use super::question::{Format, What};

/// A field of a row.
pub(super) enum Field {
    Time(i64),
    Text(String),
    Raw(ValueKind, u64),
    Float(f64),
    Absent,
}

/// Writes rows of one kind in one format.
pub(super) struct Rows<W> {
    what: What,
    format: Format,
    out: W,
}

impl<W: Write> Rows<W> {
    /// Writes the head, where the format has one.
    pub(super) fn new(what: What, format: Format, out: W) -> io::Result<Self> {
        let mut rows = Self { what, format, out };
        rows.head()?;
        Ok(rows)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn head(&mut self) -> io::Result<()> {
        let columns = self.what.columns();
        match self.format {
            Format::Json => Ok(()),
            Format::Csv => {
                let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
                write!(self.out, "{}\r\n", names.join(","))
            }
            Format::Table => {
                for (name, width) in columns {
                    write!(self.out, "{name:width$} ")?;
                }
                writeln!(self.out)
            }
        }
    }

    pub(super) fn row(&mut self, fields: &[Field]) -> io::Result<()> {
        let columns = self.what.columns();
        let out = &mut self.out;
        match self.format {
            Format::Json => {
                let mut separator = "{";
                for ((name, _), field) in columns.iter().zip(fields) {
                    if matches!(field, Field::Absent) {
                        continue;
                    }
                    // Nanoseconds as an integer: a time's text would have to be parsed again by every reader.
                    let name = if *name == "time" { "time_unix_nano" } else { name };
                    write!(out, "{separator}\"{name}\":")?;
                    field.json(out)?;
                    separator = ",";
                }
                out.write_all(b"}\n")
            }
            Format::Csv => {
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        out.write_all(b",")?;
                    }
                    out.write_all(csv(&field.text()).as_bytes())?;
                }
                out.write_all(b"\r\n")
            }
            Format::Table => {
                for ((_, width), field) in columns.iter().zip(fields) {
                    write!(out, "{:width$} ", field.text())?;
                }
                writeln!(out)
            }
        }
    }
}

/// A field as RFC 4180 wants it.
fn csv(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

impl Field {
    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Time(ns) => write!(out, "{ns}"),
            Self::Text(text) => json_text(out, text),
            Self::Raw(kind, raw) => raw_integer(out, *kind, *raw),
            Self::Float(value) => json_float(out, *value),
            Self::Absent => out.write_all(b"null"),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Time(ns) => match u64::try_from(*ns) {
                Ok(ns) => humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(ns)).to_string(),
                Err(_) => format!("{ns} ns"),
            },
            Self::Text(text) => text.clone(),
            Self::Raw(ValueKind::Signed, raw) => (*raw as i64).to_string(),
            Self::Raw(_, raw) => raw.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Absent => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        assert_eq!(csv("plain"), "plain");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
