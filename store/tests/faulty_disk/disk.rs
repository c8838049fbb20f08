//! A disk that loses power, tears, reorders and garbles what was not flushed, and fails when it is told to.
//!
//! SQLite sees it through a VFS of its own. What has been flushed stands in real files, so that what the ring does beside
//! SQLite (setting files aside, salvage) works on the same disk.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions as File};
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenOptions, Vfs, WalDisabled};

/// What the VFS says that a sector is (`sqlite_vfs` has no other).
const SECTOR: usize = 1024;

/// Knuth's MMIX generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// From 0 to `n` - 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// What becomes of the writes that were not flushed when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// None of them is on the disk.
    All,
    /// The first of them are, in their order.
    Late,
    /// The same, and the next one in part.
    Torn,
    /// Any of them are, and others not.
    Reordered,
    /// Any of them are, and one sector that was being written holds noise.
    Garbled,
}

impl Loss {
    pub(crate) const EVERY: [Self; 5] = [Self::All, Self::Late, Self::Torn, Self::Reordered, Self::Garbled];
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// As the one who writes sees it.
    now: Vec<u8>,
    unflushed: Vec<Op>,
}

/// What fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The power goes at this many calls from now.
    pub(crate) power_in: Option<u64>,
    /// Writes and flushes fail.
    pub(crate) writes: bool,
    /// All reads fail.
    pub(crate) reads: bool,
    /// The disk takes no more bytes.
    pub(crate) full: bool,
    /// By file name, ranges of bytes that cannot be read.
    pub(crate) unreadable: Vec<(String, std::ops::Range<u64>)>,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<PathBuf, Content>,
    pub(crate) faults: Faults,
    pub(crate) is_dead: bool,
    /// Bytes written and flushes, for measuring.
    pub(crate) written: u64,
    pub(crate) flushes: u64,
}

type Shared = Arc<Mutex<Disk>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disks, by the folder that they are mounted at.
fn disks() -> &'static Mutex<BTreeMap<PathBuf, Shared>> {
    static DISKS: OnceLock<Mutex<BTreeMap<PathBuf, Shared>>> = OnceLock::new();
    DISKS.get_or_init(|| {
        sqlite_vfs::register("faulty", Mounts, true).expect("SQLite takes the VFS");
        Mutex::default()
    })
}

/// A disk mounted at a folder of its own.
pub(crate) struct Mount {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) disk: Shared,
}

impl Mount {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Shared::default();
        lock(disks()).insert(folder.path().to_owned(), Arc::clone(&disk));
        Self { folder, disk }
    }

    pub(crate) fn ring(&self) -> PathBuf {
        self.folder.path().join("ring.db")
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        lock(disks()).remove(self.folder.path());
    }
}

impl Disk {
    /// Counts a call; an error when the power is gone.
    fn call(&mut self) -> io::Result<()> {
        if let Some(calls) = &mut self.faults.power_in {
            self.is_dead |= *calls == 0;
            *calls = calls.saturating_sub(1);
        }
        if self.is_dead { Err(Error::other("no power")) } else { Ok(()) }
    }

    /// The power comes back: what was not flushed has gone as `loss` says.
    pub(crate) fn power_on(&mut self, loss: Loss, random: &mut Random) {
        for (path, content) in std::mem::take(&mut self.files) {
            settle(&path, &content.unflushed, loss, random);
        }
        (self.is_dead, self.faults) = (false, Faults::default());
    }

    fn content(&mut self, path: &Path) -> io::Result<&mut Content> {
        if !self.files.contains_key(path) {
            let now = fs::read(path)?;
            self.files.insert(path.to_owned(), Content { now, unflushed: Vec::new() });
        }
        self.files.get_mut(path).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn flush(&mut self, path: &Path) -> io::Result<()> {
        self.flushes += 1;
        let content = self.content(path)?;
        write_out(path, &std::mem::take(&mut content.unflushed))
    }

    /// Whether a read of these bytes fails.
    fn is_unreadable(&self, path: &Path, from: u64, to: u64) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.faults.reads
            || self
                .faults
                .unreadable
                .iter()
                .any(|(file, bytes)| *file == name && from < bytes.end && bytes.start < to)
    }
}

fn write_out(path: &Path, ops: &[Op]) -> io::Result<()> {
    let file = File::new().write(true).create(true).truncate(false).open(path)?;
    for op in ops {
        match op {
            Op::Write(at, bytes) => file.write_all_at(bytes, *at as u64)?,
            Op::Cut(len) => file.set_len(*len as u64)?,
        }
    }
    Ok(())
}

fn settle(path: &Path, ops: &[Op], loss: Loss, random: &mut Random) {
    let kept = random.below(ops.len() + 1);
    let garbled = random.below(ops.len());
    let mut left = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        match (loss, op) {
            (Loss::All, _) => break,
            (Loss::Torn, Op::Write(at, bytes)) if number == kept => {
                let piece = 512 * random.below(bytes.len().div_ceil(512) + 1);
                left.push(Op::Write(*at, bytes[..piece.min(bytes.len())].to_vec()));
            }
            (Loss::Late | Loss::Torn, _) if number >= kept => break,
            (Loss::Garbled, Op::Write(at, bytes)) if number == garbled && !bytes.is_empty() => {
                let sector = (at + random.below(bytes.len())) / SECTOR;
                left.push(op.clone());
                let noise = (0..SECTOR).map(|_| random.next() as u8).collect();
                left.push(Op::Write(sector * SECTOR, noise));
            }
            (Loss::Reordered | Loss::Garbled, _) if random.below(2) == 0 => {}
            _ => left.push(op.clone()),
        }
    }
    write_out(path, &left).expect("the real disk works");
}

struct Mounts;

pub(crate) struct Handle {
    disk: Option<Shared>,
    path: PathBuf,
    lock: LockKind,
}

impl Handle {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        self.disk.as_deref().map(lock).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn disk_of(path: &Path) -> Option<Shared> {
    lock(disks()).get(path.parent()?).cloned()
}

impl Vfs for Mounts {
    type Handle = Handle;

    fn open(&self, db: &str, opts: OpenOptions) -> io::Result<Handle> {
        let path = PathBuf::from(db);
        let disk = disk_of(&path);
        if let Some(disk) = &disk {
            let mut disk = lock(disk);
            disk.call()?;
            let must_exist = matches!(opts.access, OpenAccess::Read | OpenAccess::Write);
            if must_exist && !path.exists() && !disk.files.contains_key(&path) {
                return Err(ErrorKind::NotFound.into());
            }
            // A file that was renamed is another one now, elsewhere on the disk.
            if !path.exists() {
                disk.files.remove(&path);
                fs::write(&path, [])?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                disk.faults.unreadable.retain(|(file, _)| *file != name);
            }
        }
        Ok(Handle { disk, path, lock: LockKind::None })
    }

    fn delete(&self, db: &str) -> io::Result<()> {
        let path = PathBuf::from(db);
        if let Some(disk) = disk_of(&path) {
            let mut disk = lock(&disk);
            disk.call()?;
            disk.files.remove(&path);
        }
        fs::remove_file(path)
    }

    fn exists(&self, db: &str) -> io::Result<bool> {
        Ok(Path::new(db).exists())
    }

    fn temporary_name(&self) -> String {
        "temporary".to_owned()
    }

    fn random(&self, buffer: &mut [i8]) {
        buffer.fill(7);
    }

    fn sleep(&self, duration: Duration) -> Duration {
        duration
    }
}

impl DatabaseHandle for Handle {
    type WalIndex = WalDisabled;

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk()?.content(&self.path)?.now.len() as u64)
    }

    fn read_exact_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        if disk.is_dead || disk.is_unreadable(&self.path, offset, offset + buf.len() as u64) {
            return Err(Error::other("cannot be read"));
        }
        let now = &disk.content(&self.path)?.now;
        let from = now.get(offset as usize..).unwrap_or_default();
        let there = from.len().min(buf.len());
        buf[..there].copy_from_slice(&from[..there]);
        buf[there..].fill(0);
        if there < buf.len() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.call()?;
        if disk.faults.full {
            return Err(ErrorKind::WriteZero.into());
        }
        if disk.faults.writes {
            return Err(Error::other("cannot be written"));
        }
        disk.written += buf.len() as u64;
        let content = disk.content(&self.path)?;
        let (at, end) = (offset as usize, offset as usize + buf.len());
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[at..end].copy_from_slice(buf);
        content.unflushed.push(Op::Write(at, buf.to_vec()));
        Ok(())
    }

    fn sync(&mut self, _data_only: bool) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.call()?;
        if disk.faults.writes {
            return Err(Error::other("cannot be flushed"));
        }
        disk.flush(&self.path)
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.call()?;
        let content = disk.content(&self.path)?;
        content.now.resize(size as usize, 0);
        content.unflushed.push(Op::Cut(size as usize));
        Ok(())
    }

    fn lock(&mut self, lock: LockKind) -> io::Result<bool> {
        self.lock = lock;
        Ok(true)
    }

    fn reserved(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    fn current_lock(&self) -> io::Result<LockKind> {
        Ok(self.lock)
    }

    fn wal_index(&self, _readonly: bool) -> io::Result<WalDisabled> {
        Ok(WalDisabled)
    }
}
