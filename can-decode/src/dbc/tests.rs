use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::frame::{CanId, Frame, FrameFlags};
use crate::table::{DecodeTable, Matching};

fn refused(bytes: &[u8]) -> String {
    read("a.dbc", bytes).map_or_else(|error| error.to_string(), |(database, _)| panic!("{database:?}"))
}

#[test]
fn refusals_name_the_line_and_the_remedy() {
    let check = |text: &str, expected: &str| assert_eq!(refused(text.as_bytes()), expected);
    let remedy = "correct or remove this statement";
    check(
        "VERSION \"\"\n\nBO_ 1 A: 8 N\n SG_ S : 0|8@2+ (1,0) [0|0] \"\" N\n",
        &format!(
            "a.dbc:4: expected big_endian or little_endian at column 14: `SG_ S : 0|8@2+ (1,0) [0|0] \"\" N`; {remedy}"
        ),
    );
    check(
        "BO_ 1 A: 8 N\n SG_ S m99999999999999999999 : 0|8@1+ (1,0) [0|0] \"\" N",
        &format!(
            "a.dbc:2: m99999999999999999999 is no multiplex indicator (M, m0, m0M): \
             `SG_ S m99999999999999999999 : 0|8@1+ (1,0) [0|0] \"\" N`; {remedy}"
        ),
    );
    check(
        "\nBO_ 1 A: 8 N\n SG_ S : -1|8@1+ (1,0) [0|0] \"\" N",
        &format!(
            "a.dbc:3: -1 is no whole number that fits here: `SG_ S : -1|8@1+ (1,0) [0|0] \"\" N`; {remedy}"
        ),
    );
    check(
        "\nBO_ 1 A: 8 N\n\nVAL_ 1 S 1.5 \"x\" ;",
        &format!("a.dbc:4: expected quoted_str at column 11: `VAL_ 1 S 1.5 \"x\" ;`; {remedy}"),
    );
    check("\nCM_ \"never\nends", "a.dbc:2: a quoted text begins here and does not end; close it with \"");
    check(
        "\nBO_ 1 A: 8 N BO_ 65536 B: 8 N\n\nBO_ 2 C: 8 N",
        "a.dbc:2: BO_ where no statement can begin from here on; put every message on a line of its own",
    );
    assert!(refused(b"\xFF\xFEB\0O\0").contains("a.dbc:1: the file is UTF-16; save it as UTF-8"));
    assert!(refused(b"\nhello").starts_with("a.dbc:2: no DBC statement at column 1: `hello`"));
    assert!(refused(&vec![b' '; FILE_BYTES_MAX + 1]).ends_with("split the file"));
}

#[test]
fn only_so_many_statements_are_left_out_for_their_syntax() {
    let attributes = |count| "BA_DEF_ BO_ \"x\" BOOL False True;\n".repeat(count);
    let (database, findings) = read("a.dbc", attributes(REPAIRS_MAX).as_bytes()).unwrap();
    assert_eq!((database.messages.len(), findings.len()), (0, REPAIRS_MAX));
    assert!(
        refused(attributes(REPAIRS_MAX + 1).as_bytes()).starts_with(&format!("a.dbc:{}: ", REPAIRS_MAX + 1))
    );
}

#[test]
fn findings_are_bounded() {
    let text = "VAL_ 1 S 1 \"\" ;\n".repeat(FINDINGS_MAX + 3);
    let (_, findings) = read("a.dbc", text.as_bytes()).unwrap();
    assert_eq!(findings.len(), FINDINGS_MAX + 1);
    assert_eq!(findings.last().unwrap().to_string(), "warning: and 3 more findings");
}

#[test]
fn signals_beyond_the_limit_are_left_out() {
    let mut text = "BO_ 1 A: 8 N\n".to_string();
    for number in 0..SIGNALS_PER_MESSAGE_MAX + 5 {
        writeln!(text, " SG_ S{number} : {}|1@1+ (1,0) [0|0] \"\" N", number % 64).unwrap();
    }
    let (database, findings) = read("a.dbc", text.as_bytes()).unwrap();
    assert_eq!(database.messages[0].signals.len(), SIGNALS_PER_MESSAGE_MAX);
    let left_out = findings.iter().find(|finding| finding.severity == Severity::LeftOut).unwrap();
    assert_eq!(left_out.line, Some(SIGNALS_PER_MESSAGE_MAX as u32 + 2));
}

const FILES: [&[u8]; 8] = [
    include_bytes!("../../tests/data/byte_orders.dbc"),
    include_bytes!("../../tests/data/floats.dbc"),
    include_bytes!("../../tests/data/j1939.dbc"),
    include_bytes!("../../tests/data/latin1.dbc"),
    include_bytes!("../../tests/data/lenient.dbc"),
    include_bytes!("../../tests/data/multiplexed.dbc"),
    include_bytes!("../../tests/data/traced_fd.dbc"),
    include_bytes!("../../tests/data/utf8_bom.dbc"),
];

/// Words of the language, to be put where they do not belong.
const WORDS: [&str; 24] = [
    "BO_ ",
    "SG_ ",
    "VAL_ ",
    "SG_MUL_VAL_ ",
    "SIG_VALTYPE_ ",
    "BA_ ",
    "BA_DEF_ ",
    "CM_ ",
    "NS_ :",
    "EV_ ",
    "M ",
    "m1M ",
    "m0 ",
    "\"",
    "\\\"",
    ";",
    "\n",
    "\r",
    "//",
    "-1",
    "18446744073709551616",
    "1e999",
    ".5",
    "|",
];

/// One of our files with a few pieces replaced, doubled or taken out.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, piece), 1..8);
    (prop::sample::select(&FILES[..]), edits).prop_map(|(file, edits)| {
        let mut bytes = file.to_vec();
        for (at, cut, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        bytes
    })
}

/// Reads, compiles and decodes whatever comes out of it; a refusal has a line of the file.
fn exercise(bytes: &[u8], payload: &[u8; 64]) {
    match read("a.dbc", bytes) {
        Ok((database, _)) => {
            for matching in [Matching::Auto, Matching::Id, Matching::Pgn] {
                let (table, findings) = DecodeTable::compile(std::slice::from_ref(&database), matching);
                assert_eq!(
                    table.messages().len() + left_out(&findings),
                    database.messages.len(),
                    "{findings:?}"
                );
                decode_all(&table, payload);
            }
        }
        Err(error) => {
            let lines = bytes.split(|byte| *byte == b'\n').count() as u32;
            assert!((1..=lines + 1).contains(&error.line), "{error}");
        }
    }
}

fn left_out(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::LeftOut).count()
}

fn decode_all(table: &DecodeTable, payload: &[u8; 64]) {
    for message in table.messages() {
        assert!(table.find(message.id).is_some());
        for len in [0, 1, 7, 8, 24, 64] {
            let frame = Frame::fd(message.id, FrameFlags::default(), &payload[..len]).unwrap();
            let mut last = None;
            message.decode(&frame, |signal, raw| {
                assert!(last < Some(signal), "reported in order, once each");
                last = Some(signal);
                let _ = (message.signals[signal].physical(raw), message.signals[signal].label(raw));
            });
        }
    }
    assert!(
        table.find(CanId::Standard(0x7FE)).is_none_or(|index| usize::from(index.0) < table.messages().len())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_files_are_read_or_refused(bytes in mutated(), payload: [u8; 32]) {
        let mut padded = [0; 64];
        padded[..32].copy_from_slice(&payload);
        padded[32..].copy_from_slice(&payload);
        exercise(&bytes, &padded);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        exercise(&bytes, &[0x5A; 64]);
    }
}
