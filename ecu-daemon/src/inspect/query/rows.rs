//! Rows of an answer, as a table, CSV or JSON lines.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use can_decode::ValueKind;

use super::super::render::{json_float, json_text, raw_integer};
use super::question::Format;

/// A column.
pub(in super::super) struct Column {
    /// Its name.
    pub(in super::super) name: String,
    /// Characters in a table.
    pub(in super::super) width: usize,
}

/// A field of a row.
#[derive(Clone)]
pub(in super::super) enum Field {
    /// Nanoseconds since 1970.
    Time(i64),
    Text(String),
    /// JSON as it is.
    Json(String),
    Raw(ValueKind, u64),
    Integer(i64),
    Float(f64),
    Absent,
}

/// Writes rows of the same columns in one format.
pub(in super::super) struct Rows {
    columns: Vec<Column>,
    format: Format,
}

impl Rows {
    /// Writes the head, where the format has one.
    pub(in super::super) fn new(
        columns: Vec<Column>,
        format: Format,
        out: &mut impl Write,
    ) -> io::Result<Self> {
        let rows = Self { columns, format };
        rows.head(out)?;
        Ok(rows)
    }

    fn head(&self, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Json => Ok(()),
            Format::Csv => {
                let names: Vec<_> = self.columns.iter().map(|column| csv(&column.name)).collect();
                write!(out, "{}\r\n", names.join(","))
            }
            Format::Table => {
                for Column { name, width } in &self.columns {
                    write!(out, "{name:width$} ")?;
                }
                writeln!(out)
            }
        }
    }

    pub(in super::super) fn row(&self, fields: &[Field], out: &mut impl Write) -> io::Result<()> {
        let columns = &self.columns;
        match self.format {
            Format::Json => {
                let mut separator = "{";
                for (Column { name, .. }, field) in columns.iter().zip(fields) {
                    if matches!(field, Field::Absent) {
                        continue;
                    }
                    // Nanoseconds as an integer: a time's text would have to be parsed again by every reader.
                    let name = if matches!(field, Field::Time(_)) { "time_unix_nano" } else { name };
                    out.write_all(separator.as_bytes())?;
                    json_text(out, name)?;
                    out.write_all(b":")?;
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
                for (Column { width, .. }, field) in columns.iter().zip(fields) {
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
            Self::Json(text) => out.write_all(text.as_bytes()),
            Self::Raw(kind, raw) => raw_integer(out, *kind, *raw),
            Self::Integer(number) => write!(out, "{number}"),
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
            Self::Text(text) | Self::Json(text) => text.clone(),
            Self::Raw(ValueKind::Signed, raw) => (*raw as i64).to_string(),
            Self::Raw(_, raw) => raw.to_string(),
            Self::Integer(number) => number.to_string(),
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
