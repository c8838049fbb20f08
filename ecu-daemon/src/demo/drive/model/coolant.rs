//! The battery's coolant pump, and its failure half way through the drive.

/// Flow of the healthy pump, l/min.
const FLOW_LPM: f64 = 12.0;
const SPEED_RPM: f64 = 3_200.0;
/// Duty that the pump's controller gives a healthy pump, %.
const DUTY_PCT: f64 = 58.0;
/// The impeller runs out in this time, s.
const RUN_OUT_S: f64 = 0.12;
/// Below this the pump counts as standing, rpm.
const STALLED_RPM: f64 = 200.0;

/// The value table of `CoolantStatus.PumpState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PumpState {
    /// Turning as asked.
    Running = 1,
    /// Driven but not turning.
    Stalled = 2,
}

/// The coolant circuit.
#[derive(Clone, Debug)]
pub(crate) struct Coolant {
    /// l/min.
    pub(crate) flow_lpm: f64,
    pub(crate) pump_rpm: f64,
    /// What the controller gives the pump, %.
    pub(crate) duty_pct: f64,
    pub(crate) pump: PumpState,
    /// Into the pack, °C.
    pub(crate) inlet_c: f64,
    /// Out of the pack, °C.
    pub(crate) outlet_c: f64,
}

impl Coolant {
    /// A running circuit.
    pub(crate) const fn new() -> Self {
        Self {
            flow_lpm: FLOW_LPM,
            pump_rpm: SPEED_RPM,
            duty_pct: DUTY_PCT,
            pump: PumpState::Running,
            inlet_c: 28.0,
            outlet_c: 31.0,
        }
    }

    /// One step of `dt_s`; once `failed`, the pump gets no current however hard its controller tries.
    pub(crate) fn step(&mut self, failed: bool, pack_c: f64, dt_s: f64) {
        if failed {
            self.pump_rpm -= self.pump_rpm * (dt_s / RUN_OUT_S).min(1.0);
            self.duty_pct = (self.duty_pct + 60.0 * dt_s).min(100.0);
        } else {
            let goal = SPEED_RPM + 12.0 * (pack_c - 34.0);
            self.pump_rpm += (goal - self.pump_rpm) * dt_s;
        }
        self.pump = if self.pump_rpm < STALLED_RPM { PumpState::Stalled } else { PumpState::Running };
        self.flow_lpm = FLOW_LPM * self.pump_rpm / SPEED_RPM;
        // Standing coolant takes the pack's temperature slowly; flowing coolant leaves 3 K warmer than it
        // came.
        let outlet_goal = if failed { pack_c - 4.0 } else { self.inlet_c + 0.35 * (pack_c - self.inlet_c) };
        self.outlet_c += (outlet_goal - self.outlet_c) * dt_s / 3.0;
    }

    /// Flow as a share of the healthy one.
    pub(crate) fn flow_share(&self) -> f64 {
        self.flow_lpm / FLOW_LPM
    }

    /// Current of the pump's motor, A.
    pub(crate) fn pump_a(&self) -> f64 {
        4.1 * (self.pump_rpm / SPEED_RPM) * (self.pump_rpm / SPEED_RPM)
    }
}
