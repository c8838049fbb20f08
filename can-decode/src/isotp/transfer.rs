//! Messages under way: a fixed number of places, each with a fixed number of bytes.

use alloc::boxed::Box;
use alloc::vec;

use super::channel::{Endpoint, Route};
use super::flow::FlowSeen;
use crate::time::RealtimeNanos;

/// A message whose first frame was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    pub(super) route: Route,
    pub(super) started: RealtimeNanos,
    /// Of the last frame that kept the transfer alive: its own, or flow control for it.
    pub(super) last: RealtimeNanos,
    /// Bytes that the first frame announced.
    pub(super) len: u32,
    /// Bytes that came; only the head of them may be stored.
    pub(super) received: u32,
    pub(super) frames: u32,
    pub(super) flow: FlowSeen,
    /// Length of the first frame, which all but the last one share (`RX_DL`).
    frame_len: u8,
    next_sequence: u8,
    /// When it was last fed, counted in frames: stamps may stand still.
    turn: u64,
}

/// Why a consecutive frame is not the next one of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Sequence,
    Length,
}

impl Transfer {
    pub(super) fn new(route: Route, time: RealtimeNanos, len: u32, frame_len: usize) -> Self {
        Self {
            route,
            started: time,
            last: time,
            len,
            received: 0,
            frames: 1,
            flow: FlowSeen::default(),
            frame_len: frame_len as u8,
            // §9.6.4.3: the first frame counts as 0.
            next_sequence: 1,
            turn: 0,
        }
    }

    /// What of the consecutive frame with the bytes `rest` behind its control byte belongs to the message. A frame out of
    /// sequence ends the message; one of the wrong length does not count (§9.6.4).
    pub(super) fn accept<'a>(
        &self,
        sequence: u8,
        frame_len: usize,
        rest: &'a [u8],
    ) -> Result<&'a [u8], Refusal> {
        if sequence != self.next_sequence {
            return Err(Refusal::Sequence);
        }
        let capacity = usize::from(self.frame_len).saturating_sub(1 + self.route.sender.address_bytes());
        let missing = (self.len - self.received) as usize;
        let content = rest.get(..missing.min(capacity)).ok_or(Refusal::Length)?;
        if frame_len > usize::from(self.frame_len) { Err(Refusal::Length) } else { Ok(content) }
    }
}

/// All transfers of a bus.
#[derive(Debug)]
pub(super) struct Transfers {
    places: Box<[Option<Transfer>]>,
    /// `message_bytes` of every place.
    bytes: Box<[u8]>,
    message_bytes: usize,
    turn: u64,
}

impl Transfers {
    pub(super) fn new(places: usize, message_bytes: usize) -> Self {
        Self {
            places: vec![None; places].into_boxed_slice(),
            bytes: vec![0; places.saturating_mul(message_bytes)].into_boxed_slice(),
            message_bytes,
            turn: 0,
        }
    }

    /// The place of the sender's transfer.
    pub(super) fn find(&self, sender: Endpoint) -> Option<usize> {
        self.places
            .iter()
            .position(|place| place.as_ref().is_some_and(|transfer| transfer.route.sender == sender))
    }

    /// A place without a transfer.
    pub(super) fn free(&self) -> Option<usize> {
        self.places.iter().position(Option::is_none)
    }

    /// The place whose transfer has waited longest for a frame.
    pub(super) fn stalest(&self) -> Option<usize> {
        let turns = self.places.iter().zip(0..).filter_map(|(place, at)| Some((place.as_ref()?.turn, at)));
        turns.min().map(|(_, at)| at)
    }

    /// A place whose transfer was alive last before `time`.
    pub(super) fn last_before(&self, time: RealtimeNanos) -> Option<usize> {
        self.places.iter().position(|place| place.as_ref().is_some_and(|transfer| transfer.last < time))
    }

    /// When the transfer that has waited longest was last alive.
    pub(super) fn oldest(&self) -> Option<RealtimeNanos> {
        self.iter().map(|transfer| transfer.last).min()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Transfer> {
        self.places.iter().flatten()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Transfer> {
        self.places.get_mut(at)?.as_mut()
    }

    /// Puts a new transfer into a place.
    pub(super) fn begin(&mut self, at: usize, transfer: Transfer, head: &[u8]) {
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(transfer);
            self.store(at, head);
        }
    }

    /// Adds the next bytes; gives whether the message is complete now.
    pub(super) fn append(&mut self, at: usize, time: RealtimeNanos, content: &[u8]) -> bool {
        let Some(transfer) = self.get_mut(at) else { return false };
        transfer.last = time;
        transfer.frames = transfer.frames.saturating_add(1);
        transfer.next_sequence = (transfer.next_sequence + 1) & 0x0F;
        self.store(at, content);
        self.get_mut(at).is_some_and(|transfer| transfer.received == transfer.len)
    }

    fn store(&mut self, at: usize, content: &[u8]) {
        self.turn += 1;
        let Some(Some(transfer)) = self.places.get_mut(at) else { return };
        let stored = (transfer.received as usize).min(self.message_bytes);
        let kept = content.len().min(self.message_bytes - stored);
        let start = at * self.message_bytes + stored;
        if let Some(room) = self.bytes.get_mut(start..start + kept) {
            room.copy_from_slice(&content[..kept]);
        }
        transfer.received += content.len() as u32;
        transfer.turn = self.turn;
    }

    /// Empties a place; the bytes that were kept stay readable until it is used again.
    pub(super) fn take(&mut self, at: usize) -> Option<(Transfer, &[u8])> {
        let transfer = self.places.get_mut(at)?.take()?;
        let stored = (transfer.received as usize).min(self.message_bytes);
        let start = at * self.message_bytes;
        Some((transfer, self.bytes.get(start..start + stored).unwrap_or_default()))
    }
}
