//! What is recorded, and on what card.

use std::path::Path;
use std::process::Command;

use super::damage::Damage;
use super::full_ring::full_ring;
use crate::guest::{Card, Guest, Options};
use crate::{Bench, debian};

/// log2 of the card's size in MiB: it is copied for every point.
pub(super) const CARD: u32 = 5;
/// The smallest ring there is.
pub(super) const RING: &str = "16 MiB";
/// The same, bytes.
pub(super) const RING_BYTES: u64 = 16 << 20;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// An SD card, which writes through; a new ring; nobody to send to: everything waits.
    Quiet,
    /// A card with a write cache, which is told when to flush (an eMMC has one); a ring that is full of logs, so that
    /// commits evict; a gateway that comes halfway, so that acknowledgements free rows from then on; a -wal that is
    /// folded in.
    Busy,
}

impl Scenario {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Quiet, Self::Busy];

    /// Its name in the summary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Busy => "busy",
        }
    }

    /// What may happen to its card while it keeps what it said that it kept. One that writes through takes a write at a
    /// time: there is nothing to reorder.
    pub const fn honest(self) -> &'static [Damage] {
        match self {
            Self::Quiet => &[Damage::Clean, Damage::Torn, Damage::Scrambled],
            Self::Busy => &[Damage::Clean, Damage::Torn, Damage::Scrambled, Damage::Reordered],
        }
    }

    /// Its card, as it is before the guest has it.
    pub(super) fn card(self, bench: &Bench) -> Card {
        let card = Card::new(bench, CARD);
        if self == Self::Busy {
            format_with(&full_ring(bench), card.path());
        }
        card
    }

    /// A guest with this card, which logs its writes.
    pub(super) fn options(self, mut card: Card, log: &Path) -> Options {
        let image = card.path().to_owned();
        card.log_writes_to(log);
        match self {
            Self::Quiet => Options { card: Some(card), ..Options::default() },
            Self::Busy => Options { extra: cached(&image, log), ..Options::default() },
        }
    }

    /// Mounts it at `/card`.
    pub(super) fn mount(self, guest: &Guest) {
        match self {
            Self::Quiet => guest.mount_card(),
            Self::Busy => mount_cached(guest),
        }
    }
}

/// A file system as on a larger card, with 4 KiB blocks, and these files in it.
fn format_with(files: &Path, image: &Path) {
    let mut command = Command::new(debian("mke2fs", "e2fsprogs"));
    command
        .args(["-q", "-t", "ext4", "-T", "default", "-F", "-E"])
        .args(["nodiscard,lazy_itable_init=0,lazy_journal_init=0", "-d"])
        .args([files, image]);
    let output = command.output().unwrap_or_else(|error| panic!("mke2fs: {error}"));
    assert!(output.status.success(), "mke2fs: {}", String::from_utf8_lossy(&output.stderr));
}

/// A card with a write cache, for QEMU: the guest must flush it, and the log says when it did. Nothing is flushed on
/// this machine, which a power cut of the guest does not need.
fn cached(image: &Path, log: &Path) -> Vec<String> {
    let file = |name: &str, path: &Path| {
        format!("driver=file,node-name={name},filename={},cache.no-flush=on", path.display())
    };
    let card = "driver=blklogwrites,node-name=card,file=image,log=log,log-sector-size=512,log-super-update-interval=1";
    let options = [
        ("-blockdev", file("image", image)),
        ("-blockdev", file("log", log)),
        ("-blockdev", card.to_owned()),
        ("-device", "virtio-blk-pci,drive=card,write-cache=on".to_owned()),
    ];
    options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
}

fn mount_cached(guest: &Guest) {
    guest.run(
        "modprobe -a virtio_blk crc32c_generic ext4
         for i in $(seq 100); do [ -e /dev/vda ] && break; sleep 0.1; done
         grep -q 'write back' /sys/block/vda/queue/write_cache || { echo 'this card has no cache'; exit 1; }
         mkdir -p /card && mount -t ext4 -o noatime /dev/vda /card",
    );
}
