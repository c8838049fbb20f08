//! Diagnostic messages on the buses (ISO-TP, UDS, OBD), counted as they pass. Nothing is sent, nothing is kept of what they
//! say.

use can_decode::RealtimeNanos;
use can_decode::isotp::{Channels, Counters, Event, Limits, Reassembler};
use can_decode::uds::{ExchangeCounters, ExchangeLimits, Exchanges};
use ecu_core::FrameRecord;

/// Follows the buses that are to be followed; some 70 kB of memory each.
#[derive(Debug, Default)]
pub struct Diagnostics {
    buses: Vec<Option<Follower>>,
}

#[derive(Debug)]
struct Follower {
    reassembler: Reassembler,
    exchanges: Exchanges,
}

/// What was seen on a bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiagnosticCounts {
    /// Of messages and their frames.
    pub transport: Counters,
    /// Of requests and responses.
    pub exchanges: ExchangeCounters,
}

impl Diagnostics {
    /// By bus, the channels that are followed there.
    pub fn new(buses: impl IntoIterator<Item = Option<Channels>>) -> Self {
        let follower = |channels| Follower {
            reassembler: Reassembler::new(channels, Limits::default()),
            exchanges: Exchanges::new(ExchangeLimits::default()),
        };
        Self { buses: buses.into_iter().map(|channels| channels.map(follower)).collect() }
    }

    /// Takes a frame, in the order of its bus. Allocates nothing.
    #[inline]
    pub fn frame(&mut self, record: &FrameRecord) {
        let Some(Some(follower)) = self.buses.get_mut(usize::from(record.bus.0)) else { return };
        let Follower { reassembler, exchanges } = follower;
        reassembler.push(RealtimeNanos(record.stamp.ns), &record.frame, |event| match event {
            Event::Message(message) => drop(exchanges.take(&message)),
            // The reassembler counts them.
            Event::Abandoned(_) => {}
        });
    }

    /// What was seen so far, by bus; `None` for a bus that is not followed.
    pub fn counts(&self) -> impl Iterator<Item = Option<DiagnosticCounts>> + '_ {
        self.buses.iter().map(|follower| {
            follower.as_ref().map(|follower| DiagnosticCounts {
                transport: *follower.reassembler.counters(),
                exchanges: *follower.exchanges.counters(),
            })
        })
    }
}
