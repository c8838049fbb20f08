//! Recordings with diagnostic messages, where they are at hand. The counts are those of python's can-isotp 2.0.7 in its
//! listen mode, which gave the same messages byte for byte.
#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use can_decode::candump::parse_line;
use can_decode::isotp::{Abandon, Channels, Event, Limits, Reassembler};
use can_decode::uds::{ExchangeLimits, Exchanges, Kind};
use flate2::read::GzDecoder;

/// Messages by sender, service and length, and what else there was.
struct Found {
    messages: BTreeMap<(String, u8, u32), u64>,
    listener: Reassembler,
    exchanges: Exchanges,
}

fn listen(name: &str) -> Option<Found> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can/logs"));
    let Ok(bytes) = fs::read(folder.join(name)) else {
        println!("absent: {name}");
        return None;
    };
    println!("running over {name}");
    let mut log = String::new();
    if bytes.starts_with(&[0x1F, 0x8B]) {
        GzDecoder::new(&bytes[..]).read_to_string(&mut log).unwrap();
    } else {
        log = String::from_utf8(bytes).unwrap();
    }
    // The second ECU of the UDS recording answers on 7BB, which the law does not fix.
    let channels = Channels::new(&["79B:7BB".parse().unwrap()], true).unwrap();
    let mut listener = Reassembler::new(channels, Limits::default());
    let (mut messages, mut exchanges) = (BTreeMap::new(), Exchanges::new(ExchangeLimits::default()));
    for line in log.lines() {
        let line = parse_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        listener.push(line.time, &line.frame, |event| {
            if let Event::Message(message) = event {
                let pdu = exchanges.take(&message).pdu;
                let service = pdu.service.filter(|_| pdu.kind == Kind::Positive).unwrap();
                *messages.entry((message.route.sender.to_string(), service.0, message.len)).or_default() += 1;
            }
        });
    }
    listener.finish(|_| {});
    Some(Found { messages, listener, exchanges })
}

#[test]
fn responses_of_several_frames_without_their_requests() {
    let Some(found) = listen("css_uds_isotp.log") else { return };
    let expected =
        [(("7BB".to_owned(), 0x22, 38), 150), (("7EC".to_owned(), 0x22, 62), 120)].into_iter().collect();
    assert_eq!(found.messages, expected);
    // 30 first frames of 7EC have nothing behind them: the tester did not go on.
    let counters = found.listener.counters();
    assert_eq!((counters.frames, counters.ignored_total()), (2010, 0));
    assert_eq!((counters.abandoned(Abandon::TimedOut), counters.abandoned(Abandon::Ended)), (29, 1));
    assert_eq!((counters.abandoned_total(), found.exchanges.counters().unsolicited), (30, 270));
}

#[test]
fn obd_responses_of_one_frame() {
    let Some(found) = listen("css_obd2_gps.log.gz") else { return };
    let counters = found.listener.counters();
    assert_eq!((counters.messages, counters.single_frames, counters.ignored_total()), (6601, 6601, 0));
    assert!(found.messages.keys().all(|(sender, service, _)| sender == "7E8" && *service == 1));
}
