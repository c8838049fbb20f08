//! What the control units do about an incident: frames with a trace context, and log lines in the same trace.

use can_decode::TraceContext;
use can_decode::trace::TraceFlags;

use super::buses::{BATTERY, CHASSIS, battery, chassis};
use super::logs::LogBook;
use super::model::bms::{FLOW_MIN_LPM, FaultCode};
use super::model::{Car, Incident};
use super::random::Random;
use super::schedule::{Schedule, Sending};

/// Flags of a trace that is kept (W3C Trace Context).
const SAMPLED: TraceFlags = TraceFlags(0x01);
/// The same, and the trace id is random (level 2).
const SAMPLED_RANDOM: TraceFlags = TraceFlags(0x03);
/// Deceleration above which a brake event is a warning, m/s².
const HARSH_MPS2: f64 = 3.0;
/// A control unit answers a request after this many ns.
const ANSWER_NS: (f64, f64) = (3.3e6, 7.4e6);
/// From an incident to the event frame that tells of it, ns.
const NOTICE_NS: (f64, f64) = (0.1e6, 0.9e6);

/// The traces under way.
pub(crate) struct Reactions {
    random: Random,
    /// When the brake request went out that waits for its answer, ns.
    asked_ns: Option<i64>,
    /// Trace of the battery's breakdown: everything that follows from the failed pump is one story.
    breakdown: Option<TraceContext>,
}

impl Reactions {
    pub(crate) const fn new(random: Random) -> Self {
        Self { random, asked_ns: None, breakdown: None }
    }

    /// Reacts to what happened in the car.
    pub(crate) fn incident(
        &mut self,
        incident: Incident,
        car: &Car,
        schedule: &mut Schedule,
        logs: &mut LogBook,
    ) {
        let now_ns = car.now_ns();
        match incident {
            Incident::BrakePressed => {
                let context = root(&mut self.random);
                let at_ns = self.later(now_ns, NOTICE_NS);
                schedule.send_at(CHASSIS, chassis::BRAKE_REQUEST, at_ns, context);
                brake_line(&context, car, logs);
            }
            Incident::PumpFailed => {
                let context = self.breakdown();
                let duty = car.coolant.duty_pct;
                let message = format!("coolant pump draws no current at duty {duty:.0} %, raising duty");
                logs.write(now_ns, "WARN", "thermal-manager", message, Some(&context));
            }
            Incident::BatteryFault(fault) => {
                let context = self.breakdown();
                let context = child(&context, &mut self.random);
                let at_ns = self.later(now_ns, NOTICE_NS);
                schedule.send_at(BATTERY, battery::BMS_FAULT, at_ns, context);
                let (level, message) = fault_line(fault, car);
                logs.write(now_ns, level, "bms", message, Some(&context));
            }
            Incident::LimpHome => {
                let context = self.breakdown();
                let message =
                    "limp home entered: BatteryTemperature, torque limit follows the battery".to_owned();
                logs.write(now_ns, "ERROR", "vcu", message, Some(&context));
            }
            Incident::LampChanged => {
                let context = self.breakdown();
                let (battery, power) = (car.body.battery_lamp, car.body.power_lamp);
                let message = format!("warning lamps: battery {battery:?}, reduced power {power:?}");
                logs.write(now_ns, "WARN", "instrument-cluster", message, Some(&context));
            }
            Incident::Stopped => {
                let message =
                    format!("standstill after {:.2} km, brake hold active", car.motion.way_m / 1_000.0);
                logs.write(now_ns, "INFO", "vcu", message, None);
            }
        }
    }

    /// Reacts to an event frame that just went out at `at_ns`: who it is meant for answers in the same trace.
    pub(crate) fn sent(
        &mut self,
        sending: &Sending,
        at_ns: i64,
        car: &Car,
        schedule: &mut Schedule,
        logs: &mut LogBook,
    ) {
        let Some(context) = sending.context else { return };
        match (sending.bus, sending.message.id) {
            (CHASSIS, chassis::BRAKE_REQUEST) => {
                self.asked_ns = Some(at_ns);
                let answer_ns = self.later(at_ns, ANSWER_NS);
                let context = child(&context, &mut self.random);
                schedule.send_at(CHASSIS, chassis::BRAKE_RESPONSE, answer_ns, context);
            }
            (CHASSIS, chassis::BRAKE_RESPONSE) => {
                let Some(asked_ns) = self.asked_ns.take() else { return };
                let took_ms = (at_ns - asked_ns) as f64 * 1e-6;
                let (number, share) = (car.driver.brake_events, 100.0 * car.motion.regen_share);
                let message =
                    format!("brake event {number} answered in {took_ms:.2} ms, {share:.0} % by the motor");
                logs.write(car.now_ns(), "INFO", "brake-controller", message, Some(&context));
            }
            (BATTERY, battery::BMS_FAULT) if car.bms.fault == FaultCode::CellsOverheated => {
                let answer_ns = self.later(at_ns, ANSWER_NS);
                let context = child(&context, &mut self.random);
                schedule.send_at(BATTERY, battery::POWER_LIMIT_RESPONSE, answer_ns, context);
            }
            _ => {}
        }
    }

    fn breakdown(&mut self) -> TraceContext {
        let Self { random, breakdown, .. } = self;
        *breakdown.get_or_insert_with(|| root(random))
    }

    fn later(&mut self, ns: i64, range: (f64, f64)) -> i64 {
        ns + self.random.between(range.0, range.1) as i64
    }
}

/// The first span of a new trace. Some control units do not know the flag for random ids yet.
fn root(random: &mut Random) -> TraceContext {
    let flags = if random.one_in(3) { SAMPLED } else { SAMPLED_RANDOM };
    TraceContext { trace_id: random.id(), span_id: random.id(), flags }
}

/// A further span of the same trace.
fn child(parent: &TraceContext, random: &mut Random) -> TraceContext {
    TraceContext { span_id: random.id(), ..*parent }
}

fn brake_line(context: &TraceContext, car: &Car, logs: &mut LogBook) {
    let asked = -car.driver.intent_mps2;
    let (number, source, speed) = (car.driver.brake_events, car.driver.brake_source, car.speed_kmh());
    let message = format!("brake event {number} by {source:?}: {asked:.1} m/s2 at {speed:.1} km/h");
    let level = if asked > HARSH_MPS2 { "WARN" } else { "INFO" };
    logs.write(car.now_ns(), level, "brake-controller", message, Some(context));
}

fn fault_line(fault: FaultCode, car: &Car) -> (&'static str, String) {
    let (sensor, hottest) = car.sensors.temperature_max();
    let (flow, sensor) = (car.coolant.flow_lpm, sensor + 1);
    match fault {
        FaultCode::None => ("INFO", "no fault".to_owned()),
        FaultCode::CoolantFlowLow => {
            ("WARN", format!("P0C47 coolant flow {flow:.1} l/min below {FLOW_MIN_LPM:.1} l/min"))
        }
        FaultCode::CellsHot => {
            ("WARN", format!("P0A7E cell temperature {hottest:.1} degC at sensor {sensor}, no flow"))
        }
        FaultCode::CellsOverheated => {
            ("ERROR", format!("P0A7E cell temperature {hottest:.1} degC at sensor {sensor}, limiting power"))
        }
    }
}
