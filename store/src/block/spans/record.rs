//! A span as blocks hold it.

use std::sync::Arc;

use can_decode::CanId;
use can_decode::uds::{Nrc, Service};

use super::super::{ClockSource, Identity};
use super::span_id;

/// Something that happened as part of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanRecord {
    /// The trace it belongs to (W3C Trace Context §3.2.2.3).
    pub trace_id: [u8; 16],
    /// Its own id, where somebody else gave it one; `None`: see [`Self::id`].
    pub span_id: Option<[u8; 8]>,
    /// Its parent, on the bus the span that sent the frame (§3.2.2.4); `None` where the trace begins with it.
    pub parent_span_id: Option<[u8; 8]>,
    /// Trace flags (§3.2.2.5).
    pub flags: u8,
    /// When it began, nanoseconds since 1970: the stamp of the frame.
    pub start_ns: i64,
    /// Length, nanoseconds; 0 for a single frame, or where no end is known.
    pub duration_ns: u64,
    /// The clock of `start_ns`.
    pub clock: ClockSource,
    /// Where it happened.
    pub origin: SpanOrigin,
    /// How it ended.
    pub status: SpanStatus,
    /// What else it has to do with.
    pub links: SpanLinks,
}

/// A span that a span has to do with besides its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanLink {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its id.
    pub span_id: [u8; 8],
}

/// Links of a span, as many as there is room for; they lie in the span itself, so that a traced frame allocates nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanLinks {
    len: usize,
    links: [SpanLink; Self::MAX],
    /// Those for which there was no room.
    pub cut: u32,
}

impl SpanLinks {
    /// The most there are.
    pub const MAX: usize = 4;

    /// Adds a link, or counts it in [`Self::cut`].
    pub fn push(&mut self, link: SpanLink) {
        match self.links.get_mut(self.len) {
            Some(place) => {
                *place = link;
                self.len += 1;
            }
            None => self.cut = self.cut.saturating_add(1),
        }
    }

    /// The same, with so many for which there was no room.
    #[must_use]
    pub const fn with_cut(self, cut: u32) -> Self {
        Self { cut, ..self }
    }

    /// The links, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &SpanLink> {
        self.links.iter().take(self.len)
    }

    /// How many there are, without those that were cut.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl FromIterator<SpanLink> for SpanLinks {
    fn from_iter<T: IntoIterator<Item = SpanLink>>(links: T) -> Self {
        let mut all = Self::default();
        links.into_iter().for_each(|link| all.push(link));
        all
    }
}

/// Where a span happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanOrigin {
    /// On a bus.
    Bus(BusSpan),
    /// In a service of the ECU that sent it by itself.
    Local(Box<LocalSpan>),
}

/// What is known of a span on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusSpan {
    /// What it is of.
    pub kind: BusSpanKind,
    /// Index into the schema's messages, which tells the bus, too.
    pub message: u32,
    /// `can.id` as it was on the bus; `None`: that of the schema's message.
    pub id: Option<CanId>,
    /// Signals of the frame or request that were chosen to go with it.
    pub signals: SignalValues,
    /// Where the samples of that frame are; `None` where there are none.
    pub sample: Option<SampleMark>,
}

/// What a span on a bus is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusSpanKind {
    /// One frame.
    Frame,
    /// A request and its response, each a frame.
    Exchange,
    /// An ISO-TP message that is no request.
    Message,
    /// A diagnostic request of this service and its response.
    Diagnostic(Service),
}

/// Raw values of signals by their index in the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalValues {
    len: usize,
    signals: [u16; Self::MAX],
    raws: [u64; Self::MAX],
}

impl SignalValues {
    /// The most there are.
    pub const MAX: usize = 4;

    /// Adds a value; false when there is no room.
    pub fn push(&mut self, signal: u16, raw: u64) -> bool {
        let at = self.len;
        let (Some(signals), Some(raws)) = (self.signals.get_mut(at), self.raws.get_mut(at)) else {
            return false;
        };
        (*signals, *raws) = (signal, raw);
        self.len += 1;
        true
    }

    /// Each as (index of the signal, raw value), in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.signals.iter().copied().zip(self.raws.iter().copied()).take(self.len)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The indices of the signals; those behind [`Self::len`] are 0.
    pub(super) const fn signals(&self) -> [u16; Self::MAX] {
        self.signals
    }
}

/// Where the samples of a frame are in time, to the millisecond slot: a reader of the span can name them without their
/// block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleMark {
    /// The samples' times are in steps of so many nanoseconds, at least 1.
    pub tick_ns: u32,
    /// Milliseconds from their own to that of their [slot](super::super::SlotMillis), at most
    /// [`SHIFT_MAX`](super::super::SlotMillis::SHIFT_MAX); `None`: they have no slot.
    pub slot_delay_ms: Option<u8>,
}

impl SampleMark {
    /// Time of the samples of a frame that was stamped at `start_ns`, nanoseconds.
    pub fn time_ns(self, start_ns: i64) -> i64 {
        let tick = i64::from(self.tick_ns.max(1));
        start_ns.div_euclid(tick).wrapping_mul(tick)
    }

    /// Their slot, milliseconds since 1970.
    pub fn slot_ms(self, start_ns: i64) -> Option<i64> {
        Some(self.time_ns(start_ns).div_euclid(1_000_000).saturating_add(self.slot_delay_ms?.into()))
    }
}

/// A span that a local service sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSpan {
    /// `service.name`.
    pub service: Arc<str>,
    /// The span's name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: SpanKind,
    /// Key and value, at most [`limits::SPAN_ATTRIBUTES_MAX`](super::super::limits::SPAN_ATTRIBUTES_MAX).
    pub attributes: Vec<(Arc<str>, AttributeValue)>,
    /// Attributes for which there was no room.
    pub attributes_cut: u32,
}

/// Kind of a span in the sense of OpenTelemetry's trace API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SpanKind {
    /// Within a service.
    Internal = 1,
    /// Answers a request.
    Server = 2,
    /// Makes a request.
    Client = 3,
    /// Sends what nobody waits for.
    Producer = 4,
    /// Takes what was sent so.
    Consumer = 5,
}

impl SpanKind {
    /// All of them, by their numbers in OTLP.
    pub const ALL: [Self; 5] = [Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// From its number in OTLP; 0 and what is not known is internal, as OTLP has it.
    pub fn from_otlp(number: i32) -> Self {
        Self::ALL.into_iter().find(|kind| i32::from(*kind as u8) == number).unwrap_or(Self::Internal)
    }

    /// Its name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// Value of an attribute.
#[derive(Clone, Debug)]
pub enum AttributeValue {
    /// At most [`limits::NAME_BYTES_MAX`](super::super::limits::NAME_BYTES_MAX) bytes.
    Text(Arc<str>),
    /// True or false.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Double.
    Double(f64),
}

impl PartialEq for AttributeValue {
    /// Doubles by their bits, so that a value that comes back is equal to itself.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Double(one), Self::Double(other)) => one.to_bits() == other.to_bits(),
            _ => false,
        }
    }
}

impl Eq for AttributeValue {}

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing is known of an end, or nobody said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// It failed.
    Error(SpanFailure),
}

/// Why a span failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanFailure {
    /// No response in time.
    NoResponse,
    /// The response says so, by this raw value of the signal that the configuration names.
    Reported(u64),
    /// A negative diagnostic response.
    Refused(Nrc),
    /// In the words of a local service, may be empty; at most
    /// [`limits::NAME_BYTES_MAX`](super::super::limits::NAME_BYTES_MAX) bytes.
    Message(Arc<str>),
}

impl SpanRecord {
    /// Its id: its own, else that of row `row` of the block that it is in.
    pub fn id(&self, block: Identity, row: u32) -> [u8; 8] {
        self.span_id.unwrap_or_else(|| span_id(block, row))
    }

    /// What is known of it on a bus.
    pub const fn bus(&self) -> Option<&BusSpan> {
        match &self.origin {
            SpanOrigin::Bus(span) => Some(span),
            SpanOrigin::Local(_) => None,
        }
    }
}
