//! The configuration as it is written: shapes and defaults, no meaning yet. Unknown keys are refused.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::trace::raw::Trace;
use super::units::{Age, Size, Time as Duration};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) vehicle: Vehicle,
    pub(super) store: Store,
    pub(super) blocks: Blocks,
    pub(super) uplink: Option<Uplink>,
    pub(super) http: Http,
    pub(super) logs: Logs,
    pub(super) control: Control,
    pub(super) time: Time,
    pub(super) trace: Trace,
    pub(super) bus: Vec<Spanned<Bus>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Vehicle {
    pub(super) id: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) path: Option<PathBuf>,
    pub(super) max_bytes: Option<Spanned<Size>>,
    pub(super) free_bytes_min: Option<Spanned<Size>>,
    pub(super) commit_after: Option<Spanned<Duration>>,
    /// Shares of `max_bytes`.
    pub(super) floors: ByClass<Spanned<f64>>,
    pub(super) ages: ByClass<Spanned<Age>>,
    pub(super) preserved_share: Option<Spanned<f64>>,
    pub(super) preserve: Option<Spanned<Preserve>>,
    pub(super) write_budget: Option<WriteBudget>,
    pub(super) card: Option<Spanned<Card>>,
}

/// A value for each class; absent: its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByClass<T> {
    pub(super) critical: Option<T>,
    pub(super) traces: Option<T>,
    pub(super) live: Option<T>,
    pub(super) logs: Option<T>,
    pub(super) bulk: Option<T>,
}

// Derived, it would ask for a default of `T`.
impl<T> Default for ByClass<T> {
    fn default() -> Self {
        Self { critical: None, traces: None, live: None, logs: None, bulk: None }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Preserve {
    pub(super) before: Option<Spanned<Duration>>,
    pub(super) after: Option<Spanned<Duration>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteBudget {
    pub(super) bytes_per_day: Spanned<Size>,
    #[serde(default)]
    pub(super) commit_after_max: Option<Spanned<Duration>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Card {
    pub(super) bytes: Option<Spanned<Size>>,
    pub(super) cycles: Option<Spanned<u32>>,
    pub(super) amplification: Option<Spanned<f64>>,
    pub(super) tbw: Option<Spanned<Size>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Blocks {
    pub(super) seal_after: Option<Spanned<Duration>>,
    pub(super) samples_max: Option<Spanned<u32>>,
    pub(super) resolution: Option<Spanned<Duration>>,
    pub(super) zstd_level: Option<Spanned<i32>>,
    pub(super) dictionaries: Dictionaries,
}

/// A file for each kind of records.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dictionaries {
    pub(super) samples: Option<Spanned<PathBuf>>,
    pub(super) spans: Option<Spanned<PathBuf>>,
    pub(super) logs: Option<Spanned<PathBuf>>,
    pub(super) histograms: Option<Spanned<PathBuf>>,
    pub(super) frames: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Uplink {
    pub(super) broker: Spanned<String>,
    #[serde(default)]
    pub(super) prefix: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) client_id: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) password_file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) keep_alive: Option<Spanned<Duration>>,
    #[serde(default)]
    pub(super) batch_bytes: Option<Spanned<Size>>,
    #[serde(default)]
    pub(super) in_flight: Option<Spanned<u16>>,
    #[serde(default)]
    pub(super) shutdown_upload: Option<Spanned<Duration>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Logs {
    pub(super) socket: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Control {
    pub(super) socket: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Time {
    pub(super) devices: Vec<Spanned<String>>,
    pub(super) sync: Option<Spanned<SyncBy>>,
    pub(super) ptp4l: Option<PathBuf>,
    pub(super) domain: Option<Spanned<u8>>,
    pub(super) transport_specific: Option<Spanned<u8>>,
    pub(super) assumed_error: Option<Spanned<Duration>>,
    pub(super) limit: Option<Spanned<Duration>>,
    pub(super) stamp_latency: Option<Spanned<Duration>>,
    pub(super) temperature: Option<Spanned<String>>,
    pub(super) record: Option<bool>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum SyncBy {
    Auto,
    Ptp4l,
    Assumed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bus {
    pub(super) kind: BusKind,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) interface: Option<String>,
    /// Of a socketcan bus.
    #[serde(default)]
    pub(super) fd: Option<Spanned<bool>>,
    /// Of a replay bus, as is the next one.
    #[serde(default)]
    pub(super) file: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub(super) speed: Option<Spanned<Speed>>,
    #[serde(default)]
    pub(super) dbc: Vec<PathBuf>,
    #[serde(default)]
    pub(super) matching: Matching,
    #[serde(default)]
    pub(super) observe: Observe,
    /// Absent: not followed.
    #[serde(default)]
    pub(super) diagnostics: Option<Spanned<Diagnostics>>,
    #[serde(default)]
    pub(super) e2e: Vec<Spanned<E2e>>,
    #[serde(default)]
    pub(super) raw: RawFrames,
    #[serde(default)]
    pub(super) resolution: Vec<Spanned<Resolution>>,
}

/// Of the messages that a pattern names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    pub(super) message: String,
    pub(super) step: Spanned<Duration>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawFrames {
    #[default]
    None,
    Undecoded,
    All,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum BusKind {
    Socketcan,
    Replay,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Observe {
    pub(super) identifiers: Option<Spanned<u32>>,
    pub(super) by_message: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Diagnostics {
    pub(super) legislated: Option<bool>,
    pub(super) channels: Vec<String>,
}

/// How a message is protected. What is absent stays as the DBC file has it.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct E2e {
    pub(super) message: String,
    pub(super) profile: Option<E2eProfile>,
    pub(super) data_id: Option<u32>,
    pub(super) data_id_mode: Option<DataIdMode>,
    pub(super) data_ids: Option<[u8; 16]>,
    pub(super) crc_offset_bits: Option<u16>,
    pub(super) counter_offset_bits: Option<u16>,
    pub(super) nibble_offset_bits: Option<u16>,
    pub(super) offset_bits: Option<u16>,
    pub(super) start_bytes: Option<u8>,
    pub(super) len_bytes: Option<u8>,
    pub(super) max_delta_counter: Option<u16>,
    pub(super) max_no_new_or_repeated: Option<u8>,
    pub(super) sync_counter: Option<u8>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
pub(super) enum E2eProfile {
    P01,
    P02,
    P04,
    P05,
    #[serde(rename = "none")]
    None,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum DataIdMode {
    Both,
    Alt,
    Low,
    Nibble,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum Matching {
    #[default]
    Auto,
    Id,
    Pgn,
}

/// `speed = 1.0` (times the recorded speed) or `speed = "max"`.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
pub(super) enum Speed {
    Factor(f64),
    Named(NamedSpeed),
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum NamedSpeed {
    Max,
}
