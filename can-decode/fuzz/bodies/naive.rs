//! A decoder that does what the definition of a signal says, bit by bit: the one to hold the table against.

use can_decode::{ByteOrder, Frame, Raw, Signal, ValueKind};

/// Every signal that is in the payload, in order.
pub fn decode(signals: &[Signal], frame: &Frame) -> Vec<(usize, Raw)> {
    if !frame.is_data() {
        return Vec::new();
    }
    let payload = frame.data();
    let present = signals.iter().enumerate().filter(|(_, signal)| is_open(signals, signal, payload));
    present.filter_map(|(index, signal)| Some((index, Raw(raw(signal, payload)?)))).collect()
}

/// Whether all multiplexors above a signal have a value of its branch.
fn is_open(signals: &[Signal], signal: &Signal, payload: &[u8]) -> bool {
    let mut branch = signal.branch.as_ref();
    while let Some(inner) = branch {
        let multiplexor = &signals[inner.multiplexor];
        let is_in = |value: u64| inner.ranges.iter().any(|(first, last)| (*first..=*last).contains(&value));
        if !raw(multiplexor, payload).is_some_and(is_in) {
            return false;
        }
        branch = multiplexor.branch.as_ref();
    }
    true
}

/// The raw value, sign-extended where the signal is signed; `None` where the payload ends before it.
fn raw(signal: &Signal, payload: &[u8]) -> Option<u64> {
    let (start, bits) = (usize::from(signal.start_bit), usize::from(signal.bits));
    let mut value: u64 = 0;
    for significance in (0..bits).rev() {
        let at = match signal.byte_order {
            ByteOrder::Intel => start + significance,
            ByteOrder::Motorola => {
                let from_top = start / 8 * 8 + (7 - start % 8) + (bits - 1 - significance);
                from_top / 8 * 8 + (7 - from_top % 8)
            }
        };
        value = value << 1 | u64::from(payload.get(at / 8)? >> (at % 8) & 1);
    }
    let is_negative = signal.kind == ValueKind::Signed && value >> (bits - 1) & 1 == 1;
    Some(if is_negative && bits < 64 { value | u64::MAX << bits } else { value })
}
