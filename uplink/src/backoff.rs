//! How long to wait before connecting again: doubling with a cap, and jittered so that a fleet does not come at once.

use core::time::Duration;

/// Delays between attempts. The caller brings the randomness, so that the sequence is pure.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// Delays grow from about `first` to about `cap`.
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, attempt: 0 }
    }

    /// The connection worked: start from the first delay next time.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    fn bound(&mut self) -> Duration {
        let bound = self.first.saturating_mul(1 << self.attempt.min(20)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        bound
    }

    /// The next delay: uniformly between nothing and the doubled bound ("full jitter"). `random` is uniform in `u32`.
    pub fn next(&mut self, random: u32) -> Duration {
        self.bound().mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// The next delay: uniformly in the upper half of the doubled bound ("equal jitter"), so that none is near nothing.
    pub fn next_half(&mut self, random: u32) -> Duration {
        self.bound().mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_to_the_cap_and_starts_over_after_success() {
        let seconds = |n| Duration::from_secs(n);
        let mut backoff = Backoff::new(seconds(1), seconds(60));
        let bounds: Vec<_> = (0..8).map(|_| backoff.next(u32::MAX).as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX), seconds(1));
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next_half(0), seconds(2));
        assert_eq!(backoff.next_half(u32::MAX), seconds(8));
        (0..8).for_each(|_| assert_eq!(backoff.next(0), Duration::ZERO));
        for _ in 0..100 {
            assert!(backoff.next(12345) <= seconds(60));
            assert!((seconds(30)..=seconds(60)).contains(&backoff.next_half(12345)));
        }
    }
}
