//! Alarms over labelled streams: what was put in is found, and little else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with other tests and the table of scores")]
mod labelled;

use std::fs;

use ecu_core::logs::alarms::{Alarm, AlarmKind, Alarms, Seen, WINDOW_NS};
use ecu_core::logs::{Miner, Origin};
use labelled::own::{self, Dice};

const SECOND_NS: i64 = 1_000_000_000;

#[derive(Default)]
struct Watched {
    miner: Miner,
    alarms: Alarms,
    raised: Vec<Alarm>,
}

impl Watched {
    fn line(&mut self, time_ns: i64, origin: Origin, line: &[u8], trace: Option<[u8; 16]>) {
        let mined = self.miner.mine(origin, line);
        let (template, cluster, new) = (mined.template, mined.cluster, mined.new);
        let seen = Seen { time_ns, origin, template, cluster, new, line, trace };
        self.alarms.line(&self.miner, &seen, &mut |alarm| self.raised.push(alarm));
    }

    fn of(&self, kind: fn(&AlarmKind) -> bool) -> Vec<&Alarm> {
        self.raised.iter().filter(|alarm| kind(&alarm.kind)).collect()
    }
}

fn is_new(kind: &AlarmKind) -> bool {
    matches!(kind, AlarmKind::New)
}

fn is_burst(kind: &AlarmKind) -> bool {
    matches!(kind, AlarmKind::Burst { .. })
}

fn is_vanished(kind: &AlarmKind) -> bool {
    matches!(kind, AlarmKind::Vanished { .. })
}

/// How many lines come in a window when `mean` do by chance (Knuth).
fn poisson(mean: f64, dice: &mut Dice) -> u32 {
    let (limit, mut product, mut count) = ((-mean).exp(), 1.0, 0);
    loop {
        product *= (dice.below(1 << 30) as f64 + 0.5) / f64::from(1 << 30);
        if product <= limit {
            return count;
        }
        count += 1;
    }
}

/// Kinds that come 1 to 5 times a window for 2,000 windows; every kind has a burst of two minutes at ×4.
#[test]
fn bursts_are_found_and_chance_is_not() {
    const WINDOWS: i64 = 2_000;
    let (mut bursts, mut found, mut false_alarms, mut cluster_windows) = (0, 0, 0, 0);
    for round in 0..6_u64 {
        let mut dice = Dice(round * 31 + 7);
        let mut watched = Watched::default();
        let names = ["alpha", "bravo", "charlie", "delta", "echo"];
        let starts: Vec<i64> = names.iter().map(|_| 200 + dice.below(1_500) as i64).collect();
        for window in 0..WINDOWS {
            for (index, name) in names.iter().enumerate() {
                let mean = (index + 1) as f64;
                let burst = (starts[index]..starts[index] + 12).contains(&window);
                let lines = poisson(if burst { 4.0 * mean } else { mean }, &mut dice);
                let origin = Origin::new(name.as_bytes(), None);
                for line in 0..lines {
                    let time = window * WINDOW_NS + i64::from(line);
                    watched.line(time, origin, format!("state of {name} is now {line}").as_bytes(), None);
                }
            }
        }
        let mut hit = [false; 5];
        for alarm in watched.of(is_burst) {
            let kind = names.iter().position(|name| alarm.template.contains(name)).unwrap();
            let window = alarm.time_ns / WINDOW_NS;
            // A long window that is half in the burst still belongs to it.
            if (starts[kind]..starts[kind] + 12 + 7).contains(&window) {
                hit[kind] = true;
            } else {
                false_alarms += 1;
            }
        }
        bursts += hit.len();
        found += hit.iter().filter(|&&hit| hit).count();
        cluster_windows += WINDOWS * names.len() as i64;
    }
    let rate = f64::from(false_alarms) * 1_000.0 / cluster_windows as f64;
    println!("bursts found {found} of {bursts}, {rate:.3} false alarms per 1,000 cluster-windows");
    assert!(found * 100 >= bursts * 85, "{found} of {bursts}");
    assert!(rate <= 0.4, "{rate} per 1,000");
}

/// Statements of our own; four of them, put in after ten minutes, are news.
#[test]
fn new_statements_are_news_and_new_values_are_not() {
    let news = [
        ("diag", "EEPROM verify failed at block {n} addr {hex}"),
        ("can", "message counter of {id} jumped by {n}"),
        ("net", "modem reset by watchdog after {n} s"),
        ("ota", "rollback to slot {n} requested"),
    ];
    for seed in [3, 5, 8, 13] {
        let mut dice = Dice(seed);
        let mut watched = Watched::default();
        for second in 0..1_800_i64 {
            for _ in 0..5 {
                let (_, app, text) = own::STATEMENTS[dice.below(own::STATEMENTS.len() as u64) as usize];
                let line = own::fill(text, &mut dice);
                watched.line(second * SECOND_NS, Origin::new(app.as_bytes(), None), line.as_bytes(), None);
            }
            if second >= 600 && second % 300 < 3 {
                let (app, text) = news[(second / 300) as usize - 2];
                let line = own::fill(text, &mut dice);
                watched.line(second * SECOND_NS, Origin::new(app.as_bytes(), None), line.as_bytes(), None);
            }
        }
        let found: Vec<&str> = watched.of(is_new).iter().map(|alarm| alarm.template.as_str()).collect();
        assert_eq!(found.len(), news.len(), "seed {seed}: {found:?}");
        for ((_, text), template) in news.iter().zip(found) {
            assert_eq!(text.split('{').next(), template.split('<').next());
        }
    }
}

#[test]
fn a_heartbeat_that_stops_is_missed_once_and_again_after_it_came_back() {
    let mut watched = Watched::default();
    let origin = Origin::new(b"watchdog", None);
    for second in 0..3_600_i64 {
        let silent = (1_000..1_300).contains(&second) || (2_500..2_600).contains(&second);
        if !silent {
            let line = format!("alive indication {second}");
            watched.line(second * SECOND_NS, origin, line.as_bytes(), Some([second as u8; 16]));
        }
        watched.line(second * SECOND_NS, origin, b"something else goes on", None);
    }
    let alarms = watched.of(is_vanished);
    let times: Vec<i64> = alarms.iter().map(|alarm| alarm.time_ns / SECOND_NS).collect();
    assert_eq!(times.len(), 2, "{times:?}");
    assert!((1_020..=1_050).contains(&times[0]) && (2_520..=2_550).contains(&times[1]), "{times:?}");
    let alarm = alarms[0];
    assert_eq!(
        (alarm.template.as_str(), alarm.example.as_str()),
        ("alive indication <*>", "alive indication 999")
    );
    assert_eq!(alarm.keywords, ["indication", "alive"]);
    assert_eq!(alarm.traces.last(), Some(&[999_i64 as u8; 16]));
    assert!(alarm.rate_before > 9.0 && alarm.rate_now < 0.5, "{alarm:?}");
}

#[test]
fn the_labelled_stream_beside_the_repository() {
    let Some(root) = labelled::shared() else {
        println!("no ../shared/data/logs: not run");
        return;
    };
    let read = |name: &str| fs::read_to_string(root.join("synthetic-ecu").join(name)).unwrap();
    let log = read("ecu_dev.log");
    let set = labelled::ecu("synthetic-ecu", &log, &read("ecu_dev.gt"));
    let mut watched = Watched::default();
    for ((line, &origin), raw) in set.lines.iter().zip(&set.origins).zip(log.lines()) {
        let seconds: f64 = raw.split_whitespace().next().unwrap().parse().unwrap();
        watched.line((seconds * 1e9) as i64, origin, line, None);
    }
    for alarm in &watched.raised {
        println!("{:7.1} s {:?} {}", alarm.time_ns as f64 / 1e9, alarm.kind, alarm.template);
    }
    let seconds =
        |alarms: Vec<&Alarm>| -> Vec<i64> { alarms.iter().map(|alarm| alarm.time_ns / SECOND_NS).collect() };
    let news = watched.of(is_new);
    assert!(news.len() == 1 && news[0].template.starts_with("EEPROM verify fail"), "{news:?}");
    assert_eq!(seconds(news), [1_200]);
    let bursts = watched.of(is_burst);
    assert!(
        bursts.iter().any(|alarm| alarm.template.starts_with("timeout waiting for CAN ID")),
        "{bursts:?}"
    );
    assert!(
        bursts.iter().all(|alarm| (900 * SECOND_NS..1_090 * SECOND_NS).contains(&alarm.time_ns)),
        "{bursts:?}"
    );
    let vanished = watched.of(is_vanished);
    assert!(vanished.iter().any(|alarm| alarm.template.starts_with("fix ")), "{vanished:?}");
    assert!(seconds(vanished).iter().all(|second| (1_560..=1_740).contains(second)));
}
