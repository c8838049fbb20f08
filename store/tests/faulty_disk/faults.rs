//! Faults in service and at start: what can be read goes on, what cannot is counted, and nobody has to delete a file.

use std::collections::BTreeMap;
use std::fs;

use store::block::{Class, Identity};
use store::ring::{EvictReason, Notice, RingError, RingFile, SalvageReport, open_or_quarantine_with};

use super::disk::{Mount, Random};
use super::model::{Run, drain, retention};

const SECOND: i64 = 1_000_000_000;
const PAGE: u64 = 4096;

/// A ring with so many blocks of 3 KB that wait, closed.
fn filled(mount: &Mount, blocks: usize, random: &mut Random) -> BTreeMap<Identity, Vec<u8>> {
    let mut run = Run::new(mount, random.next());
    for _ in 0..blocks {
        let class = Class::ALL[random.below(Class::ALL.len())];
        let len = 2000 + random.below(2000);
        let block = run.block(class, len, random);
        assert!(run.store(&[block]));
    }
    run.ring.take().unwrap().close().unwrap();
    run.held.waiting
}

/// Has the ring tended until there is nothing more to look for.
fn salvaged(ring: &mut RingFile, now: &mut i64) -> Vec<SalvageReport> {
    for _ in 0..10_000 {
        *now += SECOND;
        if !ring.tend(64, *now).unwrap() {
            break;
        }
        assert!(ring.books().balanced(), "{:?}", ring.books());
    }
    let reports = ring.take_notices().into_iter().filter_map(|notice| match notice {
        Notice::Salvaged(report) => Some(report),
        _ => None,
    });
    reports.collect()
}

fn is_part_of(waiting: &BTreeMap<Identity, Vec<u8>>, stored: &BTreeMap<Identity, Vec<u8>>) {
    for (identity, bytes) in waiting {
        assert_eq!(stored.get(identity), Some(bytes), "{identity}");
    }
}

#[test]
fn a_card_that_was_taken_out_is_let_go_and_found_again() {
    let mut random = Random::new(11);
    let mount = Mount::new();
    let mut stored = filled(&mount, 20, &mut random);
    let mut run = Run::new(&mount, 12);
    let away = mount.ring().with_extension("away");
    for _ in 0..2 {
        mount.disk().faults.writes = true;
        fs::rename(mount.ring(), &away).unwrap();
        let block = run.block(Class::Live, 3000, &mut random);
        for second in 0..30 {
            let ring = run.ring.as_mut().unwrap();
            let error =
                ring.commit(std::slice::from_ref(&block), &mut Vec::new(), second * SECOND).unwrap_err();
            assert!(matches!(error, RingError::Gone(_)), "{error}");
            // Not even when something can be written there.
            mount.disk().faults.writes = second < 10;
            assert!(!mount.ring().exists(), "no other file takes its place");
        }
        fs::rename(&away, mount.ring()).unwrap();
        assert!(run.store(std::slice::from_ref(&block)));
        stored.insert(block.header().identity, block.bytes().to_vec());
        assert!(run.ring.as_ref().unwrap().books().balanced());
    }
    assert_eq!(drain(run.ring.as_mut().unwrap()), stored);
}

#[test]
fn a_page_that_cannot_be_read_holds_up_nothing_but_itself() {
    let mut random = Random::new(1);
    let mount = Mount::new();
    let stored = filled(&mount, 200, &mut random);
    let mut ring = RingFile::open_with(&mount.ring(), retention()).unwrap();
    // Overflow pages in the middle of the file: they belong to some blocks.
    mount.disk().faults.unreadable = vec![("ring.db".to_owned(), 100 * PAGE..103 * PAGE)];
    let readable = drain(&mut ring);
    is_part_of(&readable, &stored);
    let missing = stored.len() - readable.len();
    assert!((1..=12).contains(&missing), "{missing} blocks are not readable");
    assert_eq!(ring.parked(), missing);

    // The card is read while they are tried again: in two minutes they are given up.
    let mut run_out = 0;
    for second in 1..400 {
        ring.commit(&[], &mut Vec::new(), second * SECOND).unwrap();
        let again = drain(&mut ring);
        assert!(again.len() <= readable.len());
        if run_out == 0 && ring.parked() == 0 {
            run_out = second;
        }
    }
    assert!((60..300).contains(&run_out), "given up after {run_out} s");
    let total = ring.books().total();
    assert_eq!(total.evicted[EvictReason::Unreadable as usize].blocks, missing as u64);
    assert!(ring.books().balanced());
}

#[test]
fn a_card_that_gives_nothing_back_for_a_while_costs_nothing() {
    let mut random = Random::new(2);
    let mount = Mount::new();
    let stored = filled(&mount, 300, &mut random);
    let mut ring = RingFile::open_with(&mount.ring(), retention()).unwrap();
    let mut failures = 0;
    for second in 1..50 {
        mount.disk().faults.reads = true;
        failures += u64::from(ring.lease(1 << 20, 100).is_err());
        let _ = ring.commit(&[], &mut Vec::new(), second * SECOND);
    }
    assert!(failures > 10, "{failures} leases failed");
    mount.disk().faults.reads = false;
    ring.commit(&[], &mut Vec::new(), 60 * SECOND).unwrap();
    // What was tried has a pause of up to a minute.
    ring.commit(&[], &mut Vec::new(), 130 * SECOND).unwrap();
    assert_eq!(drain(&mut ring), stored);
    assert!(!ring.take_notices().iter().any(|notice| matches!(notice, Notice::SetAside(_))));
}

#[test]
fn a_ring_whose_pages_fail_in_service_is_replaced_and_salvaged() {
    let mut random = Random::new(3);
    let mount = Mount::new();
    let mut run = Run::new(&mount, 3);
    for _ in 0..100 {
        let block = run.block(Class::Live, 3000, &mut random);
        assert!(run.store(&[block]));
    }
    // Acknowledged ones are not looked for.
    assert!(run.lease(20_000) && run.acknowledge(5, &mut random));
    let mut ring = run.ring.take().unwrap();
    ring.close().unwrap();
    ring = RingFile::open_with(&mount.ring(), retention()).unwrap();
    let before = *ring.books();
    // All but the first page: no commit is possible.
    mount.disk().faults.unreadable = vec![("ring.db".to_owned(), PAGE..u64::MAX)];
    let block = run.block(Class::Critical, 500, &mut random);
    let mut seconds = 0;
    while ring.commit(std::slice::from_ref(&block), &mut Vec::new(), run.now + seconds * SECOND).is_err() {
        seconds += 1;
        assert!(seconds < 200, "it does not recover");
        if ring.take_notices().iter().any(|notice| matches!(notice, Notice::SetAside(_))) {
            // The fresh file lies elsewhere on the card.
            mount.disk().faults.unreadable.clear();
        }
    }
    assert!(seconds >= 60, "replaced after {seconds} s: it might have passed");
    let now = *ring.books();
    assert_eq!(now.total().sealed.blocks, before.total().sealed.blocks + 1, "the books go on");
    assert_eq!(now.total().waiting.blocks, before.total().waiting.blocks + 1);
    assert!(now.balanced());
    let mut time = run.now + seconds * SECOND;
    let reports = salvaged(&mut ring, &mut time);
    assert_eq!(reports.len(), 1);
    let mut stored = run.held.waiting;
    stored.insert(block.header().identity, block.bytes().to_vec());
    assert_eq!(drain(&mut ring), stored);
    assert!(reports[0].removed && !reports[0].path.exists(), "{}", reports[0]);
    assert_eq!(ring.books().total().waiting.blocks, stored.len() as u64);
    assert_eq!(ring.books().total().salvaged.blocks, 0, "they were in the books all the time");
}

#[test]
fn a_page_that_cannot_be_read_at_start_does_not_keep_it_from_starting() {
    for (what, file, bytes) in [
        ("the first page", "ring.db", 0..PAGE),
        ("the head of the -wal", "ring.db-wal", 0..32),
        ("the midst of the -wal", "ring.db-wal", 40_000..41_000),
    ] {
        let mut random = Random::new(4);
        let mount = Mount::new();
        let mut run = Run::new(&mount, 4);
        for _ in 0..60 {
            let block = run.block(Class::Live, 3000, &mut random);
            assert!(run.store(&[block]));
        }
        mount.disk().is_dead = true;
        run.crash();
        mount.disk().power_on(super::disk::Loss::All, &mut random);
        mount.disk().faults.unreadable = vec![(file.to_owned(), bytes)];
        let (mut ring, aside) = open_or_quarantine_with(&mount.ring(), retention()).unwrap();
        let aside = aside.unwrap_or_else(|| panic!("{what}: it is not set aside"));
        assert!(aside.path.exists(), "{what}");
        mount.disk().faults.unreadable.clear();
        // It records at once.
        let block = run.block(Class::Live, 3000, &mut random);
        ring.commit(&[block], &mut Vec::new(), 0).unwrap();
        let reports = salvaged(&mut ring, &mut 0);
        assert_eq!(reports.len(), 1, "{what}");
        let total = ring.books().total();
        assert_eq!((total.waiting.blocks, total.salvaged.blocks), (61, 60), "{what}: {}", reports[0]);
    }
}

/// Any one page of the database holds noise: the ring opens, what it sends is what was stored, what it loses is counted,
/// and little is lost.
#[test]
fn noise_in_any_page_costs_little_and_is_counted() {
    let (mut aside, mut lost_most, mut lost_all) = (0, 0, 0);
    let mut random = Random::new(5);
    let mount = Mount::new();
    let stored = filled(&mount, 150, &mut random);
    let image = fs::read(mount.ring()).unwrap();
    let pages = image.len() / PAGE as usize;
    let block = Run::new(&mount, 9).block(Class::Live, 3000, &mut random);
    drop(mount);
    for page in 0..pages {
        let mount = Mount::new();
        let mut damaged = image.clone();
        let noise = &mut damaged[page * PAGE as usize..][..PAGE as usize];
        noise.fill_with(|| random.next() as u8);
        fs::write(mount.ring(), &damaged).unwrap();
        let (mut ring, quarantined) = open_or_quarantine_with(&mount.ring(), retention()).unwrap();
        aside += u64::from(quarantined.is_some());
        // A service goes on, tries again what fails, and salvages.
        let mut now = 0;
        let stores =
            |ring: &mut RingFile| ring.commit(std::slice::from_ref(&block), &mut Vec::new(), 0).is_ok();
        assert!((0..4).any(|_| stores(&mut ring)), "page {page}: it does not recover");
        let mut waiting = BTreeMap::new();
        for _ in 0..3 {
            salvaged(&mut ring, &mut now);
            waiting.append(&mut drain_all(&mut ring, page));
        }
        assert!(waiting.remove(&block.header().identity).is_some(), "page {page}: what was stored last");
        is_part_of(&waiting, &stored);
        let lost = stored.len() - waiting.len();
        let books = *ring.books();
        assert!(books.balanced(), "page {page}: {books:?}");
        assert_eq!(
            books.total().waiting.blocks,
            waiting.len() as u64 + 1,
            "page {page}: {:?}",
            books.total()
        );
        lost_most = lost_most.max(lost);
        lost_all += lost;
    }
    println!(
        "{pages} pages: {aside} files set aside at start; {lost_most} of 150 blocks lost at most, {lost_all} in all"
    );
    assert!(lost_most <= 10, "{lost_most} blocks lost with one page");
}

/// Drains, with as many tries as it takes to notice that something is wrong.
fn drain_all(ring: &mut RingFile, page: usize) -> BTreeMap<Identity, Vec<u8>> {
    for _ in 0..5 {
        if let Ok(leased) = ring.lease(1, 1) {
            ring.release(leased.into_iter().map(|block| block.lease));
            return drain(ring);
        }
    }
    panic!("page {page}: it does not recover")
}

#[test]
fn blocks_that_cannot_be_removed_do_not_stop_the_others_from_coming() {
    let mut random = Random::new(6);
    let mount = Mount::new();
    let mut run = Run::new(&mount, 6);
    while run.ring.as_ref().unwrap().books().total().evicted[0].blocks == 0 {
        let block = run.block(Class::Live, 30_000, &mut random);
        assert!(run.store(&[block]));
    }
    run.ring.take().unwrap().close().unwrap();
    let mut ring = RingFile::open_with(&mount.ring(), retention()).unwrap();
    mount.disk().faults.unreadable = vec![("ring.db".to_owned(), 200 * PAGE..202 * PAGE)];
    for _ in 0..400 {
        let block = run.block(Class::Live, 30_000, &mut random);
        ring.commit(&[block], &mut Vec::new(), 0).unwrap();
        assert!(ring.books().balanced());
    }
    let (used, bound) = ring.fill();
    assert!(used <= bound);
}

#[test]
fn a_card_that_is_full_or_read_only_for_a_while_gets_everything_once_it_is_not() {
    let mut random = Random::new(7);
    for full in [true, false] {
        let mount = Mount::new();
        let mut run = Run::new(&mount, 7);
        let mut pending = Vec::new();
        for second in 0..200_i64 {
            let is_bad = (20..120).contains(&second);
            (mount.disk().faults.full, mount.disk().faults.writes) = (full && is_bad, !full && is_bad);
            pending.push(run.block(Class::Live, 2000, &mut random));
            let ring = run.ring.as_mut().unwrap();
            if ring.commit(&pending, &mut Vec::new(), second * SECOND).is_ok() {
                pending.clear();
            }
            assert_eq!(pending.is_empty(), !is_bad, "second {second}");
        }
        let ring = run.ring.as_mut().unwrap();
        assert_eq!(drain(ring).len(), 200);
        assert!(!ring.take_notices().iter().any(|notice| matches!(notice, Notice::SetAside(_))));
    }
}
