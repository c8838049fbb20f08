//! Windows around fault events: the blocks in them are kept like critical ones.

use rusqlite::{Connection, params};

use super::file::{RingFile, WAITING};
use super::open::RingError;
use crate::block::{BlockHeader, BootId, Class};

/// Windows remembered at most; the oldest is forgotten when one more comes. What it preserved stays so.
pub const WINDOWS_MAX: usize = 32;
/// Blocks looked at for one window at most, newest first.
const BLOCKS_MAX: usize = 65_536;

/// A time within one boot: blocks sealed within it are preserved. A block holds what came before it was sealed, so a
/// window has to end later than what it is about by as long as a block may stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Which boot.
    pub boot: BootId,
    /// `CLOCK_BOOTTIME` at its beginning, nanoseconds.
    pub from_boot_ns: i64,
    /// The same at its end; may lie in the future.
    pub to_boot_ns: i64,
}

/// What a window found in the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preserved {
    /// Blocks that are preserved now.
    pub blocks: u64,
    /// Blocks that are not, because what is preserved would take more than
    /// [`super::Retention::preserved_bytes_max`].
    pub refused: u64,
}

impl Window {
    /// Whether a block was sealed within it.
    pub fn holds(&self, header: &BlockHeader) -> bool {
        self.boot == header.identity.boot
            && (self.from_boot_ns..=self.to_boot_ns).contains(&header.sealed_boot_ns)
    }

    /// Whether there is a time that is in both.
    fn touches(&self, other: &Self) -> bool {
        self.boot == other.boot
            && self.from_boot_ns <= other.to_boot_ns
            && other.from_boot_ns <= self.to_boot_ns
    }

    /// Both in one.
    fn and(&self, other: &Self) -> Self {
        Self {
            boot: self.boot,
            from_boot_ns: self.from_boot_ns.min(other.from_boot_ns),
            to_boot_ns: self.to_boot_ns.max(other.to_boot_ns),
        }
    }

    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        let mut windows =
            connection.prepare("SELECT boot, from_boot_ns, to_boot_ns FROM preserved ORDER BY number")?;
        let mut rows = windows.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let Ok(boot) = row.get_ref(0)?.as_blob()?.try_into() else { continue };
            all.push(Self { boot: BootId(boot), from_boot_ns: row.get(1)?, to_boot_ns: row.get(2)? });
        }
        Ok(all)
    }

    pub(super) fn save(windows: &[Self], transaction: &Connection) -> rusqlite::Result<()> {
        transaction.execute("DELETE FROM preserved", [])?;
        for Self { boot, from_boot_ns, to_boot_ns } in windows {
            transaction.execute(
                "INSERT INTO preserved (boot, from_boot_ns, to_boot_ns) VALUES (?1, ?2, ?3)",
                params![boot.0, from_boot_ns, to_boot_ns],
            )?;
        }
        Ok(())
    }
}

impl RingFile {
    /// Preserves the waiting blocks of `window`, those that are in the ring and those that will come: they are sent
    /// with the critical ones, make room only as these do, and are kept as long. Windows that share a time are
    /// remembered as one.
    ///
    /// # Errors
    /// [`RingError`] when the file cannot be read or written; nothing has changed then.
    pub fn preserve(&mut self, window: Window) -> Result<Preserved, RingError> {
        self.attach()?;
        self.settle();
        let kept = self.keep_window(window);
        kept.map_err(|source| self.failed(source))
    }

    fn keep_window(&mut self, window: Window) -> rusqlite::Result<Preserved> {
        let connection = self.connection()?;
        let mut known = self.known.clone();
        let mut preserved = Preserved::default();
        let transaction = connection.unchecked_transaction()?;
        for (id, class, bytes) in self.within(&window)? {
            if known.room.preserved + bytes > self.retention.preserved_bytes_max {
                preserved.refused += 1;
                continue;
            }
            transaction.prepare_cached("UPDATE block SET worth = 0 WHERE id = ?1")?.execute([id])?;
            known.room.leave(usize::from(class.number()), class, bytes);
            known.room.wait(0, class, bytes);
            preserved.blocks += 1;
        }
        let mut merged = window;
        known.windows.retain(|other| {
            let apart = !merged.touches(other);
            if !apart {
                merged = merged.and(other);
            }
            apart
        });
        known.windows.push(merged);
        let surplus = known.windows.len().saturating_sub(WINDOWS_MAX);
        known.windows.drain(..surplus);
        Window::save(&known.windows, &transaction)?;
        known.save(&self.in_file, &transaction)?;
        transaction.commit()?;
        self.saved(known);
        Ok(preserved)
    }

    /// Waiting blocks of the window that are not critical, with their classes and bytes.
    fn within(&self, window: &Window) -> rusqlite::Result<Vec<(i64, Class, u64)>> {
        let mut blocks = self.connection()?.prepare_cached(
            "SELECT id, state, class, worth, len, boot, sealed_boot_ns FROM block ORDER BY id DESC LIMIT ?1",
        )?;
        let mut rows = blocks.query([BLOCKS_MAX])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (state, worth, sealed): (i64, u8, i64) = (row.get(1)?, row.get(3)?, row.get(6)?);
            if row.get_ref(5)?.as_blob()? != window.boot.0 {
                continue;
            }
            // Blocks of a boot lie in the order of sealing; salvaged ones may lie behind newer ones.
            if state == WAITING && worth > 0 && (window.from_boot_ns..=window.to_boot_ns).contains(&sealed) {
                found.push((
                    row.get(0)?,
                    super::tables::class_of(row.get(2)?),
                    Self::page_bytes(row.get(4)?),
                ));
            }
        }
        Ok(found)
    }
}
