use super::*;
use crate::candump::parse_line;

/// `SF bytes`, `FF len head`, `CF number rest`, `FC status block separation`, or the reason.
fn text(frame: &str, address_bytes: usize) -> String {
    let line = format!("(0.0) can0 123#{frame}");
    let frame = parse_line(&line).unwrap_or_else(|error| panic!("{line}: {error}")).frame;
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}"));
    match read(&frame, address_bytes) {
        Ok(Pci::Single(data)) => format!("SF {}", hex(data)),
        Ok(Pci::First { len, head }) => format!("FF {len} {}", hex(head)),
        Ok(Pci::Consecutive { sequence, rest }) => format!("CF {sequence} {}", hex(rest)),
        Ok(Pci::FlowControl(control)) => {
            format!("FC {:?} {} {}", control.status, control.block_size, control.separation.0)
        }
        Err(reason) => String::from(reason.text()),
    }
}

fn check(cases: &[(&str, usize, &str)]) {
    for (frame, address_bytes, expected) in cases {
        assert_eq!(text(frame, *address_bytes), *expected, "{frame} with {address_bytes} address bytes");
    }
}

#[test]
fn single_frames_hold_what_their_length_says() {
    const IMPOSSIBLE: &str = "single frame of impossible length";
    let zeros = |count: usize| "00".repeat(count);
    check(&[
        ("013E", 0, "SF 3E"),
        ("023E80", 0, "SF 3E80"),
        ("023E80CCCCCCCCCC", 0, "SF 3E80"),
        ("0711223344556677", 0, "SF 11223344556677"),
        ("#1023E80", 0, "SF 3E80"),
        ("00", 0, IMPOSSIBLE),
        ("0000000000000000", 0, IMPOSSIBLE),
        ("023E", 0, IMPOSSIBLE),
        ("0811223344556677", 0, IMPOSSIBLE),
        ("0F11223344556677", 0, IMPOSSIBLE),
        // One byte less behind an address byte.
        ("F1023E80", 1, "SF 3E80"),
        ("F106112233445566", 1, "SF 112233445566"),
        ("F107112233445566", 1, IMPOSSIBLE),
        ("", 0, "empty"),
        ("F1", 1, "empty"),
        ("", 1, "empty"),
    ]);
    // CAN-FD beyond 8 bytes: the length is a byte of its own.
    let long = format!("#1000A{}", "AB".repeat(10));
    let full = format!("#1003E{}", "AB".repeat(62));
    check(&[
        (&long, 0, &format!("SF {}", "AB".repeat(10))),
        (&full, 0, &format!("SF {}", "AB".repeat(62))),
        (&format!("#1F1003D{}", "AB".repeat(61)), 1, &format!("SF {}", "AB".repeat(61))),
        (&format!("#1F1003E{}", "AB".repeat(61)), 1, IMPOSSIBLE),
        (&format!("#1000B{}", "AB".repeat(10)), 0, IMPOSSIBLE),
        (&format!("#10000{}", zeros(10)), 0, IMPOSSIBLE),
        (&format!("#1070A{}", zeros(10)), 0, IMPOSSIBLE),
        // More padding than needed, and the long form for few bytes: accepted, nothing else can be meant.
        (&format!("#10003AABBCC{}", zeros(59)), 0, "SF AABBCC"),
    ]);
}

#[test]
fn first_frames_are_full_and_longer_than_a_single_frame() {
    const IMPOSSIBLE: &str = "first frame of impossible length";
    let head = |count: usize| "AB".repeat(count);
    check(&[
        ("1014112233445566", 0, "FF 20 112233445566"),
        ("1FFF112233445566", 0, "FF 4095 112233445566"),
        ("1008112233445566", 0, "FF 8 112233445566"),
        ("1007112233445566", 0, IMPOSSIBLE),
        ("F110071122334455", 1, "FF 7 1122334455"),
        ("F110061122334455", 1, IMPOSSIBLE),
        ("10141122334455", 0, IMPOSSIBLE),
        ("10", 0, IMPOSSIBLE),
        // 32 bits of length, for more than 4,095 bytes.
        ("1000000010001122", 0, "FF 4096 1122"),
        ("1000FFFFFFFF1122", 0, "FF 4294967295 1122"),
        ("1000000000141122", 0, IMPOSSIBLE),
        ("100000000FFF1122", 0, IMPOSSIBLE),
        ("F110000000100011", 1, "FF 4096 11"),
    ]);
    check(&[
        (&format!("#1103F{}", head(62)), 0, &format!("FF 63 {}", head(62))),
        (&format!("#1103E{}", head(62)), 0, IMPOSSIBLE),
        (&format!("#1F1103E{}", head(61)), 1, &format!("FF 62 {}", head(61))),
        (&format!("#1F1103D{}", head(61)), 1, IMPOSSIBLE),
        (&format!("#1100B{}", head(10)), 0, &format!("FF 11 {}", head(10))),
        (&format!("#1100A{}", head(10)), 0, IMPOSSIBLE),
        (&format!("#1100000001000{}", head(58)), 0, &format!("FF 4096 {}", head(58))),
    ]);
}

#[test]
fn consecutive_frames_flow_control_and_the_rest() {
    check(&[
        ("2111223344556677", 0, "CF 1 11223344556677"),
        ("2F11", 0, "CF 15 11"),
        ("20", 0, "CF 0 "),
        ("F12211", 1, "CF 2 11"),
        ("300000", 0, "FC ContinueToSend 0 0"),
        ("300814AAAAAAAAAA", 0, "FC ContinueToSend 8 20"),
        ("3100F1", 0, "FC Wait 0 241"),
        ("320000", 0, "FC Overflow 0 0"),
        ("F1300A05", 1, "FC ContinueToSend 10 5"),
        ("330000", 0, "malformed flow control"),
        ("3F0000", 0, "malformed flow control"),
        ("3000", 0, "malformed flow control"),
        ("4000", 0, "unknown type"),
        ("FFFFFFFFFFFFFFFF", 0, "unknown type"),
    ]);
}
