//! Where the car drives: a city, a stretch of motorway, the city again, as legs of a wished speed.

use super::super::random::Random;

/// The kind of road under the car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// Streets with turns and stops.
    City,
    /// Long bends, 80 to 130 km/h.
    Motorway,
}

/// One stretch of a wished speed: km/h from–to, seconds from–to, sharpest bend in 1/m.
struct Leg {
    speed_kmh: (f64, f64),
    seconds: (f64, f64),
    bend: f64,
}

const fn leg(speed_kmh: (f64, f64), seconds: (f64, f64), bend: f64) -> Leg {
    Leg { speed_kmh, seconds, bend }
}

/// A street, a turn into the next one, a red light.
const CITY: [Leg; 5] = [
    leg((42.0, 55.0), (7.0, 9.0), 0.004),
    leg((20.0, 28.0), (3.0, 4.0), 0.045),
    leg((0.0, 0.0), (5.5, 7.0), 0.0),
    leg((45.0, 54.0), (7.0, 9.0), 0.004),
    leg((24.0, 32.0), (3.0, 4.0), 0.03),
];

/// Free flow and slower traffic by turns.
const MOTORWAY: [Leg; 4] = [
    leg((112.0, 128.0), (8.0, 11.0), 0.0008),
    leg((84.0, 94.0), (3.0, 5.0), 0.0004),
    leg((115.0, 126.0), (7.0, 10.0), 0.0008),
    leg((92.0, 100.0), (3.0, 4.0), 0.0004),
];

/// Share of the drive before the motorway, and before leaving it.
const MOTORWAY_SHARE: (f64, f64) = (0.38, 0.86);
/// A drive of this many seconds or more has legs of full length; a shorter one has them shortened.
const FULL_LEGS_S: f64 = 60.0;
/// Shortest a leg becomes: below this the car could not follow the wish at all.
const PACE_MIN: f64 = 0.3;
/// Drives shorter than this begin at [`ROLLING_START_MPS`]: there is no time to set off.
const STANDING_START_S: f64 = 30.0;
const ROLLING_START_MPS: f64 = 50.0 / 3.6;
/// Seconds of free road between two cars that cut in, how long one is in the way, and its speed as a share of
/// ours.
const FREE_S: (f64, f64) = (3.5, 8.0);
const IN_THE_WAY_S: (f64, f64) = (0.7, 1.5);
const SLOWER: f64 = 0.8;
/// Nobody cuts in below this speed, m/s.
const CUT_IN_MPS: f64 = 5.0;
/// How long a standing car waits before it sets off.
const WAIT_S: f64 = 2.0;
/// Bends are taken with no more lateral acceleration than this (comfortable driving).
const LATERAL_MPS2: f64 = 2.4;

/// The road as the driver sees it now.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    length_s: f64,
    pace: f64,
    leg: usize,
    leg_end_s: f64,
    bend: f64,
    bend_max: f64,
    bend_end_s: f64,
    slope_goal: f64,
    leg_mps: f64,
    traffic_end_s: f64,
    /// Speed of a car ahead, m/s.
    ahead_mps: Option<f64>,
    /// The kind of road.
    pub(crate) road: Road,
    /// Wished speed in m/s; 0 at a red light.
    pub(crate) target_mps: f64,
    /// How hard the driver brakes now at most, m/s².
    pub(crate) braking_mps2: f64,
    /// Rise over run; positive uphill.
    pub(crate) slope: f64,
}

impl Route {
    /// A route for a drive of `length_s` seconds.
    pub(crate) fn new(length_s: f64) -> Self {
        let standing = length_s >= STANDING_START_S;
        Self {
            length_s,
            pace: (length_s / FULL_LEGS_S).clamp(PACE_MIN, 1.0),
            leg: 0,
            leg_end_s: if standing { WAIT_S } else { 0.0 },
            bend: 0.0,
            bend_max: 0.0,
            bend_end_s: 0.0,
            slope_goal: 0.0,
            leg_mps: if standing { 0.0 } else { ROLLING_START_MPS },
            traffic_end_s: WAIT_S,
            ahead_mps: None,
            road: Road::City,
            target_mps: if standing { 0.0 } else { ROLLING_START_MPS },
            braking_mps2: 2.5,
            slope: 0.0,
        }
    }

    /// The speed at which the drive begins, m/s.
    pub(crate) const fn start_mps(&self) -> f64 {
        self.target_mps
    }

    /// Moves on to `now_s`; called every `dt_s`.
    pub(crate) fn step(&mut self, now_s: f64, dt_s: f64, speed_mps: f64, random: &mut Random) {
        let share = now_s / self.length_s;
        let road =
            if (MOTORWAY_SHARE.0..MOTORWAY_SHARE.1).contains(&share) { Road::Motorway } else { Road::City };
        if road != self.road {
            self.road = road;
            self.leg = 0;
            self.leg_end_s = now_s;
        }
        if now_s >= self.leg_end_s {
            self.begin_leg(now_s, random);
        }
        if now_s >= self.bend_end_s {
            self.bend_end_s = now_s + random.between(2.0, 5.0) * self.pace;
            self.bend = random.between(-self.bend_max, self.bend_max);
        }
        if now_s >= self.traffic_end_s {
            self.meet_traffic(now_s, speed_mps, random);
        }
        self.target_mps = self.ahead_mps.map_or(self.leg_mps, |ahead| ahead.min(self.leg_mps));
        self.slope += (self.slope_goal - self.slope) * dt_s / 2.0;
    }

    fn begin_leg(&mut self, now_s: f64, random: &mut Random) {
        let legs: &[Leg] = if self.road == Road::City { &CITY } else { &MOTORWAY };
        let leg = &legs[self.leg % legs.len()];
        self.leg += 1;
        self.leg_mps = random.between(leg.speed_kmh.0, leg.speed_kmh.1) / 3.6;
        self.leg_end_s = now_s + random.between(leg.seconds.0, leg.seconds.1) * self.pace;
        self.bend_max = leg.bend;
        self.bend_end_s = now_s;
        self.slope_goal = random.between(-0.02, 0.02);
    }

    fn meet_traffic(&mut self, now_s: f64, speed_mps: f64, random: &mut Random) {
        let cut_in = self.ahead_mps.is_none() && speed_mps > CUT_IN_MPS;
        self.ahead_mps = cut_in.then_some(SLOWER * speed_mps);
        let seconds = if cut_in { IN_THE_WAY_S } else { FREE_S };
        self.traffic_end_s = now_s + random.between(seconds.0, seconds.1) * self.pace.max(0.5);
        self.braking_mps2 = random.between(1.8, 3.4);
    }

    /// Curvature that the driver steers for at `speed_mps`, 1/m, positive to the left (ISO 8855).
    pub(crate) fn curvature(&self, speed_mps: f64) -> f64 {
        let limit = LATERAL_MPS2 / (speed_mps * speed_mps).max(9.0);
        self.bend.clamp(-limit, limit)
    }
}
