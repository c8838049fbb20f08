//! What is wrong in a file that the user wrote, and where.

use std::fmt;

use can_decode::{Finding, finding};

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Untidy, of no consequence.
    Note,
    /// Repaired or ambiguous.
    Warning,
    /// A message or signal is left out.
    LeftOut,
    /// The file, or the key, cannot be used.
    Error,
}

/// Something wrong in a file, as `file:line: grade: text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Its line, from 1, where one is to blame.
    pub line: Option<u32>,
    /// How bad.
    pub grade: Grade,
    /// What is wrong and what would be right.
    pub text: String,
}

impl Problem {
    /// An error.
    pub fn error(file: impl Into<String>, line: Option<u32>, text: impl Into<String>) -> Self {
        Self { file: file.into(), line, grade: Grade::Error, text: text.into() }
    }

    /// A finding of the DBC reader in `file`.
    pub(super) fn finding(file: &str, finding: Finding) -> Self {
        let grade = match finding.severity {
            finding::Severity::Note => Grade::Note,
            finding::Severity::Warning => Grade::Warning,
            finding::Severity::LeftOut => Grade::LeftOut,
        };
        Self { file: file.to_owned(), line: finding.line, grade, text: finding.text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        let grade = match self.grade {
            Grade::Note => "note",
            Grade::Warning => "warning",
            Grade::LeftOut => "left out",
            Grade::Error => "error",
        };
        write!(f, ": {grade}: {}", self.text)
    }
}
