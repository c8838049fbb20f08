//! The steps that take a message's signals out of a payload, worked out before the first frame.
//!
//! ```text
//! Plan ── Block 0: Steps ── fields that are loaded the same way, of the signals that are always there
//!                   └────── a Selection by a multiplexor's value ── Block n: Steps for the signals of that value …
//! ```

mod build;
mod columns;
mod pair;
mod sink;

use alloc::boxed::Box;

use crate::extract::Extractor;
use crate::frame::FD_LEN_MAX;
use pair::Pair;
use sink::{Buffer, Sink, Visitor};

pub(super) use build::PlanError;
pub use columns::{Column, Columns};
pub use sink::FromField;

/// See the module. What every frame needs of it is in one line of the cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Plan {
    /// The first step's fields; with most messages, all.
    first: Box<[Field]>,
    /// The same two by two.
    pairs: Box<[Pair]>,
    action: Action,
    /// Payload length from which on the first step's fields are there.
    end: u8,
    /// Whether the message takes more than one classical frame.
    in_parts: bool,
    /// One more than there are signals: what a buffer needs.
    room: u16,
    rest: Option<Box<Rest>>,
}

/// What comes after the first step.
#[derive(Clone, Debug)]
struct Rest {
    steps: Box<[Step]>,
    fields: Box<[Field]>,
    pairs: Box<[Pair]>,
    selections: Box<[Selection]>,
    /// The other signals that are always there.
    root: Block,
}

/// A signal at one place of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    extractor: Extractor,
    factor: f64,
    offset: f64,
    signal: u16,
    number: Number,
}

/// How raw bits become an `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// An integer that an `i64` holds: all but the next.
    Integer,
    /// An unsigned integer of 64 bits.
    Unsigned64,
    F32,
    F64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
struct Step {
    action: Action,
    /// Payload length from which on all of it can be done.
    end: u8,
    /// First and last but one of the fields; the index of a selection.
    first: u32,
    last: u32,
    /// First of the pairs that these fields are in.
    pairs: u32,
}

/// Fields that are taken out the same way.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    action: Action,
    fields: &'a [Field],
    /// The same two by two, except for [`Action::Other`].
    pairs: &'a [Pair],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// Integers without a sign in the payload's first eight bytes, Intel.
    FirstIntelUnsigned,
    /// Integers of which some have a sign, there.
    FirstIntel,
    /// Integers in the payload's first eight bytes, Motorola.
    FirstMotorola,
    /// Integers in eight bytes anywhere, Intel.
    Intel,
    /// Integers in eight bytes anywhere, Motorola.
    Motorola,
    /// Floats, integers of more bits than a mantissa, and what else is rare.
    Other,
    /// A multiplexor chooses a further block.
    Select,
}

/// Signals that are present together: a range of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    first: u32,
    last: u32,
}

/// A multiplexor whose value chooses a further block.
#[derive(Clone, Debug)]
struct Selection {
    selector: Extractor,
    /// Block by value; values beyond its end, and all if it is empty, are looked for in `cases`.
    dense: Box<[Block]>,
    /// First value, last value and block; sorted, without overlap.
    cases: Box<[(u64, u64, Block)]>,
}

impl Plan {
    /// Whether the message takes more than one classical frame.
    #[inline]
    pub(super) const fn in_parts(&self) -> bool {
        self.in_parts
    }

    /// Visits every present signal with its value; how many there were.
    #[inline]
    pub(super) fn visit<V: FromField>(
        &self,
        payload: &[u8; FD_LEN_MAX],
        len: usize,
        visit: impl FnMut(usize, V),
    ) -> usize {
        self.walk(payload, len, Visitor::new(visit)).taken
    }

    /// Fills `signals` and `values` with the present signals and their values, as far as both go; how many there were.
    #[inline]
    pub(super) fn fill<V: FromField>(
        &self,
        payload: &[u8; FD_LEN_MAX],
        len: usize,
        signals: &mut [u16],
        values: &mut [V],
    ) -> usize {
        if signals.len().min(values.len()) < usize::from(self.room) {
            return self.fill_narrow(payload, len, signals, values);
        }
        self.walk(payload, len, Buffer::new(signals, values)).taken
    }

    /// [`Self::fill`] of a buffer that may have too few places.
    #[cold]
    fn fill_narrow<V: FromField>(
        &self,
        payload: &[u8; FD_LEN_MAX],
        len: usize,
        signals: &mut [u16],
        values: &mut [V],
    ) -> usize {
        let mut places = signals.iter_mut().zip(values);
        self.visit(payload, len, |signal, value| {
            if let Some((place, room)) = places.next() {
                (*place, *room) = (signal as u16, value);
            }
        })
    }

    #[inline]
    fn first(&self) -> Run<'_> {
        Run { action: self.action, fields: &self.first, pairs: &self.pairs }
    }

    #[inline]
    fn walk<S: Sink>(&self, payload: &[u8; FD_LEN_MAX], len: usize, mut sink: S) -> S {
        if usize::from(self.end) <= len && self.action < Action::Other {
            sink.run(&self.first(), payload);
        } else {
            sink = lend(sink, |sink| each(&self.first, payload, len, sink));
        }
        match &self.rest {
            Some(rest) => lend(sink, |sink| rest.block(rest.root, payload, len, sink)),
            None => sink,
        }
    }
}

#[inline]
fn lend<S>(mut sink: S, to: impl FnOnce(&mut S)) -> S {
    to(&mut sink);
    sink
}

impl Rest {
    /// Calls itself for the blocks that multiplexors choose, which nest no deeper than
    /// [`BRANCH_DEPTH_MAX`](super::BRANCH_DEPTH_MAX).
    #[inline(never)]
    fn block<S: Sink>(&self, block: Block, payload: &[u8; FD_LEN_MAX], len: usize, sink: &mut S) {
        for step in self.steps.get(block.first as usize..block.last as usize).unwrap_or_default() {
            let complete = usize::from(step.end) <= len;
            if step.action == Action::Select {
                if let Some(selection) = self.selections.get(step.first as usize).filter(|_| complete) {
                    self.block(selection.block_of(selection.selector.read(payload)), payload, len, sink);
                }
                continue;
            }
            let run = self.run(step);
            if complete && step.action < Action::Other {
                sink.run(&run, payload);
            } else {
                each(run.fields, payload, len, sink);
            }
        }
    }

    #[inline]
    fn run(&self, step: &Step) -> Run<'_> {
        let fields = self.fields.get(step.first as usize..step.last as usize).unwrap_or_default();
        let pairs = step.pairs as usize..step.pairs as usize + fields.len().div_ceil(2);
        Run { action: step.action, fields, pairs: self.pairs.get(pairs).unwrap_or_default() }
    }
}

/// Takes those fields that the payload holds, whatever they are.
#[inline(never)]
fn each<S: Sink>(fields: &[Field], payload: &[u8; FD_LEN_MAX], len: usize, sink: &mut S) {
    for field in fields {
        if field.extractor.end() <= len {
            sink.any(field, field.extractor.read(payload));
        }
    }
}

impl Selection {
    #[inline]
    fn block_of(&self, value: u64) -> Block {
        if let Some(block) = usize::try_from(value).ok().and_then(|value| self.dense.get(value)) {
            return *block;
        }
        self.search(value)
    }

    #[inline(never)]
    fn search(&self, value: u64) -> Block {
        let at = self.cases.partition_point(|(_, last, _)| *last < value);
        let case = self.cases.get(at).filter(|(first, _, _)| *first <= value);
        case.map_or(Block::default(), |(_, _, block)| *block)
    }
}
