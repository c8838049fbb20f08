//! The meaning of one message.

use super::nrc::Nrc;
use super::service::{IdentifierKind, Service};
use crate::isotp::Direction;

/// First byte of a negative response.
const NEGATIVE: u8 = 0x7F;
/// Set in a positive response's first byte, clear in a request's.
const RESPONSE_BIT: u8 = 0x40;
/// Top bit of a request's sub-function: no positive response, please.
const SUPPRESS_BIT: u8 = 0x80;

/// What sort of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Request,
    /// The response to a request that succeeded.
    Positive,
    /// The refusal of a request, or a sign that the response is still to come ([`Nrc::RESPONSE_PENDING`]).
    Negative(Nrc),
    /// Not of these in its direction: a first byte that cannot stand there, or a negative response that is cut off.
    Unrecognised,
}

/// A diagnostic message taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pdu<'a> {
    /// What sort of message it is.
    pub kind: Kind,
    /// The service that is asked for, or answers; `None` where the message is [`Kind::Unrecognised`].
    pub service: Option<Service>,
    /// The sub-function, 0 to 127, of services that have one.
    pub sub_function: Option<u8>,
    /// Whether a request says that it wants no positive response.
    pub suppresses_response: bool,
    /// What the message is about.
    pub identifiers: Identifiers<'a>,
}

impl<'a> Pdu<'a> {
    /// Reads a message that goes in `direction`. A message of which only the head is known may miss identifiers.
    pub fn read(direction: Direction, data: &'a [u8]) -> Self {
        let unrecognised = Self {
            kind: Kind::Unrecognised,
            service: None,
            sub_function: None,
            suppresses_response: false,
            identifiers: Identifiers::NONE,
        };
        let (kind, service, rest) = match (direction, data) {
            (Direction::Response, &[NEGATIVE, service, code, ..]) => {
                return Self {
                    kind: Kind::Negative(Nrc(code)),
                    service: Some(Service(service)),
                    ..unrecognised
                };
            }
            (_, [] | [NEGATIVE, ..]) => return unrecognised,
            (Direction::Response, &[first, ref rest @ ..]) if first & RESPONSE_BIT != 0 => {
                (Kind::Positive, Service(first & !RESPONSE_BIT), rest)
            }
            (Direction::Request | Direction::FunctionalRequest, &[first, ref rest @ ..])
                if first & RESPONSE_BIT == 0 =>
            {
                (Kind::Request, Service(first), rest)
            }
            _ => return unrecognised,
        };
        Self::read_parameters(kind, service, rest)
    }

    fn read_parameters(kind: Kind, service: Service, rest: &'a [u8]) -> Self {
        let layout = service.layout();
        let (sub_function, rest) = match rest.split_first() {
            Some((&byte, rest)) if layout.sub_function => (Some(byte), rest),
            _ => (None, rest),
        };
        let identifiers = match layout.identifier {
            // A sub-function that is cut off has nothing behind it.
            Some(kind) if layout.sub_function == sub_function.is_some() => {
                Identifiers { kind: Some(kind), bytes: rest }
            }
            _ => Identifiers::NONE,
        };
        // Behind a response's identifier come its data, whose length only the vehicle's maker knows.
        let several = layout.several && kind == Kind::Request;
        Self {
            kind,
            service: Some(service),
            sub_function: sub_function.map(|byte| byte & !SUPPRESS_BIT),
            suppresses_response: kind == Kind::Request
                && sub_function.is_some_and(|byte| byte & SUPPRESS_BIT != 0),
            identifiers: if several { identifiers } else { identifiers.only_first() },
        }
    }

    /// The identifier of a message that has exactly one.
    pub fn sole_identifier(&self) -> Option<u16> {
        let mut identifiers = self.identifiers.iter();
        identifiers.next().filter(|_| identifiers.next().is_none())
    }
}

/// The identifiers of a message: all that a request asks for, the first that a response has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifiers<'a> {
    kind: Option<IdentifierKind>,
    bytes: &'a [u8],
}

impl<'a> Identifiers<'a> {
    const NONE: Self = Self { kind: None, bytes: &[] };

    /// What they name; `None` for services without identifiers.
    pub const fn kind(&self) -> Option<IdentifierKind> {
        self.kind
    }

    /// Their numbers, in the order of the message; one that is cut off is left out.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        let chunks = self.bytes.chunks_exact(self.kind.map_or(1, IdentifierKind::bytes));
        chunks.map(|bytes| bytes.iter().fold(0, |number, &byte| number << 8 | u16::from(byte)))
    }

    fn only_first(self) -> Self {
        let len = self.kind.map_or(0, IdentifierKind::bytes);
        Self { kind: self.kind, bytes: self.bytes.get(..len).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::*;

    fn text(direction: Direction, hex: &str) -> String {
        let data: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let pdu = Pdu::read(direction, &data);
        let mut text = format!("{:?}", pdu.kind);
        if let Some(service) = pdu.service {
            write!(text, " {:02X} {}", service.0, service.name().unwrap_or("-")).unwrap();
        }
        if let Some(sub_function) = pdu.sub_function {
            write!(text, " sub {sub_function:02X}").unwrap();
        }
        if pdu.suppresses_response {
            text += " quiet";
        }
        for identifier in pdu.identifiers.iter() {
            write!(text, " {} {identifier:X}", pdu.identifiers.kind().unwrap().name()).unwrap();
        }
        text
    }

    #[test]
    fn requests() {
        for (hex, expected) in [
            ("22F190", "Request 22 ReadDataByIdentifier did F190"),
            ("22F190F18C", "Request 22 ReadDataByIdentifier did F190 did F18C"),
            ("22F190F1", "Request 22 ReadDataByIdentifier did F190"),
            ("22", "Request 22 ReadDataByIdentifier"),
            ("2EF19041424344", "Request 2E WriteDataByIdentifier did F190"),
            ("1003", "Request 10 DiagnosticSessionControl sub 03"),
            ("3E80", "Request 3E TesterPresent sub 00 quiet"),
            ("3E", "Request 3E TesterPresent"),
            ("3101FF00", "Request 31 RoutineControl sub 01 rid FF00"),
            ("31", "Request 31 RoutineControl"),
            ("1902FF", "Request 19 ReadDTCInformation sub 02"),
            ("14FFFFFF", "Request 14 ClearDiagnosticInformation"),
            ("010C0D", "Request 01 RequestCurrentPowertrainDiagnosticData pid C pid D"),
            ("020C00", "Request 02 RequestPowertrainFreezeFrameData pid C"),
            ("03", "Request 03 RequestEmissionRelatedDtcs"),
            ("0902", "Request 09 RequestVehicleInformation pid 2"),
            ("2101", "Request 21 ReadDataByLocalIdentifier lid 1"),
            ("BA00", "Request BA SystemSupplierSpecific"),
            ("9901", "Request 99 -"),
            ("62F190", "Unrecognised"),
            ("7F2231", "Unrecognised"),
            ("", "Unrecognised"),
        ] {
            assert_eq!(text(Direction::Request, hex), expected, "{hex}");
            assert_eq!(text(Direction::FunctionalRequest, hex), expected, "{hex}");
        }
    }

    #[test]
    fn responses() {
        for (hex, expected) in [
            ("62F1904142", "Positive 22 ReadDataByIdentifier did F190"),
            ("6EF190", "Positive 2E WriteDataByIdentifier did F190"),
            ("5003003201F4", "Positive 10 DiagnosticSessionControl sub 03"),
            ("7E00", "Positive 3E TesterPresent sub 00"),
            ("7101FF0000", "Positive 31 RoutineControl sub 01 rid FF00"),
            ("410C1AF8", "Positive 01 RequestCurrentPowertrainDiagnosticData pid C"),
            ("490201314434", "Positive 09 RequestVehicleInformation pid 2"),
            ("6101FF", "Positive 21 ReadDataByLocalIdentifier lid 1"),
            ("C502", "Positive 85 ControlDTCSetting sub 02"),
            ("7F2231", "Negative(Nrc(49)) 22 ReadDataByIdentifier"),
            ("7F2278", "Negative(Nrc(120)) 22 ReadDataByIdentifier"),
            ("7F9911", "Negative(Nrc(17)) 99 -"),
            ("7F22", "Unrecognised"),
            ("7F", "Unrecognised"),
            ("22F190", "Unrecognised"),
            ("", "Unrecognised"),
        ] {
            assert_eq!(text(Direction::Response, hex), expected, "{hex}");
        }
    }

    #[test]
    fn only_one_identifier_can_be_the_sole_one() {
        for (data, expected) in [
            (&[0x22, 0xF1, 0x90][..], Some(0xF190)),
            (&[0x22, 0xF1, 0x90, 0xF1, 0x8C], None),
            (&[0x22], None),
            (&[0x3E, 0x00], None),
        ] {
            assert_eq!(Pdu::read(Direction::Request, data).sole_identifier(), expected, "{data:02X?}");
        }
    }
}
