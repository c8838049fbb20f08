//! One transaction: new blocks in, acknowledgements noted, what is too old removed, room made.

use rusqlite::{Connection, OptionalExtension, params};

use super::Lease;
use super::file::{ACKED, RingFile, WAITING};
use super::open::{RingError, fault};
use super::tables::{Known, class_of};
use super::trouble::Fault;
use crate::block::{Class, SealedBlock};

/// Blocks that one commit finds it cannot remove, at most.
const UNDELETABLE_MAX: usize = 16;
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
    pub(super) source: rusqlite::Error,
    /// The block that could not be removed, if that was it.
    pub(super) stuck: Option<i64>,
}

impl From<rusqlite::Error> for Failure {
    fn from(source: rusqlite::Error) -> Self {
        Self { source, stuck: None }
    }
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
                    if work.is_saved {
                        self.in_file.clone_from(&work.known);
                    }
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
pub(super) struct Work<'a> {
    pub(super) ring: &'a RingFile,
    pub(super) known: Known,
    pub(super) committed: Committed,
    pub(super) origin: Origin,
    pub(super) room_max: u64,
    pub(super) now_ns: i64,
    /// Waiting blocks that are no longer there.
    pub(super) gone: Vec<i64>,
}

struct Done {
    known: Known,
    /// Whether the books in the file are these; else they follow from its rows.
    is_saved: bool,
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
        work.known.session.clone_from(&ring.session);
        let transaction = ring.connection()?.unchecked_transaction()?;
        for lease in acked {
            work.acknowledge(&transaction, lease)?;
        }
        work.expire(&transaction)?;
        for block in blocks {
            work.store(&transaction, block)?;
        }
        let is_saved = !work.known.follows_from_rows(&ring.in_file);
        if is_saved {
            work.known.save(&ring.in_file, &transaction)?;
        }
        also(&transaction)?;
        transaction.commit()?;
        Ok(Done { known: work.known, is_saved, committed: work.committed, gone: work.gone })
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
                let _ = adrift.take(records);
                return;
            }
            Origin::Salvaged => books.salvaged.add(records),
        }
        books.waiting.add(records);
    }
}
