use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::extract::{ByteOrder, Extractor};
use crate::frame::FrameFlags;
use crate::signal::tests::plain;

fn definition(name: &str, id: CanId, signals: Vec<Signal>) -> MessageDefinition {
    MessageDefinition {
        name: name.to_string(),
        long_name: None,
        id,
        len: 8,
        fd: false,
        j1939: false,
        trace_context_offset: None,
        cycle_time_ms: None,
        e2e: None,
        alive_counter: None,
        sender: None,
        line: Some(7),
        signals,
    }
}

fn database(name: &str, messages: Vec<MessageDefinition>) -> Database {
    Database { name: name.to_string(), messages, ..Database::default() }
}

fn decode(table: &DecodeTable, id: CanId, payload: &[u8]) -> (Vec<(usize, i64)>, Decoded) {
    let mut values = Vec::new();
    let index = table.find(id).unwrap();
    let frame = Frame::classic(id, payload).unwrap();
    let decoded = table.decode(index, &frame, |signal, raw| values.push((signal, raw.as_i64())));
    assert_eq!(decoded.reported, values.len());
    // The order is the plan's own business.
    values.sort_unstable();
    (values, decoded)
}

const STANDARD: CanId = CanId::Standard(0x123);

#[test]
fn signals_are_reported_only_where_they_fit() {
    let message =
        definition("M", STANDARD, vec![plain("late", 56, 8), plain("early", 0, 4), plain("mid", 4, 12)]);
    let (table, findings) = DecodeTable::compile(&[database("a.dbc", vec![message])], Matching::Auto);
    assert_eq!(findings, []);
    assert_eq!(decode(&table, STANDARD, &[0x21, 0x43, 0, 0, 0, 0, 0, 9]).0, [(0, 9), (1, 1), (2, 0x432)]);
    let (values, decoded) = decode(&table, STANDARD, &[0x21, 0x43]);
    assert_eq!((values, decoded.short), (vec![(1, 1), (2, 0x432)], true));
    assert_eq!(decode(&table, STANDARD, &[0x21]).0, [(1, 1)]);
    assert_eq!(decode(&table, STANDARD, &[]).0, []);
}

#[test]
fn frames_without_payload_report_nothing() {
    let message = definition("M", STANDARD, vec![plain("S", 0, 8)]);
    let (table, _) = DecodeTable::compile(&[database("a.dbc", vec![message])], Matching::Auto);
    let index = table.find(STANDARD).unwrap();
    for frame in [Frame::remote(STANDARD, 8), Frame::error(0x123, [0xFF; 8])] {
        let decoded = table.decode(index, &frame, |signal, _| panic!("signal {signal} of {frame:?}"));
        assert_eq!(decoded, Decoded::default());
    }
}

/// Signals of every kind the plan treats in its own way: of both byte orders, signed or not, floats, of 64 bits, in nine
/// bytes, beyond the first eight.
fn every_kind() -> Vec<Signal> {
    let motorola = |signal| Signal { byte_order: ByteOrder::Motorola, ..signal };
    let signed = |signal| Signal { kind: ValueKind::Signed, ..signal };
    let scaled = |signal| Signal { factor: -0.25, offset: 10.0, ..signal };
    vec![
        plain("intel", 3, 11),
        scaled(signed(plain("intel_signed", 20, 12))),
        motorola(plain("motorola", 23, 9)),
        scaled(signed(motorola(plain("motorola_signed", 7, 15)))),
        Signal { kind: ValueKind::F32, ..plain("f32", 64, 32) },
        Signal { kind: ValueKind::F64, ..motorola(plain("f64", 71, 64)) },
        plain("whole", 0, 64),
        signed(plain("nine_bytes", 4, 63)),
        signed(motorola(plain("motorola_nine_bytes", 3, 63))),
        plain("far", 480, 17),
        scaled(motorola(plain("motorola_far", 495, 17))),
    ]
}

/// What each form reports of a frame, by signal: raw, physical, physical in a buffer.
#[test]
fn every_form_reports_the_same() {
    let signals = every_kind();
    // All of them in one message, and each alone, so that no neighbour chooses its way.
    for signals in signals.iter().map(|signal| vec![signal.clone()]).chain([signals.clone()]) {
        let message = MessageDefinition { len: 64, fd: true, ..definition("M", STANDARD, signals.clone()) };
        let (table, _) = DecodeTable::compile(&[database("a.dbc", vec![message])], Matching::Auto);
        let message = table.message(table.find(STANDARD).unwrap());
        for len in [0, 1, 2, 4, 7, 8, 12, 16, 24, 48, 64] {
            let payload: Vec<u8> = (0..len).map(|i: u8| i.wrapping_mul(73) ^ 0xB5).collect();
            let frame = Frame::fd(STANDARD, FrameFlags::default(), &payload).unwrap();
            let mut expected = Vec::new();
            for (index, signal) in signals.iter().enumerate() {
                let sign = signal.kind == ValueKind::Signed;
                let field = Extractor::new(signal.start_bit, signal.bits, signal.byte_order, sign).unwrap();
                if field.end() <= payload.len() {
                    let raw = Raw(field.read(frame.padded()));
                    expected.push((index, raw, signal.physical(raw).to_bits()));
                }
            }
            let (mut raws, mut physicals) = (Vec::new(), Vec::new());
            let decoded = message.decode(&frame, |signal, raw| raws.push((signal, raw)));
            message.decode_physical(&frame, |signal, value| physicals.push((signal, value.to_bits())));
            // One place more than there are signals, as many as there are, and half of these: what does not fit is counted,
            // and the rest is there.
            for room in [signals.len() + 1, signals.len(), decoded.reported / 2] {
                let (mut which, mut values) = (vec![u16::MAX; room], vec![f64::NAN; room]);
                assert_eq!(message.decode_into(&frame, &mut which, &mut values), decoded);
                let buffered = which.iter().zip(&values).take(decoded.reported);
                let buffered: Vec<_> =
                    buffered.map(|(signal, value)| (usize::from(*signal), value.to_bits())).collect();
                assert_eq!(buffered, physicals[..decoded.reported.min(room)], "{payload:02X?} in {room}");
            }
            let mut reported: Vec<_> = raws
                .iter()
                .zip(&physicals)
                .map(|((index, raw), (_, value))| (*index, *raw, *value))
                .collect();
            reported.sort_unstable();
            assert_eq!(reported, expected, "{payload:02X?}");
            let mut columns = Vec::new();
            message.decode_columns(&[frame; 3], &mut Columns::<f64>::default(), |column| {
                assert_eq!(column.rows, [0, 1, 2]);
                assert!(column.values.iter().all(|value| value.to_bits() == column.values[0].to_bits()));
                columns.push((usize::from(column.signal), column.values[0].to_bits()));
            });
            assert_eq!(columns, physicals, "{payload:02X?}");
        }
    }
}

/// Each signal at other values than any other: as many sets of signals as values.
#[test]
fn branches_that_overlap_in_too_many_ways_are_left_out() {
    let overlapping = |count: u64| {
        let branch = |last| Some(Branch { multiplexor: 0, ranges: vec![(0, last)] });
        let mut signals = vec![Signal { is_multiplexor: true, ..plain("selector", 0, 16) }];
        signals.extend((1..=count).map(|i| Signal { branch: branch(i), ..plain(&i.to_string(), 16, 8) }));
        DecodeTable::compile(&[database("a.dbc", vec![definition("M", STANDARD, signals)])], Matching::Auto)
    };
    let (table, findings) = overlapping(300);
    assert_eq!(findings, []);
    // Value 298 is in the ranges of 298, 299 and 300.
    assert_eq!(decode(&table, STANDARD, &[42, 1, 5]).0, [(0, 298), (298, 5), (299, 5), (300, 5)]);
    assert_eq!(decode(&table, STANDARD, &[45, 1, 5]).0, [(0, 301)]);
    let (table, findings) = overlapping(400);
    assert_eq!(table.find(STANDARD), None);
    assert!(findings[0].text.contains("overlap"), "{findings:?}");
}

/// Two nested multiplexors: `outer` 1 shows `inner`, `inner` 2 to 3 or 9 shows `leaf`; the children come first.
fn nested() -> MessageDefinition {
    let branch = |multiplexor, ranges: &[(u64, u64)]| Some(Branch { multiplexor, ranges: ranges.to_vec() });
    definition(
        "M",
        STANDARD,
        vec![
            Signal { branch: branch(1, &[(2, 3), (9, 9)]), ..plain("leaf", 16, 8) },
            Signal { is_multiplexor: true, branch: branch(2, &[(1, 1)]), ..plain("inner", 8, 8) },
            Signal { is_multiplexor: true, ..plain("outer", 0, 8) },
        ],
    )
}

#[test]
fn branches_follow_every_multiplexor_above_them() {
    let (table, _) = DecodeTable::compile(&[database("a.dbc", vec![nested()])], Matching::Auto);
    let check = |payload: &[u8], expected: &[(usize, i64)]| {
        assert_eq!(decode(&table, STANDARD, payload).0, expected, "{payload:?}");
    };
    check(&[1, 2, 7], &[(0, 7), (1, 2), (2, 1)]);
    check(&[1, 9, 7], &[(0, 7), (1, 9), (2, 1)]);
    check(&[1, 4, 7], &[(1, 4), (2, 1)]);
    check(&[0, 2, 7], &[(2, 0)]);
    check(&[1], &[(2, 1)]);
    check(&[], &[]);
}

#[test]
fn a_circle_of_branches_is_left_out() {
    let mut message = nested();
    message.signals[2].branch = Some(Branch { multiplexor: 0, ranges: vec![(0, 1)] });
    let (table, findings) = DecodeTable::compile(&[database("a.dbc", vec![message])], Matching::Auto);
    assert_eq!(table.find(STANDARD), None);
    assert_eq!(findings[0].severity, Severity::LeftOut);
}

#[test]
fn a_multiplexor_beyond_the_payload_hides_its_branch() {
    let mut message = nested();
    message.signals[2].start_bit = 56;
    let (table, _) = DecodeTable::compile(&[database("a.dbc", vec![message])], Matching::Auto);
    assert_eq!(decode(&table, STANDARD, &[1, 2, 7, 0]).0, []);
    assert_eq!(decode(&table, STANDARD, &[1, 2, 7, 0, 0, 0, 0, 1]).0, [(0, 7), (1, 2), (2, 1)]);
}

#[test]
fn matching_by_id_and_by_parameter_group() {
    use CanId::{Extended, Standard};
    use Matching::{Auto, Id, Pgn};
    let j1939 = |name, id| MessageDefinition { j1939: true, ..definition(name, CanId::Extended(id), vec![]) };
    let messages = vec![
        definition("Plain", CanId::Extended(0x18FF_0011), vec![]),
        j1939("EEC1", 0x0CF0_04FE),
        j1939("EEC1_22", 0x0CF0_0422),
        j1939("TSC1", 0x0C00_0003),
        definition("Standard", CanId::Standard(0x4), vec![]),
    ];
    let databases = [database("a.dbc", messages)];
    let check = |matching, id, expected: Option<&str>| {
        let (table, _) = DecodeTable::compile(&databases, matching);
        let found = table.find(id).map(|index| table.message(index).name.as_str());
        assert_eq!(found, expected, "{matching:?} {id}");
    };
    check(Auto, Extended(0x0CF0_04FE), Some("EEC1"));
    check(Auto, Extended(0x18F0_0400), Some("EEC1"));
    check(Auto, Extended(0x0CF0_0422), Some("EEC1_22"));
    check(Auto, Extended(0x0C00_0B27), Some("TSC1"));
    check(Auto, Extended(0x18FF_0011), Some("Plain"));
    check(Auto, Extended(0x18FF_0012), None);
    check(Auto, Standard(4), Some("Standard"));
    check(Id, Extended(4), None);
    check(Id, Extended(0x18F0_0400), None);
    check(Id, Extended(0x0CF0_0422), Some("EEC1_22"));
    check(Pgn, Extended(0x0CF0_0422), Some("EEC1"));
    check(Pgn, Extended(0x08FF_0012), Some("Plain"));
    check(Pgn, Standard(4), Some("Standard"));
    let (_, findings) = DecodeTable::compile(&databases, Pgn);
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].text.contains("EEC1_22 (0CF00422): EEC1 has the same parameter group"),
        "{}",
        findings[0]
    );
}

#[test]
fn a_part_of_a_longer_parameter_group_is_not_decoded() {
    let id = CanId::Extended(0x09F8_0501);
    let long = MessageDefinition { j1939: true, len: 43, ..definition("GNSS", id, vec![plain("sid", 0, 8)]) };
    let (table, _) = DecodeTable::compile(&[database("a.dbc", vec![long])], Matching::Auto);
    let index = table.find(id).unwrap();
    let part = Frame::classic(id, &[0x20, 43, 1, 2, 3, 4, 5, 6]).unwrap();
    assert!(table.decode(index, &part, |_, _| panic!("a part has no signals")).needs_transport);
    let decoded = table.message(index).decode_payload(&[0; 43], |_, _| {});
    assert_eq!(decoded, Decoded { reported: 1, ..Decoded::default() });
}

#[test]
fn the_first_definition_of_an_identifier_wins() {
    let first = database("a.dbc", vec![definition("A", STANDARD, vec![plain("S", 0, 8)])]);
    let same = database("b.dbc", vec![definition("A", STANDARD, vec![plain("S", 0, 8)])]);
    let other = database("c.dbc", vec![definition("C", STANDARD, vec![plain("S", 0, 9)])]);
    let (table, findings) = DecodeTable::compile(&[first, same, other], Matching::Auto);
    assert_eq!(table.messages().len(), 1);
    assert_eq!(table.message(table.find(STANDARD).unwrap()).name, "A");
    let severities: Vec<_> = findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Note, Severity::LeftOut]);
    let expected =
        "7: left out: c.dbc: message C (123): A in a.dbc defines the identifier another way and comes first";
    assert_eq!(findings[1].to_string(), expected);
}

#[test]
fn a_trace_context_is_read_at_its_offset() {
    let message = MessageDefinition {
        fd: true,
        len: 32,
        trace_context_offset: Some(4),
        ..definition("M", STANDARD, vec![])
    };
    let (table, _) = DecodeTable::compile(&[database("a.dbc", vec![message])], Matching::Auto);
    let message = &table.messages()[0];
    let mut payload = [0; 32];
    payload[4..29].fill(0x11);
    let frame = |payload: &[u8]| Frame::fd(STANDARD, crate::FrameFlags::BRS, payload).unwrap();
    let context = message.trace_context(&frame(&payload)).unwrap().unwrap();
    assert_eq!(context.trace_id, [0x11; 16]);
    let cut = message.trace_context(&frame(&payload[..24])).unwrap();
    assert_eq!(cut, Err(crate::TraceError::Truncated(20)));
}
