//! A message with its signals (`BO_`, `SG_`), read by crate can-dbc, one message at a time.
//!
//! That crate's tree of a whole file takes forty times the file's size; of one message it is small, however long the
//! file. What it cannot be asked for is done here: the identifier is read apart (it cuts one above `0x7FF` without
//! bit 31 to 16 bits) and the lines of signals are noted.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use can_dbc::{Dbc, DbcError};

use super::SIGNALS_PER_MESSAGE_MAX;
use super::cursor::{Cursor, Fault};
use super::text::remedy;

/// Longest list of what the grammar expects that is passed on.
const EXPECTED_CHARS_MAX: usize = 60;

/// A message as it stands in the file.
pub(super) struct MessageText<'a> {
    pub(super) line: u32,
    /// The identifier as written; `None` beyond 64 bits.
    pub(super) number: Option<u64>,
    /// The signals, of which `text` has the first [`SIGNALS_PER_MESSAGE_MAX`].
    pub(super) signals: Vec<SignalLine<'a>>,
    /// From `BO_` to the end of a signal's line.
    text: &'a str,
    /// Where the identifier stands in `text`.
    number_at: Range<usize>,
}

/// Where a signal stands, and its name in the file.
#[derive(Clone, Copy)]
pub(super) struct SignalLine<'a> {
    pub(super) line: u32,
    pub(super) name: &'a str,
}

impl<'a> MessageText<'a> {
    /// Cuts the message that begins at `start` out; the cursor stands behind its keyword.
    pub(super) fn read(start: Cursor<'a>, cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        cursor.skip_blanks();
        let number_start = cursor.at() - start.at();
        let number = cursor.digits()?;
        let number_at = number_start..cursor.at() - start.at();
        cursor.skip_line()?;
        let mut text = cursor.since(start.at());
        let mut signals = Vec::new();
        loop {
            let mut next = *cursor;
            next.skip_blanks();
            let line = next.line();
            if next.word() != "SG_" {
                return Ok(Self { line: start.line(), number, signals, text, number_at });
            }
            let mut name = next;
            signals.push(SignalLine { line, name: name.word() });
            next.skip_line()?;
            *cursor = next;
            if signals.len() <= SIGNALS_PER_MESSAGE_MAX {
                text = cursor.since(start.at());
            }
        }
    }

    /// Reads the message, all but its identifier. The error is a line and a sentence.
    pub(super) fn parse(&self) -> Result<can_dbc::Message, (u32, String)> {
        let mut text = String::with_capacity(self.text.len() + 1);
        let Range { start, end } = self.number_at;
        text.push_str(self.text.get(..start).unwrap_or_default());
        // A number that fits, as wide as the one in the file, so that columns hold.
        text.push('0');
        text.extend(core::iter::repeat_n(' ', end - start - 1));
        text.push_str(self.text.get(end..).unwrap_or_default());
        // The grammar wants every line ended.
        text.push('\n');
        let parsed = Dbc::try_from(text.as_str()).map_err(|refused| {
            let (line, reason) = explain(&refused, &text);
            (
                self.line + line - 1,
                remedy(&reason, self.text.lines().nth(line as usize - 1).unwrap_or_default()),
            )
        })?;
        let signals = self.signals.len().min(SIGNALS_PER_MESSAGE_MAX);
        let message = parsed.messages.into_iter().next().filter(|message| message.signals.len() == signals);
        message.ok_or_else(|| {
            (self.line, format!("no message with {signals} signals; put each on a line of its own"))
        })
    }
}

/// Line in `text`, from 1, and reason of what can-dbc refused.
fn explain(refused: &DbcError, text: &str) -> (u32, String) {
    use DbcError::{
        InvalidFloat, InvalidInt, InvalidNumericValue, InvalidUint, Pest, UnknownMultiplexIndicator,
    };
    match refused {
        Pest(syntax) => {
            // The place is in the report, which begins with ` --> line:column`: it has no field without a dependency.
            let report = syntax.to_string();
            let (line, column) = position(&report).unwrap_or((1, 1));
            let expected = syntax.variant.message();
            // At the start of a statement everything is expected; a list of that helps nobody.
            let is_list = expected.len() > EXPECTED_CHARS_MAX || expected == "expected file";
            let expected = if is_list { "no DBC statement" } else { &expected };
            (line, format!("{expected} at column {column}"))
        }
        InvalidFloat(token) | InvalidNumericValue(token) => {
            (line_of(text, token), format!("{token} is no number"))
        }
        InvalidInt(token) | InvalidUint(token) => {
            (line_of(text, token), format!("{token} is no whole number that fits here"))
        }
        UnknownMultiplexIndicator(token) => {
            (line_of(text, token), format!("{token} is no multiplex indicator (M, m0, m0M)"))
        }
        other => (1, other.to_string()),
    }
}

/// Line and column, from 1.
fn position(report: &str) -> Option<(u32, u32)> {
    let (line, column) = report.lines().next()?.split_once("--> ")?.1.trim().split_once(':')?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// First line that has `token` as a whole word; 1 when there is none.
fn line_of(text: &str, token: &str) -> u32 {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-');
    let has_token = |line: &str| {
        line.match_indices(token).any(|(at, _)| {
            let before = line.get(..at).and_then(|part| part.chars().next_back());
            let after = line.get(at + token.len()..).and_then(|part| part.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    };
    text.lines().position(has_token).map_or(1, |index| index as u32 + 1)
}
