//! Leasing: which blocks are sent next, what becomes of those that cannot be read, and taking acknowledgements back.

use rusqlite::{OptionalExtension, params};

use super::file::{ACKED, LOST, Notice, RingFile, WAITING};
use super::open::{RingError, fault};
use super::tables::class_of;
use super::trouble::Fault;
use super::{EvictReason, Lease};
use crate::block::{BlockHeader, Class};

/// Times that a block is asked for in vain before it is given up. With growing pauses, that takes two minutes.
const TRIES_MAX: u32 = 8;
const PAUSE_FIRST_NS: i64 = 1_000_000_000;
const PAUSE_CAP_NS: i64 = 60_000_000_000;
/// Blocks met in one go that are not as they should be, at most: each may take the card seconds.
const SPOILT_MAX: usize = 4;
/// So many times that, nothing is sent for now.
const ROUNDS_MAX: usize = 4;
/// Acknowledged blocks of each worth looked at when acknowledgements are taken back.
const REOFFER_MAX: usize = 4096;

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

/// A block that could not be read, and when it is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parked {
    tries: u32,
    until_ns: i64,
    /// What had been read when it was last tried: while the card gives nothing back, it is not the block's fault.
    reads: u64,
}

/// A block that was met and not given.
struct Spoilt {
    id: i64,
    class: Class,
    records: u32,
    /// Why it cannot be read; `None` when what is read is damaged.
    unreadable: Option<rusqlite::Error>,
}

impl RingFile {
    /// Leases waiting blocks, the most worthy first and the oldest first within a worth, until `bytes_max` bytes or
    /// `blocks_max` blocks; one block is given even if it is larger. All are of one class. What cannot be read is passed
    /// over, tried again later, and given up after two minutes; what is read and is not intact is given up at once. Both
    /// are counted.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn lease(&mut self, bytes_max: usize, blocks_max: usize) -> Result<Vec<Leased>, RingError> {
        self.attach()?;
        let mut last = None;
        for _ in 0..ROUNDS_MAX {
            let read = self.read_waiting(bytes_max, blocks_max);
            let (leased, spoilt) = read.map_err(|source| self.failed(source))?;
            self.reads += leased.len() as u64;
            self.leased.extend(leased.iter().map(|block| block.lease.id));
            let is_last = spoilt.len() < SPOILT_MAX;
            for block in spoilt {
                self.pass_over(&block).map_err(|source| self.failed(source))?;
                last = block.unreadable.or(last);
            }
            if !leased.is_empty() {
                return Ok(leased);
            }
            if is_last {
                break;
            }
        }
        // Nothing that waits can be read: whoever asks should know.
        last.map_or(Ok(Vec::new()), |source| Err(RingError::sort(&self.path, source)))
    }

    fn read_waiting(
        &self,
        bytes_max: usize,
        blocks_max: usize,
    ) -> rusqlite::Result<(Vec<Leased>, Vec<Spoilt>)> {
        let (mut leased, mut spoilt) = (Vec::<Leased>::new(), Vec::new());
        let mut waiting = self
            .connection()?
            .prepare_cached("SELECT id, class, records FROM block WHERE state = ?1 ORDER BY worth, id")?;
        let mut rows = waiting.query([WAITING])?;
        let mut bytes_sum = 0;
        let now = self.clock.now_ns();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if self.leased.contains(&id) || self.parked.get(&id).is_some_and(|parked| parked.until_ns > now) {
                continue;
            }
            let (class, records) = (class_of(row.get(1)?), row.get(2)?);
            if leased.first().is_some_and(|first| first.class != class) || leased.len() >= blocks_max {
                break;
            }
            match self.read_body(id) {
                Ok(bytes) => {
                    if !leased.is_empty() && bytes_sum + bytes.len() > bytes_max {
                        break;
                    }
                    bytes_sum += bytes.len();
                    leased.push(Leased { lease: Lease { id, records }, class, bytes });
                }
                Err(unreadable) => {
                    spoilt.push(Spoilt { id, class, records, unreadable });
                    if spoilt.len() == SPOILT_MAX {
                        break;
                    }
                }
            }
        }
        Ok((leased, spoilt))
    }

    /// The bytes of a block, if they are intact; else why they cannot be read, or `None` when they are damaged.
    pub(super) fn read_body(&self, id: i64) -> Result<Vec<u8>, Option<rusqlite::Error>> {
        let read = || -> rusqlite::Result<Option<Vec<u8>>> {
            let mut body = self.connection()?.prepare_cached("SELECT bytes FROM body WHERE id = ?1")?;
            let bytes: Option<Vec<u8>> = body.query_row([id], |row| row.get(0)).optional()?;
            Ok(bytes.filter(|bytes| BlockHeader::read(bytes).is_ok()))
        };
        let why = |error: rusqlite::Error| (fault(&error) != Fault::Corrupt).then_some(error);
        match read() {
            Ok(Some(bytes)) => return Ok(bytes),
            Err(error) if fault(&error) != Fault::Corrupt => return Err(Some(error)),
            Ok(None) | Err(_) => {}
        }
        // It may be a page in memory that went bad: once more, from the card.
        let _ = self.connection().and_then(|connection| connection.execute_batch("PRAGMA shrink_memory"));
        read().map_err(why)?.ok_or(None)
    }

    /// Parks a block that cannot be read, or gives it up.
    fn pass_over(&mut self, block: &Spoilt) -> rusqlite::Result<()> {
        if block.unreadable.is_some() {
            let now = self.clock.now_ns();
            let reads = self.reads;
            let parked = self.parked.entry(block.id).or_insert(Parked { tries: 0, until_ns: now, reads: 0 });
            // While nothing else can be read either, the card is away, and the block may come back with it.
            parked.tries += u32::from(parked.tries == 0 || reads > parked.reads);
            parked.reads = reads;
            parked.until_ns = now + (PAUSE_FIRST_NS << (parked.tries - 1).min(6)).min(PAUSE_CAP_NS);
            if parked.tries < TRIES_MAX {
                return Ok(());
            }
        }
        self.give_up(block)
    }

    /// Counts a block as lost, and leaves it where it is: what its pages point to may be anybody's.
    fn give_up(&mut self, block: &Spoilt) -> rusqlite::Result<()> {
        let Spoilt { id, class, records, .. } = *block;
        let unreadable = block.unreadable.is_some();
        let reason = if unreadable { EvictReason::Unreadable } else { EvictReason::Damaged };
        self.settle();
        let mut known = self.known.clone();
        let transaction = self.connection()?.unchecked_transaction()?;
        let (worth, len): (usize, u64) = transaction
            .prepare_cached("UPDATE block SET state = ?1 WHERE id = ?2 RETURNING worth, len")?
            .query_row(params![LOST, id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        known.books.lose(class, records, reason);
        known.room.leave(worth, class, Self::page_bytes(len));
        known.room.lost += Self::page_bytes(len);
        known.save(&self.in_file, &transaction)?;
        transaction.commit()?;
        self.saved(known);
        self.parked.remove(&id);
        self.notice(Notice::GivenUp { id, records, unreadable });
        Ok(())
    }

    /// Blocks that could not be read and are tried again later.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Gives leases back without an acknowledgement: the blocks wait again.
    pub fn release(&mut self, leases: impl IntoIterator<Item = Lease>) {
        for lease in leases {
            self.leased.remove(&lease.id);
        }
    }

    /// Takes back acknowledgements given since `since_boot_ns` (`CLOCK_BOOTTIME`), by this process or by one before it:
    /// the broker that gave them has lost its memory. Blocks still in the ring wait again; the receiver knows them by
    /// their identity. Gives how many.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be written.
    pub fn reoffer(&mut self, since_boot_ns: i64) -> Result<u64, RingError> {
        self.attach()?;
        self.settle();
        let count = self.take_back(self.clock.at(since_boot_ns));
        count.map_err(|source| self.failed(source))
    }

    /// `CLOCK_BOOTTIME` of the latest acknowledgement that the ring still knows of, nanoseconds; below 0 when it came
    /// before this boot.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read.
    pub fn acked_last(&mut self) -> Result<Option<i64>, RingError> {
        self.attach()?;
        // A ring of the first release does not know when: that is long ago, and no time of the ring's.
        let last = self.connection().and_then(|connection| {
            connection.query_row(
                "SELECT max(acked_run_ns) FROM block WHERE state = ?1 AND acked_run_ns >= 0",
                [ACKED],
                |row| row.get::<_, Option<i64>>(0),
            )
        });
        let last = last.map_err(|source| self.failed(source))?;
        Ok(last.map(|at| at - self.clock.base_ns))
    }

    fn take_back(&mut self, since_ns: i64) -> rusqlite::Result<u64> {
        let mut ids: Vec<i64> =
            self.recent.iter().filter(|(_, at)| *at >= since_ns).map(|(id, _)| *id).collect();
        let transaction = self.connection()?.unchecked_transaction()?;
        // What was acknowledged last is, with few exceptions, what was stored last of what is acknowledged.
        for worth in Class::ALL {
            let mut acked = transaction.prepare_cached(
                "SELECT id, acked_run_ns FROM block WHERE state = ?1 AND worth = ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            let mut rows = acked.query(params![ACKED, worth.number(), REOFFER_MAX])?;
            while let Some(row) = rows.next()? {
                if row.get::<_, i64>(1)? >= since_ns {
                    ids.push(row.get(0)?);
                }
            }
        }
        let mut known = self.known.clone();
        let mut count = 0;
        for id in ids {
            let taken = transaction
                .prepare_cached(
                    "UPDATE block SET state = ?1 WHERE id = ?2 AND state = ?3 RETURNING class, records, worth, len",
                )?
                .query_row(params![WAITING, id, ACKED], |row| {
                    Ok((class_of(row.get(0)?), row.get(1)?, row.get(2)?, Self::page_bytes(row.get(3)?)))
                })
                .optional()?;
            if let Some((class, records, worth, bytes)) = taken {
                known.books.take_back(class, records);
                known.room.acked = known.room.acked.saturating_sub(bytes);
                known.room.wait(worth, class, bytes);
                count += 1;
            }
        }
        known.save(&self.in_file, &transaction)?;
        transaction.commit()?;
        self.saved(known);
        self.recent.clear();
        Ok(count)
    }
}
