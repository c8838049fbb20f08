//! Several DBC files for one bus: what they say differently is told, and the first of them counts.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::dbc;
use can_decode::{CanId, Database, DecodeTable, Matching};

fn databases() -> [Database; 2] {
    let read = |name, bytes: &[u8]| {
        let (database, findings) = dbc::read(name, bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(findings, [], "{name}");
        database
    };
    [
        read("first.dbc", include_bytes!("data/first.dbc")),
        read("second.dbc", include_bytes!("data/second.dbc")),
    ]
}

#[test]
fn conflicts_are_told_with_file_line_and_reason() {
    let check = |matching, expected: &[&str]| {
        let (_, findings) = DecodeTable::compile(&databases(), matching);
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected, "{matching:?}");
    };
    let by_id = [
        "4: left out: second.dbc: message SpeedToo (100): Speed in first.dbc defines the identifier another way and \
         comes first",
        "7: note: second.dbc: message Level (101): Level in first.dbc defines the identifier the same and comes first",
    ];
    let name = "10: warning: second.dbc: message Level (00000100): another message has this name too";
    let auto = "13: note: second.dbc: message EEC1Again (18F00427): EEC1 has the same parameter group 0xF004; this one \
                matches its exact id only";
    let pgn = "13: left out: second.dbc: message EEC1Again (18F00427): EEC1 has the same parameter group 0xF004 and comes \
               first";
    check(Matching::Id, &[by_id[0], by_id[1], name]);
    check(Matching::Auto, &[by_id[0], by_id[1], name, auto]);
    check(Matching::Pgn, &[by_id[0], by_id[1], name, pgn]);
}

#[test]
fn frames_of_both_files_are_found_in_one_table() {
    let (table, _) = DecodeTable::compile(&databases(), Matching::Auto);
    let name = |id| table.find(id).map(|index| table.message(index).name.as_str());
    assert_eq!(name(CanId::Standard(0x100)), Some("Speed"));
    assert_eq!(name(CanId::Extended(0x100)), Some("Level"));
    assert_eq!(name(CanId::Extended(0x0CF0_0403)), Some("EEC1"));
    assert_eq!(name(CanId::Extended(0x18F0_0427)), Some("EEC1Again"));
    assert_eq!(name(CanId::Standard(0x102)), None);
}
