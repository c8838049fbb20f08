//! The log that QEMU's `blklogwrites` driver writes (the format of Linux's dm-log-writes, version 1).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Bytes of a sector, of the card and of the log.
pub(super) const SECTOR: usize = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
/// Magic, version, number of entries, 8 bytes each.
const HEADER: usize = 24;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// A write of whole sectors; one of no bytes is a flush and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// Byte of the card at which it begins.
    pub(super) offset: usize,
    /// What was written.
    pub(super) bytes: Vec<u8>,
    /// Whether the card was told to keep all writes before it for good.
    pub(super) flush: bool,
    /// Whether the card was told to keep this one for good.
    pub(super) fua: bool,
}

/// How many entries the log has so far: everything that the card had taken when this was called is among them.
pub(super) fn entries(path: &Path) -> u64 {
    let mut bytes = [0; HEADER];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    header(&bytes).unwrap_or_else(|| panic!("{} is no log of writes", path.display()))
}

/// All entries, in order.
pub(super) fn parse(bytes: &[u8]) -> Vec<Write> {
    let entries = header(bytes).unwrap_or_else(|| panic!("this is no log of writes"));
    let mut writes = Vec::new();
    let mut at = SECTOR;
    for _ in 0..entries {
        let word = |index: usize| word(bytes, at + 8 * index);
        let (Some(sector), Some(sectors), Some(flags)) = (word(0), word(1), word(2)) else { break };
        let len = sectors as usize * SECTOR;
        at += SECTOR;
        let data = if flags & DISCARD == 0 {
            let data = bytes.get(at..at + len).unwrap_or_else(|| panic!("the log ends within an entry"));
            at += len;
            data.to_vec()
        } else {
            vec![0; len]
        };
        writes.push(Write {
            offset: sector as usize * SECTOR,
            bytes: data,
            flush: flags & FLUSH != 0,
            fua: flags & FUA != 0,
        });
    }
    writes
}

fn header(bytes: &[u8]) -> Option<u64> {
    (word(bytes, 0)? == MAGIC && word(bytes, 8)? == 1).then(|| word(bytes, 16))?
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(words: &[u64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(SECTOR, 0);
        bytes
    }

    #[test]
    fn writes_flushes_and_discards_are_read() {
        let log = [
            sector(&[MAGIC, 1, 4, 512]),
            sector(&[7, 1, 0, 0]),
            vec![0xAB; SECTOR],
            sector(&[0, 0, FLUSH, 0]),
            sector(&[8, 1, FUA, 0]),
            vec![0xCD; SECTOR],
            sector(&[9, 2, DISCARD, 0]),
            vec![0xEE; 100],
        ]
        .concat();
        let plain = |sector, bytes| Write { offset: sector * SECTOR, bytes, flush: false, fua: false };
        assert_eq!(
            parse(&log),
            [
                plain(7, vec![0xAB; SECTOR]),
                Write { flush: true, ..plain(0, vec![]) },
                Write { fua: true, ..plain(8, vec![0xCD; SECTOR]) },
                plain(9, vec![0; 2 * SECTOR]),
            ]
        );
    }
}
