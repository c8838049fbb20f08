//! What reaches the card, by the device's own counters: file system, journal and SQLite included. Beside the ring, what
//! others do with the same samples.
//!
//! `HIL_WEAR=full` makes the whole table of store/RING.md, which takes ten minutes.

mod guest_path;

use std::env;
use std::time::Duration;

use guest_path::Path;
use hil_tests::guest::lab::Drive;
use hil_tests::guest::{Target, aarch64, emulated_bench};
use hil_tests::say;

/// At 10,000 samples a second.
const DEVICE_BYTES_PER_SECOND_MAX: f64 = 30_000.0;
/// A row for each sample costs the card more than so many times of what the ring does. (Seen: 4.7 at 1,000 samples a second,
/// and more with more.)
const ROWS_COST_MORE: f64 = 3.0;
/// How often others sync: as often as the ring commits (`[blocks] seal_after`).
const SYNC_SECONDS: u64 = 4;

/// 512 pages: then it is folded in and begun anew.
const WAL_BYTES_MIN: u64 = 512 * 4096;

struct Plan {
    samples_per_second: &'static [u64],
    /// Of those that there are, the recorded one first.
    drives: usize,
    seconds: u64,
    peer_seconds: u64,
}

const SHORT: Plan = Plan { samples_per_second: &[10_000], drives: 1, seconds: 30, peer_seconds: 12 };
const FULL: Plan =
    Plan { samples_per_second: &[1_000, 10_000, 40_000], drives: 2, seconds: 60, peer_seconds: 30 };

#[test]
fn ten_thousand_samples_a_second_write_little() {
    if !emulated_bench() {
        return;
    }
    let plan = if env::var_os("HIL_WEAR").is_some_and(|wear| wear == "full") { FULL } else { SHORT };
    let path = Path::start_metered_counting("wear");
    path.ecu.copy_in(&aarch64("release/card-peers"), &path.ecu.path("card-peers"));
    lengthen_wal(&path);
    say("| traffic | samples/s | what | payload B/s | to the card B/s | card / payload |");
    let mut drives = Drive::all();
    if !matches!(drives[0], Drive::Recorded { .. }) {
        say("without a recorded drive: the data set is not there");
    }
    for (at, drive) in drives.drain(..).take(plan.drives).enumerate() {
        for &rate in plan.samples_per_second {
            // How it compresses is seen at one rate.
            if at > 0 && rate != 10_000 {
                continue;
            }
            let ring = ring(&path, &drive, rate, plan.seconds);
            ring.print(drive.name(), "ring");
            assert!(ring.payload > 0.0 && ring.card >= ring.payload, "what is stored is written");
            assert!(rate > 10_000 || ring.card <= DEVICE_BYTES_PER_SECOND_MAX, "{} B/s", ring.card);
            // Others write the same whatever is in the samples.
            if at > 0 {
                continue;
            }
            let append = peer(&path, "append", ring.payload as u64, plan.peer_seconds);
            Cost { samples: ring.samples, ..append }.print(drive.name(), "append-only file");
            assert!(append.card >= append.payload && append.card < ring.card, "the limit is below the ring");
            let rows = peer(&path, "rows", ring.samples as u64, plan.peer_seconds);
            Cost { samples: ring.samples, payload: ring.payload, ..rows }
                .print(drive.name(), "one row a sample");
            assert!(rows.card > ring.card * ROWS_COST_MORE, "{} B/s and {} B/s", rows.card, ring.card);
        }
    }
}

/// Lets the -wal grow to its length, which it keeps: an ECU that was on for some minutes has done so. What that costs is
/// `power-lab --account`'s story. Then all is as configured by default.
fn lengthen_wal(path: &Path<Target>) {
    let configure = |seal_after, commit_after| {
        path.daemon().stop();
        let set = |key, value| format!("-e 's/^{key} = .*/{key} = \"{value}\"/'");
        let edits = [set("seal_after", seal_after), set("commit_after", commit_after)].join(" ");
        path.ecu.run(&format!("sed -i {edits} {}", path.ecu.path("config.toml")));
        path.daemon().restart();
    };
    configure("20ms", "20ms");
    path.send("--rate 500 --seconds 6");
    let wal = path.ecu.run("stat -c %s /card/ring.db-wal");
    assert!(wal.trim().parse::<u64>().is_ok_and(|bytes| bytes > WAL_BYTES_MIN), "the -wal has {wal} bytes");
    configure("4s", "1s");
}

/// All a second.
#[derive(Clone, Copy, Default)]
struct Cost {
    samples: f64,
    /// Bytes of blocks, or of what stands for them.
    payload: f64,
    /// Bytes that the card was given.
    card: f64,
}

impl Cost {
    fn print(&self, traffic: &str, what: &str) {
        let Self { samples, payload, card } = self;
        say(&format!(
            "| {traffic} | {samples:.0} | {what} | {payload:.0} | {card:.0} | {:.1} |",
            card / payload
        ));
    }
}

/// The daemon, from its start to its end: with that, all that is in the -wal is in the database, too.
fn ring(path: &Path<Target>, drive: &Drive, samples_per_second: u64, seconds: u64) -> Cost {
    path.daemon().stop();
    drive.install(&path.ecu);
    let arguments = drive.arguments(&path.ecu, samples_per_second, seconds);
    let before = Reading::take(path);
    path.daemon().restart();
    let traffic = path.send(&arguments);
    path.until_acknowledged(traffic.count("frames"));
    let metrics = path.metrics();
    let took = Reading::take(path).uptime_s - before.uptime_s;
    path.daemon().stop();
    let after = Reading::take(path);
    path.daemon().restart();
    Cost {
        samples: metrics.sum("ecu_daemon_records_total", &[("kind", "sample"), ("state", "sealed")]) as f64
            / took,
        payload: metrics.sum("ecu_daemon_blocks_sealed_bytes_total", &[]) as f64 / took,
        card: (after.card_bytes - before.card_bytes) as f64 / took,
    }
}

/// One of the others, at so many bytes or samples a second.
fn peer(path: &Path<Target>, what: &str, rate: u64, seconds: u64) -> Cost {
    path.daemon().stop();
    let file = "/card/peer";
    let before = Reading::take(path);
    let program = path.ecu.path("card-peers");
    let arguments = format!("{what} {file} --rate {rate} --every {SYNC_SECONDS} --seconds {seconds}");
    path.ecu.run_within(&format!("{program} {arguments}"), Duration::from_secs(10 * seconds));
    let after = Reading::take(path);
    path.ecu.run(&format!("rm {file}*; sync"));
    path.daemon().restart();
    let took = after.uptime_s - before.uptime_s;
    Cost { samples: 0.0, payload: rate as f64, card: (after.card_bytes - before.card_bytes) as f64 / took }
}

struct Reading {
    uptime_s: f64,
    card_bytes: u64,
}

impl Reading {
    fn take(path: &Path<Target>) -> Self {
        // What the file system still holds back belongs to what was written before.
        let text = path.ecu.run("sync; cat /proc/uptime /sys/block/mmcblk0/stat");
        let mut words = text.split_ascii_whitespace();
        let uptime_s = words.next().and_then(|word| word.parse().ok());
        // The seventh field is sectors of 512 bytes (the kernel's Documentation/block/stat.rst), behind two of uptime.
        let sectors = words.nth(7).and_then(|word| word.parse::<u64>().ok());
        let (Some(uptime_s), Some(sectors)) = (uptime_s, sectors) else { panic!("{text:?}") };
        Self { uptime_s, card_bytes: sectors * 512 }
    }
}
