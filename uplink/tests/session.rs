//! The session step by step: what it answers to one event after another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::time::Duration;

use store::block::{BootId, Class, Identity};
use uplink::budget::{Budget, Limits, Now};
use uplink::link::{LinkState, Patience};
use uplink::refusal::{Failure, Refusal};
use uplink::schedule::{Policies, Waiting};
use uplink::session::{Action, Aside, BrokerLimits, Event, Offer, Parcel, Session, Settings, Why};
use uplink::window::{Conditions, Network};
use uplink::wire::Wire;

struct Bench {
    session: Session<u64>,
    now: Duration,
    sequence: u64,
    wake_at: Option<Duration>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let settings = Settings {
            policies: Policies::default(),
            patience: Patience { first_within: Duration::ZERO, ..Patience::default() },
            wire: Wire { tls: false, ipv6: false },
            topic_bytes: 20,
            batch_overhead: 10,
            batch_bytes_max: 8000,
            in_flight_max: 4,
            mqtt5: true,
            stay_connected: true,
        };
        let now = Duration::from_secs(100);
        let budget = Budget::new(limits, None, at(now));
        let session = Session::new(settings, budget, 1, true, at(now));
        Self { session, now, sequence: 0, wake_at: None }
    }

    /// Connected, with nothing waiting.
    fn connected(limits: Limits, broker: BrokerLimits) -> Self {
        let mut bench = Self::new(limits);
        assert!(matches!(bench.step(Event::Tick)[..], [Action::Connect]));
        let actions = bench.step(Event::Connected { session_present: true, limits: broker });
        assert!(
            matches!(actions[..], [Action::Greet { retained: false, reoffer_since: None }]),
            "{actions:?}"
        );
        bench
    }

    /// One step; a budget that is to be saved is.
    fn step(&mut self, event: Event<u64>) -> Vec<Action<u64>> {
        let step = self.session.step(at(self.now), event);
        self.wake_at = step.wake_at;
        let (mut actions, mut states) = (Vec::new(), Vec::new());
        for action in step.actions {
            match action {
                Action::SaveBudget(state) => states.push(state),
                action => actions.push(action),
            }
        }
        for state in states {
            actions.extend(self.step(Event::BudgetSaved(state)));
        }
        actions
    }

    fn pass(&mut self, seconds: u64) -> Vec<Action<u64>> {
        self.now += Duration::from_secs(seconds);
        self.step(Event::Tick)
    }

    fn wait(&mut self, class: Class, blocks: u64) -> Vec<Action<u64>> {
        let mut waiting = [Waiting::default(); 5];
        waiting[class as usize] = Waiting { blocks, bytes: blocks * 1000, records: blocks };
        self.step(Event::Waiting(waiting))
    }

    fn offers(&mut self, count: u64, bytes: usize) -> Vec<Offer<u64>> {
        (0..count)
            .map(|_| {
                self.sequence += 1;
                let identity = Identity { boot: BootId([1; 16]), run: 1, sequence: self.sequence };
                Offer { identity, bytes, token: self.sequence }
            })
            .collect()
    }

    /// Lets the class send one block; gives its parcel.
    fn send(&mut self, class: Class) -> Parcel<u64> {
        let actions = self.wait(class, 1);
        assert!(matches!(actions[..], [Action::Lease { class: of, .. }] if of == class), "{actions:?}");
        let offers = self.offers(1, 1000);
        published(self.step(Event::Leased(class, offers)))
    }
}

fn at(boottime: Duration) -> Now {
    Now { boot: BootId([1; 16]), boottime, wall: None }
}

fn published(mut actions: Vec<Action<u64>>) -> Parcel<u64> {
    match actions.pop() {
        Some(Action::Publish(parcel)) if actions.is_empty() => parcel,
        other => panic!("{other:?} after {actions:?}"),
    }
}

#[test]
fn a_lease_goes_out_once_and_comes_back_as_what_became_of_it() {
    let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
    let parcel = bench.send(Class::Live);
    assert_eq!(bench.session.in_flight(), 1);
    let actions = bench.step(Event::Acked(parcel));
    assert!(matches!(&actions[..], [Action::Ack(tokens)] if tokens == &[1]), "{actions:?}");
    let parcel = bench.send(Class::Live);
    let parcels = vec![parcel];
    let actions = bench.step(Event::Closed { failure: Failure::Passing, parcels });
    assert!(matches!(&actions[..], [Action::Release(tokens)] if tokens == &[2]), "{actions:?}");
    assert!(bench.session.is_idle());
    assert_eq!(bench.session.link(bench.now), LinkState::Down);
    let counts = bench.session.counts();
    assert_eq!((counts.published, counts.acked, counts.returned), (2, 1, 1));
}

#[test]
fn an_edge_that_takes_nothing_is_neither_hammered_nor_paid() {
    let mut bench =
        Bench::connected(Limits { day: Some(1 << 20), ..Limits::default() }, BrokerLimits::default());
    let before = bench.session.budget().spent();
    let parcel = bench.send(Class::Live);
    assert!(bench.session.budget().spent().0 > before.0 + 1000);
    let actions = bench.step(Event::Unsent(parcel));
    assert!(matches!(actions[..], [Action::Release(_)]), "{actions:?}");
    assert_eq!(bench.session.budget().spent(), before);
    assert!(bench.wait(Class::Live, 1).is_empty(), "again at once");
    assert!(matches!(bench.pass(1)[..], [Action::Lease { .. }]));
}

#[test]
fn refusals_pause_the_class_and_nothing_else() {
    let cases = [
        (Refusal::NO_MATCHING_SUBSCRIBERS, 2),
        (Refusal::NOT_AUTHORIZED, 30),
        (Refusal::TOPIC_NAME_INVALID, 30),
        (Refusal::QUOTA_EXCEEDED, 5),
        (Refusal::UNSPECIFIED, 1),
    ];
    for (refusal, seconds) in cases {
        let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
        let parcel = bench.send(Class::Live);
        let actions = bench.step(Event::Refused(parcel, refusal));
        assert!(matches!(actions[..], [Action::Release(_)]), "{refusal}: {actions:?}");
        assert!(bench.wait(Class::Live, 1).is_empty(), "{refusal}: not paused");
        let critical = bench.send(Class::Critical);
        bench.step(Event::Acked(critical));
        bench.now += Duration::from_secs(seconds);
        let actions = bench.wait(Class::Live, 1);
        assert!(matches!(actions[..], [Action::Lease { class: Class::Live, .. }]), "{refusal}: {actions:?}");
    }
    let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
    let parcel = bench.send(Class::Live);
    let actions = bench.step(Event::Refused(parcel, Refusal::PACKET_ID_IN_USE));
    assert!(matches!(actions[..], [Action::Disconnect(Why::PacketIds), Action::Release(_)]), "{actions:?}");
}

#[test]
fn pauses_grow_while_nobody_is_subscribed_and_end_with_an_acknowledgement() {
    let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
    for pause in [2, 4, 8, 16, 32, 60, 60] {
        let parcel = bench.send(Class::Live);
        bench.step(Event::Refused(parcel, Refusal::NO_MATCHING_SUBSCRIBERS));
        assert_eq!(bench.wake_at, Some(bench.now + Duration::from_secs(pause)));
        bench.now += Duration::from_secs(pause);
    }
    let parcel = bench.send(Class::Live);
    bench.step(Event::Acked(parcel));
    let parcel = bench.send(Class::Live);
    bench.step(Event::Refused(parcel, Refusal::NO_MATCHING_SUBSCRIBERS));
    assert_eq!(bench.wake_at, Some(bench.now + Duration::from_secs(2)));
}

#[test]
fn one_packet_is_kept_for_class_0() {
    let mut bench =
        Bench::connected(Limits::default(), BrokerLimits { receive_max: 2, ..BrokerLimits::default() });
    bench.send(Class::Live);
    assert!(bench.wait(Class::Live, 5).is_empty(), "the last packet went to class 2");
    bench.send(Class::Critical);
    assert!(bench.wait(Class::Critical, 1).is_empty(), "above the receive maximum");
}

#[test]
fn oversize_blocks_are_set_aside_and_large_batches_split() {
    let broker = BrokerLimits { packet_bytes_max: 1500, ..BrokerLimits::default() };
    let mut bench = Bench::connected(Limits::default(), broker);
    let actions = bench.wait(Class::Live, 4);
    let [Action::Lease { bytes_max, .. }] = actions[..] else { panic!("{actions:?}") };
    assert!(bytes_max < 1500, "{bytes_max}");
    let mut offers = bench.offers(3, 600);
    offers.insert(1, bench.offers(1, 1500).remove(0));
    let actions = bench.step(Event::Leased(Class::Live, offers));
    let [
        Action::SetAside(aside, Aside::Oversize { limit: 1500, .. }),
        Action::Publish(one),
        Action::Publish(two),
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((aside.bytes, one.blocks.len(), two.blocks.len()), (1500, 2, 1));
}

#[test]
fn a_broker_that_forgot_is_offered_what_it_may_have_lost() {
    let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
    let parcel = bench.send(Class::Live);
    bench.step(Event::Acked(parcel));
    let acked_at = bench.now;
    bench.step(Event::Closed { failure: Failure::Passing, parcels: Vec::new() });
    // Away for an hour: what counts is when it last had acknowledged something.
    assert!(matches!(bench.pass(3600)[..], [Action::Connect]));
    let actions = bench.step(Event::Connected { session_present: false, limits: BrokerLimits::default() });
    let [Action::Greet { retained: true, reoffer_since: Some(since) }] = actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(since, acked_at.saturating_sub(Duration::from_secs(60)));
}

#[test]
fn silence_ends_a_connection_and_a_lost_route_at_once() {
    let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
    bench.send(Class::Live);
    let deadline = bench.wake_at.unwrap();
    assert!(deadline >= bench.now + Duration::from_secs(10));
    bench.now = deadline;
    assert!(matches!(bench.step(Event::Tick)[..], [Action::Disconnect(Why::Silent)]));
    assert!(bench.step(Event::Tick).is_empty(), "asked twice");

    let mut bench = Bench::connected(Limits::default(), BrokerLimits::default());
    let gone = Conditions { network: Network::None, ..Conditions::default() };
    assert!(matches!(bench.step(Event::Conditions(gone))[..], [Action::Disconnect(Why::NoRoute)]));
    bench.step(Event::Closed { failure: Failure::Passing, parcels: Vec::new() });
    assert!(bench.pass(10_000).is_empty(), "connects without a route");

    let mut bench = Bench::new(Limits::default());
    assert!(matches!(bench.step(Event::Tick)[..], [Action::Connect]));
    assert!(matches!(bench.pass(30)[..], [Action::Disconnect(Why::NoConnack)]));
}

#[test]
fn a_spent_budget_ends_the_connection_until_it_refills() {
    let limits = Limits { day: Some(100_000), ..Limits::default() };
    let mut bench = Bench::connected(limits, BrokerLimits::default());
    let actions = bench.step(Event::Spent(100_000));
    assert!(matches!(actions[..], [Action::Disconnect(Why::Budget)]), "{actions:?}");
    bench.step(Event::Closed { failure: Failure::Passing, parcels: Vec::new() });
    for _ in 0..24 {
        assert!(bench.pass(3600).is_empty(), "connects at {:?}", bench.now);
    }
    assert!(matches!(bench.pass(3601)[..], [Action::Connect]));
}
