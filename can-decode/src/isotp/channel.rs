//! Who talks ISO-TP to whom: endpoints, and the pairs and functional identifiers made of them.

use core::fmt;
use core::str::FromStr;

use crate::frame::CanId;

/// The sender of messages: an identifier, and for extended and mixed addressing the first byte of every frame, too
/// (`N_TA` and `N_AE` of ISO 15765-2:2016 §10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The identifier of its frames.
    pub id: CanId,
    /// The address byte before the protocol control information; `None` for normal and normal fixed addressing.
    pub address: Option<u8>,
}

impl Endpoint {
    /// With normal or normal fixed addressing: all of the address is in the identifier.
    pub const fn normal(id: CanId) -> Self {
        Self { id, address: None }
    }

    /// Bytes of a frame before the protocol control information.
    pub(super) const fn address_bytes(self) -> usize {
        self.address.is_some() as usize
    }
}

/// `7E0`, `18DA10F1`, or `6F1/12` with an address byte.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => write!(f, "{}", self.id),
            Some(address) => write!(f, "{}/{address:02X}", self.id),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        let (id, address) = match text.split_once('/') {
            None => (text, None),
            Some((id, address)) => (id, Some(hex(address, 2)? as u8)),
        };
        // As candump writes them: three digits are an 11-bit identifier, eight a 29-bit one.
        let id = if id.len() == 3 {
            u16::try_from(hex(id, 3)?).ok().and_then(CanId::standard)
        } else {
            CanId::extended(hex(id, 8)?)
        };
        Ok(Self { id: id.ok_or(ChannelError::Text)?, address })
    }
}

fn hex(text: &str, digits: usize) -> Result<u32, ChannelError> {
    // from_str_radix alone would take a sign.
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ChannelError::Text);
    }
    u32::from_str_radix(text, 16).map_err(|_| ChannelError::Text)
}

/// A conversation to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A tester and an ECU.
    Pair {
        /// Sends the requests.
        request: Endpoint,
        /// Sends the responses.
        response: Endpoint,
    },
    /// Requests of one frame to all ECUs; any of them may respond from its own pair.
    Functional(Endpoint),
}

/// `REQ:RESP`, or `REQ:*` for functional requests.
impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        match text.split_once(':').ok_or(ChannelError::Text)? {
            (request, "*") => Ok(Self::Functional(request.parse()?)),
            (request, response) => Ok(Self::Pair { request: request.parse()?, response: response.parse()? }),
        }
    }
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the tester to one ECU.
    Request,
    /// From the tester to all ECUs.
    FunctionalRequest,
    /// From an ECU to the tester.
    Response,
}

/// Where a message comes from and who answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who sends it.
    pub sender: Endpoint,
    /// Who sends the other way: flow control, and the response or the request. `None` for functional requests, which
    /// many may answer.
    pub partner: Option<Endpoint>,
    /// Request or response.
    pub direction: Direction,
}

/// Why channels cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// Not of the form `REQ:RESP`.
    Text,
    /// The endpoint is in two channels, or is both sides of one.
    Twice(Endpoint),
    /// The identifier is used with an address byte and without.
    AddressByte(CanId),
    /// More channels than are followed.
    TooMany(usize),
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str(
                "not REQ:RESP; write identifiers of 3 or 8 hex digits, /XX behind them for an address byte, and * as \
                 RESP for a functional request: 7E0:7E8, 18DA10F1:18DAF110, 6F1/12:612/F1, 7DF:*",
            ),
            Self::Twice(endpoint) => {
                write!(f, "{endpoint} is named twice; every sender belongs to one channel and one side of it")
            }
            Self::AddressByte(id) => {
                write!(f, "{id} is named with an address byte and without; its frames have one or they do not")
            }
            Self::TooMany(count) => {
                write!(f, "{count} channels; at most {} are followed", super::CHANNELS_MAX)
            }
        }
    }
}

impl core::error::Error for ChannelError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_as_candump_writes_identifiers() {
        let endpoint = |id, address| Endpoint { id, address };
        let pair = |request, response| Ok(Channel::Pair { request, response });
        let standard = |id| endpoint(CanId::Standard(id), None);
        let refused = Err(ChannelError::Text);
        let cases = [
            ("7E0:7E8", pair(standard(0x7E0), standard(0x7E8))),
            ("7df:*", Ok(Channel::Functional(standard(0x7DF)))),
            (
                "18DA10F1:18DAF110",
                pair(
                    endpoint(CanId::Extended(0x18DA_10F1), None),
                    endpoint(CanId::Extended(0x18DA_F110), None),
                ),
            ),
            (
                "6F1/12:612/f1",
                pair(
                    endpoint(CanId::Standard(0x6F1), Some(0x12)),
                    endpoint(CanId::Standard(0x612), Some(0xF1)),
                ),
            ),
            ("00000001:002", pair(endpoint(CanId::Extended(1), None), standard(2))),
            ("", refused),
            ("7E0", refused),
            ("7E0:", refused),
            ("7E0:7E8:7E9", refused),
            ("*:7E8", refused),
            ("800:7E8", refused),
            ("20000000:7E8", refused),
            ("7E0/1:7E8", refused),
            ("7E0/:7E8", refused),
            ("+E0:7E8", refused),
            ("0x7E0:0x7E8", refused),
            ("7é:7E8", refused),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Channel>(), expected, "{text}");
        }
        for text in ["7E0", "18DA10F1", "6F1/12", "00000001/00"] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()), Ok(text.to_string()));
        }
    }
}
