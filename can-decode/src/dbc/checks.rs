//! What is legal DBC text and still likely a mistake in a message.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Findings;
use crate::database::MessageDefinition;
use crate::extract::{ByteOrder, Extractor};
use crate::frame::FD_LEN_MAX;
use crate::signal::Signal;
use crate::trace::TraceContext;

/// Comparisons of a file's signals, with each range of values counted, after which no more are made: some tenths of a
/// second. Of 130 real files one takes 450,000, the others fewer than 300,000.
const OVERLAP_STEPS_MAX: usize = 10_000_000;

/// Payload bits, 64 a word.
type Bits = [u64; FD_LEN_MAX / 8];

/// Checks messages one after the other.
pub(super) struct Checks {
    overlap_steps_left: usize,
}

impl Checks {
    pub(super) const fn new() -> Self {
        Self { overlap_steps_left: OVERLAP_STEPS_MAX }
    }

    /// Reports signals beyond the declared length, overlaps, scalings that lose the value, and a misplaced trace
    /// context (which is taken out).
    pub(super) fn check(&mut self, message: &mut MessageDefinition, lines: &[u32], findings: &mut Findings) {
        let occupied =
            |signal: &Signal| Extractor::occupied(signal.start_bit, signal.bits, signal.byte_order);
        let bits: Vec<Bits> = message.signals.iter().map(occupied).collect();
        for (signal, line) in message.signals.iter().zip(lines) {
            check_signal(message, signal, *line, findings);
        }
        self.check_overlaps(message, &bits, lines, findings);
        check_trace_context(message, &bits, findings);
    }

    /// Reports each signal that shares bits with an earlier one while both are present.
    fn check_overlaps(
        &mut self,
        message: &MessageDefinition,
        bits: &[Bits],
        lines: &[u32],
        findings: &mut Findings,
    ) {
        let signals = &message.signals;
        let mut taken = Bits::default();
        for (at, ((signal, own), line)) in signals.iter().zip(bits).zip(lines).enumerate() {
            let is_shared = intersect(&taken, own);
            taken.iter_mut().zip(own).for_each(|(taken, own)| *taken |= own);
            for (other, others) in signals.iter().zip(bits).take(if is_shared { at } else { 0 }) {
                let steps = 1 + range_count(signal) + range_count(other);
                let Some(left) = self.overlap_steps_left.checked_sub(steps) else {
                    let name = &message.name;
                    let text =
                        format!("message {name}: not checked for overlaps; the file has too many signals");
                    findings.note(message.line, text);
                    return;
                };
                self.overlap_steps_left = left;
                if intersect(others, own) && !exclude_each_other(signals, signal, other) {
                    let what = described(message, signal);
                    findings.warn(Some(*line), format!("{what} overlaps {}", other.name));
                    break;
                }
            }
        }
    }
}

fn check_signal(message: &MessageDefinition, signal: &Signal, line: u32, findings: &mut Findings) {
    let end = Extractor::new(signal.start_bit, signal.bits, signal.byte_order, false).map_or(0, |e| e.end());
    if end > usize::from(message.len) {
        let (what, len) = (described(message, signal), message.len);
        findings.warn(Some(line), format!("{what} ends in byte {end}, beyond the declared {len} bytes"));
    }
    if signal.factor == 0.0 {
        let what = described(message, signal);
        findings.warn(Some(line), format!("{what} has factor 0: its physical value never changes"));
    }
    if !signal.factor.is_finite() || !signal.offset.is_finite() {
        let what = described(message, signal);
        findings.warn(Some(line), format!("{what} has a factor or offset too large for a number"));
    }
}

fn described(message: &MessageDefinition, signal: &Signal) -> String {
    format!("signal {} of message {}", signal.name, message.name)
}

/// How many ranges of values it takes to know whether a signal is present.
fn range_count(signal: &Signal) -> usize {
    signal.branch.as_ref().map_or(0, |branch| branch.ranges.len())
}

fn check_trace_context(message: &mut MessageDefinition, bits: &[Bits], findings: &mut Findings) {
    let Some(offset) = message.trace_context_offset else { return };
    let name = &message.name;
    let end = usize::from(offset) + TraceContext::WIRE_LEN;
    if end > usize::from(message.len).min(FD_LEN_MAX) {
        let len = message.len;
        let text =
            format!("TraceContextOffset {offset} of message {name}: 25 bytes do not fit in its {len} bytes");
        findings.left_out(message.line, text);
        message.trace_context_offset = None;
        return;
    }
    let mut context = Bits::default();
    for byte in usize::from(offset)..end {
        context[byte / 8] |= 0xFF << (byte % 8 * 8);
    }
    for (signal, _) in message.signals.iter().zip(bits).filter(|(_, taken)| intersect(taken, &context)) {
        findings.warn(
            message.line,
            format!("signal {} of message {name} overlaps its trace context", signal.name),
        );
    }
}

fn intersect(a: &Bits, b: &Bits) -> bool {
    a.iter().zip(b).any(|(a, b)| a & b != 0)
}

/// Whether two signals are in branches that are never active together.
fn exclude_each_other(signals: &[Signal], a: &Signal, b: &Signal) -> bool {
    branches(signals, a).any(|a| {
        branches(signals, b).any(|b| a.multiplexor == b.multiplexor && are_disjoint(&a.ranges, &b.ranges))
    })
}

/// Whether no value is in both of two lists of ranges, each in ascending order.
fn are_disjoint(mut a: &[(u64, u64)], mut b: &[(u64, u64)]) -> bool {
    while let ([first, a_rest @ ..], [other, b_rest @ ..]) = (a, b) {
        if first.1 < other.0 {
            a = a_rest;
        } else if other.1 < first.0 {
            b = b_rest;
        } else {
            return false;
        }
    }
    true
}

/// The branch a signal is in, the branch its multiplexor is in, and so on.
fn branches<'a>(
    signals: &'a [Signal],
    signal: &'a Signal,
) -> impl Iterator<Item = &'a crate::signal::Branch> {
    let outer = |branch: &&crate::signal::Branch| signals.get(branch.multiplexor)?.branch.as_ref();
    core::iter::successors(signal.branch.as_ref(), outer)
}

/// Whether the bits of a signal lie in a payload of 64 bytes at all.
pub(super) fn place(start: u64, bits: u64, order: ByteOrder) -> Option<(u16, u8)> {
    let (start, bits) = (u16::try_from(start).ok()?, u8::try_from(bits).ok()?);
    Extractor::new(start, bits, order, false).map(|_| (start, bits))
}
