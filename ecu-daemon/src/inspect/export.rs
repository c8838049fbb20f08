//! `ecu-daemon export`: signals and raw frames of a ring in the files that other tools read.

mod candump;
mod mf4;
mod mf4_block;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::rc::Rc;

use lexopt::ValueExt;
use lexopt::prelude::Long;
use store::block::{Kind, Records};

use super::query::{self, Question};
use super::source::{Place, Source, open};
use super::walk::Filter;
use crate::cli::{Failure, exit};
use mf4::Mf4;

#[derive(Clone, Copy)]
enum Format {
    Candump,
    Csv,
    Mf4,
}

/// Reads the command's arguments and runs it. The file is there when it is complete, and not before.
///
/// # Errors
/// [`exit::USAGE`], [`exit::NO_INPUT`] for a ring that cannot be opened, [`exit::IO`] for one that cannot be read to its
/// end or a file that cannot be written, [`exit::DATA`] when some of its blocks are damaged; the others are exported then.
pub fn command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut place, mut filter) = (Place::default(), Filter::default());
    let (mut format, mut output) = (None, None);
    while let Some(argument) = arguments.next()? {
        let Long(option) = argument else { return Err(argument.unexpected().into()) };
        let option = option.to_owned();
        match option.as_str() {
            "format" => format = Some(parse_format(&arguments.value()?.string()?)?),
            "output" => output = Some(PathBuf::from(arguments.value()?)),
            _ if place.take(&option, &mut arguments)? || filter.take(&option, &mut arguments)? => {}
            _ => return Err(Long(&option).unexpected().into()),
        }
    }
    let (Some(format), Some(output)) = (format, output) else {
        return Err(Failure::new(exit::USAGE, "export needs --format and --output; see ecu-daemon --help"));
    };
    let source = place.open()?;
    let failed =
        |error: &io::Error| Failure::new(exit::IO, format!("cannot write {}: {error}", output.display()));
    let mut part = output.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = File::create(&part).map_err(|error| failed(&error))?;
    let out = BufWriter::with_capacity(256 << 10, file);
    let written = match format {
        Format::Candump => candump::export(&source, &filter, out),
        Format::Csv => csv(&source, filter, out),
        Format::Mf4 => mf4(&source, &filter, out),
    };
    // Damaged blocks are no reason to withhold the others.
    match written {
        Ok(damage) => {
            fs::rename(&part, &output).map_err(|error| failed(&error))?;
            damage
        }
        Err(error) => {
            // It may be gone with its file system.
            let _ = fs::remove_file(&part);
            Err(failed(&error))
        }
    }
}

fn parse_format(text: &str) -> Result<Format, Failure> {
    match text {
        "candump" => Ok(Format::Candump),
        "csv" => Ok(Format::Csv),
        "mf4" => Ok(Format::Mf4),
        _ => Err(Failure::new(exit::USAGE, format!("--format {text:?} is not candump, csv or mf4"))),
    }
}

/// What was damaged, once everything else is written.
type Written = io::Result<Result<(), Failure>>;

fn csv(source: &Rc<Source>, filter: Filter, out: impl Write) -> Written {
    let question = Question { filter, format: query::Format::Csv, ..Question::default() };
    query::print(source, &question, out)
}

fn mf4(source: &Rc<Source>, filter: &Filter, out: BufWriter<File>) -> Written {
    let mut file = Mf4::new(out)?;
    let mut damaged = 0;
    let times = source.times();
    for stored in source.blocks(times.widened(filter).selection(Kind::Samples)) {
        let stored = stored?;
        match open(source, &stored) {
            Ok((header, Records::Samples(mut samples), schema)) => {
                times.place(&header, &mut samples);
                file.block(header.schema, &schema, &samples, filter)?;
            }
            Ok(_) => {}
            Err(error) => {
                eprintln!("block {}: {error}; it is left out", stored.id);
                damaged += 1;
            }
        }
    }
    file.finish()?;
    Ok(super::walk::damage(damaged))
}
