//! Names of services and negative response codes, compared with those of crate `automotive_diag`.
#![cfg(feature = "alloc")]

use automotive_diag::kwp2000::KwpCommand;
use automotive_diag::uds::{UdsCommand, UdsError};
use can_decode::uds::{Nrc, Protocol, Service};

/// `BrakeSwitch…` and `brake_switch…` are one name.
fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[test]
fn services_have_the_names_of_automotive_diag() {
    let mut compared = 0;
    for number in 0..=u8::MAX {
        let name = Service(number).name();
        if let Some(theirs) = UdsCommand::from_repr(number) {
            assert_eq!(name.map(folded), Some(folded(&format!("{theirs:?}"))), "{number:02X}");
            assert_eq!(Service(number).protocol(), Some(Protocol::Uds));
            compared += 1;
        } else if Service(number).protocol() == Some(Protocol::Kwp2000)
            && let Some(theirs) = KwpCommand::from_repr(number)
        {
            assert_eq!(name.map(folded), Some(folded(&format!("{theirs:?}"))), "{number:02X}");
            compared += 1;
        }
    }
    // 26 of UDS, and 8 of KWP2000 whose numbers UDS leaves free.
    assert_eq!(compared, 34);
}

#[test]
fn negative_response_codes_have_the_names_of_automotive_diag() {
    // The standard's name is throttle/PedalTooHigh.
    const OTHERWISE: [u8; 2] = [0x8A, 0x8B];
    let mut ours_only = Vec::new();
    for number in 0..=u8::MAX {
        match (Nrc(number).name(), UdsError::from_repr(number)) {
            (Some(ours), Some(theirs)) if OTHERWISE.contains(&number) => {
                assert_eq!(folded(ours), folded(&format!("{theirs:?}")).replace("too", "pedaltoo"));
            }
            (ours, Some(theirs)) => {
                assert_eq!(ours.map(folded), Some(folded(&format!("{theirs:?}"))), "{number:02X}");
            }
            (Some(_), None) => ours_only.push(number),
            (None, None) => {}
        }
    }
    // Of ISO 14229-1:2020, and the manufacturers' range.
    let newer = [0x34, 0x38, 0x39, 0x3A].into_iter().chain(0x50..=0x5D).chain([0x94]).chain(0xF0..=0xFE);
    assert_eq!(ours_only, newer.collect::<Vec<u8>>());
}
