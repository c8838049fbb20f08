//! Bytes to text, and a parser's complaint to a sentence.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use super::Findings;

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

/// Line and sentence for what can-dbc refused in `scanned`, quoting the line of `original`.
pub(super) fn explain(refused: &can_dbc::DbcError, scanned: &str, original: &str) -> (u32, String) {
    use can_dbc::DbcError::{
        InvalidFloat, InvalidInt, InvalidNumericValue, InvalidUint, Pest, UnknownMultiplexIndicator,
    };
    let (line, reason) = match refused {
        Pest(syntax) => {
            let (line, column) = position(refused).unwrap_or((1, 1));
            let expected = syntax.variant.message();
            // At the start of a statement everything is expected; a list of that helps nobody.
            let is_list = expected.len() > EXCERPT_CHARS_MAX || expected == "expected file";
            let expected = if is_list { "no DBC statement" } else { &expected };
            (line, format!("{expected} at column {column}"))
        }
        InvalidFloat(token) | InvalidNumericValue(token) => {
            (line_of(scanned, token), format!("{token} is no number"))
        }
        InvalidInt(token) | InvalidUint(token) => {
            (line_of(scanned, token), format!("{token} is no whole number that fits here"))
        }
        UnknownMultiplexIndicator(token) => {
            (line_of(scanned, token), format!("{token} is no multiplex indicator (M, m0, m0M)"))
        }
        other => (1, other.to_string()),
    };
    let quoted = original.lines().nth(line as usize - 1).unwrap_or_default().trim();
    let excerpt: String = quoted.chars().take(EXCERPT_CHARS_MAX).collect();
    let ellipsis = if excerpt.len() < quoted.len() { "..." } else { "" };
    (line, format!("{reason}: `{excerpt}{ellipsis}`; correct or remove this statement"))
}

/// Line and column of a syntax error, from 1, out of the parser's own report, which begins with ` --> line:column`: it
/// has no public field for them.
pub(super) fn position(refused: &can_dbc::DbcError) -> Option<(u32, u32)> {
    let can_dbc::DbcError::Pest(syntax) = refused else { return None };
    let report = syntax.to_string();
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
