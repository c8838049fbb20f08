//! Says when a clock's bound passes its limit, once each way, and adds up the time without truth.

use can_decode::BootNanos;

/// What a bus's clock must keep to where nothing else is configured: what production cars tolerate.
pub const LIMIT_NS: u64 = 50_000;
/// Back within the limit it must be by this part of it, so that a bound that hovers there is reported once.
const BACK_PERCENT: u64 = 80;

/// Something to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundNotice {
    /// The clock may be further off than its limit; by so many nanoseconds, or by any amount: it is not synchronised.
    Exceeded(Option<u64>),
    /// It is back within the limit, after so many nanoseconds.
    Kept(i64),
}

/// Watches the bound of one clock.
#[derive(Clone, Copy, Debug)]
pub struct BoundWatch {
    limit_ns: u64,
    exceeded_at: Option<BootNanos>,
    last: Option<(BootNanos, bool)>,
    unsynchronised_ns: i64,
}

impl BoundWatch {
    /// With a limit in nanoseconds; see [`LIMIT_NS`].
    pub const fn new(limit_ns: u64) -> Self {
        Self { limit_ns, exceeded_at: None, last: None, unsynchronised_ns: 0 }
    }

    /// Takes the bound at `now`; `None` when the clock is not synchronised.
    pub fn observe(&mut self, now: BootNanos, error_ns: Option<u64>) -> Option<BoundNotice> {
        if let Some((before, was_synchronised)) = self.last.replace((now, error_ns.is_some()))
            && !was_synchronised
        {
            self.unsynchronised_ns = self.unsynchronised_ns.saturating_add(now.since(before).max(0));
        }
        match self.exceeded_at {
            None if error_ns.is_none_or(|error_ns| error_ns > self.limit_ns) => {
                self.exceeded_at = Some(now);
                Some(BoundNotice::Exceeded(error_ns))
            }
            Some(since)
                if error_ns.is_some_and(|ns| ns <= self.limit_ns.saturating_mul(BACK_PERCENT) / 100) =>
            {
                self.exceeded_at = None;
                Some(BoundNotice::Kept(now.since(since)))
            }
            _ => None,
        }
    }

    /// How long the clock has not been synchronised, nanoseconds, all in all.
    pub const fn unsynchronised_ns(&self) -> i64 {
        self.unsynchronised_ns
    }

    /// Whether the bound is beyond the limit.
    pub const fn is_exceeded(&self) -> bool {
        self.exceeded_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_passing_of_the_limit_is_told_once() {
        let mut watch = BoundWatch::new(100);
        let mut told = |at, error_ns| watch.observe(BootNanos(at), error_ns);
        assert_eq!(told(0, None), Some(BoundNotice::Exceeded(None)));
        assert_eq!(told(10, None), None);
        assert_eq!(told(20, Some(90)), None, "not back by enough");
        assert_eq!(told(30, Some(80)), Some(BoundNotice::Kept(30)));
        assert_eq!(told(40, Some(100)), None);
        assert_eq!(told(50, Some(101)), Some(BoundNotice::Exceeded(Some(101))));
        assert_eq!(told(60, None), None);
        assert_eq!(told(75, Some(10)), Some(BoundNotice::Kept(25)));
        assert_eq!((watch.unsynchronised_ns(), watch.is_exceeded()), (20 + 15, false));
    }
}
