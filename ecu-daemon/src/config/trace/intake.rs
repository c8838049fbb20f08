//! Where local services bring their spans and log records.

use std::net::SocketAddr;

use toml::Spanned;

use super::super::Check;

/// Records a second that services may bring unless the configuration says otherwise.
const RECORDS_PER_SECOND: u32 = 1_000;

/// An address for OTLP/HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// Where it listens.
    pub address: SocketAddr,
    /// Spans and log records a second at most, all services together; one second's worth may come at once.
    pub records_per_second: u32,
}

impl Check<'_> {
    pub(super) fn intake(
        &mut self,
        listen: Option<Spanned<String>>,
        allow_remote: bool,
        records_per_second: Option<Spanned<u32>>,
    ) -> Option<Intake> {
        let records_per_second =
            self.bounded(records_per_second, RECORDS_PER_SECOND, 1..=100_000, "1 to 100000");
        let listen = listen.filter(|listen| !listen.get_ref().is_empty())?;
        let text = match listen.get_ref().parse::<SocketAddr>() {
            Ok(address) if allow_remote || address.ip().is_loopback() => {
                return Some(Intake { address, records_per_second });
            }
            Ok(address) => format!(
                "{address} is open to other machines, and whoever reaches it can write spans and logs; listen at \
                 127.0.0.1:{}, or add `allow_remote = true`",
                address.port()
            ),
            Err(_) => format!("{:?} is not an address and port such as 127.0.0.1:4318", listen.get_ref()),
        };
        self.fatal.push(self.file.problem(Some(listen.span()), text));
        None
    }
}
