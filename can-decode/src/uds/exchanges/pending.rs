//! Requests that wait for responses: a table of fixed size.

use alloc::boxed::Box;
use alloc::vec;

use crate::isotp::Endpoint;
use crate::time::RealtimeNanos;
use crate::uds::{Pdu, Service};

/// The first bytes of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl RequestHead {
    /// As many as are kept.
    pub const BYTES_MAX: usize = 16;

    pub(super) fn new(request: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        let len = request.len().min(Self::BYTES_MAX);
        bytes[..len].copy_from_slice(&request[..len]);
        Self { bytes, len: len as u8 }
    }

    /// The bytes: the whole request when there are fewer than [`Self::BYTES_MAX`].
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    Unanswered,
    Repeated,
    Displaced,
}

/// A request, and what came back so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) sender: Endpoint,
    pub(super) functional: bool,
    /// Stands for one ECU that said "response pending" to a functional request.
    pub(super) of_functional: bool,
    pub(super) service: Service,
    pub(super) sub_function: Option<u8>,
    /// Of a request with exactly one.
    pub(super) identifier: Option<u16>,
    /// Whether no positive response is wanted.
    pub(super) quiet: bool,
    /// Stamp of its last frame.
    pub(super) sent: RealtimeNanos,
    /// Stamp of the last message that belongs to it.
    pub(super) last: RealtimeNanos,
    pub(super) answers: u32,
    pub(super) pending: u16,
    pub(super) head: RequestHead,
}

impl Request {
    /// Whether the response `pdu` of `service` can be to this request. A negative one names the service only, and some
    /// of KWP2000's positive ones repeat nothing of the request: what counts is a contradiction.
    fn fits(&self, pdu: &Pdu<'_>, service: Service) -> bool {
        let contradicts =
            |asked: Option<u16>, got: Option<u16>| asked.zip(got).is_some_and(|(asked, got)| asked != got);
        self.service == service
            && !contradicts(self.sub_function.map(u16::from), pdu.sub_function.map(u16::from))
            && !contradicts(self.identifier, pdu.sole_identifier())
    }
}

#[derive(Debug)]
pub(super) struct Table {
    places: Box<[Option<Request>]>,
    timeout_ns: i64,
}

impl Table {
    pub(super) fn new(places: usize, timeout_ns: i64) -> Self {
        Self { places: vec![None; places].into_boxed_slice(), timeout_ns }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.places.iter().flatten()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Request> {
        self.places.get_mut(at)?.as_mut()
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<Request> {
        self.places.get_mut(at)?.take()
    }

    /// Adds a request; it takes the place of the same sender's request of the same service, else of the oldest when the
    /// table is full. `left` is told which request is gone for it.
    pub(super) fn insert(&mut self, request: Request, left: impl FnOnce(&Request, Fate)) {
        let same = |place: &Request| {
            place.sender == request.sender
                && place.service == request.service
                && place.functional == request.functional
        };
        let repeated = self.places.iter().position(|place| place.as_ref().is_some_and(same));
        // Empty places sort first.
        let oldest = || (0..self.places.len()).min_by_key(|&at| self.places[at].map(|request| request.sent));
        let Some(at) = repeated.or_else(oldest) else { return };
        let fate = if repeated.is_some() { Fate::Repeated } else { Fate::Displaced };
        if let Some(gone) = self.places[at].replace(request) {
            left(&gone, fate);
        }
    }

    /// The request that the response of `service` from `ecu`, whose requests come from `tester`, can be to.
    pub(super) fn find(
        &self,
        tester: Endpoint,
        ecu: Endpoint,
        pdu: &Pdu<'_>,
        service: Service,
    ) -> Option<usize> {
        let position = |to: &dyn Fn(&Request) -> bool| {
            let fits = |request: &Request| to(request) && request.fits(pdu, service);
            self.places.iter().position(|place| place.as_ref().is_some_and(fits))
        };
        let wide = ecu.id.is_extended();
        position(&|request| !request.functional && request.sender == tester)
            .or_else(|| position(&|request| request.functional && request.sender.id.is_extended() == wide))
    }

    /// Removes requests that have waited too long at `time`, telling `left` of each.
    pub(super) fn expire(&mut self, time: RealtimeNanos, mut left: impl FnMut(&Request)) {
        let limit = RealtimeNanos(time.0.saturating_sub(self.timeout_ns));
        for place in &mut self.places {
            if let Some(request) = place.take_if(|request| request.last < limit) {
                left(&request);
            }
        }
    }
}
