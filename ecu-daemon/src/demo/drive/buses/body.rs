//! `can2`: the body bus, classical CAN at 125 kbit/s; `demo/body.dbc` is its description.

use can_decode::CanId;

use super::chassis::brake_light;
use super::signal::{Message, alive, intel};

/// Every message of the bus.
pub(crate) static MESSAGES: [Message; 8] = [
    // DoorStatus
    Message::classic(
        CanId::Standard(0x300),
        4,
        100,
        &[
            intel("DoorFrontLeft", 0, 1, 1.0, 0.0, |m| f64::from(m.car.body.driver_door_open)),
            intel("DoorFrontRight", 1, 1, 1.0, 0.0, |_| 0.0),
            intel("DoorRearLeft", 2, 1, 1.0, 0.0, |_| 0.0),
            intel("DoorRearRight", 3, 1, 1.0, 0.0, |_| 0.0),
            intel("Tailgate", 4, 1, 1.0, 0.0, |_| 0.0),
            intel("Bonnet", 5, 1, 1.0, 0.0, |_| 0.0),
            intel("LockState", 8, 2, 1.0, 0.0, |m| 1.0 + f64::from(m.car.body.locked)),
            alive(16),
        ],
    ),
    // LightStatus
    Message::classic(
        CanId::Standard(0x310),
        4,
        100,
        &[
            intel("LowBeam", 0, 1, 1.0, 0.0, |m| f64::from(m.car.body.low_beam())),
            intel("HighBeam", 1, 1, 1.0, 0.0, |_| 0.0),
            intel("DaytimeLight", 2, 1, 1.0, 0.0, |m| f64::from(!m.car.body.low_beam())),
            intel("BrakeLight", 3, 1, 1.0, 0.0, |m| f64::from(brake_light(m.car))),
            intel("IndicatorLeft", 4, 1, 1.0, 0.0, |m| {
                f64::from(m.car.body.blink && m.car.body.indicating > 0)
            }),
            intel("IndicatorRight", 5, 1, 1.0, 0.0, |m| {
                f64::from(m.car.body.blink && m.car.body.indicating < 0)
            }),
            intel("RearFog", 6, 1, 1.0, 0.0, |_| 0.0),
            intel("LightSwitch", 8, 3, 1.0, 0.0, |_| 3.0),
            intel("AmbientLight", 16, 8, 0.5, 0.0, |m| 100.0 * m.car.body.daylight),
            alive(24),
        ],
    ),
    // WiperStatus
    Message::classic(
        CanId::Standard(0x320),
        4,
        100,
        &[
            intel("WiperMode", 0, 3, 1.0, 0.0, |m| f64::from(m.car.body.wiper_mode())),
            intel("WiperAngle", 8, 8, 0.5, 0.0, |m| m.car.body.wiper_deg()),
            intel("RainIntensity", 16, 8, 0.5, 0.0, |m| 100.0 * m.car.body.rain),
            intel("WasherFluidLow", 24, 1, 1.0, 0.0, |_| 0.0),
        ],
    ),
    // ClimateStatus
    Message::classic(
        CanId::Standard(0x330),
        8,
        500,
        &[
            intel("CabinTemperature", 0, 10, 0.1, -40.0, |m| m.car.body.cabin_c),
            intel("TargetTemperature", 16, 8, 0.5, 0.0, |m| m.car.body.cabin_goal_c),
            intel("BlowerSpeed", 24, 8, 0.5, 0.0, |m| 100.0 * m.car.body.blower),
            intel("ClimatePower", 32, 8, 20.0, 0.0, |m| m.car.body.climate_w),
            intel("ClimateMode", 40, 3, 1.0, 0.0, |_| 2.0),
            intel("Recirculation", 43, 1, 1.0, 0.0, |m| f64::from(m.car.body.rain > 0.3)),
        ],
    ),
    // AmbientStatus
    Message::classic(
        CanId::Standard(0x340),
        4,
        1000,
        &[
            intel("AmbientTemperature", 0, 8, 0.5, -40.0, |m| m.car.body.ambient_c),
            intel("Humidity", 8, 8, 0.5, 0.0, |m| 58.0 + 38.0 * m.car.body.rain),
            intel("AirPressure", 16, 12, 0.5, 0.0, |_| 1_008.5),
        ],
    ),
    // WarningLamps
    Message::classic(
        CanId::Standard(0x350),
        4,
        100,
        &[
            intel("BatteryLamp", 0, 2, 1.0, 0.0, |m| f64::from(m.car.body.battery_lamp as u8)),
            intel("ReducedPowerLamp", 2, 2, 1.0, 0.0, |m| f64::from(m.car.body.power_lamp as u8)),
            intel("BrakeLamp", 4, 2, 1.0, 0.0, |_| 0.0),
            intel("TyreLamp", 6, 2, 1.0, 0.0, |_| 0.0),
            intel("Chime", 8, 2, 1.0, 0.0, |m| f64::from(m.car.body.battery_lamp as u8)),
            intel("MessageNumber", 16, 8, 1.0, 0.0, |m| f64::from(m.car.bms.fault as u8)),
            alive(24),
        ],
    ),
    // ClusterDisplay
    Message::classic(
        CanId::Standard(0x360),
        6,
        100,
        &[
            intel("DisplayedSpeed", 0, 8, 1.0, 0.0, |m| {
                (1.03 * m.car.speed_kmh() + 1.0) * f64::from(m.car.motion.speed_mps > 0.0)
            }),
            intel("DisplayedCharge", 8, 7, 1.0, 0.0, |m| 100.0 * m.car.pack.soc),
            intel("DisplayedPower", 16, 12, 0.1, 0.0, |m| m.car.pack.power_w() / 1_000.0).signed(),
            intel("DisplayedGear", 28, 3, 1.0, 0.0, |_| 3.0),
            intel("ReadyLamp", 31, 1, 1.0, 0.0, |_| 1.0),
            intel("TripDistance", 32, 16, 0.1, 0.0, |m| m.car.motion.way_m / 1_000.0),
        ],
    ),
    // SeatStatus
    Message::classic(
        CanId::Standard(0x370),
        2,
        500,
        &[
            intel("SeatDriver", 0, 1, 1.0, 0.0, |_| 1.0),
            intel("SeatPassenger", 1, 1, 1.0, 0.0, |_| 1.0),
            intel("BeltDriver", 2, 1, 1.0, 0.0, |m| f64::from(!m.car.body.driver_door_open)),
            intel("BeltPassenger", 3, 1, 1.0, 0.0, |_| 1.0),
        ],
    ),
];
