//! The writer thread: the only owner of the ring's file.

mod card;
mod events;
mod tend;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::block::{DictionaryHash, SchemaHash, SealedBlock};
use store::ring::{Lease, RingError, RingFile, Tally};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::config::Store;
use crate::inbox::{Inbox, Request};
use crate::status::Status;
use card::CardWatch;
use events::Events;

/// How long to wait after a failed commit: a full or failing card does not get better by being asked more often.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The first blocks of a process wait no longer than this.
const FIRST_COMMIT_AFTER: Duration = Duration::from_millis(100);
/// How often requests are looked at until then: the inbox does not wait while a block in it is overdue.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Acknowledgements wait this long for blocks to be committed with: a transaction of their own costs the card five pages,
/// and one that a power cut takes costs a repetition, not data.
const ACKED_AFTER: Duration = Duration::from_secs(10);
/// From this age on they go along with blocks: not with every commit, because with them it takes three pages more.
const ACKED_ALONG_AFTER: Duration = Duration::from_secs(5);
/// How often the ring is tended when nothing else is to be done.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for a card that does not take the last blocks. Less than the service's `TimeoutStopSec`, so
/// that the loss is counted and said by us, and the ring is closed.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The thread's state.
pub struct Writer<'a> {
    ring: RingFile,
    inbox: &'a Inbox,
    status: &'a Status,
    /// Told after every commit: there may be something to send, or everything may be stored.
    stored: &'a Notify,
    card: CardWatch,
    events: Events,
    /// The latest acknowledgement that was taken back, `CLOCK_BOOTTIME`.
    reoffered_to: Option<i64>,
    /// Blocks taken from the inbox whose commit failed; no more are taken until it succeeds, so that the inbox's
    /// bound holds for all.
    pending: Vec<SealedBlock>,
    acked: Vec<Lease>,
    /// When the oldest acknowledgement came that is not committed.
    acked_at: Option<Instant>,
    failed_at: Option<Instant>,
    /// When the end was seen with blocks that were not stored.
    ending_at: Option<Instant>,
    /// What the blocks refer to first, while it is not on the card.
    schema: Option<(SchemaHash, SealedBlock)>,
    /// Those that blocks are compressed with.
    dictionaries: Vec<(DictionaryHash, SealedBlock)>,
    schema_tried_at: Option<Instant>,
    /// Set once the last block is in the ring, or given up.
    complete: &'a AtomicBool,
}

impl<'a> Writer<'a> {
    /// For an open ring, and blocks that stay open for at most `seal_after_ns`.
    pub fn new(
        ring: RingFile,
        inbox: &'a Inbox,
        status: &'a Status,
        stored: &'a Notify,
        complete: &'a AtomicBool,
        store: &Store,
        seal_after_ns: i64,
    ) -> Self {
        let seal_after = Duration::from_nanos(u64::try_from(seal_after_ns).unwrap_or(0));
        let mut writer = Self {
            ring,
            inbox,
            status,
            stored,
            card: CardWatch::new(store, seal_after, clock::boot().0),
            events: Events::new(store.preserve, seal_after_ns),
            reoffered_to: None,
            pending: Vec::new(),
            acked: Vec::new(),
            acked_at: None,
            failed_at: None,
            ending_at: None,
            schema: None,
            dictionaries: Vec::new(),
            schema_tried_at: None,
            complete,
        };
        // Without the kernel's word the ring's time goes on where it was: ages then lack what this boot has run so far.
        if let Ok(boot) = clock::boot_id() {
            writer.ring.begin(boot, clock::boot().0);
        }
        let mut store = writer.status.store();
        store.books_at_start = *writer.ring.books();
        store.salvage.kept = writer.ring.set_aside();
        drop(store);
        writer.tell(None);
        writer
    }

    /// Keeps the schema that the first blocks refer to, and the dictionaries that they need: on the card now, or, where that
    /// fails, before any of them, as soon as the card takes anything.
    pub fn put_first(
        &mut self,
        hash: SchemaHash,
        schema: SealedBlock,
        dictionaries: Vec<(DictionaryHash, SealedBlock)>,
    ) {
        self.schema = Some((hash, schema));
        self.dictionaries = dictionaries;
        self.put_schema();
    }

    /// A ring that is full of blocks may have no room for it. Blocks are stored all the same then: the broker gets the
    /// schema from memory, and recording goes on.
    fn put_schema(&mut self) {
        let Some((hash, block)) = &self.schema else { return };
        // Always before blocks; without any there is no hurry.
        let was_tried = self.schema_tried_at.is_some_and(|at| at.elapsed() < RETRY_AFTER);
        if was_tried && self.pending.is_empty() {
            return;
        }
        let put = self.ring.put_schema(*hash, block);
        let put = put.and_then(|()| self.ring.put_dictionaries(&self.dictionaries));
        let error = put.err().map(|error| error.to_string());
        match &error {
            Some(error) if self.schema_tried_at.is_none() => {
                error!(
                    error,
                    "the schema is not stored; until it is, `query` will not know the signals' names"
                );
            }
            Some(error) => debug!(error, "the schema is not stored"),
            None => self.schema = None,
        }
        self.schema_tried_at = Some(Instant::now());
        self.status.store().schema_error = error;
    }

    /// Runs until it is told to close.
    pub fn run(mut self) {
        self.look_at_card();
        loop {
            if self.is_held_back() {
                std::thread::sleep(LOOK_EVERY);
            }
            let mut commit_after = self.card.commit_after();
            if self.status.store().first_stored_after.is_none() {
                commit_after = commit_after.min(FIRST_COMMIT_AFTER);
            }
            let taken = self.inbox.wait(commit_after, commit_after.min(TEND_EVERY));
            let mut close = false;
            for request in taken.requests {
                close |= matches!(request, Request::Close);
                self.serve(request);
            }
            let due =
                |since: Option<Instant>, after| since.is_some_and(|since: Instant| since.elapsed() >= after);
            let blocks_due =
                due(taken.oldest, commit_after) || !self.pending.is_empty() || self.schema.is_some();
            let acked_due = due(self.acked_at, commit_after.max(ACKED_AFTER));
            if close || taken.urgent || taken.finished || blocks_due || acked_due {
                self.commit(close);
            }
            if !close && !self.is_held_back() {
                self.tend();
                self.preserve();
            }
            self.look_at_card();
            if taken.finished && self.is_at_end() {
                self.complete.store(true, Ordering::Release);
                self.stored.notify_one();
            }
            if close {
                break;
            }
            if taken.finished {
                // The end needs no hurry: only requests are still to come.
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        if let Err(error) = self.ring.close() {
            error!(%error, "the ring was not closed cleanly; committed blocks are safe in its write-ahead log");
        }
    }

    /// Whether the last commit failed so recently that the next one has to wait.
    fn is_held_back(&self) -> bool {
        self.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER)
    }

    /// Whether, with no more blocks to come, all are stored, or the card has had its time.
    fn is_at_end(&mut self) -> bool {
        if self.inbox.tallies().1.blocks == 0 {
            return true;
        }
        self.ending_at.get_or_insert_with(Instant::now).elapsed() >= STOP_WITHIN
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Lease(bytes_max, blocks_max, reply) => {
                // A requester that is gone gave up: its blocks are released again.
                if let Err(Ok(leased)) = reply.send(self.ring.lease(bytes_max, blocks_max)) {
                    self.ring.release(leased.into_iter().map(|block| block.lease));
                }
            }
            Request::Acked(leases) => {
                self.acked.extend(leases);
                self.acked_at.get_or_insert_with(Instant::now);
            }
            Request::Release(leases) => self.ring.release(leases),
            Request::Session(name, reply) => {
                let had = self.ring.session() == Some(&name);
                self.ring.begin_session(&name);
                // An asker that is gone will ask again.
                let _ = reply.send(had);
            }
            Request::Reoffer(since) => self.reoffer(since),
            // A requester that is gone is a service that stops.
            Request::Schema(hash, block, done) => drop(done.send(self.ring.put_schema(hash, &block))),
            // An asker that is gone needs no answer.
            Request::Page(selection, after, bytes_max, reply) => {
                let _ = reply.send(self.ring.page(&selection, after, bytes_max));
            }
            Request::SchemaBlock(hash, reply) => {
                let _ = reply.send(self.ring.schema_block(hash));
            }
            Request::DictionaryBlock(hash, reply) => {
                let _ = reply.send(self.ring.dictionary_block(hash));
            }
            Request::Close => {}
        }
    }

    fn reoffer(&mut self, since_boot_ns: i64) {
        // Acknowledgements that are not committed yet are void, too: these blocks still wait in the ring.
        let unnoted = self.acked.len() as u64;
        self.ring.release(self.acked.drain(..));
        self.acked_at = None;
        let since = self.reoffer_since(since_boot_ns);
        match since.and_then(|since| self.ring.reoffer(since)) {
            Ok(count) => {
                self.status.uplink().reoffered += count + unnoted;
                self.tell(None);
            }
            Err(error) => error!(%error, "cannot offer blocks again"),
        }
        self.stored.notify_one();
    }

    /// A broker that was away for long, or a daemon that was, acknowledged its last blocks long ago: what counts is the
    /// time before the last of them. What was taken back once is not what the broker forgot the next time.
    fn reoffer_since(&mut self, since_boot_ns: i64) -> Result<i64, RingError> {
        let Some(last) = self.ring.acked_last()? else { return Ok(since_boot_ns) };
        if self.reoffered_to.replace(last).is_some_and(|before| last <= before) {
            return Ok(since_boot_ns);
        }
        let within = clock::boot().0 - since_boot_ns;
        Ok(since_boot_ns.min(last.saturating_sub(within)))
    }

    fn commit(&mut self, last: bool) {
        if self.is_held_back() && !last {
            return;
        }
        if self.pending.is_empty() || last {
            self.pending.extend(self.inbox.take_blocks());
        }
        self.put_schema();
        // What waits for its acknowledgement to be noted is not to cost a full ring a block that nobody has.
        let along = last
            || self
                .acked_at
                .is_some_and(|at| at.elapsed() >= ACKED_ALONG_AFTER || !self.ring.has_room(&self.pending));
        if self.pending.is_empty() && !along {
            return;
        }
        let (mut later, mut acked_at) = (Vec::new(), None);
        if !along {
            (later, acked_at) = (std::mem::take(&mut self.acked), self.acked_at);
        }
        let committed = self.ring.commit(&self.pending, &mut self.acked, clock::boot().0);
        self.acked.append(&mut later);
        match committed {
            Ok(committed) => {
                self.card.committed(self.pending.iter().map(|block| block.bytes().len() as u64).sum());
                self.pending.iter().for_each(|block| self.events.stored(block.header()));
                if !self.pending.is_empty() {
                    self.first_stored();
                }
                self.pending.clear();
                self.inbox.stored();
                self.acked_at = acked_at;
                if self.failed_at.take().is_some() {
                    info!("the ring takes blocks again");
                }
                if committed.evicted > 0 {
                    warn!(blocks = committed.evicted, "the ring is full: least worthy blocks made room");
                }
                self.tell(None);
            }
            Err(error) => self.failed(&error, last),
        }
        self.stored.notify_one();
    }

    fn failed(&mut self, error: &RingError, last: bool) {
        let (blocks, records) = (self.pending.len(), self.pending_tally().records);
        let what = match (blocks, last) {
            (0, _) => "acknowledgements not stored; what they are for is sent again after a restart",
            (_, true) => "blocks lost: the ring did not take them before the end",
            (_, false) => "blocks not stored; they stay in memory and are tried again",
        };
        let text = error.to_string();
        // A card that stays broken is reported once.
        if !last && self.status.store().error.as_ref() == Some(&text) {
            debug!(%error, blocks, records, "{what}");
        } else {
            error!(%error, blocks, records, "{what}");
        }
        if last {
            self.pending.clear();
            self.inbox.lost();
        }
        self.failed_at = Some(Instant::now());
        self.tell(Some(text));
    }

    fn pending_tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.pending.iter().for_each(|block| tally.add(block.header().count));
        tally
    }

    fn tell(&self, error: Option<String>) {
        let mut status = self.status.store();
        status.books = *self.ring.books();
        status.fill = self.ring.fill();
        status.count_unstored(self.inbox);
        status.failures += u64::from(error.is_some());
        status.error = error;
    }
}
