//! Which pages a commit adds to the -wal, by what they hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::Outcome;

/// The -wal's header, and a frame: a head and a page (sqlite.org/fileformat2.html §4.1).
const HEADER: usize = 32;
const HEAD: usize = 24;
const PAGE: usize = 4096;

/// Follows the -wal of a ring that somebody else writes.
#[derive(Default)]
pub(crate) struct Pages {
    /// Frames seen since the -wal began anew, which its salts tell.
    salts: Vec<u8>,
    frames: usize,
    /// How often each page was written.
    written: BTreeMap<u32, u64>,
    /// Frames that repeat the one before them: what fills the last sector.
    filling: u64,
    commits: u64,
}

impl Pages {
    /// Of commits that come.
    pub(crate) fn after(ring: &Path) -> Outcome<Self> {
        let mut pages = Self::default();
        pages.committed(ring)?;
        Ok(Self { written: BTreeMap::new(), filling: 0, commits: 0, ..pages })
    }

    /// Takes note of what a commit has added.
    pub(crate) fn committed(&mut self, ring: &Path) -> Outcome<()> {
        let mut path = ring.as_os_str().to_owned();
        path.push("-wal");
        let wal = fs::read(path)?;
        let salts = wal.get(16..24).unwrap_or_default();
        if salts != self.salts {
            (self.salts, self.frames) = (salts.to_vec(), 0);
        }
        let (frames, _) = wal.get(HEADER..).unwrap_or_default().as_chunks::<{ HEAD + PAGE }>();
        let mut last = None;
        for frame in frames.iter().skip(self.frames).take_while(|frame| &frame[8..16] == salts) {
            let page = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            if last == Some(page) {
                self.filling += 1;
            } else {
                *self.written.entry(page).or_default() += 1;
            }
            last = Some(page);
            self.frames += 1;
        }
        self.commits += 1;
        Ok(())
    }

    /// Pages a commit, by what they hold in the ring, which is closed.
    pub(crate) fn by_content(&self, ring: &Path) -> Outcome<BTreeMap<String, f64>> {
        let connection = Connection::open(ring)?;
        let mut content: BTreeMap<u32, String> = BTreeMap::new();
        // The table that every SQLite has of its own pages (sqlite.org/dbstat.html).
        let mut pages = connection.prepare("SELECT pageno, name || ', ' || pagetype FROM dbstat")?;
        let mut rows = pages.query([])?;
        while let Some(row) = rows.next()? {
            content.insert(row.get(0)?, row.get(1)?);
        }
        let mut found: BTreeMap<String, f64> = BTreeMap::new();
        let commits = self.commits.max(1) as f64;
        for (page, times) in &self.written {
            // What is in no tree is free.
            let content = match content.get(page) {
                _ if *page == 1 => "the file's head",
                Some(content) => content,
                None => "list of free pages",
            };
            *found.entry(content.to_owned()).or_default() += *times as f64 / commits;
        }
        found.insert("filling the last sector".to_owned(), self.filling as f64 / commits);
        Ok(found)
    }
}
