//! Lines are grouped as their labels say: our own set everywhere, the public ones where they lie beside the repository.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with other tests and the table of scores")]
mod labelled;

use std::fs;

use ecu_core::logs::{Miner, Origin};
use labelled::{Labelled, own};

#[test]
fn our_own_lines() {
    for seed in [1, 2, 3] {
        let score = own::set(4_000, seed).score();
        assert!(score.accuracy >= 0.995 && score.f1 >= 0.97, "seed {seed}: {score:?}");
    }
}

#[test]
fn the_labelled_sets_beside_the_repository() {
    let Some(root) = labelled::shared() else {
        println!("no ../shared/data/logs: not run");
        return;
    };
    let least = [
        ("HDFS", 0.995),
        ("Windows", 0.995),
        ("Linux", 0.995),
        ("HealthApp", 0.995),
        ("Hadoop", 0.99),
        ("OpenSSH", 0.99),
        ("BGL", 0.98),
        ("Android", 0.94),
    ];
    let mut f1 = 0.0;
    for (name, accuracy) in least {
        let score = labelled::loghub(&root, name).score();
        println!("{name}: {score:?}");
        assert!(score.accuracy >= accuracy, "{name}: {score:?}");
        f1 += score.f1 / least.len() as f64;
    }
    assert!(f1 >= 0.95, "mean FGA {f1}");
    let read = |name: &str| fs::read_to_string(root.join("synthetic-ecu").join(name)).unwrap();
    let score = labelled::ecu("synthetic-ecu", &read("ecu_dev.log"), &read("ecu_dev.gt")).score();
    assert!(score.accuracy >= 0.99 && score.f1 >= 0.95, "synthetic-ecu: {score:?}");
}

#[test]
fn the_order_of_the_lines_matters_little() {
    for seed in 1..4 {
        let mut set = own::set(4_000, 7);
        shuffle(&mut set, seed);
        let score = set.score();
        assert!(score.accuracy >= 0.995 && score.f1 >= 0.97, "seed {seed}: {score:?}");
    }
}

fn shuffle(set: &mut Labelled, seed: u64) {
    let mut dice = own::Dice(seed);
    for last in (1..set.lines.len()).rev() {
        let other = dice.below(last as u64 + 1) as usize;
        set.lines.swap(last, other);
        set.origins.swap(last, other);
        set.truth.swap(last, other);
    }
}

#[test]
fn template_and_variables_give_back_every_line() {
    let mut sets = vec![own::set(2_000, 5)];
    if let Some(root) = labelled::shared() {
        sets.extend(["HDFS", "Linux", "Hadoop", "Android", "BGL"].map(|name| labelled::loghub(&root, name)));
    }
    for set in sets {
        let mut miner = Miner::default();
        for (line, &origin) in set.lines.iter().zip(&set.origins) {
            let mined = miner.mine(origin, line);
            let variables: Vec<Vec<u8>> = mined.variables.iter().map(|span| span.of(line).to_vec()).collect();
            let id = mined.template;
            let template = miner.template(id).unwrap();
            let mut back = Vec::new();
            template.write_line(variables.iter().map(Vec::as_slice), &mut back);
            assert_eq!(String::from_utf8_lossy(&back), String::from_utf8_lossy(line));
        }
    }
}

#[test]
fn an_empty_line_is_not_a_line_that_is_all_variable() {
    let mut miner = Miner::default();
    let origin = Origin::new(b"", None);
    let clusters = [&b""[..], b"7", b"", b"\x01\x02"].map(|line| miner.mine(origin, line).cluster);
    assert!(
        clusters[0] == clusters[2] && clusters[1] == clusters[3] && clusters[0] != clusters[1],
        "{clusters:?}"
    );
}

/// What a set that is mined twice gives must not depend on anything but its lines.
#[test]
fn mining_is_deterministic() {
    let set = own::set(3_000, 11);
    let ids = |(miner, templates): (Miner, Vec<_>)| -> Vec<_> {
        templates
            .into_iter()
            .map(|id| (id, miner.cluster_of(id), miner.template(id).unwrap().to_string()))
            .collect()
    };
    assert_eq!(ids(set.mine()), ids(set.mine()));
}
