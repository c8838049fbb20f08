//! The statements about signals, sorted by the signal they speak of.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use std::collections::HashMap;

use super::Findings;
use super::grammar::SignalLine;
use super::references::{
    About, Label, Labels, MuxRanges, ReferenceStatements, SignalKey, ValueType, unescaped,
};
use crate::frame::CanId;

/// What the file says about each of its signals outside of their messages.
pub(super) struct BySignal<'a> {
    statements: &'a ReferenceStatements<'a>,
    said: HashMap<SignalKey<'a>, Said<'a>>,
}

/// What it says about one signal.
#[derive(Default)]
pub(super) struct Said<'a> {
    labels: Vec<&'a About<'a, Labels<'a>>>,
    pub(super) value_type: Option<ValueType>,
    /// The `SG_MUL_VAL_` statements in the order of the file.
    pub(super) mux_ranges: Vec<&'a MuxRanges<'a>>,
    is_defined: Cell<bool>,
}

impl<'a> BySignal<'a> {
    pub(super) fn new(statements: &'a ReferenceStatements<'a>) -> Self {
        let mut said: HashMap<SignalKey<'a>, Said<'a>> = HashMap::new();
        for about in &statements.labels {
            if let Some(key) = about.key {
                said.entry(key).or_default().labels.push(about);
            }
        }
        for about in &statements.value_types {
            if let Some(key) = about.key {
                said.entry(key).or_default().value_type = Some(about.what);
            }
        }
        for about in &statements.mux_ranges {
            if let Some(key) = about.key {
                said.entry(key).or_default().mux_ranges.push(&about.what);
            }
        }
        Self { statements, said }
    }

    /// What is said about a signal that a message defines. Statements about signals that were not asked for are orphans.
    pub(super) fn said<'b>(&'b self, key: SignalKey<'b>) -> Option<&'b Said<'b>> {
        let said: &Said<'_> = self.said.get(&key)?;
        said.is_defined.set(true);
        Some(said)
    }

    /// The same where nobody wants to know what is said, because the message is left out.
    pub(super) fn skip(&self, id: CanId, signals: &[SignalLine<'_>]) {
        for signal in signals {
            self.said((id, signal.name));
        }
    }

    /// Labels sorted by value; of several for one value the last counts.
    pub(super) fn labels(&self, said: &Said<'_>, findings: &mut Findings) -> Vec<(i64, String)> {
        let mut labels: Vec<&Label<'_>> = Vec::new();
        for About { line, key, what } in said.labels.iter().rev() {
            match what {
                Labels::Listed(listed) => labels.extend(listed.iter().rev()),
                Labels::Table(name) => match self.statements.tables.get(name) {
                    Some(listed) => labels.extend(listed.iter().rev()),
                    None => {
                        let signal = key.map_or("", |(_, signal)| signal);
                        findings.left_out(
                            Some(*line),
                            format!("labels of signal {signal}: there is no VAL_TABLE_ {name}"),
                        );
                    }
                },
            }
        }
        labels.sort_by_key(|(value, _)| *value);
        labels.dedup_by_key(|(value, _)| *value);
        labels.into_iter().map(|(value, text)| (*value, unescaped(text))).collect()
    }

    /// A finding for each statement about a signal that no message has. One whose identifier no frame has belongs to a
    /// message that has its own finding.
    pub(super) fn report_orphans(&self, findings: &mut Findings) {
        if self.said.values().all(|said| said.is_defined.get()) {
            return;
        }
        let ReferenceStatements { labels, value_types, mux_ranges, .. } = self.statements;
        let labels = labels.iter().map(|about| ("VAL_", about.line, about.key));
        let value_types = value_types.iter().map(|about| ("SIG_VALTYPE_", about.line, about.key));
        let mux_ranges = mux_ranges.iter().map(|about| ("SG_MUL_VAL_", about.line, about.key));
        for (keyword, line, key) in labels.chain(value_types).chain(mux_ranges) {
            let Some((id, signal)) = key else { continue };
            if self.said.get(&(id, signal)).is_some_and(|said| !said.is_defined.get()) {
                let text = format!("{keyword} for a signal {signal} that message {id} does not have");
                findings.note(Some(line), text);
            }
        }
    }
}
