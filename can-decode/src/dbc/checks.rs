//! What is legal DBC text and still likely a mistake in a message.

use alloc::format;
use alloc::vec::Vec;

use super::Findings;
use crate::database::MessageDefinition;
use crate::extract::{ByteOrder, Extractor};
use crate::frame::FD_LEN_MAX;
use crate::signal::Signal;
use crate::trace::TraceContext;

/// Payload bits, 64 a word.
type Bits = [u64; FD_LEN_MAX / 8];

/// Reports signals beyond the declared length, overlaps, scalings that lose the value, and a misplaced trace context
/// (which is taken out).
pub(super) fn check(message: &mut MessageDefinition, lines: &[Option<u32>], findings: &mut Findings) {
    let bits: Vec<Bits> = message
        .signals
        .iter()
        .map(|signal| Extractor::occupied(signal.start_bit, signal.bits, signal.byte_order))
        .collect();
    for (at, signal) in message.signals.iter().enumerate() {
        let line = lines.get(at).copied().flatten();
        let what = format!("signal {} of message {}", signal.name, message.name);
        let end =
            Extractor::new(signal.start_bit, signal.bits, signal.byte_order, false).map_or(0, |e| e.end());
        if end > usize::from(message.len) {
            let len = message.len;
            findings.warn(line, format!("{what} ends in byte {end}, beyond the declared {len} bytes"));
        }
        if signal.factor == 0.0 {
            findings.warn(line, format!("{what} has factor 0: its physical value never changes"));
        }
        if !signal.factor.is_finite() || !signal.offset.is_finite() {
            findings.warn(line, format!("{what} has a factor or offset too large for a number"));
        }
        let mut earlier = message.signals.iter().zip(&bits).take(at);
        let overlap = earlier.find(|(other, taken)| {
            intersect(taken, &bits[at]) && !exclude_each_other(&message.signals, signal, other)
        });
        if let Some((other, _)) = overlap {
            findings.warn(line, format!("{what} overlaps {}", other.name));
        }
    }
    check_trace_context(message, &bits, findings);
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
        branches(signals, b).any(|b| {
            let disjoint = |x: &(u64, u64)| b.ranges.iter().all(|y| x.1 < y.0 || y.1 < x.0);
            a.multiplexor == b.multiplexor && a.ranges.iter().all(disjoint)
        })
    })
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
