//! One pass over the text before it is parsed, which does what the parser cannot be asked for:
//!
//! - carries bit 31 into identifiers above `0x7FF` that lack it (the parser would cut them to 16 bits), and marks
//!   identifiers that no frame can have;
//! - blanks statements of environment variables and of attributes of relations, which say nothing about frames and
//!   of which the parser knows only a part;
//! - writes labels of values above `i64::MAX` as the negative number with the same bits;
//! - notes the lines of statements, which the parser does not keep, and where the statements are that a file can do
//!   without.
//!
//! Line breaks stay where they are, so that line numbers hold for both texts.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::frame::CanId;

/// Stands for every identifier that no frame can have. The parser takes it as a standard identifier, and no true one
/// of those is above `0x7FF`.
pub(super) const IMPOSSIBLE_ID: u16 = 0xFFFF;

/// The text to parse, and where its statements are. The vectors are in the order of the parser's.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) text: String,
    pub(super) messages: Vec<MessageMark>,
    pub(super) signals: Vec<u32>,
    pub(super) values: Vec<u32>,
    pub(super) value_types: Vec<u32>,
    pub(super) mux_ranges: Vec<u32>,
    dispensable: Vec<Extent>,
}

/// Where a statement is that does not bear on where signals are: comments, attributes, groups.
#[derive(Clone, Copy)]
struct Extent {
    line: u32,
    /// First byte in [`Scan::text`].
    start: usize,
    /// Byte behind the last.
    end: usize,
}

impl Scan {
    /// Blanks the dispensable statement around the place at `line` and `column` (in characters, both from 1) and
    /// returns the line it begins in; `None` where there is no such statement.
    pub(super) fn blank_dispensable(&mut self, line: u32, column: u32) -> Option<u32> {
        let line_start = match line {
            0 | 1 => 0,
            _ => self.text.match_indices('\n').nth(line as usize - 2)?.0 + 1,
        };
        let rest = self.text.get(line_start..)?;
        let at = line_start + rest.chars().take(column as usize - 1).map(char::len_utf8).sum::<usize>();
        let Extent { line, start, end } =
            *self.dispensable.iter().find(|extent| (extent.start..=extent.end).contains(&at))?;
        self.dispensable.retain(|extent| extent.start != start);
        let blank = blanked(self.text.get(start..end)?);
        self.text.replace_range(start..end, &blank);
        Some(line)
    }
}

/// As many blanks as the text has bytes, with its line breaks kept.
fn blanked(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// A `BO_` statement.
#[derive(Clone, Copy, Default)]
pub(super) struct MessageMark {
    pub(super) line: u32,
    /// The identifier as written; `None` beyond 64 bits.
    pub(super) id: Option<u64>,
}

/// A quoted text that does not end, and the line it begins in.
pub(super) struct Unclosed {
    pub(super) line: u32,
}

/// The statement a word stands in.
#[derive(Clone, Copy, PartialEq)]
enum Statement {
    /// `BO_`, `VAL_` and others: the identifier is the next word.
    IdFirst {
        is_message: bool,
    },
    /// `CM_` and `BA_`: the identifier follows `BO_` or `SG_`; in `CM_` it may also be the next word.
    IdBehindObject,
    /// `VAL_` and `VAL_TABLE_`, once the identifier is past.
    Labels,
    /// One that is blanked.
    Blanked,
    /// The list of keywords behind `NS_`.
    NewSymbols,
    Other,
}

pub(super) fn scan(text: &str) -> Result<Scan, Unclosed> {
    let mut scanner = Scanner {
        rest: text,
        line: 1,
        statement: Statement::Other,
        is_line_start: true,
        expects_id: false,
        begun: None,
        out: Scan { text: String::with_capacity(text.len() + text.len() / 16 + 1), ..Scan::default() },
    };
    while let Some(first) = scanner.rest.chars().next() {
        scanner.step(first)?;
    }
    scanner.end_statement();
    // The parser wants every line ended.
    scanner.out.text.push('\n');
    Ok(scanner.out)
}

struct Scanner<'a> {
    rest: &'a str,
    line: u32,
    statement: Statement,
    /// No word has come yet in this line, or since the last `;`.
    is_line_start: bool,
    expects_id: bool,
    /// Where a dispensable statement has begun.
    begun: Option<Extent>,
    out: Scan,
}

impl<'a> Scanner<'a> {
    fn step(&mut self, first: char) -> Result<(), Unclosed> {
        match first {
            '"' => {
                let len = quoted_len(self.rest).ok_or(Unclosed { line: self.line })?;
                let quoted = self.split(len);
                self.line += quoted.matches('\n').count() as u32;
                self.emit(quoted);
                self.is_line_start = false;
                self.expects_id = false;
            }
            '/' if self.rest.starts_with("//") => {
                let comment = self.split(self.rest.find('\n').unwrap_or(self.rest.len()));
                self.out.text.push_str(comment);
            }
            '\n' => {
                self.end_statement();
                self.line += 1;
                let line_break = self.split(1);
                self.out.text.push_str(line_break);
                self.is_line_start = true;
                self.expects_id = false;
                let in_list = self.statement == Statement::NewSymbols;
                if !(in_list && self.rest.starts_with([' ', '\t', '\r', '\n'])) {
                    self.statement = Statement::Other;
                }
            }
            ';' => {
                let end = self.split(1);
                self.emit(end);
                self.end_statement();
                self.statement = Statement::Other;
                self.is_line_start = true;
            }
            _ if is_word(first) => {
                let word = self.split(self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()));
                self.word(word);
                self.is_line_start = false;
            }
            other => {
                let other = self.split(other.len_utf8());
                self.emit(other);
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &'a str) {
        if self.is_line_start && self.statement != Statement::NewSymbols {
            self.begin_statement(word);
        } else if self.statement == Statement::IdBehindObject && matches!(word, "BO_" | "SG_") {
            self.expects_id = true;
        } else if self.expects_id && word.bytes().all(|byte| byte.is_ascii_digit()) {
            self.expects_id = false;
            return self.id(word);
        } else {
            self.expects_id = false;
            if self.statement == Statement::Labels {
                return self.label_value(word);
            }
        }
        self.emit(word);
    }

    fn begin_statement(&mut self, word: &str) {
        let (statement, marks) = match word {
            "BO_" => (Statement::IdFirst { is_message: true }, None),
            "SG_" => (Statement::Other, Some(&mut self.out.signals)),
            "VAL_" => (Statement::Labels, Some(&mut self.out.values)),
            "VAL_TABLE_" => (Statement::Labels, None),
            "SIG_VALTYPE_" => (Statement::IdFirst { is_message: false }, Some(&mut self.out.value_types)),
            "SG_MUL_VAL_" => (Statement::IdFirst { is_message: false }, Some(&mut self.out.mux_ranges)),
            "SIG_GROUP_" | "BO_TX_BU_" => (Statement::IdFirst { is_message: false }, None),
            "CM_" | "BA_" => (Statement::IdBehindObject, None),
            "EV_" | "ENVVAR_DATA_" | "BA_REL_" | "BA_DEF_REL_" | "BA_DEF_DEF_REL_" => {
                (Statement::Blanked, None)
            }
            "NS_" => (Statement::NewSymbols, None),
            _ => (Statement::Other, None),
        };
        if let Some(marks) = marks {
            marks.push(self.line);
        }
        if let "CM_" | "BA_" | "BA_DEF_" | "BA_DEF_DEF_" | "VAL_TABLE_" | "SIG_GROUP_" | "BO_TX_BU_" = word {
            self.begun = Some(Extent { line: self.line, start: self.out.text.len(), end: 0 });
        }
        self.expects_id = matches!(word, "CM_" | "VAL_") || matches!(statement, Statement::IdFirst { .. });
        self.statement = statement;
    }

    fn end_statement(&mut self) {
        let end = self.out.text.len();
        self.out.dispensable.extend(self.begun.take().map(|begun| Extent { end, ..begun }));
    }

    /// Writes an identifier the way the parser understands it.
    fn id(&mut self, word: &str) {
        let id = word.parse::<u64>().ok();
        if self.statement == (Statement::IdFirst { is_message: true }) {
            self.out.messages.push(MessageMark { line: self.line, id });
        }
        match id.and_then(can_id) {
            Some(id) => self.number(id.with_extended_bit()),
            None => self.number(IMPOSSIBLE_ID),
        }
    }

    fn label_value(&mut self, word: &str) {
        let is_positive = !self.out.text.ends_with('-');
        match word.parse::<u64>() {
            Ok(value) if is_positive && i64::try_from(value).is_err() => self.number(value as i64),
            _ => self.emit(word),
        }
    }

    fn number(&mut self, number: impl core::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.out.text, "{number}");
    }

    /// Copies text of the current statement, or as many blanks as it has bytes; line breaks inside are kept.
    fn emit(&mut self, text: &str) {
        if self.statement == Statement::Blanked {
            self.out.text.push_str(&blanked(text));
        } else {
            self.out.text.push_str(text);
        }
    }

    fn split(&mut self, len: usize) -> &'a str {
        let (head, tail) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = tail;
        head
    }
}

/// The identifier that a DBC number means: bit 31 or a value above `0x7FF` makes it a 29-bit one.
pub(super) fn can_id(number: u64) -> Option<CanId> {
    let number = u32::try_from(number).ok()?;
    if number & CanId::EXTENDED_BIT != 0 {
        return CanId::extended(number & !CanId::EXTENDED_BIT);
    }
    u16::try_from(number).ok().and_then(CanId::standard).or_else(|| CanId::extended(number))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Length of the quoted text at the start of `text`, quotes included; `\"` does not end it.
fn quoted_len(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        if byte == b'"' && !is_escaped {
            return Some(at + 1);
        }
        is_escaped = byte == b'\\';
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &str) -> String {
        scan(text).ok().unwrap().text.strip_suffix('\n').unwrap().to_string()
    }

    #[test]
    fn identifiers_carry_bit_31() {
        let check = |text: &str, expected: &str| assert_eq!(scanned(text), expected);
        check("BO_ 2047 A: 8 X", "BO_ 2047 A: 8 X");
        check("BO_ 2048 A: 8 X", "BO_ 2147485696 A: 8 X");
        check("BO_ 2147483649 A: 8 X", "BO_ 2147483649 A: 8 X");
        check("BO_ 536870912 A: 8 X", "BO_ 65535 A: 8 X");
        check("BO_ 4294967295 A: 8 X", "BO_ 65535 A: 8 X");
        check("BO_ 99999999999999999999 A: 8 X", "BO_ 65535 A: 8 X");
        check("CM_ SG_ 65536 S \"BO_ 65536\";", "CM_ SG_ 2147549184 S \"BO_ 65536\";");
        check("CM_ 65536 \"x\";CM_ BO_ 65536 \"\";", "CM_ 2147549184 \"x\";CM_ BO_ 2147549184 \"\";");
        check("BA_ \"x\" BO_ 65536 65536;", "BA_ \"x\" BO_ 2147549184 65536;");
        check("VAL_ 65536 S 65536 \"a\" 1 \"b\";", "VAL_ 2147549184 S 65536 \"a\" 1 \"b\";");
        check("SIG_VALTYPE_ 65536 S : 1;", "SIG_VALTYPE_ 2147549184 S : 1;");
        check("SG_MUL_VAL_ 65536 S M 65536-65536;", "SG_MUL_VAL_ 2147549184 S M 65536-65536;");
        // A signal whose name is a number.
        check(" SG_ 65536 : 0|8@1+ (1,0) [0|65536] \"\" X", " SG_ 65536 : 0|8@1+ (1,0) [0|65536] \"\" X");
    }

    #[test]
    fn statements_about_other_things_are_blanked_line_by_line() {
        assert_eq!(
            scanned("EV_ A: 1 [0.5|1] \"a\nb\" 0 1 X;\nBO_ 1"),
            format!("{}\n{}\nBO_ 1", " ".repeat(19), " ".repeat(9))
        );
        assert_eq!(scanned("CM_ EV_ A \"\";"), "CM_ EV_ A \"\";");
        let symbols = "NS_ :\n\tBA_REL_\n\tEV_DATA_\n\n\tVAL_\n\nBS_:";
        assert_eq!(scanned(symbols), symbols);
    }

    #[test]
    fn labels_above_i64_keep_their_bits() {
        assert_eq!(scanned("VAL_ 1 S 18446744073709551615 \"SNA\";"), "VAL_ 1 S -1 \"SNA\";");
        assert_eq!(scanned("VAL_ 1 S -9223372036854775808 \"\";"), "VAL_ 1 S -9223372036854775808 \"\";");
        assert_eq!(
            scanned("VAL_TABLE_ T 9223372036854775807 \"\";"),
            "VAL_TABLE_ T 9223372036854775807 \"\";"
        );
    }

    #[test]
    fn lines_are_noted() {
        let scan =
            scan("NS_ :\n\tVAL_\n\nBO_ 5 A: 8 X\n SG_ S\n\nVAL_ 5 S 1 \"a\n\";\n  VAL_ 5 S").ok().unwrap();
        assert_eq!(scan.messages.iter().map(|mark| (mark.line, mark.id)).collect::<Vec<_>>(), [(4, Some(5))]);
        assert_eq!((scan.signals, scan.values), (alloc::vec![5], alloc::vec![7, 9]));
    }

    #[test]
    fn a_text_without_end_is_found_where_it_begins() {
        assert_eq!(scan("VERSION \"a\"\nCM_ \"it\\\"s\n\n").err().map(|unclosed| unclosed.line), Some(2));
    }
}
