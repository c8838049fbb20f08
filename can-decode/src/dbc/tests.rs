use std::fmt::Write;

use super::*;
use crate::frame::CanId;

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
        "\nBO_ 1 A: 8 N\n\nSIG_VALTYPE_ 1 S : 3;",
        &format!(
            "a.dbc:4: no value type (0 integer, 1 float, 2 double) at column 20: `SIG_VALTYPE_ 1 S : 3;`; {remedy}"
        ),
    );
    check(
        "SG_MUL_VAL_ 1 S M 1-18446744073709551616;",
        &format!(
            "a.dbc:1: a value of more than 64 bits at column 21: `SG_MUL_VAL_ 1 S M 1-18446744073709551616;`; {remedy}"
        ),
    );
    check("\nCM_ \"never\nends", "a.dbc:2: a quoted text begins here and does not end; close it with \"");
    check(
        "\nBO_ 1 A: 8 N BO_ 65536 B: 8 N\n\nBO_ 2 C: 8 N",
        &format!(
            "a.dbc:2: a statement begins in mid-line; put every statement on a line of its own at column 14: \
             `BO_ 1 A: 8 N BO_ 65536 B: 8 N`; {remedy}"
        ),
    );
    check(
        " SG_ S : 0|8@1+ (1,0) [0|0] \"\" N",
        &format!(
            "a.dbc:1: a signal without a message in the lines above at column 2: \
             `SG_ S : 0|8@1+ (1,0) [0|0] \"\" N`; {remedy}"
        ),
    );
    assert!(refused(b"\xFF\xFEB\0O\0").contains("a.dbc:1: the file is UTF-16; save it as UTF-8"));
    assert!(refused(b"\nhello").starts_with("a.dbc:2: no DBC statement at column 1: `hello`"));
    assert!(refused(&vec![b' '; FILE_BYTES_MAX + 1]).ends_with("split the file"));
}

#[test]
fn what_is_illegible_and_dispensable_is_left_out_alone() {
    let check = |text: &str, labels: &[&str], lines: &[u32]| {
        let text = format!("BO_ 1 A: 8 N\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" N\n{text}");
        let (database, findings) =
            read("a.dbc", text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let got: Vec<_> =
            database.messages[0].signals[0].labels.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(got, labels, "{text}");
        let got: Vec<_> = findings.iter().filter_map(|finding| finding.line).collect();
        assert_eq!(got, lines, "{text}");
    };
    check("VAL_ 1 S 1 \"one\" 2 \"two\";", &["one", "two"], &[]);
    check("VAL_ 1 S 1 \"one\"\n;;\nVAL_ 1 S 2 \"two\"", &["one", "two"], &[]);
    check("VAL_ 1 S 1.5 \"x\" ;\nVAL_ 1 S 1 \"one\";", &["one"], &[3]);
    check("VAL_ 1 S 99999999999999999999 \"x\"; VAL_ 1 S 1 \"one\";", &["one"], &[3]);
    check("VAL_ 1 S 1 \"one\"\nCM_ \"the \"best\" one\";\nVAL_ 1 S 2 \"two\"", &["one", "two"], &[4]);
    check("CM_ SG_ 1 S \"5\" tall\";\nVAL_ 1 S 1 \"one\";", &["one"], &[3]);
    check("BA_DEF_ BO_ \"x\" BOOL False True;\nVAL_ 1 S 1 \"one\";", &["one"], &[3]);
    check("BA_ \"x\" BO_ 1 word;BA_DEF_DEF_ \"x\" ;\nVAL_ 1 S 1 \"one\";", &["one"], &[3, 3]);
    check("VAL_TABLE_ T 1 \"one\" 2;\nVAL_TABLE_ U 2 \"two\";\nVAL_ 1 S U;VAL_ 1 S T;", &["two"], &[3, 5]);
}

#[test]
fn a_branch_has_few_ranges() {
    let of_ranges = |count: u64| {
        let ranges: Vec<String> = (0..count).map(|value| format!("{0}-{0}", value * 2)).collect();
        let text = format!(
            "BO_ 1 A: 8 N\n SG_ P M : 0|16@1+ (1,0) [0|0] \"\" N\n SG_ S m0 : 16|8@1+ (1,0) [0|0] \"\" N\n\
             SG_MUL_VAL_ 1 S P {};",
            ranges.join(", ")
        );
        read("a.dbc", text.as_bytes()).unwrap()
    };
    let (database, findings) = of_ranges(multiplex::BRANCH_RANGES_MAX as u64);
    assert_eq!((database.messages[0].signals.len(), findings.len()), (2, 0));
    let (database, findings) = of_ranges(multiplex::BRANCH_RANGES_MAX as u64 + 1);
    assert_eq!(database.messages[0].signals.len(), 1);
    assert!(findings[0].to_string().ends_with("gives 257 ranges; 256 can be decoded"), "{}", findings[0]);
}

#[test]
fn equal_names_are_counted_and_overlaps_are_searched_for_a_while() {
    let mut text = "BO_ 1 A: 8 N\n SG_ P M : 0|16@1+ (1,0) [0|0] \"\" N\n".to_string();
    // Each in a branch of its own, so that no two of them overlap, and all have to be compared.
    for number in 1..SIGNALS_PER_MESSAGE_MAX {
        writeln!(text, " SG_ S m{number} : 16|8@1+ (1,0) [0|0] \"\" N").unwrap();
    }
    let (database, findings) = read("a.dbc", text.as_bytes()).unwrap();
    let signals = &database.messages[0].signals;
    assert_eq!((signals[1].name.as_str(), signals[2].name.as_str()), ("S", "S__2"));
    assert_eq!(signals[SIGNALS_PER_MESSAGE_MAX - 1].name, format!("S__{}", SIGNALS_PER_MESSAGE_MAX - 1));
    let unfinished =
        findings.iter().filter(|finding| finding.text.contains("not checked for overlaps")).count();
    assert_eq!((unfinished, findings.len()), (1, SIGNALS_PER_MESSAGE_MAX - 1));
}

#[test]
fn messages_beyond_the_limit_are_left_out() {
    let count = crate::table::MESSAGES_MAX + 2;
    let mut text = String::new();
    for id in 0..count {
        writeln!(text, "BO_ {} A: 8 N", id as u32 | CanId::EXTENDED_BIT).unwrap();
    }
    let (database, findings) = read("a.dbc", text.as_bytes()).unwrap();
    assert_eq!(database.messages.len(), crate::table::MESSAGES_MAX);
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["65536: left out: messages after the first 65535"]);
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
