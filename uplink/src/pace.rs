//! How much to have under way: delivery rate and round trip, measured on acknowledgements.
//!
//! After BBR (draft-ietf-ccwg-bbr: a delivery-rate sample for each acknowledgement, the maximum over the last rounds,
//! the minimum round trip of the last minutes), at the grain of batches. TCP below has its own congestion control; this
//! one keeps TCP's and the modem's queues short, so that a fault event does not wait behind minutes of backlog. A lost
//! connection halves a cap that grows back by one step a round (AIMD), as a rate measured before it is no promise.

use core::time::Duration;
use std::collections::VecDeque;

/// Under way at least, bytes: one small batch must always be able to go.
const WINDOW_MIN: u64 = 4 << 10;
/// Under way at most, bytes: bounds the memory, and what is to be sent again.
const WINDOW_MAX: u64 = 4 << 20;
/// At the start, bytes.
const WINDOW_FIRST: u64 = 8 << 10;
/// What may wait in queues below us beyond the path's own content, as time: more makes larger batches with less
/// overhead, less makes fault events faster.
const LINGER: Duration = Duration::from_secs(1);
/// A smallest round trip this old is measured anew: the flight drains until a packet was alone on the way, as all
/// others saw our own queue.
const RTT_KEPT: Duration = Duration::from_secs(300);
/// Rounds over which the best rate counts.
const ROUNDS: usize = 10;
/// Doubles the rate each round (2 / ln 2), while it still grows.
const STARTUP_GAIN: f64 = 2.885;
const GAIN: f64 = 2.0;
const ACK_WITHIN_MIN: Duration = Duration::from_secs(10);
const ACK_WITHIN_MAX: Duration = Duration::from_secs(120);

/// What is noted when something is sent, for its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    sent_at: Duration,
    bytes: u64,
    delivered: u64,
    delivered_at: Duration,
    /// When what was acknowledged last had been sent: acknowledgements that come in a bunch must not look fast.
    first_sent_at: Duration,
    idle: bool,
    alone: bool,
}

impl Stamp {
    /// When it was sent.
    pub const fn sent_at(&self) -> Duration {
        self.sent_at
    }
}

/// The estimate.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Bytes acknowledged on this connection, and when last.
    delivered: u64,
    delivered_at: Duration,
    /// When the last acknowledged packet had been sent.
    first_sent_at: Duration,
    /// Samples taken up to this many delivered bytes had too little to send.
    idle_until: u64,
    round_ends: u64,
    /// Best rate of each round, bytes a second, the current round last.
    rates: VecDeque<f64>,
    /// The best rate when it last grew by a quarter, and the rounds since.
    plateau: (f64, u32),
    rtt_smoothed: Option<Duration>,
    rtt_varies: Duration,
    /// Smallest round trip and when it was seen.
    rtt_min: Option<(Duration, Duration)>,
    /// The smallest round trip is old: let the flight drain.
    draining: bool,
    /// AIMD's cap.
    cap: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            delivered: 0,
            delivered_at: Duration::ZERO,
            first_sent_at: Duration::ZERO,
            idle_until: 0,
            round_ends: 0,
            rates: VecDeque::from([0.0]),
            plateau: (0.0, 0),
            rtt_smoothed: None,
            rtt_varies: Duration::ZERO,
            rtt_min: None,
            draining: false,
            cap: WINDOW_MAX,
        }
    }
}

impl Pace {
    /// Something is sent while `under_way` bytes already are.
    pub const fn sent(&mut self, now: Duration, bytes: u64, under_way: u64) -> Stamp {
        if under_way == 0 {
            (self.delivered_at, self.first_sent_at) = (now, now);
        }
        Stamp {
            sent_at: now,
            bytes,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            idle: self.idle_until > self.delivered,
            alone: under_way == 0,
        }
    }

    /// There was nothing more to send while `under_way` bytes are: rates measured on these say little.
    pub const fn idle(&mut self, under_way: u64) {
        self.idle_until = self.delivered + under_way + 1;
    }

    /// It was acknowledged. Gives its round trip.
    pub fn acked(&mut self, now: Duration, stamp: Stamp) -> Duration {
        self.delivered += stamp.bytes;
        (self.delivered_at, self.first_sent_at) = (now, stamp.sent_at);
        let rtt = now.saturating_sub(stamp.sent_at);
        self.round_trip(now, rtt, stamp.alone);
        if stamp.delivered >= self.round_ends {
            self.round();
        }
        let sending = stamp.sent_at.saturating_sub(stamp.first_sent_at);
        let span = now.saturating_sub(stamp.delivered_at).max(sending).max(Duration::from_millis(1));
        let rate = (self.delivered - stamp.delivered) as f64 / span.as_secs_f64();
        if let Some(best) = self.rates.back_mut()
            && (!stamp.idle || rate > *best)
        {
            *best = best.max(rate);
        }
        rtt
    }

    fn round(&mut self) {
        self.round_ends = self.delivered;
        let rate = self.rate();
        let (before, rounds) = self.plateau;
        self.plateau = if rate > before * 1.25 { (rate, 0) } else { (before, rounds.saturating_add(1)) };
        if self.idle_until < self.delivered {
            self.rates.push_back(0.0);
        }
        while self.rates.len() > ROUNDS {
            self.rates.pop_front();
        }
        self.cap = (self.cap + self.cap / 8 + WINDOW_MIN).min(WINDOW_MAX);
    }

    fn round_trip(&mut self, now: Duration, rtt: Duration, alone: bool) {
        // RFC 6298 §2.
        match self.rtt_smoothed {
            None => (self.rtt_smoothed, self.rtt_varies) = (Some(rtt), rtt / 2),
            Some(smoothed) => {
                self.rtt_varies = (self.rtt_varies * 3 + smoothed.abs_diff(rtt)) / 4;
                self.rtt_smoothed = Some((smoothed * 7 + rtt) / 8);
            }
        }
        let old = self.rtt_min.is_none_or(|(_, seen)| now.saturating_sub(seen) >= RTT_KEPT);
        if self.rtt_min.is_none_or(|(least, _)| rtt <= least) || (old && alone) {
            (self.rtt_min, self.draining) = (Some((rtt, now)), false);
        } else {
            self.draining = old;
        }
    }

    /// The connection broke with `under_way` bytes, or the broker asked for less: half of what there was.
    pub fn lost(&mut self, under_way: u64) {
        if under_way > 0 {
            self.cap = (self.window() / 2).max(WINDOW_MIN);
        }
        self.rates.iter_mut().for_each(|rate| *rate /= 2.0);
        self.plateau = (self.rate(), 0);
        (self.delivered, self.round_ends, self.idle_until) = (0, 0, 0);
    }

    /// Delivery rate, bytes a second; 0 while unknown.
    pub fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// Smoothed round trip.
    pub const fn rtt(&self) -> Option<Duration> {
        self.rtt_smoothed
    }

    /// Most bytes to have under way.
    pub fn window(&self) -> u64 {
        let Some((rtt, _)) = self.rtt_min.filter(|_| self.rate() > 0.0) else {
            return WINDOW_FIRST.min(self.cap);
        };
        if self.draining {
            return WINDOW_MIN.min(self.cap);
        }
        let gain = if self.plateau.1 < 3 { STARTUP_GAIN } else { GAIN };
        let bytes = self.rate() * (rtt.mul_f64(gain) + LINGER).as_secs_f64();
        (bytes as u64).clamp(WINDOW_MIN, WINDOW_MAX).min(self.cap)
    }

    /// Best size of a batch, bytes: a quarter of the window, and no less than half of the least window.
    pub fn batch_bytes(&self) -> u64 {
        (self.window() / 4).max(WINDOW_MIN / 2)
    }

    /// What was sent when `under_way` bytes were is given up after this long.
    pub fn ack_within(&self, under_way: u64) -> Duration {
        let smoothed = self.rtt_smoothed.unwrap_or(ACK_WITHIN_MIN);
        let rate = self.rate().max(500.0);
        let queue = Duration::from_secs_f64(under_way as f64 / rate * 2.0);
        (smoothed * 2 + self.rtt_varies * 4 + queue).clamp(ACK_WITHIN_MIN, ACK_WITHIN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps a pipe of `rate` bytes a second and `rtt` filled as far as the window goes, for ten minutes and more; gives
    /// the longest time that something was under way once settled, and the share of the rate that was used.
    fn run(pace: &mut Pace, rate: f64, rtt: Duration, rounds: u32) -> (Duration, f64) {
        let (mut now, mut free_at) = (Duration::from_secs(1), Duration::from_secs(1));
        let mut flight: VecDeque<(Duration, Stamp)> = VecDeque::new();
        let (mut under_way, mut longest, mut bytes, mut began) = (0, Duration::ZERO, 0, now);
        for turn in 0..rounds {
            while under_way + pace.batch_bytes() <= pace.window() || under_way == 0 {
                let size = pace.batch_bytes();
                free_at = free_at.max(now) + Duration::from_secs_f64(size as f64 / rate);
                flight.push_back((free_at + rtt, pace.sent(now, size, under_way)));
                under_way += size;
            }
            let (arrives, stamp) = flight.pop_front().unwrap();
            now = arrives;
            under_way -= stamp.bytes;
            let took = pace.acked(now, stamp);
            if turn == rounds / 2 {
                (longest, bytes, began) = (Duration::ZERO, 0, now);
            }
            (longest, bytes) = (longest.max(took), bytes + stamp.bytes);
        }
        (longest, bytes as f64 / now.saturating_sub(began).as_secs_f64() / rate)
    }

    #[test]
    fn fills_the_pipe_and_no_more() {
        let ms = Duration::from_millis;
        for (rate, rtt) in [(6250.0, ms(600)), (1200.0, ms(1500)), (125_000.0, ms(80)), (1_250_000.0, ms(20))]
        {
            let mut pace = Pace::default();
            let (longest, used) = run(&mut pace, rate, rtt, 4000);
            assert!(used > 0.95, "{rate} B/s, {rtt:?}: {used}");
            let allowed = rtt * 4 + LINGER + ms(500) + Duration::from_secs_f64(WINDOW_MIN as f64 / rate);
            assert!(longest < allowed, "{rate} B/s, {rtt:?}: {longest:?}, not {allowed:?}");
        }
    }

    #[test]
    fn a_loss_halves_and_rounds_grow_it_back() {
        let mut pace = Pace::default();
        assert_eq!(pace.window(), WINDOW_FIRST);
        run(&mut pace, 100_000.0, Duration::from_millis(100), 300);
        let before = pace.window();
        pace.lost(1);
        assert!(pace.window() <= before / 2, "{} of {before}", pace.window());
        run(&mut pace, 100_000.0, Duration::from_millis(100), 300);
        let after = pace.window();
        assert!(after > before * 8 / 10, "{after} of {before}");
        (0..100).for_each(|_| pace.lost(1));
        assert_eq!(pace.window(), WINDOW_MIN);
    }

    #[test]
    fn patience_has_bounds() {
        let mut pace = Pace::default();
        assert!(pace.ack_within(0) >= ACK_WITHIN_MIN);
        assert_eq!(pace.ack_within(1 << 30), ACK_WITHIN_MAX);
        run(&mut pace, 6250.0, Duration::from_millis(600), 100);
        assert!(pace.ack_within(10_000) < Duration::from_secs(30));
    }
}
