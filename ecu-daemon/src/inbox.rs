//! The writer's inbox: sealed blocks from the engine, requests from the uplink.
//!
//! Bounded in bytes. When the card does not keep up, the oldest block of the least worthy class is dropped and
//! counted; a recording, which can wait, waits instead.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::block::{Class, DictionaryHash, SchemaHash, SealedBlock};
use store::ring::{Lease, Leased, Page, RingError, Selection, Tally};
use tokio::sync::oneshot;

/// Blocks that may wait for the card, bytes. At 20 kB/s this rides out minutes of a stalled card.
const BYTES_MAX: usize = 4 << 20;

/// What the uplink asks of the writer.
#[derive(Debug)]
pub enum Request {
    /// Blocks to send: at most this many bytes and blocks.
    Lease(usize, usize, oneshot::Sender<Result<Vec<Leased>, RingError>>),
    /// The broker has them.
    Acked(Vec<Lease>),
    /// They were not acknowledged.
    Release(Vec<Lease>),
    /// There is a session with this broker. Say whether there was one before, maybe with another process.
    Session(String, oneshot::Sender<bool>),
    /// The broker lost its memory: offer again what it acknowledged since this `CLOCK_BOOTTIME`, nanoseconds, or for as
    /// long before its last acknowledgement.
    Reoffer(i64),
    /// Keep this schema, and say when it is on the card: blocks that refer to it come only then.
    Schema(SchemaHash, SealedBlock, oneshot::Sender<Result<(), RingError>>),
    /// A page of blocks: those selected, behind this row, about so many bytes.
    Page(Selection, i64, usize, oneshot::Sender<Result<Page, RingError>>),
    /// The block of this schema, if the ring has it.
    SchemaBlock(SchemaHash, oneshot::Sender<Result<Option<Vec<u8>>, RingError>>),
    /// The block of this dictionary, if the ring has it.
    DictionaryBlock(DictionaryHash, oneshot::Sender<Result<Option<Vec<u8>>, RingError>>),
    /// Write what is left and stop.
    Close,
}

/// What the writer finds when it looks.
#[derive(Debug, Default)]
pub struct Taken {
    /// Requests in order.
    pub requests: Vec<Request>,
    /// Whether a block is there that must be written at once.
    pub urgent: bool,
    /// When the oldest block came, if there is one.
    pub oldest: Option<Instant>,
    /// No further blocks will come.
    pub finished: bool,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<SealedBlock>,
    bytes: usize,
    oldest: Option<Instant>,
    requests: Vec<Request>,
    finished: bool,
    /// Blocks that the writer has taken and not yet stored.
    taken: Tally,
    dropped: Tally,
}

/// See the module.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over a block. With `patient`, waits for room (at most until the inbox is finished); else the least
    /// worthy goes.
    pub fn push(&self, block: SealedBlock, patient: bool) {
        let mut state = self.state();
        while patient && state.bytes >= BYTES_MAX && !state.finished {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += block.bytes().len();
        state.blocks.push_back(block);
        state.oldest.get_or_insert_with(Instant::now);
        while state.bytes > BYTES_MAX && state.blocks.len() > 1 && !patient {
            state.drop_least();
        }
        drop(state);
        self.work.notify_one();
    }

    /// Hands over a request.
    pub fn ask(&self, request: Request) {
        self.state().requests.push(request);
        self.work.notify_one();
    }

    /// No further blocks will come.
    pub fn finish(&self) {
        self.state().finished = true;
        self.work.notify_one();
        self.room.notify_all();
    }

    /// Waits until there is a request, an urgent block, the end, or `deadline` after the oldest block came, and for no
    /// longer than `patience`; then says what there is and takes the requests. Blocks stay until [`Self::take_blocks`].
    pub fn wait(&self, deadline: Duration, patience: Duration) -> Taken {
        let began = Instant::now();
        let mut state = self.state();
        loop {
            let urgent = state.blocks.iter().any(|block| block.header().class == Class::Critical);
            let due = state.oldest.map_or(deadline, |oldest| deadline.saturating_sub(oldest.elapsed()));
            let left = due.min(patience.saturating_sub(began.elapsed()));
            if !state.requests.is_empty() || urgent || state.finished || left.is_zero() {
                let (oldest, finished) = (state.oldest, state.finished);
                let requests = std::mem::take(&mut state.requests);
                return Taken { requests, urgent, oldest, finished };
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if state.oldest.is_none() && state.requests.is_empty() && !state.finished {
                // Nothing for a whole period: the writer looks after its acknowledgements.
                return Taken::default();
            }
        }
    }

    /// Takes all blocks. They count as not stored until [`Self::stored`].
    pub fn take_blocks(&self) -> Vec<SealedBlock> {
        let mut state = self.state();
        state.taken = state.unstored();
        state.bytes = 0;
        state.oldest = None;
        let blocks = state.blocks.drain(..).collect();
        drop(state);
        self.room.notify_all();
        blocks
    }

    /// What was taken is on the card.
    pub fn stored(&self) {
        self.state().taken = Tally::default();
    }

    /// What was taken is given up: it counts as dropped.
    pub fn lost(&self) {
        let mut state = self.state();
        state.dropped = state.dropped.plus(state.taken);
        state.taken = Tally::default();
    }

    /// Blocks dropped so far, and blocks not stored yet, whether they were taken or not.
    pub fn tallies(&self) -> (Tally, Tally) {
        let state = self.state();
        (state.dropped, state.unstored())
    }
}

impl State {
    fn unstored(&self) -> Tally {
        let mut unstored = self.taken;
        self.blocks.iter().for_each(|block| unstored.add(block.header().count));
        unstored
    }

    fn drop_least(&mut self) {
        let least = self.blocks.iter().map(|block| block.header().class).max();
        let at = self.blocks.iter().position(|block| Some(block.header().class) == least);
        if let Some(block) = at.and_then(|at| self.blocks.remove(at)) {
            self.bytes -= block.bytes().len();
            self.dropped.add(block.header().count);
        }
    }
}

#[cfg(test)]
mod tests {
    use store::block::{Body, BootId, Kind, SchemaHash, Sealer};

    use super::*;

    fn block(class: Class, len: usize, sealer: &mut Sealer) -> SealedBlock {
        let mut state = sealer.sequence() + 99;
        sealer.body.extend(
            std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .take(len),
        );
        let schema = SchemaHash::default();
        sealer
            .seal(Body { kind: Kind::Logs, class, schema, count: 1, span_ns: (0, 0), sealed_boot_ns: 0 })
            .unwrap()
    }

    #[test]
    fn the_least_worthy_and_oldest_goes_and_is_counted() {
        let mut sealer = Sealer::new(BootId::default(), 0, 1).unwrap();
        let inbox = Inbox::default();
        for _ in 0..4 {
            inbox.push(block(Class::Bulk, 500 << 10, &mut sealer), false);
            inbox.push(block(Class::Critical, 500 << 10, &mut sealer), false);
            inbox.push(block(Class::Live, 500 << 10, &mut sealer), false);
        }
        let (dropped, waiting) = inbox.tallies();
        assert_eq!((dropped.blocks, waiting.blocks), (4, 8));
        let left = inbox.take_blocks();
        assert_eq!(inbox.tallies(), (dropped, waiting), "taken is not stored");
        inbox.push(block(Class::Live, 10, &mut sealer), false);
        assert_eq!(inbox.tallies().1.blocks, 9);
        inbox.stored();
        assert_eq!((inbox.tallies().0.blocks, inbox.tallies().1.blocks), (4, 1));
        inbox.take_blocks();
        inbox.lost();
        assert_eq!((inbox.tallies().0.blocks, inbox.tallies().1.blocks), (5, 0));
        assert!(left.iter().all(|block| block.header().class != Class::Bulk));
        assert!(left.iter().map(|block| block.bytes().len()).sum::<usize>() <= BYTES_MAX);
    }

    #[test]
    fn a_recording_waits_for_room_and_loses_nothing() {
        let inbox = Inbox::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut sealer = Sealer::new(BootId::default(), 0, 1).unwrap();
                for _ in 0..20 {
                    inbox.push(block(Class::Live, 1 << 20, &mut sealer), true);
                }
                inbox.finish();
            });
            let mut taken = 0;
            while !(inbox.wait(Duration::from_millis(5), Duration::from_millis(5)).finished
                && inbox.tallies().1.blocks == 0)
            {
                let blocks = inbox.take_blocks();
                assert!(blocks.len() <= 5, "{} blocks beyond the bound", blocks.len());
                taken += blocks.len();
                inbox.stored();
            }
            assert_eq!(taken, 20);
        });
        assert_eq!(inbox.tallies().0.blocks, 0);
    }

    #[test]
    fn urgent_blocks_and_requests_wake_the_writer_at_once() {
        let inbox = Inbox::default();
        let mut sealer = Sealer::new(BootId::default(), 0, 1).unwrap();
        inbox.push(block(Class::Live, 10, &mut sealer), false);
        let long = Duration::from_secs(3600);
        inbox.push(block(Class::Critical, 10, &mut sealer), false);
        assert!(inbox.wait(long, long).urgent);
        inbox.take_blocks();
        inbox.ask(Request::Release(Vec::new()));
        assert_eq!(inbox.wait(long, long).requests.len(), 1);
        inbox.push(block(Class::Live, 10, &mut sealer), false);
        let taken = inbox.wait(long, Duration::from_millis(1));
        assert!(taken.oldest.is_some() && taken.requests.is_empty(), "patience ends before a block is due");
    }
}
