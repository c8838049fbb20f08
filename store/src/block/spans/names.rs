//! What spans and their ends are called, the same for whoever shows them.

use std::borrow::Cow;
use std::fmt;

use can_decode::uds::{Nrc, Service};

use super::record::{BusSpanKind, SpanFailure, SpanKind, SpanOrigin, SpanRecord, SpanStatus};

impl SpanRecord {
    /// Its name: the message's, behind the service's where it is a diagnostic request; or what a local service called it.
    /// `message` is the name of the schema's message, which only spans of a bus have.
    pub fn name<'a>(&'a self, message: &'a str) -> Cow<'a, str> {
        match &self.origin {
            SpanOrigin::Local(local) => Cow::Borrowed(&local.name),
            SpanOrigin::Bus(bus) => match bus.kind {
                BusSpanKind::Diagnostic(service) => {
                    Cow::Owned(format!("{} {message}", service_name(service)))
                }
                BusSpanKind::Frame | BusSpanKind::Exchange | BusSpanKind::Message => Cow::Borrowed(message),
            },
        }
    }

    /// Its kind after OpenTelemetry's conventions for messaging and for remote procedure calls: a frame is taken by whom it
    /// may concern, a request and its response are told from the side of whoever asks.
    pub fn kind(&self) -> SpanKind {
        match &self.origin {
            SpanOrigin::Local(local) => local.kind,
            SpanOrigin::Bus(bus) => match bus.kind {
                BusSpanKind::Frame | BusSpanKind::Message => SpanKind::Consumer,
                BusSpanKind::Exchange | BusSpanKind::Diagnostic(_) => SpanKind::Client,
            },
        }
    }
}

impl BusSpanKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Exchange => "exchange",
            Self::Message => "message",
            Self::Diagnostic(_) => "diagnostic",
        }
    }
}

impl SpanStatus {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error(_) => "error",
        }
    }

    /// Why it failed, if it did.
    pub const fn failure(&self) -> Option<&SpanFailure> {
        match self {
            Self::Error(failure) => Some(failure),
            Self::Unset | Self::Ok => None,
        }
    }
}

impl SpanFailure {
    /// One of few words for what failed (`error.type` of OpenTelemetry's conventions); `None` where only the service that
    /// sent the span could say.
    pub fn class(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoResponse => Some(Cow::Borrowed("timeout")),
            Self::Reported(_) => Some(Cow::Borrowed("reported")),
            Self::Refused(nrc) => Some(code_name(*nrc)),
            Self::Message(_) => None,
        }
    }
}

impl fmt::Display for SpanFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("no response in time"),
            Self::Reported(raw) => write!(f, "the response reports {raw}"),
            Self::Refused(nrc) => write!(f, "refused: {} (0x{:02X})", code_name(*nrc), nrc.0),
            Self::Message(text) => f.write_str(text),
        }
    }
}

/// Name of a diagnostic service, or its number where no standard names it.
pub fn service_name(service: Service) -> Cow<'static, str> {
    service.name().map_or_else(|| Cow::Owned(format!("0x{:02X}", service.0)), Cow::Borrowed)
}

/// Name of a negative response code, or its number where the standard does not name it.
fn code_name(nrc: Nrc) -> Cow<'static, str> {
    nrc.name().map_or_else(|| Cow::Owned(format!("0x{:02X}", nrc.0)), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn failures_in_words() {
        for (failure, text, class) in [
            (SpanFailure::NoResponse, "no response in time", Some("timeout")),
            (SpanFailure::Reported(3), "the response reports 3", Some("reported")),
            (
                SpanFailure::Refused(Nrc(0x22)),
                "refused: ConditionsNotCorrect (0x22)",
                Some("ConditionsNotCorrect"),
            ),
            (SpanFailure::Refused(Nrc(0x02)), "refused: 0x02 (0x02)", Some("0x02")),
            (SpanFailure::Message(Arc::from("no pressure")), "no pressure", None),
        ] {
            assert_eq!((failure.to_string().as_str(), failure.class().as_deref()), (text, class));
        }
        assert_eq!(service_name(Service(0x22)), "ReadDataByIdentifier");
        assert_eq!(service_name(Service(0xFF)), "0xFF");
    }
}
