//! A signal database as plain data: what a DBC file says, resolved and checked, before it is compiled.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::e2e;
use crate::frame::CanId;
use crate::signal::Signal;

/// The messages of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// The name it was read under, usually the file's; findings use it.
    pub name: String,
    /// Messages in the order of the file.
    pub messages: Vec<MessageDefinition>,
    /// What the file's author wrote about them.
    pub comments: Comments,
}

/// Comments of a file (`CM_`). They are for people and often as large as the rest, so that the compiled table has
/// none of them: a service that drops the database once it is compiled pays nothing for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// On the file or its bus.
    pub file: Option<String>,
    /// On messages, also on some that the file does not define.
    pub messages: BTreeMap<CanId, String>,
    /// On signals by message and the name in the file, also on some that the file does not define.
    pub signals: BTreeMap<CanId, BTreeMap<String, String>>,
}

impl Comments {
    /// The comment on a message.
    pub fn message(&self, id: CanId) -> Option<&str> {
        self.messages.get(&id).map(String::as_str)
    }

    /// The comment on a signal.
    pub fn signal(&self, id: CanId, signal: &str) -> Option<&str> {
        self.signals.get(&id)?.get(signal).map(String::as_str)
    }
}

/// One message as it was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageDefinition {
    /// The short name (`BO_`).
    pub name: String,
    /// `SystemMessageLongSymbol`, where it is given.
    pub long_name: Option<String>,
    /// Identifier, with its number space.
    pub id: CanId,
    /// Declared length in bytes. Above 64 (and above 8 on classical J1939 buses) it takes a transport protocol.
    pub len: u16,
    /// Whether the file says CAN-FD (`VFrameFormat`), or the length needs it.
    pub fd: bool,
    /// Whether the file says SAE J1939 (`VFrameFormat`, `ProtocolType`): the message is a parameter group.
    pub j1939: bool,
    /// Byte offset of the 25-byte trace context in the payload (`TraceContextOffset`).
    pub trace_context_offset: Option<u8>,
    /// Cycle time in milliseconds (`GenMsgCycleTime`); `None` for 0 and where nothing is said.
    pub cycle_time_ms: Option<u32>,
    /// End-to-end protection (`E2EProfile` and others), its parameters checked.
    pub e2e: Option<e2e::Config>,
    /// Index of the signal that may be the alive counter, by `SigType` or by its name.
    pub alive_counter: Option<usize>,
    /// Sending node, where one is named.
    pub sender: Option<String>,
    /// Line of the definition in its file, from 1.
    pub line: Option<u32>,
    /// Signals in the order of the file, their names unique.
    pub signals: Vec<Signal>,
}
