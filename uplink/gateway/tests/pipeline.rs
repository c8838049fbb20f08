//! The pipeline against real HTTP servers: when it says that a message is done, and what the receivers have by then.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ecu_gateway::{Counters, HttpUrl, Need, Options, Outcome, Patience, Pipeline, Refusal, Schemas};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use store::block::{ClockSource, LogRecord, SchemaHash, Severity};
use support::fixture::{Car, Row, SPEED, START_NS, schema_hash};
use support::receiver::{Receiver, Request, read_write_request};
use tokio::net::TcpListener;
use tokio::time::timeout;
use uplink::mqtt::Link;
use uplink::topic::Prefix;

const MS: i64 = 1_000_000;

struct Bench {
    pipeline: Pipeline,
    schemas: Schemas,
    counters: Arc<Counters>,
    car: Car,
}

impl Bench {
    /// With the schema known.
    fn new(set: impl FnOnce(&mut Options)) -> Self {
        let mut bench = Self::without_schema(set);
        bench.schemas.offer(schema_hash(), bench.car.schema().bytes()).unwrap();
        bench
    }

    fn without_schema(set: impl FnOnce(&mut Options)) -> Self {
        Self::printing_to(None, set)
    }

    fn printing_to(lines: Option<Box<dyn io::Write + Send>>, set: impl FnOnce(&mut Options)) -> Self {
        let link = Link::parse("mqtt://localhost", "test").unwrap();
        let mut options = Options::new(link, Prefix::new("ecu").unwrap());
        options.patience = Patience {
            retry_first: Duration::from_millis(5),
            retry_cap: Duration::from_millis(20),
            ..Patience::default()
        };
        set(&mut options);
        let (schemas, counters) = (Schemas::default(), Arc::new(Counters::default()));
        let pipeline = Pipeline::new(&options, lines, schemas.clone(), Arc::clone(&counters)).unwrap();
        Self { pipeline, schemas, counters, car: Car::new("car-1") }
    }

    async fn deliver(&mut self, payload: &[u8]) -> Outcome {
        let topic = self.car.topic();
        let delivered = self.pipeline.deliver(&topic, payload);
        timeout(Duration::from_secs(20), delivered).await.expect("delivery is stuck").unwrap()
    }

    /// A batch of one block with one sample of `Speed`.
    fn batch(&mut self, time_ns: i64, raw: u64) -> Vec<u8> {
        let block = self.car.samples(&[(SPEED, time_ns, &[(0, raw)])]);
        self.car.batch(&[block])
    }
}

fn remote_write(url: &str) -> impl FnOnce(&mut Options) {
    let url = HttpUrl::parse(&format!("{url}/api/v1/write")).unwrap();
    move |options| options.remote_write = Some(url)
}

fn otlp(url: &str) -> impl FnOnce(&mut Options) {
    let url = HttpUrl::parse(url).unwrap();
    move |options| options.otlp = Some(url)
}

#[tokio::test]
async fn nothing_is_done_before_the_receiver_has_accepted_it() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let receiver =
        Receiver::start(move |_| if gate.load(SeqCst) { (204, vec![]) } else { (503, b"starting".to_vec()) })
            .await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let (topic, batch) = (bench.car.topic(), bench.batch(START_NS, 5_000));
    let mut delivered = std::pin::pin!(bench.pipeline.deliver(&topic, &batch));
    assert!(timeout(Duration::from_millis(300), &mut delivered).await.is_err(), "done without acceptance");
    let counters = &bench.counters;
    assert!(receiver.requests().len() > 2 && counters.remote_write.retries.get() > 2);
    assert!(!counters.remote_write.fine.get() && counters.blocks.get() == 0);
    open.store(true, SeqCst);
    let outcome = timeout(Duration::from_secs(20), delivered).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert!(counters.remote_write.fine.get());
    assert_eq!(
        (counters.blocks.get(), counters.samples.get(), counters.remote_write.refused.get()),
        (1, 1, 0)
    );
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.body == requests[0].body), "the same bytes at every try");
    assert_eq!(counters.remote_write.requests.get(), requests.len() as u64);
}

#[tokio::test]
async fn a_receiver_that_is_away_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::new(remote_write(&format!("http://{address}")));
    let batch = bench.batch(START_NS, 1);
    let counters = Arc::clone(&bench.counters);
    let comes_back = async {
        while counters.remote_write.retries.get() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Receiver::serve(TcpListener::bind(address).await.unwrap(), |_| (200, vec![]))
    };
    let comes_back = timeout(Duration::from_secs(20), comes_back);
    let (outcome, receiver) = tokio::join!(bench.deliver(&batch), comes_back);
    let receiver = receiver.expect("the receiver was never asked again");
    assert_eq!((outcome, receiver.requests().len()), (Outcome::Done, 1));
}

#[tokio::test]
async fn requests_are_as_the_remote_write_specification_says() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let batch = bench.batch(START_NS, 5_000);
    bench.deliver(&batch).await;
    let request = receiver.requests().remove(0);
    assert_eq!(request.path, "/api/v1/write");
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("user-agent", concat!("ecu-gateway/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(request.headers[name], value);
    }
    assert_eq!(read_write_request(&request), [("Speed".to_owned(), START_NS / MS, 50.0)]);
}

#[tokio::test]
async fn what_the_receiver_refuses_is_dropped_without_its_neighbours() {
    let bad = |request: &Request| read_write_request(request).iter().any(|(signal, ..)| signal == "Accel");
    let answer = move |request: &Request| {
        if bad(request) { (400, b"out of order sample".to_vec()) } else { (204, vec![]) }
    };
    let receiver = Receiver::start(answer).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let rows: Vec<Row<'_>> =
        (0..50).map(|row| (SPEED, START_NS + row * MS, &[(0_usize, 1_u64), (1, 2)][..])).collect();
    let block = bench.car.samples(&rows);
    let batch = bench.car.batch(&[block]);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    assert_eq!(receiver.samples(|request| !bad(request)).len(), 50);
    assert_eq!(
        (bench.counters.remote_write.refused.get(), bench.counters.remote_write.retries.get()),
        (50, 0)
    );
    // The message is done with: what follows is not held up.
    let next = bench.batch(START_NS + 100 * MS, 7);
    assert_eq!(bench.deliver(&next).await, Outcome::Done);
}

#[tokio::test]
async fn a_wrong_address_keeps_data_waiting() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let receiver =
        Receiver::start(move |_| if count.fetch_add(1, SeqCst) < 5 { (404, vec![]) } else { (204, vec![]) })
            .await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let batch = bench.batch(START_NS, 1);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    assert_eq!((tries.load(SeqCst), bench.counters.remote_write.refused.get()), (6, 0));
}

#[tokio::test]
async fn batches_go_out_in_order_and_blocks_of_a_batch_by_time() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    for second in 0..5 {
        let at = |ms: i64| START_NS + second * 1_000 * MS + ms * MS;
        let older = bench.car.samples(&[(SPEED, at(0), &[(0, 1)]), (SPEED, at(10), &[(0, 2)])]);
        let newer = bench.car.samples(&[(SPEED, at(20), &[(0, 3)])]);
        let batch = bench.car.batch(&[newer, older]);
        assert_eq!(bench.deliver(&batch).await, Outcome::Done);
        assert_eq!(receiver.requests().len() as i64, second + 1, "a batch is one request");
    }
    let samples = receiver.samples(|_| true);
    assert_eq!(samples.len(), 15);
    assert!(samples.is_sorted_by_key(|(_, timestamp, _)| *timestamp));
}

#[tokio::test]
async fn a_block_that_comes_again_is_done_but_not_put_out_again() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let block = bench.car.samples(&[(SPEED, START_NS, &[(0, 1)])]);
    let other = bench.car.samples(&[(SPEED, START_NS + MS, &[(0, 2)])]);
    let first = bench.car.batch(&[block.clone(), block.clone()]);
    let second = bench.car.batch(&[block.clone(), other]);
    assert_eq!(bench.deliver(&first).await, Outcome::Done);
    assert_eq!(bench.deliver(&second).await, Outcome::Done);
    assert_eq!(receiver.samples(|_| true).len(), 2);
    assert_eq!((bench.counters.blocks.get(), bench.counters.duplicate_blocks.get()), (2, 2));

    // Another process gives the same bytes, so that Prometheus sees the same samples.
    let mut restarted = Bench::new(remote_write(&receiver.url));
    let alone = restarted.car.batch(&[block]);
    restarted.deliver(&alone).await;
    let requests = receiver.requests();
    assert_eq!(requests[0].body, requests[2].body);
}

#[tokio::test]
async fn a_large_block_becomes_bounded_requests_without_loss() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let metrics = Receiver::start(|_| (200, vec![])).await;
    let mut bench = Bench::new(|options| {
        remote_write(&receiver.url)(options);
        otlp(&metrics.url)(options);
    });
    let values: Vec<[(usize, u64); 2]> = (0..12_500).map(|row| [(0, row), (1, row)]).collect();
    let rows: Vec<Row<'_>> =
        (0..).zip(&values).map(|(row, values)| (SPEED, START_NS + row * MS, &values[..])).collect();
    let block = bench.car.samples(&rows);
    let batch = bench.car.batch(&[block]);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    let sizes: Vec<usize> =
        receiver.requests().iter().map(|request| read_write_request(request).len()).collect();
    assert!(sizes.iter().all(|&size| size <= 10_000), "{sizes:?}");
    let mut samples = receiver.samples(|_| true);
    samples.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    samples.dedup();
    assert_eq!((samples.len(), bench.counters.samples.get()), (25_000, 25_000));
    let points = metrics.requests().iter().map(points).collect::<Vec<_>>();
    assert_eq!((points.iter().sum::<usize>(), points.len()), (25_000, 3));
}

fn points(request: &Request) -> usize {
    assert_eq!(request.path, "/v1/metrics");
    let request = ExportMetricsServiceRequest::decode(&request.body[..]).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    metrics
        .map(|metric| if let Some(Data::Gauge(gauge)) = metric.data { gauge.data_points.len() } else { 0 })
        .sum()
}

#[tokio::test]
async fn otlp_receivers_get_each_kind_and_their_partial_refusals_count() {
    let receiver = Receiver::start(|request| {
        let partial_success =
            ExportMetricsPartialSuccess { rejected_data_points: 1, error_message: "old".to_owned() };
        let answer = ExportMetricsServiceResponse { partial_success: Some(partial_success) };
        (200, if request.path == "/v1/metrics" { answer.encode_to_vec() } else { vec![] })
    })
    .await;
    let mut bench = Bench::new(otlp(&receiver.url));
    let clock = ClockSource::Hardware;
    let span = Car::frame_span(SPEED);
    let (service, body) = ("camera".to_owned(), "hello".to_owned());
    let log = LogRecord { time_ns: START_NS, clock, severity: Severity::INFO, service, body, trace: None };
    let blocks = [
        bench.car.samples(&[(SPEED, START_NS, &[(0, 1), (1, 1)])]),
        bench.car.spans(&[span]),
        bench.car.logs(&[log]),
    ];
    let batch = bench.car.batch(&blocks);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    let paths: Vec<_> = receiver.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/metrics", "/v1/traces", "/v1/logs"]);
    let c = &bench.counters;
    assert_eq!((c.samples.get(), c.spans.get(), c.logs.get(), c.otlp.refused.get()), (2, 1, 1, 1));
}

#[tokio::test]
async fn malformed_messages_are_done_counted_and_published_nowhere() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let good = bench.batch(START_NS, 1);
    let mut cut = good.clone();
    cut.pop();
    let stranger = Car::new("car-2").topic();
    for (topic, payload, reason) in [
        (bench.car.topic(), &b"not a batch"[..], Refusal::Batch),
        (bench.car.topic(), &cut, Refusal::Batch),
        (stranger, &good, Refusal::Batch),
        ("ecu/car-1/status".to_owned(), &good, Refusal::Topic),
        ("other/car-1/blocks/2".to_owned(), &good, Refusal::Topic),
    ] {
        let before = bench.counters.refused(reason);
        assert_eq!(bench.pipeline.deliver(&topic, payload).await.unwrap(), Outcome::Done);
        assert_eq!(bench.counters.refused(reason), before + 1, "{topic}");
    }
    let mut damaged = bench.batch(START_NS, 2);
    *damaged.last_mut().unwrap() ^= 1;
    // The schema has two messages, and the first of them has two signals.
    let message = bench.car.samples_of(schema_hash(), &[2, 1, 1], &[(2, START_NS, &[(0, 1)])]);
    let signal = bench.car.samples_of(schema_hash(), &[3, 1], &[(0, START_NS, &[(2, 1)])]);
    for (payload, reason) in [
        (damaged, Refusal::Block),
        (bench.car.batch(&[message]), Refusal::SchemaMismatch),
        (bench.car.batch(&[signal]), Refusal::SchemaMismatch),
    ] {
        let before = bench.counters.refused(reason);
        assert_eq!(bench.deliver(&payload).await, Outcome::Done);
        assert_eq!(bench.counters.refused(reason), before + 1);
    }
    assert!(receiver.requests().is_empty());
    assert_eq!((bench.counters.refused_total(), bench.counters.blocks.get()), (8, 0));
}

#[tokio::test]
async fn a_bad_block_does_not_cost_its_neighbours() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    let blocks: Vec<_> =
        (0..3).map(|at| bench.car.samples(&[(SPEED, START_NS + at * MS, &[(0, 1)])])).collect();
    let mut bytes: Vec<Vec<u8>> = blocks.iter().map(|block| block.bytes().to_vec()).collect();
    bytes[1][120] ^= 4;
    let batch = uplink::batch::encode(&bench.car.id, bytes.iter().map(Vec::as_slice));
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    assert_eq!(receiver.samples(|_| true).len(), 2);
    assert_eq!((bench.counters.blocks.get(), bench.counters.refused(Refusal::Block)), (2, 1));
}

#[tokio::test]
async fn blocks_wait_for_their_schema_or_its_end() {
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::without_schema(remote_write(&receiver.url));
    let unknown = SchemaHash([9; 16]);
    let known = bench.car.samples(&[(SPEED, START_NS, &[(0, 1)])]);
    let other = bench.car.samples_of(unknown, &[1], &[(0, START_NS, &[(0, 1)])]);
    let batch = bench.car.batch(&[known, other]);
    let Outcome::Missing(mut missing) = bench.deliver(&batch).await else { panic!("not missing") };
    missing.sort();
    let mut expected = [schema_hash(), unknown].map(Need::from);
    expected.sort();
    assert_eq!(missing, expected);
    bench.schemas.offer(schema_hash(), bench.car.schema().bytes()).unwrap();
    assert_eq!(bench.deliver(&batch).await, Outcome::Missing(vec![unknown.into()]));
    assert!(receiver.requests().is_empty() && bench.counters.batches.get() == 0);
    bench.schemas.give_up(unknown);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    assert_eq!(receiver.samples(|_| true).len(), 1);
    assert_eq!((bench.counters.blocks.get(), bench.counters.refused(Refusal::SchemaMissing)), (1, 1));
}

/// The fixture's clock was set back an hour at 60 s after the boot.
#[tokio::test]
async fn times_are_put_right_once_the_clock_map_is_there() {
    const S: i64 = 1_000_000_000;
    let receiver = Receiver::start(|_| (204, vec![])).await;
    let mut bench = Bench::new(remote_write(&receiver.url));
    bench.car.sealed_boot_ns = 63 * S;
    let map = bench.car.clock_map(7);
    let shown = [START_NS + 59 * S, START_NS + 62 * S - 3_600 * S];
    let block = bench.car.samples(&shown.map(|time| (SPEED, time, &[(0, 1)][..])));
    let batch = bench.car.batch(std::slice::from_ref(&block));
    let Outcome::Missing(missing) = bench.deliver(&batch).await else { panic!("not missing") };
    assert!(
        matches!(&missing[..], [Need::ClockMap(vehicle, _, 7)] if *vehicle == bench.car.id),
        "{missing:?}"
    );
    let batch = bench.car.batch(&[block, map]);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    let written: Vec<i64> = receiver.samples(|_| true).iter().map(|sample| sample.1).collect();
    let expected = [START_NS + 59 * S, START_NS + 62 * S].map(|time| time / MS);
    assert!(
        written.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 1),
        "{written:?}"
    );
    assert_eq!(written.len(), 2);
    assert_eq!((bench.counters.blocks_placed.get(), bench.counters.clock_maps.get()), (1, 1));
}

#[tokio::test]
async fn a_schema_that_travels_in_a_batch_is_kept() {
    let mut bench = Bench::without_schema(|_| ());
    let schema = bench.car.schema();
    let batch = bench.car.batch(&[schema]);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    let batch = bench.batch(START_NS, 1);
    assert_eq!(bench.deliver(&batch).await, Outcome::Done);
    assert_eq!((bench.counters.schemas.get(), bench.counters.samples.get()), (1, 1));
}

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn printed_lines_are_written_before_the_message_is_done() {
    let paper = Paper::default();
    let mut bench = Bench::printing_to(Some(Box::new(paper.clone())), |_| ());
    bench.schemas.offer(schema_hash(), bench.car.schema().bytes()).unwrap();
    for number in 1..=3 {
        let batch = bench.batch(START_NS + number * MS, 1);
        assert_eq!(bench.deliver(&batch).await, Outcome::Done);
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count() as i64, number);
    }
}
