//! The ring in pages: for who reads long, and must not keep the ring's owner from storing.

use rusqlite::{Connection, params};

use super::RingFile;
use super::file::LOST;
use super::open::RingError;
use super::reader::{RingReader, StoredBlock, schema_block};
use crate::block::{Kind, SchemaHash};

/// Rows looked at for one page, so that a page without a hit ends, too.
const ROWS_MAX: i64 = 4096;

/// Which blocks are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Of this kind.
    pub kind: Kind,
    /// That touch the times from here, nanoseconds since 1970,
    pub first_ns: i64,
    /// to here.
    pub last_ns: i64,
}

/// Some blocks, oldest first; without those that were given up.
#[derive(Debug)]
pub struct Page {
    /// Each as it lies in the file.
    pub blocks: Vec<StoredBlock>,
    /// Where the next page begins: to be given as `after`. `None` behind the last one.
    pub next: Option<i64>,
}

impl RingFile {
    /// The page behind row `after` (`i64::MIN` for the first one): about `bytes_max` bytes, at least a block if there is
    /// one. Blocks that are stored or evicted between two pages are in neither or in one of them, never in both.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn page(&self, selection: &Selection, after: i64, bytes_max: usize) -> Result<Page, RingError> {
        let read = self.connection().and_then(|connection| page(connection, selection, after, bytes_max));
        read.map_err(|source| RingError::sort(&self.path, source))
    }

    /// The block of the schema of that name, not checked, if the ring has it.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn schema_block(&self, hash: SchemaHash) -> Result<Option<Vec<u8>>, RingError> {
        let read = self.connection().and_then(|connection| schema_block(connection, hash));
        read.map_err(|source| RingError::sort(&self.path, source))
    }
}

impl RingReader {
    /// As [`RingFile::page`].
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn page(&self, selection: &Selection, after: i64, bytes_max: usize) -> Result<Page, RingError> {
        page(&self.connection, selection, after, bytes_max)
            .map_err(|source| RingError::sort(&self.path, source))
    }
}

fn page(
    connection: &Connection,
    selection: &Selection,
    after: i64,
    bytes_max: usize,
) -> rusqlite::Result<Page> {
    let mut page = Page { blocks: Vec::new(), next: None };
    // The rows before the first block's are long gone in an old ring.
    let mut ends = connection.prepare_cached("SELECT min(id), max(id) FROM block")?;
    let ends: (Option<i64>, Option<i64>) = ends.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = ends else { return Ok(page) };
    let after = after.max(first - 1);
    let until = after.saturating_add(ROWS_MAX);
    let mut statement = connection.prepare_cached(
        "SELECT block.id, bytes FROM block JOIN body USING (id)
         WHERE block.id > ?1 AND block.id <= ?2 AND kind = ?3 AND last_ns >= ?4 AND first_ns <= ?5
         AND state < ?6
         ORDER BY block.id",
    )?;
    let Selection { kind, first_ns, last_ns } = *selection;
    let mut rows = statement.query(params![after, until, kind as u8, first_ns, last_ns, LOST])?;
    let mut bytes_sum = 0;
    while let Some(row) = rows.next()? {
        let block = StoredBlock { id: row.get(0)?, bytes: row.get(1)? };
        bytes_sum += block.bytes.len();
        page.next = Some(block.id);
        page.blocks.push(block);
        if bytes_sum >= bytes_max {
            return Ok(page);
        }
    }
    page.next = (until < last).then_some(until);
    Ok(page)
}
