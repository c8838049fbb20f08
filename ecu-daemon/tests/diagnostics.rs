//! Diagnostic messages that pass by: counted by the service, without an allocation.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod daemon;

use std::alloc::System;
use std::fmt::Write as _;
use std::fs;

use can_decode::candump::parse_line;
use can_decode::isotp::{Abandon, Channels};
use daemon::{Card, Daemon};
use ecu_core::FrameRecord;
use ecu_core::record::{BusIndex, Stamp};
use ecu_daemon::diagnostics::Diagnostics;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use store::block::ClockSource;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A session a second: a request with a long response, one that is refused, and a response that breaks off.
const SESSION: [&str; 8] = [
    "7E0#0322F190",
    "7E8#100862F190303132",
    "7E0#300000",
    "7E8#213334",
    "79B#022101",
    "7BB#037F2133",
    "7E8#1014010203040506",
    "7E8#220708090A0B0C0D",
];

fn session(round: u32) -> impl Iterator<Item = String> {
    let line = move |(at, frame)| format!("({}.{at}) can0 {frame}", 1_533_201_287 + round);
    SESSION.iter().enumerate().map(line)
}

/// Without the test harness, whose threads allocate when they like: the allocator counts those of all threads.
fn main() {
    counting_allocates_nothing_and_the_service_shows_the_counts();
}

fn counting_allocates_nothing_and_the_service_shows_the_counts() {
    let channels = Channels::new(&["79B:7BB".parse().unwrap()], true).unwrap();
    let mut diagnostics = Diagnostics::new([None, Some(channels)]);
    let record = |line: &str, bus| {
        let line = parse_line(line).unwrap();
        let stamp = Stamp { ns: line.time.0, clock: ClockSource::Recorded };
        FrameRecord { bus: BusIndex(bus), stamp, frame: line.frame, follows_loss: false }
    };
    let records: Vec<_> = (0..200)
        .flat_map(session)
        .flat_map(|line| [record(&line, 0), record(&line, 1), record(&line, 9)])
        .collect();
    let region = Region::new(ALLOCATOR);
    records.iter().for_each(|record| diagnostics.frame(record));
    let change = region.change();
    let counts: Vec<_> = diagnostics.counts().collect();
    assert!(counts.len() == 2 && counts[0].is_none());
    let (seen, transport) = (counts[1].unwrap().exchanges, counts[1].unwrap().transport);
    assert_eq!((seen.requests, seen.positive, seen.negative), (400, 200, 200));
    assert_eq!((transport.messages, transport.abandoned(Abandon::WrongSequence)), (800, 200));
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    the_service_counts_them_where_it_is_told_to();
}

/// Not a test of its own: the allocator counts those of all threads.
fn the_service_counts_them_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut log = String::new();
    (0..3).flat_map(session).for_each(|line| writeln!(log, "{line}").unwrap());
    fs::write(folder.join("drive.log"), log).unwrap();
    let bus = |name: &str, more: &str| {
        format!(
            "[[bus]]\nkind = \"replay\"\nname = \"{name}\"\nfile = \"drive.log\"\nspeed = \"max\"\n{more}"
        )
    };
    let config = [
        "[store]\npath = \"ring.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
        bus("all", "diagnostics = { channels = [\"79B:7BB\"] }\n"),
        bus("law", "diagnostics = {}\n"),
        bus("off", ""),
    ];
    fs::write(folder.join("car.toml"), config.concat()).unwrap();
    let mut daemon = Daemon::start(folder, &[], Card::Whole);
    let of = |bus: &str, kind: &str| {
        format!("ecu_daemon_diagnostic_messages_total{{bus=\"{bus}\",kind=\"{kind}\"}}")
    };
    let cut_off = |bus: &str| {
        let name = "ecu_daemon_diagnostic_messages_cut_off_total";
        format!("{name}{{bus=\"{bus}\",reason=\"wrong sequence number\"}}")
    };
    for (series, expected) in [
        (of("all", "request"), 6),
        (of("all", "positive"), 3),
        (of("all", "negative"), 3),
        (cut_off("all"), 3),
        (of("law", "request"), 3),
        (of("law", "positive"), 3),
        (of("law", "negative"), 0),
        (cut_off("law"), 3),
    ] {
        daemon.wait_for(&series, expected);
        assert_eq!(daemon.metric(&series), Some(expected), "{series}");
    }
    assert_eq!(daemon.metric(&of("off", "request")), None);
    daemon.stop();
}
