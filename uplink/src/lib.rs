//! The uplink: how blocks travel from a vehicle to a broker, and what the gateway finds there.
//!
//! Pure parts: [`topic`] names, [`batch`] framing, [`flight`] (what is under way and who is told when it arrives),
//! [`backoff`] delays. The feature `mqtt` adds [`mqtt`], the only room that knows rumqttc. Nothing here knows of CAN.

pub mod backoff;
pub mod batch;
pub mod flight;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod topic;
