//! Which identifiers carry ISO-TP. A listener cannot know: it follows those that the law fixes, and those it is told.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::channel::{Channel, ChannelError, Direction, Endpoint, Route};
use crate::frame::{CanId, Frame};

/// Most channels that can be named. A vehicle has about 100 ECUs.
pub const CHANNELS_MAX: usize = 1024;

/// ISO 15765-4 §10.5: the 11-bit functional request, eight physical requests, and their responses 8 above.
const LEGISLATED_FUNCTIONAL: u16 = 0x7DF;
const LEGISLATED_REQUEST_FIRST: u16 = 0x7E0;
const LEGISLATED_PAIRS: u16 = 8;
const LEGISLATED_RESPONSE_OFFSET: u16 = 8;
/// The tester's address in 29-bit identifiers (ISO 15765-4 §10.5.3).
const TESTER: u8 = 0xF1;
/// Normal fixed addressing at the standard's priority 6: one receiver, or all of a kind (ISO 15765-2:2016 §10.3.3).
const FIXED_PHYSICAL: u32 = 0x18DA;
const FIXED_FUNCTIONAL: u32 = 0x18DB;

/// The channels of one bus.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Sorted by identifier.
    routes: Box<[Route]>,
    /// Whether `18DAxxF1`, `18DAF1xx` and `18DBxxF1` are followed.
    fixed: bool,
}

impl Channels {
    /// What ISO 15765-4 fixes for OBD and UDS: `7DF`, `7E0`–`7E7` with `7E8`–`7EF`, and the tester `F1` in 29-bit
    /// normal fixed addressing (`18DBxxF1`, `18DAxxF1` with `18DAF1xx`).
    pub fn legislated() -> Self {
        Self::assemble(&[], true)
    }

    /// The channels `named`, and the legislated ones where `legislated`. A legislated channel that shares an identifier
    /// with a named one is left out.
    ///
    /// Normal and normal fixed addressing need identifiers only; extended and mixed addressing (11 and 29 bits) are
    /// channels whose endpoints have an address byte.
    ///
    /// # Errors
    /// [`ChannelError`] for contradictions, and for more than [`CHANNELS_MAX`]. A channel may be named twice.
    pub fn new(named: &[Channel], legislated: bool) -> Result<Self, ChannelError> {
        if named.len() > CHANNELS_MAX {
            return Err(ChannelError::TooMany(named.len()));
        }
        let channels = Self::assemble(named, legislated);
        for (first, second) in channels.routes.iter().zip(channels.routes.iter().skip(1)) {
            if first.sender == second.sender {
                return Err(ChannelError::Twice(first.sender));
            }
            if first.sender.id == second.sender.id && first.sender.address.is_none() {
                return Err(ChannelError::AddressByte(first.sender.id));
            }
        }
        Ok(channels)
    }

    fn assemble(named: &[Channel], legislated: bool) -> Self {
        let mut routes: Vec<Route> = named.iter().flat_map(routes_of).collect();
        let named_ids: Vec<CanId> = routes.iter().map(|route| route.sender.id).collect();
        for channel in legislated_channels().filter(|_| legislated) {
            let added = routes_of(&channel);
            if !added.clone().any(|route| named_ids.contains(&route.sender.id)) {
                routes.extend(added);
            }
        }
        // `None` sorts before any address byte. Equal routes are one channel that was named twice.
        routes.sort_by_key(|route| (route.sender.id.with_extended_bit(), route.sender.address));
        routes.dedup();
        Self { routes: routes.into_boxed_slice(), fixed: legislated }
    }

    /// Where the frame belongs, if to one of the channels.
    pub fn find(&self, frame: &Frame) -> Option<Route> {
        let id = frame.id();
        let key = id.with_extended_bit();
        let start = self.routes.partition_point(|route| route.sender.id.with_extended_bit() < key);
        let mut candidates = self.routes[start..].iter().take_while(|route| route.sender.id == id).peekable();
        if candidates.peek().is_none() {
            return if self.fixed { fixed_route(id) } else { None };
        }
        let first_byte = frame.data().first().copied();
        candidates.find(|route| route.sender.address.is_none() || route.sender.address == first_byte).copied()
    }
}

fn legislated_channels() -> impl Iterator<Item = Channel> {
    let endpoint = |id| Endpoint::normal(CanId::Standard(id));
    let requests = LEGISLATED_REQUEST_FIRST..LEGISLATED_REQUEST_FIRST + LEGISLATED_PAIRS;
    let pairs = requests.map(move |id| Channel::Pair {
        request: endpoint(id),
        response: endpoint(id + LEGISLATED_RESPONSE_OFFSET),
    });
    pairs.chain([Channel::Functional(endpoint(LEGISLATED_FUNCTIONAL))])
}

/// A pair has two senders, a functional channel one.
fn routes_of(channel: &Channel) -> impl Iterator<Item = Route> + Clone + use<> {
    let (first, second) = match *channel {
        Channel::Pair { request, response } => (
            Route { sender: request, partner: Some(response), direction: Direction::Request },
            Some(Route { sender: response, partner: Some(request), direction: Direction::Response }),
        ),
        Channel::Functional(request) => {
            (Route { sender: request, partner: None, direction: Direction::FunctionalRequest }, None)
        }
    };
    [Some(first), second].into_iter().flatten()
}

/// The tester's side of normal fixed addressing: the identifier holds the receiver's and then the sender's address.
fn fixed_route(id: CanId) -> Option<Route> {
    let CanId::Extended(number) = id else { return None };
    let (receiver, source) = ((number >> 8) as u8, number as u8);
    let direction = match number >> 16 {
        FIXED_PHYSICAL if source == TESTER => Direction::Request,
        FIXED_PHYSICAL if receiver == TESTER => Direction::Response,
        FIXED_FUNCTIONAL if source == TESTER => Direction::FunctionalRequest,
        _ => return None,
    };
    let partner = FIXED_PHYSICAL << 16 | u32::from(source) << 8 | u32::from(receiver);
    Some(Route {
        sender: Endpoint::normal(id),
        partner: (direction != Direction::FunctionalRequest)
            .then_some(Endpoint::normal(CanId::Extended(partner))),
        direction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame's direction and partner, `*` for none in particular.
    fn find(channels: &Channels, frame: &str) -> Option<(Direction, String)> {
        let line = format!("(0.0) can0 {frame}");
        let frame = crate::candump::parse_line(&line).unwrap().frame;
        let route = channels.find(&frame)?;
        assert_eq!(route.sender.id, frame.id());
        Some((route.direction, route.partner.map_or("*".to_string(), |partner| partner.to_string())))
    }

    fn check(channels: &Channels, cases: &[(&str, Option<(Direction, &str)>)]) {
        for (frame, expected) in cases {
            let expected = expected.map(|(direction, partner)| (direction, partner.to_string()));
            assert_eq!(find(channels, frame), expected, "{frame}");
        }
    }

    #[test]
    fn the_legislated_identifiers_are_known_with_their_partners() {
        use Direction::{FunctionalRequest, Request, Response};
        let cases = [
            ("7DF#", Some((FunctionalRequest, "*"))),
            ("7E0#", Some((Request, "7E8"))),
            ("7E7#", Some((Request, "7EF"))),
            ("7E8#", Some((Response, "7E0"))),
            ("7EF#", Some((Response, "7E7"))),
            ("7DE#", None),
            ("7F0#", None),
            ("000007E0#", None),
            ("18DB33F1#", Some((FunctionalRequest, "*"))),
            ("18DA10F1#", Some((Request, "18DAF110"))),
            ("18DAF110#", Some((Response, "18DA10F1"))),
            ("18DA1020#", None),
            ("18DB33F2#", None),
            ("14DA10F1#", None),
        ];
        check(&Channels::legislated(), &cases);
        check(&Channels::new(&[], false).unwrap(), &cases.map(|(frame, _)| (frame, None)));
    }

    #[test]
    fn named_channels_come_first_and_address_bytes_tell_channels_apart() {
        let named = ["7E0:7E9", "6F1/12:612/F1", "6F1/40:640/F1", "18DA10F1:123", "700:*"]
            .map(|text| text.parse().unwrap());
        let channels = Channels::new(&named, true).unwrap();
        let cases = [
            ("7E0#", Some((Direction::Request, "7E9"))),
            ("7E9#", Some((Direction::Response, "7E0"))),
            ("7E8#", None),
            ("7E1#", None),
            ("7E2#", Some((Direction::Request, "7EA"))),
            ("6F1#12", Some((Direction::Request, "612/F1"))),
            ("6F1#40", Some((Direction::Request, "640/F1"))),
            ("6F1#41", None),
            ("6F1#", None),
            ("612#F1", Some((Direction::Response, "6F1/12"))),
            ("612#F2", None),
            ("700#", Some((Direction::FunctionalRequest, "*"))),
            ("18DA10F1#", Some((Direction::Request, "123"))),
            ("18DA11F1#", Some((Direction::Request, "18DAF111"))),
        ];
        check(&channels, &cases);
    }

    #[test]
    fn contradictions_are_refused_and_repetitions_are_not() {
        let check = |named: &[&str], expected: &str| {
            let named: Vec<Channel> = named.iter().map(|text| text.parse().unwrap()).collect();
            let error = Channels::new(&named, true).map(|_| ()).map_err(|error| error.to_string());
            let start = error.err().unwrap_or_default();
            assert!(
                start.starts_with(expected) && start.is_empty() == expected.is_empty(),
                "{named:?}: {start}"
            );
        };
        check(&["7E0:7E8", "7E0:7E8", "7DF:*", "7DF:*"], "");
        check(&["100:101", "100:102"], "100 is named twice");
        check(&["100:101", "102:100"], "100 is named twice");
        check(&["100:100"], "100 is named twice");
        check(&["100:*", "100:102"], "100 is named twice");
        check(&["100/01:100/02", "100/03:101"], "");
        check(&["100/01:101", "100:102"], "100 is named with an address byte and without");
        let many = vec!["100:101".parse().unwrap(); CHANNELS_MAX + 1];
        assert_eq!(Channels::new(&many, true).err(), Some(ChannelError::TooMany(CHANNELS_MAX + 1)));
    }
}
