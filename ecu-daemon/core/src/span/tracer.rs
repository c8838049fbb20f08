//! Everything that makes spans, for all buses.

use can_decode::trace::classic::ClassicReader;
use can_decode::trace::{TraceError, TraceFlags, payload};
use can_decode::{BootNanos, Message, TraceContext};
use store::block::{SampleMark, SpanRecord, SpanStatus};

use super::books::{CarrierBooks, TraceBooks};
use super::exchanges::{Course, Exchanges, Request, Response};
use super::record::{Failure, Span, SpanKind};
use super::roles::{Role, Roles};
use super::sampling::Sampler;
use super::settings::{Answers, BusSettings, SENDERS_MAX, Settings, SettingsError, TARGETS_MAX};
use super::transport::Transport;
use super::waiting::Moment;
use crate::catalog::Catalog;
use crate::record::{FrameRecord, Stamp};

/// Makes spans. Allocates nothing after it was made.
#[derive(Debug)]
pub struct Tracer {
    roles: Roles,
    /// By bus.
    carriers: Vec<Option<Box<Carriers>>>,
    /// By bus, what engines before this one had counted.
    before: Vec<Option<CarrierBooks>>,
    exchanges: Exchanges,
    /// The last frame's stamp, where requests may wait: a recording's time goes on with its frames.
    last: Option<Stamp>,
    has_courses: bool,
    local_slow_ns: Option<u64>,
}

/// Contexts of one bus that are not in the frame itself.
#[derive(Debug)]
struct Carriers {
    classic: ClassicReader<SENDERS_MAX, TARGETS_MAX>,
    transport: Option<Transport>,
}

/// A frame that a table has decoded.
pub(crate) struct Decoded<'a> {
    pub(crate) record: &'a FrameRecord,
    /// Index in the schema.
    pub(crate) message: usize,
    /// The same, to read signals with.
    pub(crate) definition: &'a Message,
    /// The context that came for it in other frames.
    pub(crate) carried: Option<TraceContext>,
    /// Where its samples are.
    pub(crate) sample: Option<SampleMark>,
    pub(crate) now: BootNanos,
}

impl Tracer {
    /// For the messages of `catalog`.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn new(settings: &Settings, catalog: &Catalog) -> Result<Self, SettingsError> {
        let mut roles = Roles::of(catalog);
        let mut courses = roles.add(settings, catalog)?;
        let mut carriers = Vec::new();
        for (bus, bus_settings) in settings.buses.iter().enumerate() {
            let table = &catalog.buses().get(bus).ok_or(SettingsError::Bus(bus))?.table;
            let mut targets = bus_settings.classic.iter().map(|target| target.id);
            if let Some(id) = targets.find(|id| table.find(*id).is_none()) {
                return Err(SettingsError::Target { bus, id });
            }
            carriers.push(Carriers::new(bus, bus_settings, courses.len())?.map(Box::new));
            for conversation in &bus_settings.conversations {
                if conversation.message >= catalog.schema().messages.len() {
                    return Err(SettingsError::Message(conversation.message));
                }
                courses.push(Course { expectation: conversation.expectation, answers: Answers::Oldest });
            }
        }
        let sampler = Sampler::new(settings.sampling, catalog.buses().len());
        let has_courses = !courses.is_empty();
        let exchanges = Exchanges::new(courses, settings.waiting_max, sampler, settings.roots);
        Ok(Self {
            roles,
            carriers,
            before: Vec::new(),
            exchanges,
            last: None,
            has_courses,
            local_slow_ns: settings.local_slow_ns,
        })
    }

    /// Contexts where the database has them, and nothing else.
    pub(crate) fn plain(catalog: &Catalog) -> Self {
        let sampler = Sampler::new(Settings::default().sampling, catalog.buses().len());
        Self {
            roles: Roles::of(catalog),
            carriers: Vec::new(),
            before: Vec::new(),
            exchanges: Exchanges::new(Vec::new(), 0, sampler, None),
            last: None,
            has_courses: false,
            local_slow_ns: None,
        }
    }

    /// Takes every data frame of every bus, before it is decoded; the context that came for it in other frames.
    #[inline]
    pub(crate) fn carry(
        &mut self,
        record: &FrameRecord,
        now: BootNanos,
        sink: &mut impl FnMut(&Span),
    ) -> Option<TraceContext> {
        if self.has_courses {
            self.last = Some(record.stamp);
        }
        let carriers = self.carriers.get_mut(usize::from(record.bus.0))?.as_mut()?;
        if let Some(transport) = &mut carriers.transport {
            transport.take(record, now, &mut self.exchanges, sink);
        }
        carriers.classic.take(&record.frame, record.stamp.ns)
    }

    /// Takes a frame that was decoded; what is wrong with the context in it, if something is.
    #[inline]
    pub(crate) fn decoded(
        &mut self,
        frame: &Decoded<'_>,
        sink: &mut impl FnMut(&Span),
    ) -> Option<TraceError> {
        let role = self.roles.role(frame.message);
        if role.is_idle() && frame.carried.is_none() {
            return None;
        }
        self.traced(role, frame, sink)
    }

    fn traced(
        &mut self,
        role: Role,
        frame: &Decoded<'_>,
        sink: &mut impl FnMut(&Span),
    ) -> Option<TraceError> {
        let place = frame.message as u32;
        let reading = role.offset().map(|offset| payload::read(frame.record.frame.data(), offset));
        let error = reading.and_then(Result::err).filter(|error| *error != TraceError::Absent);
        let mut context = reading.and_then(|reading| self.exchanges.read(place, reading));
        if context.is_none()
            && let Some(carried) = frame.carried
        {
            context = self.exchanges.read(place, Ok(carried));
        }
        if !self.exchange(role, frame, context, sink)
            && let Some(context) = context
        {
            let record = frame.record;
            let mut span = Span::of(&context, record.stamp, record.bus, record.frame.id(), place);
            if let Some(part) = self.roles.part_of(role) {
                span.attributes = part.attributes(&part.values(frame.definition, &record.frame));
            }
            span.sample = frame.sample;
            self.exchanges.tell(&span, sink);
        }
        error
    }

    /// Ends the requests that the frame answers, and begins the one that it is; whether it had to do with any.
    fn exchange(
        &mut self,
        role: Role,
        frame: &Decoded<'_>,
        context: Option<TraceContext>,
        sink: &mut impl FnMut(&Span),
    ) -> bool {
        let Some(part) = self.roles.part_of(role) else { return false };
        if part.requests.is_empty() && part.responses.is_empty() {
            return false;
        }
        let record = frame.record;
        let values = part.values(frame.definition, &record.frame);
        let at = Moment { stamp: record.stamp, now: frame.now };
        self.exchanges.expire(at, sink);
        let mut is_done = false;
        for answering in &part.responses {
            let Some(key) = answering.key(&values) else {
                self.exchanges.count_unkeyed();
                continue;
            };
            let failure = answering.failure(&values).map(Failure::Reported);
            let response = Response { course: answering.course, key, context, at, failure };
            is_done |= self.exchanges.answer(&response, sink);
        }
        for asking in &part.requests {
            let Some(key) = asking.key(&values) else {
                self.exchanges.count_unkeyed();
                continue;
            };
            // Without a context the ids are given by the exchange.
            let nothing = TraceContext { trace_id: [0; 16], span_id: [0; 8], flags: TraceFlags::default() };
            let place = frame.message as u32;
            let frame_span =
                Span::of(&context.unwrap_or(nothing), record.stamp, record.bus, record.frame.id(), place);
            let attributes = part.attributes(&values);
            let span = Span { kind: SpanKind::Exchange, attributes, sample: frame.sample, ..frame_span };
            let course = asking.course;
            let request = Request { course, key, context, span, asked: at, completed: at, is_quiet: false };
            is_done |= self.exchanges.open(&request, sink);
        }
        is_done
    }

    /// Whether to keep a span that a local service has sent.
    pub(crate) fn keeps_local(&mut self, span: &SpanRecord) -> bool {
        let is_failed = matches!(span.status, SpanStatus::Error(_));
        let is_slow = self.local_slow_ns.is_some_and(|slow_ns| span.duration_ns >= slow_ns);
        self.exchanges.keeps_local(&span.trace_id, is_failed, is_slow)
    }

    /// Gives up requests that were not answered in time. To be called a few times a second.
    pub(crate) fn tick(&mut self, now: BootNanos, sink: &mut impl FnMut(&Span)) {
        if let Some(stamp) = self.last {
            self.exchanges.expire(Moment { stamp, now }, sink);
        }
    }

    /// Tells of the requests that wait, as frames whose end is not known.
    pub(crate) fn finish(&mut self, sink: &mut impl FnMut(&Span)) {
        self.exchanges.finish(sink);
        self.carriers
            .iter_mut()
            .flatten()
            .filter_map(|carriers| carriers.transport.as_mut())
            .for_each(Transport::finish);
    }

    /// Goes on with the books of another one, which has finished.
    pub(crate) fn go_on(&mut self, before: &Self) {
        self.exchanges.go_on(&before.books());
        let buses = before.carriers.len().max(before.before.len());
        self.before = (0..buses).map(|bus| before.carriers(bus).map(CarrierBooks::closed)).collect();
    }

    /// What became of contexts and spans.
    pub const fn books(&self) -> TraceBooks {
        self.exchanges.books()
    }

    /// What became of context frames and conversations of a bus; `None` where none are and were followed.
    pub fn carriers(&self, bus: usize) -> Option<CarrierBooks> {
        let own = self.carriers.get(bus).and_then(Option::as_ref).map(|carriers| carriers.books());
        let before = self.before.get(bus).copied().flatten();
        match (own, before) {
            (Some(own), Some(before)) => Some(own.after(&before)),
            (own, before) => own.or(before),
        }
    }

    /// Requests that wait for a response.
    pub fn waiting(&self) -> usize {
        self.exchanges.waiting()
    }
}

impl Carriers {
    fn new(bus: usize, settings: &BusSettings, first_course: usize) -> Result<Option<Self>, SettingsError> {
        if settings.classic.is_empty() && settings.conversations.is_empty() {
            return Ok(None);
        }
        let classic = ClassicReader::new(settings.classic.iter().copied(), settings.classic_limits)
            .map_err(|error| SettingsError::Classic { bus, error })?;
        Ok(Some(Self { classic, transport: Transport::new(bus, settings, first_course)? }))
    }

    fn books(&self) -> CarrierBooks {
        let transport = self.transport.as_ref();
        CarrierBooks {
            classic: *self.classic.counts(),
            under_way: self.classic.under_way(),
            waiting: self.classic.waiting(),
            transport: transport.map(|transport| *transport.counters()).unwrap_or_default(),
            transfers: transport.map_or(0, Transport::under_way),
        }
    }
}
