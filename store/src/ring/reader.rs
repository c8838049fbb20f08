//! Reading a ring that nobody writes: a stopped service's file, or a copy.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::file::LOST;
use super::open::{RingError, connect_read_only};
use crate::block::{BlockError, Kind, Records, Schema, SchemaHash, open};

/// A ring opened for reading only.
pub struct RingReader {
    connection: Connection,
    path: PathBuf,
}

/// A block as it lies in the file.
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

    /// Hands `visit` every block of `kind` that was not given up and touches the times from `first_ns` to `last_ns`, oldest first, until it
    /// says false.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read; blocks before the fault have been visited.
    pub fn blocks(
        &self,
        kind: Kind,
        first_ns: i64,
        last_ns: i64,
        mut visit: impl FnMut(StoredBlock) -> bool,
    ) -> Result<(), RingError> {
        let sort = |source| RingError::sort(&self.path, source);
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT block.id, bytes FROM block JOIN body USING (id)
                 WHERE kind = ?1 AND last_ns >= ?2 AND first_ns <= ?3 AND state < ?4 ORDER BY block.id",
            )
            .map_err(sort)?;
        let mut rows = statement.query(params![kind as u8, first_ns, last_ns, LOST]).map_err(sort)?;
        while let Some(row) = rows.next().map_err(sort)? {
            let block = StoredBlock { id: row.get(0).map_err(sort)?, bytes: row.get(1).map_err(sort)? };
            if !visit(block) {
                break;
            }
        }
        Ok(())
    }

    /// The schema of that name, if the ring has it.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read or the schema's block is damaged.
    pub fn schema(&self, hash: SchemaHash) -> Result<Option<Schema>, RingError> {
        let sort = |source| RingError::sort(&self.path, source);
        let mut statement =
            self.connection.prepare_cached("SELECT bytes FROM schema WHERE hash = ?1").map_err(sort)?;
        let mut rows = statement.query([hash.0]).map_err(sort)?;
        let Some(row) = rows.next().map_err(sort)? else { return Ok(None) };
        let bytes: Vec<u8> = row.get(0).map_err(sort)?;
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
