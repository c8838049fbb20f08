use proptest::prelude::*;

use super::*;

fn classic(id: CanId, payload: &[u8]) -> Frame {
    Frame::classic(id, payload).unwrap()
}

fn fd(id: CanId, flags: FrameFlags, payload: &[u8]) -> Frame {
    Frame::fd(id, flags, payload).unwrap()
}

#[test]
fn lines_of_every_kind() {
    let check = |line: &str, nanos: i64, interface: &str, frame: Frame| {
        let expected = LogLine { time: RealtimeNanos(nanos), interface, frame };
        assert_eq!(parse_line(line), Ok(expected), "{line}");
    };
    let (standard, extended) = (CanId::Standard(0x2C1), CanId::Extended(0x18FE_DF00));
    let eight = [0x00, 0x14, 0xDF, 0x14, 0xBB, 0xCA, 0x3A, 0x91];
    let second = 1_533_201_287_000_000_000;
    check(
        "(1533201287.000013) can0 2C1#0014DF14BBCA3A91",
        second + 13_000,
        "can0",
        classic(standard, &eight),
    );
    check(
        "(1533201287.000000013) can0 2c1#0014df14bbca3a91 R\r\n",
        second + 13,
        "can0",
        classic(standard, &eight),
    );
    check(
        "(1533201287.5) vcan_1 2C1#00.14.DF.14.BB.CA.3A.91_F T",
        second + 500_000_000,
        "vcan_1",
        classic(standard, &eight),
    );
    check("(0.000000) any 18FEDF00#", 0, "any", classic(extended, &[]));
    check("(0000000001.000000) can0 00000001#01", 1_000_000_000, "can0", classic(CanId::Extended(1), &[1]));
    check("(1.0) can0 2C1##0", 1_000_000_000, "can0", fd(standard, FrameFlags::default(), &[]));
    check(
        "(1.0)  can0\t18FEDF00##30102",
        1_000_000_000,
        "can0",
        fd(extended, FrameFlags::BRS.union(FrameFlags::ESI), &[1, 2]),
    );
    check("(1.0) can0 2C1##5AA", 1_000_000_000, "can0", fd(standard, FrameFlags::BRS, &[0xAA]));
    check("(1.0) can0 2C1#R", 1_000_000_000, "can0", Frame::remote(standard, 0));
    check("(1.0) can0 2C1#R8_B", 1_000_000_000, "can0", Frame::remote(standard, 8));
    check("(1.0) can0 20000080#0000000000000000", 1_000_000_000, "can0", Frame::error(0x80, [0; 8]));
    check("(1.0) can0 20000004#000C", 1_000_000_000, "can0", Frame::error(4, [0, 0x0C, 0, 0, 0, 0, 0, 0]));
    check("(-9223372036.854775808) can0 001#", i64::MIN, "can0", classic(CanId::Standard(1), &[]));
    check("(9223372036.854775807) can0 001#", i64::MAX, "can0", classic(CanId::Standard(1), &[]));
}

#[test]
fn errors_name_the_column_and_the_part() {
    let check = |line: &str, column: usize, part: LinePart| {
        assert_eq!(parse_line(line), Err(LineError { column, part }), "{line}");
    };
    check("", 1, LinePart::Time);
    check("can0 2C1#00", 1, LinePart::Time);
    check("(1.) can0 2C1#00", 1, LinePart::Time);
    check("(.5) can0 2C1#00", 1, LinePart::Time);
    check("(1.0000000001) can0 2C1#00", 1, LinePart::Time);
    check("(9223372036.854775808) can0 2C1#00", 1, LinePart::Time);
    check("(99999999999999999999.0) can0 2C1#00", 1, LinePart::Time);
    check("(1.0)", 6, LinePart::Interface);
    check("(1.0) can0", 11, LinePart::Identifier);
    check("(1.0) can0 2C#00", 12, LinePart::Identifier);
    check("(1.0) can0 800#00", 12, LinePart::Identifier);
    check("(1.0) can0 40000000#00", 12, LinePart::Identifier);
    check("(1.0) can0 60000000#00", 12, LinePart::Identifier);
    check("(1.0) can0 118FEDF00#00", 12, LinePart::Identifier);
    check("(1.0) can0 2C1", 15, LinePart::Separator);
    check("(1.0) can0 2C1#0", 16, LinePart::ClassicData);
    check("(1.0) can0 2C1#00.", 16, LinePart::ClassicData);
    check("(1.0) can0 2C1#.00", 16, LinePart::ClassicData);
    check("(1.0) can0 2C1#001122334455667788", 16, LinePart::ClassicData);
    check("(1.0) can0 2C1#zz", 16, LinePart::ClassicData);
    check("(1.0) can0 2C1##", 17, LinePart::FdFlags);
    check("(1.0) can0 2C1##1001122334455667788", 18, LinePart::FdData);
    check("(1.0) can0 2C1#R9", 17, LinePart::RemoteLength);
    check("(1.0) can0 2C1#00_9", 18, LinePart::RawDlc);
    check("(1.0) can0 2C1#0011223344556677_8", 32, LinePart::RawDlc);
    check("(1.0) can0 2C1#00 X", 19, LinePart::Trailer);
    check("(1.0) can0 2C1#00 RT", 20, LinePart::Trailer);
    let text = parse_line("(1.0) can0 2C#00").unwrap_err().to_string();
    assert!(text.starts_with("column 12: identifier: write 3 hex digits"), "{text}");
}

#[test]
fn lines_are_written_as_candump_writes_them() {
    let check = |nanos: i64, frame: Frame, expected: &str| {
        let mut line = String::new();
        write_line(&mut line, RealtimeNanos(nanos), "can0", &frame).unwrap();
        assert_eq!(line, expected);
    };
    let id = CanId::Standard(0xB4);
    check(1_533_201_287_000_013_000, classic(id, &[0, 0x1F]), "(1533201287.000013) can0 0B4#001F");
    check(1, classic(CanId::Extended(0xB4), &[]), "(0000000000.000000001) can0 000000B4#");
    check(0, fd(id, FrameFlags::BRS, &[1]), "(0000000000.000000) can0 0B4##101");
    check(0, Frame::remote(id, 0), "(0000000000.000000) can0 0B4#R");
    check(0, Frame::remote(id, 3), "(0000000000.000000) can0 0B4#R3");
    check(0, Frame::error(0x80, [0; 8]), "(0000000000.000000) can0 20000080#0000000000000000");
}

fn any_id() -> impl Strategy<Value = CanId> {
    prop_oneof![
        (0..=CanId::STANDARD_MAX).prop_map(CanId::Standard),
        (0..=CanId::EXTENDED_MAX).prop_map(CanId::Extended)
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let fd_len = prop::sample::select(vec![0_usize, 1, 5, 8, 12, 16, 20, 24, 32, 48, 64]);
    let bytes = prop::collection::vec(any::<u8>(), 64);
    let flags = prop::sample::select(vec![
        FrameFlags::default(),
        FrameFlags::BRS,
        FrameFlags::ESI,
        FrameFlags::BRS.union(FrameFlags::ESI),
    ]);
    prop_oneof![
        (any_id(), 0..=8_usize, bytes.clone()).prop_map(|(id, len, bytes)| classic(id, &bytes[..len])),
        (any_id(), flags, fd_len, bytes).prop_map(|(id, flags, len, bytes)| fd(id, flags, &bytes[..len])),
        (any_id(), 0..=8_u8).prop_map(|(id, len)| Frame::remote(id, len)),
        (0..=CanId::EXTENDED_MAX, any::<[u8; 8]>()).prop_map(|(class, detail)| Frame::error(class, detail)),
    ]
}

proptest! {
    #[test]
    fn a_line_that_was_written_reads_back(nanos: i64, interface in "[a-z][a-z0-9_.-]{0,14}", frame in any_frame()) {
        let mut line = String::new();
        write_line(&mut line, RealtimeNanos(nanos), &interface, &frame).unwrap();
        prop_assert_eq!(parse_line(&line), Ok(LogLine { time: RealtimeNanos(nanos), interface: &interface, frame }));
    }

    #[test]
    fn any_text_is_read_or_refused(line in "\\PC*") {
        let _ = parse_line(&line);
    }

    #[test]
    fn nearly_right_lines_are_read_or_refused(line in "\\(?-?[0-9.]{1,12}\\) [a-zäß0-9]{1,5} [0-9A-Fa-f]{2,9}#{0,2}[0-9A-FR_.ä]{0,20}( [RTX])?") {
        if let Ok(parsed) = parse_line(&line) {
            let mut again = String::new();
            write_line(&mut again, parsed.time, parsed.interface, &parsed.frame).unwrap();
            prop_assert_eq!(parse_line(&again), Ok(parsed));
        }
    }
}
