//! End-to-end protection and alive counters as DBC attributes name them.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::e2e::{Config, DataIdMode, Profile, Status};
use can_decode::observe::{Expectation, Observer};
use can_decode::{CanId, Database, DecodeTable, Finding, Frame, Matching};

fn read() -> (Database, Vec<Finding>) {
    can_decode::dbc::read("protected.dbc", include_bytes!("data/protected.dbc"))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn protections_are_read_from_attributes() {
    let (database, _) = read();
    let check = |name: &str, expected: Option<Config>| {
        let message = database.messages.iter().find(|message| message.name == name).unwrap();
        assert_eq!(message.e2e, expected, "{name}");
    };
    // The file's defaults: profile 1 and steps of two, but no Data ID.
    let by_default = |profile, len| Config { max_delta_counter: 2, ..Config::new(profile, len) };
    let variant_1a = by_default(Profile::p01(0x123, DataIdMode::Both), 8);
    check("Variant1A", Some(Config { sync_counter: 3, ..variant_1a }));
    check("Variant1C", Some(by_default(Profile::p01(0x123, DataIdMode::Nibble), 8)));
    let by_signals = Profile::P01 {
        data_id: 68,
        data_id_mode: DataIdMode::Alt,
        crc_offset_bits: 56,
        counter_offset_bits: 52,
        nibble_offset_bits: 12,
    };
    check("BySignals", Some(by_default(by_signals, 8)));
    let data_ids = std::array::from_fn(|at| at as u8 + 1);
    check("Listed", Some(by_default(Profile::P02 { data_ids, offset_bits: 0 }, 8)));
    check("Long", Some(by_default(Profile::P04 { data_id: 0x0A0B_0C0D, offset_bits: 64 }, 24)));
    let short = Config::new(Profile::P05 { data_id: 0x1234, offset_bits: 0 }, 8);
    check("Short", Some(Config { max_delta_counter: 7, ..short }));
    let group = by_default(Profile::p01(373, DataIdMode::Both), 6);
    check("Group", Some(Config { start_bytes: 2, ..group }));
    check("Unprotected", None);
    check("Declined", None);
    for name in ["NoProfile", "NoDataId", "UnknownProfile", "WideDataId", "TooShort", "TwoGroups", "Negative"]
    {
        check(name, None);
    }
}

#[test]
fn attributes_that_make_no_protection_are_told_with_the_message_s_line() {
    let findings: Vec<String> =
        read().1.iter().map(ToString::to_string).filter(|text| text.contains("end-to-end")).collect();
    let expected = [
        "41: left out: end-to-end protection of message NoDataId: E2EProfile without an E2EDataId of its own",
        "42: left out: end-to-end protection of message UnknownProfile: E2EProfile `P07` is not P01, P01A, P01B, P01C, \
         P02, P04 or P05",
        "43: left out: end-to-end protection of message WideDataId: E2EDataId 65536 has more bits than the profile's \
         Data ID",
        "44: left out: end-to-end protection of message TooShort: 8 protected bytes from byte 0 on; P04 with these \
         offsets needs 12, and a frame holds 64",
        "45: left out: end-to-end protection of message BadMode: E2EDataIDMode `SOME` is not BOTH, ALT, LOW or NIBBLE",
        "46: left out: end-to-end protection of message BadList: E2EDataIdList `01 02 xy` is not 16 bytes in \
         hexadecimal",
        "47: left out: end-to-end protection of message TwoGroups: several signals have an E2EDataId; one group of a \
         message can be checked",
        "50: left out: end-to-end protection of message BadPlace: the signal Odd is not 8 bits at a place where the \
         profile has them",
        "52: left out: end-to-end protection of message MissingSignal: the signal Gone is not there",
        "53: left out: end-to-end protection of message BadLength: E2EDataLength 72 is no multiple of 8 up to the 64 \
         bits that there are",
        "54: left out: end-to-end protection of message Negative: E2EDataId has a value that is no whole number from 0 \
         on",
        "55: left out: end-to-end protection of message Misaligned: Offset 4 is no multiple of 8 bits",
    ];
    assert_eq!(findings, expected);
}

#[test]
fn a_data_id_without_a_profile_is_told() {
    let text = "BO_ 1 A: 8 N\n\nBA_DEF_ BO_ \"E2EDataId\" INT 0 9;\nBA_ \"E2EDataId\" BO_ 1 1;\n";
    let (_, findings) = can_decode::dbc::read("a.dbc", text.as_bytes()).unwrap();
    assert_eq!(
        findings.first().map(ToString::to_string).as_deref(),
        Some(
            "1: left out: end-to-end protection of message A: E2EDataId without E2EProfile; name the profile (P01, P02, \
             P04 or P05)"
        )
    );
}

#[test]
fn alive_counters_are_found_by_type_and_by_name() {
    let (database, _) = read();
    let check = |name: &str, expected: Option<&str>| {
        let message = database.messages.iter().find(|message| message.name == name).unwrap();
        let counter = message.alive_counter.map(|index| message.signals[index].name.as_str());
        assert_eq!(counter, expected, "{name}");
    };
    check("BySignals", Some("RollingCounter"));
    check("Unprotected", Some("Sequence"));
    check("Declined", Some("COUNTER"));
    check("Group", None);
}

#[test]
fn an_observer_checks_what_the_file_names() {
    let (table, _) = DecodeTable::compile(&[read().0], Matching::Auto);
    let mut observer = Observer::new(8, table.messages().iter().map(Expectation::of));
    for (name, expected) in [("Variant1A", 10), ("BySignals", 0), ("Listed", 0), ("Short", 0), ("Group", 0)] {
        let message = table.messages().iter().find(|message| message.name == name).unwrap();
        let protection = message.e2e.unwrap().checked().unwrap();
        let mut payload = [0x5A; 8];
        protection.protect(3, &mut payload).unwrap();
        let index = table.find(message.id);
        let mut status = |payload: &[u8]| {
            let frame = Frame::classic(message.id, payload).unwrap();
            observer.observe(&frame, 0, index).e2e.map(|checked| checked.status)
        };
        assert_eq!(status(&payload), Some(Status::Initial), "{name}");
        assert_eq!(status(&payload), Some(Status::Repeated), "{name}");
        payload[3] ^= 1;
        assert_eq!(status(&payload), Some(Status::WrongCrc), "{name}");
        let seen = observer.statistics(0).find(|seen| seen.id == message.id).unwrap();
        assert_eq!(seen.cycle_declared_ns, Some(expected * 1_000_000).filter(|cycle| *cycle > 0), "{name}");
        assert_eq!(
            seen.e2e.map(|counts| (counts.of(Status::WrongCrc), counts.bad())),
            Some((1, 2)),
            "{name}"
        );
    }
    let plain = Frame::classic(CanId::Standard(263), &[0; 8]).unwrap();
    assert_eq!(observer.observe(&plain, 0, table.find(plain.id())).e2e, None);
}
