//! Making room: what is too old goes at every commit, and when the ring is full, whoever [`victim`] names.

use rusqlite::{Connection, OptionalExtension, params};

use super::EvictReason;
use super::commit::{Failure, Origin, Work};
use super::file::{ACKED, LOST, RingFile, WAITING};
use super::policy::{Barred, Incoming, Victim, WORTHS, keeps_floor, victim};
use super::tables::{Known, class_of};
use crate::block::{Class, SealedBlock};

/// Blocks that one commit removes because of their age, at most: more are the next one's.
const EXPIRED_MAX: usize = 1024;
/// Share of the ring that is freed at once when it is full: 1 MiB of 256.
const ROOM_AHEAD: u64 = 256;

/// A row that may go.
struct Candidate {
    id: i64,
    class: Class,
    worth: usize,
    records: u32,
    bytes: u64,
    is_waiting: bool,
}

impl RingFile {
    /// Whether these blocks find room without one that waits having to go for them.
    pub fn has_room(&self, blocks: &[SealedBlock]) -> bool {
        let need: u64 = blocks.iter().map(|block| Self::page_bytes(block.bytes().len() as u64)).sum();
        let (room, room_max) = (&self.known.room, self.room_max());
        room.used() - room.acked + need + room_max / ROOM_AHEAD <= room_max
    }
}

impl Work<'_> {
    /// Removes what has been kept for longer than its worth is.
    pub(super) fn expire(&mut self, transaction: &Connection) -> Result<(), Failure> {
        for (worth, age) in Class::ALL.iter().zip(self.ring.retention.age_ns_max) {
            let Some(age) = age else { continue };
            let oldest = self.now_ns - age;
            for state in [WAITING, ACKED] {
                for candidate in self.older(transaction, state, *worth, oldest)? {
                    let Candidate { class, records, is_waiting, .. } = candidate;
                    self.remove(transaction, &candidate)?;
                    if is_waiting {
                        self.known.books.lose(class, records, EvictReason::Expired);
                        self.committed.expired += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn older(
        &self,
        transaction: &Connection,
        state: i64,
        worth: Class,
        oldest_ns: i64,
    ) -> rusqlite::Result<Vec<Candidate>> {
        let mut statement = transaction.prepare_cached(
            "SELECT id, class, worth, records, len, state, stored_run_ns FROM block
             WHERE state = ?1 AND worth = ?2 ORDER BY id",
        )?;
        let mut rows = statement.query(params![state, worth.number()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            // Rows lie in the order in which they were stored.
            if row.get::<_, i64>(6)? >= oldest_ns || found.len() == EXPIRED_MAX {
                break;
            }
            let candidate = Candidate::from_row(row)?;
            if !self.ring.leased.contains(&candidate.id) {
                found.push(candidate);
            }
        }
        Ok(found)
    }

    /// Removes blocks until `need` bytes fit; false when only the incoming block is left to go. Where room is made, a
    /// little more is made: pages that are freed in one go are written once.
    pub(super) fn make_room(
        &mut self,
        transaction: &Connection,
        need: u64,
        worth: Class,
    ) -> Result<bool, Failure> {
        let incoming = Incoming { worth, is_old: self.origin == Origin::Salvaged };
        let floors = self.ring.retention.floor_bytes;
        let mut barred = Barred::default();
        let room_max = self.room_max;
        let fits = |known: &Known, bytes: u64| known.room.used() + bytes <= room_max;
        if fits(&self.known, need) {
            return Ok(true);
        }
        let ahead = need + room_max / ROOM_AHEAD;
        while !fits(&self.known, ahead) {
            match victim(&self.known.room, &floors, &barred, incoming) {
                Victim::Acked => match Self::least_acked(transaction)? {
                    Some(candidate) => self.remove(transaction, &candidate)?,
                    None => barred.acked = true,
                },
                Victim::Waiting(least) => match self.oldest_waiting(transaction, least)? {
                    Some(candidate)
                        if keeps_floor(&self.known.room, &floors, least, candidate.bytes, incoming) =>
                    {
                        self.remove(transaction, &candidate)?;
                        self.lose(candidate.class, candidate.records);
                    }
                    _ => barred.waiting[usize::from(least.number())] = true,
                },
                Victim::Incoming => return Ok(fits(&self.known, need)),
            }
        }
        Ok(true)
    }

    pub(super) fn lose(&mut self, class: Class, records: u32) {
        self.known.books.lose(class, records, EvictReason::Full);
        self.committed.evicted += 1;
    }

    fn least_acked(transaction: &Connection) -> rusqlite::Result<Option<Candidate>> {
        for worth in (0..WORTHS).rev() {
            let found = transaction
                .prepare_cached(
                    "SELECT id, class, worth, records, len, state FROM block WHERE state = ?1 AND worth = ?2
                     ORDER BY id LIMIT 1",
                )?
                .query_row(params![ACKED, worth], Candidate::from_row)
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn oldest_waiting(&self, transaction: &Connection, worth: Class) -> rusqlite::Result<Option<Candidate>> {
        let mut statement = transaction.prepare_cached(
            "SELECT id, class, worth, records, len, state FROM block WHERE state = ?1 AND worth = ?2 ORDER BY id",
        )?;
        let mut rows = statement.query(params![WAITING, worth.number()])?;
        // Leases are few (the in-flight window), so this looks at a few rows at most.
        while let Some(row) = rows.next()? {
            let candidate = Candidate::from_row(row)?;
            if !self.ring.leased.contains(&candidate.id) {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// Removes a block. One whose pages are not what they should be stays where it is, marked as lost: what it points to
    /// may belong to others, and what cannot be read cannot be freed.
    fn remove(&mut self, transaction: &Connection, candidate: &Candidate) -> Result<(), Failure> {
        let &Candidate { id, class, worth, bytes, is_waiting, .. } = candidate;
        let stuck = |source| Failure { source, stuck: Some(id) };
        let is_intact = !self.ring.undeletable.contains(&id)
            && match self.ring.read_body(id) {
                Ok(_) => true,
                // SQLite gives up the whole transaction when it cannot read: the next try knows of it.
                Err(Some(source)) => return Err(stuck(source)),
                Err(None) => false,
            };
        if is_intact {
            for table in ["DELETE FROM body WHERE id = ?1", "DELETE FROM block WHERE id = ?1"] {
                transaction.prepare_cached(table)?.execute([id]).map_err(stuck)?;
            }
        } else {
            transaction
                .prepare_cached("UPDATE block SET state = ?1 WHERE id = ?2")?
                .execute(params![LOST, id])?;
            self.known.room.lost += bytes;
        }
        if is_waiting {
            self.known.room.leave(worth, class, bytes);
            self.gone.push(id);
        } else {
            self.known.room.acked = self.known.room.acked.saturating_sub(bytes);
        }
        Ok(())
    }
}

impl Candidate {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            class: class_of(row.get(1)?),
            worth: row.get(2)?,
            records: row.get(3)?,
            bytes: RingFile::page_bytes(row.get(4)?),
            is_waiting: row.get::<_, i64>(5)? == WAITING,
        })
    }
}
