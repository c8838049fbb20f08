//! Where the bytes go that reach the card: every write of a run, by the file that it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::cut::debugfs;
use super::drive::Drive;
use super::log::{self, Write};
use super::record::{address_of, read};
use crate::guest::{Card, Guest, GuestDaemon, Options, Time};
use crate::{Bench, Gateway, Mosquitto, debian};

/// As configured by default.
const CONFIG: &str = r#"
[vehicle]
id = "bench"
[store]
path = "/card/ring.db"
[http]
listen = "127.0.0.1:9464"
[uplink]
broker = "mqtt://{broker}"
[[bus]]
kind = "socketcan"
interface = "vcan0"
dbc = ["traffic.dbc"]
"#;
/// log2 of the card's size in MiB: from 512 MiB on, mke2fs makes blocks of 4 KiB, which larger cards have, too.
const CARD: u32 = 9;
/// Time that the generator and the guest take beside.
const GRACE: Duration = Duration::from_secs(300);

/// What a part of a run has written.
#[derive(Clone, Debug)]
pub struct Account {
    name: &'static str,
    seconds: f64,
    block_bytes: u64,
    blocks: u64,
    samples: u64,
    /// Bytes by what they belong to.
    parts: BTreeMap<&'static str, u64>,
}

/// A moment of a run.
struct Moment {
    entries: usize,
    uptime_s: f64,
    block_bytes: u64,
    blocks: u64,
    samples: u64,
}

impl Account {
    /// Two runs of so many seconds: one from the first start of the daemon on, which makes its files, and one that goes on
    /// with them after it was killed. `mount_options` are for the card's file system, beside the bench's own.
    ///
    /// # Panics
    /// When a part of the bench fails.
    pub fn take(
        bench: &Bench,
        drive: &Drive,
        samples_per_second: u64,
        seconds: u64,
        mount_options: Option<&str>,
    ) -> [Self; 2] {
        let mut card = Card::new(bench, CARD);
        let (image, path) = (card.path().to_owned(), bench.folder().join("writes.log"));
        card.log_writes_to(&path);
        let broker = Mosquitto::start(bench);
        let mut gateway = Gateway::counting(bench, &broker);
        gateway.until_ready();
        let options = Options { time: Time::Metered, card: Some(card), ..Options::default() };
        let mut guest = Guest::boot(bench, options);
        guest.mount_card();
        if let Some(options) = mount_options {
            guest.run(&format!("mount -o remount,{options} /card && grep /card /proc/mounts"));
        }
        guest.connect_link();
        GuestDaemon::install(&guest);
        drive.install(&guest);
        let address: SocketAddr = Guest::address_of(address_of(&broker));
        guest.write("/ecu/config.toml", &CONFIG.replace("{broker}", &address.to_string()));
        let arguments = drive.arguments(&guest, samples_per_second, seconds);
        let runs = ["the first run", "a later run"].map(|name| {
            let daemon = GuestDaemon::running(&guest);
            let before = Moment::starting(&guest, &path);
            daemon.restart();
            guest.run_within(&format!("/ecu/can-traffic vcan0 {arguments}"), Duration::from_secs(seconds) + GRACE);
            let after = Moment::now(&guest, &daemon, &path);
            // Killed, it leaves its -wal as it is.
            guest.run("killall -9 ecu-daemon; for i in $(seq 50); do pidof ecu-daemon || break; sleep 0.1; done; sync");
            (name, before, after)
        });
        guest.run("umount /card");
        guest.power_off();
        let (owners, writes) = (Owners::read(&image), log::parse(&read(&path)));
        runs.map(|(name, before, after)| Self::new(name, &before, &after, &owners, &writes))
    }

    fn new(name: &'static str, before: &Moment, after: &Moment, owners: &Owners, writes: &[Write]) -> Self {
        let mut parts = BTreeMap::new();
        for write in &writes[before.entries..after.entries] {
            for (at, bytes) in write.bytes.chunks(owners.block_bytes).enumerate() {
                *parts.entry(owners.of(write.offset / owners.block_bytes + at)).or_default() +=
                    bytes.len() as u64;
            }
        }
        Self {
            name,
            seconds: after.uptime_s - before.uptime_s,
            block_bytes: after.block_bytes,
            blocks: after.blocks,
            samples: after.samples,
            parts,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seconds, block_bytes, blocks, samples, parts } = self;
        let all: u64 = parts.values().sum();
        writeln!(
            f,
            "{name}: {:.0} samples/s, {blocks} blocks of {:.0} bytes, {:.2} byte a sample, {:.0} B/s; {:.0} B/s to the \
             card, {:.2} bytes a byte",
            *samples as f64 / seconds,
            *block_bytes as f64 / *blocks as f64,
            *block_bytes as f64 / *samples as f64,
            *block_bytes as f64 / seconds,
            all as f64 / seconds,
            all as f64 / *block_bytes as f64
        )?;
        writeln!(f, "| what | bytes/s | bytes a block |\n| --- | --- | --- |")?;
        for (part, bytes) in parts {
            let (per_second, per_block) = (*bytes as f64 / seconds, *bytes as f64 / *blocks as f64);
            writeln!(f, "| {part} | {per_second:.0} | {per_block:.0} |")?;
        }
        Ok(())
    }
}

impl Moment {
    fn starting(guest: &Guest, log: &Path) -> Self {
        let uptime_s = settled(guest);
        Self { entries: log::entries(log) as usize, uptime_s, block_bytes: 0, blocks: 0, samples: 0 }
    }

    fn now(guest: &Guest, daemon: &GuestDaemon<'_>, log: &Path) -> Self {
        let uptime_s = settled(guest);
        let metrics = daemon.metrics().unwrap_or_else(|| panic!("the daemon has ended: {}", daemon.log()));
        Self {
            entries: log::entries(log) as usize,
            uptime_s,
            block_bytes: metrics.sum("ecu_daemon_blocks_sealed_bytes_total", &[]),
            blocks: metrics.sum("ecu_daemon_blocks_sealed_total", &[]),
            samples: metrics.sum("ecu_daemon_records_total", &[("kind", "sample"), ("state", "sealed")]),
        }
    }
}

/// What the file system holds back belongs to what was written before. Gives the guest's time.
fn settled(guest: &Guest) -> f64 {
    let text = guest.run("sync; cat /proc/uptime");
    let uptime = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
    uptime.unwrap_or_else(|| panic!("/proc/uptime says {text:?}"))
}

/// Which block of the card belongs to which file.
struct Owners {
    block_bytes: usize,
    files: BTreeMap<usize, &'static str>,
}

impl Owners {
    /// Of a card that was unmounted in good order.
    fn read(image: &Path) -> Self {
        let check = Command::new(debian("e2fsck", "e2fsprogs")).arg("-fp").arg(image).output();
        let check = check.unwrap_or_else(|error| panic!("e2fsck: {error}"));
        assert!(check.status.success(), "e2fsck: {}", String::from_utf8_lossy(&check.stdout));
        let stats = debugfs(image, "show_super_stats -h");
        let size = stats.lines().find_map(|line| line.strip_prefix("Block size:")?.trim().parse().ok());
        let mut files = BTreeMap::new();
        // Inode 8 is the journal (the kernel's Documentation/filesystems/ext4/special_inodes.rst).
        for (file, part) in [("<8>", "ext4's journal"), ("/ring.db", "database"), ("/ring.db-wal", "-wal")] {
            let blocks = debugfs(image, &format!("blocks {file}"));
            files.extend(
                blocks.split_ascii_whitespace().filter_map(|block| Some((block.parse().ok()?, part))),
            );
        }
        Self { block_bytes: size.unwrap_or_else(|| panic!("debugfs tells no block size: {stats}")), files }
    }

    fn of(&self, block: usize) -> &'static str {
        self.files.get(&block).copied().unwrap_or("ext4's inodes, bitmaps and others")
    }
}
