//! Messages longer than a frame, read along (ISO 15765-2:2016, "ISO-TP"): a listener that never sends.
//!
//! Followed are single frames (also CAN-FD's long form), first frames (12 and 32 bits of length), consecutive frames
//! with their sequence numbers, and flow control; classical and CAN-FD lengths, padded or not; normal, normal fixed,
//! extended and mixed addressing (see [`Channels`]). The two directions of a channel are independent of each other.
//!
//! A listener must not invent: a message is given when every byte of it came in sequence, or it is abandoned, counted,
//! and told with its reason. What 4 bits of sequence number cannot tell, nobody can who listens: the loss of exactly 16
//! frames (or 32, …) in a row looks like none until the sender falls silent or begins anew, and the end of one message and
//! the beginning of the next, lost together, can leave pieces that fit.

mod channel;
mod channels;
mod counters;
mod flow;
mod pci;
mod transfer;

pub use channel::{Channel, ChannelError, Direction, Endpoint, Route};
pub use channels::{CHANNELS_MAX, Channels};
pub use counters::{Abandon, Counters, Ignored};
pub use flow::{FlowControl, FlowSeen, FlowStatus, SeparationTime};

use crate::frame::Frame;
use crate::time::RealtimeNanos;
use pci::Pci;
use transfer::{Refusal, Transfer, Transfers};

/// What a listener may use. Memory is `transfers` × `message_bytes`, and is taken once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of several frames at the same time; 0 counts as 1. Beyond, the stalest is abandoned.
    pub transfers: u16,
    /// Bytes kept of a message of several frames. Longer ones are followed to their end, with their head kept.
    pub message_bytes: u32,
    /// Nanoseconds between two frames of a message, by their own stamps, after which it is abandoned (`N_Cr`).
    pub timeout_ns: i64,
}

impl Default for Limits {
    /// 16 messages at a time, all of what classical CAN's usual form holds (4,095 bytes), and the second that
    /// ISO 15765-2:2016 §9.8 gives as `N_Cr`.
    fn default() -> Self {
        Self { transfers: 16, message_bytes: pci::SHORT_LEN_MAX, timeout_ns: 1_000_000_000 }
    }
}

/// A complete message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Sender and direction.
    pub route: Route,
    /// Stamp of its first frame.
    pub started: RealtimeNanos,
    /// Stamp of its last frame.
    pub completed: RealtimeNanos,
    /// Bytes it had on the bus.
    pub len: u32,
    /// Frames it took, flow control aside.
    pub frames: u32,
    /// What the receiver asked for.
    pub flow: FlowSeen,
    /// The message, or its head when [`Self::is_truncated`].
    pub data: &'a [u8],
}

impl Message<'_> {
    /// Whether the message was longer than [`Limits::message_bytes`].
    pub const fn is_truncated(&self) -> bool {
        self.data.len() < self.len as usize
    }
}

/// A message that began and will not be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abandoned<'a> {
    /// Why.
    pub reason: Abandon,
    /// Sender and direction.
    pub route: Route,
    /// Stamp of its first frame.
    pub started: RealtimeNanos,
    /// Bytes that it was to have.
    pub len: u32,
    /// Bytes that came.
    pub received: u32,
    /// Those of them that were kept.
    pub data: &'a [u8],
}

/// What a frame led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message is complete.
    Message(Message<'a>),
    /// A message was given up.
    Abandoned(Abandoned<'a>),
}

/// Puts the messages of one bus together. Nothing is allocated after [`Self::new`].
#[derive(Debug)]
pub struct Reassembler {
    channels: Channels,
    transfers: Transfers,
    timeout_ns: i64,
    /// No transfer times out up to this stamp.
    deadline: RealtimeNanos,
    counters: Counters,
}

const NEVER: RealtimeNanos = RealtimeNanos(i64::MAX);

impl Reassembler {
    /// Follows `channels`.
    pub fn new(channels: Channels, limits: Limits) -> Self {
        let transfers = Transfers::new(usize::from(limits.transfers.max(1)), limits.message_bytes as usize);
        Self {
            channels,
            transfers,
            timeout_ns: limits.timeout_ns,
            deadline: NEVER,
            counters: Counters::default(),
        }
    }

    /// Takes one frame of the bus, in the order of the bus, with its stamp. At most one message is complete with it, and
    /// is told last; others may be abandoned, because their time is over or this frame cannot be theirs.
    ///
    /// Frames that are on no channel, remote requests and error frames only make time pass.
    pub fn push(&mut self, time: RealtimeNanos, frame: &Frame, mut sink: impl FnMut(Event<'_>)) {
        if time > self.deadline {
            self.expire(time, &mut sink);
        }
        let Some(route) = self.channels.find(frame).filter(|_| frame.is_data()) else { return };
        self.counters.frames += 1;
        let functional = route.direction == Direction::FunctionalRequest;
        match pci::read(frame, route.sender.address_bytes()) {
            Err(reason) => self.counters.count_ignored(reason),
            Ok(Pci::Single(data)) => self.single(time, route, data, &mut sink),
            Ok(_) if functional => self.counters.count_ignored(Ignored::FunctionalSegment),
            Ok(Pci::First { len, head }) => {
                let transfer = Transfer::new(route, time, len, frame.data().len());
                self.begin(transfer, head, &mut sink);
            }
            Ok(Pci::Consecutive { sequence, rest }) => {
                self.consecutive(time, route, sequence, frame.data().len(), rest, &mut sink);
            }
            Ok(Pci::FlowControl(control)) => self.flow_control(time, route, control, &mut sink),
        }
    }

    /// Abandons the messages whose next frame is overdue at `time`; [`Self::push`] does so by itself.
    pub fn expire(&mut self, time: RealtimeNanos, mut sink: impl FnMut(Event<'_>)) {
        let limit = RealtimeNanos(time.0.saturating_sub(self.timeout_ns));
        while let Some(at) = self.transfers.last_before(limit) {
            self.abandon(at, Abandon::TimedOut, &mut sink);
        }
        self.deadline = self.transfers.oldest().map_or(NEVER, |last| self.deadline_after(last));
    }

    /// Abandons what is under way: the recording has ended or the bus is gone.
    pub fn finish(&mut self, mut sink: impl FnMut(Event<'_>)) {
        while let Some(at) = self.transfers.stalest() {
            self.abandon(at, Abandon::Ended, &mut sink);
        }
        self.deadline = NEVER;
    }

    /// What was seen so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Messages that began and wait for frames.
    pub fn under_way(&self) -> usize {
        self.transfers.iter().count()
    }

    fn deadline_after(&self, last: RealtimeNanos) -> RealtimeNanos {
        RealtimeNanos(last.0.saturating_add(self.timeout_ns))
    }

    /// A transfer was alive at `last`, which a clock that was set back may put before what is known of it.
    fn watch(&mut self, last: RealtimeNanos) {
        self.deadline = self.deadline.min(self.deadline_after(last));
    }

    fn single(&mut self, time: RealtimeNanos, route: Route, data: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        self.counters.single_frames += 1;
        self.counters.messages += 1;
        if let Some(at) = self.transfers.find(route.sender) {
            self.abandon(at, Abandon::Interrupted, sink);
        }
        let (len, flow) = (data.len() as u32, FlowSeen::default());
        sink(Event::Message(Message { route, started: time, completed: time, len, frames: 1, flow, data }));
    }

    fn begin(&mut self, transfer: Transfer, head: &[u8], sink: &mut impl FnMut(Event<'_>)) {
        self.counters.first_frames += 1;
        if let Some(at) = self.transfers.find(transfer.route.sender) {
            self.abandon(at, Abandon::Interrupted, sink);
        } else if self.transfers.free().is_none()
            && let Some(at) = self.transfers.stalest()
        {
            self.abandon(at, Abandon::Displaced, sink);
        }
        // There is one now: a transfer was abandoned, or a place was free before.
        let Some(at) = self.transfers.free() else { return };
        self.watch(transfer.last);
        self.transfers.begin(at, transfer, head);
    }

    fn consecutive(
        &mut self,
        time: RealtimeNanos,
        route: Route,
        sequence: u8,
        frame_len: usize,
        rest: &[u8],
        sink: &mut impl FnMut(Event<'_>),
    ) {
        let found = self.transfers.find(route.sender);
        let Some((at, transfer)) = found.and_then(|at| Some((at, self.transfers.get_mut(at)?))) else {
            self.counters.count_ignored(Ignored::StrayConsecutive);
            return;
        };
        let content = match transfer.accept(sequence, frame_len, rest) {
            Ok(content) => content,
            Err(Refusal::Length) => {
                self.counters.count_ignored(Ignored::ConsecutiveLength);
                return;
            }
            Err(Refusal::Sequence) => {
                self.counters.consecutive_frames += 1;
                self.abandon(at, Abandon::WrongSequence, sink);
                return;
            }
        };
        self.counters.consecutive_frames += 1;
        if !self.transfers.append(at, time, content) {
            self.watch(time);
            return;
        }
        if let Some((transfer, data)) = self.transfers.take(at) {
            let Transfer { route, started, len, frames, flow, .. } = transfer;
            let message = Message { route, started, completed: time, len, frames, flow, data };
            self.counters.messages += 1;
            self.counters.truncated += u64::from(message.is_truncated());
            sink(Event::Message(message));
        }
    }

    /// Flow control goes against the message that it is for.
    fn flow_control(
        &mut self,
        time: RealtimeNanos,
        route: Route,
        control: FlowControl,
        sink: &mut impl FnMut(Event<'_>),
    ) {
        let found = route.partner.and_then(|partner| self.transfers.find(partner));
        let Some((at, transfer)) = found.and_then(|at| Some((at, self.transfers.get_mut(at)?))) else {
            self.counters.count_ignored(Ignored::StrayFlowControl);
            return;
        };
        self.counters.flow_controls += 1;
        transfer.last = time;
        transfer.flow.add(control);
        self.watch(time);
        if control.status == FlowStatus::Overflow {
            self.abandon(at, Abandon::Overflow, sink);
        }
    }

    fn abandon(&mut self, at: usize, reason: Abandon, sink: &mut impl FnMut(Event<'_>)) {
        if let Some((transfer, data)) = self.transfers.take(at) {
            self.counters.count_abandoned(reason);
            let Transfer { route, started, len, received, .. } = transfer;
            sink(Event::Abandoned(Abandoned { reason, route, started, len, received, data }));
        }
    }
}

#[cfg(test)]
mod tests;
