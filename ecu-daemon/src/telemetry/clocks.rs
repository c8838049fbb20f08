//! What there is to say of clocks. Written by hand: a clock that is not synchronised has no bound, and no series for it, and
//! sums of nanoseconds are whole numbers.

use std::fmt::Write as _;

use super::observed::Escaped;
use crate::status::{ClockState, Status};

type Value = fn(&ClockState) -> Option<f64>;

/// Name, type, help, value.
const BY_CLOCK: [(&str, &str, &str, Value); 11] = [
    (
        "ecu_daemon_clock_offset_seconds",
        "gauge",
        "The clock minus the one of the label `against`, as last read.",
        |clock| Some(clock.offset_ns as f64 / 1e9),
    ),
    (
        "ecu_daemon_clock_drift_ppb",
        "gauge",
        "Parts in 10^9 by which the clock runs faster than CLOCK_BOOTTIME.",
        |clock| Some(clock.drift_ppt as f64 / 1e3),
    ),
    (
        "ecu_daemon_clock_map_error_seconds",
        "gauge",
        "How wrong a stamp of the clock may be placed among those of others.",
        |clock| Some(clock.error_ns as f64 / 1e9),
    ),
    (
        "ecu_daemon_clock_error_seconds",
        "gauge",
        "How far from true time a stamp of the clock may be placed; absent while nothing is synchronised.",
        |clock| clock.truth.map(|truth| truth.error_ns as f64 / 1e9),
    ),
    (
        "ecu_daemon_clock_synchronised",
        "gauge",
        "Whether the clock's stamps have a place in true time.",
        |clock| Some(f64::from(u8::from(clock.truth.is_some()))),
    ),
    (
        "ecu_daemon_clock_held",
        "gauge",
        "Whether that rests on an earlier synchronisation, so that the bound grows.",
        |clock| Some(f64::from(u8::from(clock.truth.is_some_and(|truth| truth.is_held)))),
    ),
    (
        "ecu_daemon_clock_limit_exceeded",
        "gauge",
        "Whether the bound is beyond the limit, or there is none.",
        |clock| Some(f64::from(u8::from(clock.is_exceeded))),
    ),
    (
        "ecu_daemon_clock_unsynchronised_seconds_total",
        "counter",
        "For how long the clock's stamps had no place in true time.",
        |clock| Some(clock.unsynchronised_ns as f64 / 1e9),
    ),
    ("ecu_daemon_clock_readings_total", "counter", "Readings of the clock.", |clock| {
        Some(clock.readings as f64)
    }),
    (
        "ecu_daemon_clock_outliers_total",
        "counter",
        "Readings that contradicted those before and after.",
        |clock| Some(clock.outliers as f64),
    ),
    ("ecu_daemon_clock_steps_total", "counter", "Steps and resets of the clock.", |clock| {
        Some(clock.steps as f64)
    }),
];

/// Appends it, in the Prometheus text format.
pub(super) fn append(status: &Status, text: &mut String) {
    let clocks = status.clocks();
    let describe = |text: &mut String, name: &str, kind: &str, help: &str| {
        // A `String` takes any text, here and below.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    };
    for (name, kind, help, value) in BY_CLOCK {
        if clocks.clocks.iter().any(|clock| value(clock).is_some()) {
            describe(text, name, kind, help);
        }
        for clock in &clocks.clocks {
            let Some(value) = value(clock) else { continue };
            let _ = write!(text, "{name}{{clock=\"{}\"", clock.name);
            if name == "ecu_daemon_clock_offset_seconds" {
                let _ = write!(text, ",against=\"{}\"", clock.against);
            }
            if let (true, Some(truth)) = (name == "ecu_daemon_clock_error_seconds", clock.truth) {
                let _ = write!(text, ",source=\"{}\"", truth.source);
            }
            let _ = writeln!(text, "}} {value}");
        }
    }
    let name = "ecu_daemon_clock_of_bus";
    describe(text, name, "gauge", "The clock that stamps the frames of the bus.");
    for (bus, clock) in status.bus_names.iter().zip(&clocks.buses) {
        let _ = writeln!(text, "{name}{{bus=\"{}\",clock=\"{clock}\"}} 1", Escaped(bus));
    }
    if let Some(milli_celsius) = clocks.temperature {
        let name = "ecu_daemon_clock_temperature_celsius";
        describe(text, name, "gauge", "The temperature beside the oscillators, which drift with it.");
        let _ = writeln!(text, "{name} {}", f64::from(milli_celsius) / 1e3);
    }
    for (name, kind, help, value) in [
        ("ecu_daemon_clock_map_version", "gauge", "The version of the clock map.", f64::from(clocks.version)),
        (
            "ecu_daemon_clock_limit_seconds",
            "gauge",
            "What a clock's bound is held against.",
            clocks.limit_ns as f64 / 1e9,
        ),
        (
            "ecu_daemon_clock_events_dropped_total",
            "counter",
            "Events of clocks that the engine did not take in time.",
            clocks.events_dropped as f64,
        ),
    ] {
        describe(text, name, kind, help);
        let _ = writeln!(text, "{name} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{ClocksStatus, TruthState};

    #[test]
    fn a_clock_without_truth_has_no_bound() {
        let status = Status::new(vec!["can0".to_owned()], 0);
        let clock = |name: &str, truth| ClockState {
            name: name.to_owned(),
            against: "realtime",
            offset_ns: 37_000_000_123,
            drift_ppt: -1_500,
            error_ns: 80,
            truth,
            is_exceeded: true,
            unsynchronised_ns: 2_500_000_000,
            readings: 7,
            outliers: 1,
            steps: 2,
        };
        let truth = TruthState { error_ns: 1_500, source: "ptp", is_held: true };
        *status.clocks() = ClocksStatus {
            clocks: vec![clock("ptp0", Some(truth)), clock("ptp1", None)],
            buses: vec!["ptp0".to_owned()],
            version: 9,
            limit_ns: 50_000,
            events_dropped: 0,
            temperature: Some(-12_500),
        };
        let mut text = String::new();
        append(&status, &mut text);
        for line in [
            r#"ecu_daemon_clock_offset_seconds{clock="ptp0",against="realtime"} 37.000000123"#,
            r#"ecu_daemon_clock_drift_ppb{clock="ptp1"} -1.5"#,
            r#"ecu_daemon_clock_error_seconds{clock="ptp0",source="ptp"} 0.0000015"#,
            r#"ecu_daemon_clock_synchronised{clock="ptp1"} 0"#,
            r#"ecu_daemon_clock_held{clock="ptp0"} 1"#,
            r#"ecu_daemon_clock_unsynchronised_seconds_total{clock="ptp1"} 2.5"#,
            r#"ecu_daemon_clock_of_bus{bus="can0",clock="ptp0"} 1"#,
            "ecu_daemon_clock_map_version 9",
            "ecu_daemon_clock_temperature_celsius -12.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains(r#"clock_error_seconds{clock="ptp1""#), "{text}");
        assert_eq!(text.matches("# TYPE").count(), BY_CLOCK.len() + 5);
    }
}
