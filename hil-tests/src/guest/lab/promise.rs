//! What the daemon had promised, and what may not be found instead.

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

    /// Whether every record is accounted for, and none was damaged.
    pub fn balanced(&self) -> bool {
        self.sealed == self.acked + self.waiting + self.evicted && self.damaged == 0
    }
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

/// Compares what was found with what was promised, and with `most`, which nothing can exceed.
pub(super) fn faults(found: &Books, promised: &Books, most: &Books) -> Vec<Fault> {
    let checks = [
        (Fault::Lost, found.sealed < promised.sealed),
        (Fault::Returned, found.acked < promised.acked),
        (Fault::Forgotten, found.evicted < promised.evicted),
        (Fault::Unbalanced, !found.balanced()),
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
            assert_eq!(faults(&found, &promised, &most), expected, "{found:?}");
        }
    }

    #[test]
    fn faults_are_numbered_as_listed() {
        assert!(Fault::ALL.iter().enumerate().all(|(number, &fault)| fault as usize == number));
    }
}
