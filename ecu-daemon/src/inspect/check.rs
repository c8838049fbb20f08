//! `ecu-daemon check`: what is wrong in a configuration or a DBC file, and where.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use can_decode::Matching;

use crate::cli::{Failure, exit};
use crate::config::{Config, Grade, Problem, read_table};

/// Checks `files` and prints what it finds.
///
/// # Errors
/// [`exit::CONFIG`] when a file has errors, or, when `strict`, anything left out.
pub fn check(files: &[PathBuf], strict: bool) -> Result<(), Failure> {
    let limit = if strict { Grade::LeftOut } else { Grade::Error };
    let mut out = io::stdout().lock();
    let mut bad = 0;
    for file in files {
        let (problems, summary) = look(file);
        for problem in &problems {
            writeln!(out, "{problem}").map_err(|error| Failure::output(&error))?;
        }
        if problems.iter().any(|problem| problem.grade >= limit) {
            bad += 1;
        } else {
            writeln!(out, "{}: ok: {summary}", file.display()).map_err(|error| Failure::output(&error))?;
        }
    }
    if bad > 0 {
        return Err(Failure::new(exit::CONFIG, format!("{bad} of {} files have errors", files.len())));
    }
    Ok(())
}

fn look(file: &Path) -> (Vec<Problem>, String) {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "dbc" {
        let (table, problems) = read_table(&[file.to_owned()], Matching::Auto);
        let signals: usize = table.messages().iter().map(|message| message.signals.len()).sum();
        (problems, format!("{} messages, {signals} signals", table.messages().len()))
    } else if extension == "toml" {
        match Config::read(file) {
            Ok((config, problems)) => {
                let messages: usize = config.buses.iter().map(|bus| bus.table.messages().len()).sum();
                (problems, format!("{} buses, {messages} messages", config.buses.len()))
            }
            Err(fatal) => (fatal, String::new()),
        }
    } else {
        let text = "cannot tell what this is; a configuration ends in .toml, a signal database in .dbc";
        (vec![Problem::error(file.display().to_string(), None, text)], String::new())
    }
}
