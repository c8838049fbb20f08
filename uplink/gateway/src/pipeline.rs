//! From a message to its outputs: what is opened, what is put out, and when it may be acknowledged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use ecu_core::clock::Worth;
use store::block::{BlockHeader, BootId, DictionaryHash, Kind, Records};
use uplink::batch;
use uplink::topic::{Prefix, Topic, VehicleId};

use crate::counters::{Counters, Refusal};
use crate::error::GatewayError;
use crate::maps::Maps;
use crate::need::Need;
use crate::opened::{Opened, Opening, Refused, open_block};
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
    /// Its blocks need these: deliver it again when they are here or given up. Nothing was put out.
    Missing(Vec<Need>),
}

/// Opens batches and passes their blocks on, one batch after the other.
pub struct Pipeline {
    prefix: Prefix,
    schemas: Schemas,
    maps: Maps,
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
        let (maps, seen) = (Maps::default(), Seen::default());
        Ok(Self { prefix, schemas, maps, outputs, counters, seen, quiet: Default::default() })
    }

    /// The clock maps that it goes by, to be filled.
    pub(crate) fn maps(&self) -> Maps {
        self.maps.clone()
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
        self.take_maps(&vehicle, &blocks);
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

    /// Takes in the clock maps of the batch, for whichever of its blocks they are.
    fn take_maps(&self, vehicle: &VehicleId, blocks: &[&[u8]]) {
        for block in blocks {
            let is_map = BlockHeader::read(block).is_ok_and(|(header, _)| header.kind == Kind::ClockMap);
            // One that does not open is refused with its batch.
            if is_map && let Ok((header, Records::ClockMap(map))) = store::block::open(block) {
                self.maps.absorb(vehicle, header.identity.boot, &map);
            }
        }
    }

    /// What blocks of the batch need and what may still come.
    fn missing(&self, vehicle: &VehicleId, blocks: &[&[u8]]) -> Vec<Need> {
        let (mut missing, now) = (Vec::new(), Instant::now());
        for (header, _) in blocks.iter().filter_map(|block| BlockHeader::read(block).ok()) {
            let has_names = matches!(header.kind, Kind::Samples | Kind::Spans | Kind::Frames);
            let has_times = has_names || header.kind == Kind::Logs;
            if self.seen.contains(vehicle, header.identity) {
                continue;
            }
            let dictionary = Need::Dictionary(header.dictionary);
            if header.dictionary != DictionaryHash::default()
                && !missing.contains(&dictionary)
                && matches!(self.schemas.find_dictionary(header.dictionary), Known::Missing)
            {
                missing.push(dictionary);
            }
            if !has_times {
                continue;
            }
            let schema = Need::Schema(header.schema);
            if has_names
                && !missing.contains(&schema)
                && matches!(self.schemas.find(header.schema), Known::Missing)
            {
                missing.push(schema);
            }
            let version = self.maps.wanted(vehicle, &header, now);
            let map = version.map(|version| Need::ClockMap(vehicle.clone(), header.identity.boot, version));
            missing.extend(map.filter(|map| !missing.contains(map)));
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
        sort(&mut blocks);
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
                Ok(Opening::Block(mut block)) => {
                    let map = self.maps.of(vehicle, block.header.identity.boot);
                    block.place(map.as_deref());
                    self.count_worth(&block);
                    self.outputs.put(&block).await.map_err(GatewayError::Print)?;
                    identities.insert(block.header.identity);
                    put.push(block.header);
                }
                // `take_maps` has taken it in.
                Ok(Opening::ClockMap(header)) => {
                    self.counters.clock_maps.add(1);
                    put.push(header);
                }
                Ok(Opening::Schema(header) | Opening::Aside(header)) => put.push(header),
                Err(Refused { reason, error }) => self.refuse(reason, topic, &error.to_string()),
            }
            // Opening and encoding take a while; whoever shares the runtime is to have his turn.
            tokio::task::yield_now().await;
        }
        Ok(put)
    }

    fn count_worth(&self, block: &Opened) {
        let worths = block.worths();
        self.counters.blocks_placed.add(u64::from(worths.contains(&Worth::Placed)));
        self.counters.blocks_unsynchronised.add(u64::from(worths.contains(&Worth::Unsynchronised)));
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

/// Newest first is how a vehicle may send; series are to be written in the order of time. That is the order of sealing within a
/// boot, whatever became of the clock meanwhile; boots follow each other by the times that they have.
fn sort(blocks: &mut [&[u8]]) {
    let mut boots = HashMap::<BootId, i64>::new();
    for (header, _) in blocks.iter().filter_map(|block| BlockHeader::read(block).ok()) {
        // Schemas and clock maps have no times.
        if header.first_ns != 0 {
            let first_ns = boots.entry(header.identity.boot).or_insert(header.first_ns);
            *first_ns = header.first_ns.min(*first_ns);
        }
    }
    blocks.sort_by_cached_key(|block| {
        BlockHeader::read(block).ok().map(|(BlockHeader { identity, .. }, _)| {
            (boots.get(&identity.boot).copied().unwrap_or(i64::MIN), identity)
        })
    });
}
