//! `can1`: the chassis bus, CAN-FD with bit rate switch; `demo/chassis.dbc` is its description.

use can_decode::CanId;

use super::super::model::Car;
use super::signal::{Message, alive, intel};

/// Sent when the brakes are asked for; carries the trace context of the asking control unit.
pub(crate) const BRAKE_REQUEST: CanId = CanId::Standard(0x110);

/// Answer to [`BRAKE_REQUEST`] in the same trace, 3 to 8 ms later.
pub(crate) const BRAKE_RESPONSE: CanId = CanId::Standard(0x111);

/// Every message of the bus.
pub(crate) static MESSAGES: [Message; 8] = [
    // BrakeRequest
    Message::fd(
        BRAKE_REQUEST,
        32,
        0,
        &[
            intel("RequestedDeceleration", 0, 8, 0.05, 0.0, |m| (-m.car.driver.intent_mps2).max(0.0)),
            intel("RequestSource", 8, 3, 1.0, 0.0, |m| f64::from(m.car.driver.brake_source as u8)),
            intel("RequestPriority", 11, 2, 1.0, 0.0, |m| f64::from(m.car.driver.intent_mps2 < -3.0)),
            intel("EventNumber", 16, 16, 1.0, 0.0, |m| f64::from(m.car.driver.brake_events % 65_536)),
            intel("SpeedAtRequest", 32, 16, 0.01, 0.0, |m| m.car.speed_kmh()),
        ],
    )
    .checksum(6)
    .context(7),
    // BrakeResponse
    Message::fd(
        BRAKE_RESPONSE,
        48,
        0,
        &[
            intel("EventNumber", 0, 16, 1.0, 0.0, |m| f64::from(m.car.driver.brake_events % 65_536)),
            intel("ResponseStatus", 16, 3, 1.0, 0.0, |_| 1.0),
            intel("RegenShare", 24, 8, 0.5, 0.0, |m| 100.0 * m.car.motion.regen_share),
            intel("TargetPressure", 32, 12, 0.1, 0.0, |m| {
                m.car.driver.brake * 118.0 * (1.0 - m.car.motion.regen_share)
            }),
            intel("MasterPressure", 48, 12, 0.1, 0.0, |m| m.car.sensors.master_bar()),
            intel("SpeedAtResponse", 64, 16, 0.01, 0.0, |m| m.car.speed_kmh()),
        ],
    )
    .checksum(15)
    .context(16),
    // WheelSpeeds
    Message::fd(
        CanId::Standard(0x210),
        16,
        10,
        &[
            intel("WheelSpeedFrontLeft", 0, 16, 0.01, 0.0, |m| m.car.sensors.wheel_kmh[0]),
            intel("WheelSpeedFrontRight", 16, 16, 0.01, 0.0, |m| m.car.sensors.wheel_kmh[1]),
            intel("WheelSpeedRearLeft", 32, 16, 0.01, 0.0, |m| m.car.sensors.wheel_kmh[2]),
            intel("WheelSpeedRearRight", 48, 16, 0.01, 0.0, |m| m.car.sensors.wheel_kmh[3]),
            intel("WheelDirectionFrontLeft", 64, 2, 1.0, 0.0, |m| {
                f64::from(m.car.sensors.wheel_kmh[0] > 0.0)
            }),
            intel("WheelDirectionFrontRight", 66, 2, 1.0, 0.0, |m| {
                f64::from(m.car.sensors.wheel_kmh[1] > 0.0)
            }),
            intel("WheelDirectionRearLeft", 68, 2, 1.0, 0.0, |m| f64::from(m.car.sensors.wheel_kmh[2] > 0.0)),
            intel("WheelDirectionRearRight", 70, 2, 1.0, 0.0, |m| {
                f64::from(m.car.sensors.wheel_kmh[3] > 0.0)
            }),
            alive(72),
            intel("WheelPulses", 80, 16, 1.0, 0.0, |m| (m.car.motion.way_m * 22.8) % 65_536.0),
        ],
    )
    .checksum(15),
    // InertialMeasurement
    Message::fd(
        CanId::Standard(0x220),
        16,
        10,
        &[
            intel("YawRate", 0, 16, 0.01, 0.0, |m| m.car.sensors.yaw_dps).signed(),
            intel("LongitudinalAcceleration", 16, 16, 0.002, 0.0, |m| m.car.sensors.acceleration_mps2[0])
                .signed(),
            intel("LateralAcceleration", 32, 16, 0.002, 0.0, |m| m.car.sensors.acceleration_mps2[1]).signed(),
            intel("VerticalAcceleration", 48, 16, 0.002, 0.0, |m| m.car.sensors.acceleration_mps2[2])
                .signed(),
            intel("RollRate", 64, 16, 0.01, 0.0, |m| m.car.sensors.rate_dps[0]).signed(),
            intel("PitchRate", 80, 16, 0.01, 0.0, |m| m.car.sensors.rate_dps[1]).signed(),
            intel("SensorTemperature", 96, 8, 1.0, -40.0, |m| m.car.body.ambient_c + 14.0),
            intel("SensorStatus", 104, 2, 1.0, 0.0, |_| 1.0),
            alive(108),
        ],
    )
    .checksum(15),
    // SteeringStatus
    Message::fd(
        CanId::Standard(0x230),
        8,
        10,
        &[
            intel("SteeringAngle", 0, 16, 0.1, 0.0, |m| m.car.motion.steering_deg).signed(),
            intel("SteeringRate", 16, 16, 0.5, 0.0, |m| m.car.motion.steering_rate_dps).signed(),
            intel("DriverTorque", 32, 8, 0.05, 0.0, |m| m.car.sensors.hand_nm).signed(),
            intel("SteeringState", 40, 3, 1.0, 0.0, |_| 1.0),
            alive(44),
            intel("AssistCurrent", 48, 8, 0.5, 0.0, |m| 7.0 * m.car.sensors.hand_nm).signed(),
        ],
    )
    .checksum(7),
    // BrakeStatus
    Message::fd(
        CanId::Standard(0x240),
        16,
        20,
        &[
            intel("MasterPressure", 0, 12, 0.1, 0.0, |m| m.car.sensors.master_bar()),
            intel("BrakePressureFrontLeft", 12, 12, 0.1, 0.0, |m| m.car.sensors.brake_bar[0]),
            intel("BrakePressureFrontRight", 24, 12, 0.1, 0.0, |m| m.car.sensors.brake_bar[1]),
            intel("BrakePressureRearLeft", 36, 12, 0.1, 0.0, |m| m.car.sensors.brake_bar[2]),
            intel("BrakePressureRearRight", 48, 12, 0.1, 0.0, |m| m.car.sensors.brake_bar[3]),
            intel("BrakePedalTravel", 60, 10, 0.1, 0.0, |m| 100.0 * m.car.driver.brake),
            intel("RegenShare", 72, 8, 0.5, 0.0, |m| 100.0 * m.car.motion.regen_share),
            intel("AbsActive", 80, 1, 1.0, 0.0, |_| 0.0),
            intel("StabilityActive", 81, 1, 1.0, 0.0, |_| 0.0),
            intel("BrakeLight", 82, 1, 1.0, 0.0, |m| f64::from(brake_light(m.car))),
            intel("HoldActive", 83, 1, 1.0, 0.0, |m| {
                f64::from(m.car.driver.braking && m.car.motion.speed_mps <= 0.0)
            }),
            alive(84),
        ],
    )
    .checksum(15),
    // MotionEstimate
    Message::fd(
        CanId::Standard(0x250),
        12,
        20,
        &[
            intel("EstimatedSpeed", 0, 16, 0.01, 0.0, |m| {
                m.car.sensors.wheel_kmh[2].midpoint(m.car.sensors.wheel_kmh[3])
            }),
            intel("PathCurvature", 16, 16, 0.00001, 0.0, |m| m.car.motion.curvature).signed(),
            intel("RoadSlope", 32, 8, 0.25, 0.0, |m| 100.0 * m.car.route.slope).signed(),
            intel("FrictionEstimate", 40, 8, 0.005, 0.0, |m| 0.98 - 0.35 * m.car.body.rain),
            alive(48),
        ],
    )
    .checksum(11),
    // TyreStatus
    Message::fd(
        CanId::Standard(0x2C0),
        12,
        1000,
        &[
            intel("TyrePressureFrontLeft", 0, 8, 0.02, 0.0, |m| 2.62 + 0.004 * (tyre_c(m.car) - 20.0)),
            intel("TyrePressureFrontRight", 8, 8, 0.02, 0.0, |m| 2.60 + 0.004 * (tyre_c(m.car) - 20.0)),
            intel("TyrePressureRearLeft", 16, 8, 0.02, 0.0, |m| 2.66 + 0.004 * (tyre_c(m.car) - 20.0)),
            intel("TyrePressureRearRight", 24, 8, 0.02, 0.0, |m| 2.64 + 0.004 * (tyre_c(m.car) - 20.0)),
            intel("TyreTemperatureFrontLeft", 32, 8, 1.0, -40.0, |m| tyre_c(m.car) + 1.0),
            intel("TyreTemperatureFrontRight", 40, 8, 1.0, -40.0, |m| tyre_c(m.car) + 1.4),
            intel("TyreTemperatureRearLeft", 48, 8, 1.0, -40.0, |m| tyre_c(m.car) + 0.0),
            intel("TyreTemperatureRearRight", 56, 8, 1.0, -40.0, |m| tyre_c(m.car) + 0.3),
        ],
    ),
];

/// The brake lights: the brake pedal, or regeneration above 1.3 m/s² (UN R13-H).
pub(super) fn brake_light(car: &Car) -> bool {
    car.driver.braking || car.motion.acceleration_mps2 < -1.3
}

fn tyre_c(car: &Car) -> f64 {
    car.body.ambient_c + 9.0 + 0.004 * car.motion.way_m.min(4_000.0)
}
