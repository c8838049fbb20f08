//! From requests and responses to spans.

use can_decode::TraceContext;
use can_decode::trace::{ContextCounts, Recent, SpanIds, TraceError, TraceFlags};

use super::books::{SpanBooks, TraceBooks};
use super::links::Links;
use super::record::{Failure, Span, Status};
use super::sampling::Sampler;
use super::settings::{Answers, Expectation};
use super::waiting::{Moment, Open, Waiting};

/// 8 KiB: the last thousand contexts or so are known again.
const RECENT_BUCKETS: usize = 256;

/// A pair or a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub(super) expectation: Expectation,
    pub(super) answers: Answers,
}

/// A request as it comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) course: u16,
    pub(super) key: u64,
    /// Its trace is left out of `span` where there is no `context`.
    pub(super) context: Option<TraceContext>,
    /// With everything else that is known at its beginning.
    pub(super) span: Span,
    pub(super) asked: Moment,
    pub(super) completed: Moment,
    pub(super) is_quiet: bool,
}

/// A response as it comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response {
    pub(super) course: u16,
    pub(super) key: u64,
    pub(super) context: Option<TraceContext>,
    pub(super) at: Moment,
    pub(super) failure: Option<Failure>,
}

/// Requests that wait, and what is decided at their end.
#[derive(Debug)]
pub(super) struct Exchanges {
    courses: Vec<Course>,
    waiting: Waiting,
    sampler: Sampler,
    recent: Box<Recent<RECENT_BUCKETS>>,
    roots: Option<SpanIds>,
    contexts: ContextCounts,
    spans: SpanBooks,
}

impl Exchanges {
    pub(super) fn new(courses: Vec<Course>, waiting_max: u16, sampler: Sampler, roots: Option<u64>) -> Self {
        // Without courses nothing waits.
        let waiting_max = if courses.is_empty() { 0 } else { usize::from(waiting_max.max(1)) };
        Self {
            courses,
            waiting: Waiting::new(waiting_max),
            sampler,
            recent: Box::default(),
            roots: roots.map(SpanIds::new),
            contexts: ContextCounts::default(),
            spans: SpanBooks::default(),
        }
    }

    pub(super) const fn books(&self) -> TraceBooks {
        TraceBooks { contexts: self.contexts, spans: self.spans, sampling: self.sampler.books }
    }

    pub(super) fn go_on(&mut self, books: &TraceBooks) {
        (self.contexts, self.spans, self.sampler.books) = (books.contexts, books.spans, books.sampling);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Books a reading of the place that the number stands for; the context, if it can be used.
    #[inline]
    pub(super) fn read(
        &mut self,
        place: u32,
        reading: Result<TraceContext, TraceError>,
    ) -> Option<TraceContext> {
        if let Ok(context) = &reading
            && !self.recent.is_new(place, context)
        {
            self.contexts.repeated += 1;
            return None;
        }
        self.contexts.count(&reading);
        reading.ok()
    }

    /// Tells of a span that is no exchange.
    pub(super) fn tell(&mut self, span: &Span, sink: &mut impl FnMut(&Span)) {
        if self.sampler.keeps(span, false) {
            sink(span);
        }
    }

    /// Whether to keep a span of a local service.
    pub(super) fn keeps_local(&mut self, trace_id: &[u8; 16], is_failed: bool, is_slow: bool) -> bool {
        self.sampler.keeps_local(trace_id, is_failed, is_slow)
    }

    /// Waits for the response to `request`; whether it does.
    pub(super) fn open(&mut self, request: &Request, sink: &mut impl FnMut(&Span)) -> bool {
        let mut span = request.span;
        match (request.context, &mut self.roots) {
            (Some(context), _) => {
                span.trace_id = context.trace_id;
                span.parent = Some(context.span_id);
                span.flags = context.flags;
            }
            (None, Some(ids)) => {
                span.trace_id[..8].copy_from_slice(&ids.next_id());
                span.trace_id[8..].copy_from_slice(&ids.next_id());
                span.parent = None;
                span.flags = TraceFlags(TraceFlags::SAMPLED.0 | TraceFlags::RANDOM.0);
            }
            (None, None) => {}
        }
        self.spans.untraced += u64::from(request.context.is_none());
        if request.context.is_none() && self.roots.is_none() {
            return false;
        }
        self.spans.opened += 1;
        let Request { course, key, asked, completed, is_quiet, .. } = *request;
        let displaced = self.waiting.insert(&Open { course, key, span, asked, heard: completed, is_quiet });
        if let Some(open) = displaced {
            self.spans.displaced += 1;
            self.tell(&open.span, sink);
        }
        true
    }

    /// A request or response is cut off before its key.
    pub(super) const fn count_unkeyed(&mut self) {
        self.spans.unkeyed += 1;
    }

    /// Whether a request waits for such a response.
    pub(super) fn waits(&self, course: u16, key: u64) -> bool {
        self.waiting.has(course, key)
    }

    /// The responder needs time.
    pub(super) fn hear(&mut self, course: u16, key: u64, at: Moment) {
        self.waiting.hear(course, key, at);
    }

    /// Ends the requests that `response` answers; whether there were any.
    pub(super) fn answer(&mut self, response: &Response, sink: &mut impl FnMut(&Span)) -> bool {
        let Response { course, key, at, .. } = *response;
        let Some(Course { expectation, answers }) = self.courses.get(usize::from(course)).copied() else {
            return false;
        };
        let others = match answers {
            Answers::Oldest => Links::NONE,
            Answers::All => self.waiting.contexts(course, key),
        };
        let mut is_first = true;
        while let Some(open) = self.waiting.take_oldest(course, key) {
            is_first = false;
            self.spans.answered += 1;
            let mut span = Span {
                duration_ns: open.asked.until(at),
                status: response.failure.map_or(Status::Ok, Status::Error),
                ..open.span
            };
            let own = span.context();
            let is_other = |context: &&TraceContext| Some(**context) != own;
            response
                .context
                .iter()
                .chain(others.iter())
                .filter(is_other)
                .for_each(|context| span.links.add(*context));
            span.links.cut = span.links.cut.saturating_add(others.cut);
            self.spans.links_cut += u64::from(span.links.cut);
            let is_slow = expectation.slow_ns.is_some_and(|slow_ns| span.duration_ns >= slow_ns);
            if self.sampler.keeps(&span, is_slow) {
                sink(&span);
            }
            if answers == Answers::Oldest {
                break;
            }
        }
        self.spans.unsolicited += u64::from(is_first);
        !is_first
    }

    /// Ends the requests whose time was over at `at`.
    pub(super) fn expire(&mut self, at: Moment, sink: &mut impl FnMut(&Span)) {
        if self.waiting.is_empty() {
            return;
        }
        let courses = &self.courses;
        let timeout_ns =
            |course: u16| courses.get(usize::from(course)).map_or(0, |course| course.expectation.timeout_ns);
        while let Some(open) = self.waiting.take_overdue(at, timeout_ns) {
            let mut span = open.span;
            if open.is_quiet {
                self.spans.quiet += 1;
            } else {
                self.spans.unanswered += 1;
                span.status = Status::Error(Failure::NoResponse);
                // On a bus that is silent the last stamp may be the request's own.
                span.duration_ns = open.asked.until(at).max(open.asked.waited(at).max(0) as u64);
            }
            if self.sampler.keeps(&span, false) {
                sink(&span);
            }
        }
    }

    /// Tells of the requests that wait as far as they are known.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(&Span)) {
        while let Some(open) = self.waiting.take_any() {
            self.spans.ended += 1;
            self.tell(&open.span, sink);
        }
    }
}
