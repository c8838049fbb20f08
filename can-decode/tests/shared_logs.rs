//! Recordings decoded as a whole, where they are at hand: count, extremes, sum, first and last value of every signal
//! as cantools has them.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use can_decode::candump::{parse_line, write_line};
use can_decode::{DecodeTable, Matching};
use flate2::read::GzDecoder;
use serde_json::Value;

#[derive(Debug, Default)]
struct Statistics {
    count: u64,
    min: f64,
    max: f64,
    sum: f64,
    first: f64,
    last: f64,
}

impl Statistics {
    fn add(&mut self, value: f64) {
        if self.count == 0 {
            *self = Self { count: 0, min: value, max: value, sum: 0.0, first: value, last: value };
        }
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        self.last = value;
    }

    fn is(&self, expected: &Value) -> bool {
        let scale = self.min.abs().max(self.max.abs()).max(1.0);
        let near =
            |got: f64, key: &str, scale: f64| (got - expected[key].as_f64().unwrap()).abs() <= 1e-12 * scale;
        expected["n"] == self.count
            && near(self.min, "min", scale)
            && near(self.max, "max", scale)
            && near(self.first, "first", scale)
            && near(self.last, "last", scale)
            // A sum of rounded terms: the two sides add in different ways.
            && near(self.sum, "sum", scale * self.count as f64)
    }
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    } else {
        text = fs::read_to_string(path).unwrap();
    }
    text
}

type Signals = BTreeMap<(String, String), Statistics>;

/// Matched frames, frames that need a transport protocol, and the signals of one log.
fn decode(log: &str, channel: Option<&str>, table: &DecodeTable) -> (u64, u64, Signals) {
    let (mut matched, mut parts, mut signals) = (0, 0, Signals::new());
    for line in log.lines() {
        let parsed = parse_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut again = String::new();
        write_line(&mut again, parsed.time, parsed.interface, &parsed.frame).unwrap();
        assert_eq!(again, line);
        if channel.is_some_and(|channel| channel != parsed.interface) {
            continue;
        }
        let Some(index) = table.find(parsed.frame.id()) else { continue };
        let message = table.message(index);
        // Cantools holds one of two signals with the same name, so that such messages are not in the statistics.
        if message.signals.iter().any(|signal| signal.name.ends_with("__2")) {
            continue;
        }
        matched += 1;
        let decoded = table.decode(index, &parsed.frame, |signal, raw| {
            let signal = &message.signals[signal];
            let key = (message.name.clone(), signal.name.clone());
            signals.entry(key).or_default().add(signal.physical(raw));
        });
        parts += u64::from(decoded.needs_transport);
    }
    (matched, parts, signals)
}

#[test]
fn recordings_have_the_same_statistics_as_in_cantools() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can"));
    if !root.is_dir() {
        println!("absent: the shared CAN recordings");
        return;
    }
    println!("running over the shared CAN recordings");
    let mut compared = 0;
    for oracle in text(&root.join("vectors/log_oracle.jsonl.gz")).lines() {
        let oracle: Value = serde_json::from_str(oracle).unwrap();
        let name = oracle["dbc"].as_str().unwrap();
        let bytes = fs::read(root.join("dbc").join(name)).unwrap();
        let (database, _) = can_decode::dbc::read(name, &bytes).unwrap_or_else(|error| panic!("{error}"));
        let matching = if oracle["match"] == "j1939_pgn" { Matching::Pgn } else { Matching::Id };
        let (table, _) = DecodeTable::compile(&[database], matching);
        let log = text(&root.join("logs").join(oracle["log"].as_str().unwrap()));
        let (matched, parts, signals) = decode(&log, oracle["chan"].as_str(), &table);
        let what = format!("{} with {name}", oracle["log"]);
        assert_eq!(
            (matched, parts),
            (oracle["matched"].as_u64().unwrap(), oracle["needs_transport"].as_u64().unwrap()),
            "{what}"
        );
        let values: u64 = signals.values().map(|statistics| statistics.count).sum();
        assert_eq!(oracle["signal_values"], values, "{what}");
        for (message, expected) in oracle["messages"].as_object().unwrap() {
            for (signal, expected) in expected["signals"].as_object().unwrap() {
                let Some(got) = signals.get(&(message.clone(), signal.clone())) else {
                    assert_eq!(expected["n"], 0, "{what}: {message} {signal} was never seen");
                    continue;
                };
                assert!(got.is(expected), "{what}: {message} {signal}: {got:?} instead of {expected}");
                compared += 1;
            }
        }
        println!("{what}: {matched} frames, {values} values");
    }
    assert!(compared > 500, "{compared} signals");
}
