//! Bytes written for each byte stored: the ring beside one row for each sample in SQLite, and an append-only file.
//!
//! `cargo run --release -p store --features sqlite --example write_amplification` prints the tables of `store/RING.md`.
//! Written are the bytes that go into write calls (`wchar` of `/proc/thread-self/io`), the same on every machine; what a
//! file system and a card make of them is measured on the bench. Time is simulated, so nothing depends on its speed.

mod pages;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use rusqlite::{Connection, params};
use store::block::{Body, BootId, Class, ClockSource, Kind, SamplesBuilder, SchemaHash, SealedBlock, Sealer};
use store::ring::{RingFile, wear};

use pages::Pages;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Signals of a message, rows of it a second, and seconds in a block (`[blocks] seal_after`).
const SIGNALS: usize = 8;
const ROWS_PER_SECOND: usize = 10;
const SEAL_SECONDS: usize = 4;
/// Different blocks; they are used again and again, so that memory is the ring's alone.
const BLOCKS: usize = 8;
const SECONDS: usize = 1200;
/// Acknowledgements are committed this far apart, as the daemon does (`writer.rs`, `ACKED_AFTER`).
const ACKED_SECONDS: usize = 8;
/// Commits whose pages are looked at one by one.
const LOOKED_AT: usize = 200;
/// A table of rows grows without bound: less time, the same rate.
const ROW_SECONDS: usize = 60;
const RING_BYTES: u64 = 64 << 20;

fn main() -> Outcome<()> {
    println!("| samples/s | what | payload B/s | written B/s | written / payload | memory |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for rate in [1_000, 10_000, 40_000] {
        let blocks = blocks(rate)?;
        let folder = tempfile::tempdir()?;
        let payload: usize = blocks.iter().map(|block| block.bytes().len()).sum::<usize>() / BLOCKS;
        let payload = payload as f64 / SEAL_SECONDS as f64;
        println!("| {rate} | {:.2} byte a sample | | | | | |", payload / rate as f64);
        for (what, commits) in [("ring, not sent", false), ("ring, sent and acknowledged", true)] {
            let (written, resident) = ring(&folder.path().join(what), &blocks, commits)?;
            row(rate, what, payload, written, SECONDS, Some(resident));
        }
        let written = append(&folder.path().join("append"), &blocks)?;
        row(rate, "append-only file, the limit", payload, written, SECONDS, None);
        let written = rows(&folder.path().join("rows"), rate)?;
        row(rate, "one row a sample, a transaction a second", payload, written, ROW_SECONDS, None);
    }
    print_pages(&blocks(10_000)?)
}

/// What a commit writes into the -wal, page by page.
fn print_pages(blocks: &[SealedBlock]) -> Outcome<()> {
    println!("\nPages that a commit adds to the -wal, on average, ring full:");
    println!("| | not sent | sent and acknowledged |");
    println!("| --- | --- | --- |");
    let folder = tempfile::tempdir()?;
    let found = [false, true].map(|acknowledge| -> Outcome<_> {
        let path = folder.path().join(format!("pages-{acknowledge}"));
        let mut ring = full_ring(&path, blocks)?;
        let mut pages = Pages::after(&path)?;
        run(&mut ring, blocks, acknowledge, LOOKED_AT * SEAL_SECONDS, || pages.committed(&path))?;
        ring.close()?;
        pages.by_content(&path)
    });
    let [not_sent, sent] = found;
    let (not_sent, sent) = (not_sent?, sent?);
    let names: std::collections::BTreeSet<_> = not_sent.keys().chain(sent.keys()).collect();
    for name in names {
        let of = |pages: &std::collections::BTreeMap<String, f64>| pages.get(name).copied().unwrap_or(0.0);
        println!("| {name} | {:.2} | {:.2} |", of(&not_sent), of(&sent));
    }
    println!("| all | {:.2} | {:.2} |", not_sent.values().sum::<f64>(), sent.values().sum::<f64>());
    Ok(())
}

fn row(rate: usize, what: &str, payload: f64, written: u64, seconds: usize, resident: Option<u64>) {
    let per_second = written as f64 / seconds as f64;
    let memory =
        resident.map_or(String::new(), |bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)));
    println!("| {rate} | {what} | {payload:.0} | {per_second:.0} | {:.2} | {memory} |", per_second / payload);
}

/// Blocks as the daemon seals them: all messages, some seconds each; values that wander, stamps with a jitter of
/// microseconds.
fn blocks(rate: usize) -> Outcome<Vec<SealedBlock>> {
    let messages = rate / SIGNALS / ROWS_PER_SECOND;
    let mut sealer = Sealer::new(BootId([1; 16]), 0, 3)?;
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 40
    };
    let mut values = vec![1000_u64; messages * SIGNALS];
    let mut sealed = Vec::new();
    for block in 0..BLOCKS {
        let mut builder = SamplesBuilder::new(std::iter::repeat_n(SIGNALS, messages), 1_000);
        for step in 0..SEAL_SECONDS * ROWS_PER_SECOND {
            let at = ((block * SEAL_SECONDS * ROWS_PER_SECOND + step) * 100_000_000) as i64;
            for message in 0..messages {
                let stamp = at + message as i64 * 50_000 + (next() % 20) as i64 * 1000;
                builder.row(message, stamp, ClockSource::KernelSoftware).map_err(|_| "one clock only")?;
                for signal in 0..SIGNALS {
                    let value = &mut values[message * SIGNALS + signal];
                    // Two in three signals do not change from one frame to the next.
                    if signal % 3 == 0 {
                        *value = value.wrapping_add(next() % 5).wrapping_sub(2);
                    }
                    builder.value(message, signal, *value);
                }
            }
        }
        let span_ns = builder.span_ns().ok_or("an empty block")?;
        let count = builder.samples() as u32;
        builder.encode(&mut sealer.body);
        let class = Class::Live;
        let schema = SchemaHash::default();
        sealed.push(sealer.seal(Body {
            kind: Kind::Samples,
            class,
            schema,
            count,
            span_ns,
            sealed_boot_ns: 0,
        })?);
    }
    Ok(sealed)
}

/// Blocks are committed when they are sealed, and with them the acknowledgements of those before, as the daemon does.
fn ring(path: &Path, blocks: &[SealedBlock], acknowledge: bool) -> Outcome<(u64, u64)> {
    let before = resident()?;
    let mut ring = full_ring(path, blocks)?;
    let start = written()?;
    run(&mut ring, blocks, acknowledge, SECONDS, || Ok(()))?;
    let written = written()? - start;
    let resident = resident()?.saturating_sub(before);
    ring.close()?;
    fs::remove_file(path)?;
    Ok((written, resident))
}

/// A ring as it is in service: blocks make room for one another.
fn full_ring(path: &Path, blocks: &[SealedBlock]) -> Outcome<RingFile> {
    let mut ring = RingFile::open(path, RING_BYTES)?;
    let filling: u64 = blocks.iter().map(|block| block.bytes().len() as u64).sum();
    for _ in 0..2 * RING_BYTES / filling.max(1) {
        ring.commit(blocks, &mut Vec::new(), 0)?;
        if ring.books().total().evicted[0].blocks > 0 {
            break;
        }
    }
    Ok(ring)
}

/// Commits a block whenever one is sealed, and acknowledgements with some of them.
fn run(
    ring: &mut RingFile,
    blocks: &[SealedBlock],
    acknowledge: bool,
    seconds: usize,
    mut committed: impl FnMut() -> Outcome<()>,
) -> Outcome<()> {
    let mut acked = Vec::new();
    for second in 0..seconds {
        let now = second as i64 * 1_000_000_000;
        if second % SEAL_SECONDS == 0 {
            let block = &blocks[second / SEAL_SECONDS % blocks.len()];
            let acked = if second % ACKED_SECONDS == 0 { &mut acked } else { &mut Vec::new() };
            ring.commit(std::slice::from_ref(block), acked, now)?;
            committed()?;
        } else if second % SEAL_SECONDS == 1 && acknowledge {
            acked.extend(ring.lease(1 << 20, 1)?.into_iter().map(|block| block.lease));
        }
    }
    Ok(())
}

fn append(path: &Path, blocks: &[SealedBlock]) -> Outcome<u64> {
    let mut file = File::create(path)?;
    let start = written()?;
    for number in 0..SECONDS / SEAL_SECONDS {
        file.write_all(blocks[number % blocks.len()].bytes())?;
        file.sync_data()?;
    }
    Ok(written()? - start)
}

/// What many do: a row for each sample.
fn rows(path: &Path, rate: usize) -> Outcome<u64> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE sample (time INTEGER NOT NULL, signal INTEGER NOT NULL, value REAL NOT NULL);",
    )?;
    let start = written()?;
    for second in 0..ROW_SECONDS {
        let transaction = connection.unchecked_transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO sample VALUES (?1, ?2, ?3)")?;
        for sample in 0..rate {
            let at = (second * 1_000_000_000 + sample * 1_000_000_000 / rate) as i64;
            insert.execute(params![
                1_700_000_000_000_000_000 + at,
                (sample % 400) as i64,
                sample as f64 * 0.1
            ])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok(written()? - start)
}

fn written() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/thread-self/io")?;
    Ok(wear::written_by_thread(&text).ok_or("/proc/thread-self/io has no wchar")?)
}

/// Memory of this process that is not of a file, bytes (proc(5), status).
fn resident() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.ok_or("/proc/self/status has no RssAnon")? << 10)
}
