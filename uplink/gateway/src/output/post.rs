//! Posting a request until the receiver takes it or refuses it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url};
use uplink::backoff::Backoff;

use super::parcel::{Dispatch, Parcel};
use super::receiver::{Judgement, Protocol, printable};
use crate::counters::{Counters, ReceiverCounters};
use crate::options::Patience;
use crate::quiet::Quiet;

/// Most bytes read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// A receiver that asks for a longer pause (`Retry-After`) is asked again after this one.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Uniform enough to keep gateways apart: every `RandomState` has keys of its own.
pub(crate) fn jitter() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}

/// A client for all receivers. Redirects are not followed: they would turn a POST into a GET.
pub(crate) fn client(patience: &Patience) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("ecu-gateway/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(patience.request.min(Duration::from_secs(5)))
        .timeout(patience.request)
        .build()
}

/// Collects pieces for one address and posts them.
pub(super) struct Mailbox {
    protocol: Protocol,
    client: Client,
    url: Url,
    headers: HeaderMap,
    patience: Patience,
    counters: Arc<Counters>,
    parcel: Parcel,
    retries_log: Quiet,
    refusals_log: Quiet,
}

/// How a receiver's answer to one request ended the tries.
enum Answer {
    Accepted(Vec<u8>),
    Refused(String),
}

/// Why a request has to be sent again.
struct Again {
    why: String,
    after: Duration,
}

impl Mailbox {
    pub(super) fn new(
        protocol: Protocol,
        client: Client,
        url: Url,
        patience: Patience,
        counters: Arc<Counters>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if protocol == Protocol::RemoteWrite {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
            let version = HeaderName::from_static("x-prometheus-remote-write-version");
            headers.insert(version, HeaderValue::from_static("0.1.0"));
        }
        Self {
            protocol,
            client,
            url,
            headers,
            patience,
            counters,
            parcel: Parcel::default(),
            retries_log: Quiet::default(),
            refusals_log: Quiet::default(),
        }
    }

    /// Adds a piece, a request by itself; posts the others first when there is no room for it.
    pub(super) async fn put(&mut self, piece: &[u8], records: usize) {
        if !self.parcel.has_room(piece.len(), records) {
            self.post().await;
        }
        self.parcel.add(piece, records);
    }

    /// Posts what was put, until the receiver has taken or refused all of it.
    pub(super) async fn post(&mut self) {
        let mut parcel = std::mem::take(&mut self.parcel);
        let mut dispatch = Dispatch::new(&parcel);
        while let Some(body) = dispatch.next() {
            match self.request(body).await {
                Answer::Accepted(answer) => {
                    dispatch.accepted();
                    if let Some((rejected, message)) = self.protocol.partial(&answer) {
                        self.refuse(rejected, &message);
                    }
                }
                Answer::Refused(message) => {
                    let lost = dispatch.refused();
                    if lost > 0 {
                        self.refuse(lost as u64, &message);
                    }
                }
            }
        }
        parcel.clear();
        // Its memory is used again.
        self.parcel = parcel;
    }

    /// What was put and not yet posted.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> &[u8] {
        Dispatch::new(&self.parcel).next().unwrap_or_default()
    }

    fn receiver(&self) -> &ReceiverCounters {
        if self.protocol == Protocol::RemoteWrite { &self.counters.remote_write } else { &self.counters.otlp }
    }

    fn refuse(&mut self, records: u64, message: &str) {
        self.receiver().refused.add(records);
        if let Some(suppressed) = self.refusals_log.pass(Instant::now()) {
            let (receiver, url) = (self.protocol.name(), self.url.as_str());
            tracing::warn!(
                receiver,
                url,
                records,
                message,
                suppressed,
                "receiver refused records; they are dropped"
            );
        }
    }

    /// Sends one request as often as it takes.
    async fn request(&mut self, body: &[u8]) -> Answer {
        let body = match self.protocol {
            Protocol::RemoteWrite => match snap::raw::Encoder::new().compress_vec(body) {
                Ok(body) => bytes::Bytes::from(body),
                Err(error) => return Answer::Refused(format!("snappy: {error}")),
            },
            _ => bytes::Bytes::copy_from_slice(body),
        };
        let mut backoff = Backoff::new(self.patience.retry_first, self.patience.retry_cap);
        let mut tries = 0;
        loop {
            tries += 1;
            self.receiver().requests.add(1);
            match self.attempt(body.clone(), tries).await {
                Ok(answer) => {
                    self.receiver().fine.set(true);
                    return answer;
                }
                Err(again) => {
                    self.receiver().fine.set(false);
                    self.receiver().retries.add(1);
                    let wait = backoff.next(jitter()).max(again.after.min(PAUSE_MAX));
                    if let Some(suppressed) = self.retries_log.pass(Instant::now()) {
                        let (receiver, url, why) = (self.protocol.name(), self.url.as_str(), again.why);
                        tracing::warn!(
                            receiver,
                            url,
                            why,
                            tries,
                            ?wait,
                            suppressed,
                            "data waits; trying again"
                        );
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    async fn attempt(&self, body: bytes::Bytes, tries: u32) -> Result<Answer, Again> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let mut response =
            request.send().await.map_err(|error| Again { why: chain(&error), after: Duration::ZERO })?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let after = Duration::from_secs(after.unwrap_or(0));
        let mut answer = Vec::new();
        // An answer that breaks off has still given its status, which decides.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = ANSWER_BYTES_MAX - answer.len();
            answer.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if answer.len() == ANSWER_BYTES_MAX {
                break;
            }
        }
        let said = || format!("{status}: {}", printable(&answer));
        match self.protocol.judge(status.as_u16(), tries) {
            Judgement::Accepted => Ok(Answer::Accepted(answer)),
            Judgement::Refused => Ok(Answer::Refused(said())),
            Judgement::Later => Err(Again { why: said(), after }),
            Judgement::Misconfigured => {
                let why = format!("{}; check the address and the receiver's settings", said());
                Err(Again { why, after })
            }
        }
    }
}

/// An error with its causes: reqwest's own text ends before the one that matters.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
