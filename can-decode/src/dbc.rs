//! Reader of DBC files: text to [`Database`], with everything left out or repaired told as a [`Finding`].
//!
//! The grammar is crate can-dbc's. This module adds what files in the field need before it (character set, byte order
//! mark, 29-bit identifiers without bit 31, see [`scan`]) and the checks and the resolving of names after it.

mod attributes;
mod checks;
mod labels;
mod messages;
mod multiplex;
mod scan;
mod text;

use alloc::borrow::Cow;
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
/// Honoured: `BO_`, `SG_` with `m`/`M`, `SG_MUL_VAL_`, `SIG_VALTYPE_`, `VAL_`, and the attributes `GenMsgCycleTime`,
/// `VFrameFormat`, `ProtocolType`, `SystemSignalLongSymbol`, `SystemMessageLongSymbol` and `TraceContextOffset`. An
/// identifier above `0x7FF` without bit 31 is taken as a 29-bit one.
///
/// # Errors
/// [`DbcError`] for a file above [`FILE_BYTES_MAX`], for UTF-16, and for the first line that is not DBC.
pub fn read(name: &str, bytes: &[u8]) -> Result<(Database, Vec<Finding>), DbcError> {
    let error = |line: u32, text: String| DbcError { name: name.to_string(), line, text };
    if bytes.len() > FILE_BYTES_MAX {
        let text = format!("{} bytes, more than the {FILE_BYTES_MAX} that are read; split the file", bytes.len());
        return Err(error(1, text));
    }
    let mut findings = Findings::default();
    let text = text::decode(bytes, &mut findings).map_err(|remedy| error(1, remedy.to_string()))?;
    let scan = scan::scan(&text).map_err(|unclosed| {
        error(unclosed.line, "a quoted text begins here and does not end; close it with \"".to_string())
    })?;
    let parsed = can_dbc::Dbc::try_from(scan.text.as_str()).map_err(|refused| {
        let (line, reason) = text::explain(&refused, &scan.text, &text);
        error(line, reason)
    })?;
    let messages = messages::convert(&parsed, &scan, &mut findings);
    Ok((Database { name: name.to_string(), messages }, findings.0))
}

/// Collects findings while a file is read.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn note(&mut self, line: Option<u32>, text: impl Into<Cow<'static, str>>) {
        self.push(line, Severity::Note, text.into());
    }

    fn warn(&mut self, line: Option<u32>, text: impl Into<Cow<'static, str>>) {
        self.push(line, Severity::Warning, text.into());
    }

    fn left_out(&mut self, line: Option<u32>, text: impl Into<Cow<'static, str>>) {
        self.push(line, Severity::LeftOut, text.into());
    }

    fn push(&mut self, line: Option<u32>, severity: Severity, text: Cow<'static, str>) {
        self.0.push(Finding { line, severity, text: text.into_owned() });
    }
}

#[cfg(test)]
mod tests;
