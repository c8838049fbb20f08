//! The car: its parts, and the order in which a millisecond of its life passes.

pub(crate) mod bms;
pub(crate) mod body;
pub(crate) mod coolant;
pub(crate) mod driver;
pub(crate) mod dynamics;
pub(crate) mod pack;
pub(crate) mod route;
pub(crate) mod sensors;

use super::random::Random;
use bms::{Bms, FaultCode};
use body::Body;
use coolant::Coolant;
use driver::{BRAKE_MAX_MPS2, Driver};
use dynamics::{Limits, Motion};
use pack::Pack;
use route::Route;
use sensors::Sensors;

/// Length of a step. Short against the motor's 30 ms and the trace's 3 ms, so that neither sees the grid.
pub(crate) const STEP_NS: i64 = 1_000_000;
const STEP_S: f64 = STEP_NS as f64 * 1e-9;
/// Steps between two turns of the controllers.
const TURN_STEPS: u64 = 10;
const TURN_S: f64 = STEP_S * TURN_STEPS as f64;
/// Lamps, radios and computers, W.
const AUXILIARY_W: f64 = 450.0;
/// Speed that the driver keeps to in limp mode, m/s.
const LIMP_MPS: f64 = 68.0 / 3.6;

/// Something that happened in a step and that other control units are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    /// The brakes were asked for.
    BrakePressed,
    /// The coolant pump stopped.
    PumpFailed,
    /// The battery management system entered a fault.
    BatteryFault(FaultCode),
    /// The vehicle controller limits power.
    LimpHome,
    /// A warning lamp changed.
    LampChanged,
    /// The car came to a stop.
    Stopped,
}

/// When the coolant pump fails, and how fast the cells then heat up.
#[derive(Clone, Debug)]
struct Breakdown {
    begin_s: f64,
    /// From the failure to [`bms::OVERHEATED_C`], s.
    rise_s: f64,
}

/// The whole car.
#[derive(Clone, Debug)]
pub(crate) struct Car {
    steps: u64,
    random: Random,
    breakdown: Breakdown,
    pump_failed: bool,
    stopped: bool,
    /// Rise of the hot cells by the fault, K/s.
    fault_k_per_s: f64,
    /// Work of everything but the motor, J.
    pub(crate) auxiliary_j: f64,
    pub(crate) limp: bool,
    pub(crate) limits: Limits,
    pub(crate) route: Route,
    pub(crate) driver: Driver,
    pub(crate) motion: Motion,
    pub(crate) coolant: Coolant,
    pub(crate) pack: Pack,
    pub(crate) bms: Bms,
    pub(crate) body: Body,
    pub(crate) sensors: Sensors,
}

impl Car {
    /// A car at the start of a drive of `length_s` (above 0).
    pub(crate) fn new(seed: u64, length_s: f64) -> Self {
        let mut random = Random::new(seed, 1);
        let route = Route::new(length_s);
        let speed_mps = route.start_mps();
        let motion = Motion::new(speed_mps);
        let mut car = Self {
            steps: 0,
            breakdown: Breakdown { begin_s: length_s / 2.0, rise_s: (0.2 * length_s).min(12.0) },
            pump_failed: false,
            stopped: speed_mps <= 0.0,
            fault_k_per_s: 0.0,
            auxiliary_j: 0.0,
            limp: false,
            limits: Limits::of(bms::DISCHARGE_W, bms::CHARGE_W, &motion, f64::MAX),
            route,
            driver: Driver::new(speed_mps),
            motion,
            coolant: Coolant::new(),
            pack: Pack::new(&mut random),
            bms: Bms::new(),
            body: Body::new(length_s, speed_mps <= 0.0, &mut random),
            sensors: Sensors::new(),
            random,
        };
        car.sensors.read(&car.motion, &car.pack, 0.0, &mut car.random);
        car
    }

    /// Time since the start, ns.
    pub(crate) const fn now_ns(&self) -> i64 {
        self.steps as i64 * STEP_NS
    }

    /// Time since the start, s.
    pub(crate) fn now_s(&self) -> f64 {
        self.steps as f64 * STEP_S
    }

    /// Vehicle speed, km/h.
    pub(crate) fn speed_kmh(&self) -> f64 {
        self.motion.speed_mps * 3.6
    }

    /// Passes one step. The controllers take their turns in different milliseconds, as tasks of an ECU do,
    /// which is also why a step has at most one incident.
    pub(crate) fn step(&mut self) -> Option<Incident> {
        self.steps += 1;
        let pedals = (self.driver.accelerator, self.driver.brake);
        self.motion.step(pedals, BRAKE_MAX_MPS2, &self.limits, self.route.slope, STEP_S);
        let auxiliary_w = self.auxiliary_w();
        self.auxiliary_j += auxiliary_w * STEP_S;
        self.pack.step(self.motion.electric_w + auxiliary_w, &self.coolant, self.fault_k_per_s, STEP_S);
        match self.steps % TURN_STEPS {
            0 => self.turn_of_driver(),
            2 => self.turn_of_pump(),
            4 => self.bms.step(&self.coolant, self.sensors.temperature_max().1).map(Incident::BatteryFault),
            6 => self.turn_of_vehicle(),
            8 => self.turn_of_body(),
            9 => {
                self.sensors.read(&self.motion, &self.pack, self.route.slope, &mut self.random);
                None
            }
            _ => None,
        }
    }

    fn auxiliary_w(&self) -> f64 {
        AUXILIARY_W + self.body.climate_w
    }

    fn turn_of_driver(&mut self) -> Option<Incident> {
        self.route.step(self.now_s(), TURN_S, self.motion.speed_mps, &mut self.random);
        self.motion.steer(self.route.curvature(self.motion.speed_mps), TURN_S);
        let resistance = self.motion.resistance_n(self.route.slope);
        let pressed = self.driver.step(&self.route, self.motion.speed_mps, resistance, &self.limits, TURN_S);
        pressed.then_some(Incident::BrakePressed)
    }

    fn turn_of_pump(&mut self) -> Option<Incident> {
        let failed = self.now_s() >= self.breakdown.begin_s;
        let incident = (failed && !self.pump_failed).then_some(Incident::PumpFailed);
        if incident.is_some() {
            let missing_k = (bms::OVERHEATED_C - self.pack.hottest_c()).max(1.0);
            self.fault_k_per_s = missing_k / self.breakdown.rise_s;
        }
        self.pump_failed = failed;
        if self.limp {
            // With less current the heat dies away.
            self.fault_k_per_s -= self.fault_k_per_s * (TURN_S / (0.25 * self.breakdown.rise_s)).min(1.0);
        }
        self.coolant.step(failed, self.pack.hottest_c(), TURN_S);
        incident
    }

    fn turn_of_vehicle(&mut self) -> Option<Incident> {
        let entered = self.bms.state == bms::BmsState::Derated && !self.limp;
        self.limp |= entered;
        let speed_mps = if self.limp { LIMP_MPS } else { f64::MAX };
        // What the battery may give is shared: heating and lamps go first, the motor gets the rest.
        let motor_w = (self.bms.discharge_w - self.auxiliary_w()).max(0.0);
        self.limits = Limits::of(motor_w, self.bms.charge_w, &self.motion, speed_mps);
        entered.then_some(Incident::LimpHome)
    }

    fn turn_of_body(&mut self) -> Option<Incident> {
        let bend = self.route.curvature(self.motion.speed_mps);
        let lamp = self.body.step(&self.motion, bend, self.bms.fault, self.limp, self.now_s(), TURN_S);
        let standing = self.motion.speed_mps <= 0.0;
        let stopped = standing && !self.stopped;
        self.stopped = standing;
        if lamp { Some(Incident::LampChanged) } else { stopped.then_some(Incident::Stopped) }
    }
}
