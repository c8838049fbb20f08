//! Who sends contexts, and which of its messages they are for.

use core::fmt;

use super::{FRAMES, QUARTER, key};
use crate::extract::Extractor;
use crate::frame::CanId;
use crate::trace::sealed::{self, SEALED_LEN};
use crate::trace::{TraceContext, TraceError};

/// A message whose frames may have contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Identifier of the context frames.
    pub context_id: CanId,
    /// The message's index among those with this `context_id`.
    pub tag: u8,
    /// Identifier of the message.
    pub id: CanId,
    /// Its alive counter, of which the lowest four bits are compared; `None`: the next frame of the message is meant.
    pub counter: Option<Extractor>,
}

/// Why targets cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The message has two targets, or one that is itself a context frame.
    Twice(CanId),
    /// Two messages of one sender have the same tag.
    Tag(CanId, u8),
    /// More senders or messages than there is room for.
    TooMany(usize),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(id) => {
                write!(
                    f,
                    "{id} is named twice; a message has one context identifier, which is not a message itself"
                )
            }
            Self::Tag(id, tag) => {
                write!(
                    f,
                    "tag {tag} of context identifier {id} is given to two messages; number them from 0 on"
                )
            }
            Self::TooMany(max) => {
                write!(f, "more than {max} messages or context identifiers; leave some out")
            }
        }
    }
}

impl core::error::Error for SetupError {}

/// The contexts of one context identifier: the one that is being put together.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) id: CanId,
    parts: Option<Parts>,
}

#[derive(Clone, Copy, Debug)]
struct Parts {
    bytes: [u8; SEALED_LEN],
    counter: u8,
    /// How many have come.
    count: u8,
    last_ns: i64,
}

/// What a context frame led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not a frame of the form.
    Malformed,
    /// Not the first frame of a context, and none was begun that it belongs to.
    Stray,
    /// The first frame of a context.
    Begun,
    /// A frame in its turn.
    Continued,
    /// All four are there.
    Complete(Whole),
}

/// Four frames of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    bytes: [u8; SEALED_LEN],
    pub(super) counter: u8,
}

impl Whole {
    pub(super) fn tag(&self) -> u8 {
        sealed::tag(&self.bytes)
    }

    pub(super) fn is_absent(&self) -> bool {
        sealed::is_absent(&self.bytes)
    }

    pub(super) fn open(&self, target: CanId) -> Result<TraceContext, TraceError> {
        sealed::open(&self.bytes, &key(target, self.counter))
    }
}

/// Why a context that was begun is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// A frame that is not its next one.
    Interrupted,
    /// Its next frame came too late.
    TimedOut,
}

impl Sender {
    /// With nothing seen yet.
    pub(super) const fn new(id: CanId) -> Self {
        Self { id, parts: None }
    }

    pub(super) const fn is_under_way(&self) -> bool {
        self.parts.is_some()
    }

    /// Takes a context frame; what it led to, and what became of the context before it if that was given up.
    pub(super) fn take(&mut self, payload: &[u8], time_ns: i64, timeout_ns: i64) -> (Step, Option<GivenUp>) {
        let Some((&[head], quarter)) = payload.split_first_chunk() else { return (Step::Malformed, None) };
        let (number, counter) = (head >> 4, head & 0xF);
        let Ok(quarter) = <&[u8; QUARTER]>::try_from(quarter) else { return (Step::Malformed, None) };
        if usize::from(number) >= FRAMES {
            return (Step::Malformed, None);
        }
        let before = self.parts.take();
        if number == 0 {
            let mut parts = Parts { bytes: [0; SEALED_LEN], counter, count: 1, last_ns: time_ns };
            parts.bytes[..QUARTER].copy_from_slice(quarter);
            self.parts = Some(parts);
            return (Step::Begun, before.map(|before| before.given_up(time_ns, timeout_ns)));
        }
        let Some(mut parts) = before else { return (Step::Stray, None) };
        if parts.given_up(time_ns, timeout_ns) == GivenUp::TimedOut {
            return (Step::Stray, Some(GivenUp::TimedOut));
        }
        if (parts.counter, parts.count) != (counter, number) {
            return (Step::Stray, Some(GivenUp::Interrupted));
        }
        let at = usize::from(number) * QUARTER;
        parts.bytes[at..at + QUARTER].copy_from_slice(quarter);
        parts.count += 1;
        parts.last_ns = time_ns;
        if usize::from(parts.count) < FRAMES {
            self.parts = Some(parts);
            return (Step::Continued, None);
        }
        (Step::Complete(Whole { bytes: parts.bytes, counter }), None)
    }
}

impl Parts {
    /// Why it is given up now, if it is.
    fn given_up(&self, time_ns: i64, timeout_ns: i64) -> GivenUp {
        // A clock that was set back makes the time between two frames unknown.
        match time_ns.checked_sub(self.last_ns) {
            Some(0..) if time_ns - self.last_ns <= timeout_ns => GivenUp::Interrupted,
            _ => GivenUp::TimedOut,
        }
    }
}
