//! Many points in the log: the card as it was then, and what can be read of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::content::read_all;
use super::damage::{Damage, apply};
use super::log::Write;
use super::promise::{Books, Fault, faults, waiting_rows};
use super::record::Recording;
use super::scenario::{RING, RING_BYTES};
use super::start::{start_here, start_in_guest};
use super::summary::Summary;
use crate::{Bench, Daemon, Mode, debian, say};

/// e2fsck's exit status: 1, errors were corrected; 4 and more, they were not.
const FSCK_FAILED: i32 = 4;
const FILES: [&str; 2] = ["ring.db", "ring.db-wal"];
const CONFIG: &str = "[store]\npath = \"ring.db\"\nmax_bytes = \"{ring}\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                      [[bus]]\nkind = \"replay\"\nname = \"none\"\nfile = \"none.log\"\n";
/// What the daemon says when it had to set the ring aside.
const SET_ASIDE: &str = "ring.db.corrupt-1";
/// Cuts that are described one by one, when they break a promise; the rest are counted.
const REPORTS_MAX: u64 = 3;

/// How many cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Points: half of them spread evenly, half where most can go wrong.
    pub points: usize,
    /// At how many of them the daemon goes on recording on this machine, and sends what waits.
    pub starts: usize,
    /// At how many it does so in a guest that has the damaged card: no file system check, the kernel recovers it. Never
    /// where a write is noise: that may be in a block of the file system itself, which only a check repairs.
    pub boots: usize,
}

/// What was found at one point.
struct Found {
    books: Option<Books>,
    faults: Vec<Fault>,
    /// From the start of the process to the first records on the card, where it was started.
    first_stored: Duration,
    /// What e2fsck and the daemon said.
    report: String,
}

impl Recording {
    /// Cuts the power at many points with this damage.
    ///
    /// # Panics
    /// When fewer points were recorded, or a program of the bench does not run.
    pub fn cut(&self, damage: Damage, plan: &Plan) -> Summary {
        let mut summary = Summary::new(self.scenario, damage);
        let began = Instant::now();
        let mut settled = self.base.clone();
        let mut applied = 0;
        for (number, point) in self.chosen(plan.points).into_iter().enumerate() {
            let unsettled = damage.unsettled(&self.writes, point);
            for Write { offset, bytes, .. } in &self.writes[applied..unsettled.start] {
                apply(&mut settled, *offset, bytes);
            }
            applied = unsettled.start;
            let mut card = settled.clone();
            // Evenly spread numbers, and the same ones each time.
            let seed = (point as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            damage.strike(&mut card, &self.writes[unsettled], seed);
            let start = is_among(number, plan.starts, plan.points);
            let boot = damage != Damage::Scrambled && is_among(number, plan.boots, plan.points);
            let found = self.look(&card, point, start, boot);
            summary.starts += u64::from(start) + u64::from(boot);
            let books = found.books.unwrap_or_default();
            let after = self.promise_after(point);
            let missing = (self.opened.sealed + after.taken).saturating_sub(books.sealed);
            let repeated = (self.opened.acked + after.arrived).saturating_sub(books.acked);
            summary.first_stored_max = summary.first_stored_max.max(found.first_stored);
            summary.add(&found.faults, missing, repeated);
            if !found.faults.is_empty() && summary.broken <= REPORTS_MAX && damage != Damage::Lying {
                self.describe(damage, point, &found);
            }
        }
        summary.elapsed = began.elapsed();
        summary
    }

    fn describe(&self, damage: Damage, point: usize, found: &Found) {
        let Write { offset, bytes, .. } = &self.writes[point];
        let Found { books, faults, report, .. } = found;
        say(&format!(
            "cut at write {point} ({} bytes at {offset}), {damage:?}: {faults:?}\nfound {books:?}\npromised {:?}\n\
             {report}",
            bytes.len(),
            self.promise_at(point)
        ));
    }

    /// Checks the file system, takes the ring out, has the daemon open it and, where asked, go on with it.
    fn look(&self, card: &[u8], point: usize, start: bool, boot: bool) -> Found {
        let promise = self.promise_at(point);
        let bench = Bench::new("cut");
        let mut found = Found {
            books: None,
            faults: vec![Fault::Unusable],
            first_stored: Duration::ZERO,
            report: String::new(),
        };
        if !check_and_extract(card, bench.folder(), &mut found.report) {
            return found;
        }
        // As it was found: the daemon that opens it would write.
        let content = read_all(&bench.folder().join(FILES[0]));
        let content = content.and_then(|numbers| numbers.check_whole(&self.arrived.numbers(&self.boot)));
        let rows = waiting_rows(bench.folder(), &FILES);
        let mut daemon = Daemon::start(&bench, &CONFIG.replace("{ring}", RING), Mode::Service);
        let metrics = daemon.metrics();
        found.report.push_str(&daemon.log());
        let Some(metrics) = metrics else { return found };
        daemon.kill();
        let books = Books::read(&metrics);
        found.books = Some(books);
        found.faults = faults(&books, rows.as_ref().ok().copied(), &promise.books, &self.most());
        if let Err(report) = rows {
            found.faults.push(Fault::Unreadable);
            found.report.push_str(&report);
        }
        if bench.folder().join(SET_ASIDE).exists() {
            found.faults.insert(0, Fault::Unusable);
        }
        let bytes: u64 =
            FILES.iter().filter_map(|file| fs::metadata(bench.folder().join(file)).ok()?.len().into()).sum();
        if bytes > RING_BYTES {
            found.faults.push(Fault::Overgrown);
        }
        if let Err(report) = content {
            found.faults.push(Fault::Unreadable);
            found.report.push_str(&report);
        }
        let mut goes_on = Ok(());
        if start {
            goes_on = start_here(self, &bench, &mut daemon, books).map(|after| found.first_stored = after);
        }
        if boot {
            goes_on = goes_on.and_then(|()| start_in_guest(self, card, &promise.books));
        }
        if let Err(report) = goes_on {
            found.faults.push(Fault::Stuck);
            found.report.push_str(&report);
        }
        found
    }
}

/// Whether a number below `of` is one of `some` that are spread evenly.
fn is_among(number: usize, some: usize, of: usize) -> bool {
    (number + 1) * some / of != number * some / of
}

/// Has e2fsck repair a card, and copies the ring's files off it. False when it cannot be repaired.
fn check_and_extract(card: &[u8], folder: &Path, report: &mut String) -> bool {
    let image = folder.join("card.img");
    fs::write(&image, card).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    let checked = output(Command::new(debian("e2fsck", "e2fsprogs")).arg("-fy").arg(&image));
    report.push_str(&String::from_utf8_lossy(&checked.stdout));
    if checked.status.code().is_none_or(|code| code >= FSCK_FAILED) {
        return false;
    }
    for file in FILES {
        debugfs(&image, &format!("dump /{file} {}", folder.join(file).display()));
    }
    let empty = folder.join("none.log");
    fs::write(&empty, "").unwrap_or_else(|error| panic!("{}: {error}", empty.display()));
    true
}

/// Which of the writes `points` went into the database itself rather than the -wal or the file system's own blocks: by them
/// the -wal is folded in. `card` is as all writes left it.
pub(super) fn folding_writes(card: &[u8], writes: &[Write], points: Vec<usize>) -> Vec<usize> {
    let bench = Bench::new("folded");
    assert!(check_and_extract(card, bench.folder(), &mut String::new()), "the card after the run is damaged");
    let image = bench.folder().join("card.img");
    let stats = debugfs(&image, "show_super_stats -h");
    let size = stats.lines().find_map(|line| line.strip_prefix("Block size:")?.trim().parse::<usize>().ok());
    let size = size.unwrap_or_else(|| panic!("debugfs tells no block size: {stats}"));
    let blocks = debugfs(&image, "blocks /ring.db");
    let blocks: Vec<usize> = blocks.split_ascii_whitespace().filter_map(|block| block.parse().ok()).collect();
    points.into_iter().filter(|&point| blocks.contains(&(writes[point].offset / size))).collect()
}

/// What debugfs answers.
pub(super) fn debugfs(image: &Path, request: &str) -> String {
    let answer = output(Command::new(debian("debugfs", "e2fsprogs")).args(["-R", request]).arg(image));
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_spread_evenly() {
        for (some, of, expected) in [
            (0, 4, vec![]),
            (1, 4, vec![3]),
            (2, 4, vec![1, 3]),
            (4, 4, vec![0, 1, 2, 3]),
            (2, 5, vec![2, 4]),
        ] {
            let among: Vec<usize> = (0..of).filter(|&number| is_among(number, some, of)).collect();
            assert_eq!(among, expected, "{some} of {of}");
        }
    }
}
