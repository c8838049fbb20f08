//! The attributes (`BA_`, `BA_DEF_`, `BA_DEF_DEF_`) that bear on decoding.

use alloc::string::{String, ToString};
use std::collections::HashMap;

use can_dbc::{AttributeDefinition, AttributeValue, AttributeValueType, Dbc, MessageId};

/// `VFrameFormat`: what kind of frame a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameFormat {
    Classic,
    Fd,
    J1939,
}

/// Attribute values by what they belong to; of several for the same object the last counts.
pub(super) struct Attributes<'a> {
    messages: HashMap<(&'a str, MessageId), &'a AttributeValue>,
    signal_long_names: HashMap<(MessageId, &'a str), &'a str>,
    network: HashMap<&'a str, &'a AttributeValue>,
    defaults: HashMap<&'a str, &'a AttributeValue>,
    /// Texts of enumerated message attributes.
    enums: HashMap<&'a str, &'a [String]>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(dbc: &'a Dbc) -> Self {
        let messages = dbc.attribute_values_message.iter();
        let signals =
            dbc.attribute_values_signal.iter().filter(|entry| entry.name == "SystemSignalLongSymbol");
        let enums = dbc.attribute_definitions.iter().filter_map(|definition| match definition {
            AttributeDefinition::Message(name, AttributeValueType::Enum(texts)) => {
                Some((name.as_str(), &texts[..]))
            }
            _ => None,
        });
        Self {
            messages: messages.map(|entry| ((entry.name.as_str(), entry.message_id), &entry.value)).collect(),
            signal_long_names: signals
                .filter_map(|entry| {
                    Some(((entry.message_id, entry.signal_name.as_str()), text(&entry.value)?))
                })
                .collect(),
            network: dbc
                .attribute_values_database
                .iter()
                .map(|entry| (entry.name.as_str(), &entry.value))
                .collect(),
            defaults: dbc
                .attribute_defaults
                .iter()
                .map(|entry| (entry.name.as_str(), &entry.value))
                .collect(),
            enums: enums.collect(),
        }
    }

    /// `VFrameFormat` of a message or by default; `None` where the file does not say, or says something unknown.
    pub(super) fn frame_format(&self, id: MessageId) -> Option<FrameFormat> {
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
    pub(super) fn cycle_time_ms(&self, id: MessageId) -> Option<u32> {
        let cycle = whole(self.message("GenMsgCycleTime", id)?)?;
        u32::try_from(cycle).ok().filter(|cycle| *cycle > 0)
    }

    /// `TraceContextOffset` of just this message. A default is not asked for: tools write one for every attribute,
    /// and it must not put a context into every message.
    pub(super) fn trace_context_offset(&self, id: MessageId) -> Option<u64> {
        self.messages.get(&("TraceContextOffset", id)).and_then(|value| whole(value))
    }

    pub(super) fn message_long_name(&self, id: MessageId) -> Option<String> {
        let name = text(self.messages.get(&("SystemMessageLongSymbol", id))?)?;
        Some(name.to_string())
    }

    pub(super) fn signal_long_name(&self, id: MessageId, signal: &str) -> Option<String> {
        self.signal_long_names.get(&(id, signal)).map(|name| (*name).to_string())
    }

    fn message(&self, name: &'static str, id: MessageId) -> Option<&'a AttributeValue> {
        self.messages.get(&(name, id)).or_else(|| self.defaults.get(name)).copied()
    }
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
fn text(value: &AttributeValue) -> Option<&str> {
    match value {
        AttributeValue::String(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// A number that is not negative, rounded to a whole one, also where it is written as text.
fn whole(value: &AttributeValue) -> Option<u64> {
    match value {
        AttributeValue::Uint(number) => Some(*number),
        AttributeValue::Int(number) => u64::try_from(*number).ok(),
        AttributeValue::Double(number) => (*number >= 0.0).then(|| number.round() as u64),
        AttributeValue::String(text) => text.trim().parse().ok(),
    }
}
