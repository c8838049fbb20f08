//! A ring that is full before the guest has it.

use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::scenario::RING;
use crate::{Bench, Daemon, Mode};

const CONFIG: &str = "[vehicle]\nid = \"bench\"\n[store]\npath = \"ring.db\"\nmax_bytes = \"{ring}\"\n\
                      commit_after = \"20ms\"\n[blocks]\nseal_after = \"10ms\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
                      [logs]\nsocket = \"log.sock\"\n[[bus]]\nkind = \"replay\"\nname = \"none\"\nfile = \"none.log\"\n";
/// Text that does not compress well, so that few records fill the ring; the longest that is kept whole is 8,192.
const TEXT: usize = 8_000;
/// Log records that are sent at once and so share a block: several small blocks make many evictions.
const AT_ONCE: usize = 4;
const PAUSE: Duration = Duration::from_millis(12);
const FULL_WITHIN: Duration = Duration::from_secs(60);

/// Pages in the -wal when the ring is handed over: at 512 it is folded in, which the guest is to do soon.
const WAL_FRAMES: RangeInclusive<usize> = 400..=490;
const WAL_HEADER: usize = 32;
const WAL_FRAME: usize = 24 + 4096;

/// Has a daemon on this machine fill a ring with logs, the least worthy class, until it evicts, and kills it: the -wal
/// is not folded in. Gives a folder with both files and nothing else.
pub(super) fn full_ring(bench: &Bench) -> PathBuf {
    let making = Bench::new("full-ring");
    let folder = making.folder();
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    write("none.log", "");
    let mut daemon = Daemon::start(&making, &CONFIG.replace("{ring}", RING), Mode::Service);
    let mut evicted = || {
        daemon
            .metrics()
            .map(|metrics| metrics.sum("ecu_daemon_ring_records_total", &[("state", "evicted_full")]))
    };
    assert_eq!(evicted(), Some(0), "a ring that is made is empty");
    let socket = UnixDatagram::unbound().unwrap_or_else(|error| panic!("no socket: {error}"));
    let mut seed = 1;
    let started = Instant::now();
    let wal = folder.join("ring.db-wal");
    while evicted() == Some(0) || !WAL_FRAMES.contains(&wal_frames(&wal)) {
        assert!(
            started.elapsed() < FULL_WITHIN,
            "the ring does not fill, or its -wal is folded in too early"
        );
        for _ in 0..AT_ONCE {
            send(&socket, &folder.join("log.sock"), &mut seed);
        }
        sleep(PAUSE);
    }
    daemon.kill();
    let ring = bench.folder().join("full-ring");
    fs::create_dir_all(&ring).unwrap_or_else(|error| panic!("{}: {error}", ring.display()));
    for file in ["ring.db", "ring.db-wal"] {
        fs::copy(folder.join(file), ring.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    ring
}

/// Frames of the -wal that count: those with the salts of its header (sqlite.org/fileformat2.html §4.1).
fn wal_frames(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap_or_default();
    let Some(salts) = bytes.get(16..24) else { return 0 };
    bytes[WAL_HEADER.min(bytes.len())..]
        .chunks_exact(WAL_FRAME)
        .take_while(|frame| &frame[8..16] == salts)
        .count()
}

fn send(socket: &UnixDatagram, path: &Path, seed: &mut u64) {
    let letter = |_| {
        // Knuth's MMIX; six of its better bits make a letter that JSON needs not escape.
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (*seed >> 58) as u8 % 43)
    };
    let text: String = (0..TEXT).map(letter).collect();
    let line = serde_json::json!({ "level": "info", "service": "lab", "msg": text }).to_string();
    socket.send_to(line.as_bytes(), path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
