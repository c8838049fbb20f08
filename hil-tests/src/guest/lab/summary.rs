//! What many cuts showed.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::damage::Damage;
use super::promise::Fault;
use super::scenario::Scenario;

/// What was found at many points of one recording with one damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What was recorded.
    pub scenario: Scenario,
    /// What the card did.
    pub damage: Damage,
    /// Points.
    pub cuts: u64,
    /// Points at which the daemon was started in earnest.
    pub starts: u64,
    /// Points with any fault.
    pub broken: u64,
    faults: [u64; Fault::ALL.len()],
    /// The most records that were missing though the daemon had taken them: it had not promised these. An upper bound:
    /// what it had taken is known at a few moments only.
    pub unpromised_records_max: u64,
    /// The most records that would be sent again though they had arrived: their acknowledgement was not on the card yet.
    /// An upper bound, too.
    pub repeated_records_max: u64,
    /// The longest from the start of the daemon's process to its first records on the card.
    pub first_stored_max: Duration,
    /// How long it took.
    pub elapsed: Duration,
}

impl Summary {
    pub(super) fn new(scenario: Scenario, damage: Damage) -> Self {
        Self {
            scenario,
            damage,
            cuts: 0,
            starts: 0,
            broken: 0,
            faults: [0; Fault::ALL.len()],
            unpromised_records_max: 0,
            repeated_records_max: 0,
            first_stored_max: Duration::ZERO,
            elapsed: Duration::ZERO,
        }
    }

    /// Counts a point with its faults, at which so many records that had been taken were missing, and so many would be
    /// sent again.
    pub(super) fn add(&mut self, faults: &[Fault], missing: u64, repeated: u64) {
        self.cuts += 1;
        self.broken += u64::from(!faults.is_empty());
        for &fault in faults {
            self.faults[fault as usize] += 1;
        }
        self.unpromised_records_max = self.unpromised_records_max.max(missing);
        self.repeated_records_max = self.repeated_records_max.max(repeated);
    }

    /// Points with this fault.
    pub fn count(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// The heading of a table whose rows are summaries.
    pub fn heading() -> String {
        format!(
            "{:<9} {:<10} {:>5} {:>6} {:>6} {:>14} {:>12} {:>9} {:>6}  {}",
            "recording",
            "card",
            "cuts",
            "starts",
            "broken",
            "unpromised max",
            "repeated max",
            "stored ms",
            "cuts/s",
            "how"
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let faults: Map<String, Value> =
            Fault::ALL.iter().map(|&fault| (fault.name().to_owned(), self.count(fault).into())).collect();
        json!({
            "recording": self.scenario.name(),
            "card": self.damage.name(),
            "honest": self.damage != Damage::Lying,
            "cuts": self.cuts,
            "starts": self.starts,
            "broken": self.broken,
            "faults": faults,
            "unpromised_records_max": self.unpromised_records_max,
            "repeated_records_max": self.repeated_records_max,
            "first_stored_seconds_max": self.first_stored_max.as_secs_f64(),
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}

impl fmt::Display for Summary {
    /// A row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = Fault::ALL
            .iter()
            .filter(|&&fault| self.count(fault) > 0)
            .map(|&fault| format!("{} {}", fault.name(), self.count(fault)))
            .collect();
        let row = format!(
            "{:<9} {:<10} {:>5} {:>6} {:>6} {:>14} {:>12} {:>9} {:>6.1}  {}",
            self.scenario.name(),
            self.damage.name(),
            self.cuts,
            self.starts,
            self.broken,
            self.unpromised_records_max,
            self.repeated_records_max,
            self.first_stored_max.as_millis(),
            self.cuts as f64 / self.elapsed.as_secs_f64(),
            faults.join(", ")
        );
        f.write_str(row.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_json_say_the_same() {
        let mut summary = Summary::new(Scenario::Busy, Damage::Lying);
        summary.add(&[], 0, 5);
        summary.add(&[Fault::Lost, Fault::Returned], 30, 0);
        summary.add(&[Fault::Lost], 7, 1);
        (summary.starts, summary.elapsed) = (1, Duration::from_secs(2));
        summary.first_stored_max = Duration::from_millis(310);
        assert_eq!(
            summary.to_string(),
            "busy      lying          3      1      2             30            5       310    1.5  lost 2, returned 1"
        );
        let json = summary.json();
        assert_eq!((&json["broken"], &json["faults"]["lost"]), (&json!(2), &json!(2)));
        assert_eq!((&json["unpromised_records_max"], &json["repeated_records_max"]), (&json!(30), &json!(5)));
        let widths = |text: &str| text.find("how").or_else(|| text.find("lost"));
        assert_eq!(widths(&Summary::heading()), widths(&summary.to_string()));
    }
}
