//! Recordings: `candump -L` text.

use crate::frame::{CAN_EFF_FLAG, CAN_ERR_FLAG, CAN_RTR_FLAG, Packet};

/// A line of a recording: seconds since 1970, and the frame. `None` for anything that is no frame.
pub(crate) fn parse(line: &str) -> Option<(f64, Packet)> {
    let mut words = line.split_ascii_whitespace();
    let time = words.next()?.strip_prefix('(')?.strip_suffix(')')?.parse().ok()?;
    let _interface = words.next()?;
    let (id, rest) = words.next()?.split_once('#')?;
    let extended = if id.len() > 3 { CAN_EFF_FLAG } else { 0 };
    let mut word = u32::from_str_radix(id, 16).ok()?;
    // An error frame is written with its flag in the identifier, which then has eight digits.
    if word & CAN_ERR_FLAG == 0 {
        word |= extended;
    }
    if let Some(fd) = rest.strip_prefix('#') {
        let flags = fd.get(..1).and_then(|digit| u8::from_str_radix(digit, 16).ok())?;
        return Some((time, Packet::fd(word, &bytes(&fd[1..], 64)?, flags)));
    }
    if rest.starts_with('R') {
        return Some((time, Packet::classic(word | CAN_RTR_FLAG, &[])));
    }
    Some((time, Packet::classic(word, &bytes(rest, 8)?)))
}

fn bytes(hex: &str, max: usize) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || hex.len() / 2 > max {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_frames() {
        for (line, packet) in [
            ("(1.5) can0 123#DEAD", Packet::classic(0x123, &[0xDE, 0xAD])),
            ("(1.5) can0 18FEF100#", Packet::classic(0x98FE_F100, &[])),
            ("(1.5) can0 123##1AA", Packet::fd(0x123, &[0xAA], 1)),
            ("(1.5) can0 123#R", Packet::classic(0x4000_0123, &[])),
            ("(1.5) can0 20000004#0001000000000000", Packet::classic(0x2000_0004, &[0, 1, 0, 0, 0, 0, 0, 0])),
        ] {
            assert_eq!(parse(line), Some((1.5, packet)), "{line}");
        }
    }

    #[test]
    fn damage_is_no_frame() {
        for line in [
            "",
            "(1.5) can0",
            "1.5 can0 123#",
            "(x) can0 123#",
            "(1.5) can0 123#ABC",
            "(1.5) can0 123##",
            "(1.5) can0 123#112233445566778899",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
