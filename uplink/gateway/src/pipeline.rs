//! From a message to its outputs: what is opened, what is put out, and when it may be acknowledged.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use store::block::{BlockHeader, Kind, SchemaHash};
use uplink::batch;
use uplink::topic::{Prefix, Topic, VehicleId};

use crate::counters::{Counters, Refusal};
use crate::error::GatewayError;
use crate::opened::{Opening, Refused, open_block};
use crate::options::Options;
use crate::output::Outputs;
use crate::quiet::Quiet;
use crate::schemas::{Known, Schemas};
use crate::seen::Seen;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every output has taken or refused what it holds: acknowledge it.
    Done,
    /// Its blocks need these schemas: deliver it again when they are here or given up. Nothing was put out.
    Missing(Vec<SchemaHash>),
}

/// Opens batches and passes their blocks on, one batch after the other.
pub struct Pipeline {
    prefix: Prefix,
    schemas: Schemas,
    outputs: Outputs,
    counters: Arc<Counters>,
    seen: Seen,
    quiet: [Quiet; Refusal::ALL.len()],
}

impl Pipeline {
    /// With the outputs that `options` name. `lines` takes the printed lines instead of the standard output.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(
        options: &Options,
        lines: Option<Box<dyn std::io::Write + Send>>,
        schemas: Schemas,
        counters: Arc<Counters>,
    ) -> Result<Self, GatewayError> {
        let outputs = Outputs::new(options, lines, &counters)?;
        let prefix = options.prefix.clone();
        Ok(Self { prefix, schemas, outputs, counters, seen: Seen::default(), quiet: Default::default() })
    }

    /// Passes the blocks of a message on. Returns when all outputs have taken or refused them, however long a receiver
    /// keeps it waiting; dropping the future before leaves the message to be delivered again.
    ///
    /// # Errors
    /// [`GatewayError::Print`] when the reader of printed lines is gone: the gateway has to end.
    pub async fn deliver(&mut self, topic: &str, payload: &[u8]) -> Result<Outcome, GatewayError> {
        let Some(Topic::Blocks(vehicle, _)) = self.prefix.parse(topic) else {
            self.refuse(Refusal::Topic, topic, "no blocks are expected there");
            return Ok(Outcome::Done);
        };
        let blocks = match batch::decode(payload, &vehicle) {
            Ok(blocks) => blocks,
            Err(error) => {
                self.refuse(Refusal::Batch, topic, &error.to_string());
                return Ok(Outcome::Done);
            }
        };
        let missing = self.missing(&vehicle, &blocks);
        if !missing.is_empty() {
            return Ok(Outcome::Missing(missing));
        }
        let put = self.put(topic, &vehicle, blocks).await?;
        self.outputs.flush().await.map_err(GatewayError::Print)?;
        for header in &put {
            self.seen.insert(&vehicle, header.identity);
            self.count(header);
        }
        self.counters.batches.add(1);
        self.counters.bytes.add(payload.len() as u64);
        Ok(Outcome::Done)
    }

    /// Schemas that blocks of the batch need and that may still come.
    fn missing(&self, vehicle: &VehicleId, blocks: &[&[u8]]) -> Vec<SchemaHash> {
        let mut missing = Vec::new();
        for (header, _) in blocks.iter().filter_map(|block| BlockHeader::read(block).ok()) {
            let needs_one = matches!(header.kind, Kind::Samples | Kind::Spans | Kind::Frames);
            if needs_one
                && !missing.contains(&header.schema)
                && !self.seen.contains(vehicle, header.identity)
                && matches!(self.schemas.find(header.schema), Known::Missing)
            {
                missing.push(header.schema);
            }
        }
        missing
    }

    /// Puts out the blocks that are good and new. One is open at a time: a small batch can hold gigabytes of samples.
    async fn put(
        &mut self,
        topic: &str,
        vehicle: &VehicleId,
        mut blocks: Vec<&[u8]>,
    ) -> Result<Vec<BlockHeader>, GatewayError> {
        // Newest first is how a vehicle may send; series are to be written in the order of time.
        blocks.sort_by_cached_key(|block| {
            BlockHeader::read(block).map_or(i64::MIN, |(header, _)| header.first_ns)
        });
        let mut put = Vec::<BlockHeader>::new();
        let mut identities = HashSet::new();
        for bytes in blocks {
            let known = BlockHeader::read(bytes).is_ok_and(|(header, _)| {
                self.seen.contains(vehicle, header.identity) || identities.contains(&header.identity)
            });
            if known {
                self.counters.duplicate_blocks.add(1);
                continue;
            }
            match open_block(vehicle, bytes, &self.schemas) {
                Ok(Opening::Block(block)) => {
                    self.outputs.put(&block).await.map_err(GatewayError::Print)?;
                    identities.insert(block.header.identity);
                    put.push(block.header);
                }
                Ok(Opening::Schema(header) | Opening::Aside(header)) => put.push(header),
                Err(Refused { reason, error }) => self.refuse(reason, topic, &error.to_string()),
            }
            // Opening and encoding take a while; whoever shares the runtime is to have his turn.
            tokio::task::yield_now().await;
        }
        Ok(put)
    }

    fn count(&self, header: &BlockHeader) {
        self.counters.blocks.add(1);
        let records = match header.kind {
            Kind::Samples => &self.counters.samples,
            Kind::Spans => &self.counters.spans,
            Kind::Logs => &self.counters.logs,
            Kind::Frames => &self.counters.frames,
            Kind::Schema => &self.counters.schemas,
            Kind::Histograms | Kind::Dictionary | Kind::ClockMap => return,
        };
        records.add(if header.kind == Kind::Schema { 1 } else { u64::from(header.count) });
    }

    fn refuse(&mut self, reason: Refusal, topic: &str, error: &str) {
        self.counters.refuse(reason);
        if let Some(suppressed) = self.quiet[reason as usize].pass(Instant::now()) {
            tracing::warn!(topic = ?topic, reason = reason.name(), error, suppressed, "refused; published nowhere");
        }
    }
}
