//! `cargo bench -p ecu-core --bench logs`: what mining a line costs, and how small mined lines become.
//!
//! Nanoseconds are of this thread's processor time, the fastest of some passes. `--only SET PASSES` mines one set so
//! often and prints nothing but its lines, for an instruction counter: run with two numbers of passes, the difference
//! is the cost of warm lines.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod columns;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/labelled/mod.rs"]
mod labelled;

use std::fs;
use std::hint::black_box;

use ecu_core::logs::Miner;
use labelled::{Labelled, own};
use rustix::time::{ClockId, clock_gettime};

const PASSES: usize = 15;
/// What a chunk of a compressed log holds, bytes of its lines.
const CHUNK_BYTES: usize = 64 << 10;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if arguments.next().as_deref() == Some("--only") {
        let (name, passes) = (arguments.next().unwrap(), arguments.next().unwrap().parse().unwrap());
        let set = sets().into_iter().find(|set| set.name == name).unwrap();
        let mut miner = Miner::default();
        (0..passes).for_each(|_| pass(&mut miner, &set));
        println!("{} lines", set.lines.len());
        return;
    }
    println!("{:14} {:>7} {:>9} {:>9} {:>9}", "set", "B/line", "cold ns", "warm ns", "lines/s");
    let sets = sets();
    for set in &sets {
        let mut miner = Miner::default();
        let cold = nanoseconds(|| pass(&mut miner, set));
        let warm = (0..PASSES).map(|_| nanoseconds(|| pass(&mut miner, set))).min().unwrap();
        let (lines, bytes) = (set.lines.len() as u64, set.lines.iter().map(Vec::len).sum::<usize>() as u64);
        let per_line = |ns: u64| ns as f64 / lines as f64;
        println!(
            "{:14} {:7} {:9.0} {:9.0} {:9.0}",
            set.name,
            bytes / lines,
            per_line(cold),
            per_line(warm),
            1e9 / per_line(warm)
        );
    }
    println!(
        "\n{:14} {:>9} {:>9} {:>9} {:>6} {:>9} {:>6}",
        "set", "bytes", "zstd -19", "columns", "ratio", "known", "ratio"
    );
    for set in sets.iter().chain(&whole_lines()) {
        let (mut plain, mut bytes) = (0, 0);
        let chunks = columns::chunks(set, CHUNK_BYTES, false);
        for chunk in &chunks {
            bytes += chunk.text.len();
            plain += zstd::bulk::compress(&chunk.text, 19).unwrap().len();
        }
        let size = |chunks: &[columns::Chunk]| chunks.iter().map(columns::Chunk::size).sum::<usize>();
        let (alone, known) = (size(&chunks), size(&columns::chunks(set, CHUNK_BYTES, true)));
        let ratio = |size: usize| plain as f64 / size as f64;
        println!(
            "{:14} {bytes:9} {plain:9} {alone:9} {:6.2} {known:9} {:6.2}",
            set.name,
            ratio(alone),
            ratio(known)
        );
    }
}

/// Whole lines, with their headers: a time, an app and a level are columns, too.
fn whole_lines() -> Vec<Labelled> {
    let Some(root) = labelled::shared() else { return Vec::new() };
    ["synthetic-ecu/ecu_dev.log", "loghub-2k/Linux/Linux_2k.log", "loghub-2k/Android/Android_2k.log"]
        .map(|path| {
            labelled::unlabelled(path.rsplit('/').next().unwrap(), &fs::read(root.join(path)).unwrap())
        })
        .into()
}

fn sets() -> Vec<Labelled> {
    let mut sets = vec![own::set(20_000, 1)];
    if let Some(root) = labelled::shared() {
        let read = |name: &str| fs::read_to_string(root.join("synthetic-ecu").join(name)).unwrap();
        sets.push(labelled::ecu("synthetic-ecu", &read("ecu_dev.log"), &read("ecu_dev.gt")));
        sets.extend(["HDFS", "Linux", "BGL", "Android"].map(|name| labelled::loghub(&root, name)));
    }
    sets
}

fn pass(miner: &mut Miner, set: &Labelled) {
    for (line, &origin) in set.lines.iter().zip(&set.origins) {
        black_box(miner.mine(origin, black_box(line)).template);
    }
}

fn nanoseconds(work: impl FnOnce()) -> u64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    let start = now();
    work();
    now() - start
}
