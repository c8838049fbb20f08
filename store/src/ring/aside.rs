//! Files set aside: named, bounded in number and size, and each with a report once it has been searched.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Files set aside at most; the oldest goes when one more comes.
pub(super) const KEPT_MAX: u32 = 4;

/// A damaged ring file that was moved aside so that the service could start, or go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it is now.
    pub path: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// `path` with something appended to its name.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where the report on a file set aside is.
pub(super) fn report_path(aside: &Path) -> PathBuf {
    suffixed(aside, ".report")
}

/// Renames the database with its -wal to the first free `.corrupt-N`, and makes room for it first. An error leaves the
/// ring's file where it was.
pub(super) fn set_aside(ring: &Path, bytes_max: u64) -> io::Result<PathBuf> {
    prune(ring, KEPT_MAX - 1, bytes_max);
    let aside = slots(ring).find(|slot| !slot.exists()).unwrap_or_else(|| suffixed(ring, ".corrupt-1"));
    // Of a file that had this name before.
    let _ = fs::remove_file(report_path(&aside));
    let (wal, aside_wal) = (suffixed(ring, "-wal"), suffixed(&aside, "-wal"));
    // The -wal first: were the power cut between the two, the database would be opened with a -wal that is not its own.
    // Without it, it is the ring as it was last folded in.
    match fs::rename(&wal, &aside_wal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Err(error) = fs::rename(ring, &aside) {
        let _ = fs::rename(&aside_wal, &wal);
        return Err(error);
    }
    sync_folder(ring);
    Ok(aside)
}

/// Files set aside for `ring` that nobody has searched to the end yet, the first one first.
pub(super) fn unsearched(ring: &Path) -> impl Iterator<Item = PathBuf> {
    slots(ring).filter(|slot| slot.exists() && !report_path(slot).exists())
}

/// How many files set aside are kept, and their bytes, -wal files included.
pub(super) fn kept(ring: &Path) -> (usize, u64) {
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    slots(ring).filter(|slot| slot.exists()).fold((0, 0), |(count, bytes), slot| {
        (count + 1, bytes + size(&slot) + size(&suffixed(&slot, "-wal")))
    })
}

/// Names for files set aside. More than are kept, so that there is always a free one.
fn slots(ring: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=2 * KEPT_MAX).map(move |number| suffixed(ring, &format!(".corrupt-{number}")))
}

/// Removes the oldest files set aside until at most `kept` with together `bytes_max` bytes are left. Reports stay until
/// their name is used again.
pub(super) fn prune(ring: &Path, kept: u32, bytes_max: u64) {
    let mut files: Vec<(std::time::SystemTime, u64, PathBuf)> = slots(ring)
        .filter_map(|slot| {
            let meta = fs::metadata(&slot).ok()?;
            let wal = fs::metadata(suffixed(&slot, "-wal")).map_or(0, |meta| meta.len());
            // Only an order: a clock that jumped costs another old file.
            Some((meta.modified().ok()?, meta.len() + wal, slot))
        })
        .collect();
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    let mut count = files.len();
    for (_, size, path) in files {
        if count <= kept as usize && bytes <= bytes_max {
            break;
        }
        remove(&path);
        (count, bytes) = (count - 1, bytes - size);
    }
}

/// Removes a file set aside.
pub(super) fn remove(aside: &Path) {
    // What cannot be removed is found again by the next one that looks.
    let _ = fs::remove_file(suffixed(aside, "-wal"));
    let _ = fs::remove_file(aside);
}

/// Writes the report that says that this file has been searched.
pub(super) fn write_report(aside: &Path, text: &str) -> io::Result<()> {
    let (path, unfinished) = (report_path(aside), suffixed(aside, ".report.new"));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    sync_folder(aside);
    Ok(())
}

/// Whether a file can be made and synced beside the ring: if not, nothing that is done to the ring would help.
pub(super) fn folder_works(ring: &Path) -> bool {
    let probe = suffixed(ring, ".probe");
    let written = fs::File::create(&probe).and_then(|mut file| {
        file.write_all(b"ecu-daemon looks whether it can write here\n")?;
        file.sync_all()
    });
    let removed = fs::remove_file(&probe);
    written.is_ok() && removed.is_ok()
}

/// Makes renames last. Where a folder cannot be synced, they last once the file system thinks of it.
fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_kept_and_the_newest_always() {
        let folder = tempfile::tempdir().unwrap();
        let ring = folder.path().join("ring.db");
        for round in 0..20_u8 {
            fs::write(&ring, [round; 1000]).unwrap();
            fs::write(suffixed(&ring, "-wal"), [round; 10]).unwrap();
            let aside = set_aside(&ring, 2500).unwrap();
            assert_eq!(fs::read(&aside).unwrap(), [round; 1000]);
            assert_eq!(fs::read(suffixed(&aside, "-wal")).unwrap(), [round; 10]);
            assert!(!ring.exists() && !suffixed(&ring, "-wal").exists());
            assert!(unsearched(&ring).any(|path| path == aside));
            write_report(&aside, "nothing\n").unwrap();
            assert!(slots(&ring).filter(|slot| slot.exists()).count() <= KEPT_MAX as usize);
            prune(&ring, KEPT_MAX, 2500);
            let (count, bytes) = kept(&ring);
            assert!(count <= 2 && bytes == count as u64 * 1010, "by size: {count} {bytes}");
            assert_eq!(unsearched(&ring).count(), 0);
        }
        assert!(folder_works(&ring));
        assert!(!folder_works(&folder.path().join("nowhere/ring.db")));
    }
}
