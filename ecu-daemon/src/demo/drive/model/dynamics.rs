//! How the car moves: one motor on the front axle, friction brakes, drag, rolling resistance, slope, and the
//! bicycle model for bends. Every force's work is added up, so that a test can hold the energy balance
//! against it.

/// Car with two people, kg.
pub(crate) const MASS_KG: f64 = 1_920.0;
/// Mass that also stands for the wheels' and rotor's inertia, kg.
const INERTIA_KG: f64 = 1_990.0;
const GRAVITY: f64 = 9.81;
/// Half of air density (1.2 kg/m³) × drag area (0.62 m²).
const DRAG: f64 = 0.5 * 1.2 * 0.62;
const ROLLING: f64 = 0.0095;
/// Rolling radius, m.
pub(crate) const WHEEL_M: f64 = 0.335;
/// Motor turns per wheel turn.
pub(crate) const GEAR: f64 = 9.2;
const TORQUE_MAX_NM: f64 = 310.0;
const REGEN_MAX_NM: f64 = 160.0;
/// Lift-off regeneration, Nm: about 0.85 m/s².
const LIFT_NM: f64 = 60.0;
/// Motor and inverter together.
const EFFICIENCY: f64 = 0.93;
/// What the running inverter takes at no torque, W.
const IDLE_W: f64 = 180.0;
/// Time constants of motor and brake force, s.
const MOTOR_S: f64 = 0.03;
const BRAKE_S: f64 = 0.06;
const STEER_S: f64 = 0.35;
/// Axle to axle, m.
const WHEELBASE_M: f64 = 2.77;
/// Left to right wheel, m.
pub(crate) const TRACK_M: f64 = 1.58;
/// Steering wheel angle per road wheel angle.
const STEERING_RATIO: f64 = 15.4;
/// Understeer: extra road wheel angle per lateral acceleration, rad·s²/m.
const UNDERSTEER: f64 = 0.0028;
const DEGREES: f64 = 180.0 / core::f64::consts::PI;

/// Wheel force in N of a motor torque in Nm.
pub(crate) const fn force_of(torque_nm: f64) -> f64 {
    torque_nm * GEAR / WHEEL_M
}

/// Motor torque in Nm of a wheel force in N.
pub(crate) const fn torque_of(force_n: f64) -> f64 {
    force_n * WHEEL_M / GEAR
}

/// What the car may do now.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Largest driving torque, Nm.
    pub(crate) drive_nm: f64,
    /// Largest regenerative torque, Nm, as a positive number.
    pub(crate) regen_nm: f64,
    /// Torque with no pedal pressed, Nm; zero or negative.
    pub(crate) lift_nm: f64,
    /// What the driver keeps to, m/s.
    pub(crate) speed_mps: f64,
}

impl Limits {
    /// The torques that the battery's power limits and the motor allow at a motor speed.
    pub(crate) fn of(discharge_w: f64, charge_w: f64, motion: &Motion, speed_mps: f64) -> Self {
        let turning = motion.motor_rad_s().max(20.0);
        // Regeneration fades out towards standstill, where the motor could not tell stopping from reversing.
        let fade = ((motion.speed_mps - 1.0) / 3.0).clamp(0.0, 1.0);
        let regen_nm = REGEN_MAX_NM.min(charge_w / turning) * fade;
        Self {
            drive_nm: TORQUE_MAX_NM.min(discharge_w * EFFICIENCY / turning),
            regen_nm,
            lift_nm: -regen_nm.min(LIFT_NM),
            speed_mps,
        }
    }
}

/// Work done since the start, J.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) drag: f64,
    pub(crate) rolling: f64,
    pub(crate) climb: f64,
    pub(crate) friction_brake: f64,
    /// Motor and inverter losses.
    pub(crate) drive_loss: f64,
}

/// The car's motion and the forces on it.
#[derive(Clone, Debug)]
pub(crate) struct Motion {
    pub(crate) speed_mps: f64,
    pub(crate) acceleration_mps2: f64,
    /// Way since the start, m.
    pub(crate) way_m: f64,
    /// Asked for by the vehicle controller, Nm.
    pub(crate) torque_request_nm: f64,
    /// Given by the motor, Nm.
    pub(crate) torque_nm: f64,
    /// At the inverter's DC terminals, W; negative while regenerating.
    pub(crate) electric_w: f64,
    /// Force of the friction brakes, N, zero or positive.
    pub(crate) friction_n: f64,
    /// Share of the asked braking force that the motor takes, 0 to 1.
    pub(crate) regen_share: f64,
    /// Path curvature, 1/m, positive to the left.
    pub(crate) curvature: f64,
    /// Steering wheel, degrees, and its rate in degrees/s.
    pub(crate) steering_deg: f64,
    pub(crate) steering_rate_dps: f64,
    pub(crate) work: Work,
}

impl Motion {
    pub(crate) fn new(speed_mps: f64) -> Self {
        Self {
            speed_mps,
            acceleration_mps2: 0.0,
            way_m: 0.0,
            torque_request_nm: 0.0,
            torque_nm: 0.0,
            electric_w: 0.0,
            friction_n: 0.0,
            regen_share: 0.0,
            curvature: 0.0,
            steering_deg: 0.0,
            steering_rate_dps: 0.0,
            work: Work::default(),
        }
    }

    /// Rolling, air and slope resistance, N.
    pub(crate) fn resistance_n(&self, slope: f64) -> f64 {
        self.drag_n() + self.rolling_n() + MASS_KG * GRAVITY * slope
    }

    fn drag_n(&self) -> f64 {
        DRAG * self.speed_mps * self.speed_mps
    }

    fn rolling_n(&self) -> f64 {
        if self.speed_mps > 0.0 { MASS_KG * GRAVITY * ROLLING } else { 0.0 }
    }

    /// One step of `dt_s`: pedals (0 to 1) to forces to speed. `brake_max_mps2` is a full brake pedal's
    /// deceleration.
    pub(crate) fn step(
        &mut self,
        pedals: (f64, f64),
        brake_max_mps2: f64,
        limits: &Limits,
        slope: f64,
        dt_s: f64,
    ) {
        let (accelerator, brake) = pedals;
        let brake_n = brake * MASS_KG * brake_max_mps2;
        let mut friction_goal = 0.0;
        self.regen_share = 0.0;
        if brake > 0.0 {
            let regen_nm = torque_of(brake_n).min(limits.regen_nm + limits.lift_nm);
            self.torque_request_nm = limits.lift_nm - regen_nm;
            friction_goal = (brake_n - force_of(regen_nm)).max(0.0);
            self.regen_share = (force_of(regen_nm) / brake_n).clamp(0.0, 1.0);
        } else {
            self.torque_request_nm = limits.lift_nm + accelerator * (limits.drive_nm - limits.lift_nm);
        }
        self.torque_nm += (self.torque_request_nm - self.torque_nm) * dt_s / MOTOR_S;
        self.friction_n += (friction_goal - self.friction_n) * dt_s / BRAKE_S;
        self.roll(slope, dt_s);
    }

    fn roll(&mut self, slope: f64, dt_s: f64) {
        let (drag, rolling, climb) = (self.drag_n(), self.rolling_n(), MASS_KG * GRAVITY * slope);
        let force = force_of(self.torque_nm) - self.friction_n - drag - rolling - climb;
        // The brakes hold a car; they do not push it backwards.
        let next = (self.speed_mps + force / INERTIA_KG * dt_s).max(0.0);
        self.acceleration_mps2 = (next - self.speed_mps) / dt_s;
        // Work is force × the way of this step; with the mean speed it adds up to the kinetic energy exactly.
        let way = 0.5 * (self.speed_mps + next) * dt_s;
        let mechanical_w = force_of(self.torque_nm) * way / dt_s;
        let converted =
            if mechanical_w > 0.0 { mechanical_w / EFFICIENCY } else { mechanical_w * EFFICIENCY };
        self.electric_w = converted + IDLE_W;
        self.work.drag += drag * way;
        self.work.rolling += rolling * way;
        self.work.climb += climb * way;
        self.work.friction_brake += self.friction_n * way;
        self.work.drive_loss += (self.electric_w - mechanical_w) * dt_s;
        self.speed_mps = next;
        self.way_m += way;
    }

    /// Steers towards `curvature_goal` (1/m).
    pub(crate) fn steer(&mut self, curvature_goal: f64, dt_s: f64) {
        self.curvature += (curvature_goal - self.curvature) * dt_s / STEER_S;
        let lateral = self.speed_mps * self.speed_mps * self.curvature;
        let wheel_rad = self.curvature * WHEELBASE_M + UNDERSTEER * lateral;
        let steering_deg = wheel_rad * STEERING_RATIO * DEGREES;
        self.steering_rate_dps = (steering_deg - self.steering_deg) / dt_s;
        self.steering_deg = steering_deg;
    }

    /// Rotation about the vertical axis, degrees/s, positive to the left.
    pub(crate) fn yaw_dps(&self) -> f64 {
        self.speed_mps * self.curvature * DEGREES
    }

    /// m/s², positive to the left.
    pub(crate) fn lateral_mps2(&self) -> f64 {
        self.speed_mps * self.speed_mps * self.curvature
    }

    /// Angular speed of the motor, rad/s.
    pub(crate) fn motor_rad_s(&self) -> f64 {
        self.speed_mps / WHEEL_M * GEAR
    }

    /// Motor speed in revolutions per minute.
    pub(crate) fn motor_rpm(&self) -> f64 {
        self.motor_rad_s() * 30.0 / core::f64::consts::PI
    }

    /// Energy of motion, J.
    #[cfg(test)]
    pub(crate) fn kinetic_j(&self) -> f64 {
        0.5 * INERTIA_KG * self.speed_mps * self.speed_mps
    }

    /// Speed of wheel front left, front right, rear left, rear right, km/h: bends and slip of the driven
    /// axle.
    pub(crate) fn wheel_kmh(&self, wheel: usize) -> f64 {
        let side = if wheel.is_multiple_of(2) { -1.0 } else { 1.0 };
        let bend = side * self.curvature * TRACK_M / 2.0;
        let load = force_of(self.torque_nm) / (MASS_KG * GRAVITY);
        let slip = if wheel < 2 { 0.02 * load } else { 0.0 };
        (self.speed_mps * (1.0 + bend) * (1.0 + slip) * 3.6).max(0.0)
    }
}
