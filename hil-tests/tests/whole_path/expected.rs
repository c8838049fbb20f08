//! What must come out at the far end, and whether it did.

use std::collections::BTreeMap;

use hil_tests::Series;
use serde_json::Value as Json;

use crate::decoder::{Identifier, SIGNALS, Value};
use crate::lines::Line;

/// Message and signal.
pub(crate) type Name = (String, String);

/// The samples of every series, or what is known of them.
pub(crate) struct Expected {
    series: BTreeMap<Name, Story>,
    /// A second after the last sample, in seconds since 1970.
    pub(crate) end: i64,
}

enum Story {
    /// Every sample, and the metric's name.
    Told { metric: &'static str, samples: Vec<Sample> },
    /// What an oracle has noted.
    Summary { n: u64, min: f64, max: f64, first: f64, last: f64 },
}

struct Sample {
    time_ns: i64,
    /// The millisecond at which Prometheus has it.
    slot_ms: i64,
    value: Value,
}

/// Where a value came out; the two know different things.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Far {
    Prometheus,
    /// JSON has no words for what is not finite, and says null, read as not a number.
    Lines,
}

impl Expected {
    /// By the second decoder, from time (microseconds), identifier and payload.
    pub(crate) fn of_frames(frames: &[(u64, Identifier, Vec<u8>)]) -> Self {
        let mut series = BTreeMap::<Name, Story>::new();
        // Prometheus keeps one sample a millisecond: a frame that finds its own taken moves to the next free one.
        let mut slots = BTreeMap::<Identifier, i64>::new();
        for (at_us, id, payload) in frames {
            let own_ms = (at_us / 1_000) as i64;
            let slot_ms = slots.get(id).map_or(own_ms, |last| own_ms.max(last + 1));
            slots.insert(*id, slot_ms);
            for signal in &SIGNALS {
                let Some(value) = signal.decode(*id, payload) else { continue };
                let name = (signal.message.to_owned(), signal.name.to_owned());
                let story =
                    series.entry(name).or_insert(Story::Told { metric: signal.metric, samples: Vec::new() });
                if let Story::Told { samples, .. } = story {
                    samples.push(Sample { time_ns: *at_us as i64 * 1_000, slot_ms, value });
                }
            }
        }
        let last_us = frames.iter().map(|(at, ..)| *at).max().unwrap_or(0);
        Self { series, end: (last_us / 1_000_000) as i64 + 1 }
    }

    /// From the oracle's entry for a recording whose last frame is of the second `last`.
    pub(crate) fn of_oracle(entry: &Json, last: i64) -> Self {
        let mut series = BTreeMap::new();
        for (message, about) in entry["messages"].as_object().into_iter().flatten() {
            for (signal, about) in about["signals"].as_object().into_iter().flatten() {
                let number = |key: &str| about[key].as_f64().expect("the oracle gives a number");
                let story = Story::Summary {
                    n: about["n"].as_u64().expect("the oracle gives a count"),
                    min: number("min"),
                    max: number("max"),
                    first: number("first"),
                    last: number("last"),
                };
                series.insert((message.clone(), signal.clone()), story);
            }
        }
        assert!(!series.is_empty(), "the oracle knows signals");
        Self { series, end: last + 1 }
    }

    /// Samples of all series.
    pub(crate) fn samples(&self) -> u64 {
        self.series.values().map(Story::len).sum()
    }

    /// Prometheus has these series and no others, with these samples.
    pub(crate) fn check_prometheus(&self, found: &[Series]) {
        let mut by_name = BTreeMap::new();
        for series in found {
            let label = |label: &str| series.labels.get(label).map_or("", String::as_str);
            assert_eq!(
                (label("job"), label("instance"), label("bus")),
                ("ecu-daemon", "bench", "can0"),
                "labels of {:?}",
                series.labels
            );
            let name = (label("message").to_owned(), label("signal").to_owned());
            if let Some(Story::Told { metric, .. }) = self.series.get(&name) {
                assert_eq!(label("__name__"), *metric, "metric of {name:?}");
            }
            let twice = by_name.insert(name, series.samples.clone());
            assert!(twice.is_none(), "two series with the labels {:?}", series.labels);
        }
        self.check(Far::Prometheus, &by_name);
    }

    /// The printed lines, each record once, are of these series and no others, with these samples.
    pub(crate) fn check_lines(&self, lines: &[Line]) {
        let mut by_name = BTreeMap::<Name, Vec<(i64, f64)>>::new();
        for line in lines {
            let name = (line.message.clone(), line.signal.clone());
            by_name.entry(name).or_default().push((line.time_ns, line.value));
        }
        // Blocks are printed as they come; the one order they have is that of time.
        by_name.values_mut().for_each(|samples| samples.sort_by_key(|(time, _)| *time));
        self.check(Far::Lines, &by_name);
    }

    fn check(&self, far: Far, found: &BTreeMap<Name, Vec<(i64, f64)>>) {
        let names = |series: Vec<&Name>| series.into_iter().cloned().collect::<Vec<_>>();
        let (wanted, there) = (names(self.series.keys().collect()), names(found.keys().collect()));
        assert_eq!(there, wanted, "the series at the far end, and those that were sent");
        for (name, story) in &self.series {
            story.check(far, name, &found[name]);
        }
    }
}

impl Story {
    fn len(&self) -> u64 {
        match self {
            Self::Told { samples, .. } => samples.len() as u64,
            Self::Summary { n, .. } => *n,
        }
    }

    fn check(&self, far: Far, name: &Name, found: &[(i64, f64)]) {
        assert_eq!(found.len() as u64, self.len(), "number of samples of {name:?}");
        match self {
            Self::Told { samples, .. } => {
                for (wanted, &(time, value)) in samples.iter().zip(found) {
                    let wanted_time = if far == Far::Prometheus { wanted.slot_ms } else { wanted.time_ns };
                    assert_eq!(time, wanted_time, "time of a sample of {name:?}");
                    let Value { value: wanted, tolerance } = wanted.value;
                    assert!(
                        agree(far, wanted, value, tolerance),
                        "{name:?} at {time} is {value}, not {wanted}"
                    );
                }
            }
            Self::Summary { min, max, first, last, .. } => {
                let values = || found.iter().map(|(_, value)| *value);
                let ends = (found.first().map(|pair| pair.1), found.last().map(|pair| pair.1));
                for (what, wanted, value) in [
                    ("minimum", *min, values().reduce(f64::min)),
                    ("maximum", *max, values().reduce(f64::max)),
                    ("first", *first, ends.0),
                    ("last", *last, ends.1),
                ] {
                    let value = value.expect("the oracle knows no empty series");
                    let tolerance = 1e-12 * wanted.abs().max(1.0);
                    assert!(
                        agree(far, wanted, value, tolerance),
                        "{what} of {name:?} is {value}, not {wanted}"
                    );
                }
            }
        }
    }
}

fn agree(far: Far, wanted: f64, found: f64, tolerance: f64) -> bool {
    if wanted.is_nan() || (wanted.is_infinite() && far == Far::Lines) {
        return found.is_nan();
    }
    // The first is for infinities, whose difference is not a number.
    found.to_bits() == wanted.to_bits() || (found - wanted).abs() <= tolerance
}
