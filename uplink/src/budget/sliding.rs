//! A sum over the last slots of time and the one that runs.

use core::time::Duration;
use std::collections::VecDeque;

/// Covers every interval of `slots` slots' length, wherever it begins: such an interval touches the running slot and at
/// most `slots` before it.
#[derive(Clone, Debug)]
pub(super) struct Sliding {
    slot: Duration,
    /// Time into the running slot, below `slot`.
    into: Duration,
    /// Oldest first; the last one runs. Always `slots + 1`.
    sums: VecDeque<u64>,
    /// All that was ever added by this value.
    total: u64,
}

impl Sliding {
    /// `sums` as they were kept, oldest first; missing ones are zero, and of too many the oldest are added up.
    pub(super) fn new(slot: Duration, slots: usize, sums: &[u64], into: Duration) -> Self {
        let mut kept: VecDeque<u64> = sums.iter().copied().collect();
        while kept.len() > slots + 1 {
            let oldest = kept.pop_front().unwrap_or_default();
            if let Some(next) = kept.front_mut() {
                *next = next.saturating_add(oldest);
            }
        }
        while kept.len() < slots + 1 {
            kept.push_front(0);
        }
        Self { slot, into: into.min(slot.saturating_sub(Duration::from_nanos(1))), sums: kept, total: 0 }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let into = self.into.saturating_add(time);
        let slots = into.as_nanos() / self.slot.as_nanos();
        for _ in 0..slots.min(self.sums.len() as u128) {
            self.sums.pop_front();
            self.sums.push_back(0);
        }
        self.into = Duration::from_nanos((into.as_nanos() % self.slot.as_nanos()) as u64);
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.put_back(bytes);
        self.total = self.total.saturating_add(bytes);
    }

    /// Takes bytes out, the newest first.
    pub(super) fn take_newest(&mut self, mut bytes: u64) {
        for sum in self.sums.iter_mut().rev() {
            let taken = bytes.min(*sum);
            *sum -= taken;
            bytes -= taken;
        }
    }

    /// Puts bytes that were taken out into the running slot.
    pub(super) fn put_back(&mut self, bytes: u64) {
        if let Some(running) = self.sums.back_mut() {
            *running = running.saturating_add(bytes);
        }
    }

    pub(super) fn spent(&self) -> u64 {
        self.sums.iter().fold(0, |sum, slot| sum.saturating_add(*slot))
    }

    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Time until the oldest slot is forgotten.
    pub(super) fn until_next(&self) -> Duration {
        self.slot.saturating_sub(self.into)
    }

    pub(super) const fn time_into_slot(&self) -> Duration {
        self.into
    }

    pub(super) fn into_sums(self) -> Vec<u64> {
        self.sums.into()
    }
}
