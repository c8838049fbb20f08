//! The steps that take a message's signals out of a payload, worked out before the first frame.
//!
//! ```text
//! Plan ── Block 0: Steps ── fields that are loaded the same way, of the signals that are always there
//!                   └────── a Selection by a multiplexor's value ── Block n: Steps for the signals of that value …
//! ```

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::BRANCH_DEPTH_MAX;
use crate::extract::{ByteOrder, Extractor};
use crate::frame::{CLASSIC_LEN_MAX, FD_LEN_MAX};
use crate::signal::{Raw, Sample, Signal, ValueKind};

/// Most fields of a plan. A signal that several values of a multiplexor share is there once for each set of signals it
/// belongs to; the largest message of the 251 real files that were looked at has 1,600.
const FIELDS_MAX: usize = 1 << 16;
/// Multiplexors up to this wide find their branch in a table with a place for each value.
const DENSE_BITS_MAX: u8 = 8;

/// Why a message cannot be decoded, as a remedy can be told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlanError {
    Misfit,
    Branches,
    TooMany,
}

impl PlanError {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Misfit => "it has a signal that does not fit in 64 bytes",
            Self::Branches => {
                "its multiplexors hang on each other in a circle, on no signal of it, or more than 8 deep"
            }
            Self::TooMany => "its branches overlap in more than 65,536 ways; give each value its own signals",
        }
    }
}

/// See the module. What every frame needs of it is in one line of the cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Plan {
    /// The first step's fields; with most messages, all.
    first: Box<[Field]>,
    action: Action,
    /// Payload length from which on the first step's fields are there.
    end: u8,
    rest: Option<Box<Rest>>,
}

/// What comes after the first step.
#[derive(Clone, Debug)]
struct Rest {
    steps: Box<[Step]>,
    fields: Box<[Field]>,
    selections: Box<[Selection]>,
    /// The other signals that are always there.
    root: Block,
}

/// A signal at one place of the plan.
#[derive(Clone, Copy, Debug)]
struct Field {
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// Integers without a sign in the payload's first eight bytes, Intel.
    FirstIntelUnsigned,
    /// Integers of which some have a sign, there.
    FirstIntel,
    /// Integers without a sign in the payload's first eight bytes, Motorola.
    FirstMotorolaUnsigned,
    /// Integers of which some have a sign, there.
    FirstMotorola,
    /// Integers in eight bytes anywhere, Intel.
    Intel,
    /// Integers in eight bytes anywhere, Motorola.
    Motorola,
    /// Floats, and what else is rare.
    Other,
    /// A multiplexor chooses a further block.
    Select,
}

/// Signals that are present together: a range of steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Takes fields as they come out of a payload.
///
/// Its state is to stay in registers on the way that nearly every frame goes, so that only what is inlined there may
/// have its address; everything else is lent a copy.
trait Sink: Sized {
    /// Fields of [`Number::Integer`].
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64);
    /// One field of any kind.
    fn other(&mut self, field: &Field, raw: u64);
}

impl Plan {
    pub(super) fn compile(signals: &[Signal]) -> Result<Self, PlanError> {
        let extractors: Option<Vec<Extractor>> = signals.iter().map(extractor).collect();
        let extractors = extractors.ok_or(PlanError::Misfit)?;
        if signals.len() > usize::from(u16::MAX) || !signals.iter().all(|signal| ends(signals, signal)) {
            return Err(PlanError::Branches);
        }
        let mut build = Build { signals, extractors: &extractors, ..Build::default() };
        let always: Vec<usize> = signals
            .iter()
            .enumerate()
            .filter(|(_, signal)| signal.branch.is_none())
            .map(|(index, _)| index)
            .collect();
        let root = build.block(&always)?;
        Ok(build.plan(root))
    }

    /// Visits every present signal with its raw value; how many there were.
    #[inline]
    pub(super) fn raw(&self, payload: &[u8; FD_LEN_MAX], len: usize, visit: impl FnMut(usize, Raw)) -> usize {
        self.walk(payload, len, RawVisitor { visit, taken: 0 }).taken
    }

    /// Fills `out` with the physical values of the present signals, as far as it goes; how many there were.
    #[inline]
    pub(super) fn physical_into(
        &self,
        payload: &[u8; FD_LEN_MAX],
        len: usize,
        out: &mut [Sample<f64>],
    ) -> usize {
        self.walk(payload, len, PhysicalBuffer { free: out, taken: 0 }).taken
    }

    /// Visits every present signal with its physical value; how many there were.
    #[inline]
    pub(super) fn physical(
        &self,
        payload: &[u8; FD_LEN_MAX],
        len: usize,
        visit: impl FnMut(usize, f64),
    ) -> usize {
        self.walk(payload, len, PhysicalVisitor { visit, taken: 0 }).taken
    }

    #[inline]
    fn walk<S: Sink>(&self, payload: &[u8; FD_LEN_MAX], len: usize, mut sink: S) -> S {
        if usize::from(self.end) <= len && self.action < Action::Other {
            integers(&self.first, self.action, payload, &mut sink);
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
    /// Calls itself for the blocks that multiplexors choose, which nest no deeper than [`BRANCH_DEPTH_MAX`].
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
            let fields = self.fields.get(step.first as usize..step.last as usize).unwrap_or_default();
            if complete && step.action < Action::Other {
                integers(fields, step.action, payload, sink);
            } else {
                each(fields, payload, len, sink);
            }
        }
    }
}

/// Takes fields that are all there, by the action they were sorted under.
#[inline]
fn integers(fields: &[Field], action: Action, payload: &[u8; FD_LEN_MAX], sink: &mut impl Sink) {
    let first: [u8; CLASSIC_LEN_MAX] = payload.first_chunk().copied().unwrap_or_default();
    let (intel, motorola) = (u64::from_le_bytes(first), u64::from_be_bytes(first));
    match action {
        Action::FirstIntelUnsigned => sink.integers(fields, |field| field.pick_unsigned(intel)),
        Action::FirstIntel => sink.integers(fields, |field| field.pick(intel)),
        Action::FirstMotorolaUnsigned => sink.integers(fields, |field| field.pick_unsigned(motorola)),
        Action::FirstMotorola => sink.integers(fields, |field| field.pick(motorola)),
        Action::Intel => sink.integers(fields, |field| field.pick(field.intel(payload))),
        Action::Motorola => sink.integers(fields, |field| field.pick(field.motorola(payload))),
        Action::Other | Action::Select => {}
    }
}

/// Takes those fields that the payload holds, whatever they are.
#[inline(never)]
fn each<S: Sink>(fields: &[Field], payload: &[u8; FD_LEN_MAX], len: usize, sink: &mut S) {
    for field in fields {
        if field.extractor.end() <= len {
            sink.other(field, field.extractor.read(payload));
        }
    }
}

struct RawVisitor<F> {
    visit: F,
    taken: usize,
}

impl<F: FnMut(usize, Raw)> Sink for RawVisitor<F> {
    #[inline]
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64) {
        for field in fields {
            (self.visit)(usize::from(field.signal), Raw(read(&field.extractor)));
        }
        self.taken += fields.len();
    }

    #[inline]
    fn other(&mut self, field: &Field, raw: u64) {
        (self.visit)(usize::from(field.signal), Raw(raw));
        self.taken += 1;
    }
}

struct PhysicalVisitor<F> {
    visit: F,
    taken: usize,
}

impl<F: FnMut(usize, f64)> Sink for PhysicalVisitor<F> {
    #[inline]
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64) {
        for field in fields {
            let value = read(&field.extractor) as i64 as f64 * field.factor + field.offset;
            (self.visit)(usize::from(field.signal), value);
        }
        self.taken += fields.len();
    }

    #[inline]
    fn other(&mut self, field: &Field, raw: u64) {
        (self.visit)(usize::from(field.signal), field.number.of(raw) * field.factor + field.offset);
        self.taken += 1;
    }
}

/// Fills a buffer with physical values.
struct PhysicalBuffer<'a> {
    free: &'a mut [Sample<f64>],
    taken: usize,
}

impl Sink for PhysicalBuffer<'_> {
    #[inline]
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64) {
        let all = core::mem::take(&mut self.free);
        let (places, free) =
            if fields.len() <= all.len() { all.split_at_mut(fields.len()) } else { (all, &mut [][..]) };
        for (place, field) in places.iter_mut().zip(fields) {
            let value = read(&field.extractor) as i64 as f64 * field.factor + field.offset;
            *place = Sample { signal: field.signal, value };
        }
        self.free = free;
        self.taken += fields.len();
    }

    #[inline]
    fn other(&mut self, field: &Field, raw: u64) {
        if let Some((place, free)) = core::mem::take(&mut self.free).split_first_mut() {
            *place =
                Sample { signal: field.signal, value: field.number.of(raw) * field.factor + field.offset };
            self.free = free;
        }
        self.taken += 1;
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

impl Number {
    #[inline]
    fn of(self, raw: u64) -> f64 {
        match self {
            Self::Integer => raw as i64 as f64,
            Self::Unsigned64 => raw as f64,
            Self::F32 => f64::from(f32::from_bits(raw as u32)),
            Self::F64 => f64::from_bits(raw),
        }
    }
}

fn extractor(signal: &Signal) -> Option<Extractor> {
    let signed = signal.kind == ValueKind::Signed;
    Extractor::new(signal.start_bit, signal.bits, signal.byte_order, signed)
}

/// Whether the branches around `signal` end, soon enough, in a signal that is always there.
fn ends(signals: &[Signal], signal: &Signal) -> bool {
    let mut branch = signal.branch.as_ref();
    for _ in 0..=BRANCH_DEPTH_MAX {
        let Some(inner) = branch else { return true };
        let Some(multiplexor) = signals.get(inner.multiplexor) else { return false };
        branch = multiplexor.branch.as_ref();
    }
    false
}

/// A plan while it is made.
#[derive(Default)]
struct Build<'a> {
    signals: &'a [Signal],
    extractors: &'a [Extractor],
    fields: Vec<Field>,
    steps: Vec<Step>,
    selections: Vec<Selection>,
    /// Blocks by their signals: values with the same signals share one.
    known: BTreeMap<Vec<usize>, Block>,
}

impl Build<'_> {
    /// The block of these signals, which are present together, and of all that hang on them.
    fn block(&mut self, members: &[usize]) -> Result<Block, PlanError> {
        if let Some(block) = self.known.get(members) {
            return Ok(*block);
        }
        let mut steps = self.take_out(members)?;
        for multiplexor in members {
            let hanging = self.hanging(*multiplexor);
            if let Some(extractor) = self.extractors.get(*multiplexor).filter(|_| !hanging.is_empty()) {
                let selection = self.selection(*multiplexor, *extractor, &hanging)?;
                let index = self.selections.len() as u32;
                self.selections.push(selection);
                let end = extractor.end() as u8;
                steps.push(Step { action: Action::Select, end, first: index, last: index + 1 });
            }
        }
        // Those of the blocks below are in the list already; a block's own stay together.
        let first = self.steps.len() as u32;
        self.steps.extend(steps);
        let block = Block { first, last: self.steps.len() as u32 };
        self.known.insert(members.to_vec(), block);
        Ok(block)
    }

    /// The signals that are present at some values of `multiplexor`.
    fn hanging(&self, multiplexor: usize) -> Vec<usize> {
        let on_it =
            |signal: &Signal| signal.branch.as_ref().is_some_and(|branch| branch.multiplexor == multiplexor);
        self.signals.iter().enumerate().filter(|(_, signal)| on_it(signal)).map(|(index, _)| index).collect()
    }

    fn ranges(&self, signal: usize) -> &[(u64, u64)] {
        let branch = self.signals.get(signal).and_then(|signal| signal.branch.as_ref());
        branch.map_or(&[], |branch| branch.ranges.as_slice())
    }

    fn selection(
        &mut self,
        multiplexor: usize,
        selector: Extractor,
        hanging: &[usize],
    ) -> Result<Selection, PlanError> {
        // Between two neighbouring edges the same signals are present.
        let mut edges = BTreeSet::new();
        for (first, last) in hanging.iter().flat_map(|signal| self.ranges(*signal)) {
            edges.insert(*first);
            edges.extend(last.checked_add(1));
        }
        let mut cases = Vec::new();
        let mut edges = edges.into_iter().peekable();
        while let Some(first) = edges.next() {
            let last = edges.peek().map_or(u64::MAX, |next| next - 1);
            let holds = |signal: &&usize| {
                self.ranges(**signal).iter().any(|(low, high)| (*low..=*high).contains(&first))
            };
            let members: Vec<usize> = hanging.iter().filter(holds).copied().collect();
            if !members.is_empty() {
                cases.push((first, last, self.block(&members)?));
            }
        }
        let mut selection = Selection { selector, dense: Box::default(), cases: cases.into_boxed_slice() };
        let bits = self.signals.get(multiplexor).map_or(0, |signal| signal.bits);
        if bits <= DENSE_BITS_MAX {
            selection.dense = (0..1 << bits).map(|value| selection.search(value)).collect();
        }
        Ok(selection)
    }

    /// Steps that take these signals out, those that are loaded the same way together.
    fn take_out(&mut self, members: &[usize]) -> Result<Vec<Step>, PlanError> {
        let mut fields: Vec<Field> = members.iter().filter_map(|index| self.field(*index)).collect();
        if self.fields.len() + fields.len() > FIELDS_MAX {
            return Err(PlanError::TooMany);
        }
        let in_first_word = fields.iter().all(|field| field.extractor.in_first_word());
        let load = |field: &Field| match field.extractor.order() {
            _ if field.number != Number::Integer || field.extractor.is_wide() => Action::Other,
            ByteOrder::Intel if in_first_word => Action::FirstIntel,
            ByteOrder::Motorola if in_first_word => Action::FirstMotorola,
            ByteOrder::Intel => Action::Intel,
            ByteOrder::Motorola => Action::Motorola,
        };
        // Keeps the order of equals.
        fields.sort_by_key(load);
        let mut steps: Vec<Step> = Vec::new();
        for same in fields.chunk_by(|one, other| load(one) == load(other)) {
            let first = self.fields.len() as u32;
            self.fields.extend_from_slice(same);
            let unsigned = same.iter().all(|field| !field.extractor.is_signed());
            let action = match same.first().map_or(Action::Other, load) {
                Action::FirstIntel if unsigned => Action::FirstIntelUnsigned,
                Action::FirstMotorola if unsigned => Action::FirstMotorolaUnsigned,
                action => action,
            };
            let end = same.iter().map(|field| field.extractor.end() as u8).max().unwrap_or_default();
            steps.push(Step { action, end, first, last: self.fields.len() as u32 });
        }
        Ok(steps)
    }

    /// The plan that begins with the block `root`, which was the last to be made.
    fn plan(self, mut root: Block) -> Plan {
        let step = self
            .steps
            .get(root.first as usize)
            .filter(|step| root.first < root.last && step.action != Action::Select);
        let Some(step) = step.copied() else {
            // Nothing is always there.
            return Plan { first: Box::default(), action: Action::Other, end: 0, rest: self.rest(root) };
        };
        root.first += 1;
        let first = self.fields.get(step.first as usize..step.last as usize).unwrap_or_default().into();
        Plan { first, action: step.action, end: step.end, rest: self.rest(root) }
    }

    fn rest(self, root: Block) -> Option<Box<Rest>> {
        (root.first < root.last).then(|| {
            Box::new(Rest {
                steps: self.steps.into_boxed_slice(),
                fields: self.fields.into_boxed_slice(),
                selections: self.selections.into_boxed_slice(),
                root,
            })
        })
    }

    fn field(&self, index: usize) -> Option<Field> {
        let signal = self.signals.get(index)?;
        let number = match signal.kind {
            ValueKind::F32 => Number::F32,
            ValueKind::F64 => Number::F64,
            ValueKind::Unsigned if signal.bits == 64 => Number::Unsigned64,
            ValueKind::Unsigned | ValueKind::Signed => Number::Integer,
        };
        let extractor = *self.extractors.get(index)?;
        Some(Field { extractor, factor: signal.factor, offset: signal.offset, signal: index as u16, number })
    }
}
