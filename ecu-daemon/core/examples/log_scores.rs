//! The table of grouping scores over the labelled log sets beside the repository.
//!
//! `cargo run --release -p ecu-core --example log_scores [SET]`; with a set's name also what was grouped wrongly.
#![allow(clippy::unwrap_used, reason = "a program for developers fails by panicking")]

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/labelled/mod.rs"]
mod labelled;

use std::collections::BTreeMap;
use std::fs;

const SETS: [&str; 8] = ["HDFS", "Windows", "Linux", "HealthApp", "Hadoop", "OpenSSH", "BGL", "Android"];

fn main() {
    let Some(root) = labelled::shared() else {
        println!("no labelled sets beside the repository");
        return;
    };
    let mut sets: Vec<_> = SETS.iter().map(|name| labelled::loghub(&root, name)).collect();
    let read = |name: &str| fs::read_to_string(root.join("synthetic-ecu").join(name)).unwrap();
    sets.push(labelled::ecu("synthetic-ecu", &read("ecu_dev.log"), &read("ecu_dev.gt")));
    let shown = std::env::args().nth(1);
    println!("{:14} {:>7} {:>7} {:>7} {:>7}", "set", "GA", "FGA", "groups", "true");
    let (mut accuracy, mut f1) = (0.0, 0.0);
    for set in &sets {
        let score = set.score();
        println!(
            "{:14} {:7.4} {:7.4} {:7} {:7}",
            set.name, score.accuracy, score.f1, score.groups, score.true_groups
        );
        if set.name != "synthetic-ecu" {
            accuracy += score.accuracy / SETS.len() as f64;
            f1 += score.f1 / SETS.len() as f64;
        }
        if shown.as_deref() == Some(&set.name) {
            show(set);
        }
    }
    println!("{:14} {accuracy:7.4} {f1:7.4}  (of the eight)", "mean");
}

/// Groups that are not exactly the true ones.
fn show(set: &labelled::Labelled) {
    let (miner, templates) = set.mine();
    let mut pairs: BTreeMap<(&str, u32), (usize, String)> = BTreeMap::new();
    for ((&id, truth), line) in templates.iter().zip(&set.truth).zip(&set.lines) {
        let cluster = miner.cluster_of(id).unwrap().number();
        let entry =
            pairs.entry((truth, cluster)).or_insert_with(|| (0, String::from_utf8_lossy(line).into_owned()));
        entry.0 += 1;
    }
    for (&(truth, cluster), (lines, example)) in &pairs {
        let split = pairs.keys().filter(|(other, _)| *other == truth).count() > 1;
        let mixed = pairs.keys().filter(|(_, other)| *other == cluster).count() > 1;
        if split || mixed {
            println!("  {lines:5} cluster {cluster}: {truth}\n        {example}");
        }
    }
}
