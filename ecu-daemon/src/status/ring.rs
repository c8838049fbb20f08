//! What the writer says of the ring's file and of its card.

use std::path::{Path, PathBuf};
use std::time::Duration;

use store::ring::wear::LifeTime;
use store::ring::{Quarantined, SalvageReport, Tally};

/// Files set aside that are told about; the ring keeps as many.
const TOLD_MAX: usize = 4;

/// What the ring does to its card in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CardStatus {
    /// Bytes of blocks committed.
    pub payload_bytes: u64,
    /// Bytes that the writer has handed to the system for it.
    pub written_bytes: u64,
    /// Bytes written for each byte of blocks; `None` before the first one.
    pub amplification: Option<f64>,
    /// Bytes that the writer writes on a day of running; `None` in the first minute, as the other rates.
    pub per_day: Option<f64>,
    /// Bytes that the whole device was given since it appeared; `None` where there is no such device.
    pub device_written_bytes: Option<u64>,
    /// The same on a day of running.
    pub device_per_day: Option<f64>,
    /// Projected life of the card with what the writer writes, seconds of running; `None` without a rating.
    pub life_seconds: Option<f64>,
    /// The same with everything that the device is given.
    pub device_life_seconds: Option<f64>,
    /// What an eMMC says of its SLC and MLC cells.
    pub life_time: Option<[LifeTime; 2]>,
    /// How long a sealed block may wait for its commit now.
    pub commit_after: Duration,
}

/// Files set aside, and what became of them in this run.
#[derive(Clone, Debug, Default)]
pub struct SalvageStatus {
    /// Files set aside, at the start or in service.
    pub set_aside: u64,
    /// Files searched.
    pub searched: u64,
    /// Blocks that wait again.
    pub found: Tally,
    /// Blocks that waited and are lost.
    pub lost: Tally,
    /// Rows of blocks whose bytes are damaged.
    pub damaged: u64,
    /// Pages that cannot be read.
    pub unreadable_pages: u64,
    /// Times that the file was opened anew in service.
    pub reopened: u64,
    /// Files set aside that are kept now, and their bytes.
    pub kept: (usize, u64),
    told: Vec<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    path: PathBuf,
    reason: Option<String>,
    report: Option<SalvageReport>,
}

impl SalvageStatus {
    /// A file was set aside.
    pub fn set_aside(&mut self, aside: &Quarantined) {
        self.set_aside += 1;
        let told = self.tell(&aside.path);
        (told.reason, told.report) = (Some(aside.reason.clone()), None);
    }

    /// One has been searched.
    pub fn searched(&mut self, report: &SalvageReport) {
        self.searched += 1;
        self.found = self.found.plus(report.found);
        self.lost = self.lost.plus(report.lost);
        self.damaged += report.damaged;
        self.unreadable_pages += report.unreadable_pages;
        self.tell(&report.path).report = Some(report.clone());
    }

    fn tell(&mut self, path: &Path) -> &mut Told {
        if !self.told.iter().any(|told| told.path == path) {
            if self.told.len() == TOLD_MAX {
                self.told.remove(0);
            }
            self.told.push(Told { path: path.to_owned(), reason: None, report: None });
        }
        let last = self.told.len() - 1;
        let at = self.told.iter().position(|told| told.path == path).unwrap_or(last);
        &mut self.told[at]
    }

    /// The last of them in words.
    pub fn in_words(&self) -> Vec<String> {
        self.told.iter().map(ToString::to_string).collect()
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a ring file was set aside as {}", self.path.display())?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        let Some(report) = &self.report else { return f.write_str("; it is searched for blocks") };
        let SalvageReport { found, lost, damaged, .. } = report;
        write!(
            f,
            "; {} blocks with {} records were found in it and wait again, {} blocks with {} records are lost",
            found.blocks, found.records, lost.blocks, lost.records
        )?;
        if *damaged > 0 {
            write!(f, ", {damaged} blocks were damaged")?;
        }
        f.write_str(if report.removed { "; it is removed" } else { "; it is kept, with a report beside it" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_files_are_told_about_with_what_became_of_them() {
        let mut status = SalvageStatus::default();
        for number in 1..=6 {
            let path = PathBuf::from(format!("ring.db.corrupt-{number}"));
            status.set_aside(&Quarantined { path, reason: "torn".to_owned() });
        }
        let report = SalvageReport {
            path: PathBuf::from("ring.db.corrupt-6"),
            found: Tally { blocks: 3, records: 30 },
            lost: Tally { blocks: 1, records: 9 },
            ..SalvageReport::default()
        };
        status.searched(&report);
        let words = status.in_words();
        assert_eq!((words.len(), status.set_aside, status.searched), (4, 6, 1));
        assert_eq!(
            words[0],
            "a ring file was set aside as ring.db.corrupt-3 (torn); it is searched for blocks"
        );
        assert_eq!(
            words[3],
            "a ring file was set aside as ring.db.corrupt-6 (torn); 3 blocks with 30 records were found in it and wait \
             again, 1 blocks with 9 records are lost; it is kept, with a report beside it"
        );
    }
}
