//! Plays a recording to its buses at its own, a faster or the highest possible speed.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use can_decode::BootNanos;
use ecu_core::FrameRecord;

use super::{Outlet, WAIT_FULL};
use crate::config::Pace;

/// Frames played before the sockets have their turn.
const BURST_MAX: usize = 256;

/// A source of frames that were on a bus before, or never.
pub trait Recording: Send {
    /// The next thing in it, or `None` at its end.
    fn next(&mut self) -> Option<Recorded>;
}

/// What a recording holds.
pub enum Recorded {
    /// A frame; its stamp is the recorded time.
    Frame(FrameRecord),
    /// Something of this bus that is no frame, already reported.
    Malformed(usize),
    /// A frame of an interface that was not asked for.
    Filtered(usize),
}

/// A recording being played.
pub struct Player {
    buses: Vec<usize>,
    recording: Box<dyn Recording>,
    pace: Pace,
    /// The frame that is to be played next.
    next: Option<FrameRecord>,
    /// Recorded time of the first frame, and when it was played.
    began: Option<(i64, BootNanos)>,
}

/// What playing came to.
pub(super) enum Played {
    /// Nothing is due for this long.
    Waiting(Duration),
    /// The recording is at its end.
    Ended,
}

impl Player {
    /// Plays `recording`, which is of `buses`.
    pub fn new(buses: Vec<usize>, recording: Box<dyn Recording>, pace: Pace) -> Self {
        Self { buses, recording, pace, next: None, began: None }
    }

    /// The buses it plays to.
    pub fn buses(&self) -> &[usize] {
        &self.buses
    }

    /// Plays what is due at `now`. Never drops: while the queue is full it waits.
    pub(super) fn play(&mut self, now: BootNanos, queue: &mut Outlet<'_>) -> Played {
        for _ in 0..BURST_MAX {
            if self.next.is_none() {
                match self.recording.next() {
                    None => return Played::Ended,
                    Some(Recorded::Frame(record)) => self.next = Some(record),
                    Some(Recorded::Malformed(bus)) => {
                        queue.status.buses[bus].received.fetch_add(1, Relaxed);
                        queue.status.buses[bus].malformed.fetch_add(1, Relaxed);
                    }
                    Some(Recorded::Filtered(bus)) => {
                        queue.status.buses[bus].received.fetch_add(1, Relaxed);
                        queue.status.buses[bus].filtered.fetch_add(1, Relaxed);
                    }
                }
            }
            let Some(record) = self.next else { continue };
            let due = self.due_in(&record, now);
            if !due.is_zero() {
                return Played::Waiting(due);
            }
            if queue.is_full() {
                return Played::Waiting(WAIT_FULL);
            }
            queue.push(record);
            self.next = None;
        }
        Played::Waiting(Duration::ZERO)
    }

    fn due_in(&mut self, record: &FrameRecord, now: BootNanos) -> Duration {
        let Pace::Times(times) = self.pace else { return Duration::ZERO };
        let (first_ns, began) = *self.began.get_or_insert((record.stamp.ns, now));
        let recorded_ns = record.stamp.ns.saturating_sub(first_ns) as f64 / times;
        let left_ns = recorded_ns - now.since(began) as f64;
        // A recording that jumps back in time is due at once; the cast takes negative values to 0.
        Duration::from_nanos(left_ns as u64)
    }
}
