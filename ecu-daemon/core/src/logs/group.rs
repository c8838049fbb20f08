//! Clusters: masked lines of one structure whose words agree, or differ only where values stand.
//!
//! A line joins a cluster whose words are its own. When none has them, the clusters of the same outline are looked
//! through for a place where their words differ from the line's and from each other's in such number, or of such a
//! kind, that a variable must stand there (value and cardinality merge); these become one cluster.

use std::collections::HashMap;

use super::evidence::{Sibling, Values, varies};
use super::shape::{Token, canonical, outline};

/// Clusters of one outline that are compared with a new one, the latest first.
const COMPARED_MAX: usize = 64;
/// Places where the words of one cluster may differ before it is taken for two.
const DIFFERING_MAX: usize = 2;

/// A group of lines written by one statement of a program.
pub(super) struct Cluster {
    /// Number in the order of first sight.
    pub(super) id: u32,
    /// App and level.
    key: u64,
    pub(super) tokens: Box<[Token]>,
    /// Lines seen.
    pub(super) lines: u64,
    /// Templates that belong to it.
    pub(super) templates: u32,
    outline: u64,
    canonical: u64,
}

/// Where a line belongs.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) slot: u32,
    /// It is the first of its cluster.
    pub(super) new: bool,
    /// It takes in more lines than before, as do the clusters that are now part of it.
    pub(super) widened: bool,
    /// Clusters that are now part of it.
    pub(super) absorbed: Vec<Gone>,
}

/// A cluster that became part of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    pub(super) slot: u32,
    pub(super) id: u32,
}

impl Assigned {
    fn known(slot: u32) -> Self {
        Self { slot, new: false, widened: false, absorbed: Vec::new() }
    }
}

/// All clusters. Bounded by whoever removes those without templates.
#[derive(Default)]
pub(super) struct Groups {
    clusters: Vec<Option<Cluster>>,
    free: Vec<u32>,
    by_outline: HashMap<u64, Vec<u32>>,
    by_canonical: HashMap<u64, u32>,
    values: Values,
    next_id: u32,
}

impl Groups {
    pub(super) fn get(&self, slot: u32) -> Option<&Cluster> {
        self.clusters.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Cluster> {
        self.clusters.get_mut(slot as usize)?.as_mut()
    }

    /// Notes that this word was a value in some line.
    pub(super) fn remember(&mut self, value: Token) {
        self.values.insert(value);
    }

    /// Finds the cluster of a line, or founds it.
    pub(super) fn assign(&mut self, key: u64, tokens: &[Token]) -> Assigned {
        let canonical = canonical(key, tokens);
        if let Some(&slot) = self.by_canonical.get(&canonical) {
            return Assigned::known(slot);
        }
        let outline = outline(key, tokens);
        let near = self.near(outline);
        let fits = |&&slot: &&u32| self.get(slot).is_some_and(|cluster| covers(&cluster.tokens, tokens));
        if let Some(&slot) = near.iter().find(fits) {
            self.learn(slot, tokens);
            return Assigned::known(slot);
        }
        if let Some(merge) = self.value_merge(near, tokens, 0) {
            let (slot, absorbed) = self.widen(key, outline, merge);
            return Assigned { slot, new: false, widened: true, absorbed };
        }
        let slot = self.found(key, tokens, outline, canonical);
        Assigned { slot, new: true, widened: false, absorbed: Vec::new() }
    }

    /// Looks at a cluster again now that it has many lines: three words that come again and again at one place are
    /// values, where three that came once may be three sentences.
    pub(super) fn review(&mut self, slot: u32) -> Option<Assigned> {
        let cluster = self.get(slot)?;
        let (key, outline, lines) = (cluster.key, cluster.outline, cluster.lines);
        let near = self.near(outline);
        if near.len() < 2 {
            return None;
        }
        let merge = self.value_merge(near, &cluster.tokens, lines)?;
        if merge.slots.len() < 2 {
            return None;
        }
        let (slot, absorbed) = self.widen(key, outline, merge);
        Some(Assigned { slot, new: false, widened: true, absorbed })
    }

    fn near(&self, outline: u64) -> &[u32] {
        let near = self.by_outline.get(&outline).map_or(&[][..], Vec::as_slice);
        &near[near.len().saturating_sub(COMPARED_MAX)..]
    }

    fn learn(&mut self, slot: u32, tokens: &[Token]) {
        let Some(cluster) = self.clusters.get(slot as usize).and_then(Option::as_ref) else { return };
        for (&known, &token) in cluster.tokens.iter().zip(tokens) {
            if known == Token::ANY {
                self.values.insert(token);
            }
        }
    }

    fn found(&mut self, key: u64, tokens: &[Token], outline: u64, canonical: u64) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let cluster = Cluster { id, key, tokens: tokens.into(), lines: 0, templates: 0, outline, canonical };
        let slot = self.free.pop().unwrap_or(self.clusters.len() as u32);
        if slot as usize == self.clusters.len() {
            self.clusters.push(None);
        }
        self.clusters[slot as usize] = Some(cluster);
        self.by_outline.entry(outline).or_default().push(slot);
        self.by_canonical.insert(canonical, slot);
        slot
    }

    /// The clusters that these tokens show to be one.
    fn value_merge(&self, near: &[u32], tokens: &[Token], lines: u64) -> Option<Merge> {
        let all: Vec<(u32, Sibling<'_>)> = near
            .iter()
            .filter_map(|&slot| {
                self.get(slot).map(|it| (slot, Sibling { tokens: &it.tokens, lines: it.lines }))
            })
            .collect();
        for (_, other) in all.iter().rev() {
            let differing: Vec<usize> =
                (0..tokens.len()).filter(|&at| !agree(other.tokens[at], tokens[at])).collect();
            if differing.is_empty() || differing.len() > DIFFERING_MAX {
                continue;
            }
            let alike = |row: &[Token]| {
                (0..tokens.len()).all(|at| {
                    if differing.contains(&at) { row[at].may_vary() } else { agree(row[at], tokens[at]) }
                })
            };
            let mut siblings: Vec<Sibling<'_>> =
                all.iter().map(|&(_, row)| row).filter(|row| alike(row.tokens)).collect();
            let slots = all.iter().filter(|(_, row)| alike(row.tokens)).map(|&(slot, _)| slot).collect();
            siblings.push(Sibling { tokens, lines });
            if differing.iter().all(|&at| varies(&siblings, at, differing.len(), &self.values)) {
                let common = (0..tokens.len())
                    .map(|at| {
                        if siblings.iter().all(|row| row.tokens[at] == tokens[at]) {
                            tokens[at]
                        } else {
                            Token::ANY
                        }
                    })
                    .collect();
                let values =
                    differing.iter().flat_map(|&at| siblings.iter().map(move |row| row.tokens[at])).collect();
                return Some(Merge { slots, common, values });
            }
        }
        None
    }

    /// Makes one cluster, the oldest of them, of all in `merge` and of those that its tokens now cover.
    fn widen(&mut self, key: u64, outline: u64, merge: Merge) -> (u32, Vec<Gone>) {
        let Merge { slots: mut merged, common, values } = merge;
        for value in values {
            self.values.insert(value);
        }
        let covered = |slot: u32| self.get(slot).is_some_and(|cluster| covers(&common, &cluster.tokens));
        merged.extend(self.near(outline).iter().copied().filter(|&slot| covered(slot)));
        let canonical = canonical(key, &common);
        merged.extend(self.by_canonical.get(&canonical));
        merged.sort_unstable_by_key(|&slot| (self.get(slot).map_or(u32::MAX, |cluster| cluster.id), slot));
        merged.dedup();
        let into = merged.remove(0);
        let mut absorbed = Vec::with_capacity(merged.len());
        for slot in merged {
            if let Some(gone) = self.remove(slot)
                && let Some(cluster) = self.get_mut(into)
            {
                cluster.lines += gone.lines;
                cluster.templates += gone.templates;
                absorbed.push(Gone { slot, id: gone.id });
            }
        }
        if let Some(cluster) = self.clusters[into as usize].as_mut() {
            let before = std::mem::replace(&mut cluster.canonical, canonical);
            // The oldest may have another outline when only its text is the same.
            if cluster.outline == outline {
                cluster.tokens = common;
            }
            if self.by_canonical.get(&before) == Some(&into) {
                self.by_canonical.remove(&before);
            }
        }
        self.by_canonical.insert(canonical, into);
        (into, absorbed)
    }

    /// Takes a cluster out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Cluster> {
        let gone = self.clusters.get_mut(slot as usize)?.take()?;
        if let Some(near) = self.by_outline.get_mut(&gone.outline) {
            near.retain(|&other| other != slot);
            if near.is_empty() {
                self.by_outline.remove(&gone.outline);
            }
        }
        if self.by_canonical.get(&gone.canonical) == Some(&slot) {
            self.by_canonical.remove(&gone.canonical);
        }
        self.free.push(slot);
        Some(gone)
    }
}

struct Merge {
    slots: Vec<u32>,
    common: Box<[Token]>,
    values: Vec<Token>,
}

fn covers(cluster: &[Token], line: &[Token]) -> bool {
    cluster.len() == line.len() && cluster.iter().zip(line).all(|(&known, &token)| agree(known, token))
}

fn agree(known: Token, token: Token) -> bool {
    known == token || known == Token::ANY && (token.is_word() || token.is_variable())
}
