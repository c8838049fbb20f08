//! The gateway: batches of blocks from MQTT become OTLP, Prometheus remote-write or JSON lines.
//!
//! It keeps nothing: what has not been passed on is not acknowledged, and the broker delivers it again, to this gateway
//! or another of its group. Delivery is therefore at least once. Within a process a block is passed on once; across
//! restarts the same block gives the same records with the same identity, `(vehicle, boot, run, sequence, row)`, so
//! that receivers which compare times or ids keep one of each.
//!
//! Times are put right by the clock map of the vehicle's boot, which arrives among the blocks and is fetched where it is
//! retained (`{prefix}/{vehicle}/clock/{boot}`): a record that was stamped before its clock was synchronised, or while it was
//! set, is placed in true time, and says how (`ecu.time.basis`: `synchronised`, `placed`, `unsynchronised`), by which clock
//! (`ecu.time.clock`) and to within what (`ecu.time.error_ns`; of samples the gauge `ecu.time.error`). A block waits for the map
//! that it names for [`Patience::clock_map`]; then it goes out with what is known. What went out before a vehicle's clock was
//! synchronised for the first time has gone out as its clock showed it: `unsynchronised`.
//!
//! Prometheus takes samples that are older than the last of their series only with `out_of_order_time_window` set;
//! vehicles that were offline send such samples, so set it to how long a vehicle may be offline.
//!
//! The binary `ecu-gateway` is a thin shell around [`Gateway`]. A [`Pipeline`] is the part without a broker.

pub mod cli;
mod counters;
mod desk;
mod error;
mod exposition;
#[cfg(test)]
#[allow(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../tests/support/fixture.rs"]
mod fixture;
mod gateway;
mod inbox;
mod listen;
mod maps;
mod need;
mod opened;
mod options;
mod output;
mod pipeline;
mod quiet;
mod schemas;
mod seen;
mod times;
pub mod unit;

pub use counters::{Counter, Counters, Flag, ReceiverCounters, Refusal};
pub use error::GatewayError;
pub use gateway::{Gateway, Report};
pub use need::Need;
pub use options::{Group, HttpUrl, HttpUrlError, Options, Patience};
pub use pipeline::{Outcome, Pipeline};
pub use schemas::{SchemaError, Schemas};
