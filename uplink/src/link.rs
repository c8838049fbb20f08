//! How the link is, and when to connect.
//!
//! Times are `CLOCK_BOOTTIME`, randomness comes from a seed: the same inputs give the same link.
//!
//! A fleet must not return as one: the first connection of a start is spread over [`Patience::first_within`]; after a
//! connection that broke for no reason of our own, the next attempt is spread over [`Patience::spread`] (the broker may
//! have ended, for all vehicles in the same instant); after that pauses double up to [`Patience::cap`], each in the
//! upper half of its bound, and only a connection that carried something starts them over. When our own interface was
//! down, nobody else comes back with us, and the first attempt is quick.

use core::time::Duration;

use crate::backoff::Backoff;
use crate::random::Random;
use crate::refusal::Failure;

/// How the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// No connection.
    Down,
    /// Connecting, or connected and nothing acknowledged yet.
    Probing,
    /// Connected; slow, or lost lately.
    Weak,
    /// Connected and brisk.
    Good,
}

impl LinkState {
    /// As in metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Probing => "probing",
            Self::Weak => "weak",
            Self::Good => "good",
        }
    }
}

/// Times of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first connection comes within this.
    pub first_within: Duration,
    /// The first attempt after a lost connection comes within this.
    pub spread: Duration,
    /// The bound of the pause after a failed attempt, the first time.
    pub first: Duration,
    /// The largest bound of a pause.
    pub cap: Duration,
    /// The pause after a failure that lasts, such as a wrong password.
    pub lasting: Duration,
    /// A connection without CONNACK is given up after this.
    pub connect_within: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            first_within: seconds(5),
            spread: seconds(30),
            first: seconds(30),
            cap: seconds(120),
            lasting: seconds(600),
            connect_within: seconds(30),
        }
    }
}

/// An acknowledgement that takes longer than this is weak.
const WEAK_RTT: Duration = Duration::from_secs(3);
/// This many good ones in a row make a link good.
const GOOD_ACKS: u32 = 3;
/// A link that was lost is weak at best for this long.
const LOST_LATELY: Duration = Duration::from_secs(60);
/// Most of the spread that a quick first attempt waits.
const QUICK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// To connect at this time.
    Waiting(Duration),
    Connecting(Duration),
    /// Connected; whether it carried anything.
    Up {
        proven: bool,
    },
}

/// The link's state machine.
#[derive(Clone, Debug)]
pub struct Link {
    patience: Patience,
    random: Random,
    backoff: Backoff,
    phase: Phase,
    interface_up: bool,
    good_acks: u32,
    lost_at: Option<Duration>,
}

impl Link {
    /// Down; the first attempt is due within `first_within` of `now`.
    pub fn new(patience: Patience, seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let first = now + spread(patience.first_within, &mut random);
        Self {
            patience,
            random,
            backoff: Backoff::new(patience.first, patience.cap),
            phase: Phase::Waiting(first),
            interface_up: true,
            good_acks: 0,
            lost_at: None,
        }
    }

    /// How it is.
    pub fn state(&self, now: Duration) -> LinkState {
        match self.phase {
            Phase::Waiting(_) => LinkState::Down,
            Phase::Connecting(_) | Phase::Up { proven: false } => LinkState::Probing,
            Phase::Up { proven: true } => {
                let lately = self.lost_at.is_some_and(|at| now.saturating_sub(at) < LOST_LATELY);
                if lately || self.good_acks < GOOD_ACKS { LinkState::Weak } else { LinkState::Good }
            }
        }
    }

    /// Whether a connection is to be made now.
    pub fn due(&self, now: Duration) -> bool {
        matches!(self.phase, Phase::Waiting(at) if at <= now) && self.interface_up
    }

    /// When to ask again, if time alone changes anything.
    pub fn wake_at(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting(at) => self.interface_up.then_some(at),
            Phase::Connecting(since) => Some(since + self.patience.connect_within),
            Phase::Up { .. } => None,
        }
    }

    /// A connection is being made.
    pub const fn connecting(&mut self, now: Duration) {
        self.phase = Phase::Connecting(now);
    }

    /// Whether the connection being made takes too long.
    pub fn overdue(&self, now: Duration) -> bool {
        matches!(self.phase, Phase::Connecting(since) if now.saturating_sub(since) >= self.patience.connect_within)
    }

    /// Whether there is, or may soon be, a connection to be closed.
    pub const fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Waiting(_))
    }

    /// CONNACK. It proves nothing yet: a broker may accept and drop.
    pub const fn connected(&mut self) {
        self.phase = Phase::Up { proven: false };
        self.good_acks = 0;
    }

    /// Whether there was a CONNACK.
    pub const fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// PUBACK after this long: the connection carries.
    pub const fn acked(&mut self, rtt: Duration) {
        self.phase = Phase::Up { proven: true };
        self.backoff.reset();
        if rtt.as_millis() < WEAK_RTT.as_millis() {
            self.good_acks = self.good_acks.saturating_add(1);
        } else {
            self.good_acks = 0;
        }
    }

    /// The connection is gone, or was not made.
    pub fn lost(&mut self, now: Duration, failure: Failure) {
        let was_up = matches!(self.phase, Phase::Up { proven: true });
        self.good_acks = 0;
        self.lost_at = Some(now);
        let pause = match failure {
            Failure::Lasting => {
                let half = self.patience.lasting / 2;
                half + spread(half, &mut self.random)
            }
            Failure::Passing if was_up && self.interface_up => spread(self.patience.spread, &mut self.random),
            Failure::Passing => self.backoff.next_half(self.random.next_u32()),
        };
        self.phase = Phase::Waiting(now + pause);
    }

    /// Closed by ourselves, such as for the budget: nothing is wrong with the link. Not before `until` again.
    pub const fn rest(&mut self, until: Duration) {
        self.phase = Phase::Waiting(until);
        self.good_acks = 0;
    }

    /// The interface with the route came or went. Gives whether a connection must be dropped: its address is gone.
    pub fn interface(&mut self, now: Duration, up: bool) -> bool {
        let was_up = core::mem::replace(&mut self.interface_up, up);
        match (was_up, up) {
            (true, false) => self.is_open(),
            (false, true) => {
                self.backoff.reset();
                if let Phase::Waiting(at) = self.phase {
                    let quick = now + spread(QUICK.min(self.patience.spread), &mut self.random);
                    self.phase = Phase::Waiting(at.min(quick));
                }
                false
            }
            _ => false,
        }
    }
}

fn spread(within: Duration, random: &mut Random) -> Duration {
    within.mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX))
}

/// How often to say something on an idle connection: often enough that a middlebox does not forget it, seldom enough
/// that it costs at most a fiftieth of the month's budget.
///
/// Without a budget a minute. Never less than a minute nor more than 15: carriers' NATs forget a silent TCP connection
/// after as little as 5 minutes in the field (RFC 5382 §5 asks for 2 h 4 min); a link that was silent for 15 is not
/// missed by much when it breaks, as whatever is sent has a time limit of its own.
pub fn keep_alive(month_bytes: Option<u64>, ping_bytes: u64) -> Duration {
    const LEAST: u64 = 60;
    const MOST: u64 = 15 * 60;
    let seconds = match month_bytes {
        None => LEAST,
        Some(month) => (31 * 86_400 * ping_bytes).checked_div(month / 50).unwrap_or(MOST),
    };
    Duration::from_secs(seconds.clamp(LEAST, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn states_follow_acknowledgements_and_losses() {
        let mut link = Link::new(Patience::default(), 1, at(0));
        assert_eq!(link.state(at(0)), LinkState::Down);
        assert!(!link.due(at(0)) && link.due(at(5)));
        link.connecting(at(5));
        assert_eq!(link.state(at(5)), LinkState::Probing);
        assert!(!link.overdue(at(34)) && link.overdue(at(35)));
        link.connected();
        assert_eq!(link.state(at(6)), LinkState::Probing);
        for expected in [LinkState::Weak, LinkState::Weak, LinkState::Good] {
            link.acked(at(1));
            assert_eq!(link.state(at(7)), expected);
        }
        link.acked(at(4));
        assert_eq!(link.state(at(8)), LinkState::Weak, "one slow one");
        link.lost(at(9), Failure::Passing);
        assert_eq!(link.state(at(9)), LinkState::Down);
        assert!(link.due(at(39)));
        link.connecting(at(39));
        link.connected();
        (0..9).for_each(|_| link.acked(at(1)));
        assert_eq!(link.state(at(60)), LinkState::Weak, "lost lately");
        assert_eq!(link.state(at(69)), LinkState::Good);
    }

    #[test]
    fn pauses_grow_until_something_is_carried() {
        let mut link = Link::new(Patience::default(), 2, at(0));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            link.connecting(at(1000));
            link.connected();
            // Accepts and drops: no reason to come back at once.
            link.lost(at(1000), Failure::Passing);
            pauses.push(link.wake_at().unwrap().saturating_sub(at(1000)));
        }
        let bounds = [30, 60, 120, 120, 120, 120, 120];
        for (pause, bound) in pauses.iter().zip(bounds) {
            assert!((at(bound) / 2..=at(bound)).contains(pause), "{pauses:?}");
        }
        link.lost(at(1000), Failure::Lasting);
        let lasting = link.wake_at().unwrap();
        assert!((at(1300)..=at(1600)).contains(&lasting), "{lasting:?}");
    }

    #[test]
    fn an_interface_that_returns_is_used_quickly() {
        let mut link = Link::new(Patience::default(), 3, at(0));
        link.connecting(at(5));
        link.connected();
        link.acked(at(1));
        assert!(link.interface(at(10), false), "drop it");
        link.lost(at(10), Failure::Passing);
        assert!(!link.due(at(10_000)));
        assert_eq!(link.wake_at(), None);
        assert!(!link.interface(at(10_000), true));
        assert!(link.due(at(10_001)));
    }

    #[test]
    fn keep_alive_fits_the_budget() {
        let cases = [
            (None, 60),
            (Some(10 << 30), 60),
            // 50 MB a month leave 1 MB for pings of 300 bytes: one in 13 minutes.
            (Some(50_000_000), 803),
            (Some(10_000_000), 900),
            (Some(0), 900),
        ];
        for (month, seconds) in cases {
            assert_eq!(keep_alive(month, 300), at(seconds), "{month:?}");
        }
    }
}
