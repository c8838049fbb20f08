//! Finds the variable parts of a line in one pass, without regular expressions.
//!
//! The order of the rules is what matters: a word that holds a digit is a variable unless it is the key of a
//! `key=value`; a word without one is text unless what stands before it (`=`, a quote, `user`) or its own form (a
//! path, a host name, a truth value) says otherwise.

use super::bytes::{CONTROL, DIGIT, JOINER, LETTER, PUNCTUATION, SLASH, SPACE, class, peek, run};
use super::{date, vocabulary, word};

/// Bytes of a line that are looked at; the rest is one variable. Longer lines carry dumps, not sentences.
pub const LINE_BYTES_MAX: usize = 4_096;
/// Variables in a line; from the last one on the rest of the line is one variable.
pub const VARIABLES_MAX: usize = 96;
/// Longest quoted text taken as one variable, bytes. Beyond, the quote is taken for an apostrophe.
const QUOTED_BYTES_MAX: usize = 256;

/// What a variable looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Digits, perhaps with a sign.
    Integer,
    /// A number with a point.
    Decimal,
    /// `0x…`, or hexadecimal digits with a letter among them.
    Hex,
    /// A hexadecimal number that the line calls an id, within 29 bits.
    CanId,
    /// An IP or MAC address, a host name, each perhaps with a port.
    Address,
    /// A file, a URL, a registry key.
    Path,
    /// A date, a time of day, or both.
    Time,
    /// `true`, `false`, `null`.
    Truth,
    /// `function+0x1c/0x40`.
    Symbol,
    /// Letters and digits mixed: names, versions, unique ids.
    Identifier,
    /// A value after `=`, a quoted text, a user's name, or a word that turned out to vary.
    Text,
    /// Bytes that are no text, or what lies beyond the limits.
    Opaque,
}

/// A variable part of a line, `start..end` in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What it looks like.
    pub kind: Kind,
}

impl Span {
    pub(super) fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start: start as u32, end: end as u32, kind }
    }

    /// Its bytes in `line`.
    pub fn of<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        line.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// How far the line was read, and what the next word depends on.
struct Scan<'a> {
    line: &'a [u8],
    spans: &'a mut Vec<Span>,
    at: usize,
    /// The next word is the value of a key.
    value: bool,
    /// The last word that was left as text.
    before: (usize, usize),
}

/// Puts the variables of `line` into `spans`, in order and disjoint.
pub fn mask(line: &[u8], spans: &mut Vec<Span>) {
    spans.clear();
    let looked_at = &line[..line.len().min(LINE_BYTES_MAX)];
    let mut scan = Scan { line: looked_at, spans, at: 0, value: false, before: (0, 0) };
    while scan.at < looked_at.len() && scan.spans.len() < VARIABLES_MAX {
        scan.step();
    }
    if scan.spans.len() >= VARIABLES_MAX || line.len() > LINE_BYTES_MAX {
        scan.spans.truncate(VARIABLES_MAX - 1);
        let last = scan.spans.last().map_or(0, |last| last.end as usize);
        // Text that was read to the limit stays text.
        let from = if scan.at >= LINE_BYTES_MAX { LINE_BYTES_MAX.max(last) } else { last };
        spans.push(Span::new(from, line.len(), Kind::Opaque));
    }
}

impl Scan<'_> {
    fn step(&mut self) {
        let byte = self.line[self.at];
        match class(byte) {
            SPACE => self.at += 1,
            PUNCTUATION => self.punctuation(byte),
            _ => self.word(),
        }
    }

    fn punctuation(&mut self, byte: u8) {
        match byte {
            b'=' => {
                let before = self.at.checked_sub(1).map_or(b' ', |at| self.line[at]);
                // `==` compares, and `=====` underlines; `x[0]=` and `x =` give a value like `x=`.
                self.value = before != b'=' && peek(self.line, self.at + 1) != b'=';
                self.at += 1;
            }
            b'"' | b'\'' => self.quote(byte),
            b'(' | b'[' | b'{' => self.bracket(byte),
            _ => {
                self.value = false;
                self.at += 1;
            }
        }
    }

    /// A quoted text is one variable, unless it is the message itself.
    fn quote(&mut self, quote: u8) {
        let start = self.at + 1;
        let opens = self.at == 0 || class(self.line[self.at - 1]) & (LETTER | DIGIT) == 0;
        let within = &self.line[start..self.line.len().min(start + QUOTED_BYTES_MAX)];
        let closing = within.iter().enumerate().position(|(offset, &byte)| {
            byte == quote && class(peek(self.line, start + offset + 1)) & (LETTER | DIGIT) == 0
        });
        let message = self.value && vocabulary::announces_message(&self.line[self.before.0..self.before.1]);
        match closing {
            Some(length) if opens && !message => {
                self.push(start, start + length, Kind::Text);
                self.at = start + length + 1;
            }
            _ => self.at += 1,
        }
        self.value = false;
    }

    /// Brackets with nothing in them, standing alone, are a variable that is absent: `from 10.0.0.1 ()`.
    fn bracket(&mut self, open: u8) {
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            _ => b'}',
        };
        let alone = self.at > 0 && class(self.line[self.at - 1]) == SPACE;
        // `a=[x]` is a list of one value; `a={`, `a=(` open a structure of their own.
        self.value &= open == b'[';
        self.at += 1;
        if alone && peek(self.line, self.at) == close {
            self.push(self.at, self.at, Kind::Text);
            self.at += 1;
        }
    }

    fn push(&mut self, start: usize, end: usize, kind: Kind) {
        self.spans.push(Span::new(start, end, kind));
    }

    fn word(&mut self) {
        let start = self.at;
        let (mut end, mut seen) = (start, 0);
        while let Some(&byte) = self.line.get(end) {
            let of = class(byte);
            if of & (SPACE | PUNCTUATION) != 0 {
                let apostrophe = byte == b'\''
                    && seen & LETTER != 0
                    && class(self.line[end - 1]) == LETTER
                    && class(peek(self.line, end + 1)) == LETTER;
                if !apostrophe {
                    break;
                }
            }
            seen |= of;
            end += 1;
        }
        let value = std::mem::take(&mut self.value);
        let next = peek(self.line, end);
        if next == b'=' && peek(self.line, end + 1) != b'=' && seen & (LETTER | CONTROL) == LETTER {
            self.leave(start, end);
            return;
        }
        // A full stop or a colon after a word belongs to the sentence.
        let mut inner = end;
        while inner > start + 1 && matches!(self.line[inner - 1], b'.' | b':') {
            inner -= 1;
        }
        self.at = end;
        if seen & CONTROL != 0 {
            self.push(start, end, Kind::Opaque);
        } else if value && next != b'=' && seen & (LETTER | DIGIT | SLASH) != 0 {
            self.value_of_key(start, inner);
        } else if seen & (DIGIT | SLASH) == 0 {
            self.plain(start, inner, end, seen);
        } else {
            self.split(start, inner, seen);
        }
    }

    fn leave(&mut self, start: usize, end: usize) {
        self.before = (start, end);
        self.at = end;
    }

    fn value_of_key(&mut self, start: usize, end: usize) {
        let mut end = end;
        // `ws=WorkSource{10113}`: a structure without blanks is one value.
        if matches!(peek(self.line, end), b'{' | b'(' | b'[') {
            let Some(closing) = structure(self.line, end) else {
                self.leave(start, end);
                return;
            };
            end = closing;
        }
        let key = &self.line[self.before.0..self.before.1];
        let kind = word::kind(&self.line[start..end], vocabulary::announces_can_id(key));
        self.push(start, end, kind);
        self.at = self.at.max(end);
        self.before = (0, 0);
    }

    /// A word without digits and slashes.
    fn plain(&mut self, start: usize, inner: usize, end: usize, seen: u8) {
        let word = &self.line[start..inner];
        let kind = if vocabulary::is_truth_value(word) {
            Some(Kind::Truth)
        } else if seen & JOINER != 0 && word::is_host(word) {
            Some(Kind::Address)
        } else if self.names_user(start, word) {
            Some(Kind::Text)
        } else {
            None
        };
        if let Some(kind) = kind {
            self.push(start, inner, kind);
            self.before = (0, 0);
            return;
        }
        if let Some(after) = date::written_out(self.line, start, inner) {
            self.push(start, after, Kind::Time);
            self.at = after;
            self.before = (0, 0);
            return;
        }
        // `visible:true`, `rsp:null`: the part behind the last joiner counts as a word, too.
        if seen & JOINER != 0
            && let Some(joiner) = word.iter().rposition(|&byte| byte == b':')
            && vocabulary::is_truth_value(&word[joiner + 1..])
        {
            self.push(start + joiner + 1, inner, Kind::Truth);
        }
        self.leave(start, end);
    }

    fn names_user(&self, at: usize, word: &[u8]) -> bool {
        let (start, end) = self.before;
        // Only a blank may lie between: `user: x`, `user (x)` say something else.
        end > start
            && vocabulary::announces_user(&self.line[start..end])
            && self.line[end..at].iter().all(|&byte| byte == b' ')
            && class(word[0]) == LETTER
            && !vocabulary::is_function_word(word)
    }

    /// A word with digits or slashes: wholly variable, or in parts.
    fn split(&mut self, start: usize, end: usize, seen: u8) {
        let (before, last) = (self.before, self.spans.len());
        let announced = vocabulary::announces_can_id(&self.line[before.0..before.1]);
        let far = word::split(self.line, start, end, seen, announced, self.spans);
        self.at = self.at.max(far);
        self.before = if self.spans.len() > last { (0, 0) } else { (start, end) };
    }
}

/// End of the structure that opens at `open`, when it closes before the next blank and holds no other.
fn structure(line: &[u8], open: usize) -> Option<usize> {
    let inside = run(line, open + 1, LETTER | DIGIT | JOINER | SLASH);
    matches!(peek(line, inside), b'}' | b')' | b']').then_some(inside + 1)
}
