//! The attributes that bear on decoding.

use alloc::string::String;
use std::collections::{HashMap, HashSet};

use super::attribute_statements::{AttributeStatements, AttributeValue};
use super::protection::Protections;
use super::references::{SignalKey, unescaped};
use crate::frame::CanId;

/// `VFrameFormat`: what kind of frame a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameFormat {
    Classic,
    Fd,
    J1939,
}

/// Attribute values by what they belong to; of several for the same object the last counts.
pub(super) struct Attributes<'a> {
    network: HashMap<&'a str, &'a AttributeValue<'a>>,
    messages: HashMap<(&'a str, CanId), &'a AttributeValue<'a>>,
    /// One map for each attribute of signals: most files have few of them, and every signal is asked for all.
    long_names: HashMap<SignalKey<'a>, &'a AttributeValue<'a>>,
    start_values: HashMap<SignalKey<'a>, &'a AttributeValue<'a>>,
    spns: HashMap<SignalKey<'a>, &'a AttributeValue<'a>>,
    defaults: HashMap<&'a str, &'a AttributeValue<'a>>,
    /// Texts of enumerated attributes.
    enums: HashMap<&'a str, &'a [&'a str]>,
    /// Signals whose `SigType` says that they are message counters.
    message_counters: HashSet<SignalKey<'a>>,
    /// End-to-end protection.
    pub(super) protections: Protections<'a>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(statements: &'a AttributeStatements<'a>) -> Self {
        let AttributeStatements { network, messages, signals, defaults, enums } = statements;
        let named = |name: &str| {
            signals.iter().filter(|attribute| attribute.name == name).map(|a| (a.of, &a.value)).collect()
        };
        Self {
            network: network.iter().map(|attribute| (attribute.name, &attribute.value)).collect(),
            messages: messages.iter().map(|a| ((a.name, a.of), &a.value)).collect(),
            long_names: named("SystemSignalLongSymbol"),
            start_values: named("GenSigStartValue"),
            spns: named("SPN"),
            defaults: defaults.iter().map(|attribute| (attribute.name, &attribute.value)).collect(),
            enums: enums.iter().map(|(name, texts)| (*name, texts.as_slice())).collect(),
            message_counters: message_counters(statements),
            protections: Protections::new(statements),
        }
    }

    /// `VFrameFormat` of a message or by default; `None` where the file does not say, or says something unknown.
    pub(super) fn frame_format(&self, id: CanId) -> Option<FrameFormat> {
        // The numbers of Vector's own definition, for files that give a number and no list of texts for it.
        const BY_NUMBER: [(u64, FrameFormat); 5] = [
            (0, FrameFormat::Classic),
            (1, FrameFormat::Classic),
            (3, FrameFormat::J1939),
            (14, FrameFormat::Fd),
            (15, FrameFormat::Fd),
        ];
        const NAME: &str = "VFrameFormat";
        let value = self.message(NAME, id)?;
        let number = match value {
            AttributeValue::String(text) => return format_named(text),
            number => whole(number)?,
        };
        let texts = self.enums.get(NAME).copied().unwrap_or_default();
        match usize::try_from(number).ok().and_then(|number| texts.get(number)) {
            Some(text) => format_named(text),
            None => BY_NUMBER.iter().find(|(known, _)| *known == number).map(|(_, format)| *format),
        }
    }

    /// Whether `ProtocolType` says that the whole network is J1939.
    pub(super) fn is_j1939_network(&self) -> bool {
        let value = self.network.get("ProtocolType").or_else(|| self.defaults.get("ProtocolType"));
        value.and_then(|value| text(value)).is_some_and(|name| name.starts_with("J1939"))
    }

    /// `GenMsgCycleTime` in milliseconds; 0 and the absence of a value are `None`.
    pub(super) fn cycle_time_ms(&self, id: CanId) -> Option<u32> {
        let cycle = whole(self.message("GenMsgCycleTime", id)?)?;
        u32::try_from(cycle).ok().filter(|cycle| *cycle > 0)
    }

    /// `TraceContextOffset` of just this message. A default is not asked for: tools write one for every attribute,
    /// and it must not put a context into every message.
    pub(super) fn trace_context_offset(&self, id: CanId) -> Option<u64> {
        self.messages.get(&("TraceContextOffset", id)).and_then(|value| whole(value))
    }

    /// Whether `SigType` says that a signal is its message's counter, as J1939's template for DBC files has it.
    pub(super) fn is_message_counter(&self, key: SignalKey<'_>) -> bool {
        self.message_counters.contains(&key)
    }

    pub(super) fn message_long_name(&self, id: CanId) -> Option<String> {
        text(self.messages.get(&("SystemMessageLongSymbol", id))?).map(unescaped)
    }

    pub(super) fn signal_long_name(&self, key: SignalKey<'_>) -> Option<String> {
        text(self.long_names.get(&key)?).map(unescaped)
    }

    /// `GenSigStartValue`, a raw number.
    pub(super) fn start_value(&self, key: SignalKey<'_>) -> Option<f64> {
        match self.start_values.get(&key).or_else(|| self.defaults.get("GenSigStartValue"))? {
            AttributeValue::Uint(number) => Some(*number as f64),
            AttributeValue::Int(number) => Some(*number as f64),
            AttributeValue::Double(number) => Some(*number),
            AttributeValue::String(text) => text.trim().parse().ok(),
        }
    }

    /// `SPN`: the suspect parameter number of SAE J1939; 0 is none.
    pub(super) fn spn(&self, key: SignalKey<'_>) -> Option<u32> {
        let number = whole(self.spns.get(&key).or_else(|| self.defaults.get("SPN"))?)?;
        u32::try_from(number).ok().filter(|number| *number > 0)
    }

    fn message(&self, name: &'static str, id: CanId) -> Option<&AttributeValue<'_>> {
        self.messages.get(&(name, id)).or_else(|| self.defaults.get(name)).copied()
    }
}

fn message_counters<'a>(statements: &AttributeStatements<'a>) -> HashSet<SignalKey<'a>> {
    const NAME: &str = "SigType";
    const COUNTER: &str = "MessageCounter";
    let texts = statements.enums.iter().find(|(name, _)| *name == NAME);
    let number = texts.and_then(|(_, texts)| texts.iter().position(|text| *text == COUNTER));
    let is_counter = |value: &AttributeValue<'_>| match value {
        AttributeValue::String(text) => *text == COUNTER,
        value => number.is_some() && whole(value) == number.map(|number| number as u64),
    };
    let signals = statements.signals.iter();
    signals.filter(|attribute| attribute.name == NAME && is_counter(&attribute.value)).map(|a| a.of).collect()
}

fn format_named(name: &str) -> Option<FrameFormat> {
    match name {
        "StandardCAN" | "ExtendedCAN" => Some(FrameFormat::Classic),
        "StandardCAN_FD" | "ExtendedCAN_FD" | "StandardFD" | "ExtendedFD" => Some(FrameFormat::Fd),
        "J1939PG" => Some(FrameFormat::J1939),
        _ => None,
    }
}

/// A text that is not empty.
fn text<'a>(value: &AttributeValue<'a>) -> Option<&'a str> {
    match value {
        AttributeValue::String(text) => Some(*text).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// A number that is not negative, rounded to a whole one, also where it is written as text.
pub(super) fn whole(value: &AttributeValue<'_>) -> Option<u64> {
    match value {
        AttributeValue::Uint(number) => Some(*number),
        AttributeValue::Int(number) => u64::try_from(*number).ok(),
        AttributeValue::Double(number) => (*number >= 0.0).then(|| number.round() as u64),
        AttributeValue::String(text) => text.trim().parse().ok(),
    }
}
