//! One compiled message: its signals, and the steps that take them out of a payload.

use alloc::string::String;
use alloc::vec::Vec;

use super::plan::{Column, Columns, FromField, Plan, PlanError};
use crate::database::MessageDefinition;
use crate::e2e;
use crate::frame::{CLASSIC_LEN_MAX, CanId, FD_LEN_MAX, Frame};
use crate::signal::{Raw, Signal};
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
    /// End-to-end protection, where the database names one.
    pub e2e: Option<e2e::Config>,
    /// Index of the signal that may be the alive counter.
    pub alive_counter: Option<usize>,
    /// Sending node, where one is named.
    pub sender: Option<String>,
    /// Signals in the order of the database; samples refer to them by index.
    pub signals: Vec<Signal>,
    plan: Plan,
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

impl Message {
    pub(super) fn compile(definition: &MessageDefinition, by_pgn: bool) -> Result<Self, PlanError> {
        let signals = &definition.signals;
        let in_parts = (definition.j1939 || by_pgn) && usize::from(definition.len) > CLASSIC_LEN_MAX;
        Ok(Self {
            plan: Plan::compile(signals, in_parts)?,
            name: definition.name.clone(),
            long_name: definition.long_name.clone(),
            id: definition.id,
            by_pgn,
            len: u8::try_from(definition.len).unwrap_or(u8::MAX),
            fd: definition.fd,
            j1939: definition.j1939 || by_pgn,
            trace_context_offset: definition.trace_context_offset,
            cycle_time_ms: definition.cycle_time_ms,
            e2e: definition.e2e,
            alive_counter: definition.alive_counter,
            sender: definition.sender.clone(),
            signals: signals.clone(),
        })
    }

    /// Reports the signals of a frame of this message: index in [`Self::signals`] and raw value. Those that are always
    /// there come first and in order, then those of multiplexors' branches.
    ///
    /// Signals of inactive branches, and signals that do not fit completely in the payload, are not reported; where
    /// a multiplexor does not fit, nothing of its branches is. Remote requests and error frames report nothing.
    #[inline]
    pub fn decode(&self, frame: &Frame, visit: impl FnMut(usize, Raw)) -> Decoded {
        self.checked(frame, |payload, len| self.plan.visit(payload, len, visit))
    }

    /// The same with physical values, in each signal's unit: bit for bit what [`Signal::physical`] gives, but for
    /// the payload of a NaN.
    #[inline]
    pub fn decode_physical(&self, frame: &Frame, visit: impl FnMut(usize, f64)) -> Decoded {
        self.checked(frame, |payload, len| self.plan.visit(payload, len, visit))
    }

    /// The same into a buffer: indices in [`Self::signals`] and, at the same places, values, which are [`Raw`] or physical.
    /// As many places are filled as [`Decoded::reported`] says; one behind them may be written to as well. Physical values
    /// come fastest this way, if both slices have one place more than there are signals; what there is no room for is
    /// counted only.
    #[inline]
    pub fn decode_into<V: FromField>(&self, frame: &Frame, signals: &mut [u16], values: &mut [V]) -> Decoded {
        self.checked(frame, |payload, len| self.plan.fill(payload, len, signals, values))
    }

    /// Many frames of this message, signal by signal; values are [`Raw`] or physical. `visit` sees a signal of a
    /// multiplexor's branch once for each set of signals that it stands in, and no signal that no frame has. Frames that
    /// [`Self::decode`] would report nothing of are in no column. What it needs to work in is kept in `room`, and allocated
    /// only where that is too small, where multiplexors sort the frames, or where payloads are truncated.
    pub fn decode_columns<V: FromField>(
        &self,
        frames: &[Frame],
        room: &mut Columns<V>,
        mut visit: impl FnMut(Column<'_, V>),
    ) {
        let mut rows = core::mem::take(&mut room.rows);
        rows.clear();
        let holds = |frame: &Frame| frame.is_data() && (frame.is_fd() || !self.plan.in_parts());
        // Looking at all of them first leaves the usual case without a branch a frame (6 % of W2's columns).
        if frames.iter().fold(true, |all, frame| all & holds(frame)) {
            rows.extend((0..).take(frames.len()));
        } else {
            rows.extend((0..).zip(frames).filter(|(_, frame)| holds(frame)).map(|(row, _)| row));
        }
        self.plan.columns(frames, &rows, room, &mut visit);
        room.rows = rows;
    }

    #[inline]
    fn checked(&self, frame: &Frame, report: impl FnOnce(&[u8; FD_LEN_MAX], usize) -> usize) -> Decoded {
        if !frame.is_data() {
            return Decoded::default();
        }
        if self.plan.in_parts() && !frame.is_fd() {
            return Decoded { needs_transport: true, ..Decoded::default() };
        }
        let short = frame.len() < usize::from(self.len);
        Decoded { reported: report(frame.padded(), frame.len()), short, needs_transport: false }
    }

    /// [`Self::decode`] for a payload that came by other means than one frame; what is beyond 64 bytes holds no signals.
    pub fn decode_payload(&self, payload: &[u8], visit: impl FnMut(usize, Raw)) -> Decoded {
        let mut padded = [0; FD_LEN_MAX];
        let len = payload.len().min(FD_LEN_MAX);
        padded[..len].copy_from_slice(&payload[..len]);
        let reported = self.plan.visit(&padded, len, visit);
        Decoded { reported, short: payload.len() < usize::from(self.len), needs_transport: false }
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
