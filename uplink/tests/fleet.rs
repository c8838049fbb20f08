//! Ten thousand vehicles and one broker: nobody storms.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::time::Duration;

use uplink::link::{Link, LinkState, Patience};
use uplink::refusal::Failure;

const VEHICLES: u64 = 10_000;

/// A broker that accepts this many connections a second and drops the rest, and is away from second `down` to `up`.
#[derive(Clone, Copy)]
struct Broker {
    accepts: u32,
    down: u64,
    up: u64,
}

struct Outcome {
    /// Most attempts in any second, from the broker's loss on.
    peak: u32,
    /// Second at which all are connected again.
    all_back: Option<u64>,
}

/// Second by second, as a broker counts.
fn run(broker: Broker, started_within: u64, seconds: u64) -> Outcome {
    let mut fleet: Vec<Link> = (0..VEHICLES)
        .map(|vehicle| {
            let start = Duration::from_millis(vehicle * 7919 % (started_within * 1000 + 1));
            Link::new(Patience::default(), vehicle, start)
        })
        .collect();
    let (mut peak, mut all_back) = (0, None);
    for second in 0..seconds {
        let now = Duration::from_secs(second);
        let away = (broker.down..broker.up).contains(&second);
        let (mut attempts, mut connected) = (0, 0);
        for link in &mut fleet {
            if second == broker.down && link.is_up() {
                link.lost(now, Failure::Passing);
            }
            if link.due(now) {
                attempts += 1;
                link.connecting(now);
                if away || attempts > broker.accepts {
                    link.lost(now, Failure::Passing);
                } else {
                    link.connected();
                    link.acked(Duration::from_millis(100));
                }
            }
            connected += u64::from(link.state(now) >= LinkState::Weak);
        }
        if second >= broker.down {
            peak = peak.max(attempts);
            if connected == VEHICLES && !away {
                all_back = all_back.or(Some(second));
            }
        }
    }
    Outcome { peak, all_back }
}

#[test]
fn no_storm_when_the_broker_of_a_fleet_returns() {
    // Ten thousand at once would be 10,000 a second; spread over half a minute they are 333.
    for (away, accepts) in [(1, 1000), (10, 1000), (180, 1000), (3600, 1000), (10, 100), (600, 100)] {
        let broker = Broker { accepts, down: 200, up: 200 + away };
        let outcome = run(broker, 60, 200 + away + 900);
        let back = outcome.all_back.map(|second| second - 200 - away);
        println!(
            "away {away} s, {accepts} a second: at most {} a second, all back after {back:?} s",
            outcome.peak
        );
        assert!(outcome.peak < 800, "away {away}: {}", outcome.peak);
        let allowed = if accepts == 100 { 600 } else { 150 };
        assert!(back.is_some_and(|seconds| seconds <= allowed), "away {away}: {back:?}");
    }
}

#[test]
fn a_fleet_switched_on_together_is_spread() {
    let outcome = run(Broker { accepts: 10_000, down: 0, up: 0 }, 0, 60);
    println!("switched on together: at most {} a second", outcome.peak);
    assert!(outcome.peak < 2500, "{}", outcome.peak);
    assert!(outcome.all_back.unwrap() <= 6);
}

#[test]
fn a_broker_that_accepts_and_drops_is_not_hammered() {
    let mut fleet: Vec<Link> =
        (0..VEHICLES).map(|vehicle| Link::new(Patience::default(), vehicle, Duration::ZERO)).collect();
    let mut late_attempts = 0;
    for second in 0..900 {
        let now = Duration::from_secs(second);
        for link in &mut fleet {
            if link.due(now) {
                link.connecting(now);
                link.connected();
                link.lost(now, Failure::Passing);
                late_attempts += u64::from(second >= 600);
            }
        }
    }
    let rate = late_attempts as f64 / 300.0;
    println!("a broker that drops everyone: {rate:.0} attempts a second");
    assert!(rate < 150.0, "{rate}");
}
