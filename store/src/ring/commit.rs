//! One transaction: new blocks in, acknowledgements noted, room made.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::file::{ACKED, Committed, RingFile, WAITING};
use super::{Books, Candidate, EvictReason, Lease, Victim, victim};
use crate::block::{Class, SealedBlock};

/// What the ring will be once the transaction is committed; dropped when it is not.
pub(super) struct Work {
    books: Books,
    bytes_used: u64,
    next_id: i64,
    committed: Committed,
}

impl Work {
    pub(super) fn run(ring: &RingFile, blocks: &[SealedBlock], acked: &[Lease]) -> rusqlite::Result<Self> {
        let mut work = Self {
            books: ring.books,
            bytes_used: ring.bytes_used,
            next_id: ring.next_id,
            committed: Committed::default(),
        };
        let transaction = ring.connection.unchecked_transaction()?;
        for lease in acked {
            work.acknowledge(&transaction, lease)?;
        }
        for block in blocks {
            work.store(&transaction, ring, block)?;
        }
        write_books(&transaction, &work.books)?;
        transaction.commit()?;
        Ok(work)
    }

    /// Makes the committed state the ring's.
    pub(super) fn adopt(self, ring: &mut RingFile) -> Committed {
        (ring.books, ring.bytes_used, ring.next_id) = (self.books, self.bytes_used, self.next_id);
        self.committed
    }

    fn acknowledge(&mut self, transaction: &Connection, lease: &Lease) -> rusqlite::Result<()> {
        let class: Option<u8> = transaction
            .prepare_cached("UPDATE block SET state = ?1 WHERE id = ?2 AND state = ?3 RETURNING class")?
            .query_row(params![ACKED, lease.id, WAITING], |row| row.get(0))
            .optional()?;
        if let Some(Ok(class)) = class.map(Class::from_number) {
            let books = self.books.of(class);
            books.waiting.take(lease.records);
            books.acked.add(lease.records);
        }
        Ok(())
    }

    fn store(
        &mut self,
        transaction: &Connection,
        ring: &RingFile,
        block: &SealedBlock,
    ) -> rusqlite::Result<()> {
        let header = block.header();
        self.books.of(header.class).sealed.add(header.count);
        let need = RingFile::page_bytes(block.bytes().len() as u64);
        if !self.make_room(transaction, ring, need, header.class)? {
            self.lose(header.class, header.count);
            return Ok(());
        }
        let id = self.next_id;
        transaction
            .prepare_cached(
                "INSERT INTO block (id, state, class, kind, boot, run, sequence, schema, records, len, first_ns,
                 last_ns, sealed_boot_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                id,
                WAITING,
                header.class.number(),
                header.kind as u8,
                header.identity.boot.0,
                header.identity.run as i64,
                header.identity.sequence as i64,
                header.schema.0,
                header.count,
                block.bytes().len(),
                header.first_ns,
                header.last_ns,
                header.sealed_boot_ns,
            ])?;
        transaction
            .prepare_cached("INSERT INTO body (id, bytes) VALUES (?1, ?2)")?
            .execute(params![id, block.bytes()])?;
        self.next_id += 1;
        self.bytes_used += need;
        self.books.of(header.class).waiting.add(header.count);
        self.committed.stored += 1;
        Ok(())
    }

    /// Removes blocks until `need` bytes fit; false when only the incoming block is left to go.
    fn make_room(
        &mut self,
        transaction: &Connection,
        ring: &RingFile,
        need: u64,
        incoming: Class,
    ) -> rusqlite::Result<bool> {
        // Tables, indices and books take a few pages whatever the blocks are.
        let bound = ring.bytes_max.saturating_sub(256 << 10);
        while self.bytes_used + need > bound {
            let least = least_waiting(transaction, &ring.leased)?;
            match victim(oldest_acked(transaction)?, least, incoming) {
                Victim::Acked(id) => {
                    self.bytes_used = self.bytes_used.saturating_sub(remove(transaction, id)?);
                }
                Victim::Waiting(Candidate { id, class }) => {
                    let records =
                        transaction
                            .query_row("SELECT records FROM block WHERE id = ?1", [id], |row| row.get(0))?;
                    self.bytes_used = self.bytes_used.saturating_sub(remove(transaction, id)?);
                    self.books.of(class).waiting.take(records);
                    self.lose(class, records);
                }
                Victim::Incoming => return Ok(false),
            }
        }
        Ok(true)
    }

    fn lose(&mut self, class: Class, records: u32) {
        self.books.of(class).evicted[EvictReason::Full as usize].add(records);
        self.committed.evicted += 1;
    }
}

fn oldest_acked(transaction: &Connection) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT min(id) FROM block WHERE state = ?1")?
        .query_row([ACKED], |row| row.get(0))
}

fn least_waiting(transaction: &Connection, leased: &BTreeSet<i64>) -> rusqlite::Result<Option<Candidate>> {
    let mut statement = transaction
        .prepare_cached("SELECT id, class FROM block WHERE state = ?1 ORDER BY class DESC, id ASC")?;
    let mut rows = statement.query([WAITING])?;
    // Leases are few (the in-flight window), so this looks at a few rows at most.
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if !leased.contains(&id) {
            return Ok(Some(Candidate { id, class: Class::from_number(row.get(1)?).unwrap_or(Class::Bulk) }));
        }
    }
    Ok(None)
}

/// Removes a block and gives the bytes of pages that it took.
pub(super) fn remove(transaction: &Connection, id: i64) -> rusqlite::Result<u64> {
    transaction.prepare_cached("DELETE FROM body WHERE id = ?1")?.execute([id])?;
    let len: i64 = transaction
        .prepare_cached("DELETE FROM block WHERE id = ?1 RETURNING len")?
        .query_row([id], |row| row.get(0))?;
    Ok(RingFile::page_bytes(len as u64))
}

/// Writes what cannot be counted from the rows; `waiting` can.
pub(super) fn write_books(transaction: &Connection, books: &Books) -> rusqlite::Result<()> {
    let mut write = transaction.prepare_cached(
        "INSERT OR REPLACE INTO books (class, entry, blocks, records) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (class, books) in Class::ALL.iter().zip(&books.classes) {
        if books.sealed.blocks == 0 {
            continue;
        }
        let evicted =
            EvictReason::ALL.iter().zip(books.evicted).map(|(reason, tally)| (reason.name(), tally));
        for (entry, tally) in [("sealed", books.sealed), ("acked", books.acked)].into_iter().chain(evicted) {
            write.execute(params![class.number(), entry, tally.blocks as i64, tally.records as i64])?;
        }
    }
    Ok(())
}
