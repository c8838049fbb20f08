//! The SD card.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::machine::{Guest, sparse_file};
use crate::{Bench, debian};

const FIND: &str = "modprobe -a sdhci-pci ext4
for i in $(seq 100); do [ -e /dev/mmcblk0 ] && break; sleep 0.1; done
device=/dev/mmcblk0";
/// Without atimes, as on an ECU, and without discards, which would make cards differ. With errors the file system becomes
/// read-only, which most ECUs choose.
const MOUNT: &str = "mkdir -p /card && mount -t ext4 -o noatime,errors=remount-ro $device /card";

/// How long a request takes that fails, milliseconds: a card that does not answer is waited for (SD Physical Layer
/// Specification §4.6.2: 250 ms for a write).
const FAILS_AFTER_MS: u32 = 250;
/// A layer over the card by device mapper's `delay`, which sends what is read and what is written to devices of their
/// own (Documentation/admin-guide/device-mapper/delay.rst): to the card, or to one that fails always.
const LAYER: &str = r#"export DM_DISABLE_UDEV=1
table() { echo "0 $(cat /sys/block/mmcblk0/size) delay $1 $2"; }
good="/dev/mmcblk0 0 0"; bad="/dev/mapper/broken 0 {fails_after_ms}"
"#;
const MAKE_LAYER: &str = r#"device=/dev/mapper/card
[ -e $device ] || {
    modprobe -a dm-mod dm-delay &&
    dmsetup create broken --table "0 $(cat /sys/block/mmcblk0/size) error" &&
    dmsetup create card --table "$(table "$good" "$good")"
} || exit"#;
/// Nothing is written out before (`nolockfs`), and what waits goes the new way (`noflush`): a card does not announce its
/// end.
const SET_LAYER: &str = r#"dmsetup load card --table "$(table "{reads}" "{writes}")" &&
dmsetup suspend --nolockfs --noflush card && dmsetup resume card"#;

/// The driver lets go of the card, as it does when it is pulled out (Documentation/driver-api/driver-model/binding.rst): its
/// block device is gone, and what was mounted fails.
const REMOVE: &str =
    "cd /sys/bus/mmc/drivers/mmcblk && set -- mmc* && echo $1 >/tmp/card && echo $1 >unbind &&
! [ -e /dev/mmcblk0 ]";
/// It comes back as a new device, whose name the old one may still have while its file system is in use.
const INSERT: &str = "cat /tmp/card >/sys/bus/mmc/drivers/mmcblk/bind
for i in $(seq 100); do set -- /dev/mmcblk?; [ -e $1 ] && break; sleep 0.1; done
device=$1";

/// A card: a file on this machine, `/dev/mmcblk0` in the guest. It stays what it is when the guest's power is cut.
#[derive(Clone, Debug)]
pub struct Card {
    path: PathBuf,
    /// Where each write is recorded, too.
    log: Option<PathBuf>,
}

/// How fast a card is, in the guest's time. 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Bytes a second, reading and writing together.
    pub bytes_per_second: u64,
    /// Requests a second.
    pub requests_per_second: u64,
}

impl Card {
    /// A new card with an empty ext4. Its size is 2^`mib_log2` MiB: cards are powers of two.
    pub fn new(bench: &Bench, mib_log2: u32) -> Self {
        let path = bench.folder().join("card.img");
        sparse_file(&path, 1 << (20 + mib_log2));
        let mut command = Command::new(debian("mke2fs", "e2fsprogs"));
        command
            .args(["-q", "-t", "ext4", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"])
            .arg(&path);
        let output = command.output().unwrap_or_else(|error| panic!("mke2fs: {error}"));
        assert!(output.status.success(), "mke2fs: {}", String::from_utf8_lossy(&output.stderr));
        Self { path, log: None }
    }

    /// Has each write recorded in a file (QEMU's `blklogwrites`). Such a card cannot be throttled.
    pub fn log_writes_to(&mut self, path: &Path) {
        sparse_file(path, 0);
        self.log = Some(path.to_owned());
    }

    /// How QEMU is told of it.
    pub(super) fn arguments(&self) -> Vec<String> {
        let card = self.path.display();
        let options = match &self.log {
            None => vec![("-drive", format!("if=none,id=card,format=raw,file={card}"))],
            Some(log) => vec![
                ("-blockdev", format!("driver=file,node-name=image,filename={card}")),
                ("-blockdev", format!("driver=file,node-name=log,filename={}", log.display())),
                (
                    "-blockdev",
                    // The log's header is brought up to date after each write.
                    "driver=blklogwrites,node-name=card,file=image,log=log,log-sector-size=512,\
                     log-super-update-interval=1"
                        .to_owned(),
                ),
            ],
        };
        let devices = [("-device", "sdhci-pci".to_owned()), ("-device", "sd-card,drive=card".to_owned())];
        options.into_iter().chain(devices).flat_map(|(option, value)| [option.to_owned(), value]).collect()
    }

    /// Its file on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Guest {
    /// Mounts the card at `/card`.
    pub fn mount_card(&self) {
        self.run(&format!("{FIND}\n{MOUNT}"));
    }

    /// Mounts the card at `/card` so that it can be broken.
    ///
    /// The errors are made by a layer of the guest's own kernel, because QEMU's card makes none: when its file fails
    /// (`blkdebug`, put under it by `blockdev-reopen`), QEMU 7.2 prints "write error on host side" and tells the guest
    /// that all is well (`sd_blk_write` in hw/sd/sd.c). That is a card that lies. The layer returns what the kernel's
    /// own driver does when a card that dies was asked often enough: EIO, after a while, for writes, for reads, or for
    /// both. (`dm-flakey` cannot have reads alone fail before Linux 6.5.)
    pub fn mount_breakable_card(&self) {
        self.run(&format!("{FIND}\n{}{MAKE_LAYER}\n{MOUNT}", layer()));
    }

    /// Lets all writes to a card fail that was mounted breakable, and only them.
    pub fn break_card_writes(&self) {
        self.set_card("$good", "$bad");
    }

    /// Lets all reads fail, and only them. What the guest's memory has of the card can be read.
    pub fn break_card_reads(&self) {
        self.set_card("$bad", "$good");
    }

    /// Makes the card whole again. What its file system has made of the errors stays until it is mounted anew.
    pub fn mend_card(&self) {
        self.set_card("$good", "$good");
    }

    fn set_card(&self, reads: &str, writes: &str) {
        let set = SET_LAYER.replace("{reads}", reads).replace("{writes}", writes);
        self.run(&format!("{}{set}", layer()));
    }

    /// Pulls the card out and takes the mount away, as the system that runs the ECU would; whoever has files open there
    /// keeps the file system in use, with which nothing works any more.
    pub fn remove_card(&self) {
        self.run(&format!("{REMOVE} && umount -l /card"));
    }

    /// Puts it back and mounts it, as the system that runs the ECU would.
    pub fn insert_card(&self) {
        self.run(&format!("{INSERT}\n{MOUNT}"));
    }

    /// Makes the card slow; [`Throttle::default`] makes it as fast as it was.
    pub fn throttle_card(&self, throttle: Throttle) {
        let Throttle { bytes_per_second, requests_per_second } = throttle;
        self.qmp(
            "block_set_io_throttle",
            &json!({
                "device": "card", "bps": bytes_per_second, "bps_rd": 0, "bps_wr": 0,
                "iops": requests_per_second, "iops_rd": 0, "iops_wr": 0,
            }),
        );
    }

    /// Sectors (512 bytes) written to the card since the guest was booted (Documentation/block/stat.rst).
    pub fn card_sectors_written(&self) -> u64 {
        let stat = self.run("cat /sys/block/mmcblk0/stat");
        let field = stat.split_ascii_whitespace().nth(6).and_then(|field| field.parse().ok());
        field.unwrap_or_else(|| panic!("/sys/block/mmcblk0/stat says {stat:?}"))
    }
}

fn layer() -> String {
    LAYER.replace("{fails_after_ms}", &FAILS_AFTER_MS.to_string())
}
