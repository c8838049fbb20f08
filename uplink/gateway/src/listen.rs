//! The gateway's own HTTP endpoint: `/metrics`, `/healthz/live`, `/healthz/ready`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::counters::Counters;
use crate::error::GatewayError;
use crate::exposition;

/// Connections served at a time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// A connection ends after this, finished or not.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves until it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn open(address: SocketAddr, counters: Arc<Counters>) -> Result<Self, GatewayError> {
        let failed = |source| GatewayError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { address, task: tokio::spawn(accept(listener, counters)) })
    }

    /// Where it listens: with the port that the system chose when 0 was asked for.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, counters: Arc<Counters>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let counters = Arc::clone(&counters);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_TIME_MAX, serve(stream, &counters)).await;
                    drop(place);
                });
            }
            // Out of descriptors, most likely: not to spin until there are some.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, counters: &Counters) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, counters)) });
    // An error here is a client that went away or does not speak HTTP.
    let _ = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer<T>(request: &Request<T>, counters: &Counters) -> Response<Full<Bytes>> {
    let text = "text/plain; charset=utf-8";
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, exposition::CONTENT_TYPE, exposition::text(counters)),
        (&Method::GET, "/healthz/live") => (StatusCode::OK, text, "live\n".to_owned()),
        (&Method::GET, "/healthz/ready") if counters.ready() => (StatusCode::OK, text, "ready\n".to_owned()),
        (&Method::GET, "/healthz/ready") => (StatusCode::SERVICE_UNAVAILABLE, text, unready(counters)),
        _ => (StatusCode::NOT_FOUND, text, "GET /metrics, /healthz/live or /healthz/ready\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn unready(counters: &Counters) -> String {
    let reasons = [
        (counters.connected.get(), "not connected to the broker\n"),
        (counters.remote_write.fine.get(), "the remote-write receiver does not take data\n"),
        (counters.otlp.fine.get(), "the OTLP receiver does not take data\n"),
    ];
    reasons.into_iter().filter(|(fine, _)| !fine).map(|(_, reason)| reason).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_and_health_are_served() {
        let counters = Arc::new(Counters::default());
        let listener = Listener::open("127.0.0.1:0".parse().unwrap(), Arc::clone(&counters)).await.unwrap();
        let address = listener.address();
        assert!(get(address, "/metrics").await.contains("ecu_gateway_connected 0"));
        assert!(get(address, "/healthz/live").await.starts_with("HTTP/1.1 200"));
        let unready = get(address, "/healthz/ready").await;
        assert!(unready.starts_with("HTTP/1.1 503") && unready.contains("not connected"), "{unready}");
        counters.connected.set(true);
        assert!(get(address, "/healthz/ready").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
        let taken = Listener::open(address, counters).await.err().unwrap();
        assert!(taken.to_string().contains("--listen"), "{taken}");
    }
}
