//! One request: what it is, what is read of it, and what the sender is told.

use std::io::Read as _;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use tracing::warn;

use super::wire::{put_bytes, put_varint};
use super::{Door, read, record};
use crate::status::BroughtCounters;

/// Bytes of a request's body at most, compressed or not.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Records of one request at most: eight times what exporters batch by default.
const RECORDS_MAX: usize = 4096;
/// A client has this long to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// The engine has this long to make room for a request's records.
const ROOM_WITHIN: Duration = Duration::from_secs(2);
const ROOM_EVERY: Duration = Duration::from_millis(5);
/// Requests that are refused and reported one by one; the rest are counted.
const REPORTS_MAX: u64 = 5;
const PROTOBUF: &str = "application/x-protobuf";

/// What records a request is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Spans,
    Logs,
}

/// Why nothing of a request is read.
struct Refusal {
    code: StatusCode,
    text: String,
}

/// What became of a request's records.
#[derive(Default)]
struct Outcome {
    malformed: usize,
    dropped: usize,
    /// Why the first one was rejected.
    why: Option<String>,
}

impl Refusal {
    fn new(code: StatusCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl Door {
    /// Takes a request; the answer to it.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let requests = &self.status.intake.requests;
        match self.take(request).await {
            Ok(outcome) => {
                let is_whole = outcome.why.is_none();
                let counter = if is_whole { &requests.taken } else { &requests.partly };
                counter.fetch_add(1, Relaxed);
                reply(StatusCode::OK, partial_success(&outcome))
            }
            Err(Refusal { code: StatusCode::TOO_MANY_REQUESTS, text }) => {
                requests.later.fetch_add(1, Relaxed);
                let mut response = reply(StatusCode::TOO_MANY_REQUESTS, status_message(&text));
                let seconds = HeaderValue::from(self.pace.wait_seconds());
                response.headers_mut().insert(RETRY_AFTER, seconds);
                response
            }
            Err(Refusal { code, text }) => {
                if requests.refused.fetch_add(1, Relaxed) < REPORTS_MAX {
                    warn!("otlp: {text}; the request is refused and counted");
                }
                let mut response = reply(code, status_message(&text));
                if code == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                }
                response
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<Outcome, Refusal> {
        let kind = match request.uri().path() {
            "/v1/traces" => Kind::Spans,
            "/v1/logs" => Kind::Logs,
            path => {
                let text = format!(
                    "there is no {path:?} here; send spans to /v1/traces and log records to /v1/logs"
                );
                return Err(Refusal::new(StatusCode::NOT_FOUND, text));
            }
        };
        if request.method() != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only POST"));
        }
        let is_gzip = form(request.headers())?;
        if !self.pace.admits(Instant::now()) {
            let text = "more records than [trace] records_per_second allows; send again later";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, text));
        }
        // Never closed.
        let _place = self.bodies.acquire().await;
        let body = body(request, is_gzip).await?;
        match kind {
            Kind::Spans => {
                let counters = &self.status.intake.spans;
                self.records(&body, &self.spans, counters, record::span).await
            }
            Kind::Logs => {
                let counters = &self.status.intake.logs;
                self.records(&body, &self.logs, counters, record::log).await
            }
        }
    }

    /// Reads all records, and then hands over the good ones: of a request that breaks off nothing is taken.
    async fn records<T>(
        &self,
        body: &[u8],
        engine: &SyncSender<T>,
        counters: &BroughtCounters,
        read: impl Fn(&str, &[u8]) -> Result<T, String>,
    ) -> Result<Outcome, Refusal> {
        let (mut good, mut outcome) = (Vec::new(), Outcome::default());
        let whole = read::records(body, |service, message| {
            let full = || format!("more than {RECORDS_MAX} records in a request; send smaller ones");
            let record = if good.len() < RECORDS_MAX { read(service, message) } else { Err(full()) };
            match record {
                Ok(record) => good.push(record),
                Err(why) => {
                    outcome.malformed += 1;
                    outcome.why.get_or_insert(why);
                }
            }
        });
        whole.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        self.pace.count(good.len() + outcome.malformed);
        let deadline = Instant::now() + ROOM_WITHIN;
        let mut taken = 0;
        for record in good {
            if hand(engine, record, deadline).await {
                taken += 1;
            } else {
                outcome.dropped += 1;
                outcome.why.get_or_insert_with(|| "the engine does not keep up; send less".to_owned());
            }
        }
        counters.taken.fetch_add(taken, Relaxed);
        counters.malformed.fetch_add(outcome.malformed as u64, Relaxed);
        counters.dropped.fetch_add(outcome.dropped as u64, Relaxed);
        Ok(outcome)
    }
}

/// Whether the engine got it in time.
async fn hand<T>(engine: &SyncSender<T>, mut record: T, deadline: Instant) -> bool {
    loop {
        match engine.try_send(record) {
            Ok(()) => return true,
            Err(TrySendError::Full(back)) if Instant::now() < deadline => {
                record = back;
                tokio::time::sleep(ROOM_EVERY).await;
            }
            Err(_) => return false,
        }
    }
}

/// Whether the body is compressed; an error where it is of a form that is not read here.
fn form(headers: &HeaderMap) -> Result<bool, Refusal> {
    let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"));
    let kind = text(CONTENT_TYPE);
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(PROTOBUF) {
        let text = format!(
            "the body is {kind:?}, and only {PROTOBUF} is read here: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        );
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    match text(CONTENT_ENCODING) {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        other => {
            let text = format!("the body is compressed as {other:?}; send gzip, or none");
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
    }
}

async fn body(request: Request<Incoming>, is_gzip: bool) -> Result<Vec<u8>, Refusal> {
    let too_long = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {BODY_BYTES_MAX} bytes; send less at once"),
        )
    };
    let limited = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let collected = tokio::time::timeout(BODY_WITHIN, limited.collect()).await;
    let collected =
        collected.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?;
    let bytes = collected.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => too_long(),
        None => Refusal::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")),
    })?;
    let bytes = bytes.to_bytes();
    if !is_gzip {
        return Ok(bytes.into());
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(&bytes[..]).take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut plain);
    read.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body is no gzip: {error}")))?;
    if plain.len() > BODY_BYTES_MAX { Err(too_long()) } else { Ok(plain) }
}

/// `Export…ServiceResponse`; the one for spans and the one for log records have the same form.
fn partial_success(outcome: &Outcome) -> Vec<u8> {
    let Some(why) = &outcome.why else { return Vec::new() };
    let mut partial = Vec::new();
    put_varint(&mut partial, 1, (outcome.malformed + outcome.dropped) as u64);
    put_bytes(&mut partial, 2, why.as_bytes());
    let mut response = Vec::new();
    put_bytes(&mut response, 1, &partial);
    response
}

/// `google.rpc.Status`, as OTLP asks for answers that are no success.
fn status_message(text: &str) -> Vec<u8> {
    let mut status = Vec::new();
    put_bytes(&mut status, 2, text.as_bytes());
    status
}

fn reply(code: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}
