//! What the people in the car see, hear and switch: doors, lights, indicators, wipers, climate, warning
//! lamps.

use super::super::random::Random;
use super::bms::FaultCode;
use super::dynamics::Motion;

/// The driver's door closes this long after a standing start, s.
const DOOR_CLOSES_S: f64 = 0.9;
/// Doors lock above this speed, m/s.
const LOCKS_MPS: f64 = 4.0;
/// Half a blink of the indicators, s (1.5 Hz; UN R6 allows 1 to 2 Hz).
const BLINK_S: f64 = 1.0 / 3.0;
/// Bends sharper than this are turns, which one indicates, 1/m.
const TURN: f64 = 0.008;
/// One sweep of the wipers there and back, s.
const SWEEP_S: f64 = 1.1;

/// The value table of the warning lamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lamp {
    /// Dark.
    Off = 0,
    /// Have it looked at.
    Yellow = 1,
    /// Stop safely.
    Red = 2,
}

/// State of the body electronics.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    now_s: f64,
    length_s: f64,
    pub(crate) driver_door_open: bool,
    pub(crate) locked: bool,
    /// −1 right, 0 off, 1 left.
    pub(crate) indicating: i8,
    /// The indicator lamp is lit now.
    pub(crate) blink: bool,
    /// 0 to 1.
    pub(crate) rain: f64,
    /// Outside, °C.
    pub(crate) ambient_c: f64,
    /// 0 night to 1 full sun.
    pub(crate) daylight: f64,
    pub(crate) cabin_c: f64,
    pub(crate) cabin_goal_c: f64,
    /// 0 to 1.
    pub(crate) blower: f64,
    /// Of heating or cooling the cabin, W.
    pub(crate) climate_w: f64,
    pub(crate) battery_lamp: Lamp,
    pub(crate) power_lamp: Lamp,
}

impl Body {
    /// The body of a car that stands or rolls at the start of a drive of `length_s`.
    pub(crate) fn new(length_s: f64, standing: bool, random: &mut Random) -> Self {
        Self {
            now_s: 0.0,
            length_s,
            driver_door_open: standing,
            locked: !standing,
            indicating: 0,
            blink: false,
            rain: 0.0,
            ambient_c: random.between(6.0, 14.0),
            daylight: 0.62,
            cabin_c: random.between(16.0, 18.0),
            cabin_goal_c: 21.0,
            blower: 0.6,
            climate_w: 1_500.0,
            battery_lamp: Lamp::Off,
            power_lamp: Lamp::Off,
        }
    }

    /// One step of `dt_s` at `now_s`; gives true when a warning lamp changed.
    pub(crate) fn step(
        &mut self,
        motion: &Motion,
        bend: f64,
        fault: FaultCode,
        limp: bool,
        now_s: f64,
        dt_s: f64,
    ) -> bool {
        self.now_s = now_s;
        if now_s >= DOOR_CLOSES_S {
            self.driver_door_open = false;
        }
        self.locked |= motion.speed_mps > LOCKS_MPS;
        self.indicating = if bend > TURN {
            1
        } else if bend < -TURN {
            -1
        } else {
            0
        };
        self.blink = self.indicating != 0 && ((now_s / BLINK_S) as u64).is_multiple_of(2);
        let share = now_s / self.length_s;
        let raining = (0.30..0.62).contains(&share);
        self.rain += (f64::from(raining) * 0.7 - self.rain) * (dt_s / (0.03 * self.length_s)).min(1.0);
        self.daylight = 0.62 - 0.35 * share - 0.2 * self.rain;
        self.cabin_c += (self.cabin_goal_c - self.cabin_c) * dt_s / 40.0;
        self.blower = (0.25 + 0.12 * (self.cabin_goal_c - self.cabin_c)).clamp(0.2, 1.0);
        self.climate_w = 250.0 + 2_000.0 * self.blower;
        let (battery, power) = (self.battery_lamp, self.power_lamp);
        self.battery_lamp = [Lamp::Off, Lamp::Yellow, Lamp::Red][usize::from(fault.severity().min(2))];
        self.power_lamp = if limp { Lamp::Yellow } else { Lamp::Off };
        (battery, power) != (self.battery_lamp, self.power_lamp)
    }

    /// The value table of `WiperStatus.WiperMode`: 0 off, 2 slow, 3 fast.
    pub(crate) fn wiper_mode(&self) -> u8 {
        match self.rain {
            rain if rain < 0.1 => 0,
            rain if rain < 0.5 => 2,
            _ => 3,
        }
    }

    /// Angle of the wiper arm, degrees from its rest.
    pub(crate) fn wiper_deg(&self) -> f64 {
        if self.wiper_mode() == 0 {
            return 0.0;
        }
        let sweep = (self.now_s / SWEEP_S).fract();
        110.0 * (1.0 - (2.0 * sweep - 1.0).abs())
    }

    /// Whether the low beam is on: dusk or rain.
    pub(crate) fn low_beam(&self) -> bool {
        self.daylight < 0.5 || self.rain > 0.2
    }
}
