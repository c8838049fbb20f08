//! Diagnostic requests and responses, and other ISO-TP messages with contexts.

use can_decode::isotp::{Channel, Channels, Counters, Direction, Endpoint, Event, Message, Reassembler};
use can_decode::trace::trailer::{self, Envelope};
use can_decode::trace::{TraceError, TraceFlags, payload};
use can_decode::uds::{Kind, Nrc, Pdu, Service};
use can_decode::{BootNanos, RealtimeNanos, TraceContext};

use super::exchanges::{Exchanges, Request, Response};
use super::links::Links;
use super::record::{ATTRIBUTES_MAX, Failure, Span, SpanKind, Status};
use super::settings::{BusSettings, Place, SettingsError};
use super::waiting::Moment;
use crate::record::{FrameRecord, Stamp};

/// Numbers of places with contexts: a message's is its index in the schema, which has fewer than these.
const PLACES_FROM: u32 = 1 << 31;

/// The ISO-TP messages of one bus.
#[derive(Debug)]
pub(super) struct Transport {
    reassembler: Reassembler,
    talks: Vec<Talk>,
}

/// One sender.
#[derive(Clone, Copy, Debug)]
struct Talk {
    sender: Endpoint,
    direction: Direction,
    course: u16,
    message: u32,
    context: Option<Place>,
}

impl Transport {
    /// `None` where the bus has no conversations; their courses begin at `first_course`.
    pub(super) fn new(
        bus: usize,
        settings: &BusSettings,
        first_course: usize,
    ) -> Result<Option<Self>, SettingsError> {
        let conversations = &settings.conversations;
        if conversations.is_empty() {
            return Ok(None);
        }
        let named: Vec<Channel> = conversations.iter().map(|conversation| conversation.channel).collect();
        let channels =
            Channels::new(&named, false).map_err(|error| SettingsError::Channels { bus, error })?;
        let mut talks = Vec::new();
        for (at, conversation) in conversations.iter().enumerate() {
            let course = u16::try_from(first_course + at)
                .map_err(|_| SettingsError::TooManyCourses(first_course + conversations.len()))?;
            let talk = |sender, direction| Talk {
                sender,
                direction,
                course,
                message: conversation.message as u32,
                context: conversation.context,
            };
            match conversation.channel {
                Channel::Pair { request, response } => {
                    talks.push(talk(request, Direction::Request));
                    talks.push(talk(response, Direction::Response));
                }
                Channel::Functional(request) => talks.push(talk(request, Direction::FunctionalRequest)),
            }
        }
        Ok(Some(Self { reassembler: Reassembler::new(channels, settings.transport), talks }))
    }

    /// Takes a frame of the bus.
    pub(super) fn take(
        &mut self,
        record: &FrameRecord,
        now: BootNanos,
        exchanges: &mut Exchanges,
        sink: &mut impl FnMut(&Span),
    ) {
        let talks = &self.talks;
        self.reassembler.push(RealtimeNanos(record.stamp.ns), &record.frame, |event| {
            if let Event::Message(message) = event
                && let Some(talk) = talks.iter().find(|talk| talk.sender == message.route.sender)
            {
                let heard = Heard { talk, talks, message: &message, record, now };
                heard.take(exchanges, sink);
            }
        });
    }
}

impl Transport {
    /// What was seen so far.
    pub(super) const fn counters(&self) -> &Counters {
        self.reassembler.counters()
    }

    /// Messages that began and wait for frames.
    pub(super) fn under_way(&self) -> usize {
        self.reassembler.under_way()
    }

    /// Gives up what is under way.
    pub(super) fn finish(&mut self) {
        self.reassembler.finish(|_| {});
    }
}

/// A message that was heard.
struct Heard<'a> {
    talk: &'a Talk,
    talks: &'a [Talk],
    message: &'a Message<'a>,
    record: &'a FrameRecord,
    now: BootNanos,
}

impl Heard<'_> {
    fn take(&self, exchanges: &mut Exchanges, sink: &mut impl FnMut(&Span)) {
        let (data, reading) = self.split();
        let place = PLACES_FROM | u32::from(self.record.bus.0) << 16 | u32::from(self.talk.course);
        let context = reading.and_then(|reading| exchanges.read(place, reading));
        let pdu = Pdu::read(self.talk.direction, data);
        let is_done = match (pdu.kind, pdu.service) {
            (Kind::Request, Some(service)) => {
                let request = Request {
                    course: self.talk.course,
                    key: service.0.into(),
                    context,
                    span: self.span(context, SpanKind::Diagnostic(service)),
                    asked: self.moment(self.message.started),
                    completed: self.moment(self.message.completed),
                    is_quiet: pdu.suppresses_response,
                };
                exchanges.open(&request, sink)
            }
            (Kind::Negative(Nrc::RESPONSE_PENDING), Some(service)) => {
                let at = self.moment(self.message.completed);
                exchanges.hear(self.course(service, exchanges), service.0.into(), at);
                false
            }
            (Kind::Positive, Some(service)) => self.answer(service, context, None, exchanges, sink),
            (Kind::Negative(nrc), Some(service)) => {
                self.answer(service, context, Some(Failure::Refused(nrc)), exchanges, sink)
            }
            _ => false,
        };
        if !is_done && context.is_some() {
            let duration_ns = self.moment(self.message.started).until(self.moment(self.message.completed));
            let span = Span { duration_ns, ..self.span(context, SpanKind::Message) };
            exchanges.tell(&span, sink);
        }
    }

    fn answer(
        &self,
        service: Service,
        context: Option<TraceContext>,
        failure: Option<Failure>,
        exchanges: &mut Exchanges,
        sink: &mut impl FnMut(&Span),
    ) -> bool {
        let response = Response {
            course: self.course(service, exchanges),
            key: service.0.into(),
            context,
            at: self.moment(self.message.completed),
            failure,
        };
        exchanges.answer(&response, sink)
    }

    /// The request that a response is to: one to this ECU, else one to all.
    fn course(&self, service: Service, exchanges: &Exchanges) -> u16 {
        let key = service.0.into();
        if exchanges.waits(self.talk.course, key) {
            return self.talk.course;
        }
        let functional = self.talks.iter().filter(|talk| talk.direction == Direction::FunctionalRequest);
        let mut courses = functional.map(|talk| talk.course);
        courses.find(|course| exchanges.waits(*course, key)).unwrap_or(self.talk.course)
    }

    /// The message without its context, and the context.
    fn split(&self) -> (&[u8], Option<Result<TraceContext, TraceError>>) {
        let data = self.message.data;
        match self.talk.context {
            None => (data, None),
            Some(Place::Offset(offset)) => (data, Some(payload::read(data, usize::from(offset)))),
            // Its end was not kept.
            Some(Place::Trailer) if self.message.is_truncated() => {
                (data, Some(Err(TraceError::Truncated(data.len()))))
            }
            Some(Place::Trailer) => trailer::split(data, Envelope::IsoTp(self.talk.sender.id)),
        }
    }

    /// Stamped by the clock of its last frame.
    fn moment(&self, time: RealtimeNanos) -> Moment {
        Moment { stamp: Stamp { ns: time.0, ..self.record.stamp }, now: self.now }
    }

    fn span(&self, context: Option<TraceContext>, kind: SpanKind) -> Span {
        Span {
            trace_id: context.map_or([0; 16], |context| context.trace_id),
            parent: context.map(|context| context.span_id),
            flags: context.map_or(TraceFlags::default(), |context| context.flags),
            start: self.moment(self.message.started).stamp,
            duration_ns: 0,
            bus: self.record.bus,
            id: self.talk.sender.id,
            message: self.talk.message,
            kind,
            status: Status::Unset,
            attributes: [None; ATTRIBUTES_MAX],
            sample: None,
            links: Links::NONE,
        }
    }
}
