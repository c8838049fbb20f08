//! One compiled message: its signals, and the steps that take them out of a payload.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::database::MessageDefinition;
use crate::extract::Extractor;
use crate::frame::{CLASSIC_LEN_MAX, CanId, FD_LEN_MAX, Frame};
use crate::signal::{Branch, Raw, Signal, ValueKind};
use crate::trace::{TraceContext, TraceError};

/// A message of a [`DecodeTable`](super::DecodeTable).
#[derive(Clone, Debug)]
pub struct Message {
    /// The short name (`BO_`).
    pub name: String,
    /// `SystemMessageLongSymbol`, where it is given.
    pub long_name: Option<String>,
    /// Identifier it was defined with.
    pub id: CanId,
    /// Whether frames match by J1939 parameter group, so that their identifier may differ from `id`.
    pub by_pgn: bool,
    /// Declared length in bytes; 255 stands for 255 and more, which takes a transport protocol.
    pub len: u8,
    /// Whether the database says CAN-FD.
    pub fd: bool,
    /// Whether it is a J1939 parameter group; above 8 bytes those come in parts on a classical bus.
    pub j1939: bool,
    /// Byte offset of the 25-byte trace context in the payload.
    pub trace_context_offset: Option<u8>,
    /// Cycle time in milliseconds, where the database gives one; never 0.
    pub cycle_time_ms: Option<u32>,
    /// Sending node, where one is named.
    pub sender: Option<String>,
    /// Signals in the order of the database; samples refer to them by index.
    pub signals: Vec<Signal>,
    extractors: Box<[Extractor]>,
    gates: Box<[Gate]>,
    runs: Box<[Run]>,
}

/// What became of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// How many signals were reported.
    pub reported: usize,
    /// The payload is shorter than the message's declared length; signals that it cuts off were not reported.
    pub short: bool,
    /// The frame is one part of a longer J1939 message: nothing was reported, the parts must be joined first.
    pub needs_transport: bool,
}

/// Neighbouring signals that are present together.
#[derive(Clone, Debug)]
struct Run {
    /// Index of the gate they stand behind.
    gate: Option<usize>,
    start: usize,
    end: usize,
}

/// A multiplexor's value that opens a branch.
#[derive(Clone, Debug)]
struct Gate {
    selector: Extractor,
    /// The gate in front of the multiplexor itself.
    outer: Option<usize>,
    ranges: Box<[(u64, u64)]>,
}

impl Message {
    /// `None` when a signal does not fit in 64 bytes, a branch names no signal of the message, or branches hang on
    /// each other in a circle or too deep.
    pub(super) fn compile(definition: &MessageDefinition, by_pgn: bool) -> Option<Self> {
        let signals = &definition.signals;
        let extractors: Option<Box<[Extractor]>> = signals.iter().map(extractor).collect();
        let extractors = extractors?;
        let mut gates = Gates { signals, extractors: &extractors, made: Vec::new(), known: BTreeMap::new() };
        let mut runs: Vec<Run> = Vec::new();
        for (index, signal) in signals.iter().enumerate() {
            let gate = match &signal.branch {
                Some(branch) => Some(gates.gate(branch, 0)?),
                None => None,
            };
            match runs.last_mut() {
                Some(run) if run.gate == gate => run.end = index + 1,
                _ => runs.push(Run { gate, start: index, end: index + 1 }),
            }
        }
        let gates = gates.made.into_boxed_slice();
        Some(Self {
            name: definition.name.clone(),
            long_name: definition.long_name.clone(),
            id: definition.id,
            by_pgn,
            len: u8::try_from(definition.len).unwrap_or(u8::MAX),
            fd: definition.fd,
            j1939: definition.j1939 || by_pgn,
            trace_context_offset: definition.trace_context_offset,
            cycle_time_ms: definition.cycle_time_ms,
            sender: definition.sender.clone(),
            signals: signals.clone(),
            extractors,
            gates,
            runs: runs.into_boxed_slice(),
        })
    }

    /// Reports the signals of a frame of this message, in the order of [`Self::signals`]: index and raw value.
    ///
    /// Signals of inactive branches, and signals that do not fit completely in the payload, are not reported; where
    /// a multiplexor does not fit, nothing of its branches is. Remote requests and error frames report nothing.
    #[inline]
    pub fn decode(&self, frame: &Frame, visit: impl FnMut(usize, Raw)) -> Decoded {
        if !frame.is_data() {
            return Decoded::default();
        }
        if self.j1939 && usize::from(self.len) > CLASSIC_LEN_MAX && !frame.is_fd() {
            return Decoded { needs_transport: true, ..Decoded::default() };
        }
        self.decode_padded(frame.padded(), frame.len(), visit)
    }

    /// The same for a payload that came by other means than one frame; what is beyond 64 bytes holds no signals.
    pub fn decode_payload(&self, payload: &[u8], visit: impl FnMut(usize, Raw)) -> Decoded {
        let mut padded = [0; FD_LEN_MAX];
        let len = payload.len().min(FD_LEN_MAX);
        padded[..len].copy_from_slice(&payload[..len]);
        let decoded = self.decode_padded(&padded, len, visit);
        Decoded { short: payload.len() < usize::from(self.len), ..decoded }
    }

    #[inline]
    fn decode_padded(
        &self,
        padded: &[u8; FD_LEN_MAX],
        len: usize,
        mut visit: impl FnMut(usize, Raw),
    ) -> Decoded {
        let mut reported = 0;
        for run in &self.runs {
            if !self.is_open(run.gate, padded, len) {
                continue;
            }
            let extractors = self.extractors.get(run.start..run.end).unwrap_or_default();
            for (index, extractor) in (run.start..).zip(extractors) {
                if extractor.end() <= len {
                    visit(index, Raw(extractor.read(padded)));
                    reported += 1;
                }
            }
        }
        Decoded { reported, short: len < usize::from(self.len), needs_transport: false }
    }

    /// Whether `gate` and all gates around it are open.
    #[inline]
    fn is_open(&self, mut gate: Option<usize>, padded: &[u8; FD_LEN_MAX], len: usize) -> bool {
        while let Some(Gate { selector, outer, ranges }) = gate.and_then(|index| self.gates.get(index)) {
            if selector.end() > len {
                return false;
            }
            let value = selector.read(padded);
            if !ranges.iter().any(|(first, last)| (*first..=*last).contains(&value)) {
                return false;
            }
            gate = *outer;
        }
        true
    }

    /// The trace context a frame of this message carries; `None` where the message has no place for one.
    ///
    /// # Errors
    /// [`TraceError`] when the payload ends before the context does, or the sender left it zero.
    pub fn trace_context(&self, frame: &Frame) -> Option<Result<TraceContext, TraceError>> {
        let offset = usize::from(self.trace_context_offset?);
        Some(TraceContext::parse(frame.data().get(offset..).unwrap_or_default()))
    }
}

fn extractor(signal: &Signal) -> Option<Extractor> {
    let signed = signal.kind == ValueKind::Signed;
    Extractor::new(signal.start_bit, signal.bits, signal.byte_order, signed)
}

/// Multiplexor and its values.
type BranchKey<'a> = (usize, &'a [(u64, u64)]);

/// The gates of a message while it is compiled; equal branches share one.
struct Gates<'a> {
    signals: &'a [Signal],
    extractors: &'a [Extractor],
    made: Vec<Gate>,
    known: BTreeMap<BranchKey<'a>, usize>,
}

impl<'a> Gates<'a> {
    /// Index of the gate of `branch`, made if it is new. `depth` branches lie inside of it.
    fn gate(&mut self, branch: &'a Branch, depth: usize) -> Option<usize> {
        let key = (branch.multiplexor, branch.ranges.as_slice());
        if let Some(index) = self.known.get(&key) {
            return Some(*index);
        }
        if depth >= super::BRANCH_DEPTH_MAX {
            return None;
        }
        let selector = *self.extractors.get(branch.multiplexor)?;
        let outer = match &self.signals.get(branch.multiplexor)?.branch {
            Some(outer) => Some(self.gate(outer, depth + 1)?),
            None => None,
        };
        self.made.push(Gate { selector, outer, ranges: branch.ranges.clone().into_boxed_slice() });
        self.known.insert(key, self.made.len() - 1);
        Some(self.made.len() - 1)
    }
}
