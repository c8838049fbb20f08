//! What was sent, and what a daemon should have seen of it.

use serde_json::{Map, Value, json};

use crate::frame::Kind;

/// Counters of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Frames by kind, in the order of [`Kind::ALL`].
    kinds: [u64; Kind::ALL.len()],
    /// Frames of a recording.
    pub(crate) replayed: u64,
    /// Lines of a recording that are no frame.
    pub(crate) skipped: u64,
    /// Times that the interface's queue was full.
    pub(crate) full: u64,
    /// The longest time by which a frame was late, microseconds.
    pub(crate) late_us_max: u64,
}

impl Counts {
    /// Counts a frame that the kernel has taken.
    pub(crate) fn add(&mut self, kind: Kind) {
        self.kinds[kind as usize] += 1;
    }

    /// Frames of this kind so far, which is the number of the next one.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.kinds[kind as usize]
    }

    /// One JSON object on one line. Beside the counts by kind, the sums that the daemon's books have: `decoded`,
    /// `unmatched`, `control` (of a recording nothing is known but its number of frames).
    pub(crate) fn json(&self, seconds: f64) -> String {
        let mut object: Map<String, Value> =
            Kind::ALL.iter().map(|&kind| (kind.name().to_owned(), self.of(kind).into())).collect();
        let frames = self.kinds.iter().sum::<u64>() + self.replayed;
        let decoded = self.of(Kind::Classic) + self.of(Kind::Fd) + self.of(Kind::Traced);
        let samples: u64 = Kind::ALL.iter().map(|&kind| self.of(kind) * kind.signals()).sum();
        for (name, value) in [
            ("frames", json!(frames)),
            ("decoded", json!(decoded)),
            ("control", json!(self.of(Kind::Remote) + self.of(Kind::Error))),
            ("samples", json!(samples)),
            ("spans", json!(self.of(Kind::Traced))),
            ("replayed", json!(self.replayed)),
            ("skipped", json!(self.skipped)),
            ("queue_full", json!(self.full)),
            ("late_us_max", json!(self.late_us_max)),
            ("seconds", json!(seconds)),
        ] {
            object.insert(name.to_owned(), value);
        }
        Value::Object(object).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_what_the_books_call_them() {
        let mut counts = Counts::default();
        for kind in
            [Kind::Classic, Kind::Classic, Kind::Fd, Kind::Traced, Kind::Unmatched, Kind::Remote, Kind::Error]
        {
            counts.add(kind);
        }
        let json: Value = serde_json::from_str(&counts.json(1.0)).expect("JSON");
        for (name, value) in [
            ("frames", 7),
            ("classic", 2),
            ("decoded", 4),
            ("unmatched", 1),
            ("control", 2),
            ("samples", 7),
            ("spans", 1),
        ] {
            assert_eq!(json[name], value, "{name}");
        }
    }
}
