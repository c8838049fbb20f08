//! From parsed statements to message definitions.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::collections::HashSet;

use can_dbc::{Dbc, MessageId, NumericValue, SignalExtendedValueType, ValueType};

use super::attributes::{Attributes, FrameFormat};
use super::multiplex::{self, Unresolved};
use super::references::{References, unescaped};
use super::scan::{IMPOSSIBLE_ID, MessageMark, Scan, can_id};
use super::{Findings, SIGNALS_PER_MESSAGE_MAX, checks};
use crate::database::MessageDefinition;
use crate::extract::ByteOrder;
use crate::frame::{CanId, FD_LEN_MAX};
use crate::signal::{Signal, ValueKind};

/// Holds the signals that belong to no message; some tools always write it.
const NO_MESSAGE: &str = "VECTOR__INDEPENDENT_SIG_MSG";

/// All messages that frames can be, with findings for everything else.
pub(super) fn convert(dbc: &Dbc, scan: &Scan, findings: &mut Findings) -> Vec<MessageDefinition> {
    let attributes = Attributes::new(dbc);
    let references = References::new(dbc, scan, findings);
    let mut converter = Converter { attributes: &attributes, references: &references, findings };
    let mut messages = Vec::with_capacity(dbc.messages.len());
    let mut ids = HashSet::new();
    let mut signals_before = 0;
    for (at, parsed) in dbc.messages.iter().enumerate() {
        let mark = scan.messages.get(at).copied().unwrap_or_default();
        let lines = scan.signals.get(signals_before..).unwrap_or_default();
        signals_before += parsed.signals.len();
        let Some(id) = converter.identifier(parsed, mark) else { continue };
        if !ids.insert(id) {
            let text = format!("message {}: an earlier message has its identifier {id} too", parsed.name);
            converter.findings.left_out(Some(mark.line), text);
            continue;
        }
        messages.push(converter.message(parsed, id, mark.line, lines));
    }
    messages
}

/// Line from which on the parser's messages are not those the scan has marked: one of them began in mid-line, where the
/// scan did not see its identifier, and a wrong identifier must not pass.
pub(super) fn first_unmarked(dbc: &Dbc, scan: &Scan) -> Option<u32> {
    let id_of = |mark: &MessageMark| match mark.id.and_then(can_id) {
        Some(CanId::Standard(id)) => MessageId::Standard(id),
        Some(CanId::Extended(id)) => MessageId::Extended(id),
        None => MessageId::Standard(IMPOSSIBLE_ID),
    };
    let pairs = scan.messages.iter().zip(&dbc.messages);
    let agreeing = pairs.take_while(|(mark, parsed)| id_of(mark) == parsed.id).count();
    if agreeing == dbc.messages.len() && agreeing == scan.messages.len() {
        return None;
    }
    let last_agreeing = agreeing.checked_sub(1).and_then(|at| scan.messages.get(at));
    Some(last_agreeing.map_or(1, |mark| mark.line))
}

struct Converter<'a> {
    attributes: &'a Attributes<'a>,
    references: &'a References<'a>,
    findings: &'a mut Findings,
}

impl Converter<'_> {
    fn identifier(&mut self, parsed: &can_dbc::Message, mark: MessageMark) -> Option<CanId> {
        let line = Some(mark.line);
        let name = &parsed.name;
        if name == NO_MESSAGE {
            if !parsed.signals.is_empty() {
                self.findings
                    .note(line, format!("signals of {name} belong to no message and are not decoded"));
            }
            return None;
        }
        let Some(number) = mark.id else {
            self.findings.left_out(line, format!("message {name}: its identifier is beyond 64 bits"));
            return None;
        };
        let Some(id) = can_id(number) else {
            let text = format!("message {name}: identifier {number} is beyond 29 bits");
            self.findings.left_out(line, text);
            return None;
        };
        if id.is_extended() && number & u64::from(CanId::EXTENDED_BIT) == 0 {
            let text =
                format!("message {name}: identifier {number} is above 0x7FF without bit 31; taken as 29-bit");
            self.findings.warn(line, text);
        }
        Some(id)
    }

    fn message(
        &mut self,
        parsed: &can_dbc::Message,
        id: CanId,
        line: u32,
        lines: &[u32],
    ) -> MessageDefinition {
        let format = self.attributes.frame_format(parsed.id);
        let by_network = format.is_none() && self.attributes.is_j1939_network();
        let j1939 = id.is_extended() && (format == Some(FrameFormat::J1939) || by_network);
        let len = u16::try_from(parsed.size).unwrap_or(u16::MAX);
        let needs_fd = len > 8 && usize::from(len) <= FD_LEN_MAX && !j1939;
        if usize::from(len) > FD_LEN_MAX && !j1939 {
            let text = format!("message {}: {} bytes are more than a frame holds", parsed.name, parsed.size);
            self.findings.warn(Some(line), text);
        }
        let (signals, lines) = self.signals(parsed, lines);
        let mut message = MessageDefinition {
            name: parsed.name.clone(),
            long_name: self.attributes.message_long_name(parsed.id),
            id,
            len,
            fd: format == Some(FrameFormat::Fd) || needs_fd,
            j1939,
            // An offset beyond a byte stays beyond every payload.
            trace_context_offset: self
                .attributes
                .trace_context_offset(parsed.id)
                .map(|offset| u8::try_from(offset).unwrap_or(u8::MAX)),
            cycle_time_ms: self.attributes.cycle_time_ms(parsed.id),
            sender: parsed.transmitter.clone(),
            line: Some(line),
            signals,
        };
        checks::check(&mut message, &lines, self.findings);
        message
    }

    /// The signals that can be decoded, and their lines.
    fn signals(&mut self, parsed: &can_dbc::Message, lines: &[u32]) -> (Vec<Signal>, Vec<Option<u32>>) {
        let references = self.references;
        let mut names = HashSet::new();
        let mut unresolved = Vec::new();
        for (at, signal) in parsed.signals.iter().enumerate() {
            let line = lines.get(at).copied();
            if unresolved.len() == SIGNALS_PER_MESSAGE_MAX {
                let text =
                    format!("message {}: signals after the first {SIGNALS_PER_MESSAGE_MAX}", parsed.name);
                self.findings.left_out(line, text);
                break;
            }
            let converted = match self.signal(parsed.id, signal) {
                Ok(converted) => converted,
                Err(reason) => {
                    let text = format!("signal {} of message {}: {reason}", signal.name, parsed.name);
                    self.findings.left_out(line, text);
                    continue;
                }
            };
            let name = unused_name(&names, &signal.name);
            if name != signal.name {
                let text =
                    format!("message {}: the second signal {} is called {name}", parsed.name, signal.name);
                self.findings.warn(line, text);
            }
            names.insert(name.clone());
            let ranges = references.mux_ranges(parsed.id, &signal.name);
            let signal_named = Signal { name, ..converted };
            unresolved.push(Unresolved {
                signal: signal_named,
                indicator: signal.multiplexer_indicator,
                ranges,
                line,
            });
        }
        let resolved = multiplex::resolve(unresolved);
        for multiplex::Unreachable { name, line, text } in resolved.unreachable {
            self.findings.left_out(line, format!("signal {name} of message {}: {text}", parsed.name));
        }
        resolved.signals.into_iter().unzip()
    }

    /// A signal without its branch, or why it cannot be decoded.
    fn signal(&self, id: MessageId, parsed: &can_dbc::Signal) -> Result<Signal, String> {
        let byte_order = match parsed.byte_order {
            can_dbc::ByteOrder::LittleEndian => ByteOrder::Intel,
            can_dbc::ByteOrder::BigEndian => ByteOrder::Motorola,
        };
        if !(1..=64).contains(&parsed.size) {
            return Err(format!("it has {} bits; 1 to 64 can be decoded", parsed.size));
        }
        let (start_bit, bits) = checks::place(parsed.start_bit, parsed.size, byte_order)
            .ok_or_else(|| format!("start bit {} puts it outside of 64 bytes", parsed.start_bit))?;
        Ok(Signal {
            name: parsed.name.clone(),
            long_name: self.attributes.signal_long_name(id, &parsed.name),
            unit: unescaped(&parsed.unit),
            start_bit,
            bits,
            byte_order,
            kind: self.kind(id, parsed)?,
            factor: parsed.factor,
            offset: parsed.offset,
            min: float(parsed.min),
            max: float(parsed.max),
            labels: self.references.labels(id, &parsed.name),
            is_multiplexor: false,
            branch: None,
        })
    }

    fn kind(&self, id: MessageId, parsed: &can_dbc::Signal) -> Result<ValueKind, String> {
        use SignalExtendedValueType::{IEEEdouble64bit, IEEEfloat32Bit, SignedOrUnsignedInteger};
        match (self.references.value_type(id, &parsed.name), parsed.size) {
            (Some(IEEEfloat32Bit), 32) => Ok(ValueKind::F32),
            (Some(IEEEdouble64bit), 64) => Ok(ValueKind::F64),
            (Some(IEEEfloat32Bit | IEEEdouble64bit), bits) => {
                Err(format!("SIG_VALTYPE_ makes it a floating point number, which {bits} bits cannot be"))
            }
            (None | Some(SignedOrUnsignedInteger), _) => Ok(match parsed.value_type {
                ValueType::Signed => ValueKind::Signed,
                ValueType::Unsigned => ValueKind::Unsigned,
            }),
        }
    }
}

/// `name`, or the first of `name__2`, `name__3`, ... that is not in `names`.
fn unused_name(names: &HashSet<String>, name: &str) -> String {
    if !names.contains(name) {
        return name.to_string();
    }
    // One more candidate than there are names, so one of them is free.
    let mut candidates = (2..names.len() + 3).map(|count| format!("{name}__{count}"));
    candidates.find(|candidate| !names.contains(candidate)).unwrap_or_default()
}

fn float(value: NumericValue) -> f64 {
    match value {
        NumericValue::Uint(number) => number as f64,
        NumericValue::Int(number) => number as f64,
        NumericValue::Double(number) => number,
    }
}
