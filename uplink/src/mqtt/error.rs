//! Why a connection ended.

use std::io;

use crate::refusal::{Failure, failure};

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No route, no answer, or broken off.
    #[error("MQTT connection to {broker}: {source}")]
    Io {
        /// Host and port.
        broker: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// TLS could not be agreed on.
    #[cfg(feature = "tls")]
    #[error("TLS with {broker}: {source}")]
    Tls {
        /// Host and port.
        broker: String,
        /// What is wrong and what to do.
        source: Box<crate::tls::TlsError>,
    },
    /// The broker answered CONNECT with a no (MQTT 5 §3.2.2.2).
    #[error("{broker} refuses the connection: {text} (reason code 0x{code:02x})")]
    Refused {
        /// Host and port.
        broker: String,
        /// The reason code; those of MQTT 3.1.1 in their MQTT 5 form.
        code: u8,
        /// In words.
        text: String,
    },
    /// The broker ended the connection (MQTT 5 §3.14.2.1).
    #[error("{broker} ended the connection: {text} (reason code 0x{code:02x})")]
    Disconnected {
        /// Host and port.
        broker: String,
        /// The reason code.
        code: u8,
        /// In words.
        text: String,
    },
    /// The broker sent something that it should not.
    #[error("{broker} does not keep to MQTT: {what}")]
    Protocol {
        /// Host and port.
        broker: String,
        /// What it sent.
        what: String,
    },
    /// No CONNACK or no PINGRESP.
    #[error("{broker} does not answer {what}")]
    Silent {
        /// Host and port.
        broker: String,
        /// What was asked.
        what: &'static str,
    },
    /// The connection's task is gone.
    #[error("MQTT connection to {0} was closed")]
    Closed(String),
}

impl LinkError {
    /// How long the reason is likely to last.
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Io { .. } | Self::Silent { .. } | Self::Closed(_) => Failure::Passing,
            #[cfg(feature = "tls")]
            Self::Tls { source, .. } => source.failure(),
            Self::Refused { code, .. } | Self::Disconnected { code, .. } => failure(*code),
            Self::Protocol { .. } => Failure::Lasting,
        }
    }
}

/// A CONNACK's or DISCONNECT's reason code in words, with the remedy where there is one.
pub(super) fn text(code: u8, reason: Option<String>) -> String {
    let text = match code {
        0x00 => "normally",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x84 => "it does not speak this version of MQTT; set protocol = \"3.1.1\"",
        0x85 => "it does not accept the client id",
        0x86 => "wrong user name or password",
        0x87 => "not authorised; see its access list and the credentials",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8A => "banned",
        0x8B => "server shutting down",
        0x8D => "keep-alive time-out",
        0x8E => "another client took the session over; is the vehicle id used twice?",
        0x93 => "more packets under way than it allows",
        0x95 => "packet too large for it",
        0x97 => "quota exceeded",
        0x9A => "retained messages are not supported",
        0x9C | 0x9D => "it names another server",
        0x9F => "connection rate exceeded",
        _ => "no known reason",
    };
    reason.map_or_else(|| text.to_owned(), |reason| format!("{text}: {reason:?}"))
}
