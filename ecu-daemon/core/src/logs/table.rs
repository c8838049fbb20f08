//! The templates there are: at most [`TEMPLATES_MAX`], the least used making room for new ones.

use std::collections::HashMap;

use super::mask::Span;
use super::template::{Template, TemplateId, literal_hash};

/// Templates at a time. A service that runs for months sees more; those not seen for long are forgotten.
pub const TEMPLATES_MAX: usize = 4_096;
/// Bytes of all their texts.
const TEXT_BYTES_MAX: usize = 2 << 20;
/// Templates that make room at once, so that a flood of new ones does not look for the oldest each time.
const ROOM: usize = TEMPLATES_MAX / 16;
/// A template seen often outlives this many lines more for each time it was seen ...
const LINES_PER_USE: u64 = 4_096;
/// ... up to this often.
const USES_MAX: u64 = 64;

/// A template and where it belongs.
pub(super) struct Row {
    pub(super) template: Template,
    pub(super) id: TemplateId,
    /// Slot of its cluster.
    pub(super) cluster: u32,
    /// App and level.
    pub(super) key: u64,
    /// Lines seen.
    pub(super) lines: u64,
    /// Number of the last line seen.
    pub(super) last: u64,
    /// Its cluster has become wider since: its lines are looked at afresh.
    pub(super) superseded: bool,
    hash: u64,
}

#[derive(Default)]
pub(super) struct Templates {
    rows: Vec<Option<Row>>,
    free: Vec<u32>,
    by_text: HashMap<u64, u32>,
    generation: u32,
    text_bytes: usize,
}

impl Templates {
    pub(super) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    pub(super) fn at(&self, index: u32) -> Option<&Row> {
        self.rows.get(index as usize)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, index: u32) -> Option<&mut Row> {
        self.rows.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn get(&self, id: TemplateId) -> Option<&Row> {
        self.at(id.0 % TEMPLATES_MAX as u32).filter(|row| row.id == id)
    }

    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.iter_mut().flatten()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().flatten()
    }

    /// Index of the template that is the text of `line`.
    pub(super) fn find(&self, key: u64, line: &[u8], variables: &[Span]) -> Option<u32> {
        let index = *self.by_text.get(&literal_hash(key, line, variables))?;
        let row = self.at(index)?;
        (row.key == key && row.template.is_of(line, variables)).then_some(index)
    }

    /// Whether there is no room for a template of `line`.
    pub(super) fn is_full(&self, line: &[u8]) -> bool {
        self.len() >= TEMPLATES_MAX
            || self.text_bytes + line.len().min(super::mask::LINE_BYTES_MAX) > TEXT_BYTES_MAX
    }

    /// Adds the template of `line`; there must be room.
    pub(super) fn add(&mut self, key: u64, line: &[u8], variables: &[Span], cluster: u32, last: u64) -> u32 {
        let template = Template::of(line, variables);
        let hash = literal_hash(key, line, variables);
        let index = self.free.pop().unwrap_or(self.rows.len() as u32);
        if index as usize == self.rows.len() {
            self.rows.push(None);
        }
        if index == 0 {
            self.generation = self.generation.wrapping_add(1);
        }
        self.text_bytes += template.bytes();
        self.by_text.insert(hash, index);
        let id = TemplateId(self.generation.wrapping_mul(TEMPLATES_MAX as u32).wrapping_add(index));
        self.rows[index as usize] =
            Some(Row { template, id, cluster, key, lines: 0, last, superseded: false, hash });
        index
    }

    /// Takes out the least used, and gives the clusters that they belonged to.
    pub(super) fn make_room(&mut self) -> Vec<u32> {
        let rank = |row: &Row| {
            if row.superseded { 0 } else { row.last + LINES_PER_USE * row.lines.min(USES_MAX) }
        };
        let mut ranks: Vec<(u64, u32)> = (0_u32..)
            .zip(&self.rows)
            .filter_map(|(index, row)| row.as_ref().map(|row| (rank(row), index)))
            .collect();
        let room = ROOM.min(ranks.len());
        if room < ranks.len() {
            ranks.select_nth_unstable(room);
        }
        let mut clusters = Vec::with_capacity(room);
        for &(_, index) in &ranks[..room] {
            if let Some(row) = self.rows[index as usize].take() {
                self.text_bytes -= row.template.bytes();
                if self.by_text.get(&row.hash) == Some(&index) {
                    self.by_text.remove(&row.hash);
                }
                clusters.push(row.cluster);
                self.free.push(index);
            }
        }
        clusters
    }
}
