//! The observer over recordings of real buses, where they are at hand: none of them has two senders of one identifier.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use can_decode::candump::parse_line;
use can_decode::observe::{ConflictSigns, Expectation, IdStatistics, Observer};
use can_decode::{CanId, DecodeTable, Frame, Matching};
use flate2::read::GzDecoder;

/// Recordings, and the database that knows most of each one's identifiers.
const LOGS: [(&str, Option<&str>); 7] = [
    ("comma2k19_rav4_bus0.log.gz", Some("opendbc/toyota_new_mc_pt_generated.dbc")),
    ("css_j1939_truck_gps.log.gz", Some("canmatrix/j1939.dbc")),
    ("css_obd2_gps.log.gz", Some("css/canmod-gps.dbc")),
    ("css_nmea2000.log.gz", Some("css/tp_nmea.dbc")),
    ("css_uds_isotp.log", None),
    ("savvycan_tesla_s.log.gz", None),
    ("SYNTHETIC_canfd_hyundai_canfd.log.gz", Some("opendbc/hyundai_canfd_generated.dbc")),
];

fn data() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can"));
    let found = path.is_dir();
    println!("{} shared CAN recordings", if found { "running over the" } else { "absent: the" });
    found.then(|| path.to_path_buf())
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_none_or(|extension| extension != "gz") {
        return String::from_utf8(bytes).unwrap();
    }
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    text
}

/// What was seen of each bus's identifiers, and how often each event was.
fn observe(
    frames: impl Iterator<Item = (i64, String, Frame)>,
    table: &DecodeTable,
) -> (Vec<(String, IdStatistics)>, BTreeMap<&'static str, usize>) {
    let mut observers: BTreeMap<String, Observer> = BTreeMap::new();
    let mut events: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut taken, mut now) = (0, 0);
    for (time, bus, frame) in frames {
        let expectations = || table.messages().iter().map(Expectation::of);
        let observer = observers.entry(bus).or_insert_with(|| Observer::new(1_000, expectations()));
        let observation = observer.observe(&frame, time, table.find(frame.id()));
        for name in observation.events.names() {
            *events.entry(name).or_default() += 1;
        }
        (taken, now) = (taken + 1, time);
    }
    let totals: u64 = observers.values().map(|observer| observer.totals().frames).sum();
    assert_eq!(totals, taken);
    let statistics = observers
        .iter()
        .flat_map(|(bus, observer)| observer.statistics(now).map(|seen| (bus.clone(), seen)))
        .collect();
    (statistics, events)
}

fn frames(log: &str) -> impl Iterator<Item = (i64, String, Frame)> {
    log.lines().map(|line| {
        let parsed = parse_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        (parsed.time.0, parsed.interface.to_string(), parsed.frame)
    })
}

/// A recording's frames, those of its second half twice: again a third of their identifier's cycle later, as if somebody
/// else sent them, too. The clock of that sender is 50 ppm slow.
fn with_second_senders(log: &str, cycles: &BTreeMap<(String, CanId), u64>) -> Vec<(i64, String, Frame)> {
    let mut all: Vec<(i64, String, Frame)> = frames(log).collect();
    let start = all[0].0;
    for at in all.len() / 2..all.len() {
        let (time, bus, frame) = all[at].clone();
        if let Some(cycle) = cycles.get(&(bus.clone(), frame.id())) {
            all.push((time + *cycle as i64 / 3 + (time - start) / 20_000, bus, frame));
        }
    }
    all.sort_by_key(|(time, ..)| *time);
    all
}

fn describe(bus: &str, seen: &IdStatistics) -> String {
    let ms = |ns: Option<u64>| ns.map_or("-".to_string(), |ns| format!("{:.2}", ns as f64 / 1e6));
    format!(
        "  {bus} {}: {} frames, cycle {} ms, jitter {}, periods {} to {}, {} late and {} early",
        seen.id,
        seen.frames,
        ms(seen.cycle_ns),
        ms(seen.jitter_ns),
        ms(seen.period_min_ns),
        ms(seen.period_max_ns),
        seen.late,
        seen.early,
    )
}

#[test]
fn recordings_show_no_conflicts() {
    let Some(root) = data() else { return };
    for (name, dbc) in LOGS {
        let databases = dbc.map(|dbc| {
            let bytes = fs::read(root.join("dbc").join(dbc)).unwrap();
            can_decode::dbc::read(dbc, &bytes).unwrap_or_else(|error| panic!("{error}")).0
        });
        let (table, _) = DecodeTable::compile(databases.as_slice(), Matching::Auto);
        let (statistics, events) = observe(frames(&text(&root.join("logs").join(name))), &table);
        let count = |is: fn(&IdStatistics) -> bool| statistics.iter().filter(|(_, seen)| is(seen)).count();
        println!(
            "{name}: {} identifiers, {} cyclic, {} with alive counters that count; {events:?}",
            statistics.len(),
            count(|seen| seen.cycle_ns.is_some()),
            count(|seen| seen.has_counter),
        );
        for (bus, seen) in statistics.iter().filter(|(_, seen)| seen.late + seen.early > 0) {
            println!("{}", describe(bus, seen));
        }
        assert_eq!(count(|seen| seen.conflicts > 0), 0, "{name}");
        assert_eq!(events.get("counter_gap"), None, "{name}");
    }
}

#[test]
fn second_senders_put_into_a_recording_are_seen() {
    let Some(root) = data() else { return };
    // What was seen, of 27, 6, 19, 10 and 25. The stamps of the third one are up to 11 ms late, too blurred for cycles
    // below 100 ms.
    let expected = [
        ("css_j1939_truck_gps.log.gz", 26),
        ("css_nmea2000.log.gz", 6),
        ("comma2k19_rav4_bus0.log.gz", 6),
        ("css_obd2_gps.log.gz", 10),
        ("SYNTHETIC_canfd_hyundai_canfd.log.gz", 25),
    ];
    for (name, at_least) in expected {
        let log = text(&root.join("logs").join(name));
        let (table, _) = DecodeTable::compile(&[], Matching::Id);
        // What has at least 200 frames has time for it.
        let (statistics, _) = observe(frames(&log), &table);
        let cycles: BTreeMap<_, _> = statistics
            .into_iter()
            .filter(|(_, seen)| seen.frames >= 200)
            .filter_map(|(bus, seen)| Some(((bus, seen.id), seen.cycle_ns?)))
            .collect();
        let (statistics, _) = observe(with_second_senders(&log, &cycles).into_iter(), &table);
        let seen = statistics
            .into_iter()
            .filter(|(_, seen)| seen.conflicts > 0)
            .inspect(|(bus, seen)| assert!(cycles.contains_key(&(bus.clone(), seen.id)), "{bus} {}", seen.id))
            .count();
        println!("{name}: {} identifiers got a second sender, {seen} were seen", cycles.len());
        assert!(seen >= at_least, "{seen} of {}", cycles.len());
    }
}

#[test]
fn sequence_identifiers_of_nmea_2000_are_counted() {
    let Some(root) = data() else { return };
    // The first byte of these groups counts from 0 to 250.
    let dbc = "BO_ 2314277411 Heading: 8 N\n SG_ SID_COUNTER : 0|8@1+ (1,0) [0|250] \"\" N\n";
    let (database, _) = can_decode::dbc::read("sid.dbc", dbc.as_bytes()).unwrap();
    let (table, _) = DecodeTable::compile(&[database], Matching::Id);
    let id = CanId::Extended(0x09F1_1223);
    let log = text(&root.join("logs/css_nmea2000.log.gz"));
    let frames: Vec<_> = frames(&log).filter(|(.., frame)| frame.id() == id).collect();
    let gaps = |keep: &dyn Fn(usize) -> bool| {
        let mut observer = Observer::new(1, table.messages().iter().map(Expectation::of));
        for (_, (time, _, frame)) in frames.iter().enumerate().filter(|(at, _)| keep(*at)) {
            observer.observe(frame, *time, table.find(id));
        }
        let seen = observer.statistics(0).next().unwrap();
        assert_eq!((seen.has_counter, seen.conflict), (true, ConflictSigns::NONE));
        (seen.counter_gaps, seen.counter_lost)
    };
    assert!(frames.len() > 2_000);
    assert_eq!(gaps(&|_| true), (0, 0));
    let missing = (frames.len() - 1) / 100 - 1;
    assert_eq!(gaps(&|at| at % 100 != 0 || at < 101), (missing as u64, missing as u64));
    println!("{} frames of {id}, no gap; {missing} taken out, {missing} found", frames.len());
}
