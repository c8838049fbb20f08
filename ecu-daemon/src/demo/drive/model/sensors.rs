//! What the sensors make of the car: the state with their noise, taken every 10 ms.

use super::super::random::Random;
use super::dynamics::Motion;
use super::pack::{CELLS, Pack, TEMPERATURES};

/// The latest readings.
#[derive(Clone, Debug)]
pub(crate) struct Sensors {
    /// Front left, front right, rear left, rear right.
    pub(crate) wheel_kmh: [f64; 4],
    pub(crate) yaw_dps: f64,
    /// Longitudinal (with the slope's share of gravity), lateral, vertical; m/s².
    pub(crate) acceleration_mps2: [f64; 3],
    /// Roll, pitch; degrees/s.
    pub(crate) rate_dps: [f64; 2],
    /// What the driver's hands put into the steering wheel, Nm.
    pub(crate) hand_nm: f64,
    /// Brake pressure per wheel in wheel order, bar.
    pub(crate) brake_bar: [f64; 4],
    pub(crate) pack_v: f64,
    pub(crate) pack_a: f64,
    /// V.
    pub(crate) cells: [f64; CELLS],
    /// °C.
    pub(crate) temperatures: [f64; TEMPERATURES],
}

/// Brake force of the car per bar at the wheels, N/bar; the front takes more.
const FORCE_N_BAR: f64 = 130.0;
const FRONT_REAR: [f64; 4] = [1.2, 1.2, 0.8, 0.8];

impl Sensors {
    pub(crate) fn new() -> Self {
        Self {
            wheel_kmh: [0.0; 4],
            yaw_dps: 0.0,
            acceleration_mps2: [0.0, 0.0, 9.81],
            rate_dps: [0.0; 2],
            hand_nm: 0.0,
            brake_bar: [0.0; 4],
            pack_v: 0.0,
            pack_a: 0.0,
            cells: [0.0; CELLS],
            temperatures: [0.0; TEMPERATURES],
        }
    }

    /// Reads everything once.
    pub(crate) fn read(&mut self, motion: &Motion, pack: &Pack, slope: f64, random: &mut Random) {
        let moving = f64::from(motion.speed_mps > 0.1);
        for (wheel, kmh) in self.wheel_kmh.iter_mut().enumerate() {
            *kmh = (motion.wheel_kmh(wheel) + moving * random.noise(0.03)).max(0.0);
        }
        self.yaw_dps = motion.yaw_dps() + random.noise(0.03);
        let shake = 0.02 + 0.006 * motion.speed_mps;
        let longitudinal = motion.acceleration_mps2 + 9.81 * slope;
        self.acceleration_mps2 =
            [longitudinal, motion.lateral_mps2(), 9.81].map(|value| value + random.noise(shake));
        self.rate_dps =
            [random.noise(0.1 + shake), -0.3 * motion.acceleration_mps2 + random.noise(0.1 + shake)];
        self.hand_nm = 0.45 * motion.lateral_mps2() + random.noise(0.08);
        for (pressure, share) in self.brake_bar.iter_mut().zip(FRONT_REAR) {
            let noise = if motion.friction_n > 1.0 { random.noise(0.05) } else { 0.0 };
            *pressure = (motion.friction_n / FORCE_N_BAR * share + noise).max(0.0);
        }
        self.pack_v = pack.voltage_v + random.noise(0.03);
        self.pack_a = pack.current_a + random.noise(0.05);
        for (index, cell) in self.cells.iter_mut().enumerate() {
            *cell = pack.cell_v(index) + random.noise(0.000_25);
        }
        for (index, temperature) in self.temperatures.iter_mut().enumerate() {
            *temperature = pack.temperature_c(index) + random.noise(0.03);
        }
    }

    /// Pressure in the master cylinder, bar.
    pub(crate) fn master_bar(&self) -> f64 {
        self.brake_bar[0] / FRONT_REAR[0]
    }

    /// Index and voltage of the lowest cell.
    pub(crate) fn cell_min(&self) -> (usize, f64) {
        extreme(&self.cells, |value, best| value < best)
    }

    /// Index and voltage of the highest cell.
    pub(crate) fn cell_max(&self) -> (usize, f64) {
        extreme(&self.cells, |value, best| value > best)
    }

    /// Index and reading of the coldest temperature sensor.
    pub(crate) fn temperature_min(&self) -> (usize, f64) {
        extreme(&self.temperatures, |value, best| value < best)
    }

    /// Index and reading of the hottest temperature sensor.
    pub(crate) fn temperature_max(&self) -> (usize, f64) {
        extreme(&self.temperatures, |value, best| value > best)
    }
}

fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> (usize, f64) {
    let first = (0, values[0]);
    values
        .iter()
        .copied()
        .enumerate()
        .fold(first, |best, next| if better(next.1, best.1) { next } else { best })
}
