//! One identifier: its frames' timing, shape, counter and protection.

use super::conflict::{Evidence, Rhythm, Suspicion};
use super::counter::{Sequence, Step};
use super::statistics::{IdStatistics, StatusCounts};
use super::timing::{PERIOD_NS_MAX, Timing};
use super::{Events, Expectation, Observation};
use crate::e2e;
use crate::frame::{CanId, Frame, FrameFlags};
use crate::table::MessageIndex;

/// Stands for a message that is not known; tables have fewer messages.
const NO_MESSAGE: u16 = u16::MAX;

/// Length and kind of a data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    len: u8,
    is_fd: bool,
}

/// What is remembered of one identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdState {
    id: CanId,
    message: u16,
    epoch: u32,
    frames: u64,
    remote: u64,
    timing: Timing,
    /// Of the last two data frames, the newest first.
    shapes: [Option<Shape>; 2],
    sequence: Option<Sequence>,
    e2e: e2e::State,
    suspicion: Suspicion,
    counts: Counts,
}

/// How often things have happened.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    late: u64,
    missed_cycles: u64,
    early: u64,
    length_changes: u64,
    counter_gaps: u64,
    counter_lost: u64,
    counter_repeated: u64,
    conflicts: u64,
    e2e: StatusCounts,
}

impl IdState {
    pub(super) fn new(id: CanId, message: Option<MessageIndex>, epoch: u32) -> Self {
        Self {
            id,
            message: message.map_or(NO_MESSAGE, |index| index.0),
            epoch,
            frames: 0,
            remote: 0,
            timing: Timing::default(),
            shapes: [None; 2],
            sequence: None,
            e2e: e2e::State::default(),
            suspicion: Suspicion::default(),
            counts: Counts::default(),
        }
    }

    /// Index of what is expected of it.
    pub(super) fn expectation(&self) -> usize {
        usize::from(self.message)
    }

    #[inline]
    pub(super) fn frame(
        &mut self,
        frame: &Frame,
        time_ns: i64,
        expected: &Expectation,
        epoch: u32,
    ) -> Observation {
        let is_first = self.frames == 0;
        self.frames += 1;
        let mut observation = Observation::default();
        observation.add(Events::FIRST, is_first);
        if frame.flags().contains(FrameFlags::REMOTE) {
            self.remote += 1;
            observation.add(Events::KIND_CHANGED, self.remote == 1 && !is_first);
            return observation;
        }
        if self.epoch != epoch {
            self.interrupt(epoch);
        }
        let cycle_ns = declared_ns(expected);
        let (events, missed) = self.timing.frame(time_ns, cycle_ns, self.suspicion.is_disturbed());
        observation.events = observation.events.union(events);
        observation.missed_cycles = missed;
        let takes_turns = self.shape(frame, &mut observation);
        let evidence = self.counter(frame, expected, &mut observation);
        let is_conflict = self.suspicion.frame(evidence, takes_turns, &self.rhythm(cycle_ns));
        observation.add(Events::CONFLICT, is_conflict);
        if !observation.events.is_empty() {
            self.count(&observation);
        }
        observation
    }

    pub(super) fn statistics(&self, now_ns: i64, expected: &Expectation) -> IdStatistics {
        let Counts { e2e, late, missed_cycles, early, .. } = self.counts;
        let timing = &self.timing;
        let declared_ns = declared_ns(expected);
        let mean_ns = timing.sum_ns.checked_div(timing.periods);
        let cycle = |cycle_ns: i64| Some(cycle_ns.unsigned_abs()).filter(|cycle_ns| *cycle_ns > 0);
        let cycle_ns = cycle(timing.cycle_ns(declared_ns));
        IdStatistics {
            id: self.id,
            message: Some(self.message).filter(|index| *index != NO_MESSAGE).map(MessageIndex),
            frames: self.frames,
            remote: self.remote,
            rate_millihertz: timing.rate_millihertz(now_ns),
            period_last_ns: mean_ns.map(|_| timing.period_ns[0].unsigned_abs()),
            period_min_ns: timing.extremes_ns().map(|(min_ns, _)| min_ns),
            period_max_ns: timing.extremes_ns().map(|(_, max_ns)| max_ns),
            period_mean_ns: mean_ns,
            cycle_declared_ns: cycle(declared_ns),
            cycle_ns,
            jitter_ns: cycle_ns.map(|_| timing.jitter_ns().unsigned_abs()),
            overdue_cycles: timing.overdue_cycles(now_ns, declared_ns),
            late,
            missed_cycles,
            early,
            length_changes: self.counts.length_changes,
            has_counter: self.sequence.is_some_and(|sequence| sequence.is_proven()),
            counter_gaps: self.counts.counter_gaps,
            counter_lost: self.counts.counter_lost,
            counter_repeated: self.counts.counter_repeated,
            conflicts: self.counts.conflicts,
            conflict: self.suspicion.signs,
            e2e: expected.e2e.map(|_| e2e),
        }
    }

    pub(super) fn restart_extremes(&mut self) {
        self.timing.restart_extremes();
    }

    #[cold]
    fn interrupt(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.timing.interrupt();
        self.e2e = e2e::State::default();
        if let Some(sequence) = &mut self.sequence {
            sequence.interrupt();
        }
    }

    /// Whether the frame has the shape of the one before last, and not that of the last one.
    #[inline]
    fn shape(&mut self, frame: &Frame, observation: &mut Observation) -> bool {
        // A frame has at most 64 bytes.
        let shape = Shape { len: frame.len() as u8, is_fd: frame.is_fd() };
        let [last, before_last] = self.shapes;
        if last == Some(shape) {
            self.shapes[1] = last;
            return false;
        }
        self.shapes = [Some(shape), last];
        match last {
            Some(last) => {
                observation.add(Events::LENGTH_CHANGED, last.len != shape.len);
                observation.add(Events::KIND_CHANGED, last.is_fd != shape.is_fd);
            }
            None => observation.add(Events::KIND_CHANGED, self.remote > 0),
        }
        before_last == Some(shape)
    }

    #[inline]
    fn counter(&mut self, frame: &Frame, expected: &Expectation, observation: &mut Observation) -> Evidence {
        let value = match (&expected.e2e, &expected.counter) {
            (Some(protection), _) => {
                if observation.missed_cycles > 0 {
                    protection.missed(&mut self.e2e, observation.missed_cycles);
                }
                let checked = protection.check(&mut self.e2e, frame.data());
                self.counts.e2e.count(checked.status);
                observation.e2e = Some(checked);
                checked.counter
            }
            (None, Some(counter)) => counter.read(frame),
            (None, None) => None,
        };
        let Some(value) = value else { return Evidence::None };
        let sequence = self.sequence.get_or_insert_with(|| match (&expected.e2e, &expected.counter) {
            (None, Some(counter)) => Sequence::candidate(counter),
            (Some(protection), _) => Sequence::declared(protection.config().profile.counter_max()),
            (None, None) => Sequence::declared(u16::MAX),
        });
        match sequence.step(value) {
            Step::Unknown => Evidence::None,
            Step::Next => Evidence::Against,
            Step::Repeated => {
                observation.add(Events::COUNTER_REPEATED, true);
                Evidence::None
            }
            Step::Gap(lost) => {
                observation.add(Events::COUNTER_GAP, true);
                observation.counter_lost = lost;
                Evidence::Against
            }
            Step::OtherSequence => Evidence::For,
        }
    }

    #[inline]
    const fn rhythm(&self, declared_ns: i64) -> Rhythm {
        let is_learned = self.timing.learned_ns > 0;
        Rhythm {
            period_ns: self.timing.period_ns,
            cycle_ns: if is_learned { self.timing.learned_ns } else { declared_ns },
            is_learned,
            is_blurred: is_learned && !self.timing.is_sharp,
        }
    }

    #[cold]
    fn count(&mut self, observation: &Observation) {
        let counts = &mut self.counts;
        let has = |event| u64::from(observation.events.contains(event));
        counts.late += has(Events::LATE);
        counts.missed_cycles += u64::from(observation.missed_cycles);
        counts.early += has(Events::EARLY);
        counts.length_changes += has(Events::LENGTH_CHANGED);
        counts.counter_gaps += has(Events::COUNTER_GAP);
        counts.counter_lost += u64::from(observation.counter_lost);
        counts.counter_repeated += has(Events::COUNTER_REPEATED);
        counts.conflicts += has(Events::CONFLICT);
    }
}

/// The cycle that was promised, 0 for none.
#[inline]
fn declared_ns(expected: &Expectation) -> i64 {
    expected.cycle_ns.map_or(0, |cycle_ns| cycle_ns.min(PERIOD_NS_MAX as u64) as i64)
}
