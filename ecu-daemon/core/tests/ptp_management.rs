//! linuxptp's management messages, byte by byte, and whatever else may arrive on the socket.

use ecu_core::clock::management::{
    Answer, Content, NoAnswer, PortState, PtpStatus, Query, REQUEST_LEN, Requester, parse,
};
use ecu_core::clock::{Sync, SyncSource, TaiUtc, TaiUtcSource, Timescale};
use proptest::prelude::*;

/// An answer as ptp4l sends it.
fn answer(kind: u16, id: u16, port: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = Requester { domain: 3, transport_specific: 1, port }.get(Query::Port, 258).to_vec();
    bytes[46] = 2;
    bytes.truncate(48);
    bytes.extend(kind.to_be_bytes());
    bytes.extend((2 + data.len() as u16).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(data);
    let len = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

fn time_status(offset_ns: i64, has_grandmaster: i32) -> Vec<u8> {
    let mut data = offset_ns.to_be_bytes().to_vec();
    data.extend([0; 30]);
    data.extend(has_grandmaster.to_be_bytes());
    data.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    data
}

fn current(path_delay: i64) -> Vec<u8> {
    [&1_u16.to_be_bytes()[..], &0_i64.to_be_bytes(), &path_delay.to_be_bytes()].concat()
}

fn port(state: u8) -> Vec<u8> {
    let mut data = vec![0; 26];
    data[10] = state;
    data
}

#[test]
fn a_request_is_as_the_standard_has_it() {
    let bytes = Requester { domain: 3, transport_specific: 1, port: 0x1234 }.get(Query::TimeStatus, 0x0102);
    let mut expected = vec![0x1D, 2, 0, 54, 3, 0, 0, 0];
    expected.extend([0; 20]);
    expected.extend([0x12, 0x34, 1, 2, 4, 0x7F]);
    expected.extend([0xFF; 10]);
    expected.extend([0, 0, 0, 0, 0, 1, 0, 2, 0xC0, 0]);
    assert_eq!((bytes.len(), bytes.to_vec()), (REQUEST_LEN, expected));
    assert_eq!(parse(&bytes), Err(NoAnswer::Kind), "a request is no answer");
}

#[test]
fn answers_are_read() {
    let check = |bytes: Vec<u8>, port, content| {
        assert_eq!(parse(&bytes), Ok(Answer { sequence: 258, port, content }));
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_err(), "cut off at {len}");
        }
    };
    check(
        answer(1, 0xC000, 0, &time_status(-42, 1)),
        0,
        Content::TimeStatus {
            master_offset_ns: -42,
            has_grandmaster: true,
            grandmaster: [1, 2, 3, 4, 5, 6, 7, 8],
        },
    );
    check(answer(1, 0x2001, 0, &current((1_234 << 16) + 1)), 0, Content::Current { path_delay_ns: 1_235 });
    check(answer(1, 0x2001, 0, &current(-5)), 0, Content::Current { path_delay_ns: 0 });
    check(
        answer(1, 0x2003, 0, &[0, 37, 0b1100, 0x20]),
        0,
        Content::TimeProperties { tai_utc_s: Some(37), is_ptp_timescale: true },
    );
    check(
        answer(1, 0x2003, 0, &[0, 37, 0, 0xA0]),
        0,
        Content::TimeProperties { tai_utc_s: None, is_ptp_timescale: false },
    );
    check(answer(1, 0x2004, 2, &port(9)), 2, Content::Port(PortState::Slave));
    check(answer(1, 0x2004, 2, &port(8)), 2, Content::Port(PortState::Uncalibrated));
    check(answer(1, 0x2004, 2, &port(6)), 2, Content::Port(PortState::Other(6)));
    check(answer(2, 6, 0, &[0xC0, 0, 0, 0, 0, 0]), 0, Content::Refused(6));
    assert_eq!(parse(&answer(1, 0x2000, 0, &[0; 20])), Err(NoAnswer::Id(0x2000)));
    assert_eq!(parse(&answer(1, 0x2003, 0, &[0, 37])), Err(NoAnswer::Length));
    assert_eq!(parse(&answer(3, 0x2003, 0, &[0; 4])), Err(NoAnswer::Kind));
}

#[test]
fn a_clock_is_synchronised_when_it_follows_a_grandmaster() {
    let check = |answers: &[(u16, Vec<u8>)], asymmetry_ns, expected: Option<(u64, Timescale, TaiUtc)>| {
        let mut status = PtpStatus::default();
        for (id, data) in answers {
            status.take(&parse(&answer(1, *id, 1, data)).unwrap());
        }
        let sync = status.sync(asymmetry_ns);
        let expected = expected.map(|(error_ns, timescale, tai_utc)| Sync {
            source: SyncSource::Ptp,
            timescale,
            error_ns,
            tai_utc,
        });
        assert_eq!(sync, expected, "{answers:?}");
    };
    let all = [
        (0xC000, time_status(-42, 1)),
        (0x2001, current(1_000 << 16)),
        (0x2003, vec![0, 38, 0b1100, 0x20]),
        (0x2004, port(6)),
        (0x2004, port(9)),
    ];
    let told = TaiUtc { seconds: 38, source: TaiUtcSource::Ptp };
    check(&all, None, Some((1_042, Timescale::Tai, told)));
    check(&all, Some(10), Some((52, Timescale::Tai, told)));
    check(&all[..4], None, None);
    check(&all[1..], None, None);
    check(
        &[all[0].clone(), all[1].clone(), all[4].clone()],
        None,
        Some((1_042, Timescale::Utc, TaiUtc::BUILT_IN)),
    );
    check(&[(0xC000, time_status(-42, 0)), all[1].clone(), all[4].clone()], None, None);
}

proptest! {
    #[test]
    fn no_datagram_is_too_strange(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
        is_near in any::<bool>(),
    ) {
        if is_near && bytes.len() > 54 {
            let start = answer(1, 0xC000, 0, &[]);
            bytes[..start.len()].copy_from_slice(&start);
            bytes[2] = 0;
            bytes[3] = 54;
            bytes[51] = (bytes.len() - 52) as u8;
        }
        if let Ok(answer) = parse(&bytes) {
            let mut status = PtpStatus::default();
            status.take(&answer);
            prop_assert_eq!(status.sync(None), None);
        }
    }
}
