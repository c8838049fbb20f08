//! What the car's services write into their logs.

use std::collections::VecDeque;

use can_decode::TraceContext;

use super::DriveLog;
use super::model::Car;
use super::random::Random;

/// Lines kept until they are taken. Then the oldest goes: a demo that never takes them must not grow.
const LINES_MAX: usize = 4_096;
/// Lines of daily routine per second.
const ROUTINE_PER_S: f64 = 5.0;

/// The lines written and not yet taken.
pub(crate) struct LogBook {
    lines: VecDeque<DriveLog>,
    random: Random,
    routine_ns: i64,
}

impl LogBook {
    pub(crate) fn new(random: Random) -> Self {
        Self { lines: VecDeque::new(), random, routine_ns: 0 }
    }

    /// Writes one line.
    pub(crate) fn write(
        &mut self,
        at_ns: i64,
        level: &'static str,
        service: &'static str,
        message: String,
        context: Option<&TraceContext>,
    ) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        let trace_id = context.map(|context| context.trace_id);
        let span_id = context.map(|context| context.span_id);
        self.lines.push_back(DriveLog { at_ns, level, service, message, trace_id, span_id });
    }

    /// Writes a line of daily routine when it is time for one.
    pub(crate) fn routine(&mut self, car: &Car) {
        if car.now_ns() < self.routine_ns {
            return;
        }
        let pause_s = self.random.between(0.4, 1.6) / ROUTINE_PER_S;
        self.routine_ns = car.now_ns() + (pause_s * 1e9) as i64;
        let (level, service, message) = chatter(car, &mut self.random);
        self.write(car.now_ns(), level, service, message, None);
    }

    /// All lines, which the book then forgets.
    pub(crate) fn take(&mut self) -> Vec<DriveLog> {
        self.lines.drain(..).collect()
    }
}

/// One of the things that services report all day.
fn chatter(car: &Car, random: &mut Random) -> (&'static str, &'static str, String) {
    if random.one_in(2) { of_the_car(car, random) } else { of_the_world(car, random) }
}

/// About the car itself: level, service, text.
fn of_the_car(car: &Car, random: &mut Random) -> (&'static str, &'static str, String) {
    let (body, sensors, coolant) = (&car.body, &car.sensors, &car.coolant);
    match random.bits() % 8 {
        0 => {
            let (cabin, goal, blower) = (body.cabin_c, body.cabin_goal_c, 100.0 * body.blower);
            ("INFO", "climate", format!("cabin {cabin:.1} degC, target {goal:.1} degC, blower {blower:.0} %"))
        }
        1 => {
            let ((lowest, low_v), (highest, high_v)) = (sensors.cell_min(), sensors.cell_max());
            let (lowest, highest, spread_mv) = (lowest + 1, highest + 1, (high_v - low_v) * 1_000.0);
            (
                "INFO",
                "bms",
                format!("cell spread {spread_mv:.1} mV, lowest cell {lowest}, highest cell {highest}"),
            )
        }
        2 => {
            let (soc, current, voltage) = (100.0 * car.pack.soc, sensors.pack_a, sensors.pack_v);
            ("INFO", "bms", format!("soc {soc:.2} %, current {current:.1} A, pack {voltage:.1} V"))
        }
        3 => {
            let (flow, rpm, duty) = (coolant.flow_lpm, coolant.pump_rpm, coolant.duty_pct);
            let message = format!("coolant flow {flow:.1} l/min at {rpm:.0} rpm, duty {duty:.0} %");
            ("DEBUG", "thermal-manager", message)
        }
        4 => {
            let (torque, limit) = (car.motion.torque_request_nm, car.limits.drive_nm);
            ("DEBUG", "vcu", format!("torque arbitration: request {torque:.1} Nm, limit {limit:.1} Nm"))
        }
        5 => {
            let (speed, goal) = (car.speed_kmh(), car.route.target_mps * 3.6);
            ("DEBUG", "cruise", format!("speed {speed:.1} km/h, wished {goal:.1} km/h"))
        }
        6 => {
            let (rain, mode) = (100.0 * body.rain, body.wiper_mode());
            ("INFO", "body-controller", format!("rain {rain:.0} %, wiper mode {mode}"))
        }
        _ => {
            let (way_km, charge) = (car.motion.way_m / 1_000.0, 100.0 * car.pack.soc);
            ("INFO", "trip-computer", format!("trip {way_km:.2} km, charge {charge:.0} %"))
        }
    }
}

/// About what the car hears and sees: level, service, text.
fn of_the_world(car: &Car, random: &mut Random) -> (&'static str, &'static str, String) {
    let topic = random.bits() % 8;
    let mut number = |low: f64, high: f64| random.between(low, high) as i64;
    match topic {
        0 => {
            let (satellites, hdop) = (number(9.0, 15.0), number(6.0, 12.0) as f64 / 10.0);
            ("INFO", "navigation", format!("gnss fix with {satellites} satellites, hdop {hdop:.1}"))
        }
        1 => ("INFO", "navigation", format!("next manoeuvre in {} m", 10 * number(5.0, 180.0))),
        2 => {
            let (rsrp, sinr, cell) = (number(-112.0, -82.0), number(2.0, 20.0), number(1_000.0, 1_040.0));
            ("INFO", "connectivity", format!("lte rsrp {rsrp} dBm, sinr {sinr} dB, cell 0x{cell:05x}"))
        }
        3 => {
            let rtt_ms = number(380.0, 1_400.0) as f64 / 10.0;
            ("DEBUG", "connectivity", format!("keepalive to backend answered in {rtt_ms:.1} ms"))
        }
        4 => {
            let (buffer, rate) = (number(55.0, 100.0), 64 * number(2.0, 5.0));
            ("INFO", "media", format!("stream buffer {buffer} %, bitrate {rate} kbit/s"))
        }
        5 => {
            let (lanes, confidence) = (number(2.0, 5.0), number(81.0, 99.0) as f64 / 100.0);
            ("INFO", "camera", format!("lane model of {lanes} lanes, confidence {confidence:.2}"))
        }
        6 => {
            let (offset, delay) = (number(-90.0, 90.0), number(610.0, 680.0));
            ("DEBUG", "clock", format!("ptp offset {offset} ns, path delay {delay} ns"))
        }
        _ => {
            let done = 41.0 + 0.01 * car.now_s();
            (
                "INFO",
                "ota",
                format!("download at {:.1} %, {} blocks left", done.min(99.9), number(200.0, 900.0)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_that_is_never_read_keeps_the_latest_lines() {
        let mut book = LogBook::new(Random::new(1, 0));
        for at_ns in 0..LINES_MAX as i64 + 3 {
            book.write(at_ns, "INFO", "test", String::new(), None);
        }
        let lines = book.take();
        assert_eq!((lines.len(), lines[0].at_ns), (LINES_MAX, 3));
        assert!(book.take().is_empty());
    }

    #[test]
    fn every_topic_of_the_routine_is_heard() {
        let (car, mut random) = (Car::new(1, 10.0), Random::new(1, 0));
        let heard: std::collections::BTreeSet<_> = (0..500)
            .map(|_| {
                let (_, service, text) = chatter(&car, &mut random);
                (service, text.split(' ').next().map(str::to_owned))
            })
            .collect();
        assert_eq!(heard.len(), 16, "{heard:?}");
    }
}
