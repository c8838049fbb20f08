//! Templates: the text of a line with holes where its variables stood.

use std::fmt;

use super::hash::{mix, mix_bytes};
use super::mask::Span;

/// Sign for a variable in the text of a template.
pub const HOLE: &str = "<*>";

/// Names a template. A number is used again only after a million others had the same place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TemplateId(pub(super) u32);

impl TemplateId {
    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// The text that all lines of a template share, exactly, and where their variables stand in it. It never changes:
/// template and variables give back the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The shared bytes, one after another.
    literal: Box<[u8]>,
    /// Places in `literal` where a variable stands, ascending.
    holes: Box<[u16]>,
}

impl Template {
    /// Of `line`, which is at most [`super::LINE_BYTES_MAX`] bytes long where it is not variable.
    pub(super) fn of(line: &[u8], variables: &[Span]) -> Self {
        let (mut literal, mut holes) = (Vec::with_capacity(line.len()), Vec::with_capacity(variables.len()));
        let mut at = 0;
        for span in variables {
            literal.extend_from_slice(&line[at..span.start as usize]);
            holes.push(literal.len() as u16);
            at = span.end as usize;
        }
        literal.extend_from_slice(&line[at..]);
        Self { literal: literal.into(), holes: holes.into() }
    }

    /// Variables of a line.
    pub fn variables(&self) -> usize {
        self.holes.len()
    }

    /// The shared text before each variable and behind the last one: one piece more than there are variables.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.holes.iter().map(|&hole| usize::from(hole)).chain([self.literal.len()]);
        let mut start = 0;
        ends.map(move |end| {
            let piece = &self.literal[start..end];
            start = end;
            piece
        })
    }

    /// Whether `line` is this text with `variables` in its holes.
    pub(super) fn is_of(&self, line: &[u8], variables: &[Span]) -> bool {
        if variables.len() != self.holes.len() {
            return false;
        }
        let (mut at, mut from) = (0, 0);
        for (span, &hole) in variables.iter().zip(&self.holes) {
            if line[at..span.start as usize] != self.literal[from..usize::from(hole)] {
                return false;
            }
            (at, from) = (span.end as usize, usize::from(hole));
        }
        line[at..] == self.literal[from..]
    }

    /// Writes the line that has `variables` to `out`. Variables that are missing are empty.
    pub fn write_line<'a>(&self, variables: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
        let mut variables = variables.into_iter();
        for (index, piece) in self.pieces().enumerate() {
            if index > 0 {
                out.extend_from_slice(variables.next().unwrap_or_default());
            }
            out.extend_from_slice(piece);
        }
    }

    /// Bytes of the shared text.
    pub(super) fn bytes(&self) -> usize {
        self.literal.len()
    }
}

/// The text with [`HOLE`] for each variable; bytes that are no UTF-8 are replaced.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.pieces().enumerate() {
            if index > 0 {
                f.write_str(HOLE)?;
            }
            f.write_str(&String::from_utf8_lossy(piece))?;
        }
        Ok(())
    }
}

/// Hash of what is left of `line` without `variables`.
#[inline]
pub(super) fn literal_hash(key: u64, line: &[u8], variables: &[Span]) -> u64 {
    let (mut state, mut at) = (mix(key, variables.len() as u64), 0);
    for span in variables {
        state = mix_bytes(state, &line[at..span.start as usize]);
        at = span.end as usize;
    }
    mix_bytes(state, &line[at..])
}
