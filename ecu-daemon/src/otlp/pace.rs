//! How much comes in: records a second, over all services.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Tokens that time refills, one for each record.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl Pace {
    /// One second's worth may come at once.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, state: Mutex::new((per_second, now)) }
    }

    /// Whether a request may come in now. A request is taken as a whole or not at all, so that nobody has to halve one: the
    /// last one may go beyond the limit, and those after it wait the longer.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.1).as_secs_f64();
        *state = ((state.0 + passed * self.per_second).min(self.per_second), now.max(state.1));
        state.0 > 0.0
    }

    /// So many records came in.
    pub(super) fn count(&self, records: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 -= records as f64;
    }

    /// Whole seconds until the next request is admitted, at least one.
    pub(super) fn wait_seconds(&self) -> u64 {
        let tokens = self.state.lock().unwrap_or_else(PoisonError::into_inner).0;
        (-tokens / self.per_second).max(0.0) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_beyond_the_limit_makes_the_next_ones_wait() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let pace = Pace::new(10, start);
        assert!(pace.admits(at(0)));
        pace.count(9);
        assert!(pace.admits(at(0)));
        pace.count(31);
        assert!(!pace.admits(at(0)));
        assert_eq!(pace.wait_seconds(), 4);
        assert!(!pace.admits(at(2_900)));
        assert!(pace.admits(at(3_100)));
        // An hour fills no more than a second; a clock that stands still fills nothing.
        assert!(pace.admits(at(3_600_000)));
        pace.count(10);
        assert!(!pace.admits(at(3_600_000)));
    }
}
