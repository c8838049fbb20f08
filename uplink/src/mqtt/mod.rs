//! The MQTT edge: the only room that knows rumqttc, of which it uses the encoders and decoders of packets.
//!
//! The ring is our outbox: whatever was under way is given back to its owner when a connection ends, nothing is sent
//! again here, and reconnecting is the caller's loop.
//!
//! MQTT 5 where the broker speaks it, because its PUBACK says when nobody is subscribed: a 3.1.1 broker acknowledges
//! such a message and throws it away ([`Protocol::V311`]).

mod codec;
mod connection;
mod error;
mod link;
mod publisher;
mod stream;
mod subscriber;

pub use error::LinkError;
pub use link::{Credentials, Link, Protocol, UrlError};
pub use publisher::{Answer, Happened, Message, Publisher, Unsent, UnsentReason};
pub use stream::Socket;
pub use subscriber::{Delivery, Received, Subscriber};
