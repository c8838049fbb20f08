//! The vehicle's side: publish at QoS 1 and learn which packet was acknowledged.

use core::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};

use super::{Connection, Link, LinkError};
use crate::flight::Flight;

/// Packet ids go round in a circle this long, or as long as the broker's receive maximum where that is less (MQTT 5
/// §3.2.2.3.3; Mosquitto: 20), which then bounds what is in flight as well.
const PACKET_IDS: u16 = 4096;

/// One connection for publishing; `T` comes back when the packet it went with is acknowledged.
pub struct Publisher<T> {
    connection: Connection,
    flight: Flight<T>,
}

/// What happened on the connection.
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
    /// Starts to connect; [`Happened::Connected`] tells when it is done. At most `in_flight_max` packets are under way.
    pub fn connect(link: &Link, in_flight_max: usize) -> Self {
        let mut options = link.options();
        options.set_outgoing_inflight_upper_limit(PACKET_IDS);
        let flight = Flight::new(in_flight_max.clamp(1, usize::from(PACKET_IDS) / 4));
        Self { connection: Connection::open(link, options, in_flight_max + 8), flight }
    }

    /// Packets under way.
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// Whether another packet may be published now.
    pub fn has_room(&self) -> bool {
        self.flight.has_room()
    }

    /// Publishes at QoS 1.
    ///
    /// # Errors
    /// The token, when there is no room or the connection is gone.
    pub fn publish(&mut self, topic: &str, retain: bool, payload: Vec<u8>, token: T) -> Result<(), T> {
        if !self.flight.has_room() {
            return Err(token);
        }
        match self.connection.client.try_publish(topic, QoS::AtLeastOnce, retain, payload) {
            Ok(()) => {
                self.flight.take_off(token);
                Ok(())
            }
            Err(_) => Err(token),
        }
    }

    /// Waits for the next thing to happen. May be cancelled.
    ///
    /// # Errors
    /// [`LinkError`] when the connection is over: take the rest with [`Self::land`] and connect anew.
    pub async fn next(&mut self) -> Result<Happened<T>, LinkError> {
        loop {
            let happened = match self.connection.next().await? {
                Event::Incoming(Packet::ConnAck(ack)) => {
                    Some(Happened::Connected { session_present: ack.session_present })
                }
                Event::Outgoing(Outgoing::Publish(packet_id)) => {
                    self.flight.number(packet_id).map(Happened::Returned)
                }
                Event::Incoming(Packet::PubAck(ack)) => {
                    self.flight.acknowledge(ack.pkid).map(|token| match ack.reason {
                        PubAckReason::Success => Happened::Acked(token),
                        reason => Happened::Refused { token, reason: format!("{reason:?}") },
                    })
                }
                _ => None,
            };
            if let Some(happened) = happened {
                return Ok(happened);
            }
        }
    }

    /// Says goodbye, so that the broker does not publish the will; waits at most `patience`.
    pub async fn disconnect(mut self, patience: Duration) -> Vec<T> {
        if self.connection.client.try_disconnect().is_ok() {
            let _ = tokio::time::timeout(patience, async { while self.next().await.is_ok() {} }).await;
        }
        self.land()
    }

    /// Ends the connection and gives back everything that was not acknowledged.
    pub fn land(mut self) -> Vec<T> {
        self.flight.land()
    }
}
