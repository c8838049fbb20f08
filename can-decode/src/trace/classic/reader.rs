//! Puts contexts together and gives them to the frames that they are of.

use heapless::Vec;

use super::counts::ClassicCounts;
use super::sender::{GivenUp, Sender, SetupError, Step, Target, Whole};
use crate::frame::{CanId, Frame};
use crate::trace::TraceContext;

/// How long parts wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Between two frames of a context, nanoseconds.
    pub part_ns: i64,
    /// From a context's last frame to the frame that it is of, nanoseconds.
    pub frame_ns: i64,
}

impl Default for Limits {
    /// 100 ms and 500 ms: a sender puts all five frames into its queue at once, and even on a bus that is full a frame
    /// that waits this long is of no use to its receivers.
    fn default() -> Self {
        Self { part_ns: 100_000_000, frame_ns: 500_000_000 }
    }
}

/// Follows the contexts of one bus. Memory is fixed: `SENDERS` context identifiers, and `TARGETS` messages that may have
/// contexts.
#[derive(Clone, Debug)]
pub struct ClassicReader<const SENDERS: usize, const TARGETS: usize> {
    senders: Vec<Sender, SENDERS>,
    targets: Vec<(Target, Option<Waiting>), TARGETS>,
    limits: Limits,
    /// A bit for each value of the identifier's lowest six bits, so that most frames cost one look.
    wanted: u64,
    counts: ClassicCounts,
}

/// A context that waits for its frame.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    context: TraceContext,
    counter: u8,
    since_ns: i64,
}

impl<const SENDERS: usize, const TARGETS: usize> ClassicReader<SENDERS, TARGETS> {
    /// For these messages.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn new(targets: impl IntoIterator<Item = Target>, limits: Limits) -> Result<Self, SetupError> {
        let mut reader = Self {
            senders: Vec::new(),
            targets: Vec::new(),
            limits,
            wanted: 0,
            counts: ClassicCounts::default(),
        };
        for target in targets {
            reader.add(target)?;
        }
        Ok(reader)
    }

    fn add(&mut self, target: Target) -> Result<(), SetupError> {
        let Target { context_id, tag, id, .. } = target;
        let is_sender = |id| self.senders.iter().any(|sender| sender.id == id);
        let is_target = |id| self.targets.iter().any(|(other, _)| other.id == id);
        if is_sender(id) || is_target(id) || id == context_id {
            return Err(SetupError::Twice(id));
        }
        if is_target(context_id) {
            return Err(SetupError::Twice(context_id));
        }
        if self.targets.iter().any(|(other, _)| (other.context_id, other.tag) == (context_id, tag)) {
            return Err(SetupError::Tag(context_id, tag));
        }
        if !is_sender(context_id) {
            self.senders.push(Sender::new(context_id)).map_err(|_| SetupError::TooMany(SENDERS))?;
        }
        self.targets.push((target, None)).map_err(|_| SetupError::TooMany(TARGETS))?;
        self.wanted |= bit(id) | bit(context_id);
        Ok(())
    }

    /// Takes a frame of the bus, in the order of the bus, with its stamp in nanoseconds of any clock; the context that
    /// came for it, if it is a message's frame.
    #[inline]
    pub fn take(&mut self, frame: &Frame, time_ns: i64) -> Option<TraceContext> {
        if self.wanted & bit(frame.id()) == 0 || !frame.is_data() {
            return None;
        }
        self.look_up(frame, time_ns)
    }

    /// What was seen so far.
    pub const fn counts(&self) -> &ClassicCounts {
        &self.counts
    }

    /// Contexts of which frames are still to come.
    pub fn under_way(&self) -> usize {
        self.senders.iter().filter(|sender| sender.is_under_way()).count()
    }

    /// Whole contexts that wait for their frame.
    pub fn waiting(&self) -> usize {
        self.targets.iter().filter(|(_, waiting)| waiting.is_some()).count()
    }

    fn look_up(&mut self, frame: &Frame, time_ns: i64) -> Option<TraceContext> {
        let id = frame.id();
        if let Some(place) = self.targets.iter_mut().find(|(target, _)| target.id == id) {
            return carry(place, frame, time_ns, self.limits.frame_ns, &mut self.counts);
        }
        let sender = self.senders.iter_mut().find(|sender| sender.id == id)?;
        self.counts.frames += 1;
        let (step, given_up) = sender.take(frame.data(), time_ns, self.limits.part_ns);
        match given_up {
            Some(GivenUp::Interrupted) => self.counts.interrupted += 1,
            Some(GivenUp::TimedOut) => self.counts.timed_out += 1,
            None => {}
        }
        match step {
            Step::Malformed => self.counts.malformed += 1,
            Step::Stray => self.counts.strays += 1,
            Step::Begun => self.counts.begun += 1,
            Step::Continued => {}
            Step::Complete(whole) => self.complete(id, &whole, time_ns),
        }
        None
    }

    fn complete(&mut self, context_id: CanId, whole: &Whole, time_ns: i64) {
        let counts = &mut self.counts;
        if whole.is_absent() {
            counts.absent += 1;
            return;
        }
        let key = (context_id, whole.tag());
        let found = self.targets.iter_mut().find(|(target, _)| (target.context_id, target.tag) == key);
        let Some((target, waiting)) = found else {
            counts.unknown += 1;
            return;
        };
        let Ok(context) = whole.open(target.id) else {
            counts.damaged += 1;
            return;
        };
        counts.complete += 1;
        let new = Waiting { context, counter: whole.counter, since_ns: time_ns };
        counts.replaced += u64::from(waiting.replace(new).is_some());
    }
}

/// Gives a message's frame the context that waits for it.
fn carry(
    (target, place): &mut (Target, Option<Waiting>),
    frame: &Frame,
    time_ns: i64,
    frame_ns: i64,
    counts: &mut ClassicCounts,
) -> Option<TraceContext> {
    let waiting = (*place)?;
    let waited_ns = time_ns.checked_sub(waiting.since_ns).unwrap_or(i64::MAX);
    if !(0..=frame_ns).contains(&waited_ns) {
        *place = None;
        counts.expired += 1;
        return None;
    }
    if let Some(counter) = target.counter {
        let Some(seen) = (frame.len() >= counter.end()).then(|| counter.read(frame.padded()) as u8) else {
            // Without its counter nobody can say which frame it is; the one that is meant may follow.
            return None;
        };
        match waiting.counter.wrapping_sub(seen) & 0xF {
            0 => {}
            // A frame that was sent before the context, and overtaken by it.
            1..8 => return None,
            _ => {
                *place = None;
                counts.missed += 1;
                return None;
            }
        }
    }
    *place = None;
    counts.carried += 1;
    Some(waiting.context)
}

const fn bit(id: CanId) -> u64 {
    1 << (id.raw() & 63)
}
