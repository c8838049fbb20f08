//! Requests that wait for their responses: a table of fixed size.

use can_decode::BootNanos;
use store::block::ClockSource;

use super::links::Links;
use super::record::Span;
use crate::record::Stamp;

/// When something was: on the bus, and here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) stamp: Stamp,
    pub(super) now: BootNanos,
}

impl Moment {
    /// Nanoseconds to `later`: by the stamps where they are of one clock that was not set back, else by the arrivals.
    pub(super) fn until(self, later: Self) -> u64 {
        let by_stamp = later.stamp.ns.saturating_sub(self.stamp.ns);
        if self.stamp.clock == later.stamp.clock && by_stamp >= 0 {
            return by_stamp as u64;
        }
        later.now.since(self.now).max(0) as u64
    }

    /// Nanoseconds that were waited at `at`. A recording's clock is that of its frames, however fast it is played; all
    /// others may be set, and the arrivals tell better how long nothing came.
    pub(super) fn waited(self, at: Self) -> i64 {
        match (self.stamp.clock, at.stamp.clock) {
            (ClockSource::Recorded, ClockSource::Recorded) => at.stamp.ns.saturating_sub(self.stamp.ns),
            (ClockSource::Recorded, _) => 0,
            _ => at.now.since(self.now),
        }
    }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// Which pair or conversation it is of.
    pub(super) course: u16,
    /// What its response repeats.
    pub(super) key: u64,
    /// As far as it is known.
    pub(super) span: Span,
    pub(super) asked: Moment,
    /// When its responder said something last: that it needs time, say.
    pub(super) heard: Moment,
    /// Whether no response is a good one.
    pub(super) is_quiet: bool,
}

/// The requests, in the order in which they were made.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    open: Vec<Open>,
    max: usize,
}

impl Waiting {
    /// Takes its memory at once.
    pub(super) fn new(max: usize) -> Self {
        Self { open: Vec::with_capacity(max), max }
    }

    /// Adds a request; the oldest one, if it has to give way.
    pub(super) fn insert(&mut self, open: &Open) -> Option<Open> {
        let displaced = (self.open.len() >= self.max && !self.open.is_empty()).then(|| self.open.remove(0));
        if self.open.len() < self.max {
            self.open.push(*open);
        }
        displaced
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn has(&self, course: u16, key: u64) -> bool {
        self.find(course, key).is_some()
    }

    pub(super) fn take_oldest(&mut self, course: u16, key: u64) -> Option<Open> {
        self.find(course, key).map(|at| self.open.remove(at))
    }

    /// The responder of the oldest such request has said that it needs time.
    pub(super) fn hear(&mut self, course: u16, key: u64, at: Moment) {
        if let Some(open) = self.find(course, key).and_then(|found| self.open.get_mut(found)) {
            open.heard = at;
        }
    }

    /// The contexts of all such requests.
    pub(super) fn contexts(&self, course: u16, key: u64) -> Links {
        let mut links = Links::NONE;
        let open = self.open.iter().filter(|open| (open.course, open.key) == (course, key));
        open.filter_map(|open| open.span.context()).for_each(|context| links.add(context));
        links
    }

    /// A request whose time was over at `at`; `timeout_ns` is that of a course.
    pub(super) fn take_overdue(&mut self, at: Moment, timeout_ns: impl Fn(u16) -> i64) -> Option<Open> {
        let is_overdue = |open: &Open| open.heard.waited(at) > timeout_ns(open.course);
        self.open.iter().position(is_overdue).map(|found| self.open.remove(found))
    }

    pub(super) fn take_any(&mut self) -> Option<Open> {
        (!self.open.is_empty()).then(|| self.open.remove(0))
    }

    fn find(&self, course: u16, key: u64) -> Option<usize> {
        self.open.iter().position(|open| (open.course, open.key) == (course, key))
    }
}
