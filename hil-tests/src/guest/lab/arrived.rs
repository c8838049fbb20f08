//! What a gateway printed, and the sequence numbers in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Numbers that `can-traffic` gave the frames of each message: from 0 on, one more for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers(BTreeMap<String, BTreeSet<u64>>);

impl Numbers {
    pub(super) fn insert(&mut self, message: &str, number: u64) {
        self.0.entry(message.to_owned()).or_default().insert(number);
    }

    /// Says which frames are missing: all up to the last one must be here or `elsewhere`.
    pub(super) fn check_whole(&self, elsewhere: &Self) -> Result<(), String> {
        for (message, here) in &self.0 {
            let there = elsewhere.0.get(message);
            let last = here.last().copied().unwrap_or_default();
            let missing =
                |number: &u64| !here.contains(number) && !there.is_some_and(|there| there.contains(number));
            let missing: Vec<u64> = (0..last).filter(missing).collect();
            if let Some(first) = missing.first() {
                return Err(format!(
                    "{message}: of 0 to {last} {} are missing, {first} first",
                    missing.len()
                ));
            }
        }
        Ok(())
    }
}

/// Records that arrived, each once, however often it was delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrived {
    records: BTreeSet<String>,
    numbers: BTreeMap<String, Numbers>,
}

impl Arrived {
    /// From the gateway's lines.
    pub(super) fn new(lines: &[String]) -> Self {
        let mut arrived = Self::default();
        for line in lines {
            let json: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("printed {line:?}: {error}"));
            let identity = ["boot", "run", "sequence", "row", "kind"].map(|key| json[key].to_string());
            arrived.records.insert(identity.join(" "));
            if json["signal"] == "Sequence"
                && let (Some(boot), Some(message), Some(number)) =
                    (json["boot"].as_str(), json["message"].as_str(), json["raw"].as_u64())
            {
                arrived.numbers.entry(boot.to_owned()).or_default().insert(message, number);
            }
        }
        arrived
    }

    /// How many records.
    pub(super) fn count(&self) -> u64 {
        self.records.len() as u64
    }

    /// Those of one boot.
    pub(super) fn numbers(&self, boot: &str) -> Numbers {
        self.numbers.get(boot).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: &[u64]) -> Numbers {
        let mut all = Numbers::default();
        numbers.iter().for_each(|&number| all.insert("M", number));
        all
    }

    #[test]
    fn lines_are_counted_once_and_sorted_by_boot() {
        let line = |boot, row, number| {
            format!(
                r#"{{"kind":"sample","boot":"{boot}","run":1,"sequence":0,"row":{row},"message":"M","signal":"Sequence","raw":{number}}}"#
            )
        };
        let arrived = Arrived::new(&[line("a", 0, 7), line("a", 0, 7), line("b", 0, 9), line("a", 1, 8)]);
        assert_eq!(arrived.count(), 3);
        assert_eq!(arrived.numbers("a"), numbers(&[7, 8]));
        assert_eq!(arrived.numbers("c"), numbers(&[]));
    }

    #[test]
    fn what_is_neither_here_nor_there_is_missing() {
        for (here, there, whole) in [
            (&[][..], &[][..], true),
            (&[0, 1, 2], &[], true),
            (&[2, 3], &[0, 1, 2], true),
            (&[1, 4], &[0, 2, 3, 9], true),
            (&[1], &[], false),
            (&[2, 4], &[0, 1, 2], false),
        ] {
            assert_eq!(numbers(here).check_whole(&numbers(there)).is_ok(), whole, "{here:?} {there:?}");
        }
    }
}
