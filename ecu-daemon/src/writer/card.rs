//! What the ring does to its card, and how often it may be written.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use store::ring::wear::{self, CardRating, WearMeter, WriteBudget};
use tracing::warn;

use crate::config::Store;
use crate::status::CardStatus;

/// The kernel's figures are read this often at most.
const LOOK_EVERY_NS: i64 = 1_000_000_000;

/// Watches what the calling thread writes: the one that owns the ring writes little else.
pub(super) struct CardWatch {
    commit_after: Duration,
    budget: Option<WriteBudget>,
    rating: Option<CardRating>,
    device: Option<Device>,
    ring: WearMeter,
    /// The same with what the whole device was given, whoever gave it.
    whole: WearMeter,
    /// Bytes of blocks committed since the last look.
    payload: u64,
    looked_ns: i64,
    /// Bytes written by this thread, and to the device, at the last look; `None` before the first one.
    written: Option<u64>,
    device_written: Option<u64>,
    sums: (u64, u64),
}

/// The block device that holds the ring.
struct Device {
    stat: PathBuf,
    life_time: PathBuf,
}

impl CardWatch {
    /// For the store as it is configured, and blocks that are sealed this often.
    pub(super) fn new(store: &Store, seal_after: Duration, now_boot_ns: i64) -> Self {
        let (commit_after, longest) = (store.commit_after, store.commit_after_max());
        let budget = store
            .budget
            .map(|budget| WriteBudget::new(budget.bytes_per_day, commit_after, longest, seal_after));
        if budget.is_some_and(|budget| !budget.is_effective()) {
            warn!(
                commit_after_max = ?longest,
                at_least = ?commit_after.saturating_add(seal_after),
                "write_budget changes nothing: a commit that waits for less than commit_after and seal_after together \
                 takes no more blocks"
            );
        }
        let folder = store.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let number = fs::metadata(folder.unwrap_or(Path::new("."))).map(|meta| meta.dev());
        let device = number.ok().and_then(|number| Device::find(Path::new("/sys"), number));
        Self {
            commit_after,
            budget,
            rating: store.card,
            device,
            ring: WearMeter::default(),
            whole: WearMeter::default(),
            payload: 0,
            looked_ns: now_boot_ns,
            written: None,
            device_written: None,
            sums: (0, 0),
        }
    }

    /// How long a sealed block may wait for its commit now.
    pub(super) fn commit_after(&self) -> Duration {
        self.budget.as_ref().map_or(self.commit_after, WriteBudget::interval)
    }

    /// So many bytes of blocks were committed.
    pub(super) const fn committed(&mut self, payload: u64) {
        self.payload += payload;
    }

    /// Looks at the kernel's figures, if it is time; then gives what is known now. To be called by the thread that writes.
    pub(super) fn look(&mut self, now_boot_ns: i64) -> Option<CardStatus> {
        let elapsed = now_boot_ns - self.looked_ns;
        if elapsed < LOOK_EVERY_NS && self.written.is_some() {
            return None;
        }
        let read = |path: &Path| fs::read_to_string(path).ok();
        let written = read(Path::new("/proc/thread-self/io")).and_then(|text| wear::written_by_thread(&text));
        let device = self.device.as_ref();
        let device_written =
            device.and_then(|device| read(&device.stat)).and_then(|text| wear::written_to_device(&text));
        let life_time =
            device.and_then(|device| read(&device.life_time)).and_then(|text| wear::life_time(&text));
        if let (Some(before), Some(now)) = (self.written, written) {
            let more = now.saturating_sub(before);
            self.ring.add(self.payload, more, elapsed);
            self.sums = (self.sums.0 + self.payload, self.sums.1 + more);
            if let Some(budget) = &mut self.budget {
                budget.note(more, elapsed);
            }
        }
        if let (Some(before), Some(now)) = (self.device_written, device_written) {
            self.whole.add(self.payload, now.saturating_sub(before), elapsed);
        }
        // Without a look before it, what was committed until now has nothing to be compared with.
        (self.payload, self.looked_ns) = (0, now_boot_ns);
        (self.written, self.device_written) = (written, device_written);
        let life = |meter: &WearMeter| {
            let days = self.rating?.life_days(meter.per_day()?)?;
            Some(days * 86_400.0)
        };
        Some(CardStatus {
            payload_bytes: self.sums.0,
            written_bytes: self.sums.1,
            amplification: self.ring.amplification(),
            per_day: self.ring.per_day(),
            device_written_bytes: device_written,
            device_per_day: self.whole.per_day(),
            life_seconds: life(&self.ring),
            device_life_seconds: life(&self.whole),
            life_time,
            commit_after: self.commit_after(),
        })
    }
}

impl Device {
    /// The disk with this device number, or the one whose partition has it. File systems without a device of their own
    /// have none.
    fn find(sys: &Path, number: u64) -> Option<Self> {
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let place = fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}"))).ok()?;
        let disk = if place.join("partition").exists() { place.parent()? } else { &place };
        Some(Self { stat: disk.join("stat"), life_time: disk.join("device/life_time") })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_partition_leads_to_its_disk() {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("devices/mmcblk0");
        fs::create_dir_all(disk.join("mmcblk0p2")).unwrap();
        fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        fs::write(disk.join("mmcblk0p2/partition"), "2\n").unwrap();
        symlink(&disk, sys.path().join("dev/block/179:0")).unwrap();
        symlink(disk.join("mmcblk0p2"), sys.path().join("dev/block/179:2")).unwrap();
        let disk = fs::canonicalize(disk).unwrap();
        for (minor, expected) in [(0, Some(&disk)), (2, Some(&disk)), (3, None)] {
            let found = Device::find(sys.path(), rustix::fs::makedev(179, minor));
            assert_eq!(found.map(|found| found.stat), expected.map(|disk| disk.join("stat")), "{minor}");
        }
    }

    #[test]
    fn what_this_thread_writes_is_counted_and_the_interval_stays_within_its_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[store]\npath = 'ring.db'\nwrite_budget = { bytes_per_day = '1 MiB', commit_after_max = '3s' }\n\
                    card = { tbw = '1 TiB' }";
        let (config, _) = crate::config::Config::parse("car.toml", text, folder.path()).unwrap();
        let mut watch = CardWatch::new(&config.store, Duration::from_secs(1), 0);
        let first = watch.look(0).unwrap();
        assert_eq!((first.written_bytes, first.commit_after), (0, Duration::from_secs(1)));
        assert_eq!(watch.look(LOOK_EVERY_NS - 1), None);
        let mut last = first;
        for minute in 1..10 {
            fs::write(folder.path().join("file"), [0; 10_000]).unwrap();
            watch.committed(1000);
            last = watch.look(minute * 60_000_000_000).unwrap();
        }
        assert_eq!(last.payload_bytes, 9_000);
        assert!(last.written_bytes >= 90_000 && last.amplification.unwrap() >= 10.0, "{last:?}");
        assert_eq!(last.commit_after, Duration::from_secs(3), "14 MB a day are above 1 MiB");
        // 1 TiB at 10 kB a minute: some 200 years.
        let years = last.life_seconds.unwrap() / (365.0 * 86_400.0);
        assert!((100.0..220.0).contains(&years), "{years}");
    }
}
