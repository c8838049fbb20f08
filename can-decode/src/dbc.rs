//! Reader of DBC files: text to [`Database`], with everything left out or repaired told as a [`Finding`].
//!
//! The grammar is crate can-dbc's. This module adds what files in the field need before it (character set, byte order
//! mark, 29-bit identifiers without bit 31, see `scan`) and the checks and the resolving of names after it.

mod attributes;
mod checks;
mod messages;
mod multiplex;
mod references;
mod scan;
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
/// Most statements left out because of their syntax; each costs another pass of the parser.
const REPAIRS_MAX: usize = 16;

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
/// [`DbcError`] for a file above [`FILE_BYTES_MAX`], for UTF-16, and for the first line that is not DBC. Comments,
/// attributes, value tables and groups that are not DBC are left out instead, up to a number.
pub fn read(name: &str, bytes: &[u8]) -> Result<(Database, Vec<Finding>), DbcError> {
    let error = |line: u32, text: String| DbcError { name: name.to_string(), line, text };
    if bytes.len() > FILE_BYTES_MAX {
        let text =
            format!("{} bytes, more than the {FILE_BYTES_MAX} that are read; split the file", bytes.len());
        return Err(error(1, text));
    }
    let mut findings = Findings::default();
    let text = text::decode(bytes, &mut findings).map_err(|remedy| error(1, remedy.to_string()))?;
    let mut scan = scan::scan(&text).map_err(|unclosed| {
        error(unclosed.line, "a quoted text begins here and does not end; close it with \"".to_string())
    })?;
    let parsed = parse(&mut scan, &mut findings).map_err(|refused| {
        let (line, reason) = text::explain(&refused, &scan.text, &text);
        error(line, reason)
    })?;
    if let Some(line) = messages::first_unmarked(&parsed, &scan) {
        let text = "BO_ where no statement can begin from here on; put every message on a line of its own";
        return Err(error(line, text.to_string()));
    }
    let messages = messages::convert(&parsed, &scan, &mut findings);
    Ok((Database { name: name.to_string(), messages }, findings.into_sorted()))
}

/// Parses, leaving out statements that are no DBC where the messages do not depend on them: one vendor's attribute must
/// not cost the whole file.
fn parse(scan: &mut scan::Scan, findings: &mut Findings) -> Result<can_dbc::Dbc, can_dbc::DbcError> {
    let mut repairs = 0;
    loop {
        let refused = match can_dbc::Dbc::try_from(scan.text.as_str()) {
            Ok(parsed) => return Ok(parsed),
            Err(refused) if repairs == REPAIRS_MAX => return Err(refused),
            Err(refused) => refused,
        };
        let place = text::position(&refused);
        let Some(line) = place.and_then(|(line, column)| scan.blank_dispensable(line, column)) else {
            return Err(refused);
        };
        findings.left_out(Some(line), "this comment, attribute, value table or group is no DBC statement");
        repairs += 1;
    }
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
