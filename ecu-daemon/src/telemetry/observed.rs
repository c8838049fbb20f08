//! What frames say of their senders: totals by bus through the facade; by identifier as text, because series of the facade
//! stay in memory for ever, and these come and go.

use std::fmt::Write as _;

use can_decode::e2e;
use can_decode::observe::{Events, Totals};
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::status::{IdObserved, Status};

/// Metrics by identifier: name, type, help, and their value, where there is one.
type ByMessage = (&'static str, &'static str, &'static str, fn(&IdObserved) -> Option<f64>);

const BY_MESSAGE: [ByMessage; 6] = [
    ("ecu_daemon_message_cycle_seconds", "gauge", "Cycle time that the message keeps.", |one| {
        one.rhythm.map(|rhythm| rhythm.cycle_ns as f64 / 1e9)
    }),
    ("ecu_daemon_message_jitter_seconds", "gauge", "Smoothed deviation from the cycle.", |one| {
        one.rhythm.map(|rhythm| rhythm.jitter_ns as f64 / 1e9)
    }),
    ("ecu_daemon_message_overdue_cycles", "gauge", "Whole cycles since the last frame.", |one| {
        one.rhythm.map(|rhythm| rhythm.overdue_cycles as f64)
    }),
    (
        "ecu_daemon_message_counter_lost_total",
        "counter",
        "Frames missing in gaps of the alive counter.",
        |one| one.counter_lost.map(|lost| lost as f64),
    ),
    (
        "ecu_daemon_message_conflict",
        "gauge",
        "Whether there are signs of a second sender; absent where there never were.",
        |one| one.conflict.map(|conflict| f64::from(u8::from(conflict))),
    ),
    (
        "ecu_daemon_message_e2e_bad_total",
        "counter",
        "Frames whose end-to-end protection did not hold.",
        |one| one.e2e_bad.map(|bad| bad as f64),
    ),
];

pub(super) fn describe() {
    describe_gauge!("ecu_daemon_observed_identifiers", "Identifiers seen on the bus.");
    describe_counter!(
        "ecu_daemon_observed_frames_total",
        "Frames looked at, error frames excepted; event=\"not_observed\" are those beyond `observe.identifiers`."
    );
    describe_counter!(
        "ecu_daemon_observed_events_total",
        "What frames showed besides their data: backwards, late, early, cycle_differs, cycle_changed, length_changed, \
         kind_changed, counter_gap, counter_repeated, conflict, not_observed."
    );
    describe_counter!("ecu_daemon_observed_missed_cycles_total", "Cycles without a frame before late ones.");
    describe_counter!("ecu_daemon_observed_counter_lost_total", "Frames missing in gaps of alive counters.");
    describe_counter!("ecu_daemon_observed_e2e_total", "End-to-end checks of protected frames, by status.");
}

/// Brings the totals up to date.
pub(super) fn totals(status: &Status) {
    let totals: Vec<Option<Totals>> = status.observed().iter().map(|bus| bus.totals).collect();
    for (name, totals) in status.bus_names.iter().zip(totals) {
        let Some(totals) = totals else { continue };
        gauge!("ecu_daemon_observed_identifiers", "bus" => name.clone()).set(totals.ids as f64);
        counter!("ecu_daemon_observed_frames_total", "bus" => name.clone()).absolute(totals.frames);
        counter!("ecu_daemon_observed_missed_cycles_total", "bus" => name.clone())
            .absolute(totals.missed_cycles);
        counter!("ecu_daemon_observed_counter_lost_total", "bus" => name.clone())
            .absolute(totals.counter_lost);
        for (event, value) in [
            (Events::NOT_OBSERVED, totals.not_observed),
            (Events::BACKWARDS, totals.backwards),
            (Events::LATE, totals.late),
            (Events::EARLY, totals.early),
            (Events::CYCLE_DIFFERS, totals.cycle_differs),
            (Events::CYCLE_CHANGED, totals.cycle_changed),
            (Events::LENGTH_CHANGED, totals.length_changed),
            (Events::KIND_CHANGED, totals.kind_changed),
            (Events::COUNTER_GAP, totals.counter_gaps),
            (Events::COUNTER_REPEATED, totals.counter_repeated),
            (Events::CONFLICT, totals.conflicts),
        ] {
            let event = event.names().next().unwrap_or_default();
            counter!("ecu_daemon_observed_events_total", "bus" => name.clone(), "event" => event)
                .absolute(value);
        }
        for outcome in e2e::Status::ALL {
            counter!("ecu_daemon_observed_e2e_total", "bus" => name.clone(), "status" => outcome.name())
                .absolute(totals.e2e.of(outcome));
        }
    }
}

/// Appends what there is by identifier, in the Prometheus text format.
pub(super) fn by_message(status: &Status, text: &mut String) {
    let (observed, names) = (status.observed(), status.names());
    for (name, kind, help, value) in BY_MESSAGE {
        let mut is_described = false;
        for (bus, (bus_name, observed)) in status.bus_names.iter().zip(observed.iter()).enumerate() {
            for one in &observed.ids {
                let Some(value) = value(one) else { continue };
                if !is_described {
                    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
                    is_described = true;
                }
                let message = one.message.map_or("", |message| names.of(bus, message));
                let (bus, message) = (Escaped(bus_name), Escaped(message));
                // A `String` takes any text.
                let _ =
                    writeln!(text, "{name}{{bus=\"{bus}\",message=\"{message}\",id=\"{}\"}} {value}", one.id);
            }
        }
    }
}

/// A label's value as the text format wants it.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use can_decode::{CanId, MessageIndex};

    use super::*;
    use crate::status::{BusObserved, Rhythm};

    #[test]
    fn what_identifiers_say_is_text_that_prometheus_reads() {
        let status = Status::new(vec!["can\"0\\".to_owned()], 0);
        status.names().0 = vec![vec!["SPEED".into()]];
        let silent = IdObserved {
            id: CanId::Standard(0x100),
            message: Some(MessageIndex(0)),
            rhythm: None,
            counter_lost: None,
            conflict: None,
            e2e_bad: Some(3),
        };
        let rhythm = Some(Rhythm { cycle_ns: 10_000_000, jitter_ns: 5_000, overdue_cycles: 2 });
        let cyclic = IdObserved { rhythm, counter_lost: Some(7), e2e_bad: None, ..silent };
        let stranger = IdObserved {
            id: CanId::Extended(0x18FE_F100),
            message: None,
            conflict: Some(true),
            e2e_bad: None,
            ..silent
        };
        *status.observed() = vec![BusObserved { totals: None, ids: vec![silent, cyclic, stranger] }];
        let mut text = String::new();
        by_message(&status, &mut text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let speed = r#"{bus="can\"0\\",message="SPEED",id="100"}"#;
        let expected = [
            format!("ecu_daemon_message_cycle_seconds{speed} 0.01"),
            format!("ecu_daemon_message_jitter_seconds{speed} 0.000005"),
            format!("ecu_daemon_message_overdue_cycles{speed} 2"),
            format!("ecu_daemon_message_counter_lost_total{speed} 7"),
            r#"ecu_daemon_message_conflict{bus="can\"0\\",message="",id="18FEF100"} 1"#.to_owned(),
            format!("ecu_daemon_message_e2e_bad_total{speed} 3"),
        ];
        assert_eq!(lines, expected);
        assert_eq!(text.matches("# TYPE").count(), 6);
    }
}
