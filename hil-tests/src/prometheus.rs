//! Prometheus, which receives, and says what it has.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::http::encoded;
use crate::process::Process;
use crate::{Bench, debian, get, until};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// What was late by less than this is taken; a vehicle that was offline is late.
const CONFIG: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 1h\n";

/// A Prometheus that scrapes nobody and keeps what is written to it.
pub struct Prometheus {
    address: SocketAddr,
    // Killed when dropped.
    _process: Process,
}

/// A series as Prometheus has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels, the name as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since 1970 and value, in the order of time.
    pub samples: Vec<(i64, f64)>,
}

impl Prometheus {
    /// Starts it and waits until it is ready.
    pub fn start(bench: &Bench) -> Self {
        let config = bench.folder().join("prometheus.yml");
        fs::write(&config, CONFIG).unwrap_or_else(|error| panic!("{}: {error}", config.display()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, bench.free_port()));
        let mut command = Command::new(debian("prometheus", "prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", bench.folder().join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver");
        let mut process = Process::start("prometheus", &command, bench.folder());
        until("Prometheus is ready", READY_WITHIN, || {
            assert!(process.ended().is_none(), "Prometheus ended at once");
            get(address, "/-/ready").ok().filter(|(status, _)| *status == 200)
        });
        Self { address, _process: process }
    }

    /// Where it takes samples.
    pub fn remote_write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// All series of `selector`, such as `{job="x"}`, in the ten minutes before `at` (seconds since 1970).
    pub fn all_samples(&self, selector: &str, at: i64) -> Vec<Series> {
        self.query(&format!("{selector}[10m]"), at).iter().map(series).collect()
    }

    /// How many samples [`Self::all_samples`] would give.
    pub fn count(&self, selector: &str, at: i64) -> u64 {
        let result = self.query(&format!("sum(count_over_time({selector}[10m]))"), at);
        // Nothing gives an empty vector rather than 0.
        result.first().map_or(0, |only| number(&only["value"][1]) as u64)
    }

    fn query(&self, query: &str, at: i64) -> Vec<Value> {
        let path = format!("/api/v1/query?query={}&time={at}", encoded(query));
        let (status, body) = get(self.address, &path).unwrap_or_else(|error| panic!("Prometheus: {error}"));
        assert_eq!(status, 200, "Prometheus refuses {query}: {body}");
        let mut answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("Prometheus: {error}"));
        match answer["data"]["result"].take() {
            Value::Array(result) => result,
            other => panic!("Prometheus answers {query} with {other}"),
        }
    }
}

fn series(series: &Value) -> Series {
    let labels = series["metric"].as_object().into_iter().flatten();
    let labels = labels.map(|(label, value)| (label.clone(), value.as_str().unwrap_or_default().to_owned()));
    let samples = series["values"].as_array().into_iter().flatten();
    // Seconds with three decimals, as a float that holds them.
    let ms = |time: &Value| (time.as_f64().unwrap_or(f64::NAN) * 1e3).round() as i64;
    Series {
        labels: labels.collect(),
        samples: samples.map(|pair| (ms(&pair[0]), number(&pair[1]))).collect(),
    }
}

/// A value as Prometheus writes it: the shortest text that gives the same bits, or NaN, +Inf, -Inf.
fn number(text: &Value) -> f64 {
    let text = text.as_str().unwrap_or_default();
    text.parse().unwrap_or_else(|_| panic!("Prometheus gives {text:?} for a number"))
}
