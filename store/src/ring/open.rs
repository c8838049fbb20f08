//! Opening the ring's file, and what to do with one that cannot be opened.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::RingFile;

/// `PRAGMA application_id`: "ECUR".
const APPLICATION_ID: i32 = 0x4543_5552;
/// `PRAGMA user_version` of the tables below.
const TABLES_VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE block (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, class INTEGER NOT NULL, kind INTEGER NOT NULL,
    boot BLOB NOT NULL, run INTEGER NOT NULL, sequence INTEGER NOT NULL, schema BLOB NOT NULL,
    records INTEGER NOT NULL, len INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
    sealed_boot_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX block_by_state ON block (state, class, id);
CREATE TABLE body (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE schema (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE books (
    class INTEGER NOT NULL, entry TEXT NOT NULL, blocks INTEGER NOT NULL, records INTEGER NOT NULL,
    PRIMARY KEY (class, entry)
) STRICT, WITHOUT ROWID;
";

/// What the ring's file refused to do.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The file or its folder cannot be used.
    #[error("cannot open ring file {path}: {source}; check that the folder exists and is writable")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another process has it.
    #[error("ring file {0} is in use by another process; stop that one, or give this one another [store] path")]
    Busy(PathBuf),
    /// Not a ring, or damaged.
    #[error("ring file {path} is not usable: {reason}; move it away, or let `ecu-daemon run` set it aside")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A statement failed: card full, read-only, gone.
    #[error("ring file {path}: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file could not be moved out of the way.
    #[error("cannot set the damaged ring file {path} aside: {source}")]
    Quarantine {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RingError {
    /// Sorts an error of SQLite's by what its reader can do about it.
    pub(super) fn sort(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(path),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path, reason: source.to_string() }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Open { path, source },
            _ => Self::Sql { path, source },
        }
    }

    /// Whether the file itself is bad, so that a fresh one would help.
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// A damaged ring file that was moved aside so that the service could start.
#[derive(Debug)]
pub struct Quarantined {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// Opens the ring at `path`, making it if it is not there; a file that is not usable is renamed to `*.corrupt-N` and
/// a fresh one is made, so that nobody has to delete a file before a car records again.
///
/// # Errors
/// When the folder cannot be used, another process owns the file, or it cannot be renamed.
pub fn open_or_quarantine(path: &Path, bytes_max: u64) -> Result<(RingFile, Option<Quarantined>), RingError> {
    match RingFile::open(path, bytes_max) {
        Ok(ring) => Ok((ring, None)),
        Err(RingError::Corrupt { reason, .. }) => {
            let aside = set_aside(path).map_err(|source| RingError::Quarantine { path: path.to_owned(), source })?;
            Ok((RingFile::open(path, bytes_max)?, Some(Quarantined { path: aside, reason })))
        }
        Err(error) => Err(error),
    }
}

/// Renames the database with its -wal to the first free `.corrupt-N`; the oldest name is taken again after 8, so that
/// a card with a fault does not fill up with copies.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    const KEPT: u32 = 8;
    let suffixed = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let number = (1..KEPT).find(|n| !suffixed(&format!(".corrupt-{n}")).exists()).unwrap_or(KEPT);
    let aside = suffixed(&format!(".corrupt-{number}"));
    std::fs::rename(path, &aside)?;
    let wal = suffixed("-wal");
    if wal.exists() {
        std::fs::rename(wal, suffixed(&format!(".corrupt-{number}-wal")))?;
    }
    Ok(aside)
}

/// Opens for writing, checks that it is a ring, makes its tables where it is new.
pub(super) fn connect(path: &Path) -> Result<Connection, RingError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|source| RingError::Open { path: path.to_owned(), source })?;
    let sort = |source| RingError::sort(path, source);
    // EXCLUSIVE before WAL: then there is no -shm file and nobody else can write. FULL: a commit is on the card when
    // it returns; measured, it costs 2.7 bytes written per byte stored where NORMAL costs 2.6 and loses commits.
    // 4096-byte pages measured best; larger ones write up to five times as much.
    connection
        .execute_batch(
            "PRAGMA page_size = 4096; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304; PRAGMA wal_autocheckpoint = 512;
             PRAGMA cache_size = -512; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
             PRAGMA cell_size_check = ON;",
        )
        .map_err(sort)?;
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0));
    let (application, version) = (pragma("application_id").map_err(sort)?, pragma("user_version").map_err(sort)?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(sort)?;
    let corrupt = |reason: String| RingError::Corrupt { path: path.to_owned(), reason };
    match (application, version, tables) {
        (APPLICATION_ID, TABLES_VERSION, _) => {}
        (0, 0, 0) => {
            connection
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID};
                     PRAGMA user_version = {TABLES_VERSION}; COMMIT;"
                ))
                .map_err(sort)?;
        }
        (APPLICATION_ID, newer, _) if newer > TABLES_VERSION => {
            return Err(corrupt(format!("it was written by a newer release (tables version {newer})")));
        }
        _ => return Err(corrupt("it is a database, but not a ring of ecu-daemon".to_owned())),
    }
    Ok(connection)
}

/// Opens for reading only; the owner must not be running.
pub(super) fn connect_read_only(path: &Path) -> Result<Connection, RingError> {
    let sort = |source| RingError::sort(path, source);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|source| RingError::Open { path: path.to_owned(), source })?;
    // Like the owner, without a -shm file: reading a copy must not write beside it.
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -512;").map_err(sort)?;
    let application: i32 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sort)?;
    if application != APPLICATION_ID {
        let reason = "it is a database, but not a ring of ecu-daemon".to_owned();
        return Err(RingError::Corrupt { path: path.to_owned(), reason });
    }
    Ok(connection)
}
