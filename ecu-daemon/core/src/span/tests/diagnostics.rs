//! UDS and other messages over ISO-TP.

use can_decode::isotp::Channel;
use can_decode::trace::trailer::{self, Envelope};
use can_decode::uds::{Nrc, Service};

use super::*;

const REQUEST: CanId = CanId::Standard(0x7E0);
const RESPONSE: CanId = CanId::Standard(0x7E8);
const TO_ALL: CanId = CanId::Standard(0x7DF);

/// A tester and an ECU, functional requests, and a conversation of another protocol whose contexts are trailers.
fn lab(roots: Option<u64>) -> Lab {
    let mut catalog = catalog();
    let mut conversation = |channel: &str, context| {
        let message = catalog.name_conversation(0, REQUEST, format!("UDS {channel}")).unwrap();
        let expectation = Expectation { timeout_ns: 1_000 * MS, slow_ns: None };
        Conversation { channel: channel.parse::<Channel>().unwrap(), message, context, expectation }
    };
    let conversations = vec![
        conversation("7E0:7E8", None),
        conversation("7DF:*", None),
        conversation("700:701", Some(Place::Trailer)),
        conversation("702:703", Some(Place::Offset(2))),
    ];
    let bus = BusSettings { conversations, ..BusSettings::default() };
    Lab::with(catalog, &Settings { buses: vec![bus], roots, ..Settings::default() })
}

fn single(id: CanId, data: &[u8]) -> Frame {
    let mut payload = vec![data.len() as u8];
    payload.extend(data);
    Frame::classic(id, &payload).unwrap()
}

/// A message as its frames.
fn segments(id: CanId, data: &[u8]) -> Vec<Frame> {
    let [high, low] = (data.len() as u16).to_be_bytes();
    let first = [&[0x10 | high, low][..], &data[..6]].concat();
    let rest = data[6..].chunks(7).enumerate();
    let consecutive = rest.map(|(at, part)| [&[0x21 + at as u8 % 15][..], part].concat());
    std::iter::once(first).chain(consecutive).map(|payload| Frame::classic(id, &payload).unwrap()).collect()
}

#[test]
fn a_diagnostic_request_and_its_response_are_one_span() {
    let mut lab = lab(Some(1));
    lab.frame(0, &single(REQUEST, &[0x22, 0xF1, 0x90]), 0);
    lab.frame(0, &single(RESPONSE, &[0x7F, 0x22, 0x78]), 900);
    lab.tick(1_500);
    assert!(lab.take().is_empty(), "it asked for time");
    let mut response = vec![0x62, 0xF1, 0x90];
    response.extend([b'V'; 17]);
    for (at, frame) in segments(RESPONSE, &response).iter().enumerate() {
        lab.frame(0, frame, 1_600 + at as i64);
    }
    let spans = lab.take();
    assert_eq!(spans.len(), 1);
    assert_eq!((spans[0].kind, spans[0].status), (SpanKind::Diagnostic(Service(0x22)), Status::Ok));
    assert_eq!((spans[0].start.ns, spans[0].duration_ns), (0, 1_602 * MS as u64), "to the last frame");
    assert_eq!((spans[0].id, spans[0].message, spans[0].parent), (REQUEST, 6, None));
    assert_eq!(lab.catalog.schema().messages[6].name, "UDS 7E0:7E8");

    lab.frame(0, &single(REQUEST, &[0x31, 1, 2, 3]), 2_000);
    lab.frame(0, &single(RESPONSE, &[0x7F, 0x31, 0x33]), 2_010);
    assert_eq!(lab.take()[0].status, Status::Error(Failure::Refused(Nrc(0x33))));
    lab.frame(0, &single(REQUEST, &[0x10, 3]), 3_000);
    lab.tick(4_001);
    assert_eq!(lab.take()[0].status, Status::Error(Failure::NoResponse));
    // A tester that wants no response gets none.
    lab.frame(0, &single(REQUEST, &[0x3E, 0x80]), 5_000);
    lab.tick(6_001);
    assert_eq!(lab.take().iter().map(|span| span.status).collect::<Vec<_>>(), [Status::Unset]);
    assert_eq!(lab.tracer.books().spans.quiet, 1);
}

#[test]
fn a_response_is_waited_for_from_the_requests_end() {
    let mut lab = lab(Some(1));
    lab.clock = ClockSource::Recorded;
    // A request of 20 bytes that takes 900 ms, as slow as a tester may be.
    let request = [&[0x2E, 0xF1, 0x90][..], &[b'V'; 17]].concat();
    for (at, frame) in segments(REQUEST, &request).iter().enumerate() {
        lab.frame(0, frame, 450 * at as i64);
    }
    lab.frame(0, &Frame::classic(PLAIN, &[0]).unwrap(), 1_100);
    lab.tick(1_100);
    assert_eq!(lab.tracer.waiting(), 1);
    lab.frame(0, &single(RESPONSE, &[0x6E, 0xF1, 0x90]), 1_200);
    let span = lab.take()[0];
    assert_eq!((span.start.ns, span.duration_ns, span.status), (0, 1_200 * MS as u64, Status::Ok));
}

#[test]
fn a_request_to_all_ends_with_the_first_response() {
    let mut lab = lab(Some(1));
    lab.frame(0, &single(TO_ALL, &[0x01, 0x0C]), 0);
    lab.frame(0, &single(RESPONSE, &[0x41, 0x0C, 1, 2]), 20);
    let span = lab.take()[0];
    assert_eq!((span.id, span.duration_ns, span.status), (TO_ALL, 20 * MS as u64, Status::Ok));
    let mut silent = self::lab(None);
    silent.frame(0, &single(TO_ALL, &[0x01, 0x0C]), 0);
    silent.frame(0, &single(RESPONSE, &[0x41, 0x0C, 1, 2]), 20);
    assert!(silent.take().is_empty(), "no trace, and no ids to begin one");
    assert_eq!(silent.tracer.books().spans.untraced, 1);
}

#[test]
fn messages_carry_contexts_behind_them_or_in_them() {
    let (request, other) = (CanId::Standard(0x700), CanId::Standard(0x701));
    let mut lab = lab(None);
    let with_trailer = |data: &[u8], id, context: &TraceContext| {
        let trailer = trailer::write(context, Envelope::IsoTp(id));
        segments(id, &[data, &trailer].concat())
    };
    let play = |lab: &mut Lab, frames: &[Frame]| {
        for frame in frames {
            lab.frame(0, frame, 0);
        }
    };
    play(&mut lab, &with_trailer(&[0x22, 1, 2], request, &context(3, 1)));
    play(&mut lab, &with_trailer(&[0x62, 1, 2, 0], other, &context(4, 1)));
    let span = lab.take()[0];
    assert_eq!((span.trace_id, span.parent, span.status), ([3; 16], Some([3; 8]), Status::Ok));
    assert_eq!(span.links.iter().copied().collect::<Vec<_>>(), [context(4, 1)]);
    // Neither request nor response: 0xC0 is nothing that UDS asks.
    play(&mut lab, &with_trailer(&[0xC0], request, &context(5, 1)));
    assert_eq!(lab.take()[0].kind, SpanKind::Message);
    // The other sender's trailer, one with a bit that was turned over, and one that came before.
    play(&mut lab, &segments(request, &trailer::write(&context(6, 1), Envelope::IsoTp(other))));
    let mut damaged = trailer::write(&context(6, 1), Envelope::IsoTp(request));
    damaged[3] ^= 1;
    play(&mut lab, &segments(request, &damaged));
    play(&mut lab, &with_trailer(&[0xC0], request, &context(5, 1)));
    assert!(lab.take().is_empty());
    let contexts = lab.tracer.books().contexts;
    assert_eq!((contexts.checksum, contexts.repeated, contexts.valid), (2, 1, 3));

    let at_offset = [&[0xC0, 0][..], &context(7, 1).write()].concat();
    play(&mut lab, &segments(CanId::Standard(0x702), &at_offset));
    play(&mut lab, &segments(CanId::Standard(0x702), &at_offset[..26]));
    assert_eq!(lab.take().iter().map(|span| span.trace_id[0]).collect::<Vec<_>>(), [7]);
    assert_eq!(lab.tracer.books().contexts.truncated, 1);
}
