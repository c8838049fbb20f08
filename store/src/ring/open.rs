//! Opening the ring's file, and what to do with one that cannot be opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::RingFile;

/// `PRAGMA application_id`: "ECUR".
const APPLICATION_ID: i32 = 0x4543_5552;
/// `PRAGMA user_version` of the tables below.
const TABLES_VERSION: i32 = 1;

/// How long to wait for another process to let go of the file: one that reads a stopped ring is soon done.
const PATIENCE: Duration = Duration::from_millis(300);

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
    #[error(
        "ring file {0} is in use by another process; stop that one, or give this one another [store] path"
    )]
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
    #[error("ring file {path}: {source}; is its file system full, read-only or failing (df, mount, dmesg)?")]
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
            let aside =
                set_aside(path).map_err(|source| RingError::Quarantine { path: path.to_owned(), source })?;
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
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    // psow=0: SQLite must not rely on a write leaving the rest of its sector alone. A card that tears or garbles the
    // sector it was writing would otherwise take the commit before it along (seen in the power-cut laboratory).
    let connection = Connection::open_with_flags(format!("{}?psow=0", uri(path)), flags)
        .map_err(|source| RingError::Open { path: path.to_owned(), source })?;
    let sort = |source| RingError::sort(path, source);
    connection.busy_timeout(PATIENCE).map_err(sort)?;
    // EXCLUSIVE before WAL: then there is no -shm file and nobody else can write. Page size takes effect in a new file
    // only; 4096 measured best, larger ones write up to five times as much.
    connection
        .execute_batch(
            "PRAGMA page_size = 4096; PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;",
        )
        .map_err(sort)?;
    // Asked before anything is written: a file that is not ours stays as it is.
    let is_new = !is_ring(&connection, path)?;
    // FULL: a commit is on the card when it returns; measured, it costs 2.7 bytes written per byte stored where NORMAL
    // costs 2.6 and loses commits at a power cut.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;
             PRAGMA wal_autocheckpoint = 512; PRAGMA cache_size = -512; PRAGMA mmap_size = 0;
             PRAGMA cell_size_check = ON;",
        )
        .map_err(sort)?;
    if is_new {
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID};
                 PRAGMA user_version = {TABLES_VERSION}; COMMIT;"
            ))
            .map_err(sort)?;
    }
    Ok(connection)
}

/// A path as a URI, so that options can follow it (sqlite.org/uri.html).
fn uri(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{name}")
}

/// Whether the file is a ring of ours; false for an empty one.
fn is_ring(connection: &Connection, path: &Path) -> Result<bool, RingError> {
    let ask = |query: &str| {
        connection
            .query_row(query, [], |row| row.get::<_, i32>(0))
            .map_err(|source| RingError::sort(path, source))
    };
    let corrupt = |reason: String| Err(RingError::Corrupt { path: path.to_owned(), reason });
    match (
        ask("PRAGMA application_id")?,
        ask("PRAGMA user_version")?,
        ask("SELECT count(*) FROM sqlite_schema")?,
    ) {
        (APPLICATION_ID, TABLES_VERSION, _) => Ok(true),
        (0, 0, 0) => Ok(false),
        (APPLICATION_ID, version, _) => {
            corrupt(format!("its tables are of version {version}, this release knows {TABLES_VERSION}"))
        }
        _ => corrupt("it is a database, but not a ring of ecu-daemon".to_owned()),
    }
}

/// Opens for reading only; the owner must not be running.
pub(super) fn connect_read_only(path: &Path) -> Result<Connection, RingError> {
    let sort = |source| RingError::sort(path, source);
    let open = |flags, uri: &str| Connection::open_with_flags(uri, flags);
    // Write access only for the lock that keeps two owners apart; nothing is written, the -wal included. On a
    // read-only medium nobody writes either, and the file can be taken as immutable.
    let connection = open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI, &uri(path))
        .and_then(|connection| {
            if connection.is_readonly("main")? {
                return open(
                    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
                    &format!("{}?immutable=1", uri(path)),
                );
            }
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(connection)
        })
        .map_err(|source| RingError::Open { path: path.to_owned(), source })?;
    connection.busy_timeout(PATIENCE).map_err(sort)?;
    connection
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON; PRAGMA cache_size = -512;")
        .map_err(sort)?;
    if is_ring(&connection, path)? {
        Ok(connection)
    } else {
        Err(RingError::Corrupt { path: path.to_owned(), reason: "it is empty".to_owned() })
    }
}
