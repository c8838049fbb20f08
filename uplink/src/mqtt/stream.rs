//! The byte stream under MQTT: TCP, or TLS over TCP.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::error::LinkError;
use super::link::Link;

/// Both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The connection's socket, for `getsockopt(TCP_INFO)`. Held no longer than the connection.
pub type Socket = Arc<OwnedFd>;

/// Connects, and agrees on TLS where the link asks for it.
pub(super) async fn dial(link: &Link) -> Result<(Box<dyn Stream>, Option<Socket>), LinkError> {
    let broken = |source| LinkError::Io { broker: link.broker(), source };
    let (host, port) = link.address();
    let tcp = TcpStream::connect((host, port)).await.map_err(broken)?;
    // Packets are written whole; waiting for more would only delay the last segment.
    tcp.set_nodelay(true).map_err(broken)?;
    let socket = tcp.as_fd().try_clone_to_owned().map(Arc::new).ok();
    #[cfg(feature = "tls")]
    if let Some(tls) = link.tls() {
        let failed = |source| LinkError::Tls { broker: link.broker(), source: Box::new(source) };
        let stream = tls.connect(host, tcp).await.map_err(failed)?;
        return Ok((Box::new(stream), socket));
    }
    Ok((Box::new(tcp), socket))
}

/// An error while reading or writing: of TLS or of the socket. A broker that does not like our certificate says so
/// only after the handshake (TLS 1.3).
pub(super) fn sort(broker: String, source: io::Error) -> LinkError {
    #[cfg(feature = "tls")]
    match crate::tls::TlsError::from_io(source) {
        Ok(source) => LinkError::Tls { broker, source: Box::new(source) },
        Err(source) => LinkError::Io { broker, source },
    }
    #[cfg(not(feature = "tls"))]
    LinkError::Io { broker, source }
}
