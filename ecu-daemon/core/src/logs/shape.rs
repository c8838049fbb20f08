//! The structure of a masked line: what grouping compares.

use super::bytes::{DIGIT, JOINER, LETTER, SLASH, SPACE, class};
use super::hash::{mix, mix_bytes};
use super::mask::Span;
use super::vocabulary;

/// Tokens compared; what stands behind them does not matter for the structure.
pub(super) const TOKENS_MAX: usize = 64;

/// A word, a sign or a variable: the hash of its text in the upper bytes, what it is in the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

const WORD: u64 = 1;
const SIGN: u64 = 2;
const NAME: u64 = 4;
const FUNCTION: u64 = 8;

impl Token {
    /// Any value. Neighbouring variables and lists of them count as one.
    pub(super) const VARIABLE: Self = Self(0);

    /// Any word or value: words stood here that differed.
    pub(super) const ANY: Self = Self(16);

    pub(super) fn word(text: &[u8]) -> Self {
        let name = if is_name(text) { NAME } else { 0 };
        let function = if vocabulary::is_function_word(text) { FUNCTION } else { 0 };
        Self(mix_bytes(1, text) << 8 | WORD | name | function)
    }

    /// A word that can be a value: neither a label nor a word that only holds the sentence together.
    pub(super) fn may_vary(self) -> bool {
        self.is_variable() || self.is_word() && self.0 & FUNCTION == 0
    }

    pub(super) const COLON: Self = Self::sign(b':');
    const OPENING: Self = Self::sign(b'(');

    const fn sign(byte: u8) -> Self {
        Self((byte as u64) << 8 | SIGN)
    }

    pub(super) fn is_variable(self) -> bool {
        self == Self::VARIABLE || self == Self::ANY
    }

    pub(super) fn is_word(self) -> bool {
        self.0 & WORD != 0
    }

    /// A word that looks like the name of a thing rather than like one of a sentence.
    pub(super) fn is_name(self) -> bool {
        self.0 & NAME != 0
    }

    /// Where it stands in a table of `size`.
    pub(super) fn bucket(self, size: usize) -> usize {
        (self.0 >> 8) as usize % size
    }

    fn is_sign(self, byte: u8) -> bool {
        self == Self::sign(byte)
    }
}

/// `org.apache.Foo`, `snake_case`, `camelCase`: written by programs.
fn is_name(text: &[u8]) -> bool {
    if !text.iter().any(u8::is_ascii_lowercase) {
        // States and constants: `RUNNING`, `FAIL_TASK_CLEANUP`.
        return false;
    }
    let inner = text.strip_suffix(b".").or_else(|| text.strip_suffix(b":")).unwrap_or(text);
    inner.windows(2).any(|two| {
        matches!(two[0], b'.' | b'_') && two[1].is_ascii_alphabetic()
            || two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase()
    })
}

/// Tokens of a masked line, and where its words stand.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) tokens: Vec<Token>,
    /// Place in the line of each token, zero for signs and variables.
    pub(super) places: Vec<(u32, u32)>,
}

impl Shape {
    /// Reads the structure of `line` with the variables `spans`.
    pub(super) fn read(&mut self, line: &[u8], spans: &[Span]) {
        self.tokens.clear();
        self.places.clear();
        let mut at = 0;
        for span in spans {
            self.text(line, at, span.start as usize);
            self.push(Token::VARIABLE, (0, 0));
            at = span.end as usize;
        }
        self.text(line, at, line.len());
    }

    fn text(&mut self, line: &[u8], mut at: usize, end: usize) {
        while at < end {
            let of = class(line[at]);
            if of == SPACE {
                at += 1;
            } else if of & (LETTER | DIGIT | JOINER | SLASH) != 0 {
                let start = at;
                while at < end
                    && (class(line[at]) & (LETTER | DIGIT | JOINER | SLASH) != 0 || line[at] == b'\'')
                {
                    at += 1;
                }
                let whole = &line[start..at];
                let word = trim(whole);
                // A unit behind a number is part of it: `512 kB` and `3 MB` are one kind of value.
                let unit = self.tokens.last() == Some(&Token::VARIABLE) && vocabulary::is_unit(word);
                // `IMB-17`: what stands before the hyphen is part of the name.
                let prefix = at == end && at < line.len() && word.len() > 1 && word.ends_with(b"-");
                let range = word == b"-" && self.tokens.last() == Some(&Token::VARIABLE);
                if range {
                    self.push(Token::sign(b','), (0, 0));
                } else if !unit && !prefix {
                    self.push(Token::word(word), (start as u32, (start + word.len()) as u32));
                }
                if word.len() < whole.len() {
                    self.push(Token::sign(whole[whole.len() - 1]), (0, 0));
                }
            } else {
                // `<1 s` is a number, too.
                if line[at] != b'<' || at + 1 < end {
                    self.push(Token::sign(line[at]), (0, 0));
                }
                if line[at] == b')' {
                    self.drop_restatement();
                }
                at += 1;
            }
        }
    }

    /// `1190 bytes (1.16 KB)` says the same twice, and `12 bytes` once.
    fn drop_restatement(&mut self) {
        if let [.., Token::VARIABLE, unit, Token::OPENING, Token::VARIABLE, _] = self.tokens[..]
            && unit == Token::word(b"bytes")
        {
            let kept = self.tokens.len() - 3;
            self.tokens.truncate(kept);
            self.places.truncate(kept);
        }
    }

    fn push(&mut self, token: Token, place: (u32, u32)) {
        if self.tokens.len() >= TOKENS_MAX {
            return;
        }
        self.tokens.push(token);
        self.places.push(place);
        if token.is_variable() {
            let kept = without_repetition(&self.tokens);
            self.tokens.truncate(kept);
            self.places.truncate(kept);
        }
    }
}

/// Without the full stop or colon that belongs to the sentence.
fn trim(word: &[u8]) -> &[u8] {
    match word {
        [inner @ .., b'.' | b':']
            if inner.last().is_some_and(|&byte| class(byte) & (LETTER | DIGIT) != 0) =>
        {
            inner
        }
        _ => word,
    }
}

/// How many of `tokens`, which end with a variable, are left when the list that it ends is shortened:
/// `V V`, `V , V`, `@ V @ V`.
fn without_repetition(tokens: &[Token]) -> usize {
    let length = tokens.len();
    if length >= 2 && tokens[length - 2].is_variable() {
        return length - 1;
    }
    let separator = |token: Token| token.is_sign(b',') || token.is_sign(b';');
    if length >= 3 && tokens[length - 3].is_variable() && separator(tokens[length - 2]) {
        return length - 2;
    }
    if length >= 4 && tokens[length - 4..length - 2] == tokens[length - 2..] {
        return length - 2;
    }
    length
}

/// Hash of the structure: which signs stand between how many words and variables, whatever these are.
pub(super) fn outline(key: u64, tokens: &[Token]) -> u64 {
    tokens.iter().fold(mix(key, tokens.len() as u64), |state, token| {
        mix(state, if token.0 & SIGN != 0 { token.0 } else { 0 })
    })
}

/// Hash of the text with variables as they are now; words that vary and their neighbours become one variable.
pub(super) fn canonical(key: u64, tokens: &[Token]) -> u64 {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for &token in tokens {
        kept.push(if token.is_variable() { Token::VARIABLE } else { token });
        if token.is_variable() {
            let left = without_repetition(&kept);
            kept.truncate(left);
        }
    }
    kept.iter().fold(key, |state, token| mix(state, token.0))
}
