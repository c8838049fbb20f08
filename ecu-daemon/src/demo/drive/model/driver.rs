//! The person (or the adaptive cruise control) at the pedals.

use super::dynamics::{Limits, MASS_KG, force_of, torque_of};
use super::route::{Road, Route};

/// Gain from speed error to wished acceleration, 1/s.
const GAIN: f64 = 0.8;
/// Comfortable acceleration, m/s².
const ACCELERATION_MAX: f64 = 2.7;
/// Time in which the foot follows the wish, s.
const FOOT_S: f64 = 0.15;
/// Deceleration by the friction brakes at full pedal, m/s².
pub(crate) const BRAKE_MAX_MPS2: f64 = 9.0;
/// The foot changes to the brake pedal this many Nm below lift-off, and back this many above.
const PEDAL_CHANGE_NM: f64 = 10.0;
/// Pedal that holds a standing car.
const HOLD: f64 = 0.18;

/// Who asked for the brakes; the value table of `BrakeRequest.RequestSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrakeSource {
    /// The brake pedal.
    Driver = 1,
    /// Adaptive cruise control.
    CruiseControl = 2,
}

/// Pedal positions and the brake event under way.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    /// Wished acceleration before the foot's delay, m/s².
    pub(crate) intent_mps2: f64,
    wish_mps2: f64,
    /// 0 to 1.
    pub(crate) accelerator: f64,
    /// 0 to 1.
    pub(crate) brake: f64,
    /// The foot is on the brake pedal.
    pub(crate) braking: bool,
    /// Brake events since the start.
    pub(crate) brake_events: u32,
    /// Of the last brake event.
    pub(crate) brake_source: BrakeSource,
}

impl Driver {
    /// A driver of a car at `speed_mps`; a standing one has the foot on the brake.
    pub(crate) fn new(speed_mps: f64) -> Self {
        let standing = speed_mps <= 0.0;
        Self {
            intent_mps2: 0.0,
            wish_mps2: 0.0,
            accelerator: 0.0,
            brake: if standing { HOLD } else { 0.0 },
            braking: standing,
            brake_events: 0,
            brake_source: BrakeSource::Driver,
        }
    }

    /// Moves the pedals; called every `dt_s`. `resistance_n` is what rolling, air and slope hold against the
    /// car. Returns whether the brake pedal was pressed in this step.
    pub(crate) fn step(
        &mut self,
        route: &Route,
        speed_mps: f64,
        resistance_n: f64,
        limits: &Limits,
        dt_s: f64,
    ) -> bool {
        let target = route.target_mps.min(limits.speed_mps);
        let error = GAIN * (target - speed_mps);
        let error = if target <= 0.0 { error.min(-GAIN) } else { error };
        self.intent_mps2 = error.clamp(-route.braking_mps2, ACCELERATION_MAX);
        self.wish_mps2 += (self.intent_mps2 - self.wish_mps2) * dt_s / FOOT_S;
        if target <= 0.0 && speed_mps < 0.2 {
            self.hold();
            return false;
        }
        let torque = torque_of(MASS_KG * self.wish_mps2 + resistance_n);
        let below_lift_nm = limits.lift_nm - torque;
        let was_braking = self.braking;
        if below_lift_nm > PEDAL_CHANGE_NM {
            self.braking = true;
        } else if below_lift_nm < -PEDAL_CHANGE_NM {
            self.braking = false;
        }
        if self.braking {
            self.accelerator = 0.0;
            self.brake = (force_of(below_lift_nm) / (MASS_KG * BRAKE_MAX_MPS2)).clamp(0.01, 1.0);
        } else {
            self.brake = 0.0;
            let span = (limits.drive_nm - limits.lift_nm).max(1.0);
            self.accelerator = ((torque - limits.lift_nm) / span).clamp(0.0, 1.0);
        }
        let pressed = self.braking && !was_braking;
        if pressed {
            self.brake_events += 1;
            self.brake_source =
                if route.road == Road::Motorway { BrakeSource::CruiseControl } else { BrakeSource::Driver };
        }
        pressed
    }

    fn hold(&mut self) {
        self.accelerator = 0.0;
        self.brake = HOLD;
        self.braking = true;
        self.wish_mps2 = 0.0;
    }
}
