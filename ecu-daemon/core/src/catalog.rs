//! All buses' decode tables, and the schema that names what they decode.

use can_decode::{CanId, DecodeTable, Message};
use store::block::{MessageSchema, Schema, SchemaHash, SignalSchema};

/// One bus's table, with its place in the schema.
#[derive(Clone, Debug)]
pub struct BusTable {
    /// The bus's decode table.
    pub table: DecodeTable,
    /// Schema index of the table's first message.
    pub first_message: usize,
}

/// Everything there is to decode.
#[derive(Clone, Debug)]
pub struct Catalog {
    buses: Vec<BusTable>,
    schema: Schema,
    encoded: Vec<u8>,
    hash: SchemaHash,
}

/// More messages than a schema holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the DBC files of all buses hold {0} messages, more than the {max} of a schema", max = store::block::limits::MESSAGES_MAX)]
pub struct TooManyMessages(pub usize);

impl Catalog {
    /// From the buses in the order of the configuration.
    ///
    /// # Errors
    /// [`TooManyMessages`]
    pub fn new(tables: impl IntoIterator<Item = (String, DecodeTable)>) -> Result<Self, TooManyMessages> {
        let mut schema = Schema::default();
        let mut buses = Vec::new();
        for (bus, (name, table)) in tables.into_iter().enumerate() {
            let first_message = schema.messages.len();
            schema.buses.push(name);
            schema.messages.extend(table.messages().iter().map(|message| message_schema(bus, message)));
            buses.push(BusTable { table, first_message });
        }
        if schema.messages.len() > store::block::limits::MESSAGES_MAX {
            return Err(TooManyMessages(schema.messages.len()));
        }
        let encoded = schema.encode();
        let hash = Schema::hash(&encoded);
        Ok(Self { buses, schema, encoded, hash })
    }

    /// Gives a conversation of `bus` a name, so that its spans can be called after it: a message without signals, behind
    /// those of all tables. Its index in the schema.
    ///
    /// # Errors
    /// [`TooManyMessages`]
    pub fn name_conversation(
        &mut self,
        bus: usize,
        id: CanId,
        name: String,
    ) -> Result<usize, TooManyMessages> {
        let index = self.schema.messages.len();
        if index >= store::block::limits::MESSAGES_MAX {
            return Err(TooManyMessages(index + 1));
        }
        self.schema.messages.push(MessageSchema { bus, id, name, signals: Vec::new() });
        self.encoded = self.schema.encode();
        self.hash = Schema::hash(&self.encoded);
        Ok(index)
    }

    /// Tables of the buses.
    pub fn buses(&self) -> &[BusTable] {
        &self.buses
    }

    /// The schema.
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The body of the schema's block.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The schema's name.
    pub const fn hash(&self) -> SchemaHash {
        self.hash
    }
}

fn message_schema(bus: usize, message: &Message) -> MessageSchema {
    let signals = message.signals.iter().map(|signal| SignalSchema {
        name: signal.name.clone(),
        unit: signal.unit.clone(),
        kind: signal.kind,
        factor: signal.factor,
        offset: signal.offset,
        labels: signal.labels.clone(),
    });
    // The long name is the one people know; short ones are cut at 32 characters by the tools that write DBC files.
    let name = message.long_name.as_ref().unwrap_or(&message.name).clone();
    MessageSchema { bus, id: message.id, name, signals: signals.collect() }
}
