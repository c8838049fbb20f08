//! The ring's own time: how long the vehicle's computer has been on since the file was made.
//!
//! Wall clocks jump, and a boot's clock begins at 0. What counts is `CLOCK_BOOTTIME`, added up over boots: it never goes
//! back, and a block's age is the same before and after a restart. The time between two boots does not count.

use crate::block::BootId;

/// How far the clock in the file may lag behind: so much is lost of a boot that ends with a power cut.
const PERSIST_EVERY_NS: i64 = 10_000_000_000;

/// `CLOCK_BOOTTIME` of all boots, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunClock {
    /// Which boot [`Self::boot_ns`] is of; `None` until somebody said so.
    pub boot: Option<BootId>,
    /// Nanoseconds of the boots before.
    pub base_ns: i64,
    /// The latest `CLOCK_BOOTTIME` heard of, nanoseconds.
    pub boot_ns: i64,
}

impl RunClock {
    /// Says which boot this is, at `now_boot_ns` of it.
    pub fn begin(&mut self, boot: BootId, now_boot_ns: i64) {
        if self.boot != Some(boot) {
            self.base_ns = self.now_ns();
            self.boot_ns = 0;
            self.boot = Some(boot);
        }
        self.advance(now_boot_ns);
    }

    /// Takes note of the time; one that lies back changes nothing.
    pub fn advance(&mut self, now_boot_ns: i64) {
        self.boot_ns = self.boot_ns.max(now_boot_ns);
    }

    /// The ring's time, nanoseconds.
    pub const fn now_ns(&self) -> i64 {
        self.base_ns.saturating_add(self.boot_ns)
    }

    /// A time of this boot as the ring's time.
    pub const fn at(&self, boot_ns: i64) -> i64 {
        self.base_ns.saturating_add(boot_ns)
    }

    /// Whether the file should hear of this, given what it knows.
    pub fn is_due(&self, persisted: &Self) -> bool {
        self.boot != persisted.boot
            || self.base_ns != persisted.base_ns
            || self.boot_ns - persisted.boot_ns >= PERSIST_EVERY_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BootId = BootId([1; 16]);
    const B: BootId = BootId([2; 16]);

    #[test]
    fn boots_add_up_and_time_never_goes_back() {
        let mut clock = RunClock::default();
        // (boot, CLOCK_BOOTTIME) and the ring's time after it.
        for (boot, at, expected) in
            [(A, 5, 5), (A, 100, 100), (A, 40, 100), (B, 7, 107), (B, 9, 109), (A, 1, 110), (A, -5, 110)]
        {
            clock.begin(boot, at);
            assert_eq!(clock.now_ns(), expected, "{boot} {at}");
        }
    }

    #[test]
    fn the_file_hears_of_a_new_boot_at_once_and_of_time_now_and_then() {
        let mut clock = RunClock::default();
        clock.begin(A, 1);
        assert!(clock.is_due(&RunClock::default()));
        let known = clock;
        clock.advance(PERSIST_EVERY_NS);
        assert!(!clock.is_due(&known));
        clock.advance(PERSIST_EVERY_NS + 1);
        assert!(clock.is_due(&known));
    }
}
