//! Where the broker is and how to greet it.

use core::fmt;
use core::time::Duration;

#[cfg(feature = "tls")]
use crate::tls::TlsClient;

/// Which MQTT to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5: an acknowledgement says whether anybody is subscribed, and why something is refused.
    #[default]
    V5,
    /// MQTT 3.1.1, for brokers that know no other. Its acknowledgement says only that the broker has the packet: without
    /// a subscribed gateway (or a gateway's session) the broker throws it away, and the vehicle frees the block. So a
    /// gateway must have been connected once, with a session that lasts, before vehicles send.
    V311,
}

/// A broker and the manner of the connection.
#[derive(Clone, Debug)]
pub struct Link {
    host: String,
    port: u16,
    #[cfg(feature = "tls")]
    tls: Option<TlsClient>,
    /// Which MQTT to speak.
    pub protocol: Protocol,
    /// Unique at the broker; names the session that survives reconnections.
    pub client_id: String,
    /// User name and password, where the broker asks for them.
    pub credentials: Option<Credentials>,
    /// A packet at least this often; a link that stays silent for twice as long is given up. At least 1 s.
    pub keep_alive: Duration,
    /// Largest packet that the broker may send us, bytes.
    pub packet_bytes_max: u32,
    /// Topic and payload that the broker publishes, retained, when the connection breaks off.
    pub will: Option<(String, Vec<u8>)>,
    /// How long the broker waits with the will for the vehicle to return (MQTT 5 §3.1.3.2.2).
    pub will_delay: Duration,
}

/// What a broker asks for. Never printed with the password.
#[derive(Clone)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password, possibly empty.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a text is not a broker's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not `mqtt://host[:port]`.
    #[error("broker {0:?} is not of the form mqtt://host[:port]")]
    Form(String),
    /// TLS is asked for, and it is not said whom to trust.
    #[error(
        "broker {0:?} asks for TLS, for which no certificates are given; give them, or use mqtt:// through a VPN or stunnel"
    )]
    Tls(String),
    /// Certificates are given for a connection without TLS.
    #[error("broker {0:?} is without TLS, but certificates are given; use mqtts://, or leave them out")]
    Plain(String),
    /// A name and password in the address would end up in logs and process lists.
    #[error("broker {0:?} holds credentials; give them as username and password_file")]
    Credentials(String),
}

impl Link {
    /// From `mqtt://host[:port]` (`tcp://` means the same; the port is 1883 unless given; IPv6 in brackets).
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn parse(url: &str, client_id: &str) -> Result<Self, UrlError> {
        let (link, secure) = Self::parse_any(url, client_id)?;
        if secure { Err(UrlError::Tls(url.to_owned())) } else { Ok(link) }
    }

    /// From `mqtts://host[:port]` (`ssl://` and `tls://` mean the same; the port is 8883 unless given).
    ///
    /// # Errors
    /// [`UrlError`], also for an address without TLS.
    #[cfg(feature = "tls")]
    pub fn parse_secure(url: &str, client_id: &str, tls: TlsClient) -> Result<Self, UrlError> {
        let (link, secure) = Self::parse_any(url, client_id)?;
        if secure { Ok(Self { tls: Some(tls), ..link }) } else { Err(UrlError::Plain(url.to_owned())) }
    }

    /// Whether an address asks for TLS.
    pub fn is_secure(url: &str) -> bool {
        matches!(url.split_once("://"), Some(("mqtts" | "ssl" | "tls", _)))
    }

    fn parse_any(url: &str, client_id: &str) -> Result<(Self, bool), UrlError> {
        let form = || UrlError::Form(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        let secure = Self::is_secure(url);
        if !secure && !matches!(scheme, "mqtt" | "tcp") {
            return Err(form());
        }
        if let Some((_, host)) = rest.rsplit_once('@') {
            return Err(UrlError::Credentials(host.to_owned()));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| form())?),
            _ => (rest, if secure { 8883 } else { 1883 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['/', ' ', '[', ']']) || port == 0 {
            return Err(form());
        }
        let link = Self {
            host: host.to_owned(),
            port,
            #[cfg(feature = "tls")]
            tls: None,
            protocol: Protocol::V5,
            client_id: client_id.to_owned(),
            credentials: None,
            keep_alive: Duration::from_secs(60),
            packet_bytes_max: 5 << 20,
            will: None,
            will_delay: Duration::ZERO,
        };
        Ok((link, secure))
    }

    /// Host and port, for messages.
    pub fn broker(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    #[cfg(feature = "tls")]
    pub(super) const fn tls(&self) -> Option<&TlsClient> {
        self.tls.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        let broker = |url| Link::parse(url, "id").map(|link| link.broker());
        assert_eq!(broker("mqtt://localhost"), Ok("localhost:1883".into()));
        assert_eq!(broker("tcp://10.0.2.2:1884/"), Ok("10.0.2.2:1884".into()));
        assert_eq!(broker("mqtt://[::1]:1885"), Ok("::1:1885".into()));
        assert_eq!(broker("mqtt://[::1]"), Ok("::1:1883".into()));
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut link = Link::parse("mqtt://x", "id").unwrap();
        link.credentials = Some(Credentials { username: "car".into(), password: "secret".into() });
        let text = format!("{link:?}");
        assert!(text.contains("car") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn addresses_that_will_not_do_say_why() {
        for (url, word) in [
            ("localhost:1883", "form"),
            ("http://x", "form"),
            ("mqtt://", "form"),
            ("mqtt://x:99999", "form"),
            ("mqtt://x:0", "form"),
            ("mqtt://x/path", "form"),
            ("mqtts://x", "TLS"),
            ("mqtt://me:secret@x", "password_file"),
        ] {
            let error = Link::parse(url, "id").unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
