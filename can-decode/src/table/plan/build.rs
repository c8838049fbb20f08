//! From signals to a plan.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::pair::Pair;
use super::{Action, Block, Field, Number, Plan, Rest, Selection, Step};
use crate::extract::{ByteOrder, Extractor};
use crate::signal::{Signal, ValueKind};
use crate::table::BRANCH_DEPTH_MAX;

/// Most fields of a plan. A signal that several values of a multiplexor share is there once for each set of signals it
/// belongs to; the largest message of the 251 real files that were looked at has 1,600.
const FIELDS_MAX: usize = 1 << 16;
/// Multiplexors up to this wide find their branch in a table with a place for each value.
const DENSE_BITS_MAX: u8 = 8;

/// Why a message cannot be decoded, as a remedy can be told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::table) enum PlanError {
    Misfit,
    Branches,
    TooMany,
}

impl PlanError {
    pub(in crate::table) const fn text(self) -> &'static str {
        match self {
            Self::Misfit => "it has a signal that does not fit in 64 bytes",
            Self::Branches => {
                "its multiplexors hang on each other in a circle, on no signal of it, or more than 8 deep"
            }
            Self::TooMany => "its branches overlap in more than 65,536 ways; give each value its own signals",
        }
    }
}

impl Plan {
    pub(in crate::table) fn compile(signals: &[Signal], in_parts: bool) -> Result<Self, PlanError> {
        let extractors: Option<Vec<Extractor>> = signals.iter().map(extractor).collect();
        let extractors = extractors.ok_or(PlanError::Misfit)?;
        if signals.len() >= usize::from(u16::MAX) || !signals.iter().all(|signal| ends(signals, signal)) {
            return Err(PlanError::Branches);
        }
        let mut hanging: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, signal) in signals.iter().enumerate() {
            if let Some(branch) = &signal.branch {
                hanging.entry(branch.multiplexor).or_default().push(index);
            }
        }
        let mut build = Build { signals, extractors: &extractors, hanging, ..Build::default() };
        let always: Vec<usize> = signals
            .iter()
            .enumerate()
            .filter(|(_, signal)| signal.branch.is_none())
            .map(|(index, _)| index)
            .collect();
        let root = build.block(&always)?;
        Ok(build.plan(root, in_parts))
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
    /// The signals that are present at some values of a multiplexor.
    hanging: BTreeMap<usize, Vec<usize>>,
    fields: Vec<Field>,
    pairs: Vec<Pair>,
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
            // Each block that has the multiplexor has all that hangs on it.
            let Some(hanging) = self.hanging.get(multiplexor).cloned() else { continue };
            if let Some(extractor) = self.extractors.get(*multiplexor) {
                let selection = self.selection(*multiplexor, *extractor, &hanging)?;
                let index = self.selections.len() as u32;
                self.selections.push(selection);
                let end = extractor.end() as u8;
                steps.push(Step { action: Action::Select, end, first: index, last: index + 1, pairs: 0 });
            }
        }
        // Those of the blocks below are in the list already; a block's own stay together.
        let first = self.steps.len() as u32;
        self.steps.extend(steps);
        let block = Block { first, last: self.steps.len() as u32 };
        self.known.insert(members.to_vec(), block);
        Ok(block)
    }

    fn selection(
        &mut self,
        multiplexor: usize,
        selector: Extractor,
        hanging: &[usize],
    ) -> Result<Selection, PlanError> {
        // Where signals appear and disappear, by value. Between two neighbouring places the same ones are present.
        let mut changes = Vec::new();
        for signal in hanging {
            let branch = self.signals.get(*signal).and_then(|signal| signal.branch.as_ref());
            for (first, last) in branch.map_or(&[][..], |branch| branch.ranges.as_slice()) {
                changes.push((*first, true, *signal));
                changes.extend(last.checked_add(1).map(|after| (after, false, *signal)));
            }
        }
        changes.sort_unstable();
        let (mut cases, mut present) = (Vec::new(), BTreeMap::<usize, usize>::new());
        let mut places = changes.chunk_by(|one, other| one.0 == other.0).peekable();
        while let Some(place) = places.next() {
            for (_, appears, signal) in place {
                // Ranges of one signal may overlap: it is gone with the last of them.
                let ranges = present.entry(*signal).or_default();
                *ranges = if *appears { *ranges + 1 } else { ranges.saturating_sub(1) };
                if *ranges == 0 {
                    present.remove(signal);
                }
            }
            let (Some((first, ..)), next) = (place.first(), places.peek().and_then(|next| next.first()))
            else {
                continue;
            };
            let members: Vec<usize> = present.keys().copied().collect();
            if !members.is_empty() {
                let last = next.map_or(u64::MAX, |(next, ..)| next - 1);
                cases.push((*first, last, self.block(&members)?));
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
            _ if !Pair::takes(field) => Action::Other,
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
            // Only with Intel, where whole messages often have no sign: with Motorola, one more branch is guessed wrong more
            // often than the shorter loop makes up for (W1 of the benchmark, raw values).
            let action = match same.first().map_or(Action::Other, load) {
                Action::FirstIntel if unsigned => Action::FirstIntelUnsigned,
                action => action,
            };
            let pairs = self.pairs.len() as u32;
            if action != Action::Other {
                self.pairs.extend(Pair::all_of(same));
            }
            let end = same.iter().map(|field| field.extractor.end() as u8).max().unwrap_or_default();
            steps.push(Step { action, end, first, last: self.fields.len() as u32, pairs });
        }
        Ok(steps)
    }

    /// The plan that begins with the block `root`, which was the last to be made.
    fn plan(self, mut root: Block, in_parts: bool) -> Plan {
        let room = self.signals.len() as u16 + 1;
        let step = self
            .steps
            .get(root.first as usize)
            .filter(|step| root.first < root.last && step.action != Action::Select);
        let Some(step) = step.copied() else {
            // Nothing is always there.
            return Plan {
                first: Box::default(),
                pairs: Box::default(),
                action: Action::Other,
                end: 0,
                in_parts,
                room,
                rest: self.rest(root),
            };
        };
        root.first += 1;
        let first = self.fields.get(step.first as usize..step.last as usize).unwrap_or_default();
        let pairs = self.pairs.get(step.pairs as usize..).unwrap_or_default();
        let pairs = pairs.iter().take(first.len().div_ceil(2)).copied().collect();
        Plan {
            first: first.into(),
            pairs,
            action: step.action,
            end: step.end,
            in_parts,
            room,
            rest: self.rest(root),
        }
    }

    fn rest(self, root: Block) -> Option<Box<Rest>> {
        (root.first < root.last).then(|| {
            Box::new(Rest {
                steps: self.steps.into_boxed_slice(),
                fields: self.fields.into_boxed_slice(),
                pairs: self.pairs.into_boxed_slice(),
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
