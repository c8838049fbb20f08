//! Long runs: of the ring beside its model, and of a service whose card fails in every way while it runs.

use std::collections::{BTreeMap, BTreeSet};

use store::block::{Class, Identity, SealedBlock};
use store::ring::{Lease, RingFile};

use super::disk::{Faults, Mount, Random};
use super::model::{BOOT, Run, drain, identity};

const SECOND: i64 = 1_000_000_000;
/// Runs of the failing card.
const SEEDS: u64 = 30;

#[test]
fn the_ring_does_what_the_model_does() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mount = Mount::new();
        let mut run = Run::new(&mount, seed);
        for step in 0..120 {
            assert!(run.step(&mut random), "seed {seed}, step {step}");
            let total = run.ring.as_ref().unwrap().books().total();
            let (waiting, acked) = (run.held.waiting.len() as u64, run.held.acked.len() as u64);
            assert_eq!(
                (total.waiting.blocks, total.acked.blocks),
                (waiting, acked),
                "seed {seed}, step {step}"
            );
            if random.below(30) == 0 {
                // What was leased waits again.
                run.crash();
                run.reopen(&format!("seed {seed}, step {step}"));
            }
        }
        // Everything can be sent, in the order of worth.
        let mut ring = run.ring.take().unwrap();
        run.leased.drain(..).for_each(|block| ring.release([block.lease]));
        let mut classes = Vec::new();
        let mut sent = BTreeMap::new();
        loop {
            let leased = ring.lease(100_000, 10).unwrap();
            if leased.is_empty() {
                break;
            }
            classes.extend(leased.iter().map(|block| block.class));
            sent.extend(leased.iter().map(|block| (identity(&block.bytes), block.bytes.clone())));
            let mut leases: Vec<Lease> = leased.into_iter().map(|block| block.lease).collect();
            ring.commit(&[], &mut leases, run.now).unwrap();
        }
        assert!(classes.is_sorted(), "seed {seed}: {classes:?}");
        assert_eq!(sent, run.held.waiting, "seed {seed}");
        assert_eq!(ring.books().total().waiting.blocks, 0);
    }
}

/// A service on a card that fails: what its writer does, without threads.
struct Service {
    ring: RingFile,
    now: i64,
    /// What no commit has taken yet.
    pending: Vec<SealedBlock>,
    acks: Vec<Lease>,
    acking: Vec<Identity>,
    stored: BTreeMap<Identity, Vec<u8>>,
    acked: BTreeSet<Identity>,
}

impl Service {
    fn commit(&mut self) -> bool {
        let done = self.ring.commit(&self.pending, &mut self.acks, self.now).is_ok();
        assert!(self.ring.books().balanced());
        if done {
            self.stored.extend(
                self.pending.drain(..).map(|block| (block.header().identity, block.bytes().to_vec())),
            );
            self.acked.extend(self.acking.drain(..));
        }
        done
    }

    fn send(&mut self, random: &mut Random) {
        let Ok(leased) = self.ring.lease(1 << random.below(17), 1 + random.below(8)) else { return };
        for block in leased {
            let identity = identity(&block.bytes);
            assert_eq!(self.stored.get(&identity), Some(&block.bytes), "{identity} is sent as it was stored");
            if random.below(3) == 0 {
                self.ring.release([block.lease]);
            } else {
                self.acks.push(block.lease);
                self.acking.push(identity);
            }
        }
    }
}

fn faults(random: &mut Random) -> Faults {
    let page = 4096 * (1 + random.below(200) as u64);
    let file = ["ring.db", "ring.db-wal"][random.below(2)].to_owned();
    match random.below(8) {
        0 => Faults { writes: true, ..Faults::default() },
        1 => Faults { reads: true, ..Faults::default() },
        2 => Faults { full: true, ..Faults::default() },
        3 | 4 => Faults { unreadable: vec![(file, page..page + 4096)], ..Faults::default() },
        5 => Faults { unreadable: vec![(file, page..u64::MAX)], ..Faults::default() },
        _ => Faults::default(),
    }
}

#[test]
fn a_service_on_a_failing_card_loses_nothing_that_it_does_not_count() {
    let (mut aside, mut lost_all, mut repeated) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut random = Random::new(1000 + seed);
        let mount = Mount::new();
        let mut source = Run::new(&mount, seed);
        let mut ring = source.ring.take().unwrap();
        ring.begin(BOOT, 0);
        let mut service = Service {
            ring,
            now: 0,
            pending: Vec::new(),
            acks: Vec::new(),
            acking: Vec::new(),
            stored: BTreeMap::new(),
            acked: BTreeSet::new(),
        };
        for step in 0..250 {
            service.now += SECOND * (1 + random.below(10) as i64);
            if random.below(8) == 0 {
                mount.disk().faults = faults(&mut random);
            }
            if service.pending.len() < 20 {
                let class = Class::ALL[random.below(Class::ALL.len())];
                let len = [100, 3000, 12_000][random.below(3)];
                service.pending.push(source.block(class, len, &mut random));
            }
            service.commit();
            service.send(&mut random);
            // Not to be tended is a service under load.
            if step % 3 == 0 {
                let _ = service.ring.tend(64, service.now);
            }
        }
        mount.disk().faults = Faults::default();
        for _ in 0..3000 {
            service.now += 30 * SECOND;
            let done = service.commit();
            if matches!(service.ring.tend(256, service.now), Ok(false)) && done {
                break;
            }
        }
        let left = drain(&mut service.ring);
        assert!(service.pending.is_empty(), "seed {seed}: it does not recover");
        for (identity, bytes) in &left {
            assert_eq!(service.stored.get(identity), Some(bytes), "seed {seed}: {identity}");
            repeated += u64::from(service.acked.contains(identity));
        }
        let gone = service.stored.keys().filter(|id| !left.contains_key(id) && !service.acked.contains(id));
        let (gone, total) = (gone.count() as u64, service.ring.books().total());
        let counted: u64 = total.evicted.iter().map(|tally| tally.blocks).sum();
        assert!(gone <= counted, "seed {seed}: {gone} blocks are gone, {counted} are counted; {total:?}");
        lost_all += gone;
        aside += std::fs::read_dir(mount.folder.path()).unwrap().count() as u64 - 1;
    }
    println!(
        "{lost_all} blocks lost and counted, {repeated} sent twice, {aside} other files left beside {SEEDS} rings"
    );
}
