//! What the daemon had promised, and what may not be found instead.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::Metrics;

/// The ring's books, in records of all classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Committed since the file was made.
    pub sealed: u64,
    /// Of these: acknowledged by the broker, and that noted in the file.
    pub acked: u64,
    /// Still to be sent, by the books in the file.
    pub waiting: u64,
    /// Gone because the ring was full.
    pub evicted: u64,
    /// Gone because their bytes were damaged.
    pub damaged: u64,
}

impl Books {
    /// As `/metrics` has them.
    pub(super) fn read(metrics: &Metrics) -> Self {
        let ring = |state| metrics.sum("ecu_daemon_ring_records_total", &[("state", state)]);
        Self {
            sealed: ring("sealed"),
            acked: ring("acked"),
            waiting: metrics.sum("ecu_daemon_ring_waiting_records", &[]),
            evicted: ring("evicted_full"),
            damaged: ring("evicted_damaged"),
        }
    }

    /// Whether every record is accounted for, and none was damaged. Nobody's word is taken for what waits: `rows` are the
    /// records that [`waiting_rows`] found.
    pub fn holds(&self, rows: u64) -> bool {
        self.balanced() && self.waiting == rows
    }

    /// Whether every record is accounted for by the books themselves, and none was damaged.
    pub fn balanced(&self) -> bool {
        self.sealed == self.acked + self.waiting + self.evicted && self.damaged == 0
    }
}

/// Records of the rows that wait and have a body, counted in the ring's files in this folder, which stay as they are.
/// An error says why that cannot be.
pub(super) fn waiting_rows(folder: &Path, files: &[&str]) -> Result<u64, String> {
    let copies = folder.join("counted");
    let failed = |error: &dyn std::fmt::Display| {
        format!("the rows of {} cannot be counted: {error}", folder.display())
    };
    fs::create_dir_all(&copies).map_err(|error| failed(&error))?;
    // SQLite writes where it reads: it folds the -wal in.
    for file in files.iter().filter(|file| folder.join(file).exists()) {
        fs::copy(folder.join(file), copies.join(file)).map_err(|error| failed(&error))?;
    }
    let ring = Connection::open(copies.join(files[0])).map_err(|error| failed(&error))?;
    // States and columns are those of store/src/ring/tables.rs.
    let count = "SELECT coalesce(sum(records), 0) FROM block JOIN body USING (id)
                 WHERE state = 0 AND length(bytes) = len";
    let rows = ring.query_row(count, [], |row| row.get(0)).map_err(|error| failed(&error))?;
    drop(ring);
    fs::remove_dir_all(&copies).map_err(|error| failed(&error))?;
    Ok(rows)
}

/// What the daemon had promised when the log had so many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Writes and flushes that the card had taken when the daemon had said this.
    pub(super) entries: usize,
    /// Its books: they are brought up to date after each commit.
    pub books: Books,
    /// Records that it had taken since it was started, committed or not. It does not promise these; a laboratory that
    /// does not see them missing sees nothing.
    pub taken: u64,
    /// Records that the gateway had.
    pub(super) arrived: u64,
}

/// What may not be found after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file system, or the ring, cannot be used, or was set aside as damaged.
    Unusable,
    /// Committed records are missing.
    Lost,
    /// Records whose acknowledgement was committed would be sent again. (One that is not committed yet costs a
    /// repetition, at most those of the last 10 s.)
    Returned,
    /// Losses to a full ring that were counted are not counted any more.
    Forgotten,
    /// The books do not balance with the rows: a record vanished without being acknowledged or counted as evicted.
    Unbalanced,
    /// More was committed than was ever taken, or acknowledged than ever arrived, or evicted than ever was.
    Invented,
    /// A block does not open, or a frame is missing that is older than one in the ring and did not arrive.
    Unreadable,
    /// The ring's files exceed `max_bytes`.
    Overgrown,
    /// Started, the daemon does not go on recording, or what waited does not arrive whole and once.
    Stuck,
}

impl Fault {
    /// All of them, as they are numbered.
    pub const ALL: [Self; 9] = [
        Self::Unusable,
        Self::Lost,
        Self::Returned,
        Self::Forgotten,
        Self::Unbalanced,
        Self::Invented,
        Self::Unreadable,
        Self::Overgrown,
        Self::Stuck,
    ];

    /// Its name in the summary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unusable => "unusable",
            Self::Lost => "lost",
            Self::Returned => "returned",
            Self::Forgotten => "forgotten",
            Self::Unbalanced => "unbalanced",
            Self::Invented => "invented",
            Self::Unreadable => "unreadable",
            Self::Overgrown => "overgrown",
            Self::Stuck => "stuck",
        }
    }
}

/// Compares what was found with what was promised, and with `most`, which nothing can exceed. `rows` are the records that
/// wait by the rows themselves, where these were counted.
pub(super) fn faults(found: &Books, rows: Option<u64>, promised: &Books, most: &Books) -> Vec<Fault> {
    let checks = [
        (Fault::Lost, found.sealed < promised.sealed),
        (Fault::Returned, found.acked < promised.acked),
        (Fault::Forgotten, found.evicted < promised.evicted),
        (Fault::Unbalanced, !found.holds(rows.unwrap_or(found.waiting))),
        (
            Fault::Invented,
            found.sealed > most.sealed || found.acked > most.acked || found.evicted > most.evicted,
        ),
    ];
    checks.into_iter().filter_map(|(fault, is)| is.then_some(fault)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_promise_has_its_name() {
        let books = |sealed, acked, waiting, evicted| Books { sealed, acked, waiting, evicted, damaged: 0 };
        let promised = books(100, 40, 50, 10);
        let most = books(120, 60, 0, 20);
        for (found, expected) in [
            (promised, vec![]),
            // Later commits may be there, too.
            (books(120, 60, 40, 20), vec![]),
            (books(99, 40, 49, 10), vec![Fault::Lost]),
            (books(100, 39, 51, 10), vec![Fault::Returned]),
            (books(100, 40, 51, 9), vec![Fault::Forgotten]),
            (books(100, 40, 49, 10), vec![Fault::Unbalanced]),
            (Books { waiting: 49, damaged: 1, ..promised }, vec![Fault::Unbalanced]),
            (books(121, 40, 71, 10), vec![Fault::Invented]),
            (books(100, 61, 29, 10), vec![Fault::Invented]),
            (books(100, 40, 39, 21), vec![Fault::Invented]),
            (Books::default(), vec![Fault::Lost, Fault::Returned, Fault::Forgotten]),
        ] {
            assert_eq!(faults(&found, Some(found.waiting), &promised, &most), expected, "{found:?}");
        }
        // Books that balance and do not say what is there.
        assert_eq!(faults(&promised, Some(49), &promised, &most), [Fault::Unbalanced]);
        assert_eq!(faults(&promised, None, &promised, &most), []);
    }

    #[test]
    fn rows_that_wait_and_have_their_bytes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Connection::open(folder.path().join("ring.db")).unwrap();
        ring.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE block (id INTEGER PRIMARY KEY, state INTEGER, records INTEGER, len INTEGER);
             CREATE TABLE body (id INTEGER PRIMARY KEY, bytes BLOB);
             INSERT INTO block VALUES (1, 0, 10, 3), (2, 0, 100, 3), (3, 1, 1000, 3), (4, 0, 10000, 4), (5, 0, 1, 3);
             INSERT INTO body VALUES (1, x'010203'), (2, x'010203'), (3, x'010203'), (4, x'010203');",
        )
        .unwrap();
        // The -wal has it all, and stays.
        assert_eq!(waiting_rows(folder.path(), &["ring.db", "ring.db-wal"]), Ok(110));
        assert!(waiting_rows(folder.path(), &["ring.db"]).is_err(), "without the -wal there are no tables");
        assert_eq!(ring.query_row("SELECT count(*) FROM block", [], |row| row.get(0)), Ok(5));
    }

    #[test]
    fn faults_are_numbered_as_listed() {
        assert!(Fault::ALL.iter().enumerate().all(|(number, &fault)| fault as usize == number));
    }
}
