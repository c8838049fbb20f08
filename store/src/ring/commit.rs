//! One transaction: new blocks in, acknowledgements noted, what is too old removed, room made.

use rusqlite::{Connection, OptionalExtension, params};

use super::file::{ACKED, LOST, RingFile, WAITING};
use super::open::{RingError, fault};
use super::policy::{Barred, Incoming, Victim, WORTHS, keeps_floor, victim};
use super::tables::{Known, class_of};
use super::trouble::Fault;
use super::{EvictReason, Lease};
use crate::block::{Class, SealedBlock};

/// Blocks that one commit finds it cannot remove, at most.
const UNDELETABLE_MAX: usize = 16;
/// Blocks that one commit removes because of their age, at most: more are the next one's.
const EXPIRED_MAX: usize = 1024;
/// Share of the ring that is freed at once when it is full: 1 MiB of 256.
const ROOM_AHEAD: u64 = 256;
/// Acknowledgements remembered so that they can be taken back when the broker forgets what it promised.
const RECENT_MAX: usize = 4096;

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Blocks now on the card.
    pub stored: u64,
    /// Waiting blocks that made room, incoming ones included.
    pub evicted: u64,
    /// Waiting blocks that were too old.
    pub expired: u64,
}

/// Where the blocks of a commit come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Sealed,
    Salvaged,
}

/// Why a commit failed.
pub(super) struct Failure {
    source: rusqlite::Error,
    /// The block that could not be removed, if that was it.
    stuck: Option<i64>,
}

impl From<rusqlite::Error> for Failure {
    fn from(source: rusqlite::Error) -> Self {
        Self { source, stuck: None }
    }
}

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
    /// Commits `blocks` and the acknowledgements in `acked` in one transaction, synced to the card. Blocks make room
    /// by [`super::victim`]. `now_boot_ns` (`CLOCK_BOOTTIME`) dates both.
    ///
    /// # Errors
    /// [`RingError`]: then nothing of it happened, the leases are back in `acked`, and it can be tried again.
    pub fn commit(
        &mut self,
        blocks: &[SealedBlock],
        acked: &mut Vec<Lease>,
        now_boot_ns: i64,
    ) -> Result<Committed, RingError> {
        self.clock.advance(now_boot_ns);
        let committed = self.transact(blocks, acked, Origin::Sealed, |_| Ok(()))?;
        let now = self.clock.now_ns();
        for lease in acked.drain(..) {
            self.leased.remove(&lease.id);
            self.recent.push_back((lease.id, now));
        }
        let surplus = self.recent.len().saturating_sub(RECENT_MAX);
        self.recent.drain(..surplus);
        Ok(committed)
    }

    /// Commits with whatever `also` writes, all or nothing.
    pub(super) fn transact(
        &mut self,
        blocks: &[SealedBlock],
        acked: &[Lease],
        origin: Origin,
        also: impl Fn(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Committed, RingError> {
        self.attach()?;
        self.settle();
        let mut tries = 0;
        loop {
            match Work::run(self, blocks, acked, origin, &also) {
                Ok(work) => {
                    self.known = work.known;
                    work.gone.iter().for_each(|id| {
                        self.parked.remove(id);
                    });
                    self.trouble.clear();
                    return Ok(work.committed);
                }
                Err(Failure { source, stuck: Some(id) })
                    if fault(&source) != Fault::Other && tries < UNDELETABLE_MAX =>
                {
                    self.undeletable.insert(id);
                    tries += 1;
                }
                Err(Failure { source, .. }) => return Err(self.failed(source)),
            }
        }
    }
}

/// What the ring will be once the transaction is committed; dropped when it is not.
struct Work<'a> {
    ring: &'a RingFile,
    known: Known,
    committed: Committed,
    origin: Origin,
    room_max: u64,
    now_ns: i64,
    /// Waiting blocks that are no longer there.
    gone: Vec<i64>,
}

struct Done {
    known: Known,
    committed: Committed,
    gone: Vec<i64>,
}

impl<'a> Work<'a> {
    fn run(
        ring: &'a RingFile,
        blocks: &[SealedBlock],
        acked: &[Lease],
        origin: Origin,
        also: &impl Fn(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Done, Failure> {
        let mut work = Self {
            ring,
            known: ring.known.clone(),
            committed: Committed::default(),
            origin,
            room_max: ring.room_max(),
            now_ns: ring.clock.now_ns(),
            gone: Vec::new(),
        };
        if ring.clock.is_due(&work.known.clock) {
            work.known.clock = ring.clock;
        }
        let transaction = ring.connection()?.unchecked_transaction()?;
        for lease in acked {
            work.acknowledge(&transaction, lease)?;
        }
        work.expire(&transaction)?;
        for block in blocks {
            work.store(&transaction, block)?;
        }
        work.known.save(&ring.known, &transaction)?;
        also(&transaction)?;
        transaction.commit()?;
        Ok(Done { known: work.known, committed: work.committed, gone: work.gone })
    }

    fn acknowledge(&mut self, transaction: &Connection, lease: &Lease) -> rusqlite::Result<()> {
        let row = transaction
            .prepare_cached(
                "UPDATE block SET state = ?1, acked_run_ns = ?2 WHERE id = ?3 AND state = ?4
                 RETURNING class, worth, len",
            )?
            .query_row(params![ACKED, self.now_ns, lease.id, WAITING], |row| {
                Ok((class_of(row.get(0)?), row.get(1)?, RingFile::page_bytes(row.get(2)?)))
            })
            .optional()?;
        if let Some((class, worth, bytes)) = row {
            self.known.books.acknowledge(class, lease.records);
            self.known.room.leave(worth, class, bytes);
            self.known.room.acked += bytes;
            self.gone.push(lease.id);
        }
        Ok(())
    }

    /// Removes what has been kept for longer than its worth is.
    fn expire(&mut self, transaction: &Connection) -> Result<(), Failure> {
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

    fn store(&mut self, transaction: &Connection, block: &SealedBlock) -> Result<(), Failure> {
        let header = block.header();
        let (class, need) = (header.class, RingFile::page_bytes(block.bytes().len() as u64));
        self.count_in(class, header.count);
        let is_within = self.known.windows.iter().any(|window| window.holds(header));
        let preserve = class != Class::Critical
            && is_within
            && self.known.room.preserved + need <= self.ring.retention.preserved_bytes_max;
        let worth = if preserve { Class::Critical } else { class };
        if !self.make_room(transaction, need, worth)? {
            self.lose(class, header.count);
            return Ok(());
        }
        let id = self.known.next_id;
        transaction
            .prepare_cached(
                "INSERT INTO block (id, state, class, kind, boot, run, sequence, schema, records, len, first_ns,
                 last_ns, sealed_boot_ns, worth, stored_run_ns)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                id,
                WAITING,
                class.number(),
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
                worth.number(),
                self.now_ns,
            ])?;
        transaction
            .prepare_cached("INSERT INTO body (id, bytes) VALUES (?1, ?2)")?
            .execute(params![id, block.bytes()])?;
        self.known.next_id += 1;
        self.known.room.wait(usize::from(worth.number()), class, need);
        self.committed.stored += 1;
        Ok(())
    }

    /// Books a block that comes: it waits from now on.
    fn count_in(&mut self, class: Class, records: u32) {
        let adrift = &mut self.known.adrift[usize::from(class.number())];
        let books = self.known.books.of(class);
        match self.origin {
            Origin::Sealed => books.sealed.add(records),
            // It has been waiting all the time.
            Origin::Salvaged if adrift.blocks > 0 && adrift.records >= u64::from(records) => {
                adrift.take(records);
                return;
            }
            Origin::Salvaged => books.salvaged.add(records),
        }
        books.waiting.add(records);
    }

    /// Removes blocks until `need` bytes fit; false when only the incoming block is left to go. Where room is made, a
    /// little more is made: pages that are freed in one go are written once.
    fn make_room(&mut self, transaction: &Connection, need: u64, worth: Class) -> Result<bool, Failure> {
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
                Victim::Acked => match self.least_acked(transaction)? {
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

    fn lose(&mut self, class: Class, records: u32) {
        self.known.books.lose(class, records, EvictReason::Full);
        self.committed.evicted += 1;
    }

    fn least_acked(&self, transaction: &Connection) -> rusqlite::Result<Option<Candidate>> {
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
