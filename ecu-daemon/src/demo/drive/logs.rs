//! What the car's services write into their logs.

use std::collections::VecDeque;

use super::DriveLog;
use super::model::Car;
use super::random::Random;
use super::trace::TraceContext;

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
    let number = |random: &mut Random, low: f64, high: f64| random.between(low, high) as i64;
    let way_km = car.motion.way_m / 1_000.0;
    match number(random, 0.0, 16.0) {
        0 => {
            let satellites = number(random, 9.0, 15.0);
            ("INFO", "navigation", format!("gnss fix with {satellites} satellites, hdop {:.1}", random.between(0.6, 1.2)))
        }
        1 => {
            let left_m = number(random, 5.0, 180.0) * 10;
            ("INFO", "navigation", format!("next manoeuvre in {left_m} m, distance driven {way_km:.2} km"))
        }
        2 => {
            let (rsrp, cell) = (number(random, -112.0, -82.0), number(random, 1_000.0, 1_040.0));
            ("INFO", "connectivity", format!("lte rsrp {rsrp} dBm sinr {} dB cell 0x{cell:05x}", number(random, 2.0, 20.0)))
        }
        3 => {
            let rtt_ms = random.between(38.0, 140.0);
            ("DEBUG", "connectivity", format!("keepalive to backend answered in {rtt_ms:.1} ms"))
        }
        4 => {
            let (cabin, goal, blower) = (car.body.cabin_c, car.body.cabin_goal_c, 100.0 * car.body.blower);
            ("INFO", "climate", format!("cabin {cabin:.1} degC, target {goal:.1} degC, blower {blower:.0} %"))
        }
        5 => {
            let (low, high) = (car.sensors.cell_min(), car.sensors.cell_max());
            let delta_mv = (high.1 - low.1) * 1_000.0;
            ("INFO", "bms", format!("cell spread {delta_mv:.1} mV, lowest cell {}, highest cell {}", low.0 + 1, high.0 + 1))
        }
        6 => {
            let (soc, current) = (100.0 * car.pack.soc, car.sensors.pack_a);
            ("INFO", "bms", format!("soc {soc:.2} %, current {current:.1} A, pack {:.1} V", car.sensors.pack_v))
        }
        7 => {
            let (flow, rpm) = (car.coolant.flow_lpm, car.coolant.pump_rpm);
            ("DEBUG", "thermal-manager", format!("coolant flow {flow:.1} l/min at {rpm:.0} rpm, duty {:.0} %", car.coolant.duty_pct))
        }
        8 => {
            let (torque, limit) = (car.motion.torque_request_nm, car.limits.drive_nm);
            ("DEBUG", "vcu", format!("torque arbitration: request {torque:.1} Nm, limit {limit:.1} Nm"))
        }
        9 => ("INFO", "media", format!("stream buffer {} %, bitrate {} kbit/s", number(random, 55.0, 100.0), 256)),
        10 => {
            let lanes = number(random, 2.0, 4.0);
            ("INFO", "camera", format!("lane model of {lanes} lanes, confidence {:.2}", random.between(0.81, 0.99)))
        }
        11 => {
            let (speed, goal) = (car.speed_kmh(), car.route.target_mps * 3.6);
            ("DEBUG", "cruise", format!("speed {speed:.1} km/h, wished {goal:.1} km/h"))
        }
        12 => ("DEBUG", "can-gateway", format!("routed {} frames in the last second, 0 dropped", number(random, 180.0, 240.0))),
        13 => ("INFO", "body", format!("rain {:.0} %, wiper mode {}", 100.0 * car.body.rain, car.body.wiper_mode())),
        14 => ("DEBUG", "clock", format!("ptp offset {} ns, path delay {} ns", number(random, -90.0, 90.0), number(random, 610.0, 680.0))),
        _ => ("INFO", "ota", format!("download at {:.1} %, paused while driving", random.between(41.0, 41.9))),
    }
}
