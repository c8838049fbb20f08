//! An MQTT broker inside the process, for the demo only.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// How long it may take until it listens.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Starts a broker on a free port of the loopback address and gives the address. It lives as long as the process.
///
/// # Errors
/// When there is no free port, or it does not listen in time.
pub(super) fn start() -> io::Result<SocketAddr> {
    // The broker does not tell which port it got, so one is chosen for it.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 5 << 20,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "demo".to_owned(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let router = RouterConfig {
        max_connections: 10,
        max_outgoing_packet_count: 200,
        max_segment_size: 16 << 20,
        max_segment_count: 4,
        ..RouterConfig::default()
    };
    let config = Config { router, v5: Some(HashMap::from([("1".to_owned(), server)])), ..Config::default() };
    std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
        if let Err(error) = Broker::new(config).start() {
            tracing::error!(%error, "embedded broker");
        }
    })?;
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if started.elapsed() > READY_WITHIN {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the embedded broker does not listen"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(address)
}
