//! The tables of the ring's file, and how older ones become today's.

use rusqlite::{Connection, OptionalExtension, params};

use super::file::{ACKED, RingFile, WAITING};
use super::{Books, EvictReason, Room, RunClock, Tally, Window};
use crate::block::{BootId, Class};

/// `PRAGMA application_id`: "ECUR".
pub(super) const APPLICATION_ID: i32 = 0x4543_5552;
/// `PRAGMA user_version` of what [`create`] and [`migrate`] make.
pub(super) const VERSION: i32 = 4;

/// Version 1, as the first releases made it.
const VERSION_1: &str = "
CREATE TABLE block (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, class INTEGER NOT NULL, kind INTEGER NOT NULL,
    boot BLOB NOT NULL, run INTEGER NOT NULL, sequence INTEGER NOT NULL, schema BLOB NOT NULL,
    records INTEGER NOT NULL, len INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
    sealed_boot_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX block_by_state ON block (state, class, id);
CREATE TABLE body (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE schema (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE books (
    class INTEGER NOT NULL, entry TEXT NOT NULL, blocks INTEGER NOT NULL, records INTEGER NOT NULL,
    PRIMARY KEY (class, entry)
) STRICT, WITHOUT ROWID;
";

/// What version 2 adds. `worth` is the class, or 0 once preserved; `stored_run_ns` and `acked_run_ns` are times of
/// [`RunClock`]. An older file's blocks begin to age when it is migrated; when they were acknowledged is not known, so that
/// it counts as long ago.
const VERSION_2: &str = "
ALTER TABLE block ADD COLUMN worth INTEGER NOT NULL DEFAULT 4;
ALTER TABLE block ADD COLUMN stored_run_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE block ADD COLUMN acked_run_ns INTEGER NOT NULL DEFAULT -4611686018427387904;
UPDATE block SET worth = class;
DROP INDEX block_by_state;
CREATE INDEX block_by_worth ON block (state, worth, id);
CREATE TABLE clock (one INTEGER PRIMARY KEY, boot BLOB NOT NULL, base_ns INTEGER NOT NULL,
    boot_ns INTEGER NOT NULL) STRICT;
CREATE TABLE preserved (number INTEGER PRIMARY KEY, boot BLOB NOT NULL, from_boot_ns INTEGER NOT NULL,
    to_boot_ns INTEGER NOT NULL) STRICT;
CREATE TABLE salvage (name TEXT NOT NULL, class INTEGER NOT NULL, page INTEGER NOT NULL, blocks INTEGER NOT NULL,
    records INTEGER NOT NULL, PRIMARY KEY (name, class)) STRICT, WITHOUT ROWID;
";

/// What version 3 adds: the session with the broker, so that one that has forgotten it is noticed after a restart, too.
const VERSION_3: &str = "
CREATE TABLE session (one INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
";

// Version 4 has the same tables. In them the books may lag behind the rows, and say how far they have counted
// (`counted`); an earlier release, which does not count on, must not take them for the truth.

/// Rows that the books in the file may lag behind: at most as many are counted when it is opened.
const LAG_MAX: i64 = 256;

/// Makes the tables in an empty file.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {VERSION_1} {VERSION_2} {VERSION_3} PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

/// Brings tables of an older `version` up to today's, in one transaction.
pub(super) fn migrate(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    if version >= VERSION {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    if version < 2 {
        transaction.execute_batch(VERSION_2)?;
        let (books, room) = count(&transaction)?;
        for (class, books) in Class::ALL.iter().zip(&books.classes) {
            write_entry(&transaction, class.number(), "waiting", books.waiting)?;
        }
        write_room(&transaction, &room)?;
    }
    if version < 3 {
        transaction.execute_batch(VERSION_3)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {VERSION}"))?;
    transaction.commit()
}

/// Counts what waits, and the room that blocks take, from the rows.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<(Books, Room)> {
    let (mut books, mut room) = (Books::default(), Room::default());
    let mut blocks = connection.prepare("SELECT state, class, worth, len, records FROM block")?;
    let mut rows = blocks.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = RingFile::page_bytes(row.get(3)?);
        let class = class_of(row.get(1)?);
        match row.get::<_, i64>(0)? {
            WAITING => {
                room.wait(row.get(2)?, class, bytes);
                books.of(class).waiting.add(row.get(4)?);
            }
            ACKED => room.acked += bytes,
            _ => room.lost += bytes,
        }
    }
    Ok((books, room))
}

/// A class by its number in a row; an unknown one is worth least.
pub(super) fn class_of(number: u8) -> Class {
    Class::from_number(number).unwrap_or(Class::Bulk)
}

/// What the file knows beside its blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub books: Books,
    pub room: Room,
    /// Of the waiting blocks, those that are in a file set aside in service and not yet found there.
    pub adrift: [Tally; Class::ALL.len()],
    pub clock: RunClock,
    pub windows: Vec<Window>,
    /// The broker that keeps a session for this ring's owner, by whatever name the owner gave it.
    pub session: Option<String>,
    pub next_id: i64,
    /// The last row that the books in the file have counted; `None` when they do not say, and have all.
    pub counted: Option<i64>,
}

impl Known {
    /// As the file's books have it; see [`Self::count_on`].
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut known = Self::default();
        let mut entries = connection.prepare("SELECT class, entry, blocks, records FROM books")?;
        let mut rows = entries.query([])?;
        while let Some(row) = rows.next()? {
            let at: usize = row.get(0)?;
            if at >= Class::ALL.len() {
                continue;
            }
            let tally = Tally { blocks: row.get(2)?, records: row.get(3)? };
            let class = &mut known.books.classes[at];
            match row.get_ref(1)?.as_str()? {
                "sealed" => class.sealed = tally,
                "salvaged" => class.salvaged = tally,
                "acked" => class.acked = tally,
                "waiting" => class.waiting = tally,
                "adrift" => known.adrift[at] = tally,
                "bytes_waiting" => known.room.waiting[at] = tally.blocks,
                "bytes_acked" => known.room.acked = tally.blocks,
                "bytes_lost" => known.room.lost = tally.blocks,
                "bytes_preserved" => known.room.preserved = tally.blocks,
                "counted" => known.counted = Some(row.get(2)?),
                entry => {
                    if let Some(reason) = EvictReason::ALL.iter().position(|reason| reason.name() == entry) {
                        class.evicted[reason] = tally;
                    }
                }
            }
        }
        let last: i64 =
            connection.query_row("SELECT coalesce(max(id), 0) FROM block", [], |row| row.get(0))?;
        // Never a name below what is counted, even if the last rows are gone.
        known.next_id = last.max(known.counted.unwrap_or(0)) + 1;
        let mut clocks = connection.prepare("SELECT boot, base_ns, boot_ns FROM clock")?;
        let mut rows = clocks.query([])?;
        if let Some(row) = rows.next()? {
            let boot = row.get_ref(0)?.as_blob()?.try_into().ok().map(BootId);
            known.clock = RunClock { boot, base_ns: row.get(1)?, boot_ns: row.get(2)? };
        }
        known.windows = Window::load(connection)?;
        known.session = connection.query_row("SELECT name FROM session", [], |row| row.get(0)).optional()?;
        Ok(known)
    }

    /// Counts the rows behind the last that the books have. All of them wait: whatever else befalls a row is written
    /// together with the books.
    pub(super) fn count_on(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(counted) = self.counted else { return Ok(()) };
        let mut blocks = connection.prepare(
            "SELECT class, worth, len, records, stored_run_ns FROM block WHERE id > ?1 AND state = ?2",
        )?;
        let mut rows = blocks.query(params![counted, WAITING])?;
        while let Some(row) = rows.next()? {
            let (class, records) = (class_of(row.get(0)?), row.get(3)?);
            self.room.wait(row.get(1)?, class, RingFile::page_bytes(row.get(2)?));
            self.books.of(class).sealed.add(records);
            self.books.of(class).waiting.add(records);
            let stored_ns: i64 = row.get(4)?;
            self.clock.advance(stored_ns.saturating_sub(self.clock.base_ns));
        }
        Ok(())
    }

    /// Whether the rows say all that has changed since the file was written as `in_file` has it, so that the books need
    /// not be: a page less for each commit.
    pub(super) fn follows_from_rows(&self, in_file: &Self) -> bool {
        let same_books = self.books.classes.iter().zip(&in_file.books.classes).all(|(class, old)| {
            (class.acked, class.salvaged, class.evicted) == (old.acked, old.salvaged, old.evicted)
        });
        let (clock, old) = (&self.clock, &in_file.clock);
        same_books
            && self.adrift == in_file.adrift
            && (self.room.acked, self.room.lost) == (in_file.room.acked, in_file.room.lost)
            && (clock.boot, clock.base_ns) == (old.boot, old.base_ns)
            && self.session == in_file.session
            && in_file
                .counted
                .is_some_and(|counted| counted < self.next_id - 1 && self.next_id - counted <= LAG_MAX)
    }

    /// Writes what differs from `before`, which is what the file holds, and that all rows are counted.
    pub(super) fn save(&mut self, before: &Self, transaction: &Connection) -> rusqlite::Result<()> {
        self.counted = Some(self.next_id - 1);
        for (at, (class, old)) in self.books.classes.iter().zip(&before.books.classes).enumerate() {
            let number = at as u8;
            let entry = |name, new: Tally, old: Tally| {
                if new == old { Ok(()) } else { write_entry(transaction, number, name, new) }
            };
            entry("sealed", class.sealed, old.sealed)?;
            entry("salvaged", class.salvaged, old.salvaged)?;
            entry("acked", class.acked, old.acked)?;
            entry("waiting", class.waiting, old.waiting)?;
            entry("adrift", self.adrift[at], before.adrift[at])?;
            for (reason, (new, old)) in EvictReason::ALL.iter().zip(class.evicted.iter().zip(old.evicted)) {
                entry(reason.name(), *new, old)?;
            }
        }
        if self.room != before.room {
            write_room(transaction, &self.room)?;
        }
        if self.counted != before.counted {
            let id = u64::try_from(self.next_id - 1).unwrap_or(0);
            write_entry(transaction, 0, "counted", Tally { blocks: id, records: 0 })?;
        }
        if self.clock != before.clock {
            let boot = self.clock.boot.map_or(Vec::new(), |boot| boot.0.to_vec());
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO clock (one, boot, base_ns, boot_ns) VALUES (1, ?1, ?2, ?3)",
                )?
                .execute(params![boot, self.clock.base_ns, self.clock.boot_ns])?;
        }
        if self.session != before.session
            && let Some(name) = &self.session
        {
            transaction.execute("INSERT OR REPLACE INTO session (one, name) VALUES (1, ?1)", [name])?;
        }
        Ok(())
    }
}

fn write_room(transaction: &Connection, room: &Room) -> rusqlite::Result<()> {
    let bytes = |bytes| Tally { blocks: bytes, records: 0 };
    for (worth, waiting) in room.waiting.iter().enumerate() {
        write_entry(transaction, worth as u8, "bytes_waiting", bytes(*waiting))?;
    }
    write_entry(transaction, 0, "bytes_acked", bytes(room.acked))?;
    write_entry(transaction, 0, "bytes_lost", bytes(room.lost))?;
    write_entry(transaction, 0, "bytes_preserved", bytes(room.preserved))
}

fn write_entry(transaction: &Connection, class: u8, entry: &str, tally: Tally) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO books (class, entry, blocks, records) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![class, entry, tally.blocks as i64, tally.records as i64])?;
    Ok(())
}
