//! A place in a line of text that knows its column.

use super::error::{LineError, LinePart};

/// Reads bytes from left to right. It only stops between whole characters where it splits the text.
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Steps over `byte` if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.advance();
        }
    }

    /// What stands up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        let start = self.at;
        while !matches!(self.peek(), None | Some(b' ' | b'\t')) {
            self.advance();
        }
        self.line.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn decimal_digit(&mut self) -> Option<u8> {
        let digit = self.peek().filter(u8::is_ascii_digit)?;
        self.advance();
        Some(digit - b'0')
    }

    pub(super) fn hex_digit(&mut self) -> Option<u8> {
        let digit = char::from(self.peek()?).to_digit(16)?;
        self.advance();
        Some(digit as u8)
    }

    /// Pairs of hex digits, a dot allowed between two pairs, up to the end of the word or a `_`.
    /// `None` for half a byte, another character, or more bytes than `payload` holds.
    pub(super) fn hex_bytes(&mut self, payload: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        while !matches!(self.peek(), None | Some(b' ' | b'\t' | b'_')) {
            if len > 0 {
                self.take(b'.');
            }
            *payload.get_mut(len)? = self.hex_digit()? << 4 | self.hex_digit()?;
            len += 1;
        }
        Some(len)
    }

    /// An error about `part`, which begins here.
    pub(super) const fn error(&self, part: LinePart) -> LineError {
        LineError { column: self.at + 1, part }
    }
}
