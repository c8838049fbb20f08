//! A block with its schema, checked so that outputs need not.

mod spans;

use std::sync::Arc;

use ecu_core::clock::{History, Worth};
use store::block::{
    BlockError, BlockHeader, Dictionaries, DictionaryHash, Frames, Group, LogRecord, RawFrame, Records,
    Samples, open_with,
};
use uplink::topic::VehicleId;

pub(crate) use self::spans::{Marked, NamedSpans, id_of, signals_of};
use crate::counters::Refusal;
use crate::schemas::{Known, MessageNames, ResolvedSchema, SchemaError, Schemas, SignalNames};
use crate::times::{Note, Notes, Placing};

/// An opened block. Every message and signal that its records refer to is in the schema.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Who sent it.
    pub(crate) vehicle: VehicleId,
    /// Its head.
    pub(crate) header: BlockHeader,
    /// What it holds.
    pub(crate) content: Content,
    /// What the times of spans and logs are worth, see [`Self::note`].
    notes: Notes,
}

/// The records of an opened block.
#[derive(Debug)]
pub(crate) enum Content {
    Samples(NamedSamples),
    Spans(NamedSpans),
    Logs(Vec<LogRecord>),
    Frames(NamedFrames),
}

/// Raw frames and what their buses are called.
#[derive(Debug)]
pub(crate) struct NamedFrames {
    frames: Frames,
    /// By row.
    times_ns: Vec<i64>,
    schema: Arc<ResolvedSchema>,
}

impl NamedFrames {
    /// Each with the name of its bus, in the order of the block.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, RawFrame)> {
        // `check_frames` has seen to it that there are such buses.
        let placed = self.frames.iter().zip(&self.times_ns);
        placed.filter_map(|(raw, &time_ns)| Some((self.schema.bus(raw.bus)?, RawFrame { time_ns, ..raw })))
    }

    /// How many.
    pub(crate) const fn len(&self) -> usize {
        self.frames.len()
    }
}

/// Samples and what they are called.
#[derive(Debug)]
pub(crate) struct NamedSamples {
    samples: Samples,
    schema: Arc<ResolvedSchema>,
    /// By group.
    notes: Vec<Notes>,
}

/// One signal's samples in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    pub(crate) message: &'a MessageNames,
    pub(crate) names: &'a SignalNames,
    pub(crate) group: &'a Group,
    notes: Option<&'a Notes>,
    column: usize,
}

impl<'a> Series<'a> {
    /// Each sample as the row in its group and the raw value.
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, u64)> + use<'a> {
        let column = &self.group.columns[self.column];
        column.rows.iter().zip(column.values.iter().copied())
    }

    /// What the time of a row of the group is worth.
    pub(crate) fn note(&self, row: usize) -> Note {
        self.notes.map_or(Note::UNKNOWN, |notes| notes.at(row))
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
        for (index, group) in self.samples.groups.iter().enumerate() {
            // `check_samples` has seen to it that there are such a message and such signals.
            let Some(message) = self.schema.message(group.message) else { continue };
            let names = |column: usize| message.signals.get(group.columns[column].signal);
            let notes = self.notes.get(index);
            let series = |column| Some(Series { message, names: names(column)?, group, notes, column });
            all.extend((0..group.columns.len()).filter_map(series));
        }
        all
    }
}

impl Opened {
    /// Puts the records' times right, by what is known of the clocks of the block's boot.
    pub(crate) fn place(&mut self, map: Option<&History>) {
        let placing = Placing::new(map, &self.header);
        match &mut self.content {
            Content::Samples(NamedSamples { samples, notes, .. }) => {
                *notes = samples.groups.iter_mut().map(|group| placing.group(group)).collect();
            }
            Content::Spans(spans) => self.notes = spans.place(placing),
            Content::Frames(NamedFrames { frames, times_ns, .. }) => {
                let times = frames.iter().zip(times_ns).map(|(raw, time_ns)| (raw.clock, time_ns, 0));
                self.notes = placing.records(times);
            }
            Content::Logs(logs) => {
                self.notes = placing.records(logs.iter_mut().map(|log| (log.clock, &mut log.time_ns, 0)));
            }
        }
    }

    /// All that the times of its records are worth.
    pub(crate) fn worths(&self) -> Vec<Worth> {
        let of_samples = match &self.content {
            Content::Samples(samples) => samples.notes.as_slice(),
            _ => &[],
        };
        of_samples.iter().chain([&self.notes]).flat_map(Notes::worths).collect()
    }

    /// What the time of a span or log record is worth.
    pub(crate) fn note(&self, row: usize) -> Note {
        self.notes.at(row)
    }
}

/// What became of a block.
#[derive(Debug)]
pub(crate) enum Opening {
    /// It can be put out.
    Block(Opened),
    /// It was a schema, which is kept.
    Schema(BlockHeader),
    /// It was a clock map, which the pipeline has taken in.
    ClockMap(BlockHeader),
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

/// Opens a block and checks it against its schema, which has to be there by now, as its dictionary has.
pub(crate) fn open_block(vehicle: &VehicleId, bytes: &[u8], schemas: &Schemas) -> Result<Opening, Refused> {
    let (header, _) = BlockHeader::read(bytes)?;
    let mut dictionaries = Dictionaries::default();
    if header.dictionary != DictionaryHash::default() {
        match schemas.find_dictionary(header.dictionary) {
            Known::Here(dictionary) => dictionaries.insert(dictionary),
            Known::Missing | Known::GivenUp => {
                let error = SchemaError::MissingDictionary(header.dictionary);
                return Err(Refused { reason: Refusal::DictionaryMissing, error });
            }
        }
    }
    let (header, records) = open_with(bytes, &dictionaries)?;
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
        Records::Frames(frames) => Content::Frames(check_frames(frames, schema()?)?),
        Records::ClockMap(_) => return Ok(Opening::ClockMap(header)),
        Records::Histograms(_) | Records::Dictionary(_) => {
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
    Ok(Opening::Block(Opened { vehicle: vehicle.clone(), header, content, notes: Notes::default() }))
}

fn check_samples(samples: Samples, schema: Arc<ResolvedSchema>) -> Result<NamedSamples, BlockError> {
    for group in &samples.groups {
        let message = schema.message(group.message).ok_or(NO_MESSAGE)?;
        if group.columns.iter().any(|column| column.signal >= message.signals.len()) {
            return Err(BlockError::Schema("a sample is of a signal that its message does not have"));
        }
    }
    Ok(NamedSamples { samples, schema, notes: Vec::new() })
}

fn check_frames(frames: Frames, schema: Arc<ResolvedSchema>) -> Result<NamedFrames, BlockError> {
    if frames.bus_max().is_some_and(|bus| schema.bus(bus).is_none()) {
        return Err(BlockError::Schema("a frame is of a bus that the schema does not have"));
    }
    let times_ns = frames.iter().map(|raw| raw.time_ns).collect();
    Ok(NamedFrames { frames, times_ns, schema })
}

const NO_MESSAGE: BlockError = BlockError::Schema("a record is of a message that the schema does not have");
