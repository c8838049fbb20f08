//! End-to-end protection, where a file's attributes name it.
//!
//! DBC has no standard names for it. These are the ones in use (`E2EProfile`, `E2EDataId`, `E2EDataLength`,
//! `E2ECounterOffset`, `E2ECRCOffset`, `E2ECounterSignal`, `E2ECrcSignal`, and with underscores `E2E_DataID`,
//! `E2E_MaxDeltaCounter`), and AUTOSAR's names for what those leave out. Case and underscores do not matter. They belong to
//! a message, or to the signal with which a protected group begins: its checksum.
//!
//! A message is protected when it has a Data ID or a profile of its own. Defaults fill in what it leaves out, but never
//! the Data ID: one that all messages share identifies none.

mod reader;

use alloc::string::String;
use alloc::vec::Vec;
use std::collections::HashMap;

use super::attribute_statements::{AttributeStatements, AttributeValue};
use crate::database::MessageDefinition;
use crate::e2e::Config;
use crate::frame::CanId;
use reader::Reader;

/// What an attribute says about a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Parameter {
    Profile,
    DataId,
    DataIdList,
    DataIdMode,
    DataLength,
    Offset,
    CrcOffset,
    CounterOffset,
    DataIdNibbleOffset,
    CrcSignal,
    CounterSignal,
    MaxDeltaCounter,
    MaxNoNewOrRepeatedData,
    SyncCounter,
}

const NAMES: [(&str, Parameter); 19] = [
    ("e2eprofile", Parameter::Profile),
    ("e2edataid", Parameter::DataId),
    ("e2edataidlist", Parameter::DataIdList),
    ("e2edataidmode", Parameter::DataIdMode),
    ("e2edatalength", Parameter::DataLength),
    ("e2eoffset", Parameter::Offset),
    ("e2ecrcoffset", Parameter::CrcOffset),
    ("e2ecounteroffset", Parameter::CounterOffset),
    ("e2edataidnibbleoffset", Parameter::DataIdNibbleOffset),
    ("e2ecrcsignal", Parameter::CrcSignal),
    ("e2echecksumsignal", Parameter::CrcSignal),
    ("e2ecountersignal", Parameter::CounterSignal),
    ("e2ealivecountersignal", Parameter::CounterSignal),
    ("e2emaxdeltacounter", Parameter::MaxDeltaCounter),
    ("e2emaxdeltacounterinit", Parameter::MaxDeltaCounter),
    ("e2emaxnonewdata", Parameter::MaxNoNewOrRepeatedData),
    ("e2emaxnoneworrepeateddata", Parameter::MaxNoNewOrRepeatedData),
    ("e2esynccounter", Parameter::SyncCounter),
    ("e2esynccounterinit", Parameter::SyncCounter),
];

impl Parameter {
    fn named(name: &str) -> Option<Self> {
        // Most attributes are others: this is asked of every one of a file.
        if !name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("e2e")) {
            return None;
        }
        let plain = name.to_ascii_lowercase().replace('_', "");
        NAMES.iter().find(|(known, _)| *known == plain).map(|(_, parameter)| *parameter)
    }

    /// The name that findings give it.
    fn name(self) -> &'static str {
        match self {
            Self::Profile => "E2EProfile",
            Self::DataId => "E2EDataId",
            Self::DataIdList => "E2EDataIdList",
            Self::DataIdMode => "E2EDataIDMode",
            Self::DataLength => "E2EDataLength",
            Self::Offset => "E2EOffset",
            Self::CrcOffset => "E2ECRCOffset",
            Self::CounterOffset => "E2ECounterOffset",
            Self::DataIdNibbleOffset => "E2EDataIDNibbleOffset",
            Self::CrcSignal => "E2ECrcSignal",
            Self::CounterSignal => "E2ECounterSignal",
            Self::MaxDeltaCounter => "E2EMaxDeltaCounter",
            Self::MaxNoNewOrRepeatedData => "E2EMaxNoNewOrRepeatedData",
            Self::SyncCounter => "E2ESyncCounter",
        }
    }
}

/// A message, or the signal in it that begins a protected group.
type Owner<'a> = (CanId, Option<&'a str>);

/// The attributes of protections.
#[derive(Default)]
pub(super) struct Protections<'a> {
    values: HashMap<(Owner<'a>, Parameter), &'a AttributeValue<'a>>,
    defaults: HashMap<Parameter, &'a AttributeValue<'a>>,
    /// Texts of enumerated attributes.
    enums: HashMap<Parameter, &'a [&'a str]>,
    /// Signals with a Data ID of their own, in the order of the file.
    groups: HashMap<CanId, Vec<&'a str>>,
}

/// What a message's attributes say: nothing, a protection, or why they make none.
pub(super) type Declared = Result<Option<Config>, String>;

impl<'a> Protections<'a> {
    pub(super) fn new(statements: &'a AttributeStatements<'a>) -> Self {
        let mut protections = Self::default();
        for attribute in &statements.messages {
            if let Some(parameter) = Parameter::named(attribute.name) {
                protections.values.insert(((attribute.of, None), parameter), &attribute.value);
            }
        }
        for attribute in &statements.signals {
            let Some(parameter) = Parameter::named(attribute.name) else { continue };
            let (id, signal) = attribute.of;
            protections.values.insert(((id, Some(signal)), parameter), &attribute.value);
            if matches!(parameter, Parameter::DataId | Parameter::DataIdList) {
                let signals = protections.groups.entry(id).or_default();
                if !signals.contains(&signal) {
                    signals.push(signal);
                }
            }
        }
        for attribute in &statements.defaults {
            if let Some(parameter) = Parameter::named(attribute.name) {
                protections.defaults.insert(parameter, &attribute.value);
            }
        }
        for (name, texts) in &statements.enums {
            if let Some(parameter) = Parameter::named(name) {
                protections.enums.insert(parameter, texts);
            }
        }
        protections
    }

    /// The protection of a message.
    pub(super) fn of(&self, id: CanId, message: &MessageDefinition) -> Declared {
        let groups = self.groups.get(&id).map(Vec::as_slice).unwrap_or_default();
        let own = |parameter| self.values.contains_key(&((id, None), parameter));
        let (signal, is_declared) = match groups {
            _ if own(Parameter::DataId) || own(Parameter::DataIdList) => (None, true),
            [signal] => (Some(*signal), true),
            [] => (None, own(Parameter::Profile)),
            _ => {
                return Err("several signals have an E2EDataId; one group of a message can be checked".into());
            }
        };
        if !is_declared {
            return Ok(None);
        }
        let start_bytes = match signal {
            None => 0,
            Some(name) => reader::signal(message, name)?.start_bit / 8,
        };
        Reader { protections: self, owner: (id, signal), message, start_bytes }.config()
    }
}
