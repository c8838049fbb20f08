//! What the gateway has done so far: written by its tasks, read by anybody at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A number that only grows, or a level where its name says so.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn set(&self, level: u64) {
        self.0.store(level, Relaxed);
    }
}

/// Something that is so, or not.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// Whether it is so now.
    pub fn get(&self) -> bool {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, value: bool) {
        self.0.store(value, Relaxed);
    }
}

/// Why something from a vehicle was published nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A message on a topic that is none of ours.
    Topic,
    /// A payload that is not a batch of the vehicle that the topic names.
    Batch,
    /// A block that is damaged, of a later version or beyond the limits.
    Block,
    /// A block whose schema did not come in time.
    SchemaMissing,
    /// A block that does not fit the schema it names.
    SchemaMismatch,
    /// A message on a schema's topic that is not that schema.
    Schema,
    /// A block whose dictionary did not come in time.
    DictionaryMissing,
    /// A message on a dictionary's topic that is not that dictionary.
    Dictionary,
    /// A message on a clock map's topic that is not that map.
    ClockMap,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Topic,
        Self::Batch,
        Self::Block,
        Self::SchemaMissing,
        Self::SchemaMismatch,
        Self::Schema,
        Self::DictionaryMissing,
        Self::Dictionary,
        Self::ClockMap,
    ];

    /// Name as in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Batch => "batch",
            Self::Block => "block",
            Self::SchemaMissing => "schema_missing",
            Self::SchemaMismatch => "schema_mismatch",
            Self::Schema => "schema",
            Self::DictionaryMissing => "dictionary_missing",
            Self::Dictionary => "dictionary",
            Self::ClockMap => "clock_map",
        }
    }
}

/// Requests to one kind of receiver.
#[derive(Debug)]
pub struct ReceiverCounters {
    /// Requests sent, repeated ones included.
    pub requests: Counter,
    /// Requests that were sent again.
    pub retries: Counter,
    /// Records that the receiver refused for good.
    pub refused: Counter,
    /// Whether it answered the last request with anything but "not now".
    pub fine: Flag,
}

impl Default for ReceiverCounters {
    fn default() -> Self {
        let fine = Flag(AtomicBool::new(true));
        Self { requests: Counter::default(), retries: Counter::default(), refused: Counter::default(), fine }
    }
}

/// Everything the gateway counts. The blocks of readable batches balance:
/// received = `blocks` + `duplicate_blocks` + those refused as `block`, `schema_missing`, `schema_mismatch` and
/// `dictionary_missing`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Batches that were dealt with.
    pub batches: Counter,
    /// Their payloads, bytes.
    pub bytes: Counter,
    /// Blocks that all outputs have taken.
    pub blocks: Counter,
    /// Blocks that came again and were left out.
    pub duplicate_blocks: Counter,
    /// Signal samples in [`Self::blocks`].
    pub samples: Counter,
    /// Spans in them.
    pub spans: Counter,
    /// Log records in them.
    pub logs: Counter,
    /// Raw frames in them.
    pub frames: Counter,
    /// Of those, the ones that were not sent to a receiver, because its protocol has no form for them.
    pub frames_without_form: Counter,
    refused: [Counter; Refusal::ALL.len()],
    /// Messages acknowledged to the broker.
    pub acknowledged: Counter,
    /// Level: messages held unacknowledged.
    pub held: Counter,
    /// Messages let go for want of room, to be delivered again.
    pub shed: Counter,
    /// Schemas received.
    pub schemas: Counter,
    /// Schemas given up for the time being.
    pub schemas_given_up: Counter,
    /// Clock maps received, among blocks and retained.
    pub clock_maps: Counter,
    /// Clock maps that did not come in time.
    pub clock_maps_given_up: Counter,
    /// Those of [`Self::blocks`] in which times were put right by a clock map.
    pub blocks_placed: Counter,
    /// Those with times of a clock that was not synchronised as far as is known.
    pub blocks_unsynchronised: Counter,
    /// Dictionaries received.
    pub dictionaries: Counter,
    /// Dictionaries given up for the time being.
    pub dictionaries_given_up: Counter,
    /// Connections to the broker that were made.
    pub connections: Counter,
    /// Samples for Prometheus that took another millisecond than their own, see `store::block::SlotMillis`.
    pub samples_moved_ms: Counter,
    /// Samples for Prometheus that found no millisecond and were left out there.
    pub samples_unplaceable: Counter,
    /// Requests to the Prometheus receiver.
    pub remote_write: ReceiverCounters,
    /// Requests to the OTLP receiver.
    pub otlp: ReceiverCounters,
    /// Whether the broker is connected.
    pub connected: Flag,
}

impl Counters {
    /// Messages ([`Refusal::Topic`], [`Refusal::Batch`], [`Refusal::Schema`], [`Refusal::ClockMap`]) or blocks refused for this reason.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refused[reason as usize].get()
    }

    /// Messages and blocks refused for any reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().map(Counter::get).sum()
    }

    pub(crate) fn refuse(&self, reason: Refusal) {
        self.refused[reason as usize].add(1);
    }

    /// Connected to the broker, and no receiver that keeps data waiting.
    pub fn ready(&self) -> bool {
        self.connected.get() && self.remote_write.fine.get() && self.otlp.fine.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let counters = Counters::default();
        for (index, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            (0..=index).for_each(|_| counters.refuse(reason));
        }
        let counts = Refusal::ALL.map(|reason| counters.refused(reason));
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(counters.refused_total(), 45);
    }

    #[test]
    fn ready_means_connected_and_nothing_stuck() {
        let counters = Counters::default();
        assert!(!counters.ready());
        counters.connected.set(true);
        assert!(counters.ready());
        counters.otlp.fine.set(false);
        assert!(!counters.ready());
    }
}
