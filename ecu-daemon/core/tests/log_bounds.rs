//! Whatever is mined: memory stays within its bound, a warm line allocates nothing, and nothing panics or is lost.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with other tests and the table of scores")]
mod labelled;

use std::alloc::System;

use ecu_core::logs::{LINE_BYTES_MAX, Miner, Origin, TEMPLATES_MAX, VARIABLES_MAX};
use labelled::own::{self, Dice};
use proptest::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MINER_BYTES_MAX: usize = 8 << 20;

/// Mines `line` and checks that template and variables are the line.
fn check(miner: &mut Miner, line: &[u8]) {
    let mined = miner.mine(Origin::new(b"fuzz", None), line);
    assert!(mined.variables.len() <= VARIABLES_MAX);
    let ordered = mined.variables.windows(2).all(|two| two[0].end <= two[1].start);
    assert!(ordered && mined.variables.iter().all(|span| span.start <= span.end), "{:?}", mined.variables);
    let variables: Vec<Vec<u8>> = mined.variables.iter().map(|span| span.of(line).to_vec()).collect();
    let id = mined.template;
    let mut back = Vec::new();
    miner.template(id).unwrap().write_line(variables.iter().map(Vec::as_slice), &mut back);
    assert_eq!(back, line);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut miner = Miner::default();
        lines.iter().chain(&lines).for_each(|line| check(&mut miner, line));
    }

    /// What the rules look for, in any order.
    #[test]
    fn any_words(lines in prop::collection::vec(prop::collection::vec(prop::sample::select(WORDS), 0..24), 1..30)) {
        let mut miner = Miner::default();
        lines.iter().chain(&lines).for_each(|line| check(&mut miner, line.concat().as_bytes()));
    }
}

const WORDS: &[&str] = &[
    " ",
    " ",
    " ",
    "=",
    ":",
    ",",
    "'",
    "\"",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    "|",
    ".",
    "..",
    "-",
    "/",
    "\\",
    "://",
    "user",
    "id",
    "Sun",
    "Jul",
    "10",
    "03:55:15",
    "true",
    "0x1F",
    "a.b.c",
    "can0",
    "blk_",
    "msg",
    "x'y",
    "é",
    "\u{1}",
    "+0x",
    "%",
    "http",
    "bytes",
    "kB",
    "\t",
    "no",
    "C:\\",
    "_",
    "#",
    "@",
    "example.com",
    "1.5",
    "ffee:12",
];

/// One test, because the allocator counts all threads' allocations; the properties above run beside it, so it is a
/// process of its own that matters.
#[test]
fn memory_is_bounded_and_warm_lines_allocate_nothing() {
    if std::env::var_os("LOG_BOUNDS_ALONE").is_none() {
        let own = std::env::current_exe().unwrap();
        let name = "memory_is_bounded_and_warm_lines_allocate_nothing";
        let run = std::process::Command::new(own)
            .args(["--exact", name, "--nocapture"])
            .env("LOG_BOUNDS_ALONE", "1")
            .output()
            .unwrap();
        print!("{}", String::from_utf8_lossy(&run.stdout));
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        return;
    }
    let region = Region::new(ALLOCATOR);
    let held = || {
        let change = region.change();
        change.bytes_allocated.saturating_sub(change.bytes_deallocated)
    };
    let mut miner = Miner::default();
    let mut dice = Dice(99);
    let mut most = 0;
    let origin = Origin::new(b"app", None);
    for round in 0..80_000_u32 {
        let line = hostile(round, &mut dice);
        miner.mine(origin, &line);
        drop(line);
        most = most.max(held());
        assert!(miner.len() <= TEMPLATES_MAX);
    }
    println!("most held: {most} bytes, {} templates, {:?}", miner.len(), miner.totals());
    assert!(most <= MINER_BYTES_MAX, "{most}");
    assert!(miner.totals().forgotten > 0, "the bound was not reached");

    let set = own::set(2_000, 3);
    // Grouping settles, buffers reach their size.
    for _ in 0..3 {
        pass(&mut miner, &set);
    }
    let before = miner.totals().misses;
    let warm = Region::new(ALLOCATOR);
    pass(&mut miner, &set);
    let change = warm.change();
    assert_eq!(miner.totals().misses, before);
    // A cluster whose lines have doubled is compared with its neighbours once more: at most once each here.
    assert!(change.allocations + change.reallocations <= own::STATEMENTS.len(), "{change:?}");
}

fn pass(miner: &mut Miner, set: &labelled::Labelled) {
    for (line, &origin) in set.lines.iter().zip(&set.origins) {
        miner.mine(origin, line);
    }
}

/// Lines without end that are like no other: long ones, words at random, binary, text cut in the midst of a character.
fn hostile(round: u32, dice: &mut Dice) -> Vec<u8> {
    let letters = |dice: &mut Dice| -> Vec<u8> {
        (0..4 + dice.below(6)).map(|_| b'a' + dice.below(26) as u8).collect()
    };
    match round % 8 {
        0 => (0..dice.below(400)).map(|_| dice.below(256) as u8).collect(),
        1 => (0..400).flat_map(|_| [letters(dice), b" 7 ".to_vec()].concat()).take(LINE_BYTES_MAX).collect(),
        2 if round % 1_000 == 2 => (0..1 << 20).map(|_| b' ' + dice.below(90) as u8).collect(),
        3 => (0..600).flat_map(|_| [letters(dice), b" ".to_vec()].concat()).collect(),
        4 => format!("\u{e9}{round}\u{20ac}").into_bytes()[..4].to_vec(),
        _ => (0..3 + dice.below(20)).flat_map(|_| [letters(dice), b", ".to_vec()].concat()).collect(),
    }
}
