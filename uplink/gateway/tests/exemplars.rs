//! Exemplars in a real Prometheus, where there is one: beside the very samples, and none of it refused, whatever comes
//! first and however often.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ecu_gateway::{Counters, HttpUrl, Options, Outcome, Pipeline, Schemas};
use serde_json::Value;
use store::block::{ClockSource, SamplesBuilder, SealedBlock, SpanOrigin, SpanRecord, span_id};
use support::fixture::{Car, Row, SPEED, START_NS, schema_hash};
use tokio::time::{sleep, timeout};
use uplink::mqtt::Link;
use uplink::topic::Prefix;

const MS: i64 = 1_000_000;
const SOON: Duration = Duration::from_secs(60);
const CONFIG: &str =
    "storage:\n  tsdb:\n    out_of_order_time_window: 1h\n  exemplars:\n    max_exemplars: 1000\n";

/// Killed when dropped.
struct Prometheus {
    url: String,
    process: Child,
    folder: PathBuf,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Prometheus {
    /// `None` where there is none on this machine.
    async fn start() -> Option<Self> {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("prometheus.yml"), CONFIG).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("prometheus");
        command.current_dir(&folder).args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]);
        command.args(["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"]);
        command.arg(format!("--web.listen-address={address}"));
        let process = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            process => process.unwrap(),
        };
        let prometheus = Self { url: format!("http://{address}"), process, folder };
        let ready = async {
            while !reqwest::get(format!("{}/-/ready", prometheus.url)).await.is_ok_and(|a| a.status() == 200)
            {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, ready).await.expect("Prometheus is not ready");
        Some(prometheus)
    }

    /// `data` of the answer to a question.
    async fn ask(&self, question: &str) -> Value {
        let answer = reqwest::get(format!("{}/api/v1/{question}", self.url)).await.unwrap();
        let text = answer.text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{question}: {answer}");
        answer["data"].take()
    }
}

/// A copy of the gateway, which knows nothing of what others were given.
struct Copy {
    pipeline: Pipeline,
    counters: Arc<Counters>,
}

impl Copy {
    fn new(prometheus: &Prometheus, car: &mut Car) -> Self {
        let link = Link::parse("mqtt://localhost", "test").unwrap();
        let mut options = Options::new(link, Prefix::new("ecu").unwrap());
        options.remote_write = Some(HttpUrl::parse(&format!("{}/api/v1/write", prometheus.url)).unwrap());
        let (schemas, counters) = (Schemas::default(), Arc::new(Counters::default()));
        schemas.offer(schema_hash(), car.schema().bytes()).unwrap();
        let pipeline = Pipeline::new(&options, None, schemas, Arc::clone(&counters)).unwrap();
        Self { pipeline, counters }
    }

    async fn take(&mut self, car: &Car, block: &SealedBlock) {
        let batch = car.batch(std::slice::from_ref(block));
        let taken = timeout(SOON, self.pipeline.deliver(&car.topic(), &batch)).await;
        assert_eq!(taken.expect("delivery is stuck").unwrap(), Outcome::Done);
    }
}

/// Every third frame is traced, and two are within a millisecond of the one before.
fn drive(car: &mut Car) -> (SealedBlock, SealedBlock, Vec<i64>) {
    let times = [0, 10 * MS, 20 * MS, 20 * MS + 300_000, 20 * MS + 600_000, 30 * MS, 40 * MS, 50 * MS];
    let values: Vec<_> = (0..times.len()).map(|n| [(0, 1_000 + n as u64), (1, n as u64)]).collect();
    let rows: Vec<Row<'_>> =
        times.iter().zip(&values).map(|(ns, values)| (SPEED, START_NS + ns, &values[..])).collect();
    let mut builder = SamplesBuilder::new([2, 1], 1_000);
    let (mut spans, mut slots) = (Vec::new(), Vec::new());
    for (n, (message, time_ns, values)) in rows.iter().enumerate() {
        let mark = builder.row(*message, *time_ns, ClockSource::KernelSoftware).unwrap();
        if n % 3 == 1 {
            let mut span = SpanRecord { start_ns: *time_ns, ..Car::frame_span(SPEED) };
            let SpanOrigin::Bus(bus) = &mut span.origin else { panic!("{span:?}") };
            assert!(values.iter().all(|&(signal, raw)| bus.signals.push(signal as u16, raw)));
            bus.sample = Some(mark);
            spans.push(span);
            slots.push(mark.slot_ms(*time_ns).unwrap());
        }
    }
    (car.samples(&rows), car.spans(&spans), slots)
}

#[tokio::test]
async fn prometheus_has_the_exemplars_beside_the_samples_and_refuses_nothing() {
    let Some(prometheus) = Prometheus::start().await else {
        println!("not run: there is no Prometheus here");
        return;
    };
    println!("run against the Prometheus of this machine");
    let mut car = Car::new("car-1");
    let (samples, spans, slots) = drive(&mut car);
    assert_eq!(slots.iter().map(|slot| slot - START_NS / MS).collect::<Vec<_>>(), [10, 22, 50]);
    // Traces are worth more than samples and travel first; another copy is given both once more, the other way round.
    for order in [[&spans, &samples], [&samples, &spans]] {
        let mut copy = Copy::new(&prometheus, &mut car);
        for block in order {
            copy.take(&car, block).await;
        }
        assert_eq!(copy.counters.remote_write.refused.get(), 0);
    }
    let seconds = START_NS / 1_000_000_000;
    let found =
        prometheus.ask(&format!("query?query=%7Bjob=%22ecu-daemon%22%7D[1m]&time={}", seconds + 10)).await;
    let series = found["result"].as_array().unwrap();
    assert_eq!(series.len(), 2);
    let speed = series.iter().find(|one| one["metric"]["signal"] == "Speed").unwrap();
    let points = speed["values"].as_array().unwrap().iter().map(|point| raw(&point[1]));
    assert_eq!(points.collect::<Vec<_>>(), (1_000..1_008).collect::<Vec<_>>(), "none twice, none lost");

    let range = format!("start={}&end={}", seconds - 10, seconds + 10);
    let found = prometheus.ask(&format!("query_exemplars?query=%7Bjob=%22ecu-daemon%22%7D&{range}")).await;
    let series = found.as_array().unwrap();
    assert_eq!(series.len(), 2, "{found}");
    for one in series {
        let exemplars = one["exemplars"].as_array().unwrap();
        let times: Vec<_> =
            exemplars.iter().map(|at| (at["timestamp"].as_f64().unwrap() * 1e3).round() as i64).collect();
        assert_eq!(times, slots, "{one}");
        for (row, exemplar) in (0..).zip(exemplars) {
            assert_eq!(exemplar["labels"]["trace_id"], "07".repeat(16));
            let id = format!("{:016x}", u64::from_be_bytes(span_id(spans.header().identity, row)));
            assert_eq!(exemplar["labels"]["span_id"], id);
        }
    }
    let speed = series.iter().find(|one| one["seriesLabels"]["signal"] == "Speed").unwrap();
    let values = speed["exemplars"].as_array().unwrap().iter().map(|one| raw(&one["value"]));
    assert_eq!(values.collect::<Vec<_>>(), [1_001, 1_004, 1_007]);
}

/// The raw value of `Speed` in Prometheus' words, in steps of 0.01.
fn raw(value: &Value) -> i64 {
    (value.as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as i64
}
