//! The battery management system: watches flow and temperatures, sets trouble codes, limits power.

use super::coolant::Coolant;

/// Below this flow the coolant counts as standing, l/min.
pub(crate) const FLOW_MIN_LPM: f64 = 2.0;
/// The hottest cell at a warning, and at the fault, °C.
pub(crate) const HOT_C: f64 = 48.0;
pub(crate) const OVERHEATED_C: f64 = 58.0;
/// What the pack gives and takes when it is well, W.
pub(crate) const DISCHARGE_W: f64 = 150_000.0;
pub(crate) const CHARGE_W: f64 = 70_000.0;
/// After the fault, W.
pub(crate) const DERATED_DISCHARGE_W: f64 = 22_000.0;
const DERATED_CHARGE_W: f64 = 5_000.0;
/// Steps of this share of the way to the new limit every 10 ms: about a second in all.
const DERATE_STEP: f64 = 0.03;

/// The value table of `BmsStatus.BmsState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BmsState {
    /// Contactors closed, no fault.
    Drive = 2,
    /// A trouble code is set, power is not limited.
    Warning = 3,
    /// Power is limited.
    Derated = 4,
}

/// What is wrong; the value table of `BmsFault.FaultCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultCode {
    /// Nothing.
    None = 0,
    /// Coolant flow below the minimum.
    CoolantFlowLow = 1,
    /// Hottest cell above the warning threshold.
    CellsHot = 2,
    /// Hottest cell above the fault threshold.
    CellsOverheated = 3,
}

impl FaultCode {
    /// Trouble code in the 2-byte form of SAE J2012: P0C47 (coolant pump control circuit), P0A7E (pack over
    /// temperature).
    pub(crate) const fn dtc(self) -> u16 {
        match self {
            Self::None => 0,
            Self::CoolantFlowLow => 0x0C47,
            Self::CellsHot | Self::CellsOverheated => 0x0A7E,
        }
    }

    /// 0 none, 1 warning, 2 fault; the value table of `BmsFault.Severity`.
    pub(crate) const fn severity(self) -> u8 {
        match self {
            Self::None => 0,
            Self::CoolantFlowLow | Self::CellsHot => 1,
            Self::CellsOverheated => 2,
        }
    }
}

/// State of the battery management system.
#[derive(Clone, Debug)]
pub(crate) struct Bms {
    pub(crate) state: BmsState,
    pub(crate) fault: FaultCode,
    /// How often a fault was entered.
    pub(crate) occurrences: u32,
    /// Allowed now, W.
    pub(crate) discharge_w: f64,
    pub(crate) charge_w: f64,
}

impl Bms {
    pub(crate) const fn new() -> Self {
        Self {
            state: BmsState::Drive,
            fault: FaultCode::None,
            occurrences: 0,
            discharge_w: DISCHARGE_W,
            charge_w: CHARGE_W,
        }
    }

    /// One look every 10 ms; gives the fault when one was entered. Faults only get worse until the ignition
    /// is off.
    pub(crate) fn step(&mut self, coolant: &Coolant, hottest_c: f64) -> Option<FaultCode> {
        if self.state == BmsState::Derated {
            self.discharge_w += (DERATED_DISCHARGE_W - self.discharge_w) * DERATE_STEP;
            self.charge_w += (DERATED_CHARGE_W - self.charge_w) * DERATE_STEP;
        }
        let seen = if hottest_c > OVERHEATED_C {
            FaultCode::CellsOverheated
        } else if hottest_c > HOT_C {
            FaultCode::CellsHot
        } else if coolant.flow_lpm < FLOW_MIN_LPM {
            FaultCode::CoolantFlowLow
        } else {
            FaultCode::None
        };
        if seen as u8 <= self.fault as u8 {
            return None;
        }
        self.fault = seen;
        self.occurrences += 1;
        self.state = if seen == FaultCode::CellsOverheated { BmsState::Derated } else { BmsState::Warning };
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_once_each_and_only_get_worse() {
        let mut bms = Bms::new();
        let mut coolant = Coolant::new();
        assert_eq!(bms.step(&coolant, 35.0), None);
        coolant.flow_lpm = 0.0;
        let seen: Vec<_> =
            [35.0, 35.0, 49.0, 47.0, 59.0, 40.0].map(|hottest| bms.step(&coolant, hottest)).to_vec();
        let (flow, hot, over) = (FaultCode::CoolantFlowLow, FaultCode::CellsHot, FaultCode::CellsOverheated);
        assert_eq!(seen, [Some(flow), None, Some(hot), None, Some(over), None]);
        for _ in 0..300 {
            bms.step(&coolant, 60.0);
        }
        assert!((bms.discharge_w - DERATED_DISCHARGE_W).abs() < 100.0, "{}", bms.discharge_w);
        assert_eq!((bms.occurrences, bms.fault.dtc()), (3, 0x0A7E));
    }
}
