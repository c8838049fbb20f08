//! What can be wrong with a line, and what to do about it.

use core::fmt;

/// Which part of a line is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinePart {
    /// `(seconds.fraction)`.
    Time,
    /// The interface's name.
    Interface,
    /// The identifier before `#`.
    Identifier,
    /// The `#` behind the identifier.
    Separator,
    /// The bytes of a classical or error frame.
    ClassicData,
    /// The flags digit of a CAN-FD frame.
    FdFlags,
    /// The bytes of a CAN-FD frame.
    FdData,
    /// The length of a remote request.
    RemoteLength,
    /// The raw length code behind `_`.
    RawDlc,
    /// Something behind the frame.
    Trailer,
}

/// Why a line is not one of `candump -L`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Column where the wrong part begins, in bytes from 1.
    pub column: usize,
    /// What is wrong.
    pub part: LinePart,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = match self.part {
            LinePart::Time => {
                "time: write (seconds.fraction) with 1 to 9 digits of fraction; record with candump -L"
            }
            LinePart::Interface => "interface: a name such as can0 belongs behind the time",
            LinePart::Identifier => {
                "identifier: write 3 hex digits up to 7FF (11-bit) or 8 up to 1FFFFFFF (29-bit; 2xxxxxxx is an error frame)"
            }
            LinePart::Separator => "identifier: a # belongs behind it",
            LinePart::ClassicData => {
                "data: write 0 to 8 pairs of hex digits, or ## and a flags digit for CAN-FD"
            }
            LinePart::FdFlags => "CAN-FD flags: write one hex digit behind ## (1 is BRS, 2 is ESI)",
            LinePart::FdData => "CAN-FD data: write 0-8, 12, 16, 20, 24, 32, 48 or 64 pairs of hex digits",
            LinePart::RemoteLength => "remote request: write R alone or with one digit from 0 to 8",
            LinePart::RawDlc => "length code: _9 to _F may only follow 8 bytes",
            LinePart::Trailer => "end of line: only R or T (direction) may follow the frame",
        };
        write!(f, "column {}: {remedy}", self.column)
    }
}

impl core::error::Error for LineError {}
