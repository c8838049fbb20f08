//! What was left out of a signal database, or repaired, and why: nothing is dropped in silence.

use alloc::string::String;
use core::fmt;

/// How much a [`Finding`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Decoding is as the file says; the file is untidy.
    Note,
    /// Something was repaired, or is ambiguous: values may not be what the author meant.
    Warning,
    /// Something was left out: a message or signal that will not be decoded.
    LeftOut,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::LeftOut => "left out",
        })
    }
}

/// One thing to tell the owner of a signal database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line of the file, from 1, where one can be named.
    pub line: Option<u32>,
    /// How much it matters.
    pub severity: Severity,
    /// What and why, naming message and signal.
    pub text: String,
}

/// `line: severity: text`, or without the line; the caller puts the file's name in front.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}: ")?;
        }
        write!(f, "{}: {}", self.severity, self.text)
    }
}
