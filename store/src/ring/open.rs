//! Opening the ring's file: how SQLite is set up, and what it may refuse.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::tables::{self, APPLICATION_ID};
use super::trouble::Fault;

/// How long to wait for another process to let go of the file: one that reads a stopped ring is soon done.
const PATIENCE: Duration = Duration::from_millis(300);

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
    /// The card does not give back what opening it needs.
    #[error("ring file {path} cannot be read: {source}; is the card failing (dmesg)?")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A statement failed: card full, read-only, gone.
    #[error("ring file {path}: {source}; is its file system full, read-only or failing (df, mount, dmesg)?")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It was there, and is not any more.
    #[error(
        "ring file {0} is gone; was the card taken out? It is opened again when the card is back and mounted"
    )]
    Gone(PathBuf),
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
        matches!(self, Self::Corrupt { .. } | Self::Unreadable { .. })
    }

    /// While a file is being opened: a page that the card does not give back makes the file as useless as a page with
    /// something else in it.
    pub(super) fn sort_opening(path: &Path, source: rusqlite::Error) -> Self {
        match fault(&source) {
            Fault::Read => Self::Unreadable { path: path.to_owned(), source },
            _ => Self::sort(path, source),
        }
    }
}

/// What kind of fault an error of SQLite's is.
pub(super) fn fault(error: &rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Fault::Corrupt,
        Some(ErrorCode::SystemIoFailure) => match error.sqlite_extended_error_code() {
            Some(ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS) => {
                Fault::Read
            }
            _ => Fault::Other,
        },
        _ => Fault::Other,
    }
}

/// Opens for writing, checks that it is a ring, makes its tables where it is new and renews older ones.
pub(super) fn connect(path: &Path) -> Result<Connection, RingError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    // psow=0: SQLite must not rely on a write leaving the rest of its sector alone. A card that tears or garbles the
    // sector it was writing would otherwise take the commit before it along (seen in the power-cut laboratory).
    let sort = |source| RingError::sort_opening(path, source);
    let connection = Connection::open_with_flags(format!("{}?psow=0", uri(path)), flags).map_err(sort)?;
    connection.busy_timeout(PATIENCE).map_err(sort)?;
    // EXCLUSIVE before WAL: then there is no -shm file and nobody else can write. Page size takes effect in a new file
    // only; 4096 measured best, larger ones write up to five times as much (store/RING.md).
    connection
        .execute_batch(
            "PRAGMA page_size = 4096; PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;",
        )
        .map_err(sort)?;
    // Asked before anything is written: a file that is not ours stays as it is.
    let version = ring_version(&connection, path)?;
    // FULL: a commit is on the card when it returns; measured, it costs little more than NORMAL, which loses commits at
    // a power cut.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;
             PRAGMA wal_autocheckpoint = 512; PRAGMA cache_size = -512; PRAGMA mmap_size = 0;
             PRAGMA cell_size_check = ON;",
        )
        .map_err(sort)?;
    match version {
        None => tables::create(&connection),
        Some(version) => tables::migrate(&connection, version),
    }
    .map_err(sort)?;
    Ok(connection)
}

/// Closes without touching the file: nothing that may be wrong is written to the card.
pub(super) fn abandon(connection: Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    // What a close may refuse is of no use any more.
    let _ = connection.close();
}

/// A path as a URI, so that options can follow it (sqlite.org/uri.html).
fn uri(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{name}")
}

/// The version of a ring's tables; `None` for an empty file.
fn ring_version(connection: &Connection, path: &Path) -> Result<Option<i32>, RingError> {
    let ask = |query: &str| {
        connection
            .query_row(query, [], |row| row.get::<_, i32>(0))
            .map_err(|source| RingError::sort_opening(path, source))
    };
    let corrupt = |reason: String| Err(RingError::Corrupt { path: path.to_owned(), reason });
    match (
        ask("PRAGMA application_id")?,
        ask("PRAGMA user_version")?,
        ask("SELECT count(*) FROM sqlite_schema")?,
    ) {
        (APPLICATION_ID, version @ 1..=tables::VERSION, _) => Ok(Some(version)),
        (0, 0, 0) => Ok(None),
        (APPLICATION_ID, version, _) => corrupt(format!(
            "its tables are of version {version}, this release knows versions 1 to {}",
            tables::VERSION
        )),
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
    if ring_version(&connection, path)?.is_some() {
        Ok(connection)
    } else {
        Err(RingError::Corrupt { path: path.to_owned(), reason: "it is empty".to_owned() })
    }
}
