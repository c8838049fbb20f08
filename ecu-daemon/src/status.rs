//! What all threads know of each other: counters and states, for /metrics, /healthz and the demo's table.

mod before;
mod clocks;
mod observed;
mod ring;
mod trace;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use can_decode::MessageIndex;
use ecu_core::{BusBooks, RecordBooks};
use store::ring::{Books, Preserved, Tally};

use crate::diagnostics::DiagnosticCounts;
use crate::inbox::Inbox;

pub use before::ObservedBefore;
pub use clocks::{ClockState, ClocksStatus, TruthState};
pub use observed::{BusObserved, IdObserved, Rhythm};
pub use ring::{CardStatus, SalvageStatus};
pub use trace::{BroughtCounters, IntakeCounters, RequestCounters, TraceStatus};

/// Counters of one bus that the capture thread keeps.
#[derive(Debug, Default)]
pub struct BusCounters {
    /// Frames that the kernel, or the recording, had for us, the dropped ones included.
    pub received: AtomicU64,
    /// Frames that the kernel dropped because the socket's buffer was full.
    pub dropped_kernel: AtomicU64,
    /// Frames dropped because the queue to the engine was full.
    pub dropped_queue: AtomicU64,
    /// Packets or lines that are no frame.
    pub malformed: AtomicU64,
    /// Lines of other interfaces in a recording.
    pub filtered: AtomicU64,
    /// Whether frames can arrive: the interface is open, or the recording not at its end.
    pub open: AtomicBool,
    /// Whether this was a recording that has been played to its end.
    pub ended: AtomicBool,
    /// Times that the interface was opened.
    pub opens: AtomicU64,
}

/// A copy of [`BusCounters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// See [`BusCounters::received`].
    pub received: u64,
    /// See [`BusCounters::dropped_kernel`].
    pub dropped_kernel: u64,
    /// See [`BusCounters::dropped_queue`].
    pub dropped_queue: u64,
    /// See [`BusCounters::malformed`].
    pub malformed: u64,
    /// See [`BusCounters::filtered`].
    pub filtered: u64,
}

impl BusCounters {
    /// Reads all of them.
    pub fn read(&self) -> BusCounts {
        BusCounts {
            received: self.received.load(Relaxed),
            dropped_kernel: self.dropped_kernel.load(Relaxed),
            dropped_queue: self.dropped_queue.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
        }
    }
}

impl BusCounts {
    /// Whether every frame received is accounted for, given what the engine made of its share. True only while
    /// nothing is between the two, so at rest.
    pub const fn balanced(&self, engine: &BusBooks) -> bool {
        self.received
            == engine.taken() + self.dropped_kernel + self.dropped_queue + self.malformed + self.filtered
    }
}

/// What the engine thread last said.
#[derive(Clone, Debug, Default)]
pub struct EngineStatus {
    /// By bus.
    pub buses: Vec<BusBooks>,
    /// Signal samples.
    pub samples: RecordBooks,
    /// Frames kept raw.
    pub frames: RecordBooks,
    /// Spans.
    pub spans: RecordBooks,
    /// Log records.
    pub logs: RecordBooks,
    /// Lines of clock maps.
    pub clock_maps: RecordBooks,
    /// Blocks sealed.
    pub blocks: u64,
    /// Bytes of blocks sealed.
    pub block_bytes: u64,
    /// Of those, bytes of sample blocks.
    pub sample_bytes: u64,
}

/// What the writer thread last said.
#[derive(Clone, Debug, Default)]
pub struct StoreStatus {
    /// The ring's books over all runs.
    pub books: Books,
    /// The same when this run began.
    pub books_at_start: Books,
    /// Blocks dropped before they reached the ring, because the card did not keep up.
    pub dropped: Tally,
    /// Blocks sealed, but not yet committed: they wait in memory.
    pub unstored: Tally,
    /// Bytes that blocks take in the file, and the bound.
    pub fill: (u64, u64),
    /// Commits that failed.
    pub failures: u64,
    /// Why the last commit failed; `None` when it did not.
    pub error: Option<String>,
    /// Why the schema is not stored, while it is not.
    pub schema_error: Option<String>,
    /// Files that were set aside.
    pub salvage: SalvageStatus,
    /// What the ring does to its card.
    pub card: CardStatus,
    /// What was preserved around fault events.
    pub preserved: Preserved,
    /// Fault events without a window of their own.
    pub preserve_skipped: u64,
    /// From the start of the process to the first record on the card; `None` until then.
    pub first_stored_after: Option<Duration>,
}

impl StoreStatus {
    /// Takes over what waits in `inbox`, and what was dropped there. Whoever tells holds the status meanwhile, so that the
    /// last one told the last state.
    pub fn count_unstored(&mut self, inbox: &Inbox) {
        (self.dropped, self.unstored) = inbox.tallies();
    }

    /// Records that this run has stored.
    pub fn stored(&self) -> u64 {
        self.books.total().sealed.records - self.books_at_start.total().sealed.records
    }
}

/// What the uplink last said.
#[derive(Clone, Debug, Default)]
pub struct UplinkStatus {
    /// Whether a broker is configured.
    pub configured: bool,
    /// Whether it has accepted the connection.
    pub connected: bool,
    /// Connections made.
    pub connects: u64,
    /// Batches and their bytes handed to the connection, repeated ones included.
    pub sent_batches: u64,
    /// See `sent_batches`.
    pub sent_bytes: u64,
    /// Batches acknowledged.
    pub acked_batches: u64,
    /// Batches that the broker did not take; they are sent again.
    pub refused_batches: u64,
    /// Batches under way.
    pub in_flight: usize,
    /// Blocks offered again because the broker had lost its memory.
    pub reoffered: u64,
    /// Why the last connection ended, or why the broker does not take blocks.
    pub error: Option<String>,
    /// Why the ring cannot be read, while it cannot.
    pub unreadable: Option<String>,
}

/// Counters of the log socket.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Lines received.
    pub received: AtomicU64,
    /// Lines that are no log record.
    pub malformed: AtomicU64,
    /// Records dropped because the engine did not keep up.
    pub dropped: AtomicU64,
}

/// How reloads ended.
#[derive(Debug, Default)]
pub struct ReloadCounters {
    /// With the new tables in use.
    pub ok: AtomicU64,
    /// With the old ones.
    pub refused: AtomicU64,
}

/// Names of the messages of each bus's decode table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<Vec<Box<str>>>);

impl Names {
    /// Of a message of the bus with this index; empty where it is not known.
    pub fn of(&self, bus: usize, message: MessageIndex) -> &str {
        let names = self.0.get(bus).and_then(|names| names.get(usize::from(message.0)));
        names.map_or("", |name| name)
    }
}

/// Everything, shared by all threads.
#[derive(Debug, Default)]
pub struct Status {
    /// Bus names, by index.
    pub bus_names: Vec<String>,
    /// Capture's counters, by bus.
    pub buses: Vec<BusCounters>,
    /// Problems of configuration and DBC files that the service runs in spite of.
    pub config_problems: AtomicU64,
    /// How reloads ended.
    pub reloads: ReloadCounters,
    /// The log socket's.
    pub logs: LogCounters,
    /// The intake's of local services' spans and log records.
    pub intake: IntakeCounters,
    /// Where /metrics is, once it is.
    pub http: OnceLock<SocketAddr>,
    /// Where local services bring their records, once that is.
    pub otlp: OnceLock<SocketAddr>,
    faults: Mutex<Vec<String>>,
    engine: Mutex<EngineStatus>,
    observed: Mutex<Vec<BusObserved>>,
    before: Mutex<ObservedBefore>,
    names: Mutex<Names>,
    diagnostics: Mutex<Vec<Option<DiagnosticCounts>>>,
    store: Mutex<StoreStatus>,
    uplink: Mutex<UplinkStatus>,
    clocks: Mutex<ClocksStatus>,
    trace: Mutex<TraceStatus>,
}

/// A panicked thread leaves plain numbers behind; they are still worth reading.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    /// For these buses.
    pub fn new(bus_names: Vec<String>, config_problems: u64) -> Self {
        let buses = bus_names.iter().map(|_| BusCounters::default()).collect();
        let observed = Mutex::new(bus_names.iter().map(|_| BusObserved::default()).collect());
        let config_problems = config_problems.into();
        let before = ObservedBefore::new(bus_names.len());
        Self { bus_names, buses, config_problems, observed, before: Mutex::new(before), ..Self::default() }
    }

    /// The engine's part.
    pub fn engine(&self) -> MutexGuard<'_, EngineStatus> {
        lock(&self.engine)
    }

    /// What the engine observed, by bus.
    pub fn observed(&self) -> MutexGuard<'_, Vec<BusObserved>> {
        lock(&self.observed)
    }

    /// What observers counted that a reload has replaced. Who wants this and [`Self::observed`] takes that first.
    pub fn observed_before(&self) -> MutexGuard<'_, ObservedBefore> {
        lock(&self.before)
    }

    /// Diagnostic messages, by bus; `None` for a bus where they are not followed.
    pub fn diagnostics(&self) -> MutexGuard<'_, Vec<Option<DiagnosticCounts>>> {
        lock(&self.diagnostics)
    }

    /// The writer's part.
    pub fn store(&self) -> MutexGuard<'_, StoreStatus> {
        lock(&self.store)
    }

    /// The uplink's part.
    pub fn uplink(&self) -> MutexGuard<'_, UplinkStatus> {
        lock(&self.uplink)
    }

    /// What became of trace contexts.
    pub fn trace(&self) -> MutexGuard<'_, TraceStatus> {
        lock(&self.trace)
    }

    /// What the clocks last showed.
    pub fn clocks(&self) -> MutexGuard<'_, ClocksStatus> {
        lock(&self.clocks)
    }

    /// Names of messages; empty at first, others after a reload. Who wants this and [`Self::observed`] takes that first.
    pub fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    /// Notes something that the service has to do without until it is restarted.
    pub fn fault(&self, fault: String) {
        lock(&self.faults).push(fault);
    }

    /// What keeps the service from doing its job, in words; empty when it is ready.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = lock(&self.faults).clone();
        for (name, bus) in self.bus_names.iter().zip(&self.buses) {
            if !bus.open.load(Relaxed) && !bus.ended.load(Relaxed) {
                reasons.push(format!("bus {name} is not open"));
            }
        }
        let store = self.store();
        if let Some(error) = &store.error {
            reasons.push(format!("blocks cannot be stored: {error}"));
        }
        if let Some(error) = &store.schema_error {
            reasons.push(format!("the schema cannot be stored: {error}"));
        }
        drop(store);
        if let Some(error) = &self.uplink().unreadable {
            reasons.push(format!("blocks cannot be sent: {error}"));
        }
        reasons
    }

    /// What was lost or set aside and does not keep the service from doing its job, in words.
    pub fn notes(&self) -> Vec<String> {
        self.store().salvage.in_words()
    }

    /// Whether, at rest, everything that came in is somewhere: frames by bus, records by kind, blocks by class.
    pub fn balanced(&self) -> bool {
        let engine = self.engine().clone();
        let store = self.store().clone();
        let frames = self.buses.iter().zip(&engine.buses).all(|(bus, books)| bus.read().balanced(books));
        let raw: u64 = engine.buses.iter().map(|books| books.raw).sum();
        let records = [engine.samples, engine.frames, engine.spans, engine.logs, engine.clock_maps];
        let sealed: u64 = records.iter().map(|books| books.sealed).sum();
        let kept = store.stored() + store.unstored.records;
        frames
            && raw == engine.frames.taken
            && self.trace().balanced()
            && store.books.balanced()
            && sealed == kept + store.dropped.records
    }
}
