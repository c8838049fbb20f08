//! The ring on a disk that loses power at any call, damages what was not flushed, and fails: the file opens, what was
//! committed is there, and the books balance.
//!
//! Seeded: a failure names its seed, and `FAULTY_DISK_SEEDS=first..last` runs these alone.

#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod chaos;
mod disk;
mod faults;
mod model;

use std::ops::Range;

use disk::{Loss, Mount, Random};
use model::Run;

/// Seeds of the power cuts in every run; more by the variable.
const SEEDS: Range<u64> = 0..600;

fn seeds() -> Range<u64> {
    let given = std::env::var("FAULTY_DISK_SEEDS").ok();
    let given = given.as_deref().and_then(|text| text.split_once(".."));
    given.map_or(SEEDS, |(first, last)| first.parse().unwrap()..last.parse().unwrap())
}

#[test]
fn power_cuts_at_any_call_lose_nothing_committed() {
    let (mut cuts, mut in_doubt) = (0, 0);
    for seed in seeds() {
        let mut random = Random::new(seed);
        let mount = Mount::new();
        let mut run = Run::new(&mount, seed);
        for _ in 0..3 {
            mount.disk().faults.power_in = Some(random.next() % 400);
            let steps = 5 + random.below(60);
            for _ in 0..steps {
                if !run.step(&mut random) {
                    break;
                }
            }
            cuts += 1;
            in_doubt += u64::from(run.in_doubt());
            mount.disk().is_dead = true;
            run.crash();
            let loss = Loss::EVERY[random.below(Loss::EVERY.len())];
            mount.disk().power_on(loss, &mut random);
            run.reopen(&format!("seed {seed}, {loss:?}"));
        }
    }
    println!("{cuts} power cuts, {in_doubt} of them within a commit");
    assert!(in_doubt > 0, "no cut hit a commit");
}
