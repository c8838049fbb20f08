//! An HTTP server that keeps what it is sent and answers as told, and a reader of remote-write requests that shares no
//! code with the gateway.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpListener;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

/// A running receiver; it ends with the test's runtime.
pub(crate) struct Receiver {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Answers each request with what `answer` says: status and body.
    pub(crate) async fn start(answer: impl Fn(&Request) -> (u16, Vec<u8>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, answer)
    }

    pub(crate) fn serve(
        listener: TcpListener,
        answer: impl Fn(&Request) -> (u16, Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let request =
                            Request { path: head.uri.path().to_owned(), headers: head.headers, body };
                        let (status, text) = answer(&request);
                        kept.lock().unwrap().push(request);
                        let response =
                            hyper::Response::builder().status(status).body(Full::new(Bytes::from(text)));
                        Ok::<_, Infallible>(response.unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, requests }
    }

    /// What has arrived so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Samples of the remote-write requests that `accepted` says were taken, in the order of arrival.
    pub(crate) fn samples(&self, accepted: impl Fn(&Request) -> bool) -> Vec<(String, i64, f64)> {
        self.requests().iter().filter(|request| accepted(request)).flat_map(read_write_request).collect()
    }
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Signal, millisecond and value of every sample. Panics unless labels are sorted.
pub(crate) fn read_write_request(request: &Request) -> Vec<(String, i64, f64)> {
    let body = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    let mut samples = Vec::new();
    for series in WriteRequest::decode(&body[..]).unwrap().series {
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{:?}", series.labels);
        assert!(series.samples.is_sorted_by(|a, b| a.timestamp < b.timestamp));
        let signal = series.labels.iter().find(|label| label.name == "signal").unwrap();
        samples.extend(
            series.samples.iter().map(|sample| (signal.value.clone(), sample.timestamp, sample.value)),
        );
    }
    samples
}
