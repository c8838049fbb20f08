//! The edge that reads clocks; everything behind it takes time as an argument.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use can_decode::{BootNanos, RealtimeNanos};
use rustix::time::{ClockId, clock_gettime};
use store::block::BootId;

/// `CLOCK_BOOTTIME` now.
pub fn boot() -> BootNanos {
    let now = clock_gettime(ClockId::Boottime);
    BootNanos::from_timespec(now.tv_sec, now.tv_nsec)
}

/// `CLOCK_REALTIME` now.
pub fn realtime() -> RealtimeNanos {
    let now = clock_gettime(ClockId::Realtime);
    RealtimeNanos::from_timespec(now.tv_sec, now.tv_nsec)
}

/// How long this process has been running (proc(5), stat, `starttime`), to a hundredth of a second; `None` where /proc
/// does not tell.
pub fn running() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field may have blanks and brackets in it.
    let ticks: i128 = text.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let started = ticks * 1_000_000_000 / i128::from(rustix::param::clock_ticks_per_second());
    u64::try_from(i128::from(boot().0) - started).ok().map(Duration::from_nanos)
}

/// The kernel's name for this boot.
///
/// # Errors
/// When /proc is not mounted or does not hold one.
pub fn boot_id() -> io::Result<BootId> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(FILE)
        .map_err(|error| io::Error::new(error.kind(), format!("{FILE}: {error}")))?;
    BootId::from_str(text.trim())
        .map_err(|()| io::Error::other(format!("{FILE} holds {:?}, not a boot id", text.trim())))
}

/// A number that differs from process to process and from call to call: for jitter and for ids, not for secrets.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Each RandomState is keyed by the system's randomness and a counter.
    RandomState::new().hash_one(boot().0)
}

/// The same with 32 bits.
pub fn jitter() -> u32 {
    random() as u32
}
