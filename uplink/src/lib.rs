//! The uplink: how blocks travel from a vehicle to a broker, and what the gateway finds there.
//!
//! Pure parts: [`session`] decides what is sent when, out of [`schedule`] (which class), [`budget`] (how many bytes may
//! go), [`window`] (when a class may travel), [`link`] (how the link is, when to connect), [`pace`] (how much to have
//! under way), [`refusal`] and [`suspects`] (what to do when a broker says no) and [`wire`] (what a packet costs).
//! [`topic`] names, [`batch`] framing, [`flight`] (what is under way and who is told when it arrives) and [`backoff`]
//! delays serve both ends. The feature `mqtt` adds [`mqtt`], the only room that knows rumqttc. Nothing here knows of
//! CAN, reads a clock, or rolls dice: time and seeds are inputs.

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
pub mod topic;
pub mod window;
pub mod wire;
