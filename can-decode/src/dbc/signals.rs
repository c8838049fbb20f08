//! From parsed signals, and what the file says of them elsewhere, to the signals of a message.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::collections::{HashMap, HashSet};

use can_dbc::NumericValue;

use super::attributes::Attributes;
use super::by_signal::{BySignal, Said};
use super::grammar::SignalLine;
use super::multiplex::{self, Unresolved};
use super::references::{SignalKey, ValueType, unescaped};
use super::{Findings, SIGNALS_PER_MESSAGE_MAX, checks};
use crate::extract::ByteOrder;
use crate::frame::CanId;
use crate::signal::{Signal, ValueKind};

/// What is said of signals outside of their messages.
pub(super) struct Sources<'a> {
    pub(super) attributes: Attributes<'a>,
    pub(super) by_signal: BySignal<'a>,
}

/// The signals of message `name` that can be decoded, and their lines.
pub(super) fn convert(
    (id, message): (CanId, &str),
    parsed: Vec<can_dbc::Signal>,
    lines: &[SignalLine<'_>],
    sources: &Sources<'_>,
    findings: &mut Findings,
) -> (Vec<Signal>, Vec<u32>) {
    let mut names = Names::default();
    let mut unresolved = Vec::with_capacity(parsed.len());
    for (signal, SignalLine { line, name: in_file }) in parsed.into_iter().zip(lines) {
        let key = (id, *in_file);
        let said = sources.by_signal.said(key);
        let converted = match sources.signal(key, &signal, said, findings) {
            Ok(converted) => converted,
            Err(reason) => {
                let text = format!("signal {in_file} of message {message}: {reason}");
                findings.left_out(Some(*line), text);
                continue;
            }
        };
        let name = names.unused(signal.name, in_file);
        if name != *in_file {
            let text = format!("message {message}: the second signal {in_file} is called {name}");
            findings.warn(Some(*line), text);
        }
        unresolved.push(Unresolved {
            indicator: signal.multiplexer_indicator,
            ranges: said.map(|said| said.mux_ranges.as_slice()).unwrap_or_default(),
            signal: Signal { name, ..converted },
            line: *line,
        });
    }
    if let Some(beyond) = lines.get(SIGNALS_PER_MESSAGE_MAX) {
        let text = format!("message {message}: signals after the first {SIGNALS_PER_MESSAGE_MAX}");
        findings.left_out(Some(beyond.line), text);
        sources.by_signal.skip(id, lines);
    }
    let resolved = multiplex::resolve(unresolved);
    for multiplex::Unreachable { name, line, text } in resolved.unreachable {
        findings.left_out(Some(line), format!("signal {name} of message {message}: {text}"));
    }
    resolved.signals.into_iter().unzip()
}

impl Sources<'_> {
    /// A signal without its name and branch, or why it cannot be decoded.
    fn signal(
        &self,
        key: SignalKey<'_>,
        parsed: &can_dbc::Signal,
        said: Option<&Said<'_>>,
        findings: &mut Findings,
    ) -> Result<Signal, String> {
        let byte_order = match parsed.byte_order {
            can_dbc::ByteOrder::LittleEndian => ByteOrder::Intel,
            can_dbc::ByteOrder::BigEndian => ByteOrder::Motorola,
        };
        if !(1..=64).contains(&parsed.size) {
            return Err(format!("it has {} bits; 1 to 64 can be decoded", parsed.size));
        }
        let (start_bit, bits) = checks::place(parsed.start_bit, parsed.size, byte_order)
            .ok_or_else(|| format!("start bit {} puts it outside of 64 bytes", parsed.start_bit))?;
        let kind = kind(said.and_then(|said| said.value_type), parsed)?;
        Ok(Signal {
            name: String::new(),
            long_name: self.attributes.signal_long_name(key),
            unit: unescaped(&parsed.unit),
            start_bit,
            bits,
            byte_order,
            kind,
            factor: parsed.factor,
            offset: parsed.offset,
            min: float(parsed.min),
            max: float(parsed.max),
            start_value: self.attributes.start_value(key).filter(|value| is_raw_value(*value, kind, bits)),
            spn: self.attributes.spn(key),
            labels: said.map(|said| self.by_signal.labels(said, findings)).unwrap_or_default(),
            is_multiplexor: false,
            branch: None,
        })
    }
}

fn kind(value_type: Option<ValueType>, parsed: &can_dbc::Signal) -> Result<ValueKind, String> {
    match (value_type, parsed.size) {
        (Some(ValueType::F32), 32) => Ok(ValueKind::F32),
        (Some(ValueType::F64), 64) => Ok(ValueKind::F64),
        (Some(ValueType::F32 | ValueType::F64), bits) => {
            Err(format!("SIG_VALTYPE_ makes it a floating point number, which {bits} bits cannot be"))
        }
        (None | Some(ValueType::Integer), _) => Ok(match parsed.value_type {
            can_dbc::ValueType::Signed => ValueKind::Signed,
            can_dbc::ValueType::Unsigned => ValueKind::Unsigned,
        }),
    }
}

/// Whether a signal can have a raw value at all. Tools write -2147483648 and the like where there is none.
fn is_raw_value(value: f64, kind: ValueKind, bits: u8) -> bool {
    let span = f64::from(bits).exp2();
    match kind {
        ValueKind::Unsigned => (0.0..span).contains(&value),
        ValueKind::Signed => (-span / 2.0..span / 2.0).contains(&value),
        ValueKind::F32 | ValueKind::F64 => true,
    }
}

/// Names that are taken in a message.
#[derive(Default)]
struct Names<'a> {
    taken: HashSet<Cow<'a, str>>,
    /// How often a name has come, for those that have come more than once.
    count: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// `name`, or the first of `name__2`, `name__3`, ... that is not taken; takes it. `in_file` is the same name.
    fn unused(&mut self, name: String, in_file: &'a str) -> String {
        if self.taken.insert(Cow::Borrowed(in_file)) {
            return name;
        }
        // The search goes on where the last one for this name has ended: a thousand equal names cost a thousand steps.
        let count = self.count.entry(in_file).or_insert(1);
        loop {
            *count += 1;
            let candidate = format!("{name}__{count}");
            if self.taken.insert(Cow::Owned(candidate.clone())) {
                return candidate;
            }
        }
    }
}

fn float(value: NumericValue) -> f64 {
    match value {
        NumericValue::Uint(number) => number as f64,
        NumericValue::Int(number) => number as f64,
        NumericValue::Double(number) => number,
    }
}
