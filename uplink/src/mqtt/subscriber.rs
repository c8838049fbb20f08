//! The cloud's side: receive, and acknowledge only what has been passed on.

use bytes::Bytes;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, SubscribeReasonCode};

use super::{Connection, Link, LinkError};

/// One connection for receiving. What is not acknowledged when it ends is delivered again.
pub struct Subscriber {
    connection: Connection,
    filters: Vec<String>,
}

/// A message; acknowledge it once its content is safe elsewhere.
#[derive(Debug)]
pub struct Delivery {
    publish: Box<Publish>,
}

impl Delivery {
    /// Its topic; empty when it is not UTF-8, which no topic of ours is.
    pub fn topic(&self) -> &str {
        core::str::from_utf8(&self.publish.topic).unwrap_or_default()
    }

    /// Its content.
    pub const fn payload(&self) -> &Bytes {
        &self.publish.payload
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
        let mut options = link.options();
        options.set_manual_acks(true);
        // Acknowledgements of everything a broker sends at once (Mosquitto: 20 unless configured) must fit.
        Self { connection: Connection::open(link, options, 1024), filters: filters.to_vec() }
    }

    /// Adds a subscription, such as to a schema's retained message.
    ///
    /// # Errors
    /// [`LinkError::Closed`] when the connection is gone.
    pub fn subscribe(&self, filter: &str) -> Result<(), LinkError> {
        let sent = self.connection.client.try_subscribe(filter, QoS::AtLeastOnce);
        sent.map_err(|_| LinkError::Closed(self.connection.broker.clone()))
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// [`LinkError::Closed`] when the connection is gone.
    pub fn unsubscribe(&self, filter: &str) -> Result<(), LinkError> {
        let sent = self.connection.client.try_unsubscribe(filter);
        sent.map_err(|_| LinkError::Closed(self.connection.broker.clone()))
    }

    /// Tells the broker that the message need not be delivered again.
    ///
    /// # Errors
    /// [`LinkError::Closed`] when the connection is gone: it will come again.
    pub fn acknowledge(&self, delivery: &Delivery) -> Result<(), LinkError> {
        let sent = self.connection.client.try_ack(&delivery.publish);
        sent.map_err(|_| LinkError::Closed(self.connection.broker.clone()))
    }

    /// Waits for the next thing to happen. May be cancelled.
    ///
    /// # Errors
    /// [`LinkError`] when the connection is over: connect anew.
    pub async fn next(&mut self) -> Result<Received, LinkError> {
        loop {
            match self.connection.next().await? {
                Event::Incoming(Packet::ConnAck(ack)) => {
                    let filters = self.filters.iter().map(|path| Filter::new(path.clone(), QoS::AtLeastOnce));
                    let sent = self.connection.client.try_subscribe_many(filters);
                    sent.map_err(|_| LinkError::Closed(self.connection.broker.clone()))?;
                    return Ok(Received::Connected { session_present: ack.session_present });
                }
                Event::Incoming(Packet::SubAck(ack))
                    if !ack
                        .return_codes
                        .iter()
                        .all(|code| matches!(code, SubscribeReasonCode::Success(_))) =>
                {
                    return Ok(Received::Refused);
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    return Ok(Received::Message(Delivery { publish: Box::new(publish) }));
                }
                _ => {}
            }
        }
    }
}
