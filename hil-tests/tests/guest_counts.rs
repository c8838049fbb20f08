//! Instructions on aarch64 are counted, and counted again they are the same: what benchmarks rest on.

use std::path::Path;
use std::process::Command;

use hil_tests::guest::{Guest, Options, Time, WITHIN, aarch64, emulated_bench};
use hil_tests::{Bench, say};

const TOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/instructions");
const DBC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/can-traffic/traffic.dbc");

/// Frames of a message and of none, half and half.
fn log(frames: usize) -> String {
    let lines: Vec<String> =
        (0..frames).map(|i| format!("(1.{i:06}) can0 {:03X}#{i:08X}00000000\n", 0x100 + i % 2)).collect();
    lines.concat()
}

fn count(text: &str) -> u64 {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("instructions "));
    line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {text:?}"))
}

#[test]
fn user_emulation_counts() {
    let bench = Bench::new("counts");
    let of = |frames| {
        let path = bench.folder().join(format!("{frames}.log"));
        std::fs::write(&path, log(frames)).expect("a log");
        decode_here(&path)
    };
    let (few, again, many) = (of(1_000), of(1_000), of(11_000));
    // Hash maps with random keys make the last few differ.
    assert!(few.abs_diff(again) * 10_000 <= few, "{few} and {again} differ by more than 0.01 %");
    let per_frame = (many - few) / 10_000;
    say(&format!("ecu-daemon decode: {per_frame} instructions a line"));
    assert!((1_000..100_000).contains(&per_frame), "{per_frame}");
}

fn decode_here(log: &Path) -> u64 {
    let output =
        Command::new(TOOL).arg(aarch64("ecu/ecu-daemon")).args(["decode", "--dbc", DBC]).arg(log).output();
    let output = output.unwrap_or_else(|error| panic!("{TOOL}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    count(&said)
}

#[test]
fn the_guest_counts_nearly_as_well() {
    if !emulated_bench() {
        return;
    }
    let bench = Bench::new("counts-guest");
    let guest = Guest::boot(&bench, Options { time: Time::Metered, ..Options::default() });
    guest.copy_in(&aarch64("ecu/ecu-daemon"), "/tmp/ecu-daemon");
    guest.copy_in(Path::new(DBC), "/tmp/traffic.dbc");
    guest.write("/tmp/log", &log(5_000));
    let decode = || {
        let said = guest.attempt(
            "instructions /tmp/ecu-daemon decode --dbc /tmp/traffic.dbc /tmp/log >/dev/null",
            WITHIN,
        );
        assert_eq!(said.status, 0, "{}", said.text);
        count(&said.text)
    };
    let (one, other) = (decode(), decode());
    assert!(one.abs_diff(other) * 1_000 <= one, "{one} and {other} differ by more than 0.1 %");
}
