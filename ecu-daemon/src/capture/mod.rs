//! Capture: one thread for all buses. Frames go through a bounded queue to the engine, stamped and counted.

mod candump;
mod player;
mod socket;

use std::sync::atomic::Ordering::Relaxed;
use std::thread::Thread;
use std::time::Duration;

use can_decode::BootNanos;
use ecu_core::FrameRecord;
use heapless::spsc::Producer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use candump::{Candump, Lines};
use player::Played;
pub use player::{Player, Recorded, Recording};
pub use socket::Socket;

use crate::clock;
use crate::config::{Bus, Source};
use crate::status::{BusCounters, Status};
use crate::stop::Stop;
use crate::time::Clocks;

/// Frames between capture and engine. At 20,000 frames/s the engine may be away for 200 ms, ten times what sealing
/// the largest block takes; 100 bytes each.
pub const QUEUE_FRAMES: usize = 4096;
/// Batches taken from one socket before the next one has its turn.
const ROUNDS_MAX: usize = 8;
/// The longest wait: how soon a stop is seen, and a closed interface tried again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// The wait while a recording finds the queue full: the engine empties it well within the shortest sleep.
const WAIT_FULL: Duration = GATHER;
/// Frames gather this long before they are read together: waking up for each one costs more than decoding it. The
/// kernel stamps them as they arrive, and its buffer holds many times what a full bus brings in this time.
const GATHER: Duration = Duration::from_millis(2);
/// The engine is woken this often at most, unless the queue fills up.
const WAKE_EVERY_NS: i64 = 10_000_000;

/// All sources of frames.
pub struct Capture<'a> {
    sockets: Vec<Socket>,
    players: Vec<Player>,
    queue: Outlet<'a>,
}

/// The way to the engine.
pub struct Outlet<'a> {
    producer: Producer<'a, FrameRecord>,
    engine: Thread,
    status: &'a Status,
    clocks: &'a Clocks,
    /// Whether there is something the engine was not told of.
    pushed: bool,
    woken_at: BootNanos,
    /// By bus, whether frames were dropped since the last one that the engine got.
    has_dropped: Vec<bool>,
}

impl Outlet<'_> {
    fn counters(&self, record: &FrameRecord) -> &BusCounters {
        &self.status.buses[usize::from(record.bus.0)]
    }

    fn is_full(&self) -> bool {
        !self.producer.ready()
    }

    /// Hands a frame to the engine; when it does not keep up, drops and counts it.
    fn push(&mut self, mut record: FrameRecord) {
        let counters = self.counters(&record);
        counters.received.fetch_add(1, Relaxed);
        let bus = usize::from(record.bus.0);
        record.follows_loss |= self.has_dropped[bus];
        self.has_dropped[bus] = false;
        if self.producer.enqueue(record).is_err() {
            self.counters(&record).dropped_queue.fetch_add(1, Relaxed);
            self.has_dropped[bus] = true;
        }
        self.pushed = true;
    }

    /// Wakes the engine if there is something for it and it has slept long enough, or the queue fills up.
    fn wake(&mut self, now: BootNanos) {
        let filling = self.producer.len() > QUEUE_FRAMES / 4;
        if self.pushed && (filling || now.0.saturating_sub(self.woken_at.0) >= WAKE_EVERY_NS) {
            self.engine.unpark();
            self.pushed = false;
            self.woken_at = now;
        }
    }
}

impl<'a> Capture<'a> {
    /// For the configured buses and, besides, `players` that play to them. `stamp_latency_ns` is how late the kernel's stamp
    /// of a frame is at most when nothing holds it up, nanoseconds.
    pub fn new(
        buses: &[Bus],
        mut players: Vec<Player>,
        producer: Producer<'a, FrameRecord>,
        engine: Thread,
        status: &'a Status,
        clocks: &'a Clocks,
        stamp_latency_ns: i64,
    ) -> Self {
        let mut sockets = Vec::new();
        for (index, bus) in buses.iter().enumerate() {
            match &bus.source {
                Source::Socketcan { interface, fd } => {
                    sockets.push(Socket::new(index, interface, *fd, stamp_latency_ns));
                }
                Source::Replay { file, interface, pace } => {
                    status.buses[index].open.store(true, Relaxed);
                    let recording = Candump::new(index, file, interface.as_deref());
                    players.push(Player::new(vec![index], Box::new(recording), *pace));
                }
                #[cfg(feature = "demo")]
                Source::Drive => status.buses[index].open.store(true, Relaxed),
            }
        }
        Self {
            sockets,
            players,
            queue: Outlet {
                producer,
                engine,
                status,
                clocks,
                pushed: false,
                woken_at: BootNanos(i64::MIN),
                has_dropped: vec![false; buses.len()],
            },
        }
    }

    /// Whether every source is a recording: then nothing need ever be dropped, because all of them can wait.
    pub fn can_wait(buses: &[Bus]) -> bool {
        !buses.iter().any(|bus| matches!(bus.source, Source::Socketcan { .. }))
    }

    /// Runs until it is told to stop, or until all recordings have ended and there is nothing else.
    pub fn run(mut self, stop: &Stop) {
        while !stop.is_set() {
            if self.sockets.is_empty() && self.players.is_empty() {
                break;
            }
            let now = clock::boot();
            let queue = &mut self.queue;
            let mut wait = WAIT_MAX;
            self.players.retain_mut(|player| match player.play(now, queue) {
                Played::Waiting(due) => {
                    wait = wait.min(due);
                    true
                }
                Played::Ended => {
                    for &bus in player.buses() {
                        queue.status.buses[bus].open.store(false, Relaxed);
                        queue.status.buses[bus].ended.store(true, Relaxed);
                    }
                    false
                }
            });
            for socket in &mut self.sockets {
                let more = socket.receive(now, queue, ROUNDS_MAX);
                if more {
                    wait = Duration::ZERO;
                }
            }
            queue.wake(now);
            if !wait.is_zero() {
                std::thread::sleep(GATHER);
                self.sleep(wait.saturating_sub(GATHER));
            }
        }
        self.queue.engine.unpark();
    }

    /// Sleeps until a frame arrives, at most `wait`.
    fn sleep(&self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        let mut polled: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .filter_map(Socket::fd)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        // Interrupted or refused, the loop looks again after at most this long all the same.
        if poll(&mut polled, Some(&timeout)).is_err() {
            std::thread::sleep(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use can_decode::{CanId, Frame};
    use ecu_core::{BusIndex, Stamp};
    use heapless::spsc::Queue;
    use store::block::ClockSource;

    use super::*;

    #[test]
    fn the_frame_behind_a_dropped_one_says_so() {
        let status = Status::new(vec!["can0".to_owned(), "can1".to_owned()], 0);
        let mut queue = Queue::<FrameRecord, 4>::new();
        let (producer, mut consumer) = queue.split();
        let mut outlet = Outlet {
            producer,
            engine: std::thread::current(),
            status: &status,
            clocks: &Clocks::default(),
            pushed: false,
            woken_at: BootNanos(0),
            has_dropped: vec![false; 2],
        };
        let record = |bus, ns| FrameRecord {
            bus: BusIndex(bus),
            stamp: Stamp { ns, clock: ClockSource::UserSpace },
            frame: Frame::remote(CanId::Standard(1), 0),
            follows_loss: false,
        };
        // Three fit.
        (0..5).for_each(|ns| outlet.push(record(0, ns)));
        let mut taken: Vec<FrameRecord> = std::iter::from_fn(|| consumer.dequeue()).collect();
        outlet.push(record(1, 5));
        outlet.push(record(0, 6));
        outlet.push(record(0, 7));
        taken.extend(std::iter::from_fn(|| consumer.dequeue()));
        let follows: Vec<_> = taken.iter().map(|record| (record.stamp.ns, record.follows_loss)).collect();
        assert_eq!(follows, [(0, false), (1, false), (2, false), (5, false), (6, true), (7, false)]);
        assert_eq!(status.buses[0].read().dropped_queue, 2);
    }
}
