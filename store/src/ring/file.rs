//! The ring's file: one SQLite database in WAL mode with one owner.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::open::{RingError, connect};
use super::{Books, EvictReason, Lease, Tally};
use crate::block::{Class, SchemaHash, SealedBlock};

/// States of a block in the file.
pub(super) const WAITING: i64 = 0;
pub(super) const ACKED: i64 = 1;

/// The -wal file may grow this far beyond the database before it is folded in.
const WAL_BYTES: u64 = 8 << 20;
/// The smallest sensible bound: the -wal, and a database that holds a few blocks of the largest size.
const BYTES_MIN: u64 = WAL_BYTES + (8 << 20);
/// Acknowledgements remembered so that they can be taken back when the broker forgets what it promised.
const RECENT_MAX: usize = 4096;

/// The open ring. The file is locked for as long as it lives.
pub struct RingFile {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// Bound of the database file alone, bytes.
    pub(super) bytes_max: u64,
    /// Bytes of pages that blocks take up, by [`Self::page_bytes`].
    pub(super) bytes_used: u64,
    pub(super) next_id: i64,
    /// Blocks under way: they are neither sent twice nor evicted.
    pub(super) leased: BTreeSet<i64>,
    /// Recently acknowledged blocks with the `CLOCK_BOOTTIME` of the acknowledgement, oldest first.
    pub(super) recent: VecDeque<(i64, i64)>,
    pub(super) books: Books,
}

/// A block to send, with the permission to do so.
#[derive(Debug)]
pub struct Leased {
    /// To be given back when its fate is known.
    pub lease: Lease,
    /// What it is worth.
    pub class: Class,
    /// Header and body.
    pub bytes: Vec<u8>,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Blocks now on the card.
    pub stored: u64,
    /// Waiting blocks that made room, incoming ones included.
    pub evicted: u64,
}

impl RingFile {
    /// Opens or makes the ring at `path`; database and -wal together stay within `bytes_max` (at least 16 MiB).
    ///
    /// # Errors
    /// [`RingError`]: not writable, owned by another process, damaged, or not a ring.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, RingError> {
        let connection = connect(path)?;
        let sort = |source| RingError::sort(path, source);
        let bytes_max = bytes_max.max(BYTES_MIN) - WAL_BYTES;
        // A backstop behind our own accounting: SQLite itself refuses to grow beyond it.
        connection
            .query_row(&format!("PRAGMA max_page_count = {}", bytes_max / 4096), [], |_| Ok(()))
            .map_err(sort)?;
        let next_id: i64 = connection
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM block", [], |row| row.get(0))
            .map_err(sort)?;
        let mut ring = Self {
            connection,
            path: path.to_owned(),
            bytes_max,
            bytes_used: 0,
            next_id,
            leased: BTreeSet::new(),
            recent: VecDeque::new(),
            books: Books::default(),
        };
        ring.load_books().map_err(sort)?;
        ring.count_blocks().map_err(sort)?;
        Ok(ring)
    }

    fn load_books(&mut self) -> rusqlite::Result<()> {
        let mut entries = self.connection.prepare("SELECT class, entry, blocks, records FROM books")?;
        let mut rows = entries.query([])?;
        while let Some(row) = rows.next()? {
            let Ok(class) = Class::from_number(row.get(0)?) else { continue };
            let tally = Tally { blocks: row.get(2)?, records: row.get(3)? };
            let class = self.books.of(class);
            match row.get_ref(1)?.as_str()? {
                "sealed" => class.sealed = tally,
                "acked" => class.acked = tally,
                entry => {
                    if let Some(reason) = EvictReason::ALL.iter().position(|reason| reason.name() == entry) {
                        class.evicted[reason] = tally;
                    }
                }
            }
        }
        Ok(())
    }

    /// What waits and what room it takes is counted from the rows, so that it cannot disagree with them.
    fn count_blocks(&mut self) -> rusqlite::Result<()> {
        let mut blocks = self.connection.prepare("SELECT state, class, len, records FROM block")?;
        let mut rows = blocks.query([])?;
        while let Some(row) = rows.next()? {
            self.bytes_used += Self::page_bytes(row.get(2)?);
            if row.get::<_, i64>(0)? == WAITING
                && let Ok(class) = Class::from_number(row.get(1)?)
            {
                self.books.of(class).waiting.add(row.get(3)?);
            }
        }
        Ok(())
    }

    /// Bytes of pages that a block of `len` bytes takes: its overflow pages, and a share of leaf and index pages.
    pub(super) const fn page_bytes(len: u64) -> u64 {
        len.div_ceil(4092) * 4096 + 512
    }

    /// Where the ring lives.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The books so far, over all runs since the file was made.
    pub const fn books(&self) -> &Books {
        &self.books
    }

    /// Bytes that blocks take, and the bound, both of the database file.
    pub const fn fill(&self) -> (u64, u64) {
        (self.bytes_used, self.bytes_max)
    }

    /// Leases waiting blocks, the most worthy class first and the oldest first within it, until `bytes_max` bytes or
    /// `blocks_max` blocks; one block is given even if it is larger. All are of one class. A block whose bytes are no
    /// longer intact is evicted and counted instead of sent.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn lease(&mut self, bytes_max: usize, blocks_max: usize) -> Result<Vec<Leased>, RingError> {
        let path = self.path.clone();
        let (leased, damaged) =
            self.read_waiting(bytes_max, blocks_max).map_err(|source| RingError::sort(&path, source))?;
        for (id, class, records) in damaged {
            self.evict_damaged(id, class, records).map_err(|source| RingError::sort(&path, source))?;
        }
        self.leased.extend(leased.iter().map(|block| block.lease.id));
        Ok(leased)
    }

    #[allow(clippy::type_complexity)]
    fn read_waiting(
        &self,
        bytes_max: usize,
        blocks_max: usize,
    ) -> rusqlite::Result<(Vec<Leased>, Vec<(i64, Class, u32)>)> {
        let (mut leased, mut damaged) = (Vec::new(), Vec::new());
        let mut waiting = self.connection.prepare_cached(
            "SELECT block.id, class, records, bytes FROM block LEFT JOIN body USING (id)
             WHERE state = ?1 ORDER BY class, block.id",
        )?;
        let mut rows = waiting.query([WAITING])?;
        let (mut bytes_sum, mut first_class) = (0, None);
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if self.leased.contains(&id) {
                continue;
            }
            let class = Class::from_number(row.get(1)?).unwrap_or(Class::Bulk);
            let records = row.get(2)?;
            let bytes = row.get_ref(3)?.as_blob_or_null()?.unwrap_or_default();
            if *first_class.get_or_insert(class) != class
                || (!leased.is_empty() && bytes_sum + bytes.len() > bytes_max)
                || leased.len() >= blocks_max
            {
                break;
            }
            if crate::block::BlockHeader::read(bytes).is_err() {
                damaged.push((id, class, records));
                continue;
            }
            bytes_sum += bytes.len();
            leased.push(Leased { lease: Lease { id, records }, class, bytes: bytes.to_vec() });
        }
        Ok((leased, damaged))
    }

    fn evict_damaged(&mut self, id: i64, class: Class, records: u32) -> rusqlite::Result<()> {
        let mut books = self.books;
        books.of(class).waiting.take(records);
        books.of(class).evicted[EvictReason::Damaged as usize].add(records);
        let transaction = self.connection.unchecked_transaction()?;
        let freed = super::commit::remove(&transaction, id)?;
        super::commit::write_books(&transaction, &books)?;
        transaction.commit()?;
        self.bytes_used = self.bytes_used.saturating_sub(freed);
        self.books = books;
        Ok(())
    }

    /// Gives leases back without an acknowledgement: the blocks wait again.
    pub fn release(&mut self, leases: impl IntoIterator<Item = Lease>) {
        for lease in leases {
            self.leased.remove(&lease.id);
        }
    }

    /// Commits `blocks` and the acknowledgements in `acked` in one transaction, synced to the card. Blocks make room
    /// by [`super::victim`]. `now_boot_ns` (`CLOCK_BOOTTIME`) dates the acknowledgements.
    ///
    /// # Errors
    /// [`RingError`]: then nothing of it happened, the leases are back in `acked`, and it can be tried again.
    pub fn commit(
        &mut self,
        blocks: &[SealedBlock],
        acked: &mut Vec<Lease>,
        now_boot_ns: i64,
    ) -> Result<Committed, RingError> {
        let path = self.path.clone();
        let work = super::commit::Work::run(self, blocks, acked);
        let work = work.map_err(|source| RingError::sort(&path, source))?;
        let committed = work.adopt(self);
        for lease in acked.drain(..) {
            self.leased.remove(&lease.id);
            self.recent.push_back((lease.id, now_boot_ns));
        }
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        Ok(committed)
    }

    /// Takes back acknowledgements given since `since_boot_ns`: the broker that gave them has lost its memory. Blocks
    /// still in the ring wait again; the receiver knows them by their identity. Gives how many.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be written.
    pub fn reoffer(&mut self, since_boot_ns: i64) -> Result<u64, RingError> {
        let path = self.path.clone();
        let sort = |source| RingError::sort(&path, source);
        let mut books = self.books;
        let transaction = self.connection.unchecked_transaction().map_err(sort)?;
        let mut count = 0;
        for &(id, at) in &self.recent {
            if at < since_boot_ns {
                continue;
            }
            let taken = transaction
                .query_row(
                    "UPDATE block SET state = ?1 WHERE id = ?2 AND state = ?3 RETURNING class, records",
                    params![WAITING, id, ACKED],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .map(Some)
                .or_else(
                    |error| if error == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(error) },
                )
                .map_err(sort)?;
            if let Some((class, records)) = taken
                && let Ok(class) = Class::from_number(class)
            {
                books.of(class).acked.take(records);
                books.of(class).waiting.add(records);
                count += 1;
            }
        }
        super::commit::write_books(&transaction, &books).map_err(sort)?;
        transaction.commit().map_err(sort)?;
        self.books = books;
        self.recent.clear();
        Ok(count)
    }

    /// Keeps a schema's block under its hash, for readers of the file.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be written.
    pub fn put_schema(&mut self, hash: SchemaHash, block: &SealedBlock) -> Result<(), RingError> {
        self.connection
            .execute(
                "INSERT OR IGNORE INTO schema (hash, bytes) VALUES (?1, ?2)",
                params![hash.0, block.bytes()],
            )
            .map_err(|source| RingError::sort(&self.path, source))?;
        Ok(())
    }

    /// Folds the -wal into the database and closes both.
    ///
    /// # Errors
    /// [`RingError`] when the last writes fail; the committed blocks are then still in the -wal.
    pub fn close(self) -> Result<(), RingError> {
        let path = self.path;
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|source| RingError::sort(&path, source))?;
        self.connection.close().map_err(|(_, source)| RingError::sort(&path, source))
    }
}
