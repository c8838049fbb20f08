//! The configuration as it is written: shapes and defaults, no meaning yet. Unknown keys are refused.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::units::{Size, Time};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) vehicle: Vehicle,
    pub(super) store: Store,
    pub(super) blocks: Blocks,
    pub(super) uplink: Option<Uplink>,
    pub(super) http: Http,
    pub(super) logs: Logs,
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
    pub(super) commit_after: Option<Spanned<Time>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Blocks {
    pub(super) seal_after: Option<Spanned<Time>>,
    pub(super) samples_max: Option<Spanned<u32>>,
    pub(super) resolution: Option<Spanned<Time>>,
    pub(super) zstd_level: Option<Spanned<i32>>,
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
    pub(super) keep_alive: Option<Spanned<Time>>,
    #[serde(default)]
    pub(super) batch_bytes: Option<Spanned<Size>>,
    #[serde(default)]
    pub(super) in_flight: Option<Spanned<u16>>,
    #[serde(default)]
    pub(super) shutdown_upload: Option<Spanned<Time>>,
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

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Bus {
    Socketcan {
        #[serde(default)]
        name: Option<String>,
        interface: String,
        #[serde(default = "yes")]
        fd: bool,
        #[serde(default)]
        dbc: Vec<PathBuf>,
        #[serde(default)]
        matching: Matching,
    },
    Replay {
        #[serde(default)]
        name: Option<String>,
        file: PathBuf,
        #[serde(default)]
        interface: Option<String>,
        #[serde(default)]
        speed: Speed,
        #[serde(default)]
        dbc: Vec<PathBuf>,
        #[serde(default)]
        matching: Matching,
    },
}

const fn yes() -> bool {
    true
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

impl Default for Speed {
    fn default() -> Self {
        Self::Factor(1.0)
    }
}
