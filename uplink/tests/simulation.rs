//! Scheduler and link over thousands of seeds: loss, delay, reordering, duplicate and missing PUBACKs, broken
//! connections, brokers that restart and forget. `UPLINK_SEEDS` sets how many (the default keeps a test run short).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[allow(unreachable_pub, reason = "a part of this test")]
mod world;

use std::time::Duration;

use uplink::budget::{Limits, Permit};
use uplink::link::LinkState;
use uplink::random::Random;
use uplink::schedule::Policies;
use world::{Block, Plan, State, Weather, World, seconds};

fn seeds(default: u64) -> std::ops::Range<u64> {
    let count = std::env::var("UPLINK_SEEDS").ok().and_then(|text| text.parse().ok());
    0..count.unwrap_or(default)
}

const CALM: Weather = Weather {
    rate: 6250.0,
    delay: Duration::from_millis(300),
    loss: 0,
    missing: 0,
    duplicate: 0,
    late: 0,
    breaks: 0,
    restarts: 0,
    forgets: 0,
    away: seconds(30),
};

fn plan(seed: u64, weather: Weather) -> Plan {
    let mut policies = Policies::default();
    // Else what is left at the end waits for a good link, which may never come.
    policies.0[4].link = LinkState::Probing;
    Plan {
        seed,
        weather,
        limits: Limits::default(),
        policies,
        load: [(0.05, 400), (0.2, 800), (0.5, 1200), (0.2, 900), (0.02, 8000)],
        backlog: [0; 5],
        lasts: seconds(300),
        settles: seconds(4 * 3600),
        poison_one_in: None,
        oversize_one_in: None,
        receive_max: 20,
    }
}

/// Any weather: from a good to a desperate one.
fn any_weather(seed: u64) -> Weather {
    let mut random = Random::new(seed ^ 0xABCD);
    let mut up_to = |max: u64| random.next_u64() % (max + 1);
    Weather {
        rate: 2000.0 + up_to(200_000) as f64,
        delay: Duration::from_millis(10 + up_to(1500)),
        loss: up_to(150),
        missing: up_to(30),
        duplicate: up_to(100),
        late: up_to(300),
        breaks: up_to(30),
        restarts: up_to(10),
        forgets: up_to(1000),
        away: seconds(up_to(120)),
    }
}

/// Every block that was sealed is acknowledged exactly once, or was set aside because it cannot go; and the gateway
/// has all that was acknowledged.
fn check_books(world: &World) {
    let seed = world.plan.seed;
    for (id, block) in world.ring.blocks.iter().enumerate() {
        let ok = match block.state {
            State::Acked(_) => block.acks == 1 && !block.poison && !block.oversize && block.received > 0,
            State::Aside => block.poison || block.oversize,
            // The last poison cannot be told from a broker that takes nothing.
            State::Waiting | State::Leased => block.poison,
        };
        assert!(ok, "seed {seed}, block {id}: {block:?}, now {:?}", world.now);
    }
    let counts = world.session.counts();
    let under_way = world.session.in_flight() as u64;
    assert!(counts.published >= counts.acked + counts.refused + counts.returned, "seed {seed}: {counts:?}");
    assert!(under_way <= counts.published, "seed {seed}");
}

#[test]
fn every_block_is_acked_exactly_once_or_still_waits() {
    let (mut blocks, mut strays, mut connects, mut twice) = (0, 0, 0, 0);
    for seed in seeds(200) {
        let mut world = World::new(plan(seed, any_weather(seed)));
        world.run();
        check_books(&world);
        assert!(world.ring.blocks.iter().all(|block| matches!(block.state, State::Acked(_))), "seed {seed}");
        blocks += world.ring.blocks.len();
        strays += world.stray_acks;
        connects += world.session.counts().connects;
        twice += world.ring.blocks.iter().filter(|block| block.received > 1).count();
    }
    println!(
        "{blocks} blocks, {connects} connections, {strays} stray PUBACKs, {twice} received more than once"
    );
    assert!(strays > 0 && connects > 500 && twice > 0, "the weather was too good to prove anything");
}

#[test]
fn poison_and_oversize_are_set_aside_and_block_nobody() {
    let (mut aside, mut refusals) = (0, 0);
    for seed in seeds(60) {
        let mut plan = plan(seed, any_weather(seed));
        (plan.poison_one_in, plan.oversize_one_in) = (Some(60), Some(80));
        plan.settles = seconds(3600);
        let mut world = World::new(plan);
        world.run();
        check_books(&world);
        aside += world.ring.blocks.iter().filter(|block| block.state == State::Aside).count();
        refusals += world.refusals;
    }
    println!("{aside} set aside after {refusals} refusals");
    assert!(aside > 100);
}

#[test]
fn budgets_are_never_exceeded_on_the_wire() {
    for seed in seeds(30) {
        let mut random = Random::new(seed);
        let day = 200_000 + random.next_u64() % 1_000_000;
        let second = 1000 + random.next_u64() % 4000;
        let mut plan = plan(seed, any_weather(seed));
        plan.limits =
            Limits { second: Some(second), day: Some(day), month: Some(day * 5), critical_per_mille: 100 };
        plan.backlog = [0, 0, 0, 0, 200];
        plan.lasts = seconds(900);
        plan.settles = seconds(900);
        let mut world = World::new(plan);
        world.run();
        let spent = world.most_in(seconds(86_400));
        assert!(spent <= day, "seed {seed}: {spent} of {day}");
        assert_eq!(world.session.budget().spent().0, spent, "seed {seed}: the account is the wire's");
        // A minute: its tokens, the burst, and what retransmissions and greetings took without asking.
        let minute = world.most_in(seconds(60));
        assert!(minute <= 62 * second + 16_000 + spent / 3, "seed {seed}: {minute} at {second} a second");
    }
}

#[test]
fn a_spent_day_leaves_class_0_its_reserve() {
    let day = 400_000;
    let mut plan = plan(1, CALM);
    plan.limits = Limits { second: None, day: Some(day), month: None, critical_per_mille: 100 };
    plan.backlog = [0, 0, 0, 0, 500];
    plan.load[0] = (0.02, 400);
    plan.lasts = seconds(1000);
    plan.settles = seconds(60);
    let mut world = World::new(plan);
    world.run();
    let waits = |block: &&Block| matches!(block.state, State::Waiting | State::Leased);
    let waiting = world.ring.blocks.iter().filter(waits);
    assert!(waiting.clone().count() > 300, "the day was long enough for all of it");
    assert!(waiting.clone().all(|block| block.class as u8 > 0), "class 0 waits");
    assert!(world.most_in(seconds(86_400)) > day * 8 / 10, "much was left unused");
    assert!(matches!(world.permit(), Permit::Granted | Permit::Save(_)));
}

#[test]
fn class_0_is_not_behind_a_days_backlog() {
    let lossy = Weather { loss: 100, ..CALM };
    let poor = Weather { rate: 2500.0, delay: Duration::from_millis(700), loss: 50, ..CALM };
    for (name, weather, limit) in [("50 kbit/s", CALM, 5), ("10 % loss", lossy, 12), ("20 kbit/s", poor, 20)]
    {
        let mut delays = Vec::new();
        for seed in seeds(10) {
            let mut plan = plan(seed, weather);
            plan.backlog = [0, 200, 1000, 500, 400];
            plan.lasts = seconds(600);
            plan.settles = seconds(60);
            let mut world = World::new(plan);
            world.run();
            delays.append(&mut world.critical_delays);
        }
        delays.sort_unstable();
        let (median, most) = (delays[delays.len() / 2], delays[delays.len() - 1]);
        println!("{name}: {} fault events, median {median:?}, most {most:?}", delays.len());
        assert!(most < seconds(limit), "{name}: {most:?}");
    }
}

#[test]
fn a_backlog_uses_the_link() {
    let mut plan = plan(3, CALM);
    plan.load = [(0.0, 400), (0.0, 800), (0.0, 1200), (0.0, 900), (0.0, 8000)];
    plan.backlog = [0, 0, 2000, 0, 0];
    plan.lasts = seconds(1);
    let mut world = World::new(plan);
    world.run();
    let payload: usize = world.ring.blocks.iter().map(|block| block.bytes).sum();
    let rate = payload as f64 / world.now.as_secs_f64();
    let wire: u64 = world.wire.iter().map(|(_, bytes)| bytes).sum();
    let overhead = wire as f64 / payload as f64;
    println!("{payload} B of blocks at {rate:.0} B/s of 6250, {overhead:.3} wire bytes a byte");
    assert!(rate > 6250.0 * 0.7, "{rate}");
    assert!(overhead < 1.2, "{overhead}");
}
