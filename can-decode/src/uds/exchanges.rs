//! Which response belongs to which request, and how long it took.

mod pending;

use super::nrc::Nrc;
use super::pdu::{Kind, Pdu};
use super::service::Service;
use crate::isotp::{Direction, Endpoint, Message};
use crate::time::RealtimeNanos;
pub use pending::RequestHead;
use pending::{Fate, Request, Table};

/// What an observer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeLimits {
    /// Requests that wait for responses at the same time; 0 counts as 1. Beyond, the oldest is forgotten.
    pub requests: u16,
    /// Nanoseconds after a request, its last response or its last "response pending", until no more is expected.
    pub timeout_ns: i64,
}

impl Default for ExchangeLimits {
    /// 32 requests, and 10 s: twice the 5 s that ISO 14229-2 has for a response after "response pending" (`P2*`).
    fn default() -> Self {
        Self { requests: 32, timeout_ns: 10_000_000_000 }
    }
}

/// A message with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diagnostic<'a> {
    /// What it says.
    pub pdu: Pdu<'a>,
    /// Of a response whose request was seen: which one.
    pub answer: Option<Answer>,
}

/// How a response answers its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's first bytes.
    pub request: RequestHead,
    /// Whether the request went to all ECUs.
    pub functional: bool,
    /// Nanoseconds from the request's last frame to the response's first (`P2`; with "response pending" the sum of all
    /// waiting). `None` where the stamps run backwards.
    pub latency_ns: Option<u64>,
    /// How often the same ECU has said "response pending" to this request, this message included.
    pub pending: u16,
}

/// What was seen so far. Every request has one fate, or still waits: `requests` = `answered` + `unanswered` + `quiet` +
/// `repeated` + `displaced` + those that [`Exchanges::waiting`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeCounters {
    /// Requests, functional ones included.
    pub requests: u64,
    /// Positive responses.
    pub positive: u64,
    /// Negative responses, "response pending" aside.
    pub negative: u64,
    /// Times that an ECU asked for time ("response pending").
    pub pending: u64,
    /// Responses (of the three kinds above) to no request that was seen.
    pub unsolicited: u64,
    /// Messages that are neither request nor response.
    pub unrecognised: u64,
    /// Requests with a final response; functional ones with any.
    pub answered: u64,
    /// Requests without one in time.
    pub unanswered: u64,
    /// Requests that asked for no positive response, and got none.
    pub quiet: u64,
    /// Requests whose sender asked the same service again before there was a response.
    pub repeated: u64,
    /// Requests forgotten because too many waited.
    pub displaced: u64,
    /// ECUs that answered "response pending" to a functional request and nothing after it.
    pub unfinished: u64,
}

/// Brings the requests and responses of one bus together. Nothing is allocated after [`Self::new`].
#[derive(Debug)]
pub struct Exchanges {
    table: Table,
    counters: ExchangeCounters,
}

impl Exchanges {
    /// With nothing seen yet.
    pub fn new(limits: ExchangeLimits) -> Self {
        Self {
            table: Table::new(usize::from(limits.requests.max(1)), limits.timeout_ns),
            counters: ExchangeCounters::default(),
        }
    }

    /// Takes a message, in the order in which messages were completed.
    ///
    /// A response belongs to the request to the same ECU, else to the functional request (of the same identifier width),
    /// that asked for its service. A positive response with another sub-function, or with another identifier where the
    /// request had exactly one, is to another request.
    pub fn take<'a>(&mut self, message: &Message<'a>) -> Diagnostic<'a> {
        self.expire(message.started);
        let pdu = Pdu::read(message.route.direction, message.data);
        let answer = match (pdu.kind, pdu.service) {
            (Kind::Request, Some(service)) => {
                self.remember(message, &pdu, service);
                None
            }
            (Kind::Positive | Kind::Negative(_), Some(service)) => self.answer(message, &pdu, service),
            _ => {
                self.counters.unrecognised += 1;
                None
            }
        };
        Diagnostic { pdu, answer }
    }

    /// Gives up the requests that nobody has answered in time at `time`; [`Self::take`] does so by itself.
    pub fn expire(&mut self, time: RealtimeNanos) {
        let counters = &mut self.counters;
        self.table.expire(time, |request| count(counters, request, Fate::Unanswered));
    }

    /// What was seen so far.
    pub const fn counters(&self) -> &ExchangeCounters {
        &self.counters
    }

    /// Requests that may still get a response.
    pub fn waiting(&self) -> usize {
        self.table.iter().filter(|request| !request.of_functional).count()
    }

    fn remember(&mut self, message: &Message<'_>, pdu: &Pdu<'_>, service: Service) {
        self.counters.requests += 1;
        self.insert(Request {
            sender: message.route.sender,
            functional: message.route.direction == Direction::FunctionalRequest,
            of_functional: false,
            service,
            sub_function: pdu.sub_function,
            identifier: pdu.sole_identifier(),
            quiet: pdu.suppresses_response,
            sent: message.completed,
            last: message.completed,
            answers: 0,
            pending: 0,
            head: RequestHead::new(message.data),
        });
    }

    fn insert(&mut self, request: Request) {
        let counters = &mut self.counters;
        self.table.insert(request, |left, fate| count(counters, left, fate));
    }

    fn answer(&mut self, message: &Message<'_>, pdu: &Pdu<'_>, service: Service) -> Option<Answer> {
        let is_pending = pdu.kind == Kind::Negative(Nrc::RESPONSE_PENDING);
        match pdu.kind {
            Kind::Positive => self.counters.positive += 1,
            _ if is_pending => self.counters.pending += 1,
            _ => self.counters.negative += 1,
        }
        let partner = message.route.partner;
        let found = partner.and_then(|partner| self.table.find(partner, message.route.sender, pdu, service));
        let Some((at, partner)) = found.zip(partner) else {
            self.counters.unsolicited += 1;
            return None;
        };
        let request = self.table.get_mut(at)?;
        request.answers = request.answers.saturating_add(1);
        request.last = message.completed;
        request.pending = request.pending.saturating_add(u16::from(is_pending && !request.functional));
        let answered = *request;
        let answer = Answer {
            request: answered.head,
            functional: answered.functional || answered.of_functional,
            latency_ns: u64::try_from(message.started.since(answered.sent)).ok(),
            pending: if is_pending { answered.pending.max(1) } else { answered.pending },
        };
        if answered.functional {
            if is_pending {
                self.expect_more(answered, partner);
            }
        } else if !is_pending && let Some(request) = self.table.remove(at) {
            count(&mut self.counters, &request, Fate::Answered);
        }
        Some(answer)
    }

    /// One of the ECUs that a functional request reached wants time. It alone is waited for under its own address, so
    /// that the others' responses are not taken for its.
    fn expect_more(&mut self, functional: Request, ecu: Endpoint) {
        self.insert(Request {
            sender: ecu,
            functional: false,
            of_functional: true,
            pending: 1,
            ..functional
        });
    }
}

/// Books what became of a request.
fn count(counters: &mut ExchangeCounters, request: &Request, fate: Fate) {
    if request.of_functional {
        counters.unfinished += u64::from(fate != Fate::Answered);
        return;
    }
    // "Response pending" alone answers a request to one ECU not at all, and one to all ECUs for now.
    let answered = fate == Fate::Answered || request.functional && request.answers > 0;
    let counter = match fate {
        _ if answered => &mut counters.answered,
        _ if request.quiet && request.answers == 0 => &mut counters.quiet,
        Fate::Repeated => &mut counters.repeated,
        Fate::Displaced => &mut counters.displaced,
        Fate::Answered | Fate::Unanswered => &mut counters.unanswered,
    };
    *counter += 1;
}

#[cfg(test)]
mod tests;
