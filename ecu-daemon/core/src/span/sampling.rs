//! Which spans are kept.

use can_decode::trace::Threshold;

use super::record::{Span, Status};

const NANOS: u64 = 1_000_000_000;

/// What is kept of spans that are neither failed nor slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sampling {
    /// By trace id: the default keeps all.
    pub ratio: Threshold,
    /// Spans a second at most, for each bus by the stamps of its frames; `None`: all. Up to one second's worth may come at
    /// once.
    pub spans_per_second: Option<u32>,
}

/// Every span is in one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingBooks {
    /// Kept as ordinary ones.
    pub kept: u64,
    /// Kept because they failed, whatever flag, ratio and limit say. There is one at most for each request, so that they
    /// are bounded by what the bus carries.
    pub kept_failed: u64,
    /// Kept because they took longer than the configuration allows, likewise.
    pub kept_slow: u64,
    /// Left out: their sender did not sample them.
    pub unsampled: u64,
    /// Left out by ratio.
    pub by_ratio: u64,
    /// Left out by the limit.
    pub by_limit: u64,
}

impl SamplingBooks {
    /// Spans that were kept.
    pub const fn kept_all(&self) -> u64 {
        self.kept + self.kept_failed + self.kept_slow
    }
}

/// Decides.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    /// By bus.
    buckets: Vec<Bucket>,
    pub(super) books: SamplingBooks,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling, buses: usize) -> Self {
        let bucket = Bucket { last: None, tokens: 0 };
        Self { sampling, buckets: vec![bucket; buses], books: SamplingBooks::default() }
    }

    /// Whether to keep a span that has ended.
    pub(super) fn keeps(&mut self, span: &Span, is_slow: bool) -> bool {
        let is_failed = matches!(span.status, Status::Error(_));
        let books = &mut self.books;
        let (counter, keeps) = if is_failed {
            (&mut books.kept_failed, true)
        } else if is_slow {
            (&mut books.kept_slow, true)
        } else if !span.flags.sampled() {
            (&mut books.unsampled, false)
        } else if !self.sampling.ratio.keeps(&span.trace_id) {
            (&mut books.by_ratio, false)
        } else if self.sampling.spans_per_second.is_some_and(|rate| {
            !self.buckets.get_mut(usize::from(span.bus.0)).is_some_and(|bucket| bucket.take(span, rate))
        }) {
            (&mut books.by_limit, false)
        } else {
            (&mut books.kept, true)
        };
        *counter += 1;
        keeps
    }

    /// Whether to keep a span of a local service, which has sampled it, and whose spans have a limit of their own.
    pub(super) fn keeps_local(&mut self, trace_id: &[u8; 16], is_failed: bool, is_slow: bool) -> bool {
        let books = &mut self.books;
        let (counter, keeps) = if is_failed {
            (&mut books.kept_failed, true)
        } else if is_slow {
            (&mut books.kept_slow, true)
        } else if self.sampling.ratio.keeps(trace_id) {
            (&mut books.kept, true)
        } else {
            (&mut books.by_ratio, false)
        };
        *counter += 1;
        keeps
    }
}

/// Tokens that time refills. One bus has one of its own: a bus that babbles takes nothing from the others, and the stamps
/// of one are of one clock.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    last: Option<crate::record::Stamp>,
    /// In billionths, so that a nanosecond's share is a whole number.
    tokens: u64,
}

impl Bucket {
    fn take(&mut self, span: &Span, rate: u32) -> bool {
        let full = u64::from(rate) * NANOS;
        match self.last {
            None => self.tokens = full,
            // Spans end out of order, and clocks are set: what does not move on fills nothing.
            Some(last) if last.clock == span.start.clock => {
                let passed = span.start.ns.saturating_sub(last.ns).clamp(0, NANOS as i64) as u64;
                self.tokens = self.tokens.saturating_add(passed * u64::from(rate)).min(full);
            }
            Some(_) => {}
        }
        // After a step back the time that had passed before does not count again, but what follows does.
        let is_ahead = |last: crate::record::Stamp| {
            last.clock == span.start.clock
                && (1..=NANOS as i64).contains(&last.ns.saturating_sub(span.start.ns))
        };
        if !self.last.is_some_and(is_ahead) {
            self.last = Some(span.start);
        }
        match self.tokens.checked_sub(NANOS) {
            Some(rest) => {
                self.tokens = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use can_decode::trace::TraceFlags;
    use can_decode::{CanId, TraceContext};
    use store::block::ClockSource;

    use super::super::record::Failure;
    use super::*;
    use crate::record::{BusIndex, Stamp};

    const MS: i64 = 1_000_000;

    fn span(ns: i64, bus: u16, flags: u8) -> Span {
        let context = TraceContext::new([0x7F; 16], [1; 8], TraceFlags(flags)).unwrap();
        let stamp = Stamp { ns, clock: ClockSource::Hardware };
        Span::of(&context, stamp, BusIndex(bus), CanId::Standard(1), 0)
    }

    fn sampler(ratio: f64, spans_per_second: Option<u32>) -> Sampler {
        Sampler::new(Sampling { ratio: Threshold::from_ratio(ratio).unwrap(), spans_per_second }, 2)
    }

    #[test]
    fn failed_and_slow_ones_are_kept_whatever_the_rest_says() {
        let failed = |span| Span { status: Status::Error(Failure::NoResponse), ..span };
        let mut strict = sampler(0.0, Some(0));
        assert!(strict.keeps(&failed(span(0, 0, 0)), false));
        assert!(strict.keeps(&failed(span(0, 0, 1)), true));
        assert!(strict.keeps(&span(0, 0, 0), true));
        assert!(!strict.keeps(&span(0, 0, 0), false));
        assert!(!strict.keeps(&span(0, 0, 1), false));
        let mut none = sampler(1.0, Some(0));
        assert!(!none.keeps(&span(0, 0, 1), false));
        assert!(!none.keeps(&span(0, 7, 1), false), "a bus that is not there has no tokens");
        let books = strict.books;
        let expected = SamplingBooks { kept_failed: 2, kept_slow: 1, unsampled: 1, by_ratio: 1, ..books };
        assert_eq!((books, books.kept_all()), (expected, 3));
        assert_eq!(none.books.by_limit, 2);
    }

    #[test]
    fn the_ratio_goes_by_the_trace_id() {
        // The random part is 0x7F7F…: kept from a little over a half on.
        for (ratio, keeps) in [(0.5, false), (0.51, true), (1.0, true)] {
            assert_eq!(sampler(ratio, None).keeps(&span(0, 0, 1), false), keeps, "{ratio}");
            let root = Span { parent: None, ..span(0, 0, 1) };
            assert_eq!(sampler(ratio, None).keeps(&root, false), keeps, "{ratio}, a trace that begins here");
        }
    }

    #[test]
    fn spans_of_local_services_are_kept_with_those_of_their_traces() {
        let mut sampler = sampler(0.5, Some(0));
        let mut keeps = |byte, is_failed, is_slow| sampler.keeps_local(&[byte; 16], is_failed, is_slow);
        assert!(keeps(0x80, false, false) && !keeps(0x7F, false, false));
        assert!(keeps(0x7F, true, false) && keeps(0x7F, false, true));
        let books = sampler.books;
        let expected = SamplingBooks { kept: 1, kept_failed: 1, kept_slow: 1, by_ratio: 1, ..books };
        assert_eq!((books, books.by_limit, books.unsampled), (expected, 0, 0));
    }

    #[test]
    fn the_limit_goes_by_the_stamps_of_each_bus() {
        let mut sampler = sampler(1.0, Some(10));
        let mut kept = |times: &mut dyn Iterator<Item = i64>, bus| {
            times.filter(|ns| sampler.keeps(&span(*ns, bus, 1), false)).count()
        };
        assert_eq!(kept(&mut (0..100).map(|_| 0), 0), 10, "one second's worth at once");
        assert_eq!(kept(&mut (0..1000).map(|ms| ms * MS), 0), 9, "then ten a second");
        assert_eq!(kept(&mut (0..100).map(|_| 0), 1), 10, "the other bus has its own");
        assert_eq!(kept(&mut (0..100).map(|_| 3_600_000 * MS), 0), 10, "an hour fills no more than a second");
        assert_eq!(kept(&mut (0..100).map(|_| 0), 0), 0, "a clock that is set back fills nothing");
        assert_eq!(kept(&mut (1..=1000).map(|ms| ms * MS), 0), 10, "and goes on from there");
        // Times that swing between two moments do not fill again what they have filled.
        assert_eq!(kept(&mut (0..1000).map(|at| 1000 * MS + at % 2 * 500 * MS), 0), 5);
    }
}
