//! Which new cluster is news: the second opinion that keeps new-template alarms precise.
//!
//! A miner that learns finds new clusters that are no news: at the start all are new, a reason in words it has not
//! met (`failed: timeout`) has the look of a new sentence, and what it forgot comes back. So a cluster is news only
//! after a time of learning, when its words are not nearly those of a known one of the same origin, when it has words
//! of its own at all, and when it was not known before.

use std::collections::{HashMap, VecDeque};

use super::super::hash::mix_bytes;
use super::super::miner::Origin;
use super::super::template::Template;

/// Nanoseconds from the first line in which all is learnt.
const LEARNING_NS: i64 = 300_000_000_000;
/// Words of a template that are compared.
const WORDS_MAX: usize = 16;
/// Templates remembered, over all origins.
const KNOWN_MAX: usize = 8_192;
/// Templates of one origin that are compared, the latest.
const COMPARED_MAX: usize = 256;
/// Share of common words (Dice) from which on a template is a variant of another, in percent.
const ALIKE_PERCENT: usize = 70;

/// Words before the last colon from which on they say alone what happened, and what follows why.
const HEAD_WORDS_MIN: usize = 3;

/// What a template says: hashes of its words, sorted.
struct Words {
    all: Box<[u32]>,
    /// Those before the last colon, when they are enough.
    head: Option<Box<[u32]>>,
}

/// Words of the templates seen.
#[derive(Default)]
pub(super) struct Novelty {
    known: HashMap<u64, VecDeque<Words>>,
    held: usize,
    since_ns: Option<i64>,
}

impl Novelty {
    /// Whether the first line of a cluster is news. It is known from now on.
    pub(super) fn is_news(&mut self, time_ns: i64, origin: Origin, template: &Template) -> bool {
        let since = *self.since_ns.get_or_insert(time_ns);
        let words = Words::of(template);
        if words.all.is_empty() {
            return false;
        }
        if self.held >= KNOWN_MAX {
            // Origins without end: learn afresh rather than grow.
            self.known.clear();
            (self.held, self.since_ns) = (0, Some(time_ns));
        }
        let of_origin = self.known.entry(origin.number()).or_default();
        let variant = of_origin.iter().any(|other| words.is_variant_of(other));
        if of_origin.len() >= COMPARED_MAX {
            of_origin.pop_front();
            self.held -= 1;
        }
        of_origin.push_back(words);
        self.held += 1;
        !variant && time_ns.saturating_sub(since) >= LEARNING_NS
    }
}

impl Words {
    fn of(template: &Template) -> Self {
        let (mut all, mut head) = (Vec::new(), 0);
        for piece in template.pieces() {
            let mut parts = piece.split(|&byte| byte == b':').peekable();
            while let Some(part) = parts.next() {
                for word in part.split(|byte| !byte.is_ascii_alphabetic() && *byte < 0x80) {
                    let hash = mix_bytes(1, &word.to_ascii_lowercase()) as u32;
                    if word.len() > 1 && all.len() < WORDS_MAX && !all.contains(&hash) {
                        all.push(hash);
                    }
                }
                if parts.peek().is_some() {
                    head = all.len();
                }
            }
        }
        let sorted = |words: &[u32]| {
            let mut words = words.to_vec();
            words.sort_unstable();
            words.into_boxed_slice()
        };
        Self { head: (head >= HEAD_WORDS_MIN).then(|| sorted(&all[..head])), all: sorted(&all) }
    }

    fn is_variant_of(&self, other: &Self) -> bool {
        let common = self.all.iter().filter(|word| other.all.binary_search(word).is_ok()).count();
        200 * common >= ALIKE_PERCENT * (self.all.len() + other.all.len())
            || self.head.is_some() && (self.head == other.head || self.head.as_ref() == Some(&other.all))
    }
}
