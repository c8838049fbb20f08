//! Schemas: kept for as long as a block refers to them.

use rusqlite::{Connection, params};

use super::file::RingFile;
use super::open::RingError;
use crate::block::{SchemaHash, SealedBlock};

impl RingFile {
    /// Keeps a schema's block under its hash, for readers of the file.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be written.
    pub fn put_schema(&mut self, hash: SchemaHash, block: &SealedBlock) -> Result<(), RingError> {
        self.attach()?;
        self.settle();
        let is_first = self.schema.is_none();
        let put = self.connection().and_then(|connection| {
            if is_first {
                forget_schemas(connection, hash)?;
            }
            insert_schema(connection, hash, block)
        });
        put.map_err(|source| self.failed(source))?;
        self.schema = Some((hash, block.clone()));
        Ok(())
    }
}

/// Removes the schemas of earlier runs that no block refers to any more. Later in a run there may be blocks on their way.
fn forget_schemas(connection: &Connection, except: SchemaHash) -> rusqlite::Result<()> {
    let unused = "DELETE FROM schema WHERE hash != ?1 AND hash NOT IN (SELECT schema FROM block)";
    connection.execute(unused, [except.0]).map(drop)
}

pub(super) fn insert_schema(
    connection: &Connection,
    hash: SchemaHash,
    block: &SealedBlock,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO schema (hash, bytes) VALUES (?1, ?2)")?
        .execute(params![hash.0, block.bytes()])?;
    Ok(())
}
