//! Salvage: looking for blocks in a file that was set aside, a few pages at a time, behind the running service.
//!
//! The file's trees are not trusted. Every page that can be read is looked at: rows of the table `block` say which
//! blocks wait and which have arrived, and rows of `body` hold blocks, which carry a magic number and a checksum of
//! their own. What waits is stored in the ring again; where a row of `block` is missing, its block counts as waiting,
//! and the receiver knows it by its identity if it had it.

mod ids;
mod page;
mod search;
mod view;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

pub(super) use self::search::Salvage;
use super::aside;
use super::commit::Origin;
use super::dictionaries;
use super::file::{Notice, RingFile};
use super::open::RingError;
use super::schema::insert_schema;
use super::{EvictReason, Tally};
use crate::block::{Class, DictionaryHash, Kind};

/// A ring that is so full of damage is salvaged as a whole: an eighth of its bound.
const LOST_SHARE: u64 = 8;
/// How often ages are looked at when nothing else is done.
const EXPIRE_EVERY_NS: i64 = 60_000_000_000;

/// What became of a file that was set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SalvageReport {
    /// The file.
    pub path: PathBuf,
    /// Blocks that wait in the ring again.
    pub found: Tally,
    /// Blocks that waited in it, by its own account, and are damaged or unreadable.
    pub lost: Tally,
    /// Schemas found, and dictionaries.
    pub schemas: u64,
    /// Pages looked at.
    pub pages: u64,
    /// Pages that cannot be read.
    pub unreadable_pages: u64,
    /// Rows of blocks whose bytes are cut off or fail their checksum.
    pub damaged: u64,
    /// Whether the file was removed, because nothing in it is missing.
    pub removed: bool,
}

impl std::fmt::Display for SalvageReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "file set aside: {}", self.path.display())?;
        writeln!(
            f,
            "blocks that wait in the ring again: {} with {} records",
            self.found.blocks, self.found.records
        )?;
        writeln!(
            f,
            "blocks lost that it says waited: {} with {} records",
            self.lost.blocks, self.lost.records
        )?;
        writeln!(f, "blocks damaged: {}", self.damaged)?;
        writeln!(f, "schemas and dictionaries found: {}", self.schemas)?;
        writeln!(f, "pages: {}, of them unreadable: {}", self.pages, self.unreadable_pages)?;
        writeln!(f, "the file is {}", if self.removed { "removed: nothing in it is missing" } else { "kept" })
    }
}

impl RingFile {
    /// Does what can wait: looks for blocks in up to `pages` pages of a file that was set aside, removes what is too
    /// old, and replaces a file that is full of damage. To be called now and then, with `CLOCK_BOOTTIME` in nanoseconds;
    /// gives whether there is more to look for.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be written; what was found is looked for again.
    pub fn tend(&mut self, pages: u32, now_boot_ns: i64) -> Result<bool, RingError> {
        self.clock.advance(now_boot_ns);
        self.attach()?;
        self.settle();
        if self.known.room.lost > self.bytes_max / LOST_SHARE {
            self.renew("an eighth of it is damaged".to_owned())?;
        }
        let now = self.clock.now_ns();
        if now - self.known.clock.now_ns() >= EXPIRE_EVERY_NS {
            self.transact(&[], &[], Origin::Sealed, |_| Ok(()))?;
        }
        let Some(mut salvage) = self.salvage.take().or_else(|| self.next_salvage()) else { return Ok(false) };
        if salvage.not_before_ns > now {
            self.salvage = Some(salvage);
            return Ok(true);
        }
        let mut looked = 0;
        while looked < pages && !salvage.is_over() && !salvage.batch.is_full() {
            salvage.look();
            looked += 1;
        }
        let done = self.store_found(&mut salvage).and_then(|()| {
            if salvage.is_over() && !salvage.begins_again(now) {
                self.finish(&mut salvage)
            } else {
                Ok(false)
            }
        });
        // What failed is done again: the batch stays until it is stored.
        if !matches!(done, Ok(true)) {
            self.salvage = Some(salvage);
        }
        done.map(|_| true)
    }

    /// The next file that nobody has searched. One that cannot be opened is reported as it is.
    fn next_salvage(&mut self) -> Option<Salvage> {
        if !self.may_salvage {
            return None;
        }
        let Some(path) = aside::unsearched(&self.path).next() else {
            self.may_salvage = false;
            return None;
        };
        let (resume, found) = self.progress(&path).unwrap_or_default();
        match Salvage::new(path.clone(), resume, found) {
            Ok(salvage) => Some(salvage),
            Err(error) => {
                let text = format!("file set aside: {}\nit cannot be opened: {error}\n", path.display());
                // Without a report it would be tried for ever; without a place for one, it is.
                let _ = aside::write_report(&path, &text);
                None
            }
        }
    }

    /// How far a search of this file had got before a restart, and what it had found.
    fn progress(&self, path: &Path) -> rusqlite::Result<(u32, [Tally; Class::ALL.len()])> {
        let mut found = [Tally::default(); Class::ALL.len()];
        let mut page = 0;
        let mut rows =
            self.connection()?.prepare("SELECT class, page, blocks, records FROM salvage WHERE name = ?1")?;
        let mut rows = rows.query([name(path)])?;
        while let Some(row) = rows.next()? {
            page = row.get(1)?;
            if let Some(found) = found.get_mut(row.get::<_, usize>(0)?) {
                *found = Tally { blocks: row.get(2)?, records: row.get(3)? };
            }
        }
        Ok((page, found))
    }

    /// Stores the batch, and with it how far the search has got.
    fn store_found(&mut self, salvage: &mut Salvage) -> Result<(), RingError> {
        if salvage.batch.is_empty() {
            return Ok(());
        }
        let (batch, page, name) = (&salvage.batch, salvage.progress(), name(&salvage.report.path));
        let found: Vec<Tally> =
            salvage.found.iter().zip(batch.found).map(|(found, new)| found.plus(new)).collect();
        let also = |transaction: &Connection| -> rusqlite::Result<()> {
            for (hash, block) in &batch.schemas {
                match block.header().kind {
                    Kind::Dictionary => dictionaries::insert(transaction, DictionaryHash(hash.0), block)?,
                    _ => insert_schema(transaction, *hash, block)?,
                }
            }
            for (class, found) in found.iter().enumerate() {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO salvage (name, class, page, blocks, records)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![name, class, page, found.blocks as i64, found.records as i64])?;
            }
            Ok(())
        };
        self.transact(&batch.blocks, &[], Origin::Salvaged, also)?;
        salvage.stored();
        Ok(())
    }

    /// Ends a search: books what is lost, writes the report, removes a file of which nothing is missing.
    fn finish(&mut self, salvage: &mut Salvage) -> Result<bool, RingError> {
        let mut known = self.known.clone();
        let is_last = aside::unsearched(&self.path).nth(1).is_none();
        let unreadable = EvictReason::Unreadable as usize;
        salvage.report.lost = Tally::default();
        for (at, class) in known.books.classes.iter_mut().enumerate() {
            let mut lost = salvage.listed[at];
            lost.take_all(salvage.found[at]);
            salvage.report.lost.add_all(lost);
            if known.adrift[at] == Tally::default() {
                class.salvaged.add_all(lost);
                class.evicted[unreadable].add_all(lost);
            } else if is_last {
                // These are in the books already: what was not found when all is searched is lost.
                let adrift = std::mem::take(&mut known.adrift[at]);
                class.waiting.take_all(adrift);
                class.evicted[unreadable].add_all(adrift);
            }
        }
        let SalvageReport { found, lost, damaged, unreadable_pages, .. } = &salvage.report;
        let is_ring = found.blocks > 0 || salvage.knows_acked();
        let is_whole = (*lost, *damaged, *unreadable_pages) == (Tally::default(), 0, 0);
        salvage.report.removed = is_ring && is_whole;
        let save = self.connection().and_then(|connection| {
            let transaction = connection.unchecked_transaction()?;
            known.save(&self.in_file, &transaction)?;
            transaction.execute("DELETE FROM salvage WHERE name = ?1", [name(&salvage.report.path)])?;
            transaction.commit()
        });
        save.map_err(|source| self.failed(source))?;
        self.saved(known);
        // Without its report, the file is searched again after a restart: blocks are then sent twice.
        let _ = aside::write_report(&salvage.report.path, &salvage.report.to_string());
        if salvage.report.removed {
            aside::remove(&salvage.report.path);
        }
        aside::prune(&self.path, aside::KEPT_MAX, self.retention.bytes_max);
        self.notice(Notice::Salvaged(salvage.report.clone()));
        Ok(true)
    }
}

/// How a file is named in the table `salvage`.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
