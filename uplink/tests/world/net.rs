//! The link and what answers at its far end: slow, lossy, reordering, forgetful.

use std::time::Duration;

use store::block::Class;
use uplink::random::Random;

/// How bad it is. Probabilities per mille, of a packet where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Bytes a second.
    pub rate: f64,
    /// One way.
    pub delay: Duration,
    /// A segment is lost and sent again.
    pub loss: u64,
    /// A PUBACK never comes.
    pub missing: u64,
    /// A PUBACK comes twice.
    pub duplicate: u64,
    /// A PUBACK is late, and others overtake it.
    pub late: u64,
    /// The connection breaks, in any one second, unknown to both ends for some time.
    pub breaks: u64,
    /// The broker ends and starts, in any one second.
    pub restarts: u64,
    /// A restart forgets everything.
    pub forgets: u64,
    /// How long a broker stays away.
    pub away: Duration,
}

pub enum Arrival {
    Connack(u64),
    Publish { connection: u64, pkid: u16, blocks: Vec<usize>, class: Class },
    Puback { connection: u64, pkid: u16, poisoned: bool },
    Broken(u64),
    Retransmitted(u64),
    Forgotten,
}

pub struct Net {
    weather: Weather,
    random: Random,
    /// When the uplink's queue is empty.
    free_at: Duration,
    /// Order is kept within a connection.
    last_at: Duration,
    coming: Vec<(Duration, Arrival)>,
    open: Option<u64>,
    broker_back: Duration,
    calm: bool,
}

impl Net {
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            random: Random::new(seed),
            free_at: Duration::ZERO,
            last_at: Duration::ZERO,
            coming: Vec::new(),
            open: None,
            broker_back: Duration::ZERO,
            calm: false,
        }
    }

    fn one_of(&mut self, per_mille: u64) -> bool {
        self.random.next_u64() % 1000 < per_mille && !self.calm
    }

    fn jitter(&mut self) -> Duration {
        self.weather.delay.mul_f64(f64::from(self.random.next_u32()) / f64::from(u32::MAX) / 4.0)
    }

    pub fn connect(&mut self, now: Duration, connection: u64) {
        self.open = Some(connection);
        self.free_at = now;
        let at = now + self.weather.delay * 6 + self.jitter();
        self.last_at = at;
        if at < self.broker_back {
            self.coming.push((at, Arrival::Broken(connection)));
        } else {
            self.coming.push((at, Arrival::Connack(connection)));
        }
    }

    pub fn hang_up(&mut self, connection: u64) {
        if self.open == Some(connection) {
            self.open = None;
        }
    }

    pub fn publish(
        &mut self,
        now: Duration,
        connection: u64,
        pkid: u16,
        blocks: Vec<usize>,
        class: Class,
        bytes: u64,
    ) {
        if self.open != Some(connection) {
            return;
        }
        let mut wire = bytes;
        let mut stall = Duration::ZERO;
        for _ in 0..bytes.div_ceil(1300) {
            while self.one_of(self.weather.loss) {
                wire += bytes.min(1400);
                stall += self.weather.delay;
                self.coming.push((now, Arrival::Retransmitted(bytes.min(1400))));
            }
        }
        let sent = Duration::from_secs_f64(wire as f64 / self.weather.rate);
        self.free_at = self.free_at.max(now) + sent;
        let at = (self.free_at + self.weather.delay + stall + self.jitter()).max(self.last_at);
        self.last_at = at;
        self.coming.push((at, Arrival::Publish { connection, pkid, blocks, class }));
    }

    pub fn answer(&mut self, now: Duration, connection: u64, pkid: u16, poisoned: bool) {
        let late = if self.one_of(self.weather.late) { self.weather.delay * 5 } else { Duration::ZERO };
        let at = now + self.weather.delay + self.jitter() + late;
        let answer = || Arrival::Puback { connection, pkid, poisoned };
        if !self.one_of(self.weather.missing) {
            self.coming.push((at, answer()));
        }
        if self.one_of(self.weather.duplicate) {
            self.coming.push((at + self.weather.delay, answer()));
        }
    }

    /// What happens up to `now`, in the order in which it does.
    pub fn pass(&mut self, now: Duration, tick: Duration, calm: bool) -> Vec<Arrival> {
        self.calm = calm;
        let mut happened = Vec::new();
        let per_tick = |per_mille: u64| (per_mille as f64 * tick.as_secs_f64() * 1000.0) as u64;
        if !calm && self.random.next_u64() % 1_000_000 < per_tick(self.weather.breaks) {
            self.break_off(now);
        }
        if !calm && self.random.next_u64() % 1_000_000 < per_tick(self.weather.restarts) {
            self.break_off(now);
            self.broker_back = now + self.weather.away;
            if self.one_of(self.weather.forgets) {
                happened.push(Arrival::Forgotten);
            }
        }
        self.coming.sort_by_key(|(at, _)| *at);
        let due = self.coming.partition_point(|(at, _)| *at <= now);
        let back = self.broker_back > now;
        // A broker that is away takes nothing in and answers nothing.
        happened.extend(
            self.coming
                .drain(..due)
                .map(|(_, arrival)| arrival)
                .filter(|arrival| !back || matches!(arrival, Arrival::Broken(_) | Arrival::Retransmitted(_))),
        );
        happened
    }

    /// What is on the way is lost, in the middle; either end hears of it later.
    fn break_off(&mut self, now: Duration) {
        let Some(connection) = self.open.take() else { return };
        self.coming.retain(|(_, arrival)| match arrival {
            Arrival::Publish { connection: of, .. } | Arrival::Puback { connection: of, .. } => {
                *of != connection
            }
            Arrival::Connack(of) => *of != connection,
            _ => true,
        });
        let heard = self.weather.delay * 2 + Duration::from_secs(self.random.next_u64() % 20);
        self.coming.push((now + heard, Arrival::Broken(connection)));
    }
}
