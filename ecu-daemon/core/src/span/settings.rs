//! What spans are made of, besides contexts in frames.

use can_decode::isotp::{self, Channel, ChannelError};
use can_decode::trace::classic::{self, SetupError, Target};
use can_decode::{CanId, Raw};

use super::sampling::Sampling;

/// Context identifiers of one bus at most.
pub const SENDERS_MAX: usize = 32;
/// Messages of one bus that have contexts from context frames, at most.
pub const TARGETS_MAX: usize = 128;
/// Requests that wait, unless the configuration says otherwise.
const WAITING_DEFAULT: u16 = 256;

/// What is configured. The default: contexts where the database has them, and all that their senders sampled.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is kept.
    pub sampling: Sampling,
    /// By bus; those beyond the last one have none of it.
    pub buses: Vec<BusSettings>,
    /// Offsets of contexts by the message's index in the schema; they go before those of the database.
    pub offsets: Vec<(usize, u8)>,
    /// Requests and responses that are frames.
    pub pairs: Vec<Pair>,
    /// Signals that go with the spans of a message: its index in the schema and theirs in it.
    pub attributes: Vec<(usize, Vec<usize>)>,
    /// Requests that wait for responses at the same time; 0 counts as 1. Beyond, the oldest is forgotten.
    pub waiting_max: u16,
    /// Nanoseconds from which on a local service's span was slow, and is kept for it.
    pub local_slow_ns: Option<u64>,
    /// Seed of the trace ids of requests that belong to no trace, from the system's random numbers; `None`: no spans are
    /// made of those.
    pub roots: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            buses: Vec::new(),
            offsets: Vec::new(),
            pairs: Vec::new(),
            attributes: Vec::new(),
            waiting_max: WAITING_DEFAULT,
            local_slow_ns: None,
            roots: None,
        }
    }
}

/// What one bus has besides.
#[derive(Clone, Debug, Default)]
pub struct BusSettings {
    /// Messages whose contexts come in context frames.
    pub classic: Vec<Target>,
    /// How long those wait for each other.
    pub classic_limits: classic::Limits,
    /// Who talks ISO-TP.
    pub conversations: Vec<Conversation>,
    /// What following them may use.
    pub transport: isotp::Limits,
}

/// How long a response may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Nanoseconds until a request has failed.
    pub timeout_ns: i64,
    /// Nanoseconds from which on the exchange was slow, and is kept for it.
    pub slow_ns: Option<u64>,
}

impl Default for Expectation {
    /// 10 s: twice what ISO 14229-2 has for a response after "response pending" (`P2*`). Nothing is slow.
    fn default() -> Self {
        Self { timeout_ns: 10_000_000_000, slow_ns: None }
    }
}

/// A message that asks and one that answers. Messages are named by their index in the schema, signals by theirs in the
/// message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The request.
    pub request: usize,
    /// The response; it may be of another bus.
    pub response: usize,
    /// A signal of the request and one of the response that have the same value when they belong together. Without one a
    /// response is taken for the oldest request's, also when that one's own was lost: then durations are wrong until the
    /// requests that wait have timed out.
    pub key: Option<(usize, usize)>,
    /// The response's signal that says whether it worked.
    pub failure: Option<FailureSignal>,
    /// Which requests a response answers.
    pub answers: Answers,
    /// How long a response may take.
    pub expectation: Expectation,
}

/// A signal that says whether a request worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureSignal {
    /// The signal.
    pub signal: usize,
    /// Its value when all is well; any other one is a failure.
    pub ok: Raw,
}

/// Which of the requests that wait a response answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// The oldest.
    #[default]
    Oldest,
    /// All of them.
    All,
}

/// An ISO-TP channel whose messages are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Who talks to whom.
    pub channel: Channel,
    /// Index in the schema of what its spans are called after: see
    /// [`Catalog::name_conversation`](crate::Catalog::name_conversation).
    pub message: usize,
    /// Where its messages have contexts, if they do.
    pub context: Option<Place>,
    /// How long a response may take.
    pub expectation: Expectation,
}

/// Where a message has its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this byte.
    Offset(u16),
    /// Behind its end, see [`can_decode::trace::trailer`].
    Trailer,
}

/// Why settings cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Indices come from names that were looked up in the schema.
    #[error("message {0} of the tracing settings is not in the schema; name one that the DBC files define")]
    Message(usize),
    /// Likewise.
    #[error(
        "message {message} of the tracing settings has no signal {signal}; name one that the DBC files define"
    )]
    Signal {
        /// The message.
        message: usize,
        /// Its signal.
        signal: usize,
    },
    /// More than a span or a message has room for.
    #[error("message {0} has more signals for spans, keys and failures than are looked at; leave some out")]
    TooManySignals(usize),
    /// More than can be told apart.
    #[error("{0} pairs and conversations, of which at most 65535 are followed; leave some out")]
    TooManyCourses(usize),
    /// A context does not fit.
    #[error(
        "the trace context of message {0} ends behind byte 64, where no frame has a payload; lower its offset"
    )]
    Offset(usize),
    /// Its context would have nothing to go with.
    #[error("context frames of bus {bus}: no message of its DBC files has the identifier {id}")]
    Target {
        /// The bus's index.
        bus: usize,
        /// The message that is to have contexts.
        id: CanId,
    },
    /// Context frames.
    #[error("context frames of bus {bus}: {error}")]
    Classic {
        /// The bus's index.
        bus: usize,
        /// What is wrong.
        error: SetupError,
    },
    /// Fewer buses than settings.
    #[error("tracing settings of bus {0}, which is not there")]
    Bus(usize),
    /// Conversations.
    #[error("conversations of bus {bus}: {error}")]
    Channels {
        /// The bus's index.
        bus: usize,
        /// What is wrong.
        error: ChannelError,
    },
}
