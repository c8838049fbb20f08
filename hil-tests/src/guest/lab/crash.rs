//! One point in the log: the card as it was then, and what can be read of it.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::log::{SECTOR, Write};
use super::record::{Promise, Recording};
use crate::{Bench, Daemon, Mode, debian};

/// e2fsck's exit status: 1, errors were corrected; 4 and more, they were not.
const FSCK_FAILED: i32 = 4;
const CONFIG: &str = "[store]\npath = \"ring.db\"\nmax_bytes = \"16 MiB\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                      [[bus]]\nkind = \"replay\"\nname = \"none\"\nfile = \"none.log\"\n";

/// What the card makes of the writes under way when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The last one did not arrive at all.
    Clean,
    /// Some sectors of the last one arrived.
    Torn,
    /// The last one arrived as noise.
    Scrambled,
    /// Of all since the last promise, some arrived and some did not.
    Reordered,
}

impl Damage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Clean, Self::Torn, Self::Scrambled, Self::Reordered];
}

/// What was found at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What had been promised.
    pub promise: Promise,
    /// Records that the ring that was found has ever sealed; `None` when there was no readable file system.
    pub sealed: Option<u64>,
    /// Whether the ring's books balance, with nothing damaged.
    pub balanced: bool,
}

/// What was found at many points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Points.
    pub points: u64,
    /// Points at which the file system or the ring could not be used.
    pub unusable: u64,
    /// Points at which something that had been promised was missing.
    pub broken: u64,
    /// Points at which something was missing that had been taken, but not promised.
    pub lost: u64,
    /// The most records that were missing so.
    pub lost_records_max: u64,
}

impl Summary {
    /// Counts a point.
    pub fn add(&mut self, outcome: &Outcome) {
        self.points += 1;
        let sealed = outcome.sealed.unwrap_or_default();
        self.unusable += u64::from(outcome.sealed.is_none() || !outcome.balanced);
        self.broken += u64::from(sealed < outcome.promise.sealed);
        self.lost += u64::from(sealed < outcome.promise.taken);
        self.lost_records_max = self.lost_records_max.max(outcome.promise.taken.saturating_sub(sealed));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { points, unusable, broken, lost, lost_records_max } = self;
        write!(
            f,
            "{points} cuts: {unusable} unusable, {broken} with a broken promise; {lost} lost records not yet \
             promised, {lost_records_max} at most"
        )
    }
}

impl Recording {
    /// Cuts the power at this many points, spread evenly, with this damage.
    pub fn cut(&self, damage: Damage, points: usize) -> Summary {
        let mut summary = Summary::default();
        let range = self.points();
        assert!(range.len() >= points, "only {} writes were recorded", range.len());
        let mut card = self.base.clone();
        let mut applied = 0;
        for number in 0..points {
            let point = range.start + range.len() * number / points;
            for write in &self.writes[applied..point] {
                apply(&mut card, write.offset, &write.bytes);
            }
            applied = point;
            // Evenly spread numbers, and the same ones each time.
            let seed = (point as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (outcome, report) = self.look(&self.damaged(&card, point, damage, seed), point);
            summary.add(&outcome);
            if outcome.sealed.is_none_or(|sealed| sealed < outcome.promise.sealed) || !outcome.balanced {
                let Write { offset, bytes } = &self.writes[point];
                crate::say(&format!(
                    "cut at write {point} ({} bytes at {offset}), {damage:?}: {outcome:?}\n{report}",
                    bytes.len()
                ));
            }
        }
        summary
    }

    /// The card with all writes before `point`, and what became of those under way.
    fn damaged(&self, card: &[u8], point: usize, damage: Damage, mut seed: u64) -> Vec<u8> {
        let mut damaged = card.to_vec();
        let last = &self.writes[point];
        match damage {
            Damage::Clean => {}
            Damage::Torn => {
                let sectors = last.bytes.len() / SECTOR;
                let kept = random(&mut seed) as usize % (sectors + 1) * SECTOR;
                apply(&mut damaged, last.offset, &last.bytes[..kept]);
            }
            Damage::Scrambled => {
                let noise: Vec<u8> = last.bytes.iter().map(|_| random(&mut seed) as u8).collect();
                apply(&mut damaged, last.offset, &noise);
            }
            Damage::Reordered => {
                let first = self.promise_at(point).entries as usize;
                damaged.clone_from(&self.base);
                for (index, write) in self.writes[..=point].iter().enumerate() {
                    if index < first || random(&mut seed).is_multiple_of(2) {
                        apply(&mut damaged, write.offset, &write.bytes);
                    }
                }
            }
        }
        damaged
    }

    /// Checks the file system, takes the ring out, and has the daemon open it. Gives what e2fsck and the daemon said,
    /// too.
    fn look(&self, card: &[u8], point: usize) -> (Outcome, String) {
        let promise = self.promise_at(point);
        let bench = Bench::new("cut");
        let (folder, image) = (bench.folder(), bench.folder().join("card.img"));
        fs::write(&image, card).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
        let checked = output(Command::new(debian("e2fsck", "e2fsprogs")).arg("-fy").arg(&image));
        let mut report = String::from_utf8_lossy(&checked.stdout).into_owned();
        let unusable = Outcome { promise, sealed: None, balanced: false };
        if checked.status.code().is_none_or(|code| code >= FSCK_FAILED) {
            return (unusable, report);
        }
        for file in ["ring.db", "ring.db-wal"] {
            let request = format!("dump /{file} {}", folder.join(file).display());
            output(Command::new(debian("debugfs", "e2fsprogs")).args(["-R", &request]).arg(&image));
        }
        let outcome = look_into_ring(&bench, folder, promise, &mut report).unwrap_or(unusable);
        (outcome, report)
    }
}

fn look_into_ring(bench: &Bench, folder: &Path, promise: Promise, report: &mut String) -> Option<Outcome> {
    fs::write(folder.join("none.log"), "").unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut daemon = Daemon::start(bench, CONFIG, Mode::Service);
    let metrics = daemon.metrics();
    report.push_str(&daemon.log());
    let metrics = metrics?;
    let ring = |state| metrics.sum("ecu_daemon_ring_records_total", &[("state", state)]);
    let waiting = metrics.sum("ecu_daemon_ring_waiting_records", &[]);
    let damaged = ring("evicted_damaged");
    let sealed = ring("sealed");
    let balanced = sealed == ring("acked") + waiting + ring("evicted_full") + damaged && damaged == 0;
    daemon.kill();
    Some(Outcome { promise, sealed: Some(sealed), balanced })
}

fn apply(card: &mut [u8], offset: usize, bytes: &[u8]) {
    card[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Random enough, and the same each time (xorshift64).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
}
