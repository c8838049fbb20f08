//! Notices that `CLOCK_REALTIME` was set, as soon as somebody looks: the kernel cancels a timer that would never fire.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Beyond every time that a clock is set to, seconds since 1970.
const NEVER_S: i64 = i64::MAX / 1_000_000_000;

/// See the module.
pub(super) struct Sets {
    /// Without one the next reading shows that the clock was set, a second later.
    timer: Option<OwnedFd>,
}

impl Sets {
    pub(super) fn watch() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags).ok();
        Self { timer: timer.filter(|timer| arm(timer).is_ok()) }
    }

    /// Whether the clock was set since this was asked last.
    pub(super) fn happened(&self) -> bool {
        let Some(timer) = &self.timer else { return false };
        // timerfd_create(2): a read of a canceled timer fails with ECANCELED, once.
        let happened = matches!(read(timer, &mut [0_u8; 8]), Err(Errno::CANCELED));
        if happened {
            // Where it was set once more meanwhile, that is said here, and the timer runs all the same.
            let _ = arm(timer);
        }
        happened
    }
}

fn arm(timer: &OwnedFd) -> rustix::io::Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let never = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: NEVER_S, ..zero } };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &never).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That it notices is shown by the bench's `guest_time`: it takes root to set a clock.
    #[test]
    fn a_clock_that_nobody_sets_was_not_set() {
        let sets = Sets::watch();
        assert!(sets.timer.is_some(), "this kernel has such timers");
        assert!(!sets.happened() && !sets.happened());
    }
}
