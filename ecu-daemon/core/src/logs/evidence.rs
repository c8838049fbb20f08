//! When words that differ at one place are values of a variable there, and when they are different sentences.
//!
//! No rule here knows a log. The figures trade one mistake for the other: too low, and `startup succeeded` joins
//! `shutdown succeeded`; too high, and every user's name has a cluster.

use super::shape::Token;

/// Values remembered. A newer one takes the place of an older one with the same lower bits.
const VALUES_MAX: usize = 4_096;
/// Lines after which a cluster's word is known to come again and again.
const LINES_STEADY: u64 = 16;

/// Words that stood where a variable stands, in any line: a word that was a value once is one elsewhere.
pub(super) struct Values(Box<[Token]>);

impl Default for Values {
    fn default() -> Self {
        Self(vec![Token::VARIABLE; VALUES_MAX].into())
    }
}

impl Values {
    pub(super) fn insert(&mut self, value: Token) {
        if value.is_word() {
            self.0[value.bucket(VALUES_MAX)] = value;
        }
    }

    fn contains(&self, value: Token) -> bool {
        self.0[value.bucket(VALUES_MAX)] == value
    }
}

/// One of the clusters that differ only at the places in question.
#[derive(Clone, Copy)]
pub(super) struct Sibling<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) lines: u64,
}

/// Whether a variable stands at `at`, one of `places` where the siblings differ.
pub(super) fn varies(siblings: &[Sibling<'_>], at: usize, places: usize, known: &Values) -> bool {
    let mut distinct: Vec<Token> = siblings.iter().map(|row| row.tokens[at]).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if !distinct.iter().all(|value| value.may_vary()) {
        return false;
    }
    let Some(first) = siblings.first() else { return false };
    let label = first.tokens.get(at + 1).is_some_and(|&next| next == Token::COLON);
    let same = |place: usize| siblings.iter().all(|row| row.tokens[place] == first.tokens[place]);
    let constants =
        (0..first.tokens.len()).filter(|&place| first.tokens[place].is_word() && same(place)).count();
    // A line begins with what it says, not with a value; more must speak for it there.
    if at == 0 {
        return distinct.len() >= 5 && constants >= 4;
    }
    if distinct.iter().all(|&value| value.is_variable() || known.contains(value)) {
        return distinct.len() >= 2 && constants >= 1;
    }
    // What stands before a colon names what follows.
    if label {
        return false;
    }
    if distinct.iter().any(|value| value.is_variable()) {
        return constants >= 2;
    }
    if distinct.iter().all(|value| value.is_name()) {
        return distinct.len() >= 3 && constants >= 1;
    }
    if distinct.len() >= 3 && constants >= 2 && siblings.iter().all(|row| row.lines >= LINES_STEADY) {
        return true;
    }
    let enough = match constants {
        0 => return false,
        1 => 8,
        2 => 5,
        _ => 4,
    };
    // At two places at once, values recombine: `OFF -> ON`, `ON -> RUN`, `OFF -> RUN`. The steps of one fixed course
    // (`NEW to ASSIGNED`, `ASSIGNED to RUNNING`) are sentences of their own.
    distinct.len() >= enough && (places == 1 || siblings.len() >= distinct.len() + 2)
        || distinct.len() >= 3 && constants >= 3 && is_reason(first.tokens, at, places)
}

/// Whether the last words of the line, `places` of them with the one at `at`, stand behind a colon: `failed: unknown ca`.
/// A reason is handed in as a text.
fn is_reason(tokens: &[Token], at: usize, places: usize) -> bool {
    let from = tokens.len() - places;
    places == 2 && at >= from && from > 0 && tokens[from - 1] == Token::COLON
}
