use super::*;
use crate::candump::parse_line;

/// Feeds lines of `milliseconds frame` and gives what comes out, one text for each event.
fn run(listener: &mut Reassembler, lines: &[&str]) -> Vec<String> {
    let mut events = Vec::new();
    for line in lines {
        let (millis, frame) = line.split_once(' ').unwrap();
        let time = RealtimeNanos(millis.parse::<i64>().unwrap() * 1_000_000);
        let line = format!("(0.0) can0 {frame}");
        let frame = parse_line(&line).unwrap_or_else(|error| panic!("{line}: {error}")).frame;
        listener.push(time, &frame, |event| events.push(text(&event)));
    }
    let counters = listener.counters();
    let used = counters.single_frames
        + counters.first_frames
        + counters.consecutive_frames
        + counters.flow_controls
        + counters.ignored_total();
    assert_eq!(counters.frames, used, "{counters:?}");
    let ended = counters.messages - counters.single_frames + counters.abandoned_total();
    assert_eq!(counters.first_frames, ended + listener.under_way() as u64, "{counters:?}");
    events
}

fn text(event: &Event<'_>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}"));
    match event {
        Event::Message(message) => {
            let cut = if message.is_truncated() { format!(" of {}", message.len) } else { String::new() };
            format!("{} {}{cut}", message.route.sender, hex(message.data))
        }
        Event::Abandoned(abandoned) => {
            let (received, len) = (abandoned.received, abandoned.len);
            format!("{}: {}, {received} of {len}", abandoned.route.sender, abandoned.reason)
        }
    }
}

fn listener() -> Reassembler {
    Reassembler::new(Channels::legislated(), Limits::default())
}

fn check(name: &str, lines: &[&str], expected: &[&str]) {
    assert_eq!(run(&mut listener(), lines), expected, "{name}");
}

#[test]
fn messages_come_out_when_their_last_frame_does() {
    check("single", &["0 7DF#0209020000000000", "1 123#0209020000000000", "2 7E8#R8"], &["7DF 0902"]);
    check(
        "classic with flow control",
        &[
            "0 7E0#0322F190AAAAAAAA",
            "5 7E8#101462F190303132",
            "6 7E0#300000AAAAAAAAAA",
            "7 7E8#2133343536373839",
            "8 7E8#223A3B3C3D3E3F40",
        ],
        &["7E0 22F190", "7E8 62F190303132333435363738393A3B3C3D3E3F40"],
    );
    check(
        "last frame short, padded, without flow control",
        &["0 7E8#1009010203040506", "1 7E8#21070809", "2 7E9#1009010203040506", "3 7E9#2107080900000000"],
        &["7E8 010203040506070809", "7E9 010203040506070809"],
    );
    check(
        "both directions and two partners at once",
        &[
            "0 7E0#1008010203040506",
            "0 7E8#100811121314151A",
            "0 18DAF110#1008212223242526",
            "1 7E8#211617",
            "1 18DAF110#212728",
            "1 7E0#210708",
        ],
        &["7E8 11121314151A1617", "18DAF110 2122232425262728", "7E0 0102030405060708"],
    );
    check(
        "CAN-FD: 12-byte frames, the last one of 4",
        &["0 7E8##1100D0102030405060708090A", "1 7E8##1210B0C0D"],
        &["7E8 0102030405060708090A0B0C0D"],
    );
}

#[test]
fn sequence_numbers_wrap_and_long_messages_keep_their_head() {
    let limits = Limits { message_bytes: 10, ..Limits::default() };
    let mut listener = Reassembler::new(Channels::legislated(), limits);
    // 6 + 20 × 7 bytes.
    let mut lines = vec!["0 7E8#1092000102030405".to_string()];
    lines.extend((1..=20).map(|n| format!("{n} 7E8#2{:X}06070809AABBCC", n % 16)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(run(&mut listener, &lines), ["7E8 00010203040506070809 of 146"]);
    assert_eq!((listener.counters().messages, listener.counters().truncated), (1, 1));
    // The long form beyond 4,095 bytes: 2 + 585 × 7 bytes.
    let mut lines = vec!["0 7E8#1000000010010102".to_string()];
    lines.extend((1..=585).map(|n| format!("{n} 7E8#2{:X}03040506070809", n % 16)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(run(&mut listener, &lines), ["7E8 01020304050607080903 of 4097"]);
}

#[test]
fn what_is_not_completed_has_a_reason() {
    let first = "0 7E8#1014010203040506";
    let next = "1 7E8#210708090A0B0C0D";
    let check = |name: &str, lines: &[&str], expected: &str| {
        let mut listener = listener();
        let events = run(&mut listener, lines);
        assert_eq!(events.first().map(String::as_str), Some(expected), "{name}");
        assert_eq!(listener.counters().abandoned_total(), 1, "{name}");
    };
    check("missing", &[first, "1 7E8#220708090A0B0C0D"], "7E8: wrong sequence number, 6 of 20");
    check("double", &[first, next, next], "7E8: wrong sequence number, 13 of 20");
    check("zero first", &[first, "1 7E8#200708090A0B0C0D"], "7E8: wrong sequence number, 6 of 20");
    check("new first", &[first, next, first], "7E8: interrupted by another message, 13 of 20");
    check("single", &[first, "1 7E8#023E00"], "7E8: interrupted by another message, 6 of 20");
    check("overflow", &[first, "1 7E0#320000"], "7E8: refused by the receiver, 6 of 20");
    check("late", &[first, "1001 7E8#210708090A0B0C0D"], "7E8: timed out, 6 of 20");
    check("late, seen by another", &[first, "1001 123#00"], "7E8: timed out, 6 of 20");
}

#[test]
fn a_consecutive_frame_of_the_wrong_length_does_not_count() {
    let first = "0 7E8#1014010203040506";
    let (next, last) = ("1 7E8#210708090A0B0C0D", "2 7E8#220E0F1011121314");
    let check = |name: &str, lines: &[&str]| {
        let mut listener = listener();
        let done = ["7E8 0102030405060708090A0B0C0D0E0F1011121314"];
        assert_eq!(run(&mut listener, lines), done, "{name}");
        assert_eq!(listener.counters().ignored(Ignored::ConsecutiveLength), 1, "{name}");
    };
    check("short in between", &[first, "1 7E8#210708090A0B0C", next, last]);
    check("short at the end", &[first, next, "2 7E8#220E0F101112", last]);
    check("no content", &[first, "1 7E8#21", next, last]);
    check("longer", &[first, "1 7E8##1210708090A0B0C0D00000000", next, last]);
}

#[test]
fn time_is_the_frames_own() {
    let done = "7E8 0102030405060708090A0B0C0D";
    let check = |name: &str, lines: &[&str], expected: &[&str]| {
        assert_eq!(run(&mut listener(), lines), expected, "{name}");
    };
    let (first, next) = ("0 7E8#100D010203040506", "7E8#210708090A0B0C0D");
    check("a second to the dot", &[first, &format!("1000 {next}")], &[done]);
    check("flow control keeps it alive", &[first, "900 7E0#310000", &format!("1800 {next}")], &[done]);
    check("that of another does not", &[first, "900 7E1#300000", "1001 123#"], &["7E8: timed out, 6 of 13"]);
    let back = ["9000 7E8#1014010203040506", &format!("10 {next}"), "1010 123#", "1011 123#"];
    check("a clock that is set back", &back[..3], &[]);
    check("goes on from there", &back, &["7E8: timed out, 13 of 20"]);
    check("a clock that stands still", &[first, &format!("0 {next}")], &[done]);
    let edges =
        [format!("{} 7E8#1014010203040506", i64::MIN / 1_000_000), format!("{} 123#", i64::MAX / 1_000_000)];
    check("ends of time", &[&edges[0], &edges[1]], &["7E8: timed out, 6 of 20"]);
}

#[test]
fn places_are_bounded_and_the_stalest_makes_room() {
    let mut listener = Reassembler::new(Channels::legislated(), Limits { transfers: 2, ..Limits::default() });
    let lines = [
        "0 7E8#1014010203040506",
        "0 7E9#1014010203040506",
        "0 7E8#210708090A0B0C0D",
        "0 7EA#1014010203040506",
        "0 7E8#220E0F1011121314",
    ];
    let expected =
        ["7E9: too many messages at once, 6 of 20", "7E8 0102030405060708090A0B0C0D0E0F1011121314"];
    assert_eq!(run(&mut listener, &lines), expected);
    assert_eq!(listener.under_way(), 1);
    let mut events = Vec::new();
    listener.finish(|event| events.push(text(&event)));
    assert_eq!(events, ["7EA: not finished at the end, 6 of 20"]);
    assert_eq!(listener.under_way(), 0);
}

#[test]
fn frames_of_no_message_are_counted_by_reason() {
    let cases = [
        ("7E8#", Ignored::Empty),
        ("7E8#4E00000000000000", Ignored::UnknownType),
        ("7E8#00", Ignored::SingleLength),
        ("7E8#1001010203040506", Ignored::FirstLength),
        ("7E8#2101", Ignored::StrayConsecutive),
        ("7E8#3F0000", Ignored::FlowControlForm),
        ("7E8#300000", Ignored::StrayFlowControl),
        ("7DF#1014010203040506", Ignored::FunctionalSegment),
        ("7DF#2101", Ignored::FunctionalSegment),
        ("18DB33F1#300000", Ignored::FunctionalSegment),
    ];
    for (frame, reason) in cases {
        let mut listener = listener();
        assert_eq!(run(&mut listener, &[&format!("0 {frame}")]), [""; 0], "{frame}");
        assert_eq!(
            (listener.counters().ignored(reason), listener.counters().ignored_total()),
            (1, 1),
            "{frame}"
        );
    }
    let mut listener = listener();
    run(&mut listener, &["0 7E8#R8", "0 123#00", "0 20000004#0000000000000000"]);
    assert_eq!(*listener.counters(), Counters::default());
}

#[test]
fn address_bytes_separate_conversations_on_one_identifier() {
    let named = ["6F1/12:612/F1", "6F1/40:640/F1"].map(|text| text.parse().unwrap());
    let mut listener = Reassembler::new(Channels::new(&named, false).unwrap(), Limits::default());
    let lines = [
        "0 6F1#121007AABBCCDDEE",
        "0 6F1#40023E80",
        "1 612#F1300000",
        "1 6F1#41021003",
        "2 6F1#1221F102",
        "3 612#F10462F19031",
    ];
    let expected = ["6F1/40 3E80", "6F1/12 AABBCCDDEEF102", "612/F1 62F19031"];
    assert_eq!(run(&mut listener, &lines), expected);
}

#[test]
fn flow_control_is_noted() {
    let mut listener = listener();
    let mut seen = None;
    for (time, frame) in [
        (0, "7E8#1014010203040506"),
        (1, "7E0#310000"),
        (2, "7E0#300114"),
        (3, "7E8#210708090A0B0C0D"),
        (4, "7E0#3002F5"),
        (5, "7E8#220E0F1011121314"),
    ] {
        let line = format!("(0.0) can0 {frame}");
        let frame = parse_line(&line).unwrap().frame;
        listener.push(RealtimeNanos(time), &frame, |event| {
            if let Event::Message(message) = event {
                seen = Some((message.flow, message.frames, message.completed.since(message.started)));
            }
        });
    }
    let flow = FlowSeen { continues: 2, waits: 1, block_size: 2, separation: SeparationTime(0xF5) };
    assert_eq!(seen, Some((flow, 3, 5)));
    assert_eq!(listener.counters().flow_controls, 3);
}
