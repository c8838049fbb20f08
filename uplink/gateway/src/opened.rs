//! A block with its schema, checked so that outputs need not.

mod spans;

use std::sync::Arc;

use store::block::{BlockError, BlockHeader, Group, LogRecord, Records, Samples, open};
use uplink::topic::VehicleId;

pub(crate) use self::spans::{Marked, NamedSpans, id_of, signals_of};
use crate::counters::Refusal;
use crate::schemas::{Known, MessageNames, ResolvedSchema, SchemaError, Schemas, SignalNames};

/// An opened block. Every message and signal that its records refer to is in the schema.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Who sent it.
    pub(crate) vehicle: VehicleId,
    /// Its head.
    pub(crate) header: BlockHeader,
    /// What it holds.
    pub(crate) content: Content,
}

/// The records of an opened block.
#[derive(Debug)]
pub(crate) enum Content {
    Samples(NamedSamples),
    Spans(NamedSpans),
    Logs(Vec<LogRecord>),
}

/// Samples and what they are called.
#[derive(Debug)]
pub(crate) struct NamedSamples {
    samples: Samples,
    schema: Arc<ResolvedSchema>,
}

/// One signal's samples in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    pub(crate) message: &'a MessageNames,
    pub(crate) names: &'a SignalNames,
    pub(crate) group: &'a Group,
    column: usize,
}

impl<'a> Series<'a> {
    /// Each sample as the row in its group and the raw value.
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, u64)> + use<'a> {
        let column = &self.group.columns[self.column];
        column.rows.iter().zip(column.values.iter().copied())
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        self.group.columns[self.column].values.len()
    }
}

impl NamedSamples {
    /// Series by series, in the order of the block.
    pub(crate) fn series(&self) -> Vec<Series<'_>> {
        let mut all = Vec::new();
        for group in &self.samples.groups {
            // `check_samples` has seen to it that there are such a message and such signals.
            let Some(message) = self.schema.message(group.message) else { continue };
            let names = |column: usize| message.signals.get(group.columns[column].signal);
            let series = |column| Some(Series { message, names: names(column)?, group, column });
            all.extend((0..group.columns.len()).filter_map(series));
        }
        all
    }
}

/// What became of a block.
#[derive(Debug)]
pub(crate) enum Opening {
    /// It can be put out.
    Block(Opened),
    /// It was a schema, which is kept.
    Schema(BlockHeader),
    /// It is of a kind that no output takes.
    Aside(BlockHeader),
}

/// Why a block was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Refusal,
    pub(crate) error: SchemaError,
}

impl From<BlockError> for Refused {
    fn from(error: BlockError) -> Self {
        let reason =
            if matches!(error, BlockError::Schema(_)) { Refusal::SchemaMismatch } else { Refusal::Block };
        Self { reason, error: error.into() }
    }
}

/// Opens a block and checks it against its schema, which has to be there by now.
pub(crate) fn open_block(vehicle: &VehicleId, bytes: &[u8], schemas: &Schemas) -> Result<Opening, Refused> {
    let (header, records) = open(bytes)?;
    let schema = || match schemas.find(header.schema) {
        Known::Here(schema) => Ok(schema),
        Known::Missing | Known::GivenUp => {
            Err(Refused { reason: Refusal::SchemaMissing, error: SchemaError::Missing(header.schema) })
        }
    };
    let content = match records {
        Records::Samples(samples) => Content::Samples(check_samples(samples, schema()?)?),
        Records::Spans(spans) => Content::Spans(NamedSpans::new(spans, schema()?)?),
        Records::Logs(logs) => Content::Logs(logs),
        Records::Histograms(_) | Records::ClockMap(_) | Records::Dictionary(_) => {
            return Ok(Opening::Aside(header));
        }
        Records::Schema(hash, _) => {
            return match schemas.offer(hash, bytes) {
                Ok(()) => Ok(Opening::Schema(header)),
                // It opened and names itself, so that only its size can be wrong.
                Err(error) => Err(Refused { reason: Refusal::Schema, error }),
            };
        }
    };
    Ok(Opening::Block(Opened { vehicle: vehicle.clone(), header, content }))
}

fn check_samples(samples: Samples, schema: Arc<ResolvedSchema>) -> Result<NamedSamples, BlockError> {
    for group in &samples.groups {
        let message = schema.message(group.message).ok_or(NO_MESSAGE)?;
        if group.columns.iter().any(|column| column.signal >= message.signals.len()) {
            return Err(BlockError::Schema("a sample is of a signal that its message does not have"));
        }
    }
    Ok(NamedSamples { samples, schema })
}

const NO_MESSAGE: BlockError = BlockError::Schema("a record is of a message that the schema does not have");
