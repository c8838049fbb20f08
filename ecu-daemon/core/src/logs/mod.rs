//! Log lines: from text to templates and variables, and what is worth raising a hand for.
//!
//! A line goes through [`mask`], which finds what is variable by its form; then the cache of masked lines names its
//! template. Only a line of a new shape is grouped: with lines of the same structure whose words agree, or differ
//! where values stand. After Drain (structure first), Brain and PILAR (cardinality of the words at one place) and CLP
//! (template and variables give back the exact line), without training and without a setting per log.

pub mod alarms;
mod bytes;
mod cache;
mod date;
mod evidence;
pub mod grade;
mod group;
mod hash;
mod mask;
mod miner;
mod shape;
mod table;
mod template;
mod vocabulary;
mod word;

pub use mask::{Kind, LINE_BYTES_MAX, Span, VARIABLES_MAX, mask};
pub use miner::{ClusterId, Mined, Miner, MinerTotals, Origin};
pub use table::TEMPLATES_MAX;
pub use template::{HOLE, Template, TemplateId};
