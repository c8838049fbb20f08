//! From parsed statements to message definitions.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::collections::HashSet;

use super::attributes::{Attributes, FrameFormat};
use super::by_signal::BySignal;
use super::checks::Checks;
use super::grammar::MessageText;
use super::references::can_id;
use super::signals::{self, Sources};
use super::statements::Statements;
use super::{Findings, counters};
use crate::database::MessageDefinition;
use crate::frame::{CanId, FD_LEN_MAX};
use crate::table::MESSAGES_MAX;

/// Holds the signals that belong to no message; some tools always write it.
const NO_MESSAGE: &str = "VECTOR__INDEPENDENT_SIG_MSG";

/// All messages that frames can be, with findings for everything else. The error is a line and a sentence.
pub(super) fn convert(
    statements: &Statements<'_>,
    findings: &mut Findings,
) -> Result<Vec<MessageDefinition>, (u32, String)> {
    let sources = Sources {
        attributes: Attributes::new(&statements.attributes),
        by_signal: BySignal::new(&statements.references),
    };
    let mut messages = Vec::with_capacity(statements.messages.len());
    let (mut ids, mut checks) = (HashSet::new(), Checks::new());
    for text in &statements.messages {
        if messages.len() == MESSAGES_MAX {
            findings.left_out(Some(text.line), format!("messages after the first {MESSAGES_MAX}"));
            return Ok(messages);
        }
        let parsed = text.parse()?;
        let Some(id) = identifier(&parsed, text, findings) else { continue };
        if !ids.insert(id) {
            let sentence = format!("message {}: an earlier message has its identifier {id} too", parsed.name);
            findings.left_out(Some(text.line), sentence);
            sources.by_signal.skip(id, &text.signals);
            continue;
        }
        let (mut message, lines) = definition(parsed, id, text, &sources, findings);
        checks.check(&mut message, &lines, findings);
        messages.push(message);
    }
    sources.by_signal.report_orphans(findings);
    Ok(messages)
}

/// The identifier that frames of a message have, if any can be one of it.
fn identifier(parsed: &can_dbc::Message, text: &MessageText<'_>, findings: &mut Findings) -> Option<CanId> {
    let line = Some(text.line);
    let name = &parsed.name;
    if name == NO_MESSAGE {
        if !parsed.signals.is_empty() {
            findings.note(line, format!("signals of {name} belong to no message and are not decoded"));
        }
        return None;
    }
    let Some(number) = text.number else {
        findings.left_out(line, format!("message {name}: its identifier is beyond 64 bits"));
        return None;
    };
    let Some(id) = can_id(number) else {
        findings.left_out(line, format!("message {name}: identifier {number} is beyond 29 bits"));
        return None;
    };
    if id.is_extended() && number & u64::from(CanId::EXTENDED_BIT) == 0 {
        let sentence =
            format!("message {name}: identifier {number} is above 0x7FF without bit 31; taken as 29-bit");
        findings.warn(line, sentence);
    }
    Some(id)
}

/// The message, not checked yet, and the lines of its signals.
fn definition(
    parsed: can_dbc::Message,
    id: CanId,
    text: &MessageText<'_>,
    sources: &Sources<'_>,
    findings: &mut Findings,
) -> (MessageDefinition, Vec<u32>) {
    let attributes = &sources.attributes;
    let format = attributes.frame_format(id);
    let by_network = format.is_none() && attributes.is_j1939_network();
    let j1939 = id.is_extended() && (format == Some(FrameFormat::J1939) || by_network);
    let len = u16::try_from(parsed.size).unwrap_or(u16::MAX);
    let needs_fd = len > 8 && usize::from(len) <= FD_LEN_MAX && !j1939;
    if usize::from(len) > FD_LEN_MAX && !j1939 {
        let sentence = format!("message {}: {} bytes are more than a frame holds", parsed.name, parsed.size);
        findings.warn(Some(text.line), sentence);
    }
    let (signals, lines) =
        signals::convert((id, &parsed.name), parsed.signals, &text.signals, sources, findings);
    let mut message = MessageDefinition {
        name: parsed.name,
        long_name: attributes.message_long_name(id),
        id,
        len,
        fd: format == Some(FrameFormat::Fd) || needs_fd,
        j1939,
        // An offset beyond a byte stays beyond every payload.
        trace_context_offset: attributes
            .trace_context_offset(id)
            .map(|offset| u8::try_from(offset).unwrap_or(u8::MAX)),
        cycle_time_ms: attributes.cycle_time_ms(id),
        e2e: None,
        alive_counter: counters::alive_counter(&signals, |signal| {
            attributes.is_message_counter((id, signal))
        }),
        sender: parsed.transmitter,
        line: Some(text.line),
        signals,
    };
    match attributes.protections.of(id, &message) {
        Ok(protection) => message.e2e = protection,
        Err(reason) => {
            let sentence = format!("end-to-end protection of message {}: {reason}", message.name);
            findings.left_out(Some(text.line), sentence);
        }
    }
    (message, lines)
}
