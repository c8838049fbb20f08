//! What a session is told at its start, and what a broker tells it.

use core::time::Duration;

use store::block::Class;

use crate::link::Patience;
use crate::schedule::Policies;
use crate::wire::{TopicForm, Wire, publish_packet};

/// How to send.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How each class travels.
    pub policies: Policies,
    /// Times of the link.
    pub patience: Patience,
    /// How packets are wrapped, for the budget.
    pub wire: Wire,
    /// Bytes of the topic that blocks go to.
    pub topic_bytes: usize,
    /// Bytes of a batch before its first block ([`crate::batch::overhead`]).
    pub batch_overhead: usize,
    /// Largest batch, bytes; a larger block travels alone.
    pub batch_bytes_max: usize,
    /// Most packets under way.
    pub in_flight_max: usize,
    /// Whether MQTT 5 is spoken, with its properties.
    pub mqtt5: bool,
    /// Whether to be connected when nothing waits.
    pub stay_connected: bool,
}

impl Settings {
    /// Bytes of the PUBLISH that carries blocks of these lengths.
    pub fn packet_bytes(&self, blocks: impl Iterator<Item = usize>, _class: Class, expiry: bool) -> u64 {
        let payload = self.batch_overhead + blocks.map(|bytes| 4 + bytes).sum::<usize>();
        publish_packet(TopicForm::Introduced(self.topic_bytes), payload, self.mqtt5, expiry)
    }
}

/// What the broker allows, from its CONNACK (MQTT 5 §3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Largest packet, bytes.
    pub packet_bytes_max: u64,
    /// Most packets under way.
    pub receive_max: u16,
    /// Topic aliases it remembers for us.
    pub topic_aliases_max: u16,
    /// Whether it keeps retained messages.
    pub retain: bool,
    /// The keep-alive it imposes.
    pub keep_alive: Option<Duration>,
}

impl Default for BrokerLimits {
    /// What holds when a broker says nothing: the protocol's own bounds.
    fn default() -> Self {
        Self {
            packet_bytes_max: 268_435_460,
            receive_max: u16::MAX,
            topic_aliases_max: 0,
            retain: true,
            keep_alive: None,
        }
    }
}
