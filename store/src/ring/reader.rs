//! Reading a ring that nobody writes: a stopped service's file, or a copy.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::open::{RingError, connect_read_only};
use crate::block::{BlockError, Records, Schema, SchemaHash, open};

/// A ring opened for reading only.
pub struct RingReader {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// A block as it lies in the file.
#[derive(Debug)]
pub struct StoredBlock {
    /// Its row, for naming it in messages.
    pub id: i64,
    /// Header and body; not yet checked.
    pub bytes: Vec<u8>,
}

impl RingReader {
    /// Opens the ring at `path`.
    ///
    /// # Errors
    /// [`RingError`]: missing, owned by a running service, damaged, or not a ring.
    pub fn open(path: &Path) -> Result<Self, RingError> {
        Ok(Self { connection: connect_read_only(path)?, path: path.to_owned() })
    }

    /// The schema of that name, if the ring has it.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read or the schema's block is damaged.
    pub fn schema(&self, hash: SchemaHash) -> Result<Option<Schema>, RingError> {
        let found = schema_block(&self.connection, hash);
        let Some(bytes) = found.map_err(|source| RingError::sort(&self.path, source))? else {
            return Ok(None);
        };
        match open(&bytes) {
            Ok((_, Records::Schema(found, schema))) if found == hash => Ok(Some(schema)),
            Ok(_) => Err(self.bad_schema(hash, &BlockError::Schema("the name does not fit the content"))),
            Err(error) => Err(self.bad_schema(hash, &error)),
        }
    }

    fn bad_schema(&self, hash: SchemaHash, error: &BlockError) -> RingError {
        RingError::Corrupt { path: self.path.clone(), reason: format!("schema {hash}: {error}") }
    }
}

/// The schema's block as it lies in the file.
pub(super) fn schema_block(connection: &Connection, hash: SchemaHash) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM schema WHERE hash = ?1")?;
    statement.query_row([hash.0], |row| row.get(0)).optional()
}
