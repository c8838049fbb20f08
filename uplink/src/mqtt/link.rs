//! Where the broker is and how to greet it.

use core::fmt;
use core::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::LastWill;

/// How long a broker keeps the session of a client that is away (MQTT 5 §3.1.2.11.2): a week.
const SESSION_SECONDS: u32 = 7 * 86_400;

/// A broker and the manner of the connection.
#[derive(Clone, Debug)]
pub struct Link {
    host: String,
    port: u16,
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
    /// TLS is asked for.
    #[error(
        "broker {0:?} asks for TLS, which this release does not have yet; use mqtt:// through a VPN or stunnel"
    )]
    Tls(String),
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
        let form = || UrlError::Form(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        match scheme {
            "mqtt" | "tcp" => {}
            "mqtts" | "ssl" | "tls" => return Err(UrlError::Tls(url.to_owned())),
            _ => return Err(form()),
        }
        if let Some((_, host)) = rest.rsplit_once('@') {
            return Err(UrlError::Credentials(host.to_owned()));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| form())?),
            _ => (rest, 1883),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['/', ' ', '[', ']']) || port == 0 {
            return Err(form());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            client_id: client_id.to_owned(),
            credentials: None,
            keep_alive: Duration::from_secs(60),
            packet_bytes_max: 5 << 20,
            will: None,
        })
    }

    /// Host and port, for messages.
    pub fn broker(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// rumqttc's options. The session survives the connection, so that the broker keeps what a gateway has not
    /// acknowledged, and so that a vehicle notices when the broker has lost its memory.
    pub(super) fn options(&self) -> MqttOptions {
        let mut options = MqttOptions::new(&self.client_id, &self.host, self.port);
        options.set_clean_start(false);
        options.set_session_expiry_interval(Some(SESSION_SECONDS));
        options.set_keep_alive(self.keep_alive.max(Duration::from_secs(1)));
        options.set_max_packet_size(Some(self.packet_bytes_max));
        if let Some(credentials) = &self.credentials {
            options.set_credentials(&credentials.username, &credentials.password);
        }
        if let Some((topic, payload)) = &self.will {
            options.set_last_will(LastWill::new(topic, payload.clone(), QoS::AtLeastOnce, true, None));
        }
        options
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
