//! One search through one file: what its pages say, and the blocks found in them.

use std::io;
use std::path::PathBuf;

use super::SalvageReport;
use super::ids::Ids;
use super::page::{Cell, Value, cells, columns};
use super::view::View;
use crate::block::{Class, Kind, SchemaHash, SealedBlock};
use crate::ring::Tally;
use crate::ring::file::WAITING;
use crate::ring::tables::class_of;

/// Bytes of blocks gathered for one transaction.
const BATCH_BYTES: usize = 512 << 10;
/// Searches of a file with pages that cannot be read.
const SEARCHES_MAX: u32 = 3;
/// Pause before the second search, nanoseconds; twice that before the third.
const PAUSE_NS: i64 = 60_000_000_000;
/// Columns of the table `block` that say what a row is: up to `records`.
const ROW_COLUMNS: usize = 9;
/// Columns it had in its first version.
const ROW_COLUMNS_ALL: usize = 13;

/// A search under way.
pub(in crate::ring) struct Salvage {
    view: View,
    /// Rows first: they say what to do with the blocks.
    in_bodies: bool,
    /// The page that is looked at next.
    pub(super) next: u32,
    /// Where a search before a restart had got to with the blocks.
    resume: u32,
    search: u32,
    /// Not before this time of the ring.
    pub(super) not_before_ns: i64,
    acked: Ids,
    waiting: Ids,
    /// What waits, as the rows say, by class.
    pub(super) listed: [Tally; Class::ALL.len()],
    /// What of it has been found, by class.
    pub(super) found: [Tally; Class::ALL.len()],
    seen: Ids,
    /// Blocks found that are not stored yet.
    pub(super) batch: Batch,
    pub(super) report: SalvageReport,
}

/// What was found and is to be stored.
#[derive(Default)]
pub(super) struct Batch {
    pub blocks: Vec<SealedBlock>,
    /// And dictionaries, by their names.
    pub schemas: Vec<(SchemaHash, SealedBlock)>,
    /// Of the blocks, those that the rows list as waiting, by class.
    pub found: [Tally; Class::ALL.len()],
    bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.schemas.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }
}

impl Salvage {
    /// The first `resume` pages' blocks were stored by a search before a restart, which had `found` so much.
    pub(super) fn new(path: PathBuf, resume: u32, found: [Tally; Class::ALL.len()]) -> io::Result<Self> {
        let view = View::open(&path)?;
        let mut report = SalvageReport { path, pages: u64::from(view.pages()), ..SalvageReport::default() };
        found.iter().for_each(|tally| report.found.add_all(*tally));
        Ok(Self {
            view,
            in_bodies: false,
            next: 1,
            resume: resume.max(1),
            search: 1,
            not_before_ns: i64::MIN,
            acked: Ids::default(),
            waiting: Ids::default(),
            listed: Default::default(),
            found,
            seen: Ids::default(),
            batch: Batch::default(),
            report,
        })
    }

    /// Whether all pages have been looked at.
    pub(super) fn is_over(&self) -> bool {
        self.in_bodies && self.next > self.view.pages()
    }

    /// Whether pages that could not be read should be tried once more; then that is what comes next.
    pub(super) fn begins_again(&mut self, now_ns: i64) -> bool {
        if self.report.unreadable_pages == 0 || self.search >= SEARCHES_MAX {
            return false;
        }
        self.not_before_ns = now_ns + PAUSE_NS * i64::from(self.search);
        self.search += 1;
        (self.in_bodies, self.next, self.resume) = (false, 1, 1);
        (self.report.unreadable_pages, self.report.damaged) = (0, 0);
        true
    }

    /// Whether the rows name any block that has arrived.
    pub(super) fn knows_acked(&self) -> bool {
        !self.acked.is_empty()
    }

    /// Looks at the next page.
    pub(super) fn look(&mut self) {
        if !self.in_bodies && self.next > self.view.pages() {
            (self.in_bodies, self.next) = (true, self.resume);
        }
        let number = self.next;
        if number > self.view.pages() {
            return;
        }
        self.next += 1;
        if self.view.is_free(number) {
            return;
        }
        let Ok(page) = self.view.page(number) else {
            self.report.unreadable_pages += u64::from(self.in_bodies);
            return;
        };
        for cell in cells(&page) {
            if self.in_bodies {
                self.take_body(&cell);
            } else {
                self.take_row(&cell);
            }
        }
    }

    fn take_row(&mut self, cell: &Cell<'_>) {
        let mut values = [Value::Other; ROW_COLUMNS];
        let [
            Value::Null,
            Value::Integer(state),
            Value::Integer(class),
            _,
            boot,
            _,
            _,
            schema,
            Value::Integer(records),
        ] = (match columns(cell.local, &mut values) {
            Some(ROW_COLUMNS_ALL..) => values,
            _ => return,
        })
        else {
            return;
        };
        let is_name = |value| matches!(value, Value::Blob { len: 16, .. });
        if !is_name(boot) || !is_name(schema) {
            return;
        }
        match state {
            WAITING => {
                if self.waiting.insert(cell.rowid) {
                    let class = class_of(class as u8);
                    self.listed[usize::from(class.number())].add(records as u32);
                }
            }
            // Neither what has arrived nor what was given up is looked for.
            _ => {
                self.acked.insert(cell.rowid);
            }
        }
    }

    fn take_body(&mut self, cell: &Cell<'_>) {
        let mut values = [Value::Other; 3];
        let (is_schema, len, local) = match (columns(cell.local, &mut values), values) {
            (Some(2), [Value::Null, Value::Blob { len, local }, _]) => (false, len, local),
            (Some(2), [Value::Blob { len: 16, .. }, Value::Blob { len, local }, _])
            | (Some(3), [Value::Blob { len: 16, .. }, _, Value::Blob { len, local }]) => (true, len, local),
            _ => return,
        };
        let is_wanted = is_schema || !(self.acked.contains(cell.rowid) || self.seen.contains(cell.rowid));
        if !local.starts_with(b"ECUB") || !is_wanted {
            return;
        }
        let payload = cell.payload(|number| self.view.page(number).ok());
        let bytes = payload.and_then(|mut payload| {
            let head = payload.len().checked_sub(len)?;
            Some(payload.split_off(head))
        });
        let Some(block) = bytes.and_then(|bytes| SealedBlock::from_bytes(bytes).ok()) else {
            self.report.damaged += 1;
            return;
        };
        self.batch.bytes += block.bytes().len();
        if is_schema {
            if let (Kind::Schema | Kind::Dictionary, Value::Blob { local, .. }) =
                (block.header().kind, values[0])
                && let Ok(hash) = local.try_into()
            {
                self.batch.schemas.push((SchemaHash(hash), block));
            }
            return;
        }
        self.seen.insert(cell.rowid);
        let header = block.header();
        if self.waiting.contains(cell.rowid) {
            self.batch.found[usize::from(header.class.number())].add(header.count);
        }
        self.report.found.add(header.count);
        self.batch.blocks.push(block);
    }

    /// The batch is stored.
    pub(super) fn stored(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.report.schemas += batch.schemas.len() as u64;
        for (found, tally) in self.found.iter_mut().zip(batch.found) {
            found.add_all(tally);
        }
    }

    /// Up to where all is stored once the batch is, to go on from after a restart.
    pub(super) fn progress(&self) -> u32 {
        if self.in_bodies { self.next } else { self.resume }
    }
}
