//! Parameter group numbers of SAE J1939: which parameters a 29-bit frame carries, whoever sends it.

/// The parameter group number (18 bits) of a 29-bit identifier (SAE J1939-21 §5.1.2).
///
/// The source address and the priority are no part of it. Below PDU format 240 (PDU1) the next byte is the
/// destination address and counts as zero; from 240 on (PDU2) it is the group extension and belongs to the number.
pub const fn pgn(id: u32) -> u32 {
    const PDU2_FORMAT_MIN: u32 = 240;
    let group = (id >> 8) & 0x3_FFFF;
    if (group >> 8) & 0xFF < PDU2_FORMAT_MIN { group & 0x3_FF00 } else { group }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_ignore_who_talks_to_whom() {
        // EEC1 (PDU2) from two sources at two priorities; TSC1 (PDU1) to two destinations; data page 1.
        for (id, expected) in [
            (0x0CF0_0400, 0xF004),
            (0x18F0_0427, 0xF004),
            (0x0C00_0003, 0x0000),
            (0x0C00_0B03, 0x0000),
            (0x18EF_FF00, 0xEF00),
            (0x09F8_0123, 0x1_F801),
            (0x1BFF_FFFF, 0x3_FFFF),
        ] {
            assert_eq!(pgn(id), expected, "{id:08X}");
        }
    }
}
