//! `can3`: the battery bus, CAN-FD with bit rate switch; `demo/battery.dbc` is its description.

use can_decode::CanId;

use super::super::model::bms::DERATED_DISCHARGE_W;
use super::super::model::pack::CELLS;
use super::signal::{Message, SELECTORS, Signal, alive, intel, motorola};

/// Active fault with a freeze frame: once a second without a trace context, and at once with one when a fault
/// begins.
pub(crate) const BMS_FAULT: CanId = CanId::Standard(0x100);

/// The vehicle controller's answer to a fault that limits power, in the same trace, 3 to 8 ms later.
pub(crate) const POWER_LIMIT_RESPONSE: CanId = CanId::Standard(0x101);

/// Every message of the bus.
pub(crate) static MESSAGES: [Message; 11] = [
    // BmsFault
    Message::fd(
        BMS_FAULT,
        64,
        1000,
        &[
            intel("FaultCode", 0, 4, 1.0, 0.0, |m| f64::from(m.car.bms.fault as u8)),
            intel("Severity", 4, 2, 1.0, 0.0, |m| f64::from(m.car.bms.fault.severity())),
            intel("FaultDtc", 8, 16, 1.0, 0.0, |m| f64::from(m.car.bms.fault.dtc())),
            intel("OccurrenceCount", 24, 8, 1.0, 0.0, |m| f64::from(m.car.bms.occurrences)),
            intel("FreezeHottestCell", 32, 12, 0.05, -40.0, |m| m.car.sensors.temperature_max().1),
            intel("FreezeCoolantFlow", 48, 10, 0.02, 0.0, |m| m.car.coolant.flow_lpm),
            intel("FreezePackCurrent", 64, 16, 0.02, 0.0, |m| m.car.sensors.pack_a).signed(),
            intel("FreezePackVoltage", 80, 16, 0.01, 0.0, |m| m.car.sensors.pack_v),
            intel("FreezeStateOfCharge", 96, 16, 0.005, 0.0, |m| 100.0 * m.car.pack.soc),
            intel("OperatingTime", 112, 32, 0.001, 0.0, |m| m.car.now_s()),
            alive(144),
        ],
    )
    .checksum(38)
    .context(39),
    // PowerLimitResponse
    Message::fd(
        POWER_LIMIT_RESPONSE,
        32,
        0,
        &[
            intel("AcceptedDtc", 0, 16, 1.0, 0.0, |m| f64::from(m.car.bms.fault.dtc())),
            intel("AcceptedLimit", 16, 10, 0.25, 0.0, |_| DERATED_DISCHARGE_W / 1_000.0),
            intel("Reaction", 26, 3, 1.0, 0.0, |_| 2.0),
            alive(32),
        ],
    )
    .checksum(6)
    .context(7),
    // PackStatus
    Message::fd(
        CanId::Standard(0x400),
        16,
        10,
        &[
            intel("PackVoltage", 0, 16, 0.01, 0.0, |m| m.car.sensors.pack_v),
            intel("PackCurrent", 16, 16, 0.02, 0.0, |m| m.car.sensors.pack_a).signed(),
            intel("PackPower", 32, 24, 1.0, 0.0, |m| m.car.sensors.pack_v * m.car.sensors.pack_a).signed(),
            intel("StateOfCharge", 56, 16, 0.005, 0.0, |m| 100.0 * m.car.pack.soc),
            intel("LinkVoltage", 72, 16, 0.01, 0.0, |m| m.car.sensors.pack_v - 0.4),
            alive(88),
            intel("ContactorState", 92, 3, 1.0, 0.0, |_| 3.0),
        ],
    )
    .checksum(15),
    // CellExtremes
    Message::fd(
        CanId::Standard(0x410),
        16,
        50,
        &[
            intel("CellVoltageMin", 0, 15, 0.0001, 1.5, |m| m.car.sensors.cell_min().1),
            intel("CellVoltageMax", 16, 15, 0.0001, 1.5, |m| m.car.sensors.cell_max().1),
            intel("CellNumberMin", 32, 8, 1.0, 0.0, |m| 1.0 + m.car.sensors.cell_min().0 as f64),
            intel("CellNumberMax", 40, 8, 1.0, 0.0, |m| 1.0 + m.car.sensors.cell_max().0 as f64),
            intel("CellVoltageMean", 48, 15, 0.0001, 1.5, |m| {
                m.car.sensors.cells.iter().sum::<f64>() / CELLS as f64
            }),
            intel("CellTemperatureMin", 64, 12, 0.05, -40.0, |m| m.car.sensors.temperature_min().1),
            intel("CellTemperatureMax", 76, 12, 0.05, -40.0, |m| m.car.sensors.temperature_max().1),
            intel("SensorNumberMin", 88, 8, 1.0, 0.0, |m| 1.0 + m.car.sensors.temperature_min().0 as f64),
            intel("SensorNumberMax", 96, 8, 1.0, 0.0, |m| 1.0 + m.car.sensors.temperature_max().0 as f64),
            alive(104),
        ],
    )
    .checksum(15),
    // CellVoltages1
    Message::fd(
        CanId::Standard(0x420),
        64,
        50,
        &[
            voltages(0),
            intel("ModuleVoltage", 480, 16, 0.002, 0.0, |m| m.car.sensors.cells[0..32].iter().sum()),
            alive(496),
        ],
    )
    .checksum(63),
    // CellVoltages2
    Message::fd(
        CanId::Standard(0x421),
        64,
        50,
        &[
            voltages(32),
            intel("ModuleVoltage", 480, 16, 0.002, 0.0, |m| m.car.sensors.cells[32..64].iter().sum()),
            alive(496),
        ],
    )
    .checksum(63),
    // CellVoltages3
    Message::fd(
        CanId::Standard(0x422),
        64,
        50,
        &[
            voltages(64),
            intel("ModuleVoltage", 480, 16, 0.002, 0.0, |m| m.car.sensors.cells[64..96].iter().sum()),
            alive(496),
        ],
    )
    .checksum(63),
    // CellTemperatures
    Message::fd(
        CanId::Standard(0x430),
        12,
        50,
        &[
            intel("SensorGroup", 0, 4, 1.0, 0.0, |m| f64::from(m.sent % SELECTORS)),
            alive(4),
            temperatures(0),
            temperatures(1),
            temperatures(2),
            temperatures(3),
        ],
    )
    .checksum(11),
    // BmsStatus
    Message::fd(
        CanId::Standard(0x440),
        16,
        100,
        &[
            motorola("BmsState", 7, 4, 1.0, 0.0, |m| f64::from(m.car.bms.state as u8)),
            motorola("AliveCounter", 3, 4, 1.0, 0.0, |m| f64::from(m.sent % 16)),
            motorola("ActiveDtc", 15, 16, 1.0, 0.0, |m| f64::from(m.car.bms.fault.dtc())),
            motorola("PowerLimitDischarge", 31, 12, 0.1, 0.0, |m| m.car.bms.discharge_w / 1_000.0),
            motorola("PowerLimitCharge", 35, 12, 0.1, 0.0, |m| m.car.bms.charge_w / 1_000.0),
            motorola("InsulationResistance", 55, 16, 1.0, 0.0, |_| 2_380.0),
            motorola("StateOfHealth", 71, 10, 0.1, 0.0, |_| 96.4),
            motorola("EnergyRemaining", 87, 14, 0.01, 0.0, |m| m.car.pack.remaining_kwh()),
        ],
    )
    .checksum(15),
    // CoolantStatus
    Message::fd(
        CanId::Standard(0x450),
        16,
        100,
        &[
            intel("CoolantFlow", 0, 10, 0.02, 0.0, |m| m.car.coolant.flow_lpm),
            intel("InletTemperature", 16, 12, 0.05, -40.0, |m| m.car.coolant.inlet_c),
            intel("OutletTemperature", 28, 12, 0.05, -40.0, |m| m.car.coolant.outlet_c),
            intel("PumpSpeed", 40, 13, 1.0, 0.0, |m| m.car.coolant.pump_rpm),
            intel("PumpState", 56, 3, 1.0, 0.0, |m| f64::from(m.car.coolant.pump as u8)),
            intel("PumpDuty", 64, 8, 0.5, 0.0, |m| m.car.coolant.duty_pct),
            intel("PumpCurrent", 72, 8, 0.05, 0.0, |m| m.car.coolant.pump_a()),
            intel("ChillerState", 80, 2, 1.0, 0.0, |m| f64::from(m.car.bms.fault.severity() > 0)),
            alive(84),
        ],
    )
    .checksum(15),
    // PackEnergy
    Message::fd(
        CanId::Standard(0x460),
        12,
        500,
        &[
            intel("EnergyThroughput", 0, 32, 1.0, 0.0, |m| m.car.pack.throughput_kwh).float(),
            intel("EnergyOfDrive", 32, 32, 1.0, 0.0, |m| m.car.pack.chemical_j / 3.6e6).float(),
            intel("CycleCount", 64, 16, 1.0, 0.0, |_| 317.0),
        ],
    ),
];

/// 32 cells from index `first` on, as one frame holds them.
const fn voltages(first: usize) -> Signal {
    intel("CellVoltage", 0, 15, 0.0001, 1.5, |m| m.car.sensors.cells[m.index]).numbered(first, 32)
}

/// The six sensors of a group.
const fn temperatures(group: u32) -> Signal {
    let first = 6 * group as usize;
    let row = intel("CellTemperature", 8, 12, 0.05, -40.0, |m| m.car.sensors.temperatures[m.index]);
    row.numbered(first, 6).multiplexed(group)
}
