//! The cloud's side: receive, and acknowledge only what has been passed on.

use bytes::Bytes;

use super::codec::{Incoming, Outgoing};
use super::connection::{Connection, Told};
use super::{Link, LinkError};

/// Acknowledgements of everything a broker sends at once (Mosquitto: 20 unless configured) must fit.
const REQUESTS_MAX: usize = 1024;

/// One connection for receiving. What is not acknowledged when it ends is delivered again.
pub struct Subscriber {
    connection: Connection,
    filters: Vec<String>,
    last_packet_id: core::sync::atomic::AtomicU16,
}

/// A message; acknowledge it once its content is safe elsewhere.
#[derive(Debug)]
pub struct Delivery {
    topic: Bytes,
    payload: Bytes,
    packet_id: u16,
}

impl Delivery {
    /// Its topic; empty when it is not UTF-8, which no topic of ours is.
    pub fn topic(&self) -> &str {
        core::str::from_utf8(&self.topic).unwrap_or_default()
    }

    /// Its content.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }
}

/// What happened on the connection.
#[derive(Debug)]
pub enum Received {
    /// The broker accepted the connection; the subscriptions are being made.
    Connected {
        /// Whether it kept what arrived since the last connection.
        session_present: bool,
    },
    /// The broker refused a subscription.
    Refused,
    /// A message.
    Message(Delivery),
}

impl Subscriber {
    /// Starts to connect and to subscribe to `filters` at QoS 1.
    pub fn connect(link: &Link, filters: &[String]) -> Self {
        Self {
            connection: Connection::open(link, REQUESTS_MAX),
            filters: filters.to_vec(),
            last_packet_id: 0.into(),
        }
    }

    /// Numbers of subscriptions; an answer that is late by 65,535 of them is not to be expected.
    fn next_packet_id(&self) -> u16 {
        use core::sync::atomic::Ordering::Relaxed;
        self.last_packet_id.fetch_add(1, Relaxed).wrapping_add(1).max(1)
    }

    fn hand_over(&self, packet: Outgoing) -> Result<(), LinkError> {
        if self.connection.send(packet) {
            Ok(())
        } else {
            Err(LinkError::Closed(self.connection.broker.clone()))
        }
    }

    /// Adds a subscription, such as to a schema's retained message.
    ///
    /// # Errors
    /// [`LinkError::Closed`] when the connection is gone.
    pub fn subscribe(&self, filter: &str) -> Result<(), LinkError> {
        let filters = vec![filter.to_owned()];
        self.hand_over(Outgoing::Subscribe { packet_id: self.next_packet_id(), filters })
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// [`LinkError::Closed`] when the connection is gone.
    pub fn unsubscribe(&self, filter: &str) -> Result<(), LinkError> {
        let filter = filter.to_owned();
        self.hand_over(Outgoing::Unsubscribe { packet_id: self.next_packet_id(), filter })
    }

    /// Tells the broker that the message need not be delivered again.
    ///
    /// # Errors
    /// [`LinkError::Closed`] when the connection is gone: it will come again.
    pub fn acknowledge(&self, delivery: &Delivery) -> Result<(), LinkError> {
        if delivery.packet_id == 0 {
            // Sent at QoS 0, which asks for nothing.
            return Ok(());
        }
        self.hand_over(Outgoing::Puback(delivery.packet_id))
    }

    /// Waits for the next thing to happen. May be cancelled.
    ///
    /// # Errors
    /// [`LinkError`] when the connection is over: connect anew.
    pub async fn next(&mut self) -> Result<Received, LinkError> {
        loop {
            match self.connection.next().await? {
                Told::Connected { session_present, .. } => {
                    if !self.filters.is_empty() {
                        let (packet_id, filters) = (self.next_packet_id(), self.filters.clone());
                        self.hand_over(Outgoing::Subscribe { packet_id, filters })?;
                    }
                    return Ok(Received::Connected { session_present });
                }
                Told::Packet(Incoming::Suback { refused: true }) => return Ok(Received::Refused),
                Told::Packet(Incoming::Publish { topic, payload, packet_id }) => {
                    return Ok(Received::Message(Delivery { topic, payload, packet_id }));
                }
                Told::Packet(_) | Told::Pong(_) => {}
            }
        }
    }
}
