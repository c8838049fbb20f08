//! What a gateway is told: where from, where to, and how patient to be.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use uplink::mqtt::Link;
use uplink::topic::Prefix;

/// Where a gateway receives, where it sends, and its patience.
#[derive(Clone, Debug)]
pub struct Options {
    /// The broker. Its client id names the session in which the broker keeps what was not acknowledged.
    pub link: Link,
    /// First levels of all topics.
    pub prefix: Prefix,
    /// Name of the shared subscription: gateways of one group share the work, groups each get everything.
    pub group: Group,
    /// `service.name` in OTLP and the label `job` in Prometheus.
    pub job: String,
    /// Base of the OTLP/HTTP receiver, such as `http://host:4318`.
    pub otlp: Option<HttpUrl>,
    /// The Prometheus remote-write receiver, such as `http://host:9090/api/v1/write`.
    pub remote_write: Option<HttpUrl>,
    /// Whether to write records to the standard output as JSON lines.
    pub print: bool,
    /// Where to serve the gateway's own metrics and health.
    pub listen: Option<SocketAddr>,
    /// How long to wait for what.
    pub patience: Patience,
}

impl Options {
    /// With the defaults of the command line, and no outputs: such a gateway opens and counts blocks only.
    pub fn new(link: Link, prefix: Prefix) -> Self {
        Self {
            link,
            prefix,
            group: Group("gateway".to_owned()),
            job: "ecu-daemon".to_owned(),
            otlp: None,
            remote_write: None,
            print: false,
            listen: None,
            patience: Patience::default(),
        }
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Before a request or connection is tried again for the first time; doubles from there.
    pub retry_first: Duration,
    /// At most between two tries.
    pub retry_cap: Duration,
    /// For the answer to one HTTP request.
    pub request: Duration,
    /// For a schema, before the blocks that need it are refused.
    pub schema: Duration,
    /// For a clock map, before the blocks that need it go out with what is known.
    pub clock_map: Duration,
    /// For the batch at work when the gateway is told to stop.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_millis(500),
            retry_cap: Duration::from_secs(30),
            request: Duration::from_secs(30),
            schema: Duration::from_secs(300),
            clock_map: Duration::from_secs(10),
            stop: Duration::from_secs(5),
        }
    }
}

/// Name of a shared subscription (MQTT 5 §4.8.2): one level of a topic filter without wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(String);

impl Group {
    /// Checks a name; `None` when it is empty, over 128 bytes or has `/`, `+`, `#` or control characters.
    pub fn new(text: &str) -> Option<Self> {
        let meaning = |letter: char| matches!(letter, '/' | '+' | '#') || letter.is_control();
        (!text.is_empty() && text.len() <= 128 && !text.contains(meaning)).then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address that requests are posted to: `http://` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(reqwest::Url);

/// Why a text is not an address to post to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpUrlError {
    /// Not `http://host[:port][/path]`.
    #[error("{0:?} is not of the form http://host[:port][/path]")]
    Form(String),
    /// TLS is asked for.
    #[error(
        "{0:?} asks for TLS, which this release does not have yet; send to an agent or proxy on this machine"
    )]
    Tls(String),
    /// A name and password in the address would end up in logs and process lists.
    #[error("the address of {0:?} holds credentials, which this release does not send; let a proxy add them")]
    Credentials(String),
}

impl HttpUrl {
    /// Checks an address.
    ///
    /// # Errors
    /// [`HttpUrlError`]
    pub fn parse(text: &str) -> Result<Self, HttpUrlError> {
        let url = reqwest::Url::parse(text).map_err(|_| HttpUrlError::Form(text.to_owned()))?;
        let host = url.host_str().unwrap_or_default();
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpUrlError::Credentials(host.to_owned()));
        }
        match url.scheme() {
            "http" if !host.is_empty() => Ok(Self(url)),
            "https" => Err(HttpUrlError::Tls(text.to_owned())),
            _ => Err(HttpUrlError::Form(text.to_owned())),
        }
    }

    /// The address of a resource below this one.
    pub(crate) fn below(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        url
    }

    pub(crate) fn url(&self) -> reqwest::Url {
        self.0.clone()
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain_http() {
        for (text, word) in [
            ("https://otel:4318", "TLS"),
            ("otel:4318", "form"),
            ("localhost", "form"),
            ("ftp://otel/", "form"),
            ("http://", "form"),
            ("http://me:secret@otel/", "credentials"),
        ] {
            let error = HttpUrl::parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{text}: {error}");
        }
        let below = |base| HttpUrl::parse(base).unwrap().below("v1/logs").to_string();
        assert_eq!(below("http://otel:4318"), "http://otel:4318/v1/logs");
        assert_eq!(below("http://otel:4318/"), "http://otel:4318/v1/logs");
        assert_eq!(below("http://proxy/otlp"), "http://proxy/otlp/v1/logs");
    }

    #[test]
    fn groups_are_one_level() {
        assert_eq!(Group::new("gateway-1").unwrap().as_str(), "gateway-1");
        for name in ["", "a/b", "+", "#", &"x".repeat(129)] {
            assert_eq!(Group::new(name), None, "{name}");
        }
    }
}
