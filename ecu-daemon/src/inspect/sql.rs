//! `ecu-daemon sql`: SQL over what a ring holds.
//!
//! The ring is read as the statement asks for it, block by block: nothing is copied into tables, so that a full card and
//! a small memory are no hindrance.

mod tables;

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use ecu_sys::sql::{self, SqlError, Table, ValueRef};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};

use super::query::{Column, Field, Format, Rows};
use super::source::Place;
use crate::cli::{Failure, exit};
use tables::{RingTable, TABLES};

/// Longest text of statements, bytes.
const SQL_BYTES_MAX: u64 = 1 << 20;
/// Columns are as wide in a table.
const WIDTH: usize = 20;

/// Reads the command's arguments and runs it.
///
/// # Errors
/// [`exit::USAGE`] for statements that SQLite does not take, [`exit::NO_INPUT`] for a ring that cannot be opened,
/// [`exit::IO`] for one that cannot be read.
pub fn command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut place, mut format, mut text) = (Place::default(), Format::Table, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("format") => format = Format::parse(&arguments.value()?.string()?)?,
            Long(option) => {
                let option = option.to_owned();
                if !place.take(&option, &mut arguments)? {
                    return Err(Long(&option).unexpected().into());
                }
            }
            Value(sql) if text.is_none() => text = Some(sql.string()?),
            other @ (Short(_) | Value(_)) => return Err(other.unexpected().into()),
        }
    }
    // What is wrong with the ring is said before anybody has typed a statement.
    drop(place.open()?);
    let text = text.map_or_else(read_input, Ok)?;
    let out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    run(&place, &text, format, out)
}

fn read_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().lock().take(SQL_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new(exit::NO_INPUT, format!("standard input: {error}")))?;
    if text.len() as u64 > SQL_BYTES_MAX {
        return Err(Failure::new(
            exit::USAGE,
            format!("standard input is longer than {SQL_BYTES_MAX} bytes of SQL"),
        ));
    }
    Ok(text)
}

fn run(place: &Place, text: &str, format: Format, out: impl Write) -> Result<(), Failure> {
    let tables = TABLES.iter().map(|layout| {
        let table: Arc<dyn Table> = Arc::new(RingTable { place: place.clone(), layout });
        (layout.name, table)
    });
    let mut printed = Printed { format, out, rows: None };
    sql::run(tables.collect(), text, &mut printed).map_err(|error| match error {
        SqlError::Refused(_) => Failure::new(exit::USAGE, error),
        SqlError::Failed(_) => Failure::new(exit::IO, error),
        SqlError::Answer(error) => Failure::output(&error),
    })?;
    printed.out.flush().map_err(|error| Failure::output(&error))
}

/// Prints what statements answer.
struct Printed<W> {
    format: Format,
    out: W,
    rows: Option<Rows>,
}

impl<W: Write> sql::Answer for Printed<W> {
    fn columns(&mut self, names: &[&str]) -> io::Result<()> {
        let columns = names.iter().map(|&name| Column { name: name.to_owned(), width: WIDTH });
        self.rows = Some(Rows::new(columns.collect(), self.format, &mut self.out)?);
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        let fields: Vec<_> = values.iter().copied().map(field).collect();
        match &self.rows {
            Some(rows) => rows.row(&fields, &mut self.out),
            None => Ok(()),
        }
    }
}

fn field(value: ValueRef<'_>) -> Field {
    match value {
        ValueRef::Null => Field::Absent,
        ValueRef::Integer(number) => Field::Integer(number),
        ValueRef::Real(number) => Field::Float(number),
        ValueRef::Text(text) => Field::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Field::Text(super::render::hex(bytes)),
    }
}
