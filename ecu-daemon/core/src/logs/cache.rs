//! What the last lines looked like, so that a line like one before needs no grouping.

use super::mask::{Kind, Span};

/// Shapes remembered.
const SHAPES: usize = 8_192;
/// Places for one hash.
const WAYS: usize = 2;
/// Words of a line that vary without looking like it. More in one line, and it is grouped afresh each time.
const WORDS_MAX: usize = 12;

/// A word that turned out to vary, inside the text before the `gap`-th variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    gap: u16,
    offset: u16,
    length: u16,
}

/// The template of a masked line.
pub(super) struct Entry {
    hash: u64,
    pub(super) template: u32,
    words: Option<Box<[Word]>>,
}

/// Masked lines to templates; a newer one takes an older one's place.
pub(super) struct Cache(Box<[Option<Entry>]>);

impl Default for Cache {
    fn default() -> Self {
        Self((0..SHAPES).map(|_| None).collect())
    }
}

impl Cache {
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<&Entry> {
        let first = hash as usize % (SHAPES / WAYS) * WAYS;
        self.0[first..first + WAYS].iter().flatten().find(|entry| entry.hash == hash)
    }

    /// Remembers that a line with this hash, masked into `masked`, has the template and its `variables`.
    pub(super) fn put(&mut self, hash: u64, template: u32, masked: &[Span], variables: &[Span]) {
        let Some(words) = words(masked, variables) else { return };
        let words = (!words.is_empty()).then(|| words.into());
        let first = hash as usize % (SHAPES / WAYS) * WAYS;
        let set = &mut self.0[first..first + WAYS];
        let place = set
            .iter()
            .position(|entry| entry.as_ref().is_some_and(|entry| entry.hash == hash))
            .or_else(|| set.iter().position(Option::is_none))
            .unwrap_or_else(|| {
                set.rotate_right(1);
                0
            });
        set[place] = Some(Entry { hash, template, words });
    }
}

impl Entry {
    /// Adds the words that vary to the variables of a masked line.
    #[inline]
    pub(super) fn complete(&self, variables: &mut Vec<Span>) {
        let Some(words) = &self.words else { return };
        for (index, word) in words.iter().enumerate() {
            let at = usize::from(word.gap) + index;
            let from = at.checked_sub(1).and_then(|before| variables.get(before)).map_or(0, |span| span.end);
            let start = from + u32::from(word.offset);
            let span = Span { start, end: start + u32::from(word.length), kind: Kind::Text };
            variables.insert(at.min(variables.len()), span);
        }
    }
}

/// The words by which `variables` is more than `masked`.
fn words(masked: &[Span], variables: &[Span]) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let (mut gap, mut end) = (0, 0);
    for span in variables {
        if masked.get(gap) == Some(span) {
            gap += 1;
        } else {
            let length = u16::try_from(span.end - span.start).ok()?;
            words.push(Word { gap: gap as u16, offset: u16::try_from(span.start - end).ok()?, length });
        }
        end = span.end;
    }
    (words.len() <= WORDS_MAX).then_some(words)
}
