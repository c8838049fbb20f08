//! The ring's file: one SQLite database in WAL mode with one owner.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::aside::{self, Quarantined};
use super::lease::Parked;
use super::open::{RingError, abandon, connect, fault};
use super::salvage::{Salvage, SalvageReport};
use super::schema::insert_schema;
use super::tables::{Known, VERSION};
use super::trouble::{Fault, Remedy, Trouble};
use super::{Books, Retention, RunClock};
use crate::block::{BootId, DictionaryHash, SchemaHash, SealedBlock};

/// States of a block in the file.
pub(super) const WAITING: i64 = 0;
pub(super) const ACKED: i64 = 1;
/// Damaged or unreadable: its row stays so that its pages are not given to others, who would be damaged, too.
pub(super) const LOST: i64 = 2;

/// The -wal file may grow this far beyond the database before it is folded in.
const WAL_BYTES: u64 = 8 << 20;
/// The smallest sensible bound: the -wal, and a database that holds a few blocks of the largest size.
const BYTES_MIN: u64 = WAL_BYTES + (8 << 20);
/// Tables, indices and books take a few pages whatever the blocks are.
const OVERHEAD_BYTES: u64 = 256 << 10;
/// Notices kept until somebody takes them.
const NOTICES_MAX: usize = 64;

/// The open ring. The file is locked for as long as it lives.
pub struct RingFile {
    /// `None` while the file cannot be opened again.
    pub(super) connection: Option<Connection>,
    pub(super) path: PathBuf,
    pub(super) retention: Retention,
    /// Bound of the database file alone, bytes.
    pub(super) bytes_max: u64,
    /// What the ring holds, as of the last commit.
    pub(super) known: Known,
    /// The same as the file's books have it: they lag behind rows that were only added.
    pub(super) in_file: Known,
    pub(super) clock: RunClock,
    /// The session with the broker; in the file with the next commit.
    pub(super) session: Option<String>,
    /// Blocks under way: they are neither sent twice nor evicted.
    pub(super) leased: BTreeSet<i64>,
    /// Recently acknowledged blocks with the ring's time of the acknowledgement, oldest first.
    pub(super) recent: VecDeque<(i64, i64)>,
    /// Blocks that could not be read lately.
    pub(super) parked: BTreeMap<i64, Parked>,
    /// Blocks whose bytes were read, since the file was opened.
    pub(super) reads: u64,
    /// Blocks whose removal failed: their pages stay as they are.
    pub(super) undeletable: BTreeSet<i64>,
    pub(super) trouble: Trouble,
    pub(super) salvage: Option<Salvage>,
    /// Whether there may be files set aside that nobody has searched.
    pub(super) may_salvage: bool,
    /// The schema stored last, for the file that may have to take this one's place.
    pub(super) schema: Option<(SchemaHash, SealedBlock)>,
    /// The dictionaries in use, for the same.
    pub(super) dictionaries: Vec<(DictionaryHash, SealedBlock)>,
    pub(super) notices: VecDeque<Notice>,
    /// Whether what was in the -wal when it was opened has been folded in.
    is_settled: bool,
    /// Whether the file at `path` is a fresh one that has to take over the books.
    carry: bool,
}

/// Something that whoever runs the ring should tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The file was set aside in service, and a fresh one took its place.
    SetAside(Quarantined),
    /// The file was closed and opened again, because nothing worked on it any more.
    Reopened,
    /// A file set aside has been searched.
    Salvaged(SalvageReport),
    /// A block is given up: it cannot be read (`true`), or what is read is damaged.
    GivenUp {
        /// Its row.
        id: i64,
        /// Records in it.
        records: u32,
        /// Whether the card did not give it back.
        unreadable: bool,
    },
}

impl RingFile {
    /// Opens or makes the ring at `path` with the defaults of [`Retention::new`]; database and -wal together stay within
    /// `bytes_max` (at least 16 MiB).
    ///
    /// # Errors
    /// [`RingError`]: not writable, owned by another process, damaged, or not a ring.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, RingError> {
        Self::open_with(path, Retention::new(bytes_max))
    }

    /// The same with other bounds.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, retention: Retention) -> Result<Self, RingError> {
        let bytes_max = retention.bytes_max.max(BYTES_MIN) - WAL_BYTES;
        let (connection, in_file, known) = open_file(path, bytes_max)?;
        Ok(Self {
            connection: Some(connection),
            path: path.to_owned(),
            retention: retention.fitted(bytes_max - OVERHEAD_BYTES),
            bytes_max,
            clock: known.clock,
            session: known.session.clone(),
            known,
            in_file,
            leased: BTreeSet::new(),
            recent: VecDeque::new(),
            parked: BTreeMap::new(),
            reads: 0,
            undeletable: BTreeSet::new(),
            trouble: Trouble::default(),
            salvage: None,
            may_salvage: true,
            schema: None,
            dictionaries: Vec::new(),
            notices: VecDeque::new(),
            is_settled: false,
            carry: false,
        })
    }

    /// Says which boot of the vehicle's computer this is and what its `CLOCK_BOOTTIME` is, nanoseconds. Without it, the
    /// time goes on where it was: ages then lack the time that this boot has run so far.
    pub fn begin(&mut self, boot: BootId, now_boot_ns: i64) {
        self.clock.begin(boot, now_boot_ns);
    }

    /// The broker with which there is a session, as named to [`Self::begin_session`] by this process or one before it.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Remembers that there is a session with this broker. It is in the file with the next commit, so before any
    /// acknowledgement that the session brings: without one there is nothing that the broker could forget.
    pub fn begin_session(&mut self, name: &str) {
        self.session = Some(name.to_owned());
    }

    /// Files set aside that are kept beside the ring, and their bytes, -wal files included.
    pub fn set_aside(&self) -> (usize, u64) {
        aside::kept(&self.path)
    }

    /// Bytes of pages that a block of `len` bytes takes: its overflow pages, and a share of leaf and index pages.
    pub(super) const fn page_bytes(len: u64) -> u64 {
        len.div_ceil(4092) * 4096 + 512
    }

    /// Where the ring lives.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The books so far, over all runs since the file was made; a file that took another's place in service goes on with
    /// its books.
    pub const fn books(&self) -> &Books {
        &self.known.books
    }

    /// Bytes that blocks take, and the bound, both of the database file.
    pub fn fill(&self) -> (u64, u64) {
        (self.known.room.used(), self.bytes_max)
    }

    /// What has happened since this was last asked, the latest 64.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.drain(..).collect()
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    /// What blocks may take in the file now, bytes: the bound, or less where the file system has nothing left to grow
    /// into.
    pub(super) fn room_max(&self) -> u64 {
        let bound = self.bytes_max - OVERHEAD_BYTES;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // What cannot be asked is no reason to lose blocks; SQLite says when the card is full.
        let Ok(stat) = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))) else { return bound };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let keep = self.retention.free_bytes_min.min(stat.f_blocks.saturating_mul(stat.f_frsize) / 16);
        let file = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        bound.min((file + free.saturating_sub(keep)).saturating_sub(OVERHEAD_BYTES).max(OVERHEAD_BYTES))
    }

    /// Folds the -wal into the database and closes both. The -wal keeps its length, with nothing but the books in it: one
    /// that has to grow again costs the file system's journal as much as the commits themselves, for minutes after each
    /// start.
    ///
    /// # Errors
    /// [`RingError`] when the last writes fail; the committed blocks are then still in the -wal.
    pub fn close(mut self) -> Result<(), RingError> {
        let Some(connection) = self.connection.take() else { return Ok(()) };
        let mut known = Known { clock: self.clock, session: self.session, ..self.known };
        let (path, in_file) = (self.path, self.in_file);
        let mut fold = || -> rusqlite::Result<()> {
            connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
            // Begins the -wal anew; without that, all that is folded in would count once more at the next start. The
            // version makes sure that something is written.
            let transaction = connection.unchecked_transaction()?;
            known.save(&in_file, &transaction)?;
            transaction.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?;
            transaction.commit()?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(())
        };
        fold().map_err(|source| RingError::sort(&path, source))?;
        connection.close().map_err(|(_, source)| RingError::sort(&path, source))
    }

    /// The books are these, in the file, too.
    pub(super) fn saved(&mut self, known: Known) {
        self.in_file.clone_from(&known);
        self.known = known;
    }

    pub(super) fn connection(&self) -> rusqlite::Result<&Connection> {
        // Callers attach first, so that this is an error of theirs only if the file has gone since.
        self.connection.as_ref().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Folds in what was in the -wal when it was opened, before anything is added to it. SQLite fills the -wal up to the
    /// next sector behind a commit, so that a sector that is garbled later does not take the commit along; but what it
    /// finds after a power cut may lack that filling, and what comes next would be written into the sector of a commit.
    /// Two cuts, one after the other, then lost a commit (`store/tests/faulty_disk`). This writes, so it is not part of
    /// the opening.
    pub(super) fn settle(&mut self) {
        if !self.is_settled {
            let settled = self.connection().and_then(|connection| {
                connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            });
            // What cannot be written now is what the next commit fails with.
            self.is_settled = settled.is_ok();
        }
    }

    /// Opens the file again where it was given up.
    pub(super) fn attach(&mut self) -> Result<(), RingError> {
        if self.connection.is_some() {
            return Ok(());
        }
        // A fresh file where the card is to be mounted again would be hidden by it, and on another card until then.
        if !self.carry && !self.path.exists() {
            return Err(RingError::Gone(self.path.clone()));
        }
        match open_file(&self.path, self.bytes_max) {
            Ok((connection, in_file, mut known)) => {
                known.next_id = known.next_id.max(self.known.next_id);
                if self.carry {
                    known =
                        self.carry_over(&connection, &known).map_err(|e| RingError::sort(&self.path, e))?;
                    self.saved(known);
                    self.carry = false;
                } else {
                    (self.known, self.in_file) = (known, in_file);
                }
                self.connection = Some(connection);
                (self.reads, self.undeletable, self.is_settled) = (0, BTreeSet::new(), false);
                Ok(())
            }
            Err(error) if error.is_corrupt() && !self.carry => {
                let fault = match error {
                    RingError::Corrupt { .. } => Fault::Corrupt,
                    _ => Fault::Read,
                };
                // The file itself is bad: without it, it goes on.
                if self.trouble.note(fault, self.clock.now_ns()) == Remedy::Renew {
                    return self.renew(error.to_string());
                }
                Err(error)
            }
            Err(RingError::Open { path, source }) => Err(RingError::Sql { path, source }),
            Err(error) => Err(error),
        }
    }

    /// What a fresh file takes over: the books, with all that waited to be looked for in the file set aside.
    fn carry_over(&self, connection: &Connection, fresh: &Known) -> rusqlite::Result<Known> {
        let mut known = Known { next_id: fresh.next_id, room: fresh.room, ..self.known.clone() };
        known.clock = self.clock;
        known.session.clone_from(&self.session);
        for (adrift, class) in known.adrift.iter_mut().zip(&known.books.classes) {
            *adrift = class.waiting;
        }
        let transaction = connection.unchecked_transaction()?;
        known.save(fresh, &transaction)?;
        super::Window::save(&known.windows, &transaction)?;
        if let Some((hash, block)) = &self.schema {
            insert_schema(&transaction, *hash, block)?;
        }
        for (hash, block) in &self.dictionaries {
            super::dictionaries::insert(&transaction, *hash, block)?;
        }
        transaction.commit()?;
        Ok(known)
    }

    /// Closes the file and opens it anew.
    fn reopen(&mut self) {
        if let Some(connection) = self.connection.take() {
            abandon(connection);
        }
        if self.attach().is_ok() {
            self.notice(Notice::Reopened);
        }
    }

    /// Sets the file aside and begins a fresh one. What waited in the old one is looked for from now on.
    pub(super) fn renew(&mut self, reason: String) -> Result<(), RingError> {
        if let Some(connection) = self.connection.take() {
            abandon(connection);
        }
        let path = aside::set_aside(&self.path, self.retention.bytes_max)
            .map_err(|source| RingError::Quarantine { path: self.path.clone(), source })?;
        (self.carry, self.may_salvage) = (true, true);
        // Rows have other names in the fresh file, and what is under way is no longer in it.
        self.leased.clear();
        self.recent.clear();
        self.parked.clear();
        self.trouble.clear();
        self.notice(Notice::SetAside(Quarantined { path, reason }));
        self.attach()
    }

    /// Takes note of a failure, and does what may help.
    pub(super) fn failed(&mut self, source: rusqlite::Error) -> RingError {
        let remedy = self.trouble.note(fault(&source), self.clock.now_ns());
        let error = RingError::sort(&self.path, source);
        // A path that leads nowhere is a card that was taken out: the file may come back with it, once nobody holds on to
        // the file system that it was on.
        if !self.path.exists() {
            if let Some(connection) = self.connection.take() {
                abandon(connection);
            }
            return RingError::Gone(self.path.clone());
        }
        if remedy != Remedy::Wait && aside::folder_works(&self.path) {
            match remedy {
                Remedy::Renew => {
                    // What goes wrong here is met again by the next who uses the ring.
                    let _ = self.renew(error.to_string());
                }
                _ => self.reopen(),
            }
        }
        error
    }
}

/// The open file, what its books say, and what is in it.
fn open_file(path: &Path, bytes_max: u64) -> Result<(Connection, Known, Known), RingError> {
    let connection = connect(path)?;
    let sort = |source| RingError::sort_opening(path, source);
    // A backstop behind our own accounting: SQLite itself refuses to grow beyond it.
    connection
        .query_row(&format!("PRAGMA max_page_count = {}", bytes_max / 4096), [], |_| Ok(()))
        .map_err(sort)?;
    let in_file = Known::load(&connection).map_err(sort)?;
    let mut known = in_file.clone();
    known.count_on(&connection).map_err(sort)?;
    Ok((connection, in_file, known))
}

/// Opens the ring at `path`, making it if it is not there; a file that is not usable is renamed to `*.corrupt-N` and
/// a fresh one is made, so that nobody has to delete a file before a car records again. [`RingFile::tend`] then looks
/// for blocks in the old one.
///
/// # Errors
/// When the folder cannot be used, another process owns the file, or it cannot be renamed.
pub fn open_or_quarantine(path: &Path, bytes_max: u64) -> Result<(RingFile, Option<Quarantined>), RingError> {
    open_or_quarantine_with(path, Retention::new(bytes_max))
}

/// The same with other bounds.
///
/// # Errors
/// As [`open_or_quarantine`].
pub fn open_or_quarantine_with(
    path: &Path,
    retention: Retention,
) -> Result<(RingFile, Option<Quarantined>), RingError> {
    match RingFile::open_with(path, retention) {
        Ok(ring) => Ok((ring, None)),
        Err(error) if error.is_corrupt() => {
            let reason = match error {
                RingError::Corrupt { reason, .. } => reason,
                error => error.to_string(),
            };
            let aside = aside::set_aside(path, retention.bytes_max)
                .map_err(|source| RingError::Quarantine { path: path.to_owned(), source })?;
            let ring = RingFile::open_with(path, retention)?;
            Ok((ring, Some(Quarantined { path: aside, reason })))
        }
        Err(error) => Err(error),
    }
}
