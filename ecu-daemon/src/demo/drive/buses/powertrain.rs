//! `can0`: the powertrain bus, classical CAN at 500 kbit/s; `demo/powertrain.dbc` is its description.

use can_decode::CanId;

use super::super::model::Car;
use super::super::model::dynamics::force_of;
use super::signal::{Message, alive, intel};

/// Every message of the bus.
pub(crate) static MESSAGES: [Message; 9] = [
    // MotorStatus
    Message::classic(
        CanId::Standard(0x0A0),
        8,
        10,
        &[
            intel("MotorSpeed", 0, 16, 0.5, 0.0, |m| m.car.motion.motor_rpm()).signed(),
            intel("MotorTorque", 16, 16, 0.1, 0.0, |m| m.car.motion.torque_nm).signed(),
            intel("InverterTemperature", 32, 8, 1.0, -40.0, |m| {
                41.0 + m.car.motion.electric_w.abs() / 9_000.0
            }),
            intel("InverterState", 40, 4, 1.0, 0.0, |m| if m.car.limp { 4.0 } else { 3.0 }),
            alive(44),
            intel("ModulationIndex", 48, 8, 0.5, 0.0, |m| (m.car.motion.motor_rpm() / 110.0).min(115.0)),
        ],
    )
    .checksum(7),
    // TorqueCommand
    Message::classic(
        CanId::Standard(0x0B0),
        8,
        10,
        &[
            intel("TorqueRequest", 0, 16, 0.1, 0.0, |m| m.car.motion.torque_request_nm).signed(),
            intel("TorqueLimitDrive", 16, 12, 0.25, 0.0, |m| m.car.limits.drive_nm),
            intel("TorqueLimitRegen", 28, 12, 0.25, 0.0, |m| m.car.limits.regen_nm),
            intel("CommandMode", 40, 3, 1.0, 0.0, |_| 1.0),
            intel("LimpMode", 43, 1, 1.0, 0.0, |m| f64::from(m.car.limp)),
            alive(44),
        ],
    )
    .checksum(7),
    // AcceleratorPedal
    Message::classic(
        CanId::Standard(0x0C0),
        8,
        10,
        &[
            intel("PedalSensor1", 0, 12, 0.0025, 0.0, |m| 0.75 + 3.5 * m.car.driver.accelerator),
            intel("PedalSensor2", 12, 12, 0.0025, 0.0, |m| 0.375 + 1.75 * m.car.driver.accelerator),
            intel("PedalPosition", 24, 8, 0.5, 0.0, |m| 100.0 * m.car.driver.accelerator),
            intel("KickDown", 32, 1, 1.0, 0.0, |m| f64::from(m.car.driver.accelerator > 0.95)),
            intel("BrakeSwitch", 33, 1, 1.0, 0.0, |m| f64::from(m.car.driver.braking)),
            alive(44),
        ],
    )
    .checksum(7),
    // VehicleMotion
    Message::classic(
        CanId::Standard(0x0D0),
        8,
        20,
        &[
            intel("VehicleSpeed", 0, 16, 0.01, 0.0, |m| m.car.speed_kmh()),
            intel("Gear", 16, 3, 1.0, 0.0, |_| 3.0),
            intel("DriveMode", 19, 3, 1.0, 0.0, |m| if m.car.limp { 3.0 } else { 1.0 }),
            intel("RoadSlope", 24, 8, 0.25, 0.0, |m| 100.0 * m.car.route.slope).signed(),
            intel("TractionForce", 32, 16, 1.0, 0.0, |m| force_of(m.car.motion.torque_nm)).signed(),
            alive(48),
        ],
    )
    .checksum(7),
    // InverterElectrical
    Message::classic(
        CanId::Standard(0x0E0),
        8,
        20,
        &[
            intel("DcLinkVoltage", 0, 12, 0.125, 0.0, |m| m.car.sensors.pack_v - 0.6),
            intel("DcLinkCurrent", 12, 12, 0.25, 0.0, |m| m.car.motion.electric_w / m.car.sensors.pack_v)
                .signed(),
            intel("PhaseCurrent", 24, 12, 0.25, 0.0, |m| 12.0 + 1.32 * m.car.motion.torque_nm.abs()),
            alive(36),
            intel("ElectricalPower", 40, 16, 0.01, 0.0, |m| m.car.motion.electric_w / 1_000.0).signed(),
        ],
    )
    .checksum(7),
    // VcuStatus
    Message::classic(
        CanId::Standard(0x120),
        8,
        50,
        &[
            intel("VehicleState", 0, 4, 1.0, 0.0, |m| if m.car.limp { 4.0 } else { 3.0 }),
            intel("LimpReason", 4, 4, 1.0, 0.0, |m| if m.car.limp { 2.0 } else { 0.0 }),
            intel("PowerLimitDrive", 8, 10, 0.25, 0.0, |m| m.car.bms.discharge_w / 1_000.0),
            intel("PowerLimitRegen", 18, 10, 0.25, 0.0, |m| m.car.bms.charge_w / 1_000.0),
            intel("LampRequest", 28, 2, 1.0, 0.0, |m| f64::from(m.car.bms.fault.severity())),
            intel("ActiveDtc", 32, 16, 1.0, 0.0, |m| {
                if m.car.limp { f64::from(m.car.bms.fault.dtc()) } else { 0.0 }
            }),
            alive(48),
        ],
    )
    .checksum(7),
    // MotorTemperatures
    Message::classic(
        CanId::Standard(0x1A0),
        8,
        100,
        &[
            intel("StatorTemperature", 0, 8, 1.0, -40.0, |m| {
                52.0 + 0.06 * m.car.motion.torque_nm.abs() + 0.02 * m.car.now_s().min(900.0)
            }),
            intel("RotorTemperature", 8, 8, 1.0, -40.0, |m| 57.0 + 0.02 * m.car.now_s().min(900.0)),
            intel("HeatSinkTemperature", 16, 8, 1.0, -40.0, |m| {
                38.0 + m.car.motion.electric_w.abs() / 15_000.0
            }),
            intel("GearOilTemperature", 24, 8, 1.0, -40.0, |m| 44.0 + 0.03 * m.car.now_s().min(900.0)),
            intel("CoolantInletTemperature", 32, 8, 0.5, -40.0, |m| m.car.coolant.inlet_c + 6.0),
        ],
    ),
    // RangeEstimate
    Message::classic(
        CanId::Standard(0x2A0),
        8,
        500,
        &[
            intel("RemainingRange", 0, 10, 1.0, 0.0, |m| m.car.pack.remaining_kwh() / 0.172),
            intel("MeanConsumption", 16, 12, 0.05, 0.0, |m| mean_consumption(m.car)),
            intel("Odometer", 32, 24, 0.1, 0.0, |m| 42_137.0 + m.car.motion.way_m / 1_000.0),
        ],
    ),
    // DcDcStatus
    Message::classic(
        CanId::Extended(0x1CFF_0A50),
        8,
        100,
        &[
            intel("LowVoltage", 0, 8, 0.1, 0.0, |m| 14.2 - 0.3 * m.car.body.blower),
            intel("LowCurrent", 8, 8, 1.0, 0.0, |m| {
                28.0 + 14.0 * m.car.body.blower + 9.0 * f64::from(m.car.body.low_beam())
            }),
            intel("ConverterTemperature", 16, 8, 1.0, -40.0, |m| 36.0 + 6.0 * m.car.body.blower),
            intel("ConverterState", 24, 2, 1.0, 0.0, |_| 2.0),
            alive(28),
        ],
    ),
];

/// Energy from the pack over the way so far, kWh/100km.
fn mean_consumption(car: &Car) -> f64 {
    car.pack.chemical_j / 3.6e6 / (car.motion.way_m.max(1.0) / 100_000.0)
}
