//! Diagnostic messages: what a request asks, what a response says, and which response belongs to which request.
//!
//! UDS (ISO 14229-1:2020), OBD (SAE J1979, ISO 15031-5) and the KWP2000 services (ISO 14230-3) whose numbers UDS leaves
//! free. [`Pdu`] is the meaning of one message, [`Exchanges`] brings requests and responses together.
//!
//! Names are tables of our own, which `tests/uds_names.rs` compares with those of crate `automotive_diag`: it lacks the
//! names of OBD's services and the 19 negative response codes that came with ISO 14229-1:2020, and gives names through
//! `Debug` only.

mod exchanges;
mod nrc;
mod pdu;
mod service;

pub use exchanges::{Answer, Diagnostic, ExchangeCounters, ExchangeLimits, Exchanges, RequestHead};
pub use nrc::Nrc;
pub use pdu::{Identifiers, Kind, Pdu};
pub use service::{IdentifierKind, Protocol, Service};
