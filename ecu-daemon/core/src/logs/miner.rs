//! The miner: a line in, its template and variables out.

use super::cache::Cache;
use super::group::{Assigned, Groups};
use super::hash::{mix, mix_bytes};
use super::mask::{Kind, Span, VARIABLES_MAX, mask};
use super::shape::{Shape, Token};
use super::table::Templates;
use super::template::{Template, TemplateId, literal_hash};
use store::block::Severity;

/// Lines after which a cluster is reviewed for the first time; then at each doubling.
const REVIEWED_AT: u64 = 16;

/// The words among the variables of a template's first lines are remembered as values ...
const VALUES_LINES: u64 = 256;
/// ... and of one in so many of all lines.
const VALUES_EVERY: u64 = 16;

/// Names a cluster; numbers are given in the order of first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(u32);

impl ClusterId {
    /// Its number, from 0.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Who wrote a line, and how bad it is: lines of different origin never share a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(u64);

impl Origin {
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// Of the app's name (may be empty) and the level, when the line has one.
    pub fn new(app: &[u8], severity: Option<Severity>) -> Self {
        Self(mix(mix_bytes(0, app), u64::from(severity.map_or(0, Severity::number))))
    }
}

/// A mined line.
#[derive(Debug)]
pub struct Mined<'a> {
    /// Its exact text without the variables; see [`Miner::template`].
    pub template: TemplateId,
    /// The group of templates that it belongs to.
    pub cluster: ClusterId,
    /// It is the first line of its cluster.
    pub new: bool,
    /// The variable parts of the line, in order; as many as the template has holes.
    pub variables: &'a [Span],
}

/// What the miner did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinerTotals {
    /// Lines mined.
    pub lines: u64,
    /// Lines whose shape was not cached.
    pub misses: u64,
    /// Templates forgotten for others.
    pub forgotten: u64,
}

/// Turns lines into templates and variables. Bounded in templates and in bytes (8 MiB with all its tables), however
/// long it runs and whatever it reads; learns as it goes.
#[derive(Default)]
pub struct Miner {
    groups: Groups,
    templates: Templates,
    cache: Cache,
    shape: Shape,
    masked: Vec<Span>,
    variables: Vec<Span>,
    merged: Vec<ClusterId>,
    totals: MinerTotals,
}

impl Miner {
    /// Mines one line, without its line end.
    pub fn mine(&mut self, origin: Origin, line: &[u8]) -> Mined<'_> {
        self.totals.lines += 1;
        self.merged.clear();
        mask(line, &mut self.variables);
        let hash = literal_hash(origin.0, line, &self.variables);
        let (index, new) = match self.cached(origin, hash, line) {
            Some(index) => {
                if self.totals.lines.is_multiple_of(VALUES_EVERY) || self.is_young(index) {
                    self.remember(line);
                }
                (index, false)
            }
            None => self.miss(origin, hash, line),
        };
        self.count(index, new)
    }

    /// The template of a line whose shape is known. On success `self.variables` is complete.
    #[inline]
    fn cached(&mut self, origin: Origin, hash: u64, line: &[u8]) -> Option<u32> {
        let entry = self.cache.get(hash)?;
        let row = self.templates.at(entry.template)?;
        if row.superseded || row.key != origin.0 {
            return None;
        }
        let before = self.variables.len();
        entry.complete(&mut self.variables);
        if row.template.is_of(line, &self.variables) {
            return Some(entry.template);
        }
        // Another shape with the same hash, or a template that made room for another.
        if self.variables.len() != before {
            mask(line, &mut self.variables);
        }
        None
    }

    fn count(&mut self, index: u32, new: bool) -> Mined<'_> {
        let mut slot = 0;
        let mut id = TemplateId(0);
        if let Some(row) = self.templates.at_mut(index) {
            row.lines += 1;
            row.last = self.totals.lines;
            (slot, id) = (row.cluster, row.id);
        }
        let mut lines = 0;
        if let Some(cluster) = self.groups.get_mut(slot) {
            cluster.lines += 1;
            lines = cluster.lines;
        }
        if lines >= REVIEWED_AT
            && lines.is_power_of_two()
            && let Some(assigned) = self.groups.review(slot)
        {
            slot = assigned.slot;
            self.adopt(&assigned);
        }
        let cluster = ClusterId(self.groups.get(slot).map_or(0, |cluster| cluster.id));
        Mined { template: id, cluster, new, variables: &self.variables }
    }

    #[cold]
    fn miss(&mut self, origin: Origin, hash: u64, line: &[u8]) -> (u32, bool) {
        self.totals.misses += 1;
        if is_rubbish(line, &self.variables) {
            self.variables.clear();
            self.variables.push(Span::new(0, line.len(), Kind::Opaque));
        }
        self.make_room(line);
        self.remember(line);
        std::mem::swap(&mut self.masked, &mut self.variables);
        self.shape.read(line, &self.masked);
        let assigned = self.groups.assign(origin.0, &self.shape.tokens);
        self.adopt(&assigned);
        self.complete(assigned.slot);
        let index = match self.templates.find(origin.0, line, &self.variables) {
            Some(index) => {
                if let Some(row) = self.templates.at_mut(index) {
                    row.superseded = false;
                }
                index
            }
            None => {
                if let Some(cluster) = self.groups.get_mut(assigned.slot) {
                    cluster.templates += 1;
                }
                self.templates.add(origin.0, line, &self.variables, assigned.slot, self.totals.lines)
            }
        };
        self.cache.put(hash, index, &self.masked, &self.variables);
        (index, assigned.new)
    }

    fn is_young(&self, index: u32) -> bool {
        self.templates.at(index).is_some_and(|row| row.lines < VALUES_LINES)
    }

    /// Notes the words among the variables: they may be values elsewhere.
    fn remember(&mut self, line: &[u8]) {
        for span in self.variables.iter().filter(|span| span.kind == Kind::Text && span.end > span.start) {
            self.groups.remember(Token::word(span.of(line)));
        }
    }

    /// Fills `self.variables`: the masked ones and the words that vary in this cluster.
    fn complete(&mut self, slot: u32) {
        self.variables.clear();
        self.variables.extend_from_slice(&self.masked);
        let Some(cluster) = self.groups.get(slot) else { return };
        if cluster.tokens.len() != self.shape.tokens.len() {
            return;
        }
        for (&known, &(start, end)) in cluster.tokens.iter().zip(&self.shape.places) {
            if known == Token::ANY && end > start && self.variables.len() < VARIABLES_MAX {
                self.variables.push(Span { start, end, kind: Kind::Text });
            }
        }
        self.variables.sort_unstable_by_key(|span| (span.start, span.end));
    }

    /// Templates of clusters that are one now belong to that one, and their lines are looked at afresh.
    fn adopt(&mut self, assigned: &Assigned) {
        if !assigned.widened {
            return;
        }
        for row in self.templates.rows_mut() {
            if row.cluster == assigned.slot || assigned.absorbed.iter().any(|gone| gone.slot == row.cluster) {
                row.cluster = assigned.slot;
                row.superseded = true;
            }
        }
        self.merged.extend(assigned.absorbed.iter().map(|gone| ClusterId(gone.id)));
    }

    fn make_room(&mut self, line: &[u8]) {
        while self.templates.is_full(line) {
            for slot in self.templates.make_room() {
                self.totals.forgotten += 1;
                let Some(cluster) = self.groups.get_mut(slot) else { continue };
                cluster.templates = cluster.templates.saturating_sub(1);
                if cluster.templates == 0 {
                    self.groups.remove(slot);
                }
            }
        }
    }

    /// The text of a template, unless it was forgotten.
    pub fn template(&self, id: TemplateId) -> Option<&Template> {
        self.templates.get(id).map(|row| &row.template)
    }

    /// The cluster that a template belongs to now, unless it was forgotten.
    pub fn cluster_of(&self, id: TemplateId) -> Option<ClusterId> {
        self.groups.get(self.templates.get(id)?.cluster).map(|cluster| ClusterId(cluster.id))
    }

    /// All clusters: id, lines seen, and the template that stands for it, the latest of those in use.
    pub fn clusters(&self) -> Vec<(ClusterId, u64, &Template)> {
        let mut latest: std::collections::BTreeMap<u32, (bool, u64, TemplateId)> =
            std::collections::BTreeMap::new();
        for row in self.templates.rows() {
            let rank = (!row.superseded, row.last, row.id);
            let entry = latest.entry(row.cluster).or_insert(rank);
            *entry = (*entry).max(rank);
        }
        let mut clusters: Vec<_> = latest
            .into_iter()
            .filter_map(|(slot, (.., id))| {
                let cluster = self.groups.get(slot)?;
                Some((ClusterId(cluster.id), cluster.lines, self.template(id)?))
            })
            .collect();
        clusters.sort_unstable_by_key(|&(id, ..)| id);
        clusters
    }

    /// Clusters that the last line showed to be one with its own; their numbers are not used again.
    pub fn merged(&self) -> &[ClusterId] {
        &self.merged
    }

    /// Templates held.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether no line was mined yet.
    pub fn is_empty(&self) -> bool {
        self.templates.len() == 0
    }

    /// Whether the next new template may make others be forgotten.
    pub fn is_full(&self) -> bool {
        self.templates.is_full(&[0; super::mask::LINE_BYTES_MAX])
    }

    /// What it did so far.
    pub fn totals(&self) -> MinerTotals {
        self.totals
    }
}

/// Whether so much of the line is no text that its structure means nothing.
fn is_rubbish(line: &[u8], variables: &[Span]) -> bool {
    let opaque: usize =
        variables.iter().filter(|span| span.kind == Kind::Opaque).map(|span| span.of(line).len()).sum();
    opaque * 4 > line.len()
}
