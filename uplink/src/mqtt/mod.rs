//! The MQTT edge: the only room that knows rumqttc.
//!
//! rumqttc's own reconnection loses what was in flight when the broker has no session, and republishes it otherwise;
//! neither is wanted, because the ring is our outbox. So every connection gets a fresh client, whatever was under way
//! is given back to its owner when the connection ends, and reconnecting is the caller's loop.
//!
//! MQTT 5, because its PUBACK says when nobody is subscribed: a 3.1.1 broker acknowledges such a message and throws it
//! away.

mod link;
mod publisher;
mod subscriber;

use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use link::{Credentials, Link, UrlError};
pub use publisher::{Happened, Publisher};
pub use subscriber::{Delivery, Received, Subscriber};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not connected, refused, or broken off.
    #[error("MQTT connection to {broker}: {source}")]
    Connection {
        /// Host and port.
        broker: String,
        /// What rumqttc says.
        source: Box<ConnectionError>,
    },
    /// The connection's task is gone.
    #[error("MQTT connection to {0} was closed")]
    Closed(String),
}

/// Events that the pump may be ahead of its reader. The reader only moves them on, so few suffice.
const EVENTS_MAX: usize = 256;

/// Drives a client in a task of its own: rumqttc's `poll` must neither wait for its caller nor be cancelled half way,
/// and `select!` would do both.
struct Connection {
    client: AsyncClient,
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
    pump: JoinHandle<()>,
    broker: String,
}

impl Connection {
    fn open(link: &Link, options: MqttOptions, requests_max: usize) -> Self {
        let (client, event_loop) = AsyncClient::new(options, requests_max);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let pump = tokio::spawn(pump(event_loop, sender));
        Self { client, events, pump, broker: link.broker() }
    }

    async fn next(&mut self) -> Result<Event, LinkError> {
        match self.events.recv().await {
            Some(Ok(event)) => Ok(event),
            Some(Err(source)) => {
                Err(LinkError::Connection { broker: self.broker.clone(), source: Box::new(source) })
            }
            None => Err(LinkError::Closed(self.broker.clone())),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(mut event_loop: EventLoop, sender: mpsc::Sender<Result<Event, ConnectionError>>) {
    loop {
        let event = event_loop.poll().await;
        let ended = event.is_err();
        if sender.send(event).await.is_err() || ended {
            return;
        }
    }
}
