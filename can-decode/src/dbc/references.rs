//! Statements that speak of a signal from outside of its message: `VAL_`, `SIG_VALTYPE_`, `SG_MUL_VAL_`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::collections::{HashMap, HashSet};

use can_dbc::{Dbc, ExtendedMultiplex, MessageId, SignalExtendedValueType, ValDescription, ValueDescription};

use super::Findings;
use super::scan::Scan;
use crate::frame::CanId;

/// A signal by the number its message has in the parser, and its name.
type SignalKey<'a> = (MessageId, &'a str);

/// The statements by signal.
#[derive(Default)]
pub(super) struct References<'a> {
    labels: HashMap<SignalKey<'a>, Vec<&'a ValDescription>>,
    value_types: HashMap<SignalKey<'a>, SignalExtendedValueType>,
    mux_ranges: HashMap<SignalKey<'a>, Vec<&'a ExtendedMultiplex>>,
}

impl<'a> References<'a> {
    /// Collects them, with a finding for each that speaks of a signal that is not there.
    pub(super) fn new(dbc: &'a Dbc, scan: &Scan, findings: &mut Findings) -> Self {
        let signals = dbc.messages.iter();
        let defined: HashSet<SignalKey<'_>> = signals
            .flat_map(|message| message.signals.iter().map(|signal| (message.id, signal.name.as_str())))
            .collect();
        let mut orphan = |keyword: &str, lines: &[u32], at: usize, key: SignalKey<'_>| {
            let is_orphan = !defined.contains(&key);
            if let Some(id) = can_id(key.0).filter(|_| is_orphan) {
                let text = format!("{keyword} for a signal {} that message {id} does not have", key.1);
                findings.note(lines.get(at).copied(), text);
            }
            is_orphan
        };
        let mut references = Self::default();
        for (at, entry) in dbc.value_descriptions.iter().enumerate() {
            let ValueDescription::Signal { message_id, name, value_descriptions } = entry else { continue };
            if !orphan("VAL_", &scan.values, at, (*message_id, name)) {
                references.labels.entry((*message_id, name)).or_default().extend(value_descriptions);
            }
        }
        for (at, entry) in dbc.signal_extended_value_type_list.iter().enumerate() {
            let key = (entry.message_id, entry.signal_name.as_str());
            if !orphan("SIG_VALTYPE_", &scan.value_types, at, key) {
                references.value_types.insert(key, entry.signal_extended_value_type);
            }
        }
        for (at, entry) in dbc.extended_multiplex.iter().enumerate() {
            let key = (entry.message_id, entry.signal_name.as_str());
            if !orphan("SG_MUL_VAL_", &scan.mux_ranges, at, key) {
                references.mux_ranges.entry(key).or_default().push(entry);
            }
        }
        references
    }

    /// Labels sorted by value; of several for one value the last counts.
    pub(super) fn labels(&self, id: MessageId, signal: &str) -> Vec<(i64, String)> {
        let entries = self.labels.get(&(id, signal)).map(Vec::as_slice).unwrap_or_default();
        let mut labels: Vec<_> =
            entries.iter().rev().map(|entry| (entry.id, unescaped(&entry.description))).collect();
        labels.sort_by_key(|(value, _)| *value);
        labels.dedup_by_key(|(value, _)| *value);
        labels
    }

    pub(super) fn value_type(&self, id: MessageId, signal: &str) -> Option<SignalExtendedValueType> {
        self.value_types.get(&(id, signal)).copied()
    }

    /// The signal's `SG_MUL_VAL_` statements in the order of the file.
    pub(super) fn mux_ranges<'b>(&'b self, id: MessageId, signal: &'b str) -> &'b [&'b ExtendedMultiplex] {
        self.mux_ranges.get(&(id, signal)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The identifier of a message; `None` for one that no frame can have, which has its own finding.
fn can_id(id: MessageId) -> Option<CanId> {
    match id {
        MessageId::Standard(id) => CanId::standard(id),
        MessageId::Extended(id) => CanId::extended(id),
    }
}

/// A quoted text without the backslashes in front of its quotes.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"")
}
