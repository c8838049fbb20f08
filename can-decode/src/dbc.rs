//! Reader of DBC files: text to [`Database`], with everything left out or repaired told as a [`Finding`].
//!
//! The text goes through these in order: `text` (character set), `statements` (takes it apart, with `cursor`), `grammar`
//! (crate can-dbc, for messages and their signals), `messages` and `signals` (put together, with what `references`,
//! `attributes` and `multiplex` say of them), `checks`.

mod attribute_statements;
mod attributes;
mod by_signal;
mod checks;
mod comments;
mod counters;
mod cursor;
mod grammar;
mod messages;
mod multiplex;
mod protection;
mod references;
mod signals;
mod statements;
mod text;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::database::Database;
use crate::finding::{Finding, Severity};

/// Largest file that is read. The largest DBC files of whole vehicles have a few megabytes.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most signals of one message; further ones are left out. Diagnostic messages with hundreds of branches exist.
pub const SIGNALS_PER_MESSAGE_MAX: usize = 4096;
/// Most findings of one file; what comes after is counted.
pub const FINDINGS_MAX: usize = 10_000;

/// Why a file is no DBC file. Displays as `name:line: reason; remedy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbcError {
    /// Name the file was read under.
    pub name: String,
    /// Line, from 1.
    pub line: u32,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for DbcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.name, self.line, self.text)
    }
}

impl core::error::Error for DbcError {}

/// Reads a DBC file's bytes: UTF-8, or else Windows-1252 (of which Latin-1's printable characters are a part).
///
/// Honoured: `BO_`, `SG_` with `m`/`M`, `SG_MUL_VAL_`, `SIG_VALTYPE_`, `VAL_`, also with the name of a `VAL_TABLE_`,
/// `CM_`, and the attributes `GenMsgCycleTime`, `GenSigStartValue`, `SPN`, `VFrameFormat`, `ProtocolType`,
/// `SystemSignalLongSymbol`, `SystemMessageLongSymbol`, `SigType`, `TraceContextOffset` and those of end-to-end protection
/// (`E2EProfile`, `E2EDataId` and others), with their defaults where a default makes sense. An identifier above `0x7FF`
/// without bit 31 is taken as a 29-bit one.
///
/// # Errors
/// [`DbcError`] for a file above [`FILE_BYTES_MAX`], for UTF-16, and for the first line that is not DBC. Comments,
/// attributes and value tables that are not DBC are left out instead.
pub fn read(name: &str, bytes: &[u8]) -> Result<(Database, Vec<Finding>), DbcError> {
    let error = |(line, text): (u32, String)| DbcError { name: name.to_string(), line, text };
    if bytes.len() > FILE_BYTES_MAX {
        let text =
            format!("{} bytes, more than the {FILE_BYTES_MAX} that are read; split the file", bytes.len());
        return Err(error((1, text)));
    }
    let mut findings = Findings::default();
    let text = text::decode(bytes, &mut findings).map_err(|remedy| error((1, remedy.to_string())))?;
    let statements =
        statements::read(&text, &mut findings).map_err(|fault| error(text::explain(fault, &text)))?;
    let messages = messages::convert(&statements, &mut findings).map_err(error)?;
    let comments = comments::collect(&statements.comments);
    Ok((Database { name: name.to_string(), messages, comments }, findings.into_sorted()))
}

/// Collects findings while a file is read.
#[derive(Default)]
struct Findings {
    listed: Vec<Finding>,
    /// How many came after the list was full.
    omitted: usize,
}

impl Findings {
    fn note(&mut self, line: Option<u32>, text: impl Into<String>) {
        self.push(line, Severity::Note, text.into());
    }

    fn warn(&mut self, line: Option<u32>, text: impl Into<String>) {
        self.push(line, Severity::Warning, text.into());
    }

    fn left_out(&mut self, line: Option<u32>, text: impl Into<String>) {
        self.push(line, Severity::LeftOut, text.into());
    }

    fn push(&mut self, line: Option<u32>, severity: Severity, text: String) {
        if self.listed.len() == FINDINGS_MAX {
            self.omitted += 1;
            return;
        }
        self.listed.push(Finding { line, severity, text });
    }

    /// In the order of the file.
    fn into_sorted(mut self) -> Vec<Finding> {
        self.listed.sort_by_key(|finding| finding.line);
        if self.omitted > 0 {
            let text = format!("and {} more findings", self.omitted);
            self.listed.push(Finding { line: None, severity: Severity::Warning, text });
        }
        self.listed
    }
}

#[cfg(test)]
mod tests;
