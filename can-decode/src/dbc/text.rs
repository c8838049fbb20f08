//! Bytes to text, and what is wrong with it to a sentence.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use super::Findings;
use super::cursor::Fault;

/// Characters of a line that an error quotes.
const EXCERPT_CHARS_MAX: usize = 60;

/// UTF-8 with or without a byte order mark, else Windows-1252, which has a character for every byte.
///
/// The error is the remedy for UTF-16, whose every second byte would be taken for a control character.
pub(super) fn decode<'a>(bytes: &'a [u8], findings: &mut Findings) -> Result<Cow<'a, str>, &'static str> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("the file is UTF-16; save it as UTF-8 or Windows-1252");
    }
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(invalid) => {
            let line = bytes.get(..invalid.valid_up_to()).map_or(1, line_after);
            findings.note(Some(line), "not UTF-8 from here on: the file is read as Windows-1252");
            Ok(can_dbc::encodings::WINDOWS_1252.decode_without_bom_handling(bytes).0)
        }
    }
}

/// Number of the line that begins, or goes on, after `before`.
fn line_after(before: &[u8]) -> u32 {
    before.split(|byte| *byte == b'\n').count() as u32
}

/// Line and sentence for a statement of `text` that cannot be read.
pub(super) fn explain(fault: Fault, text: &str) -> (u32, String) {
    match fault {
        Fault::Unclosed { line } => {
            (line, "a quoted text begins here and does not end; close it with \"".to_string())
        }
        Fault::Misplaced { reason, line, at } => {
            let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
            let start = before.rfind('\n').map_or(0, |line_break| line_break + 1);
            let column = before.get(start..).unwrap_or_default().chars().count() + 1;
            let end = at + after.find('\n').unwrap_or(after.len());
            let excerpted = text.get(start..end).unwrap_or_default();
            (line, remedy(&format!("{reason} at column {column}"), excerpted))
        }
    }
}

/// A sentence for a statement that cannot be read, quoting its line.
pub(super) fn remedy(reason: &str, line: &str) -> String {
    let quoted = line.trim();
    let excerpt: String = quoted.chars().take(EXCERPT_CHARS_MAX).collect();
    let ellipsis = if excerpt.len() < quoted.len() { "..." } else { "" };
    format!("{reason}: `{excerpt}{ellipsis}`; correct or remove this statement")
}
