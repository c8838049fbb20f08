//! Log lines at a bounded rate: a broken vehicle sends the same mistake a thousand times a second.

use std::time::{Duration, Instant};

/// One line at most this often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one line through an interval and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    last: Option<Instant>,
    suppressed: u64,
}

impl Quiet {
    /// Whether to write a line at `now`; gives the number of lines that were kept back since the last one.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(core::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval_and_the_number_of_those_kept_back() {
        let mut quiet = Quiet::default();
        let start = Instant::now();
        assert_eq!(quiet.pass(start), Some(0));
        assert_eq!(quiet.pass(start + INTERVAL / 2), None);
        assert_eq!(quiet.pass(start + INTERVAL / 2), None);
        assert_eq!(quiet.pass(start + INTERVAL), Some(2));
        assert_eq!(quiet.pass(start + INTERVAL * 2), Some(0));
    }
}
