//! The dictionaries that blocks of the ring need, so that a copy of the file can be read by itself.
//!
//! A dictionary stays for as long as there may be a block that needs it: one that is no longer used is retired at the row
//! that comes next, and forgotten when all rows before that are gone. The table is made when there is a dictionary for the
//! first time; releases that know none pass it over.

use rusqlite::{Connection, OptionalExtension, params};

use super::file::RingFile;
use super::open::RingError;
use super::reader::RingReader;
use crate::block::{Dictionaries, Dictionary, DictionaryHash, Records, SealedBlock, open};

/// `bytes` is the block, and the last column: that is where salvage looks for it.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS dictionary (hash BLOB PRIMARY KEY, retired_id INTEGER, bytes BLOB NOT NULL)
    STRICT, WITHOUT ROWID";

impl RingFile {
    /// Keeps the blocks of the dictionaries that blocks need from here on: these, and no others any more.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be written; nothing has changed then.
    pub fn put_dictionaries(
        &mut self,
        dictionaries: &[(DictionaryHash, SealedBlock)],
    ) -> Result<(), RingError> {
        self.attach()?;
        self.settle();
        let next_id = self.known.next_id;
        let put = self.connection().and_then(|connection| put(connection, dictionaries, next_id));
        put.map_err(|source| self.failed(source))?;
        self.dictionaries = dictionaries.to_vec();
        Ok(())
    }

    /// The block of the dictionary of that name, not checked, if the ring has it.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn dictionary_block(&self, hash: DictionaryHash) -> Result<Option<Vec<u8>>, RingError> {
        let read = self.connection().and_then(|connection| block(connection, hash));
        read.map_err(|source| RingError::sort(&self.path, source))
    }
}

impl RingReader {
    /// The dictionary of that name, if the ring has it.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read or the dictionary's block is damaged.
    pub fn dictionary(&self, hash: DictionaryHash) -> Result<Option<Dictionary>, RingError> {
        let found = block(&self.connection, hash).map_err(|source| RingError::sort(&self.path, source))?;
        let Some(bytes) = found else { return Ok(None) };
        let reason = match open(&bytes) {
            Ok((_, Records::Dictionary(found))) if found.hash() == hash => return Ok(Some(found)),
            Ok(_) => "the name does not fit the content".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(RingError::Corrupt { path: self.path.clone(), reason: format!("dictionary {hash}: {reason}") })
    }

    /// All dictionaries of the ring, as far as they can be read.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn dictionaries(&self) -> Result<Dictionaries, RingError> {
        let sort = |source| RingError::sort(&self.path, source);
        let mut all = Dictionaries::default();
        if !is_there(&self.connection).map_err(sort)? {
            return Ok(all);
        }
        let mut blocks = self.connection.prepare("SELECT bytes FROM dictionary").map_err(sort)?;
        let mut rows = blocks.query([]).map_err(sort)?;
        while let Some(row) = rows.next().map_err(sort)? {
            let bytes: Vec<u8> = row.get(0).map_err(sort)?;
            if let Ok((_, Records::Dictionary(dictionary))) = open(&bytes) {
                all.insert(dictionary);
            }
        }
        Ok(all)
    }
}

fn put(
    connection: &Connection,
    dictionaries: &[(DictionaryHash, SealedBlock)],
    next_id: i64,
) -> rusqlite::Result<()> {
    if dictionaries.is_empty() && !is_there(connection)? {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute(TABLE, [])?;
    transaction.execute("UPDATE dictionary SET retired_id = ?1 WHERE retired_id IS NULL", [next_id])?;
    for (hash, block) in dictionaries {
        insert(&transaction, *hash, block)?;
    }
    transaction.execute(
        "DELETE FROM dictionary WHERE retired_id <= (SELECT coalesce(min(id), ?1) FROM block)",
        [next_id],
    )?;
    transaction.commit()
}

/// Adds a dictionary that is in use.
pub(super) fn insert(
    connection: &Connection,
    hash: DictionaryHash,
    block: &SealedBlock,
) -> rusqlite::Result<()> {
    connection.execute(TABLE, [])?;
    let insert = "INSERT OR REPLACE INTO dictionary (hash, retired_id, bytes) VALUES (?1, NULL, ?2)";
    connection.execute(insert, params![hash.0, block.bytes()]).map(drop)
}

fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    let ask = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'dictionary'";
    Ok(connection.query_row(ask, [], |_| Ok(())).optional()?.is_some())
}

fn block(connection: &Connection, hash: DictionaryHash) -> rusqlite::Result<Option<Vec<u8>>> {
    if !is_there(connection)? {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached("SELECT bytes FROM dictionary WHERE hash = ?1")?;
    statement.query_row([hash.0], |row| row.get(0)).optional()
}
