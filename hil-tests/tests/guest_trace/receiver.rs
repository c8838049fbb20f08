//! An OTLP/HTTP receiver that keeps what it is sent, decoded by OpenTelemetry's own messages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// What has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) traces: Vec<ExportTraceServiceRequest>,
    pub(crate) logs: Vec<ExportLogsServiceRequest>,
    pub(crate) metrics: Vec<ExportMetricsServiceRequest>,
}

/// A listening receiver. It ends with the test's process.
pub(crate) struct Receiver {
    address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
}

impl Receiver {
    /// Listens on a port of the loopback address.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback address");
        let address = listener.local_addr().expect("an address");
        let arrived = Arc::new(Mutex::new(Arrived::default()));
        let kept = Arc::clone(&arrived);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                // The gateway keeps its connections open.
                thread::spawn(move || while take(&stream, &kept).is_some() {});
            }
        });
        Self { address, arrived }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has arrived so far.
    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One request and its answer; `None` when there are no more.
fn take(stream: &TcpStream, kept: &Mutex<Arrived>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut len = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        assert!(!header.starts_with("content-encoding"), "{header}");
        if let Some(value) = header.strip_prefix("content-length:") {
            len = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    let mut arrived = kept.lock().unwrap_or_else(PoisonError::into_inner);
    match path.as_str() {
        "/v1/traces" => arrived.traces.push(ExportTraceServiceRequest::decode(&body[..]).expect("spans")),
        "/v1/logs" => arrived.logs.push(ExportLogsServiceRequest::decode(&body[..]).expect("log records")),
        "/v1/metrics" => {
            arrived.metrics.push(ExportMetricsServiceRequest::decode(&body[..]).expect("metrics"));
        }
        _ => panic!("nothing is to be sent to {path}"),
    }
    drop(arrived);
    let mut answer = stream;
    answer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()
}
