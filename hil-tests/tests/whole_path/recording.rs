//! What is replayed: a recording of our own, made here, and a real one where the data set is there.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::decoder::{self, Identifier};
use crate::expected::Expected;

/// Time of the first frame of our own recording, microseconds since 1970.
const BEGAN_US: u64 = 1_750_000_000_000_000;
/// Its length, seconds.
const SECONDS: u64 = 60;
const OWN_DBC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bench.dbc");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can");
const REAL_LOG: &str = "comma2k19_rav4_bus0.log.gz";
const REAL_DBC: &str = "opendbc/toyota_new_mc_pt_generated.dbc";

/// A recording of the bus `can0`, its DBC file, and what must come out at the far end.
pub(crate) struct Recording {
    pub(crate) log: PathBuf,
    pub(crate) dbc: PathBuf,
    pub(crate) expected: Expected,
    pub(crate) counts: Counts,
}

/// What must become of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) decoded: u64,
    pub(crate) unmatched: u64,
    pub(crate) control: u64,
    pub(crate) malformed: u64,
    pub(crate) filtered: u64,
    pub(crate) short: u64,
}

/// Random enough for payloads, and the same on every machine (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

impl Recording {
    /// Sixty seconds of four messages with random payloads: both byte orders, signed, float, multiplexed, CAN FD, and
    /// now and then two or three frames of one identifier within a millisecond. Between them stands what is no sample:
    /// frames of no message, remote and error frames, another interface, and damage.
    pub(crate) fn own(folder: &Path) -> Self {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut lines = Vec::new();
        let mut frames = Vec::new();
        for tick in 0..SECONDS * 100 {
            let at = BEGAN_US + tick * 10_000 + 100 + random.next() % 300;
            let mut frame = |at, id: Identifier, len| frames.push((at, id, random.bytes(len)));
            frame(at, decoder::ENGINE, if tick % 900 == 7 { 3 } else { 8 });
            if tick % 100 == 50 {
                frame(at + 200, decoder::ENGINE, 8);
            }
            if tick % 500 == 250 {
                frame(at + 300, decoder::ENGINE, 8);
            }
            if tick % 2 == 0 {
                frame(at + 1_000, decoder::POSITION, 8);
            }
            if tick % 5 == 0 {
                frame(at + 2_000, decoder::BATTERY, 24);
            }
            if tick % 10 == 0 {
                // Sides 0 and 1 have signals of their own, 2 has none.
                let payload = [&[(tick / 10 % 3) as u8][..], &random.bytes(3)].concat();
                frames.push((at + 3_000, decoder::DOORS, payload));
            }
            let strangers = [
                (3, "7FF#0102"),
                (5, "00000100#0011223344556677"),
                (7, "100#R"),
                (11, "20000004#0000000000000000"),
            ];
            lines.extend(strangers.iter().filter(|(every, _)| tick % (every * 10) == 0).map(
                |(every, text)| {
                    let outcome = if *every < 7 { Outcome::Unmatched } else { Outcome::Control };
                    (at + 4_000 + every, format!("can0 {text}"), outcome)
                },
            ));
            if tick % 70 == 0 {
                lines.push((at + 5_000, "can1 100#0011223344556677".to_owned(), Outcome::Filtered));
                lines.push((at + 5_001, "can0 100#00112233445".to_owned(), Outcome::Malformed));
            }
        }
        let expected = Expected::of_frames(&frames);
        lines.extend(frames.iter().map(|(at, id, payload)| {
            let short = payload.len() < decoder::length(*id);
            (
                *at,
                format!("can0 {}", text(*id, payload)),
                if short { Outcome::Short } else { Outcome::Decoded },
            )
        }));
        lines.sort_by_key(|(at, ..)| *at);
        let log = folder.join("bench.log");
        let mut content = String::new();
        for (at, line, _) in &lines {
            // Writing to a String cannot fail.
            let _ = writeln!(content, "({}.{:06}) {line}", at / 1_000_000, at % 1_000_000);
        }
        fs::write(&log, content).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        Self {
            log,
            dbc: OWN_DBC.into(),
            expected,
            counts: Counts::of(lines.iter().map(|(_, _, outcome)| *outcome)),
        }
    }

    /// A minute of a real car, with what an independent decoder made of it; `None` where the data set is not there.
    pub(crate) fn real() -> Option<Self> {
        let data = Path::new(DATA);
        let (log, dbc) = (data.join("logs").join(REAL_LOG), data.join("dbc").join(REAL_DBC));
        let oracle = data.join("vectors/log_oracle.jsonl.gz");
        if ![&log, &dbc, &oracle].iter().all(|path| path.is_file()) {
            return None;
        }
        let oracle = unzipped(&oracle);
        let entry = oracle
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("oracle is JSON"));
        let entry = entry.into_iter().find(|entry| entry["log"] == REAL_LOG && entry["dbc"] == REAL_DBC);
        let entry = entry.expect("the oracle knows the log");
        let count = |key: &str| entry[key].as_u64().expect("the oracle counts frames");
        let text = unzipped(&log);
        let end =
            text.lines().next_back().and_then(|line| line.strip_prefix('(')?.split('.').next()?.parse().ok());
        let expected = Expected::of_oracle(&entry, end.expect("the last line has a time"));
        let received = count("frames");
        let counts = Counts {
            received,
            decoded: count("matched"),
            unmatched: received - count("matched"),
            ..Counts::default()
        };
        Some(Self { log, dbc, expected, counts })
    }
}

/// What must become of a line of our own recording.
#[derive(Clone, Copy)]
enum Outcome {
    Decoded,
    Short,
    Unmatched,
    Control,
    Malformed,
    Filtered,
}

impl Counts {
    fn of(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            counts.received += 1;
            match outcome {
                Outcome::Decoded => counts.decoded += 1,
                Outcome::Short => (counts.decoded, counts.short) = (counts.decoded + 1, counts.short + 1),
                Outcome::Unmatched => counts.unmatched += 1,
                Outcome::Control => counts.control += 1,
                Outcome::Malformed => counts.malformed += 1,
                Outcome::Filtered => counts.filtered += 1,
            }
        }
        counts
    }
}

/// A frame as `candump -L` writes it.
fn text(id: Identifier, payload: &[u8]) -> String {
    let hex = payload.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
    match id {
        Identifier::Extended(id) => format!("{id:08X}#{hex}"),
        // CAN FD: two hashes and the flags, here with a switched bit rate.
        Identifier::Standard(id) if payload.len() > 8 => format!("{id:03X}##1{hex}"),
        Identifier::Standard(id) => format!("{id:03X}#{hex}"),
    }
}

fn unzipped(path: &Path) -> String {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text
}
