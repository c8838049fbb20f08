//! What frames say about their senders without being decoded: how often they come, how evenly, whether some are missing,
//! whether they change their shape, and whether two senders share an identifier.
//!
//! An [`Observer`] belongs to one bus. It takes every frame with its time and returns what there is to say about it, as
//! an [`Observation`]; [`Observer::statistics`] says how each identifier does, [`Observer::totals`] how the bus does.
//! It allocates when it is made and never again, and a frame costs the same however many identifiers there are.
//!
//! # Cycle
//! An identifier is cyclic when 32 periods were steady: their mean deviation at most a quarter of their mean. Its cycle is
//! the one that a database declares ([`Expectation::cycle_ns`]) where the frames keep it within a quarter; else the one
//! they keep, and [`Events::CYCLE_DIFFERS`] says so once. Jitter, late and early frames are held against that cycle.
//! Bursts of more than 32 frames look cyclic as long as they last.
//!
//! # Alive counters
//! A field that is only called a counter has to count 32 frames in a row before a gap in it means anything; a field of
//! [`crate::e2e`] counts from its first valid frame on.
//!
//! # Two senders of one identifier
//! What a listener can see of it, and what it is taken for ([`ConflictSigns`]):
//! - Two alive counters that take turns. Not seen where one is always one behind the other: that looks like repeated
//!   frames. A single sender does this only if it counts in steps of half its range.
//! - Two frames in each cycle, d and T - d apart. A sender alone does this if it sends in pairs, or if it sends on change
//!   besides its cycle and changes are as regular as that: such a pair counts when the identifier was cyclic before (it
//!   has begun to be sent twice, whoever does it), or when its distance drifts by an eighth of the declared cycle, as two
//!   clocks do and one does not. Not seen where d is half of T within a sixteenth (that is a sender that has become
//!   twice as fast: [`Events::CYCLE_CHANGED`]), and where stamps are more uneven than an eighth of the cycle.
//! - Two lengths, or CAN and CAN-FD, that take turns in one cycle. A sender alone does this if it sends two multiplexed
//!   parts of different length in each cycle.
//!
//! Three senders of one identifier, senders that never send at the same time, and frames that destroy each other on the
//! bus (which are error frames, and have no identifier) are not seen. Frames that several nodes send by design
//! (`BO_TX_BU_`) are seen as a conflict like any others.

mod conflict;
mod counter;
mod events;
mod id;
mod ids;
mod statistics;
mod timing;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use conflict::ConflictSigns;
pub use counter::AliveCounter;
pub use events::{Events, Observation};
use id::IdState;
use ids::{Ids, Place};
pub use statistics::{IdStatistics, StatusCounts, Totals};

use crate::e2e::Protection;
use crate::frame::{CLASSIC_LEN_MAX, Frame, FrameFlags};
use crate::table::{Message, MessageIndex};

/// What is known of a message before its first frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Cycle time in nanoseconds; `None` where nobody says.
    pub cycle_ns: Option<u64>,
    /// Its alive counter. Not used where `e2e` is given: that has a counter of its own.
    pub counter: Option<AliveCounter>,
    /// Its end-to-end protection.
    pub e2e: Option<Protection>,
}

/// What is known of an identifier without a message.
const NOTHING: Expectation = Expectation { cycle_ns: None, counter: None, e2e: None };

impl Expectation {
    /// What a database says of a message. Of one that comes in parts only the cycle is of use: its counter and its
    /// checksum are in no single frame.
    pub fn of(message: &Message) -> Self {
        let is_whole = !message.j1939 || usize::from(message.len) <= CLASSIC_LEN_MAX;
        let counter = message.alive_counter.and_then(|index| message.signals.get(index));
        Self {
            cycle_ns: message.cycle_time_ms.map(|milliseconds| u64::from(milliseconds) * 1_000_000),
            counter: counter.filter(|_| is_whole).and_then(AliveCounter::of),
            e2e: message.e2e.filter(|_| is_whole).and_then(|config| config.checked().ok()),
        }
    }
}

/// Watches the identifiers of one bus.
#[derive(Clone, Debug)]
pub struct Observer {
    ids: Ids,
    /// By index of `ids`; never grows beyond what was reserved.
    states: Vec<IdState>,
    expectations: Box<[Expectation]>,
    totals: Totals,
    /// Counts the interruptions; an identifier's next frame begins anew when it has missed one.
    epoch: u32,
}

impl Observer {
    /// Most identifiers of an observer.
    pub const CAPACITY_MAX: u16 = u16::MAX - 1;

    /// For `capacity` identifiers (at most [`Self::CAPACITY_MAX`]), some 380 bytes each; frames of further ones are
    /// counted as not observed. `expectations` are of the messages of the bus's decode table, in its order.
    pub fn new(capacity: u16, expectations: impl IntoIterator<Item = Expectation>) -> Self {
        let capacity = capacity.min(Self::CAPACITY_MAX);
        Self {
            ids: Ids::new(capacity),
            states: Vec::with_capacity(usize::from(capacity)),
            expectations: expectations.into_iter().collect(),
            totals: Totals::default(),
            epoch: 0,
        }
    }

    /// Takes a frame. `time_ns` is of one clock, whichever: its zero does not matter, and a step backwards begins the
    /// identifier's timing anew. A step forwards is a gap in every identifier; a caller who knows of one calls
    /// [`Self::interrupt`]. `message` is what the frame was found to be in the decode table.
    ///
    /// Error frames, which have no identifier, are not looked at. A remote request only counts as a frame: who sends
    /// it is somebody else, by design.
    #[inline]
    pub fn observe(&mut self, frame: &Frame, time_ns: i64, message: Option<MessageIndex>) -> Observation {
        if frame.flags().contains(FrameFlags::ERROR) {
            return Observation::default();
        }
        self.totals.frames += 1;
        let at = match self.ids.find_or_add(frame.id()) {
            Place::Known(at) => at,
            Place::New(at) => {
                self.add(frame, message);
                at
            }
            Place::Full => {
                self.totals.not_observed += 1;
                return Observation { events: Events::NOT_OBSERVED, ..Observation::default() };
            }
        };
        let Some(state) = self.states.get_mut(at) else {
            // Every identifier gets its state when it gets its place.
            return Observation::default();
        };
        let expected = self.expectations.get(state.expectation()).unwrap_or(&NOTHING);
        let observation = state.frame(frame, time_ns, expected, self.epoch);
        self.totals.add(&observation);
        observation
    }

    /// Says that frames of this bus were lost on their way here, or that the clock was stepped: what is missing until
    /// the next frames is not their senders' doing.
    pub const fn interrupt(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// What has happened on the bus.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How each identifier does, in the order in which they were seen. `now_ns` is of the frames' clock.
    pub fn statistics(&self, now_ns: i64) -> impl ExactSizeIterator<Item = IdStatistics> + '_ {
        self.states.iter().map(move |state| {
            let expected = self.expectations.get(state.expectation()).unwrap_or(&NOTHING);
            state.statistics(now_ns, expected)
        })
    }

    /// Begins the smallest and largest periods of all identifiers anew, so that one bad moment does not stand for ever.
    pub fn restart_extremes(&mut self) {
        self.states.iter_mut().for_each(IdState::restart_extremes);
    }

    #[cold]
    fn add(&mut self, frame: &Frame, message: Option<MessageIndex>) {
        self.states.push(IdState::new(frame.id(), message, self.epoch));
        self.totals.ids += 1;
    }
}
