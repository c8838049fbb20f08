//! The gateway's printed lines.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// What makes a record the same record when it comes again: boot, run and sequence of its block, and its row there.
pub(crate) type Identity = (String, u64, u64, u64);

/// A printed sample.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) message: String,
    pub(crate) signal: String,
    pub(crate) time_ns: i64,
    /// NaN for null.
    pub(crate) value: f64,
}

impl Line {
    /// Whether both say the same, to the bit.
    fn same(&self, other: &Self) -> bool {
        let key =
            |line: &Self| (line.message.clone(), line.signal.clone(), line.time_ns, line.value.to_bits());
        key(self) == key(other)
    }
}

/// Printed lines, each record once, however often it was delivered.
pub(crate) struct Records(BTreeMap<Identity, Line>);

impl Records {
    /// From the texts. A record that comes again must say the same again.
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut records = BTreeMap::<Identity, Line>::new();
        for text in texts {
            let json: Json =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("printed {text:?}: {error}"));
            assert_eq!(
                (&json["kind"], &json["vehicle"], &json["bus"]),
                (&"sample".into(), &"bench".into(), &"can0".into())
            );
            let word =
                |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no {key} in {text}")).to_owned();
            let count = |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("no {key} in {text}"));
            let line = Line {
                message: word("message"),
                signal: word("signal"),
                time_ns: json["time_unix_nano"].as_i64().unwrap_or_else(|| panic!("no time in {text}")),
                value: json["value"].as_f64().unwrap_or(f64::NAN),
            };
            let identity = (word("boot"), count("run"), count("sequence"), count("row"));
            if let Some(before) = records.insert(identity, line.clone()) {
                assert!(before.same(&line), "a record came twice and differs: {before:?}, {text}");
            }
        }
        Self(records)
    }

    /// Nothing is missing in between: the blocks of each run are numbered without a gap.
    pub(crate) fn check_sequences(&self) {
        let mut runs = BTreeMap::<(&str, u64), Vec<u64>>::new();
        for (boot, run, sequence, _) in self.0.keys() {
            let sequences = runs.entry((boot, *run)).or_default();
            if sequences.last() != Some(sequence) {
                sequences.push(*sequence);
            }
        }
        for ((_, run), sequences) in runs {
            let missing: Vec<u64> = (0..sequences.last().map_or(0, |last| last + 1))
                .filter(|sequence| sequences.binary_search(sequence).is_err())
                .collect();
            assert_eq!(
                missing,
                [0; 0],
                "blocks of run {run} that never arrived, of {}",
                sequences.len() + missing.len()
            );
        }
    }

    /// Runs of the daemon that were seen.
    pub(crate) fn runs(&self) -> usize {
        let mut runs: Vec<_> = self.0.keys().map(|(boot, run, ..)| (boot, run)).collect();
        runs.dedup();
        runs.len()
    }

    /// The samples. A recording that was played twice gives each of them twice, which must be alike and count once.
    pub(crate) fn samples(&self) -> Vec<Line> {
        let mut samples = BTreeMap::<(&str, &str, i64), &Line>::new();
        for line in self.0.values() {
            if let Some(before) = samples.insert((&line.message, &line.signal, line.time_ns), line) {
                assert!(before.same(line), "a sample was played twice and differs: {before:?}, {line:?}");
            }
        }
        samples.into_values().cloned().collect()
    }
}
