//! The uplink: how blocks travel from a vehicle to a broker, and what the gateway finds there.
//!
//! Pure parts: [`session`] decides what is sent when, out of [`schedule`] (which class), [`budget`] (how many bytes may
//! go), [`window`] (when a class may travel), [`link`] (how the link is, when to connect), [`pace`] (how much to have
//! under way), [`refusal`] and [`suspects`] (what to do when a broker says no) and [`wire`] (what a packet costs).
//! [`topic`] names, [`batch`] framing, [`flight`] (what is under way and who is told when it arrives) and [`backoff`]
//! delays serve both ends. Nothing of it reads a clock or rolls dice: time and seeds are inputs. The feature `mqtt` adds
//! `mqtt`, the only room that knows rumqttc, and `tls` adds `tls`, the only one that knows rustls. Nothing here knows of
//! CAN.

pub mod backoff;
pub mod batch;
pub mod budget;
pub mod flight;
pub mod link;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod pace;
pub mod random;
pub mod refusal;
pub mod schedule;
pub mod session;
pub mod suspects;
#[cfg(feature = "tls")]
pub mod tls;
pub mod topic;
pub mod window;
pub mod wire;
