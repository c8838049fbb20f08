//! `[trace]` as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::super::units::Time as Duration;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(in super::super) struct Trace {
    pub(super) ratio: Option<Spanned<f64>>,
    pub(super) spans_per_second: Option<Spanned<u32>>,
    pub(super) roots: bool,
    pub(super) waiting_max: Option<Spanned<u16>>,
    pub(super) timeout: Option<Spanned<Duration>>,
    pub(super) slow: Option<Spanned<Duration>>,
    pub(super) part_timeout: Option<Spanned<Duration>>,
    pub(super) frame_timeout: Option<Spanned<Duration>>,
    pub(super) listen: Option<Spanned<String>>,
    pub(super) allow_remote: bool,
    pub(super) records_per_second: Option<Spanned<u32>>,
    pub(super) offsets: BTreeMap<String, Spanned<u8>>,
    pub(super) attributes: BTreeMap<String, Spanned<Vec<String>>>,
    pub(super) pair: Vec<Spanned<Pair>>,
    pub(super) conversation: Vec<Spanned<Conversation>>,
    pub(super) context_frames: Vec<Spanned<ContextFrames>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    pub(super) request: Spanned<String>,
    pub(super) response: Spanned<String>,
    #[serde(default)]
    pub(super) key: Option<Spanned<Key>>,
    #[serde(default)]
    pub(super) failure: Option<Spanned<Failure>>,
    #[serde(default)]
    pub(super) answers: Answers,
    #[serde(default)]
    pub(super) timeout: Option<Spanned<Duration>>,
    #[serde(default)]
    pub(super) slow: Option<Spanned<Duration>>,
}

/// One name for a signal of both messages, or the request's and the response's.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Key {
    Same(String),
    Two([String; 2]),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    pub(super) signal: String,
    pub(super) ok: Good,
}

/// A raw value, or its label in the DBC file.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Good {
    Raw(i64),
    Label(String),
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answers {
    #[default]
    Oldest,
    All,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conversation {
    pub(super) bus: Spanned<String>,
    pub(super) channel: Spanned<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) context: Option<Spanned<Place>>,
    #[serde(default)]
    pub(super) timeout: Option<Spanned<Duration>>,
    #[serde(default)]
    pub(super) slow: Option<Spanned<Duration>>,
}

/// `context = 3` (at this byte), or `context = "trailer"`.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
pub(super) enum Place {
    Offset(u16),
    Named(NamedPlace),
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum NamedPlace {
    Trailer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContextFrames {
    pub(super) bus: Spanned<String>,
    pub(super) id: Spanned<String>,
    /// Their order numbers them.
    pub(super) messages: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) counters: BTreeMap<String, Spanned<String>>,
}
