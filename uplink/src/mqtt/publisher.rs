//! The vehicle's side: publish at QoS 1 and learn which packet was acknowledged.

use core::time::Duration;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::codec::{Incoming, Outgoing, Publish};
use super::connection::{Connection, Told};
use super::stream::Socket;
use super::{Link, LinkError, Protocol};
use crate::flight::Flight;
use crate::refusal::Refusal;
use crate::session::BrokerLimits;
use crate::wire::{TopicForm, publish_packet};

/// Most packets under way, whatever is asked for. Packet ids go round in a circle of 65,535, past those still in use.
const IN_FLIGHT_MAX: usize = 1024;
/// Topics that get an alias; a vehicle has one for each class.
const ALIASES_MAX: u16 = 8;

/// One connection for publishing; `T` comes back when the packet it went with is acknowledged.
pub struct Publisher<T> {
    connection: Connection,
    protocol: Protocol,
    flight: Flight<T>,
    in_flight_max: usize,
    last_packet_id: u16,
    /// Before CONNACK: the protocol's own bounds.
    limits: BrokerLimits,
    socket: Option<Socket>,
    /// Topics by their alias, from 1.
    aliases: Vec<String>,
}

/// What to publish.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Where to.
    pub topic: &'a str,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// How long the broker keeps it for a subscriber that is away; not told to a broker of MQTT 3.1.1.
    pub expiry: Option<Duration>,
    /// Whether more will follow on this topic, so that an alias pays.
    pub alias: bool,
    /// Content.
    pub payload: Bytes,
}

/// Why something was not handed over, with what it carried.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsent<T> {
    /// What went with it.
    pub token: T,
    /// Why.
    pub reason: UnsentReason,
}

/// Why something was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsentReason {
    /// As many packets are under way as may be; try again after an acknowledgement.
    #[error("as many packets are under way as the broker allows")]
    NoRoom,
    /// The broker would end the connection over it (MQTT 5 §3.1.2.11.4).
    #[error("a packet of {packet} bytes is above the broker's limit of {limit}")]
    TooLarge {
        /// Bytes.
        packet: u64,
        /// Bytes.
        limit: u64,
    },
    /// The connection is gone; [`Publisher::next_answer`] says why.
    #[error("the connection is gone")]
    Closed,
}

/// What came from the broker.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It accepted the connection.
    Connected {
        /// Whether it remembers the session of this client id.
        session_present: bool,
        /// What it allows.
        limits: BrokerLimits,
    },
    /// It has the packet.
    Acked(T),
    /// It does not take the packet, which is still ours to send.
    Refused {
        /// What went with the packet.
        token: T,
        /// The reason code.
        refusal: Refusal,
        /// The broker's own words, when it has any.
        text: Option<String>,
    },
    /// It answered a ping after this long.
    Pong(Duration),
    /// It acknowledged what is not under way: a second time, or with a number we never gave.
    Stray(u16),
}

/// What happened on the connection; [`Answer`] says more.
#[derive(Debug, PartialEq, Eq)]
pub enum Happened<T> {
    /// The broker accepted the connection.
    Connected {
        /// Whether it remembers the session of this client id (MQTT 3.1.1 §3.2.2.2).
        session_present: bool,
    },
    /// The broker has the packet.
    Acked(T),
    /// The broker has nobody to give the packet to, or refused it: it is still ours to send.
    Refused {
        /// What went with the packet.
        token: T,
        /// What the broker says (MQTT 5 §3.4.2.1).
        reason: String,
    },
    /// The packet's number was given away without an acknowledgement: send it again.
    Returned(T),
}

impl<T> Publisher<T> {
    /// Starts to connect; [`Answer::Connected`] tells when it is done. At most `in_flight_max` packets are under way,
    /// fewer where the broker says so.
    pub fn connect(link: &Link, in_flight_max: usize) -> Self {
        let in_flight_max = in_flight_max.clamp(1, IN_FLIGHT_MAX);
        Self {
            connection: Connection::open(link, in_flight_max + 8),
            protocol: link.protocol,
            flight: Flight::new(IN_FLIGHT_MAX),
            in_flight_max,
            last_packet_id: 0,
            limits: BrokerLimits::default(),
            socket: None,
            aliases: Vec::new(),
        }
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// Whether another packet may be published now.
    pub fn has_room(&self) -> bool {
        self.flight.len() < self.in_flight_max.min(usize::from(self.limits.receive_max))
    }

    /// What the broker allows; before CONNACK the protocol's own bounds.
    pub const fn limits(&self) -> &BrokerLimits {
        &self.limits
    }

    /// Bytes of MQTT sent and received on this connection, without TLS, TCP and IP.
    pub fn traffic(&self) -> (u64, u64) {
        let traffic = &self.connection.traffic;
        (traffic.sent.load(Relaxed), traffic.received.load(Relaxed))
    }

    /// The connection's socket, to ask the kernel what it retransmitted (`TCP_INFO`).
    pub const fn socket(&self) -> Option<&Socket> {
        self.socket.as_ref()
    }

    /// Publishes at QoS 1.
    ///
    /// # Errors
    /// [`Unsent`] with the token.
    pub fn send(&mut self, message: Message<'_>, token: T) -> Result<(), Unsent<T>> {
        let unsent = |token, reason| Err(Unsent { token, reason });
        if !self.has_room() {
            return unsent(token, UnsentReason::NoRoom);
        }
        let (alias, known) = if message.alias { self.alias(message.topic) } else { (None, false) };
        let form = match alias {
            Some(_) if known => TopicForm::Alias,
            Some(_) => TopicForm::Introduced(message.topic.len()),
            None => TopicForm::Full(message.topic.len()),
        };
        let mqtt5 = self.protocol == Protocol::V5;
        let packet = publish_packet(form, message.payload.len(), mqtt5, message.expiry.is_some());
        if packet > self.limits.packet_bytes_max {
            let limit = self.limits.packet_bytes_max;
            return unsent(token, UnsentReason::TooLarge { packet, limit });
        }
        let packet_id = self.next_packet_id();
        let publish = Publish {
            topic: if known { String::new() } else { message.topic.to_owned() },
            alias,
            expiry_s: message.expiry.map(|time| time.as_secs().min(u32::MAX.into()) as u32),
            retain: message.retain,
            packet_id,
            payload: message.payload,
        };
        if !self.connection.send(Outgoing::Publish(publish)) {
            return unsent(token, UnsentReason::Closed);
        }
        if alias.is_some() && !known {
            self.aliases.push(message.topic.to_owned());
        }
        self.flight.take_off(token);
        // The number is not in use, so that nothing comes back.
        let _ = self.flight.number(packet_id);
        Ok(())
    }

    /// The alias of a topic, when the broker has room for one, and whether it knows it.
    fn alias(&self, topic: &str) -> (Option<u16>, bool) {
        if let Some(known) = self.aliases.iter().position(|known| known == topic) {
            return (Some(known as u16 + 1), true);
        }
        let next = self.aliases.len() as u16 + 1;
        ((next <= self.limits.topic_aliases_max.min(ALIASES_MAX)).then_some(next), false)
    }

    /// The next number that is not in use; there are more numbers than may be under way.
    fn next_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if !self.flight.holds(self.last_packet_id) {
                return self.last_packet_id;
            }
        }
    }

    /// Publishes at QoS 1; [`Self::send`] can do more.
    ///
    /// # Errors
    /// The token, when there is no room or the connection is gone.
    pub fn publish(&mut self, topic: &str, retain: bool, payload: Vec<u8>, token: T) -> Result<(), T> {
        let message = Message { topic, retain, expiry: None, alias: false, payload: payload.into() };
        self.send(message, token).map_err(|unsent| unsent.token)
    }

    /// Waits for what comes next. May be cancelled.
    ///
    /// # Errors
    /// [`LinkError`] when the connection is over: take the rest with [`Self::land`] and connect anew.
    pub async fn next_answer(&mut self) -> Result<Answer<T>, LinkError> {
        loop {
            return Ok(match self.connection.next().await? {
                Told::Connected { session_present, limits, socket } => {
                    (self.limits, self.socket) = (limits, socket);
                    Answer::Connected { session_present, limits }
                }
                Told::Packet(Incoming::Puback { packet_id, code, reason }) => {
                    match (self.flight.acknowledge(packet_id), code) {
                        (None, _) => Answer::Stray(packet_id),
                        (Some(token), 0) => Answer::Acked(token),
                        (Some(token), _) => Answer::Refused { token, refusal: Refusal(code), text: reason },
                    }
                }
                Told::Pong(rtt) => Answer::Pong(rtt),
                Told::Packet(_) => continue,
            });
        }
    }

    /// As [`Self::next_answer`], and says less.
    ///
    /// # Errors
    /// [`LinkError`] when the connection is over.
    pub async fn next(&mut self) -> Result<Happened<T>, LinkError> {
        loop {
            return Ok(match self.next_answer().await? {
                Answer::Connected { session_present, .. } => Happened::Connected { session_present },
                Answer::Acked(token) => Happened::Acked(token),
                Answer::Refused { token, refusal, text } => {
                    let text = text.map(|text| format!(": {text:?}")).unwrap_or_default();
                    Happened::Refused { token, reason: format!("{refusal}{text}") }
                }
                Answer::Pong(_) | Answer::Stray(_) => continue,
            });
        }
    }

    /// Says goodbye, so that the broker does not publish the will; waits at most `patience`.
    pub async fn disconnect(mut self, patience: Duration) -> Vec<T> {
        if self.connection.send(Outgoing::Disconnect) {
            let _ = tokio::time::timeout(patience, async { while self.next().await.is_ok() {} }).await;
        }
        self.land()
    }

    /// Ends the connection and gives back everything that was not acknowledged.
    pub fn land(mut self) -> Vec<T> {
        self.flight.land()
    }
}
