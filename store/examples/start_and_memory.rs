//! How long a ring takes to start after a power cut, and what memory it takes while it works.
//!
//! `cargo run --release -p store --features sqlite --example start_and_memory [FOLDER]` prints the figures of
//! `store/RING.md`. With a folder, the ring that was cut off stays there as `ring.db`, for a daemon to start with:
//! `ecu-daemon run` says in its log how long it took to the first stored records.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use store::block::{Body, BootId, Class, Kind, SchemaHash, SealedBlock, Sealer};
use store::ring::{RingFile, open_or_quarantine};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const RING_BYTES: u64 = 256 << 20;
/// Bytes in the ring that is cut off.
const CUT_BYTES: u64 = 200_000_000;
/// A block of 4 s at 12,500 samples a second.
const BLOCK_BYTES: usize = 16_000;
/// Blocks committed at once while the ring is filled.
const BATCH: usize = 64;
/// What is done to the full ring while its memory is watched: a block every 4 s for an hour.
const ROUNDS: usize = 900;
const BATCH_BYTES: usize = 64 << 10;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start", ring] => start(Path::new(ring)),
        ["memory", ring] => memory(Path::new(ring)),
        [folder] => measure(Path::new(folder)),
        _ => measure(tempfile::tempdir()?.path()),
    }
}

/// Each figure comes from a process of its own: an allocator keeps what it was given.
fn measure(folder: &Path) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let run = |what: &str, ring: &Path| -> Outcome<()> {
        let status = Command::new(std::env::current_exe()?).arg(what).arg(ring).status()?;
        if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
    };
    let (full, copy, kept) = (folder.join("full.db"), folder.join("copy.db"), folder.join("ring.db"));
    fill(&full, CUT_BYTES)?;
    cut(&full, &kept)?;
    for suffix in ["", "-wal"] {
        fs::copy(with(&kept, suffix), with(&copy, suffix))?;
    }
    run("start", &copy)?;
    fill(&full, RING_BYTES)?;
    run("memory", &full)?;
    for path in [full, copy] {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn block(sealer: &mut Sealer) -> Outcome<SealedBlock> {
    let mut state = sealer.sequence() + 99;
    sealer.body.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(BLOCK_BYTES),
    );
    let (kind, class, schema) = (Kind::Samples, Class::Live, SchemaHash::default());
    Ok(sealer.seal(Body { kind, class, schema, count: 40_000, span_ns: (0, 0), sealed_boot_ns: 0 })?)
}

/// Fills the ring to so many bytes, or until it is full.
fn fill(path: &Path, bytes: u64) -> Outcome<()> {
    let mut ring = RingFile::open(path, RING_BYTES)?;
    let mut sealer = Sealer::new(BootId([1; 16]), 0, 1)?;
    while fs::metadata(path)?.len() < bytes && ring.books().total().evicted[0].blocks == 0 {
        let blocks = (0..BATCH).map(|_| block(&mut sealer)).collect::<Outcome<Vec<_>>>()?;
        ring.commit(&blocks, &mut Vec::new(), 0)?;
    }
    let (len, sealed) = (fs::metadata(path)?.len(), ring.books().total().sealed);
    println!("a file of {} MB with {} blocks", len / 1_000_000, sealed.blocks);
    Ok(ring.close()?)
}

/// What a power cut in the middle of a commit leaves: the database, and a -wal that ends within a commit's frames.
fn cut(from: &Path, to: &Path) -> Outcome<()> {
    let mut ring = RingFile::open(from, RING_BYTES)?;
    let mut sealer = Sealer::new(BootId([2; 16]), 0, 1)?;
    let wal_len = || fs::metadata(with(from, "-wal")).map_or(0, |meta| meta.len());
    let mut before = 0;
    // As much in the -wal as there can be: some 480 of 512 pages.
    for _ in 0..60 {
        before = wal_len();
        ring.commit(&[block(&mut sealer)?], &mut Vec::new(), 0)?;
    }
    for suffix in ["", "-wal"] {
        fs::copy(with(from, suffix), with(to, suffix))?;
    }
    let torn = before.midpoint(wal_len()) + 1000;
    OpenOptions::new().write(true).open(with(to, "-wal"))?.set_len(torn)?;
    println!("cut off with {} KiB in the -wal", torn >> 10);
    Ok(ring.close()?)
}

fn start(path: &Path) -> Outcome<()> {
    // As after a reboot: nothing of it is in memory.
    for suffix in ["", "-wal"] {
        let file = File::open(with(path, suffix))?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    let block = block(&mut Sealer::new(BootId([3; 16]), 0, 1)?)?;
    let began = Instant::now();
    let (mut ring, aside) = open_or_quarantine(path, RING_BYTES)?;
    if let Some(aside) = aside {
        return Err(format!("set aside: {}", aside.reason).into());
    }
    let opened = began.elapsed();
    ring.commit(&[block], &mut Vec::new(), 0)?;
    println!("start: open after {opened:?}, first block stored after {:?}", began.elapsed());
    Ok(ring.close()?)
}

fn memory(path: &Path) -> Outcome<()> {
    let mut sealer = Sealer::new(BootId([4; 16]), 0, 1)?;
    let blocks = (0..8).map(|_| block(&mut sealer)).collect::<Outcome<Vec<_>>>()?;
    let before = resident()?;
    let mut most = 0;
    let mut ring = RingFile::open(path, RING_BYTES)?;
    let (mut acked, mut leased_bytes) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let block = std::slice::from_ref(&blocks[round % blocks.len()]);
        ring.commit(block, &mut acked, round as i64 * 4_000_000_000)?;
        let leased = ring.lease(BATCH_BYTES, 256)?;
        most = most.max(resident()?);
        leased_bytes += leased.iter().map(|block| block.bytes.len()).sum::<usize>();
        acked.extend(leased.into_iter().map(|block| block.lease));
    }
    let grown = most.saturating_sub(before) as f64 / f64::from(1 << 20);
    println!("memory: {grown:.2} MiB more at most, over {ROUNDS} commits and {leased_bytes} bytes leased");
    Ok(ring.close()?)
}

/// Memory of this process that is not of a file, bytes (proc(5), status).
fn resident() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.ok_or("/proc/self/status has no RssAnon")? << 10)
}
