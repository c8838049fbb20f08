//! The local HTTP address: /metrics, /healthz/live, /healthz/ready.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, info, warn};

use crate::status::Status;
use crate::telemetry::Telemetry;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16;
/// A client has this long to send its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// A connection is closed after this long, whatever it does.
const CONNECTION_WITHIN: Duration = Duration::from_secs(60);

/// The listening address.
pub struct Http {
    listener: TcpListener,
    telemetry: Telemetry,
    status: Arc<Status>,
}

impl Http {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When the address is taken or not ours; the error names it.
    pub async fn bind(address: SocketAddr, telemetry: Telemetry, status: Arc<Status>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let text = format!(
                "cannot listen on {address}: {error}; going on without metrics; choose another [http] listen"
            );
            io::Error::new(error.kind(), text)
        })?;
        if let Ok(bound) = listener.local_addr() {
            info!("http://{bound}/metrics");
            // Set once: the service listens at one address.
            let _ = status.http.set(bound);
        }
        Ok(Self { listener, telemetry, status })
    }

    /// Serves for ever.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (telemetry, status) = (self.telemetry.clone(), Arc::clone(&self.status));
            tokio::spawn(async move {
                let answer: Answer = Box::new(move |request| {
                    let response = answer(&request, &telemetry, &status);
                    Box::pin(async move { response })
                });
                serve(stream, HEAD_WITHIN, CONNECTION_WITHIN, answer).await;
                drop(place);
            });
        }
    }
}

/// Answers one request after the other.
pub type Answer = Box<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>> + Send + Sync,
>;

/// Serves one connection, whose client has `head_within` to begin a request; it is closed after `connection_within`, whatever
/// it does. One function for all addresses: a server takes 25 KiB of the binary.
pub async fn serve(stream: TcpStream, head_within: Duration, connection_within: Duration, answer: Answer) {
    let service = service_fn(|request| {
        let response = answer(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(connection_within, connection).await {
        debug!(%error, "http connection");
    }
}

fn answer(request: &Request<Incoming>, telemetry: &Telemetry, status: &Status) -> Response<Full<Bytes>> {
    let reply = |code, kind: &'static str, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = code;
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
        response
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned());
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", telemetry.render(status))
        }
        // It answers, so it lives: the runtime that drives this also drives everything else that is asynchronous.
        "/healthz/live" => reply(StatusCode::OK, "application/json", "{\"live\":true}\n".to_owned()),
        "/healthz" | "/healthz/ready" => {
            let reasons = status.not_ready();
            let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons, "notes": status.notes() });
            reply(code, "application/json", format!("{body}\n"))
        }
        _ => reply(
            StatusCode::NOT_FOUND,
            "text/plain",
            "try /metrics, /healthz/live or /healthz/ready\n".to_owned(),
        ),
    }
}
