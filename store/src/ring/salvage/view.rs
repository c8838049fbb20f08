//! A file set aside and its -wal as one row of pages, each readable or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::page::{PAGE_BYTES, Page, number32};
use crate::ring::aside::suffixed;

/// Bytes of the -wal's header and of the head of each frame in it (§4.1).
const WAL_HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;
/// Frames of a -wal looked at, at most: it is bounded to a fraction of it.
const FRAMES_MAX: u64 = 1 << 16;
/// Pages of a file looked at, at most: 64 GiB.
const PAGES_MAX: u64 = 1 << 24;

/// See the module.
pub(super) struct View {
    database: File,
    wal: Option<File>,
    pages: u32,
    /// Where in the -wal the last committed content of a page is.
    newer: BTreeMap<u32, u64>,
    /// Pages that the file says are free.
    free: BTreeSet<u32>,
}

impl View {
    /// Opens the file and reads its -wal and its list of free pages.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let database = File::open(path)?;
        let wal = File::open(suffixed(path, "-wal")).ok();
        let pages = database.metadata()?.len().div_ceil(PAGE_BYTES as u64).min(PAGES_MAX) as u32;
        let mut view = Self { database, wal, pages, newer: BTreeMap::new(), free: BTreeSet::new() };
        view.read_wal();
        view.read_free();
        Ok(view)
    }

    /// Pages are numbered from 1 to this.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// Whether the file says that nothing is in this page.
    pub(super) fn is_free(&self, number: u32) -> bool {
        self.free.contains(&number)
    }

    /// A page; the error says why it cannot be read. What lies beyond the end is zero.
    pub(super) fn page(&self, number: u32) -> io::Result<Box<Page>> {
        match (self.newer.get(&number), &self.wal) {
            (Some(&at), Some(wal)) => {
                read(wal, at).or_else(|_| read(&self.database, u64::from(number - 1) * PAGE_BYTES as u64))
            }
            _ => read(&self.database, u64::from(number.saturating_sub(1)) * PAGE_BYTES as u64),
        }
    }

    /// Finds the frames of the -wal's present generation, which is told by its salts. Their checksums go on from frame to
    /// frame, so that behind one that cannot be read nothing can be checked; blocks have their own.
    fn read_wal(&mut self) {
        let Some(wal) = &self.wal else { return };
        let size = wal.metadata().map_or(0, |meta| meta.len());
        let frames = (size.saturating_sub(WAL_HEAD) / (FRAME_HEAD + PAGE_BYTES as u64)).min(FRAMES_MAX);
        let mut head = [0; WAL_HEAD as usize];
        let mut salts = wal
            .read_exact_at(&mut head, 0)
            .is_ok()
            .then(|| [head[16..20].to_vec(), head[20..24].to_vec()].concat());
        let mut pending = Vec::new();
        for frame in 0..frames {
            let at = WAL_HEAD + frame * (FRAME_HEAD + PAGE_BYTES as u64);
            let mut head = [0; FRAME_HEAD as usize];
            if wal.read_exact_at(&mut head, at).is_err() {
                continue;
            }
            // Of a header that cannot be read, the first frame knows the salts.
            let salts = salts.get_or_insert_with(|| head[8..16].to_vec());
            if head[8..16] != salts[..] {
                break;
            }
            let (Some(page), Some(size)) = (number32(&head, 0), number32(&head, 4)) else { continue };
            if page == 0 || u64::from(page) > PAGES_MAX {
                continue;
            }
            pending.push((page, at + FRAME_HEAD));
            if size > 0 {
                // A commit: what came before it counts.
                self.newer.extend(pending.drain(..));
                self.pages = self.pages.max(size.min(PAGES_MAX as u32));
            }
        }
    }

    /// Walks the list of free pages (§1.5), as far as it can be read.
    fn read_free(&mut self) {
        let Ok(first) = self.page(1) else { return };
        let mut trunk = number32(&first[..], 32).unwrap_or(0);
        while trunk > 0 && trunk <= self.pages && self.free.insert(trunk) {
            let Ok(page) = self.page(trunk) else { return };
            let leaves = (number32(&page[..], 4).unwrap_or(0) as usize).min(PAGE_BYTES / 4 - 2);
            self.free.extend((0..leaves).filter_map(|leaf| number32(&page[..], 8 + 4 * leaf)));
            trunk = number32(&page[..], 0).unwrap_or(0);
        }
    }
}

fn read(file: &File, at: u64) -> io::Result<Box<Page>> {
    let mut page = Box::new([0; PAGE_BYTES]);
    let mut filled = 0;
    while filled < PAGE_BYTES {
        match file.read_at(&mut page[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}
