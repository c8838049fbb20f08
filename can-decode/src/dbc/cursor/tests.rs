use super::*;

#[test]
fn names_and_numbers_end_where_they_end() {
    let check =
        |text: &str, read: &dyn Fn(&mut Cursor<'_>) -> Option<String>, expected: Option<&str>, rest: &str| {
            let mut cursor = Cursor::new(text);
            assert_eq!(read(&mut cursor).as_deref(), expected, "{text}");
            assert_eq!(&text[cursor.at()..], rest, "{text}");
        };
    let name = |cursor: &mut Cursor<'_>| cursor.name().ok().map(str::to_string);
    check(" // so\n\t2nd_Gear:", &name, Some("2nd_Gear"), ":");
    check("/ x", &name, None, "/ x");
    check("\u{e9}t\u{e9}", &name, None, "\u{e9}t\u{e9}");
    let number = |cursor: &mut Cursor<'_>| cursor.number().ok().map(str::to_string);
    for (text, expected, rest) in [
        ("12", "12", ""),
        ("-1.50e-3)", "-1.50e-3", ")"),
        ("+.5|", "+.5", "|"),
        ("7.", "7.", ""),
        ("1e", "1", "e"),
        ("1E+", "1", "E+"),
        ("1-2", "1", "-2"),
    ] {
        check(text, &number, Some(expected), rest);
    }
    check("-", &number, None, "");
    check(".e5", &number, None, "e5");
    let digits = |cursor: &mut Cursor<'_>| cursor.digits().ok().map(|number| format!("{number:?}"));
    check("0815 ", &digits, Some("Some(815)"), " ");
    check("18446744073709551615", &digits, Some("Some(18446744073709551615)"), "");
    check("18446744073709551616;", &digits, Some("None"), ";");
    check("-1", &digits, None, "-1");
}

#[test]
fn quoted_texts_have_escapes_and_line_breaks() {
    let check = |text: &str, expected: Result<&str, Fault>, line: u32| {
        let mut cursor = Cursor::new(text);
        assert_eq!(cursor.quoted(), expected, "{text}");
        assert_eq!(cursor.line(), line, "{text}");
    };
    check(r#" "" x"#, Ok(""), 1);
    check(r#""a \"b\" c""#, Ok(r#"a \"b\" c"#), 1);
    check("\"two\nlines\"", Ok("two\nlines"), 2);
    check("\n\n\"open", Err(Fault::Unclosed { line: 3 }), 3);
    check(r#""\""#, Err(Fault::Unclosed { line: 1 }), 1);
    check(" x", Err(Fault::Misplaced { reason: "no quoted text", line: 1, at: 1 }), 1);
}

#[test]
fn statements_are_skipped_to_their_end() {
    let check = |text: &str, rest: &str| {
        let mut cursor = Cursor::new(text);
        cursor.skip_statement();
        assert_eq!(&text[cursor.at()..], rest, "{text}");
    };
    check("EV_ A: 1 \"a;b\" 0; BO_ 1", " BO_ 1");
    check("EV_ A\n \"a\n b\";\nBO_ 1", "\nBO_ 1");
    check("CM_ no end\nBO_ 1", "BO_ 1");
    check("CM_ SG_ 1 S \"5\" tall\";\n\nCM_ \"x\";", "CM_ \"x\";");
    check("CM_ \"a \\\" b\" oops; BO_", " BO_");
    check("CM_ oops", "");
}

#[test]
fn lists_go_on_in_indented_lines() {
    let check = |text: &str, rest: &str| {
        let mut cursor = Cursor::new(text);
        cursor.skip_indented_names();
        assert_eq!(&text[cursor.at()..], rest, "{text}");
    };
    check("\n\tNS_DESC_\n\tCM_ BA_ // two\n\n\tVAL_\n\nBS_:", "\n\nBS_:");
    check("\nCM_\nBA_\nBU_: A", "\nBU_: A");
    check("\n  A B\n  C\nBO_ 1 A: 8 N", "\nBO_ 1 A: 8 N");
    check("\nhello", "\nhello");
    check("\n\tBO_ 1 A: 8 N", "\n\tBO_ 1 A: 8 N");
    check(" : x", ": x");
    let mut cursor = Cursor::new(" A\tB_2 C// D\nE");
    assert_eq!((cursor.skip_names(), cursor.peek()), (3, Some(b'/')));
}

#[test]
fn a_line_ends_behind_its_quoted_texts() {
    let check = |text: &str, expected: Result<&str, Fault>| {
        let mut cursor = Cursor::new(text);
        assert_eq!(cursor.skip_line().map(|()| &text[cursor.at()..]), expected, "{text}");
    };
    check("SG_S : \"a\nb\" N // \"\nBO_", Ok("\nBO_"));
    check("TURBO_ x\r\n", Ok("\r\n"));
    check("\u{b0}C", Ok(""));
    let reason = "a statement begins in mid-line; put every statement on a line of its own";
    check("N BO_ 2", Err(Fault::Misplaced { reason, line: 1, at: 2 }));
    check("\"open", Err(Fault::Unclosed { line: 1 }));
}
