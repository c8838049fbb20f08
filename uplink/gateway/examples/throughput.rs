//! How many samples a second one core turns from blocks into requests, receivers being infinitely fast.
//!
//! `cargo run --release -p ecu-gateway --example throughput`

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use can_decode::{CanId, ValueKind};
use ecu_gateway::{Counters, HttpUrl, Options, Outcome, Pipeline, Schemas};
use store::block::{
    Body, BootId, Class, ClockSource, Kind, MessageSchema, SamplesBuilder, Schema, SchemaHash, SealedBlock,
    Sealer, SignalSchema,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uplink::batch;
use uplink::mqtt::Link;
use uplink::topic::{Prefix, VehicleId};

/// A car of 92 messages with 4 signals each; its traffic comes in blocks of 5 s at 77 frames a second and message.
const MESSAGES: usize = 92;
const SIGNALS: usize = 4;
const ROWS: i64 = 385;
const BLOCKS: i64 = 20;

fn schema() -> Schema {
    let units = ["km/h", "degC", "V", "rpm"];
    let signal = |number: usize| SignalSchema {
        name: format!("SignalNumber{number}"),
        unit: units[number].to_owned(),
        kind: ValueKind::Signed,
        factor: 0.01,
        offset: 0.0,
        labels: Vec::new(),
    };
    let message = |number: usize| MessageSchema {
        bus: 0,
        id: CanId::Standard(number as u16),
        name: format!("MESSAGE_{number}"),
        signals: (0..SIGNALS).map(signal).collect(),
    };
    Schema { buses: vec!["can0".to_owned()], messages: (0..MESSAGES).map(message).collect() }
}

fn seal(sealer: &mut Sealer, kind: Kind, schema: SchemaHash, count: usize) -> io::Result<SealedBlock> {
    sealer.seal(Body {
        kind,
        class: Class::Live,
        schema,
        count: count as u32,
        span_ns: (0, 0),
        sealed_boot_ns: 0,
    })
}

fn blocks(sealer: &mut Sealer, schema: SchemaHash) -> io::Result<Vec<SealedBlock>> {
    let mut blocks = Vec::new();
    for block in 0..BLOCKS {
        let mut builder = SamplesBuilder::new([SIGNALS; MESSAGES], 1_000);
        for row in 0..ROWS {
            for message in 0..MESSAGES {
                let time =
                    1_767_225_600_000_000_000 + (block * ROWS + row) * 13_000_000 + message as i64 * 20_000;
                // Another clock would ask for another block; there is only one here.
                let _ = builder.row(message, time, ClockSource::KernelSoftware);
                (0..SIGNALS).for_each(|signal| builder.value(message, signal, (row * 7 % 1000) as u64));
            }
        }
        let count = builder.samples();
        builder.encode(&mut sealer.body);
        blocks.push(seal(sealer, Kind::Samples, schema, count)?);
    }
    Ok(blocks)
}

/// Reads requests and says 204 to each, in a thread of its own so that the figures are the gateway's.
fn receiver() -> io::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || -> io::Result<()> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(answer(stream));
            }
        })
    });
    Ok(url)
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
        let length =
            text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        let mut rest = (head + length.unwrap_or(0)).saturating_sub(buffer.len());
        buffer.clear();
        let mut sink = [0; 1 << 14];
        while rest > 0 {
            let room = sink.len().min(rest);
            rest -= stream.read_exact(&mut sink[..room]).await?;
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut sealer = Sealer::new(BootId([1; 16]), 1, 3)?;
    let body = schema().encode();
    let hash = Schema::hash(&body);
    sealer.body = body;
    let schema_block = seal(&mut sealer, Kind::Schema, SchemaHash::default(), MESSAGES)?;
    let blocks = blocks(&mut sealer, hash)?;
    let (vehicle, prefix) = (VehicleId::new("car-1")?, Prefix::new("ecu")?);
    let bytes: usize = blocks.iter().map(|block| block.bytes().len()).sum();
    let url = receiver()?;
    for output in ["none", "remote-write", "otlp", "print"] {
        let mut options = Options::new(Link::parse("mqtt://localhost", "throughput")?, prefix.clone());
        options.remote_write = (output == "remote-write").then(|| HttpUrl::parse(&url)).transpose()?;
        options.otlp = (output == "otlp").then(|| HttpUrl::parse(&url)).transpose()?;
        let lines: Option<Box<dyn io::Write + Send>> =
            if output == "print" { Some(Box::new(io::sink())) } else { None };
        let (schemas, counters) = (Schemas::default(), Arc::new(Counters::default()));
        schemas.offer(hash, schema_block.bytes())?;
        let mut pipeline = Pipeline::new(&options, lines, schemas, Arc::clone(&counters))?;
        let start = Instant::now();
        for block in &blocks {
            let payload = batch::encode(&vehicle, [block.bytes()]);
            let outcome = pipeline.deliver(&prefix.blocks(&vehicle, Class::Live), &payload).await?;
            assert_eq!(outcome, Outcome::Done);
        }
        let seconds = start.elapsed().as_secs_f64();
        let samples = counters.samples.get();
        let rate = samples as f64 / seconds / 1e6;
        println!(
            "{output:>12}: {samples} samples from {bytes} bytes in {seconds:.2} s, {rate:.2} million samples/s"
        );
    }
    Ok(())
}
