//! The traction battery: 96 lithium-ion cells in series, their charge, voltages and temperatures.

use super::super::random::Random;
use super::coolant::Coolant;

/// Cells in series.
pub(crate) const CELLS: usize = 96;
/// Temperature sensors, spread along the coolant's way.
pub(crate) const TEMPERATURES: usize = 24;
/// Charge of the full pack, As (165 Ah).
const CHARGE_AS: f64 = 165.0 * 3_600.0;
/// Of one cell with its share of busbars, Ω.
const CELL_OHM: f64 = 0.000_5;
/// Of the pack, J/K.
const HEAT_CAPACITY: f64 = 330_000.0;
/// Into full coolant flow per kelvin, W/K.
const COOLING_W_K: f64 = 420.0;
/// Resting voltage of a cell over its state of charge in tenths.
const RESTING_V: [f64; 11] = [3.00, 3.42, 3.52, 3.58, 3.63, 3.69, 3.77, 3.86, 3.96, 4.06, 4.19];
/// The weakest cell: every pack has one.
const WEAK_CELL: usize = 57;

/// State of the pack.
#[derive(Clone, Debug)]
pub(crate) struct Pack {
    /// State of charge, 0 to 1.
    pub(crate) soc: f64,
    /// Positive while discharging, A.
    pub(crate) current_a: f64,
    /// At the terminals, V.
    pub(crate) voltage_v: f64,
    /// Rise of the hottest place above the start, K.
    rise_k: f64,
    start_c: [f64; TEMPERATURES],
    /// Difference of each cell's resting voltage from the mean, V, and factor on its resistance.
    spread: [(f64, f64); CELLS],
    /// Chemical energy taken out, J; charging gives back.
    pub(crate) chemical_j: f64,
    /// Lost in the cells' resistance, J.
    pub(crate) joule_j: f64,
    /// Sum of |charge| moved over the pack's life, kWh.
    pub(crate) throughput_kwh: f64,
}

impl Pack {
    /// A pack at rest, of about 78 % charge and 33 °C.
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut spread = [(0.0, 1.0); CELLS];
        for cell in &mut spread {
            *cell = (random.noise(0.0015), 1.0 + random.noise(0.02));
        }
        spread[WEAK_CELL] = (-0.011, 1.12);
        let mut start_c = [0.0; TEMPERATURES];
        for (index, start) in start_c.iter_mut().enumerate() {
            *start = 32.0 + 2.0 * index as f64 / TEMPERATURES as f64 + random.noise(0.2);
        }
        let soc = random.between(0.74, 0.82);
        Self {
            soc,
            current_a: 0.0,
            voltage_v: resting_cell_v(soc) * CELLS as f64,
            rise_k: 0.0,
            start_c,
            spread,
            chemical_j: 0.0,
            joule_j: 0.0,
            throughput_kwh: 18_340.0 + random.between(0.0, 100.0),
        }
    }

    /// Gives `power_w` (negative: takes) for `dt_s`. `fault_k_per_s` is heat that no cooling carries away.
    pub(crate) fn step(&mut self, power_w: f64, coolant: &Coolant, fault_k_per_s: f64, dt_s: f64) {
        let resting = resting_cell_v(self.soc) * CELLS as f64;
        let ohm = CELL_OHM * CELLS as f64;
        // Power = voltage × current with voltage = resting − ohm × current; the smaller root is the stable
        // one. Beyond the peak power of the pack the root has no solution: the current stays at the peak.
        let root = (resting * resting - 4.0 * ohm * power_w).max(0.0).sqrt();
        self.current_a = (resting - root) / (2.0 * ohm);
        self.voltage_v = resting - ohm * self.current_a;
        let loss_w = ohm * self.current_a * self.current_a;
        self.soc = (self.soc - self.current_a * dt_s / CHARGE_AS).clamp(0.0, 1.0);
        self.chemical_j += resting * self.current_a * dt_s;
        self.joule_j += loss_w * dt_s;
        self.throughput_kwh += (self.voltage_v * self.current_a).abs() * dt_s / 3.6e6;
        let cooling_w = COOLING_W_K * coolant.flow_share() * (self.hottest_c() - coolant.inlet_c).max(0.0);
        // Accelerated tenfold, or a drive of a minute would show nothing.
        self.rise_k += (10.0 * (loss_w - cooling_w) / HEAT_CAPACITY + fault_k_per_s) * dt_s;
    }

    /// Voltage of cell `index`, V.
    pub(crate) fn cell_v(&self, index: usize) -> f64 {
        let (difference, resistance) = self.spread[index];
        resting_cell_v(self.soc) + difference - CELL_OHM * resistance * self.current_a
    }

    /// Temperature at sensor `index`, °C; the last ones sit where the coolant leaves, and get hottest.
    pub(crate) fn temperature_c(&self, index: usize) -> f64 {
        self.start_c[index] + self.rise_k * (0.55 + 0.45 * index as f64 / (TEMPERATURES - 1) as f64)
    }

    /// The hottest sensor, °C.
    pub(crate) fn hottest_c(&self) -> f64 {
        (0..TEMPERATURES).map(|index| self.temperature_c(index)).fold(f64::MIN, f64::max)
    }

    /// Energy left down to the empty pack, kWh.
    pub(crate) fn remaining_kwh(&self) -> f64 {
        self.soc * CHARGE_AS * 3.62 * CELLS as f64 / 3.6e6
    }

    /// At the terminals, W; positive while discharging.
    pub(crate) fn power_w(&self) -> f64 {
        self.voltage_v * self.current_a
    }
}

/// Resting voltage of a cell at `soc` (0 to 1), V.
fn resting_cell_v(soc: f64) -> f64 {
    let place = soc.clamp(0.0, 1.0) * (RESTING_V.len() - 1) as f64;
    let below = (place as usize).min(RESTING_V.len() - 2);
    let (low, high) = (RESTING_V[below], RESTING_V[below + 1]);
    low + (high - low) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_power_is_what_was_asked_for() {
        let mut pack = Pack::new(&mut Random::new(1, 0));
        let coolant = Coolant::new();
        for power_w in [-60_000.0, 0.0, 500.0, 150_000.0] {
            pack.step(power_w, &coolant, 0.0, 0.001);
            assert!(
                (pack.power_w() - power_w).abs() < 1e-6 * power_w.abs().max(1.0),
                "{power_w}: {}",
                pack.power_w()
            );
        }
        assert!(resting_cell_v(0.0) < resting_cell_v(0.5) && (resting_cell_v(1.0) - 4.19).abs() < 1e-9);
    }

    #[test]
    fn cells_add_up_to_the_pack() {
        let mut pack = Pack::new(&mut Random::new(2, 0));
        pack.step(80_000.0, &Coolant::new(), 0.0, 0.001);
        let sum: f64 = (0..CELLS).map(|index| pack.cell_v(index)).sum();
        assert!((sum - pack.voltage_v).abs() < 1.0, "{sum} and {}", pack.voltage_v);
        let weakest = (0..CELLS).min_by(|&a, &b| pack.cell_v(a).total_cmp(&pack.cell_v(b)));
        assert_eq!(weakest, Some(WEAK_CELL));
    }
}
