//! Looking at what is recorded, beside the service: `check`, `decode`, `query`, `sql`, `export`.

pub mod check;
pub mod decode;
mod diagnostics;
pub mod export;
pub mod query;
mod render;
pub mod source;
mod span_text;
pub mod sql;
mod times;
mod walk;

#[cfg(feature = "demo")]
pub(crate) use render::hex;
