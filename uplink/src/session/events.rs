//! What goes into a session and what comes out.

use core::time::Duration;

use store::block::{Class, Identity};

use super::settings::BrokerLimits;
#[cfg(doc)]
use crate::budget::Budget;
use crate::budget::BudgetState;
use crate::refusal::{Failure, Refusal};
use crate::schedule::{CLASSES, Order, Waiting};
use crate::window::Conditions;

/// A leased block.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer<T> {
    /// Which block.
    pub identity: Identity,
    /// Its length.
    pub bytes: usize,
    /// The permission to send it.
    pub token: T,
}

/// Blocks of one class that travel in one packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Parcel<T> {
    pub(super) number: u64,
    /// The class of all of them.
    pub class: Class,
    /// In order.
    pub blocks: Vec<Offer<T>>,
    /// Message expiry interval to send with it.
    pub expiry: Option<Duration>,
}

/// What happened.
#[derive(Debug)]
pub enum Event<T> {
    /// Time passed, or [`Step::wake_at`] has come.
    Tick,
    /// The ring has changed: what waits of each class, without what is leased.
    Waiting([Waiting; CLASSES]),
    /// Answer to [`Action::Lease`]; possibly nothing, possibly of another class than asked for.
    Leased(Class, Vec<Offer<T>>),
    /// Something about the surroundings is different, or a minute has passed.
    Conditions(Conditions),
    /// CONNACK: accepted.
    Connected {
        /// Whether the broker remembers this client.
        session_present: bool,
        /// What it allows.
        limits: BrokerLimits,
    },
    /// The connection is over, or was not made.
    Closed {
        /// How long the reason may last.
        failure: Failure,
        /// What was not acknowledged.
        parcels: Vec<Parcel<T>>,
    },
    /// PUBACK: the broker has it.
    Acked(Parcel<T>),
    /// PUBACK: the broker does not take it.
    Refused(Parcel<T>, Refusal),
    /// The edge could not hand it to the connection.
    Unsent(Parcel<T>),
    /// Something else was answered after this long, such as a status or a ping.
    Heard(Duration),
    /// Bytes went over the wire that the session did not order: pings, statuses, schemas, what came down, and what the
    /// kernel retransmitted (`tcpi_bytes_retrans`).
    Spent(u64),
    /// The budget is on the card.
    BudgetSaved(BudgetState),
}

/// What to do.
#[derive(Debug)]
pub enum Action<T> {
    /// Connect; answer [`Event::Connected`] or [`Event::Closed`].
    Connect,
    /// Give the connection up; answer [`Event::Closed`].
    Disconnect(Why),
    /// Publish the status, and what else is retained.
    Greet {
        /// Whether the broker may lack the retained messages.
        retained: bool,
        /// It has forgotten what it acknowledged: offer again what it did since this time.
        reoffer_since: Option<Duration>,
    },
    /// Lease blocks; answer [`Event::Leased`].
    Lease {
        /// Of this class.
        class: Class,
        /// In this order.
        order: Order,
        /// At most this many bytes; one block may be larger.
        bytes_max: usize,
        /// At most this many.
        blocks_max: usize,
    },
    /// Publish; answer [`Event::Acked`], [`Event::Refused`], [`Event::Unsent`], or give it with [`Event::Closed`].
    Publish(Parcel<T>),
    /// The broker has these.
    Ack(Vec<T>),
    /// These wait again.
    Release(Vec<T>),
    /// This will not go: keep it out of the way, and say so.
    SetAside(Offer<T>, Aside),
    /// Write it to the card; answer [`Event::BudgetSaved`].
    SaveBudget(BudgetState),
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No CONNACK.
    #[error("the broker does not answer CONNECT")]
    NoConnack,
    /// No PUBACK.
    #[error("the broker acknowledges nothing")]
    Silent,
    /// Packet ids are in disorder.
    #[error("the broker says that a packet id is in use")]
    PacketIds,
    /// Nothing may be spent any more, not even on pings.
    #[error("the byte budget is spent")]
    Budget,
    /// The interface went.
    #[error("there is no route")]
    NoRoute,
}

/// Why a block is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Aside {
    /// Too large for the broker.
    #[error(
        "a packet of {packet} bytes is above the broker's limit of {limit}; raise it (Mosquitto: max_packet_size)"
    )]
    Oversize {
        /// Bytes of the smallest packet with it.
        packet: u64,
        /// The broker's limit.
        limit: u64,
    },
    /// Refused alone, again and again.
    #[error("refused alone again and again while others were taken: {0}")]
    Refused(Refusal),
    /// Connections broke on it, again and again.
    #[error("connections broke when it was sent, while others were taken")]
    Breaks,
}

/// What to do, and when to come again.
#[derive(Debug)]
pub struct Step<T> {
    /// In this order.
    pub actions: Vec<Action<T>>,
    /// `CLOCK_BOOTTIME` at which [`Event::Tick`] is due, if nothing happens before.
    pub wake_at: Option<Duration>,
}

/// What the session did, for metrics. Of blocks: published = acked + refused + returned + under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks handed to the connection.
    pub published: u64,
    /// Blocks acknowledged.
    pub acked: u64,
    /// Blocks in refused batches.
    pub refused: u64,
    /// Blocks under way when a connection ended.
    pub returned: u64,
    /// Blocks set aside.
    pub set_aside: u64,
    /// Connections asked for.
    pub connects: u64,
    /// Bytes on the wire, as estimated and as told.
    pub wire_bytes: u64,
}
