//! The ring on the card at any write at which the power may go.

use std::time::Duration;

use hil_tests::guest::lab::{Damage, Recording};
use hil_tests::{Bench, say};

const TRAFFIC: Duration = Duration::from_secs(10);
/// Cuts of each kind; `power-lab --points` makes more.
const POINTS: usize = 20;

#[test]
fn no_cut_breaks_a_promise() {
    let bench = Bench::new("lab");
    let recording = Recording::make(&bench, TRAFFIC);
    for damage in Damage::ALL {
        let summary = recording.cut(damage, POINTS);
        say(&format!("{damage:?}: {summary}"));
        assert_eq!(summary.unusable, 0, "{damage:?}");
        assert_eq!(summary.broken, 0, "{damage:?}");
        // What was never promised is missing: this laboratory sees losses.
        assert!(summary.lost > 0, "{damage:?}");
    }
}
