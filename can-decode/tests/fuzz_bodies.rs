//! The bodies of the fuzz targets (`can-decode/fuzz`) on stable, for seconds: our files with a few pieces replaced,
//! doubled or taken out, and arbitrary bytes.
#![cfg(feature = "dbc")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use proptest::prelude::*;

const FILES: [&[u8]; 11] = [
    include_bytes!("data/byte_orders.dbc"),
    include_bytes!("data/described.dbc"),
    include_bytes!("data/dos.dbc"),
    include_bytes!("data/field.dbc"),
    include_bytes!("data/floats.dbc"),
    include_bytes!("data/j1939.dbc"),
    include_bytes!("data/latin1.dbc"),
    include_bytes!("data/lenient.dbc"),
    include_bytes!("data/multiplexed.dbc"),
    include_bytes!("data/protected.dbc"),
    include_bytes!("data/traced_fd.dbc"),
];

/// Words of the language, to be put where they do not belong.
const WORDS: [&str; 28] = [
    "BO_ ",
    "SG_ ",
    "VAL_ ",
    "VAL_TABLE_ ",
    "SG_MUL_VAL_ ",
    "SIG_VALTYPE_ ",
    "BA_ ",
    "BA_DEF_ ",
    "BA_DEF_DEF_ ",
    "CM_ ",
    "NS_ :",
    "BU_: ",
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
    ",",
];

const LINES: [&[u8]; 6] = [
    b"(1533201287.000013) can0 2C1#0014DF14BBCA3A91",
    b"(-1.9) vcan0 1FFFFFFF##0AABBCCDDEEFF00112233445566778899AABBCCDDEEFF001122",
    b"(0.123456789) can1 7FF#R8_9 R",
    b"(1.0) x 20000040#0102030405060708 T",
    b"(9223372036.854775807) can0 000#",
    b"  (1.1)\tcan0\t12345678##3",
];

const CARRIED: [&[u8]; 5] = [
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
    b"AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE",
    b"\0\0KKKKKKKKKKKKKKKK\x01zzzzzzzz\x02\x01",
    b"ABCDEFGHIJKLMNOPabcdefgh\x01\0\0\0\xC0TC\x19",
];

/// A seed with a few pieces replaced, doubled or taken out.
fn mutated(seeds: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, piece), 1..8);
    (prop::sample::select(seeds), edits).prop_map(|(seed, edits)| {
        let mut bytes = seed.to_vec();
        for (at, cut, piece) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        bytes
    })
}

fn any_bytes(len_max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..len_max)
}

#[test]
fn seeds_pass_as_they_are() {
    FILES.iter().for_each(|file| bodies::dbc(file));
    LINES.iter().for_each(|line| bodies::candump(line));
    CARRIED.iter().for_each(|bytes| bodies::carriers(bytes));
}

#[test]
fn arbitrary_bytes_make_tables_that_decode() {
    let mut seed = 1_u64;
    let mut byte = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    let signals: usize =
        (0..200).map(|_| bodies::frames(&(0..2000).map(|_| byte()).collect::<Vec<u8>>())).sum();
    assert!(signals > 1000, "{signals}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn dbc_files(bytes in prop_oneof![9 => mutated(&FILES), 1 => any_bytes(200)]) {
        bodies::dbc(&bytes);
    }

    #[test]
    fn frames_against_tables(bytes in any_bytes(1000)) {
        bodies::frames(&bytes);
    }

    #[test]
    fn candump_lines(bytes in prop_oneof![9 => mutated(&LINES), 1 => any_bytes(100)]) {
        bodies::candump(&bytes);
    }

    #[test]
    fn trace_contexts(bytes in any_bytes(40)) {
        bodies::trace(&bytes);
    }

    #[test]
    fn carriers_of_contexts(bytes in prop_oneof![1 => mutated(&CARRIED), 1 => any_bytes(200)]) {
        bodies::carriers(&bytes);
    }
}
