//! Looking at files without running the service: `check`, `decode`, `query`.

pub mod check;
pub mod decode;
mod diagnostics;
mod glob;
pub mod query;
mod render;

#[cfg(feature = "demo")]
pub(crate) use render::hex;
