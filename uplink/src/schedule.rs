//! Which class goes next.
//!
//! Class 0 goes before everything. Of the others, the lowest rank goes first; of equal ranks, the one whose bytes are
//! worth most: `worth × records ÷ bytes` of what waits. So that no class starves behind a stream that never ends, one
//! that was passed over for its `patience` in bytes goes next whatever its rank.

use core::cmp::Reverse;
use core::time::Duration;

use store::block::Class;

use crate::link::LinkState;
use crate::window::{Conditions, Window};

/// Number of classes.
pub const CLASSES: usize = Class::ALL.len();

/// In which order the blocks of a class go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Oldest,
    /// Newest first: what is now matters more than what was.
    Newest,
}

/// How a class travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Smaller goes first.
    pub rank: u8,
    /// In which order.
    pub order: Order,
    /// Worth of one record, to compare classes of one rank.
    pub worth: u32,
    /// Bytes of others that may go while this class waits.
    pub patience: u64,
    /// The link must be at least this good.
    pub link: LinkState,
    /// Conditions.
    pub window: Window,
    /// The broker may forget a message that nobody fetched for this long (MQTT 5 §3.3.2.3.3); `None` keeps it as long
    /// as the broker keeps the gateway's session.
    pub expiry: Option<Duration>,
}

/// The policies of all classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies(pub [Policy; CLASSES]);

impl Default for Policies {
    /// As in the table of classes: traces and live data of one rank, logs behind them, bulk on a good link.
    fn default() -> Self {
        let policy = |rank, order, worth, link| Policy {
            rank,
            order,
            worth,
            patience: 256 << 10,
            link,
            window: Window::default(),
            expiry: None,
        };
        Self([
            policy(0, Order::Oldest, 1000, LinkState::Probing),
            policy(1, Order::Oldest, 20, LinkState::Probing),
            policy(1, Order::Newest, 1, LinkState::Probing),
            policy(2, Order::Oldest, 5, LinkState::Probing),
            Policy { patience: 4 << 20, ..policy(3, Order::Oldest, 1, LinkState::Good) },
        ])
    }
}

impl Policies {
    /// Of a class.
    pub const fn of(&self, class: Class) -> &Policy {
        &self.0[class as usize]
    }
}

/// What waits of a class, without what is leased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their records.
    pub records: u64,
}

/// Chooses classes, and remembers who was passed over.
#[derive(Clone, Debug)]
pub struct Scheduler {
    policies: Policies,
    /// Bytes of others since a class that could have gone last went.
    passed_over: [u64; CLASSES],
}

impl Scheduler {
    /// With nothing passed over.
    pub const fn new(policies: Policies) -> Self {
        Self { policies, passed_over: [0; CLASSES] }
    }

    /// How the classes travel.
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Changes how they travel, as after a reload.
    pub fn set_policies(&mut self, policies: Policies) {
        self.policies = policies;
    }

    /// Whether a class may travel on such a link under such conditions.
    pub fn open(&self, class: Class, link: LinkState, conditions: &Conditions) -> bool {
        let policy = self.policies.of(class);
        link >= policy.link && policy.window.open(conditions)
    }

    /// The class to go next of those that wait and for which `may_go` holds.
    pub fn choose(&self, waiting: &[Waiting; CLASSES], may_go: impl Fn(Class) -> bool) -> Option<Class> {
        let ready = || {
            Class::ALL.iter().copied().filter(|&class| waiting[class as usize].blocks > 0 && may_go(class))
        };
        if ready().next() == Some(Class::Critical) {
            return Some(Class::Critical);
        }
        let starved = |class: &Class| self.passed_over[*class as usize] >= self.policies.of(*class).patience;
        if let Some(class) = ready().filter(starved).max_by_key(|&class| self.passed_over[class as usize]) {
            return Some(class);
        }
        // The number at the end makes equals stable: the more worthy class first.
        ready().min_by_key(|&class| {
            let (policy, waiting) = (self.policies.of(class), &waiting[class as usize]);
            let worth = (u128::from(policy.worth) * u128::from(waiting.records)) << 32;
            (policy.rank, Reverse(worth / u128::from(waiting.bytes.max(1))), class)
        })
    }

    /// Bytes of a class went; the others of those that `could` have gone were passed over.
    pub fn went(&mut self, class: Class, bytes: u64, could: impl Fn(Class) -> bool) {
        for &other in Class::ALL {
            let passed_over = &mut self.passed_over[other as usize];
            if other == class || !could(other) {
                *passed_over = 0;
            } else {
                *passed_over = passed_over.saturating_add(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Network;

    fn waiting(blocks: [u64; CLASSES]) -> [Waiting; CLASSES] {
        blocks.map(|blocks| Waiting { blocks, bytes: blocks * 1000, records: blocks * 100 })
    }

    #[test]
    fn rank_then_worth_of_a_byte() {
        let scheduler = Scheduler::new(Policies::default());
        let all = |_| true;
        let cases = [
            ([1, 1, 1, 1, 1], Some(Class::Critical)),
            ([0, 1, 1, 1, 1], Some(Class::Traces)),
            ([0, 0, 1, 1, 1], Some(Class::Live)),
            ([0, 0, 0, 1, 1], Some(Class::Logs)),
            ([0, 0, 0, 0, 1], Some(Class::Bulk)),
            ([0; 5], None),
        ];
        for (blocks, expected) in cases {
            assert_eq!(scheduler.choose(&waiting(blocks), all), expected, "{blocks:?}");
        }
        // Live samples so small that their bytes are worth more than those of spans.
        let mut dense = waiting([0, 1, 1, 0, 0]);
        dense[Class::Live as usize].records = 10_000;
        assert_eq!(scheduler.choose(&dense, all), Some(Class::Live));
        assert_eq!(scheduler.choose(&dense, |class| class != Class::Live), Some(Class::Traces));
    }

    #[test]
    fn an_endless_stream_starves_nobody() {
        let mut scheduler = Scheduler::new(Policies::default());
        let always = waiting([0, 9, 9, 9, 9]);
        let mut bytes = [0_u64; CLASSES];
        for _ in 0..10_000 {
            let class = scheduler.choose(&always, |_| true).unwrap();
            bytes[class as usize] += 8192;
            scheduler.went(class, 8192, |class| always[class as usize].blocks > 0);
        }
        assert_eq!(bytes[0], 0);
        for (class, share) in [(1, 0.9), (2, 0.02), (3, 0.02), (4, 0.0015)] {
            let total: u64 = bytes.iter().sum();
            assert!(bytes[class] as f64 / total as f64 > share, "class {class}: {bytes:?}");
        }
        assert_eq!(scheduler.choose(&waiting([1; 5]), |_| true), Some(Class::Critical), "whoever starves");
    }

    #[test]
    fn links_and_windows_close_classes() {
        let mut policies = Policies::default();
        policies.0[Class::Logs as usize].window.unmetered = true;
        let scheduler = Scheduler::new(policies);
        let now = |network| Conditions { network, ..Conditions::default() };
        let open = |link, network| {
            Class::ALL.iter().map(|&class| scheduler.open(class, link, &now(network))).collect::<Vec<_>>()
        };
        assert_eq!(open(LinkState::Weak, Network::Cellular), [true, true, true, false, false]);
        assert_eq!(open(LinkState::Good, Network::Cellular), [true, true, true, false, true]);
        assert_eq!(open(LinkState::Probing, Network::Wifi), [true, true, true, true, false]);
        assert_eq!(open(LinkState::Good, Network::None), [false; 5]);
        assert_eq!(open(LinkState::Down, Network::Wifi), [false; 5]);
    }
}
