//! The DBC files under `tests/data`: values worked out by hand, and what the reader says about untidy files.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use can_decode::candump::parse_line;
use can_decode::{CanId, Database, DecodeTable, Finding, Matching, Message, TraceFlags, ValueKind};

fn read(name: &str) -> (Database, Vec<Finding>) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name);
    can_decode::dbc::read(name, &fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{error}"))
}

fn table(name: &str) -> DecodeTable {
    let (table, findings) = DecodeTable::compile(&[read(name).0], Matching::Auto);
    assert_eq!(findings, [], "{name}");
    table
}

fn message(table: &DecodeTable, id: CanId) -> &Message {
    table.message(table.find(id).unwrap())
}

#[test]
fn frames_decode_to_values_worked_out_by_hand() {
    let vectors = include_str!("data/vectors.txt");
    let mut count = 0;
    for vector in vectors.lines().filter(|line| !line.starts_with('#')) {
        let (input, expected) = vector.split_once(':').unwrap();
        let (file, frame) = input.split_once(' ').unwrap();
        let line = format!("(0.0) can0 {frame}");
        let frame = parse_line(&line).unwrap_or_else(|error| panic!("{vector}: {error}")).frame;
        let table = table(file);
        let message = message(&table, frame.id());
        let mut samples = Vec::new();
        message.decode(&frame, |signal, raw| samples.push((signal, raw)));
        // Signals of branches are reported behind the others.
        samples.sort();
        let mut got = String::new();
        for (signal, raw) in samples {
            let signal = &message.signals[signal];
            let separator = if got.is_empty() { "" } else { ", " };
            write!(got, "{separator}{} {} {}", signal.name, raw.as_i64(), signal.physical(raw)).unwrap();
        }
        assert_eq!(got, expected.trim(), "{vector}");
        count += 1;
    }
    assert_eq!(count, 34);
}

#[test]
fn findings_name_the_line_and_the_reason() {
    let check = |name: &str, expected: &[&str]| {
        let findings: Vec<String> = read(name).1.iter().map(ToString::to_string).collect();
        assert_eq!(findings, expected, "{name}");
    };
    check("byte_orders.dbc", &[]);
    check("utf8_bom.dbc", &[]);
    check("latin1.dbc", &["6: note: not UTF-8 from here on: the file is read as Windows-1252"]);
    check(
        "floats.dbc",
        &[
            "10: left out: signal Half of message WrongSizes: SIG_VALTYPE_ makes it a floating point number, \
             which 16 bits cannot be",
            "17: note: SIG_VALTYPE_ for a signal Missing that message 011 does not have",
        ],
    );
    check(
        "multiplexed.dbc",
        &[
            "20: left out: signal NoPage of message Orphans: it is multiplexed and its message has no multiplexor (M)",
            "21: left out: signal Ping of message Orphans: its multiplexors hang on each other in a circle, or more \
             than 8 deep",
            "22: left out: signal Pong of message Orphans: its multiplexors hang on each other in a circle, or more \
             than 8 deep",
        ],
    );
    check(
        "traced_fd.dbc",
        &["9: left out: TraceContextOffset 8 of message Late: 25 bytes do not fit in its 32 bytes"],
    );
    check("j1939.dbc", &[]);
    check("field.dbc", &[]);
    check("dos.dbc", &[]);
    check(
        "described.dbc",
        &[
            "11: left out: this comment, attribute or value table is no DBC statement",
            "46: left out: labels of signal Level: there is no VAL_TABLE_ Nowhere",
            "48: left out: this comment, attribute or value table is no DBC statement",
        ],
    );
    check(
        "lenient.dbc",
        &[
            "7: warning: message NoBit31: identifier 419361024 is above 0x7FF without bit 31; taken as 29-bit",
            "9: warning: message NoBit31: the second signal Value is called Value__2",
            "10: warning: signal Overlapping of message NoBit31 overlaps Value__2",
            "11: warning: signal Beyond of message NoBit31 ends in byte 9, beyond the declared 8 bytes",
            "11: warning: signal Beyond of message NoBit31 has factor 0: its physical value never changes",
            "12: left out: signal TooWide of message NoBit31: it has 65 bits; 1 to 64 can be decoded",
            "13: left out: signal NoBits of message NoBit31: it has 0 bits; 1 to 64 can be decoded",
            "14: left out: signal Outside of message NoBit31: start bit 600 puts it outside of 64 bytes",
            "16: left out: message Impossible: identifier 4294967295 is beyond 29 bits",
            "22: left out: message Second: an earlier message has its identifier 007 too",
            "25: note: signals of VECTOR__INDEPENDENT_SIG_MSG belong to no message and are not decoded",
            "29: left out: this comment, attribute or value table is no DBC statement",
            "30: left out: this comment, attribute or value table is no DBC statement",
            "33: note: VAL_ for a signal Missing that message 18FEF100 does not have",
        ],
    );
}

#[test]
fn units_labels_and_attributes_are_kept() {
    let table = table("byte_orders.dbc");
    let engine = message(&table, CanId::Standard(0x100));
    assert_eq!(
        (engine.name.as_str(), engine.len, engine.fd, engine.cycle_time_ms),
        ("Engine", 8, false, Some(20))
    );
    assert_eq!(engine.sender.as_deref(), Some("Engine"));
    let gear = &engine.signals[2];
    assert_eq!(gear.labels[2], (15, "not \"available\"".to_string()));
    assert_eq!((gear.unit.as_str(), engine.signals[1].unit.as_str()), ("", "degC"));
    assert_eq!((engine.signals[3].min, engine.signals[3].max), (-1024.0, 1023.5));
    let uptime = &message(&table, CanId::Standard(0x101)).signals[0];
    assert_eq!(uptime.label(can_decode::Raw(u64::MAX)), Some("not available"));
    assert_eq!(message(&table, CanId::Standard(0x101)).cycle_time_ms, None);
}

#[test]
fn text_that_is_not_utf8_is_windows_1252() {
    let units = |name: &str| -> Vec<String> {
        read(name).0.messages[0].signals.iter().map(|signal| signal.unit.clone()).collect()
    };
    assert_eq!(units("latin1.dbc"), ["°C", "€"]);
    assert_eq!(units("utf8_bom.dbc"), ["°C"]);
}

#[test]
fn fd_and_trace_context_come_from_attributes_or_the_length() {
    let table = table("traced_fd.dbc");
    let about = |id| {
        let message = message(&table, CanId::Standard(id));
        (message.fd, message.trace_context_offset)
    };
    assert_eq!(about(0x30), (true, Some(8)));
    assert_eq!(about(0x31), (true, None));
    assert_eq!(about(0x32), (true, None));
    assert_eq!(about(0x33), (false, None));
    let vector = include_str!("data/vectors.txt").lines().find(|line| line.contains("AAAAAAAA")).unwrap();
    let frame = vector.split_once(' ').unwrap().1.split_once(':').unwrap().0;
    let line = format!("(0.0) can0 {frame}");
    let context = message(&table, CanId::Standard(0x30)).trace_context(&parse_line(&line).unwrap().frame);
    let context = context.unwrap().unwrap();
    assert_eq!((context.trace_id[0], context.span_id[7], context.flags), (0x0A, 0x31, TraceFlags(1)));
}

#[test]
fn j1939_messages_match_by_parameter_group() {
    let table = table("j1939.dbc");
    let about = |id| table.find(CanId::Extended(id)).map(|index| table.message(index).by_pgn);
    assert_eq!(about(0x0CF0_04FE), Some(true));
    assert_eq!(about(0x18F0_0427), Some(true));
    assert_eq!(about(0x18FF_00FE), Some(false));
    assert_eq!(about(0x18FF_0001), None);
    let engine = message(&table, CanId::Extended(0x0CF0_0400));
    assert_eq!(engine.long_name.as_deref(), Some("ElectronicEngineController1"));
    assert_eq!(engine.signals[0].long_name.as_deref(), Some("EngineSpeedWithALongNameThatDoesNotFitIn32"));
}

#[test]
fn attributes_have_defaults_and_the_last_value_counts() {
    let table = table("described.dbc");
    let about: Vec<_> = table.messages().iter().map(|message| (message.cycle_time_ms, message.fd)).collect();
    assert_eq!(about, [(Some(50), false), (Some(100), true), (None, false)]);
    let numbers = |message: &Message| -> Vec<_> {
        message.signals.iter().map(|signal| (signal.start_value, signal.spn)).collect()
    };
    // -3 by default, which an unsigned signal cannot have, as 16 bits cannot have 65536.
    let [light, motion, default] = table.messages() else { panic!("{:?}", table.messages()) };
    assert_eq!(numbers(light), [(Some(3.0), None), (Some(-3.0), None), (Some(-3.0), None)]);
    assert_eq!(numbers(motion), [(Some(1.5), Some(84)), (None, Some(190))]);
    assert_eq!(numbers(default), [(None, None)]);
}

#[test]
fn labels_may_come_from_a_named_table() {
    let table = table("described.dbc");
    let labels = &message(&table, CanId::Standard(0x40)).signals[0].labels;
    let labels: Vec<_> = labels.iter().map(|(value, text)| (*value, text.as_str())).collect();
    assert_eq!(labels, [(0, "off"), (1, "on"), (3, "not \"available\"")]);
}

#[test]
fn comments_stay_in_the_database() {
    let (database, _) = read("described.dbc");
    let comments = &database.comments;
    assert_eq!(comments.file.as_deref(), Some("About the file,\nin two lines."));
    let of_message = |id| comments.message(CanId::Standard(id));
    assert_eq!(of_message(0x40), Some("About the light."));
    assert_eq!(of_message(0x41), Some("A signal's comment without a signal."));
    assert_eq!(of_message(0x42), Some("A message's without BO_."));
    assert_eq!(of_message(0x43), None);
    assert_eq!(comments.signal(CanId::Standard(0x40), "Beam"), Some("It said: \"on\"."));
    assert_eq!(comments.signal(CanId::Standard(0x40), "Level"), None);
}

#[test]
fn forms_that_real_files_have_are_read() {
    let table = table("field.dbc");
    let door = message(&table, CanId::Standard(0x80));
    let names: Vec<_> =
        door.signals.iter().map(|signal| (signal.name.as_str(), signal.branch.is_some())).collect();
    assert_eq!(names, [("1stLock", false), ("Unpaged", false), ("Exponent", false), ("Long", false)]);
    let scales: Vec<_> = door.signals.iter().map(|signal| (signal.factor, signal.offset)).collect();
    assert_eq!(scales, [(0.25, 0.0), (1.0, -0.5), (0.01, 15.0), (1.0, 0.0)]);
    assert_eq!((door.signals[2].min, door.signals[2].max), (-1000.0, 0.5));
    assert_eq!(door.signals[3].kind, ValueKind::F32);
    let labels = |at: usize| -> Vec<_> {
        door.signals[at].labels.iter().map(|(value, text)| (*value, text.as_str())).collect()
    };
    assert_eq!(labels(0), [(0, "open"), (1, "shut")]);
    assert_eq!(labels(1), [(-6, "minus six"), (5, "five"), (7, "seven")]);
    assert_eq!(message(&table, CanId::Standard(0x81)).name, "Late");
}

#[test]
fn value_types_decide_the_kind() {
    let table = table("floats.dbc");
    let kinds: Vec<_> =
        table.messages().iter().flat_map(|message| &message.signals).map(|signal| signal.kind).collect();
    assert_eq!(kinds, [ValueKind::F64, ValueKind::F32, ValueKind::Signed]);
}
