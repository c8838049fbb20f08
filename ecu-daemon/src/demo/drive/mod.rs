//! A simulated drive of an electric car: what `ecu-daemon demo` listens to instead of real buses.
//!
//! The car drives through a city and over a motorway. Half way the battery's coolant pump fails: the flow
//! drops, the cells heat up, the battery management system sets a trouble code and limits power, the vehicle
//! controller goes to limp mode and a warning lamp lights up. The same seed gives the same drive, byte for
//! byte.
//!
//! `model` is the car, `buses` what it sends, `schedule` when; `reactions` ties incidents to traces and logs.

mod buses;
mod logs;
mod model;
mod random;
mod reactions;
mod schedule;

#[cfg(test)]
mod dbc_tests;
#[cfg(test)]
mod plausibility_tests;
#[cfg(test)]
mod stream_tests;

use std::time::Duration;

use can_decode::Frame;

use logs::LogBook;
use model::{Car, STEP_NS};
use random::Random;
use reactions::Reactions;
use schedule::Schedule;

/// The car's buses: powertrain, chassis, body, battery.
pub(crate) const BUS_NAMES: [&str; 4] = ["can0", "can1", "can2", "can3"];

/// File name and text of each bus's DBC, in the order of [`BUS_NAMES`].
pub(crate) const BUS_DBC: [(&str, &str); 4] = [
    ("powertrain.dbc", include_str!("../../../demo/powertrain.dbc")),
    ("chassis.dbc", include_str!("../../../demo/chassis.dbc")),
    ("body.dbc", include_str!("../../../demo/body.dbc")),
    ("battery.dbc", include_str!("../../../demo/battery.dbc")),
];

/// A frame and when it was on which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timed {
    /// Start of the frame in ns since the start of the drive; never less than that of the frame before.
    pub(crate) at_ns: i64,
    /// Index into [`BUS_NAMES`].
    pub(crate) bus: usize,
    /// The frame.
    pub(crate) frame: Frame,
}

/// A line that one of the car's services wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DriveLog {
    /// Time in ns since the start of the drive; never less than that of the line before.
    pub(crate) at_ns: i64,
    /// `ERROR`, `WARN`, `INFO` or `DEBUG`.
    pub(crate) level: &'static str,
    /// Who wrote it.
    pub(crate) service: &'static str,
    /// The text.
    pub(crate) message: String,
    /// Trace of the incident that the line is about.
    pub(crate) trace_id: Option<[u8; 16]>,
    /// Span of who wrote it, in that trace.
    pub(crate) span_id: Option<[u8; 8]>,
}

/// The drive: an iterator over its frames in the order of time.
pub(crate) struct Drive {
    length_ns: i64,
    car: Car,
    schedule: Schedule,
    reactions: Reactions,
    logs: LogBook,
}

impl Drive {
    /// A drive of `length`; the coolant pump fails at half of it. A drive of zero length has no frames.
    pub(crate) fn new(seed: u64, length: Duration) -> Self {
        Self {
            length_ns: i64::try_from(length.as_nanos()).unwrap_or(i64::MAX),
            car: Car::new(seed, length.as_secs_f64().max(f64::MIN_POSITIVE)),
            schedule: Schedule::new(Random::new(seed, 2)),
            reactions: Reactions::new(Random::new(seed, 3)),
            logs: LogBook::new(Random::new(seed, 4)),
        }
    }

    /// The lines written up to the time of the last frame, which the drive then forgets. It keeps the latest
    /// 4,096.
    pub(crate) fn take_logs(&mut self) -> Vec<DriveLog> {
        self.logs.take()
    }
}

impl Iterator for Drive {
    type Item = Timed;

    fn next(&mut self) -> Option<Timed> {
        loop {
            let due = self.schedule.next_due();
            if due.at_ns >= self.length_ns {
                return None;
            }
            if self.car.now_ns() + STEP_NS > due.at_ns {
                let sending = self.schedule.send(&due);
                let frame = sending.message.encode(&self.car, sending.sent, sending.context.as_ref());
                self.reactions.sent(&sending, due.at_ns, &self.car, &mut self.schedule, &mut self.logs);
                return Some(Timed { at_ns: due.at_ns, bus: sending.bus, frame });
            }
            // A step may bring an incident whose frame comes before the one that was due: so one at a time.
            if let Some(incident) = self.car.step() {
                self.reactions.incident(incident, &self.car, &mut self.schedule, &mut self.logs);
            }
            self.logs.routine(&self.car);
        }
    }
}
