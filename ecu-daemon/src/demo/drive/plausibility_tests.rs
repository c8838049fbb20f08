//! Whether the car could exist: speeds, energy, and the course of the breakdown.

use std::time::Duration;

use super::Drive;
use super::model::Car;
use super::model::bms::{BmsState, FaultCode};
use super::model::body::Lamp;
use super::model::coolant::PumpState;

/// Steps a car through a drive and shows it to `look` every millisecond.
fn ride(seed: u64, length_s: f64, mut look: impl FnMut(&Car)) -> Car {
    let mut car = Car::new(seed, length_s);
    while car.now_s() < length_s {
        car.step();
        look(&car);
    }
    car
}

#[test]
fn speeds_and_accelerations_are_those_of_a_car() {
    for (seed, length_s) in [(1, 10.0), (2, 10.0), (3, 60.0), (4, 60.0), (5, 120.0)] {
        let mut fastest = 0.0_f64;
        ride(seed, length_s, |car| {
            let (kmh, motion) = (car.speed_kmh(), &car.motion);
            assert!((0.0..=200.0).contains(&kmh), "{kmh} km/h");
            assert!((-9.0..=5.0).contains(&motion.acceleration_mps2), "{} m/s²", motion.acceleration_mps2);
            assert!(motion.lateral_mps2().abs() < 4.0, "{} m/s² in a bend", motion.lateral_mps2());
            assert!(motion.steering_deg.abs() < 540.0, "{}° at the steering wheel", motion.steering_deg);
            for wheel in car.sensors.wheel_kmh {
                // Up to 4 % by bends and slip, and the 10 ms between two readings.
                assert!((wheel - kmh).abs() < 0.5 + 0.05 * kmh, "wheel {wheel} km/h, car {kmh} km/h");
            }
            fastest = fastest.max(kmh);
        });
        let expected = if length_s < 30.0 { 52.0 } else { 90.0 };
        assert!(fastest > expected, "the motorway of seed {seed}: {fastest} km/h");
    }
}

#[test]
fn a_standing_start_has_a_door_that_closes_and_a_stop_at_a_light() {
    let (mut open, mut stops, mut moving) = (false, 0, false);
    let car = ride(1, 60.0, |car| {
        open |= car.body.driver_door_open;
        assert!(!(car.body.driver_door_open && car.motion.speed_mps > 0.0), "driving with an open door");
        stops += u32::from(moving && car.motion.speed_mps <= 0.0);
        moving = car.motion.speed_mps > 0.0;
    });
    assert!(open && !car.body.driver_door_open && car.body.locked);
    assert!(stops >= 1, "{stops} stops");
}

#[test]
fn the_charge_falls_and_the_energy_balance_closes() {
    for (seed, length_s) in [(1, 10.0), (2, 10.0), (3, 10.0), (4, 60.0), (5, 60.0), (6, 200.0)] {
        let start = Car::new(seed, length_s);
        let end = ride(seed, length_s, |_| {});
        assert!(end.pack.soc < start.pack.soc, "seed {seed}: {} to {}", start.pack.soc, end.pack.soc);
        let work = &end.motion.work;
        let motion = end.motion.kinetic_j() - start.motion.kinetic_j();
        let losses = work.drag + work.rolling + work.friction_brake + work.drive_loss + end.pack.joule_j;
        let used = motion + work.climb + losses + end.auxiliary_j;
        let difference = (end.pack.chemical_j - used).abs();
        assert!(difference < 0.01 * used, "seed {seed}: {} J given, {used} J used", end.pack.chemical_j);
        assert!(losses > 0.0 && work.friction_brake > 0.0, "{work:?}");
    }
}

#[test]
fn consumption_is_that_of_an_electric_car() {
    let car = ride(7, 240.0, |_| {});
    let kwh_100km = car.pack.chemical_j / 3.6e6 / (car.motion.way_m / 100_000.0);
    // More than usual, because after the breakdown next to nothing is regenerated.
    assert!((12.0..35.0).contains(&kwh_100km), "{kwh_100km} kWh/100km");
}

#[test]
fn the_battery_stays_within_its_limits() {
    ride(3, 60.0, |car| {
        // The motor follows a falling limit within its time constant.
        let slack_w = if car.bms.state == BmsState::Derated { 90_000.0 } else { 3_000.0 };
        let (power_w, limit_w) = (car.pack.power_w(), car.bms.discharge_w);
        assert!(power_w < limit_w + slack_w, "{power_w} W of {limit_w} W at {} s", car.now_s());
        assert!((2.8..4.25).contains(&car.pack.cell_v(57)), "{} V", car.pack.cell_v(57));
    });
}

/// Times in shares of the drive at which the steps of the breakdown come.
#[derive(Debug, Default)]
struct Story {
    stalled: f64,
    flow_low: f64,
    hot: f64,
    overheated: f64,
    limp: f64,
    lamp: f64,
}

fn mark(at: &mut f64, now: f64, happened: bool) {
    if happened && *at == 0.0 {
        *at = now;
    }
}

#[test]
fn the_breakdown_begins_half_way_and_is_seen_in_short_and_long_drives() {
    for (seed, length_s) in [(1, 2.0), (2, 10.0), (3, 10.0), (4, 60.0), (5, 120.0)] {
        let mut story = Story::default();
        let mut warmest = 0.0_f64;
        let car = ride(seed, length_s, |car| {
            let share = car.now_s() / length_s;
            if share < 0.499 {
                assert!(car.coolant.flow_lpm > 11.0 && car.pack.hottest_c() < 40.0, "trouble at {share}");
                assert_eq!(
                    (car.bms.fault, car.body.battery_lamp, car.limp),
                    (FaultCode::None, Lamp::Off, false)
                );
            }
            mark(&mut story.stalled, share, car.coolant.pump == PumpState::Stalled);
            mark(&mut story.flow_low, share, car.bms.fault == FaultCode::CoolantFlowLow);
            mark(&mut story.hot, share, car.bms.fault == FaultCode::CellsHot);
            mark(&mut story.overheated, share, car.bms.fault == FaultCode::CellsOverheated);
            mark(&mut story.limp, share, car.limp);
            mark(&mut story.lamp, share, car.body.battery_lamp == Lamp::Red);
            warmest = warmest.max(car.pack.hottest_c());
        });
        let in_order = [story.flow_low, story.hot, story.overheated, story.limp, story.lamp];
        assert!(in_order.is_sorted() && in_order[0] > 0.5 && story.stalled > 0.5, "{length_s} s: {story:?}");
        assert!(story.lamp < 0.75, "{length_s} s: {story:?}");
        assert!((60.0..75.0).contains(&warmest), "{warmest} °C");
        assert!(car.coolant.flow_lpm < 0.1 && car.bms.state == BmsState::Derated);
        // Limp mode needs its time to slow the car down.
        if length_s >= 60.0 {
            assert!(car.bms.discharge_w < 25_000.0 && car.speed_kmh() < 75.0, "{} km/h", car.speed_kmh());
        }
    }
}

#[test]
fn any_length_has_a_drive() {
    for millis in [0, 1, 3, 50, 700, 2_500] {
        let drive = Drive::new(millis, Duration::from_millis(millis));
        let frames = drive.count() as u64;
        assert!(frames <= 2 * millis + 10, "{frames} frames in {millis} ms");
        assert!(millis < 50 || frames > millis / 2, "{frames} frames in {millis} ms");
    }
}
