//! What the daemon costs the card, by the device's own counters: file system, journal and SQLite included.

mod guest_path;

use guest_path::Path;
use hil_tests::guest::emulated_bench;
use hil_tests::say;

const SECONDS: u64 = 40;
/// Two samples a frame.
const FRAMES_PER_SECOND: [u64; 2] = [500, 5000];
/// At 10,000 samples a second.
const DEVICE_BYTES_PER_SECOND_MAX: u64 = 30_000;

#[test]
fn ten_thousand_samples_a_second_write_little() {
    if !emulated_bench() {
        return;
    }
    let path = Path::start_metered_counting("wear");
    // As configured by default; the other tests want their blocks sooner.
    path.daemon().stop();
    path.ecu
        .run(&format!("sed -i 's/^seal_after = .*/seal_after = \"4s\"/' {}", path.ecu.path("config.toml")));
    path.daemon().restart();
    let mut sent = 0;
    say("| samples/s | bytes/s of blocks | bytes/s to the card | card / blocks |");
    for rate in FRAMES_PER_SECOND {
        let before = Reading::take(&path);
        let traffic = path.send(&format!("--rate {rate} --seconds {SECONDS} --mix classic=3,fd=1"));
        sent += traffic.count("frames");
        path.until_acknowledged(sent);
        let after = Reading::take(&path);
        let seconds = after.uptime_s - before.uptime_s;
        let per_second = |before: u64, after: u64| (after - before) as f64 / seconds;
        let blocks = per_second(before.block_bytes, after.block_bytes);
        let card = per_second(before.card_bytes, after.card_bytes);
        let samples = traffic.count("samples") as f64 / seconds;
        say(&format!("| {samples:.0} | {blocks:.0} | {card:.0} | {:.1} |", card / blocks));
        assert!(blocks > 0.0 && card >= blocks, "what is stored is written");
        if rate == FRAMES_PER_SECOND[1] {
            assert!(card <= DEVICE_BYTES_PER_SECOND_MAX as f64, "{card:.0} bytes a second to the card");
        }
    }
}

struct Reading {
    uptime_s: f64,
    card_bytes: u64,
    block_bytes: u64,
}

impl Reading {
    fn take(path: &Path<hil_tests::guest::Target>) -> Self {
        // What the file system still holds back belongs to what was written before.
        let text = path.ecu.run("sync; cat /proc/uptime /sys/block/mmcblk0/stat");
        let mut words = text.split_ascii_whitespace();
        let uptime_s = words.next().and_then(|word| word.parse().ok());
        // The seventh field is sectors of 512 bytes (the kernel's Documentation/block/stat.rst), behind two of uptime.
        let sectors = words.nth(7).and_then(|word| word.parse::<u64>().ok());
        let (Some(uptime_s), Some(sectors)) = (uptime_s, sectors) else { panic!("{text:?}") };
        let block_bytes = path.metrics().sum("ecu_daemon_blocks_sealed_bytes_total", &[]);
        Self { uptime_s, card_bytes: sectors * 512, block_bytes }
    }
}
