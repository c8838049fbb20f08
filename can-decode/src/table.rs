//! The compiled decode table: which message a frame is, and what its signals' raw values are.
//!
//! Everything that can be worked out before the first frame is worked out in [`DecodeTable::compile`]. Finding and
//! decoding allocate nothing.

mod lookup;
mod message;
mod plan;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use crate::database::{Database, MessageDefinition};
use crate::finding::{Finding, Severity};
use crate::frame::{CanId, Frame};
use crate::j1939::pgn;
use lookup::{EMPTY, HashedKeys, StandardIds};

pub use crate::signal::{Branch, Raw, Signal, ValueKind};
pub use message::{Decoded, Message};
pub use plan::{Column, Columns, FromField};

/// Most messages in one table; indices are 16 bits, the last one marks empty places.
pub const MESSAGES_MAX: usize = u16::MAX as usize;
/// Deepest nesting of multiplexors. Three is the deepest seen in practice.
pub const BRANCH_DEPTH_MAX: usize = 8;

/// How a frame's identifier finds its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matching {
    /// By exact identifier; a 29-bit frame that no message has exactly goes to the J1939 message with its parameter
    /// group, where the database says J1939.
    #[default]
    Auto,
    /// By exact identifier only.
    Id,
    /// Every 29-bit message by parameter group, whatever the database says: source address and priority are
    /// ignored, so is the destination of PDU1 groups, and the first message of a group wins.
    Pgn,
}

/// A message's place in its [`DecodeTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageIndex(pub u16);

/// Messages of one or several databases, ready to decode.
#[derive(Clone, Debug)]
pub struct DecodeTable {
    messages: Vec<Message>,
    standard: StandardIds,
    extended: HashedKeys,
    groups: HashedKeys,
}

impl DecodeTable {
    /// Compiles databases, the first definition of an identifier (or of a parameter group) winning, and reports
    /// what that left out. Never fails: in the worst case the table is empty and every message has its finding.
    pub fn compile(databases: &[Database], matching: Matching) -> (Self, Vec<Finding>) {
        let mut build = Build { matching, ..Build::default() };
        for database in databases {
            for definition in &database.messages {
                build.add(database, definition);
            }
        }
        let entries = |extended: bool| -> Vec<(u32, u16)> {
            let same_space = build.ids.iter().filter(|(id, _)| id.is_extended() == extended);
            same_space.map(|(id, known)| (id.raw(), known.index)).collect()
        };
        let groups: Vec<(u32, u16)> = build.groups.iter().map(|(group, index)| (*group, *index)).collect();
        let table = Self {
            standard: StandardIds::new(&entries(false)),
            extended: HashedKeys::new(&entries(true)),
            groups: HashedKeys::new(&groups),
            messages: build.messages,
        };
        (table, build.findings)
    }

    /// The message that a frame with this identifier is.
    #[inline]
    pub fn find(&self, id: CanId) -> Option<MessageIndex> {
        let index = match id {
            CanId::Standard(id) => self.standard.find(id),
            CanId::Extended(id) => self.find_extended(id),
        };
        (index != EMPTY).then_some(MessageIndex(index))
    }

    /// Not inlined, so that the way of the 11-bit identifiers is.
    #[inline(never)]
    fn find_extended(&self, id: u32) -> u16 {
        let exact = self.extended.find(id);
        if exact == EMPTY { self.groups.find(pgn(id)) } else { exact }
    }

    /// All messages; a [`MessageIndex`] counts them.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The message at an index that [`Self::find`] of this table returned.
    ///
    /// # Panics
    /// If the index is of a larger table.
    #[inline]
    pub fn message(&self, index: MessageIndex) -> &Message {
        &self.messages[usize::from(index.0)]
    }

    /// [`Message::decode`] of the message at `index`.
    ///
    /// # Panics
    /// If the index is of a larger table.
    #[inline]
    pub fn decode(&self, index: MessageIndex, frame: &Frame, visit: impl FnMut(usize, Raw)) -> Decoded {
        self.message(index).decode(frame, visit)
    }
}

#[derive(Default)]
struct Build<'a> {
    matching: Matching,
    messages: Vec<Message>,
    ids: BTreeMap<CanId, Known<'a>>,
    groups: BTreeMap<u32, u16>,
    names: BTreeSet<&'a str>,
    findings: Vec<Finding>,
}

/// The definition that won an identifier.
struct Known<'a> {
    index: u16,
    database: &'a Database,
    definition: &'a MessageDefinition,
}

impl<'a> Build<'a> {
    fn add(&mut self, database: &'a Database, definition: &'a MessageDefinition) {
        let group = match definition.id {
            CanId::Extended(id) if self.matching == Matching::Pgn => Some(pgn(id)),
            CanId::Extended(id) if self.matching == Matching::Auto && definition.j1939 => Some(pgn(id)),
            _ => None,
        };
        let by_pgn = group.is_some_and(|group| !self.groups.contains_key(&group));
        if self.is_taken(database, definition) || self.is_shadowed(database, definition, group, by_pgn) {
            return;
        }
        let Ok(index) = u16::try_from(self.messages.len()) else { return };
        let message = match Message::compile(definition, by_pgn) {
            Ok(message) if usize::from(index) < MESSAGES_MAX => message,
            Ok(_) => {
                let text = format!("a table holds {MESSAGES_MAX} messages");
                self.report(database, definition, Severity::LeftOut, &text);
                return;
            }
            Err(error) => {
                self.report(database, definition, Severity::LeftOut, error.text());
                return;
            }
        };
        if !self.names.insert(&definition.name) {
            self.report(database, definition, Severity::Warning, "another message has this name too");
        }
        self.messages.push(message);
        if let Some(group) = group.filter(|_| by_pgn) {
            self.groups.insert(group, index);
        }
        if self.matching != Matching::Pgn || !definition.id.is_extended() {
            self.ids.insert(definition.id, Known { index, database, definition });
        }
    }

    /// Whether an earlier message has the same identifier.
    fn is_taken(&mut self, database: &Database, definition: &MessageDefinition) -> bool {
        let Some(Known { database: first, definition: known, .. }) = self.ids.get(&definition.id) else {
            return false;
        };
        let same = known.len == definition.len && known.signals == definition.signals;
        let severity = if same { Severity::Note } else { Severity::LeftOut };
        let how = if same { "the same" } else { "another way" };
        let text = format!("{} in {} defines the identifier {how} and comes first", known.name, first.name);
        self.report(database, definition, severity, &text);
        true
    }

    /// Whether an earlier message has the same parameter group, and this one cannot be reached by its identifier.
    fn is_shadowed(
        &mut self,
        database: &Database,
        definition: &MessageDefinition,
        group: Option<u32>,
        by_pgn: bool,
    ) -> bool {
        let Some(group) = group.filter(|_| !by_pgn) else { return false };
        let only_by_group = self.matching == Matching::Pgn;
        let first = self.groups.get(&group).and_then(|index| self.messages.get(usize::from(*index)));
        let first = first.map_or("another message", |message| message.name.as_str());
        let (severity, text) = if only_by_group {
            (Severity::LeftOut, format!("{first} has the same parameter group {group:#X} and comes first"))
        } else {
            let text = format!(
                "{first} has the same parameter group {group:#X}; this one matches its exact id only"
            );
            (Severity::Note, text)
        };
        self.report(database, definition, severity, &text);
        only_by_group
    }

    fn report(
        &mut self,
        database: &Database,
        definition: &MessageDefinition,
        severity: Severity,
        text: &str,
    ) {
        let text = format!("{}: message {} ({}): {text}", database.name, definition.name, definition.id);
        self.findings.push(Finding { line: definition.line, severity, text });
    }
}

#[cfg(test)]
mod tests;
