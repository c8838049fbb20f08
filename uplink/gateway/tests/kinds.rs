//! Blocks that need a dictionary, and blocks of raw frames, through the pipeline.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use can_decode::{CanId, Frame, FrameFlags};
use ecu_gateway::{Counters, HttpUrl, Options, Outcome, Pipeline, Refusal, Schemas};
use store::block::{ClockSource, Dictionary, LogRecord, RawFrame, SealedBlock, Severity};
use support::fixture::{Car, START_NS, schema_hash};
use uplink::mqtt::Link;
use uplink::topic::Prefix;

/// Where lines are printed.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Bench {
    pipeline: Pipeline,
    schemas: Schemas,
    counters: Arc<Counters>,
    car: Car,
    paper: Paper,
}

impl Bench {
    /// It prints, and has a receiver that nobody is.
    fn new() -> Self {
        let link = Link::parse("mqtt://localhost", "test").unwrap();
        let mut options = Options::new(link, Prefix::new("ecu").unwrap());
        options.otlp = Some(HttpUrl::parse("http://127.0.0.1:9").unwrap());
        Self::with(&options)
    }

    fn printing() -> Self {
        let link = Link::parse("mqtt://localhost", "test").unwrap();
        Self::with(&Options::new(link, Prefix::new("ecu").unwrap()))
    }

    fn with(options: &Options) -> Self {
        let (schemas, counters, paper) =
            (Schemas::default(), Arc::new(Counters::default()), Paper::default());
        let lines: Box<dyn io::Write + Send> = Box::new(paper.clone());
        let pipeline = Pipeline::new(options, Some(lines), schemas.clone(), Arc::clone(&counters)).unwrap();
        Self { pipeline, schemas, counters, car: Car::new("car-1"), paper }
    }

    async fn deliver(&mut self, blocks: &[SealedBlock]) -> Outcome {
        let batch = self.car.batch(blocks);
        self.pipeline.deliver(&self.car.topic(), &batch).await.unwrap()
    }
}

#[tokio::test]
async fn blocks_wait_for_their_dictionary_and_are_refused_without_it() {
    let mut bench = Bench::printing();
    let dictionary = Dictionary::new(b"steering angle sensor timeout ".repeat(4)).unwrap();
    let log = LogRecord {
        time_ns: START_NS,
        clock: ClockSource::UserSpace,
        severity: Severity::ERROR,
        service: "steering".to_owned(),
        body: "steering angle sensor timeout".to_owned(),
        trace: None,
    };
    bench.car.use_dictionary(&dictionary);
    let blocks = [bench.car.logs(std::slice::from_ref(&log)), bench.car.logs(&[log])];
    let missing = Outcome::Missing(vec![dictionary.hash().into()]);
    assert_eq!(bench.deliver(&blocks).await, missing, "once for both");
    // Another block under its name is not taken for it.
    let schema = bench.car.schema();
    assert!(bench.schemas.offer_dictionary(dictionary.hash(), schema.bytes()).is_err());
    assert_eq!(bench.deliver(&blocks).await, missing);
    bench.schemas.give_up_dictionary(dictionary.hash());
    assert_eq!(bench.deliver(&blocks).await, Outcome::Done);
    assert_eq!((bench.counters.logs.get(), bench.counters.refused(Refusal::DictionaryMissing)), (0, 2));
    // It comes late, and is used from then on.
    let block = bench.car.dictionary(&dictionary);
    bench.schemas.offer_dictionary(dictionary.hash(), block.bytes()).unwrap();
    assert_eq!(bench.deliver(&blocks).await, Outcome::Done);
    assert_eq!((bench.counters.logs.get(), bench.counters.refused_total()), (2, 2));
}

#[tokio::test]
async fn raw_frames_are_printed_with_their_buses_and_kept_from_receivers() {
    let mut bench = Bench::new();
    bench.schemas.offer(schema_hash(), bench.car.schema().bytes()).unwrap();
    let raw = |bus, frame| RawFrame { bus, time_ns: START_NS, clock: ClockSource::Recorded, frame };
    let classic = Frame::classic(CanId::Standard(0x123), &[1, 0xAB]).unwrap();
    let wide = Frame::fd(CanId::Extended(0x123), FrameFlags::BRS, &[7; 12]).unwrap();
    // The schema has two buses.
    let blocks = [bench.car.frames(&[raw(0, classic), raw(1, wide)]), bench.car.frames(&[raw(2, classic)])];
    assert_eq!(bench.deliver(&blocks).await, Outcome::Done);
    assert_eq!((bench.counters.frames.get(), bench.counters.refused(Refusal::SchemaMismatch)), (2, 1));
    assert_eq!((bench.counters.frames_without_form.get(), bench.counters.otlp.requests.get()), (2, 0));
    let text = String::from_utf8(bench.paper.0.lock().unwrap().clone()).unwrap();
    let ends: Vec<_> = text.lines().map(|line| line.split_once(r#""time_unix_nano""#).unwrap().1).collect();
    assert_eq!(
        ends,
        [
            r#":1767225600000000000,"bus":"can0","id":291,"extended":false,"length":2,"data":"01ab","clock":"recorded"}"#,
            r#":1767225600000000000,"bus":"can1","id":291,"extended":true,"flags":["fd","brs"],"length":12,"data":"070707070707070707070707","clock":"recorded"}"#,
        ]
    );
    assert!(text.starts_with(r#"{"kind":"frame","vehicle":"car-1","#));
}
