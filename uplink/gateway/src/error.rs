//! Why the gateway ends, or does not start.

use std::io;
use std::net::SocketAddr;

/// Why a gateway could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The asynchronous runtime.
    #[error("cannot start the runtime: {0}; the system is out of descriptors or memory")]
    Runtime(#[source] io::Error),
    /// The HTTP client.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The address for its own metrics.
    #[error("cannot listen on {address}: {source}; choose another --listen address")]
    Listen {
        /// As asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The reader of the printed lines is gone.
    #[error(
        "cannot print records: {0}; what was not printed is not acknowledged and comes again at the next start"
    )]
    Print(#[source] io::Error),
    /// The task that works on batches ended by itself, which is a bug.
    #[error("the gateway's worker stopped; this is a bug, please report it with the log before this line")]
    Worker,
}

impl GatewayError {
    /// Exit code after `sysexits.h`.
    pub const fn exit_code(&self) -> u8 {
        match self {
            // EX_UNAVAILABLE
            Self::Listen { .. } => 69,
            // EX_OSERR
            Self::Runtime(_) => 71,
            // EX_IOERR
            Self::Print(_) => 74,
            // EX_SOFTWARE
            Self::Client(_) | Self::Worker => 70,
        }
    }
}
