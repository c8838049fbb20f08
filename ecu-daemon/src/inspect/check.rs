//! `ecu-daemon check`: what is wrong in a configuration or a DBC file, and where.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use can_decode::e2e::{Config, DataIdMode, Profile, Protection};
use can_decode::{Matching, Message};
use ecu_core::RawFrames;

use crate::cli::{Failure, exit};
use crate::config::{Bus, Grade, Observe, Problem, read_table};

/// Checks `files` and prints what it finds.
///
/// # Errors
/// [`exit::CONFIG`] when a file has errors, or, when `strict`, anything left out.
pub fn check(files: &[PathBuf], strict: bool) -> Result<(), Failure> {
    let limit = if strict { Grade::LeftOut } else { Grade::Error };
    let mut out = io::stdout().lock();
    let mut bad = 0;
    for file in files {
        let (problems, protected, summary) = look(file);
        for problem in &problems {
            writeln!(out, "{problem}").map_err(|error| Failure::output(&error))?;
        }
        for line in &protected {
            writeln!(out, "{}: {line}", file.display()).map_err(|error| Failure::output(&error))?;
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

/// What is wrong, which messages are protected and what is traced, and how much there is.
fn look(file: &Path) -> (Vec<Problem>, Vec<String>, String) {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "dbc" {
        let (table, problems) = read_table(&[file.to_owned()], Matching::Auto);
        let signals: usize = table.messages().iter().map(|message| message.signals.len()).sum();
        let observe = Observe::of(&table);
        let protected = observe.protected(&table).map(|(message, how)| describe(message, &how)).collect();
        (problems, protected, format!("{} messages, {signals} signals", table.messages().len()))
    } else if extension == "toml" {
        match crate::config::Config::read(file) {
            Ok((config, problems)) => {
                let messages: usize = config.buses.iter().map(|bus| bus.table.messages().len()).sum();
                let protected = config.buses.iter().flat_map(|bus| {
                    let protected = bus.observe.protected(&bus.table);
                    protected.map(|(message, how)| format!("{}: {}", bus.name, describe(message, &how)))
                });
                let mut lines: Vec<_> = protected.collect();
                lines.extend(config.trace.described().iter().map(|line| format!("traced: {line}")));
                let summary = format!("{} buses, {messages} messages", config.buses.len());
                lines.extend(config.buses.iter().flat_map(resolutions));
                (problems, lines, summary)
            }
            Err(fatal) => (fatal, Vec::new(), String::new()),
        }
    } else {
        let text = "cannot tell what this is; a configuration ends in .toml, a signal database in .dbc";
        (vec![Problem::error(file.display().to_string(), None, text)], Vec::new(), String::new())
    }
}

/// What a bus keeps in steps of its own, or raw, a line each.
fn resolutions(bus: &Bus) -> Vec<String> {
    let own = bus.table.messages().iter().zip(&bus.steps);
    let mut lines: Vec<_> = own
        .filter_map(|(message, step)| {
            let step = Duration::from_nanos(u64::try_from((*step)?).ok()?);
            let name = message.long_name.as_ref().unwrap_or(&message.name);
            Some(format!("{}: resolution: {} {name}: times in steps of {step:?}", bus.name, message.id))
        })
        .collect();
    if bus.raw != RawFrames::None {
        lines.push(format!("{}: raw: {} frames are kept as they are", bus.name, bus.raw.name()));
    }
    lines
}

/// How a message is protected, in one line.
fn describe(message: &Message, protection: &Protection) -> String {
    let Config { profile, start_bytes, len_bytes, .. } = *protection.config();
    let data_id = match profile {
        Profile::P01 { data_id, data_id_mode, .. } => {
            let mode = match data_id_mode {
                DataIdMode::Both => "BOTH",
                DataIdMode::Alt => "ALT",
                DataIdMode::Low => "LOW",
                DataIdMode::Nibble => "NIBBLE",
            };
            format!("Data ID {data_id:#06X} {mode}")
        }
        Profile::P02 { .. } => "16 Data IDs".to_owned(),
        Profile::P04 { data_id, .. } => format!("Data ID {data_id:#010X}"),
        Profile::P05 { data_id, .. } => format!("Data ID {data_id:#06X}"),
    };
    format!(
        "protected: {} {}: {}, {data_id}, {len_bytes} bytes from byte {start_bytes} on",
        message.id,
        message.name,
        profile.name()
    )
}
