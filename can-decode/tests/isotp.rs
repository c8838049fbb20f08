//! Properties of ISO-TP reassembly: what a sender segments comes out exactly, or its loss is noticed; whatever is on the
//! bus, nothing panics, the books balance and the bounds hold.
#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::isotp::{
    Abandon, Channel, Channels, Endpoint, Event, FlowSeen, Limits, Reassembler, SeparationTime,
};
use can_decode::uds::{ExchangeLimits, Exchanges};
use can_decode::{CanId, Frame, FrameFlags, RealtimeNanos};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// How a sender builds its frames.
#[derive(Clone, Copy, Debug)]
struct Sender {
    endpoint: Endpoint,
    /// Length of full frames: 8, or one of CAN-FD's.
    frame_len: usize,
    fd: bool,
    /// Whether short classical frames are filled up to 8 bytes.
    padded: bool,
}

impl Sender {
    /// The frames of `payload` as ISO 15765-2:2016 §9.6 has them; written apart from the code under test.
    fn segment(&self, payload: &[u8]) -> Vec<Frame> {
        let overhead = usize::from(self.endpoint.address.is_some());
        let len = payload.len();
        if len + 1 + overhead <= 8 {
            return vec![self.frame(&[len as u8], payload)];
        }
        if self.frame_len > 8 && len + 2 + overhead <= self.frame_len {
            return vec![self.frame(&[0, len as u8], payload)];
        }
        let mut control = vec![0x10 | (len >> 8) as u8, len as u8];
        if len > 4095 {
            control = [&[0x10, 0][..], &(len as u32).to_be_bytes()].concat();
        }
        let (head, rest) = payload.split_at(self.frame_len - overhead - control.len());
        let mut frames = vec![self.frame(&control, head)];
        for (number, content) in (1..).zip(rest.chunks(self.frame_len - overhead - 1)) {
            frames.push(self.frame(&[0x20 | (number % 16) as u8], content));
        }
        frames
    }

    fn frame(&self, control: &[u8], content: &[u8]) -> Frame {
        let mut bytes: Vec<u8> = self.endpoint.address.into_iter().collect();
        bytes.extend(control);
        bytes.extend(content);
        let len = bytes.len();
        let on_the_bus = match len {
            0..=8 if self.padded => 8,
            0..=8 => len,
            _ => [12, 16, 20, 24, 32, 48, 64].into_iter().find(|&fits| fits >= len).unwrap(),
        };
        bytes.resize(on_the_bus, 0xCC);
        let id = self.endpoint.id;
        if self.fd { Frame::fd(id, FrameFlags::BRS, &bytes) } else { Frame::classic(id, &bytes) }.unwrap()
    }
}

const PAIRS: [&str; 4] = ["6F1/12:612/F1", "6F1/40:640/F1", "18CE10F1/07:18CEF110/07", "00000001:001"];
const SENDERS: [&str; 10] =
    ["7E0", "7E8", "7E9", "18DA10F1", "18DAF110", "6F1/12", "6F1/40", "640/F1", "18CEF110/07", "00000001"];

fn channels() -> Channels {
    Channels::new(&PAIRS.map(|pair| pair.parse::<Channel>().unwrap()), true).unwrap()
}

fn sender() -> impl Strategy<Value = Sender> {
    let frame_len = prop_oneof![
        Just((8, false)),
        Just((8, true)),
        prop::sample::select(vec![12, 16, 20, 24, 32, 48, 64]).prop_map(|len| (len, true))
    ];
    (prop::sample::select(&SENDERS[..]), frame_len, any::<bool>()).prop_map(
        |(endpoint, (frame_len, fd), padded)| Sender {
            endpoint: endpoint.parse().unwrap(),
            frame_len,
            fd,
            padded,
        },
    )
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 1..80),
        1 => vec(any::<u8>(), 1..=4095),
        1 => vec(any::<u8>(), 4090..=5000),
    ]
}

fn books(listener: &Reassembler) -> Result<(), TestCaseError> {
    let counters = listener.counters();
    let frames = counters.single_frames
        + counters.first_frames
        + counters.consecutive_frames
        + counters.flow_controls
        + counters.ignored_total();
    prop_assert_eq!(counters.frames, frames);
    let ended = counters.messages - counters.single_frames + counters.abandoned_total();
    prop_assert_eq!(counters.first_frames, ended + listener.under_way() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn interleaved_messages_come_out_whole_and_in_order(
        streams in vec((sender(), vec(payload(), 1..4)), 1..6),
        order in vec(any::<(Index, u8)>(), 100),
    ) {
        let limits = Limits { message_bytes: 5000, ..Limits::default() };
        let mut listener = Reassembler::new(channels(), limits);
        // One stream for each endpoint; the last one counts.
        let mut queues: Vec<(Endpoint, Vec<Frame>, Vec<Vec<u8>>)> = Vec::new();
        for (sender, payloads) in streams {
            queues.retain(|(endpoint, ..)| *endpoint != sender.endpoint);
            let frames = payloads.iter().flat_map(|payload| sender.segment(payload)).rev().collect();
            queues.push((sender.endpoint, frames, payloads));
        }
        let mut got: Vec<(Endpoint, Vec<u8>)> = Vec::new();
        let mut abandoned = 0;
        let mut order = order.iter().cycle();
        let mut time = 0;
        while queues.iter().any(|(_, frames, _)| !frames.is_empty()) {
            let (index, noise) = order.next().unwrap();
            time += i64::from(*noise) * 1_000;
            // Runs of frames, so that neighbours of one message are at times together and at times apart.
            let queue = index.index(queues.len());
            let mut frames: Vec<Frame> = (0..=noise % 8).filter_map(|_| queues[queue].1.pop()).collect();
            frames.push(Frame::classic(CanId::Standard(0x100 + u16::from(*noise)), &[0x21, *noise]).unwrap());
            for frame in frames {
                listener.push(RealtimeNanos(time), &frame, |event| match event {
                    Event::Message(message) => got.push((message.route.sender, message.data.to_vec())),
                    Event::Abandoned(_) => abandoned += 1,
                });
            }
        }
        for (endpoint, _, payloads) in &queues {
            let of_stream: Vec<&Vec<u8>> =
                got.iter().filter(|(sender, _)| sender == endpoint).map(|(_, data)| data).collect();
            prop_assert_eq!(of_stream, payloads.iter().collect::<Vec<_>>());
        }
        prop_assert_eq!((abandoned, listener.counters().ignored_total()), (0, 0));
        books(&listener)?;
    }

    #[test]
    fn lost_double_and_reordered_frames_are_noticed(
        sender in sender(),
        payload in payload(),
        changes in vec((0..3_u8, any::<Index>(), 1..16_usize), 1..4),
    ) {
        let sent = sender.segment(&payload);
        let mut frames = sent.clone();
        for (change, index, distance) in changes {
            if frames.is_empty() {
                break;
            }
            let at = index.index(frames.len());
            match change {
                0 => drop(frames.drain(at..(at + distance).min(frames.len()))),
                1 => frames.insert(at, frames[at]),
                _ => {
                    let frame = frames.remove(at);
                    frames.insert((at + distance).min(frames.len()), frame);
                }
            }
        }
        let limits = Limits { message_bytes: 5000, ..Limits::default() };
        let mut listener = Reassembler::new(channels(), limits);
        let (mut messages, mut abandoned) = (Vec::new(), 0);
        let later = Frame::classic(CanId::Standard(1), &[]).unwrap();
        let stamped = frames.iter().zip(0..).chain([(&later, 10_000_000_000)]);
        for (frame, time) in stamped {
            listener.push(RealtimeNanos(time), frame, |event| match event {
                Event::Message(message) => messages.push(message.data.to_vec()),
                Event::Abandoned(_) => abandoned += 1,
            });
        }
        // Never another message; and what began and did not come out was told.
        prop_assert!(messages.iter().all(|message| *message == payload));
        let began = listener.counters().first_frames + listener.counters().single_frames;
        prop_assert_eq!(messages.len() as u64 + abandoned, began);
        prop_assert_eq!(listener.counters().abandoned_total(), abandoned);
        if frames == sent {
            prop_assert_eq!((messages.len(), abandoned), (1, 0));
        }
        books(&listener)?;
    }

    #[test]
    fn messages_beyond_the_bound_keep_their_head(sender in sender(), payload in payload(), bound in 1..200_u32) {
        let mut listener =
            Reassembler::new(channels(), Limits { message_bytes: bound, ..Limits::default() });
        let frames = sender.segment(&payload);
        let mut seen = 0;
        for frame in &frames {
            listener.push(RealtimeNanos(0), frame, |event| {
                let Event::Message(message) = event else { panic!("{event:?}") };
                seen += 1;
                let kept = if frames.len() == 1 { payload.len() } else { payload.len().min(bound as usize) };
                assert_eq!((message.len as usize, message.data), (payload.len(), &payload[..kept]));
                assert_eq!(message.is_truncated(), kept < payload.len());
            });
        }
        prop_assert_eq!(seen, 1);
        let cut = frames.len() > 1 && payload.len() > bound as usize;
        prop_assert_eq!(listener.counters().truncated, u64::from(cut));
    }
}

/// Frames as they could be on a bus that is broken or hostile, mostly on followed identifiers.
fn any_frame() -> impl Strategy<Value = Frame> {
    let id = prop_oneof![
        4 => prop::sample::select(&["7DF", "7E0", "7E8", "7E9", "7EA", "18DA10F1", "18DAF110", "6F1/12", "612/F1"][..])
            .prop_map(|text| text.parse::<Endpoint>().unwrap().id),
        1 => any::<u32>().prop_map(|id| CanId::Extended(id & CanId::EXTENDED_MAX)),
    ];
    let control = prop_oneof![
        prop::sample::select(vec![0x01, 0x07, 0x00, 0x10, 0x1F, 0x21, 0x22, 0x30, 0x31, 0x32, 0x12, 0xF1]),
        any::<u8>(),
    ];
    (id, vec(control, 0..4), vec(any::<u8>(), 64), 0..16_usize, 0..8_u8).prop_map(
        |(id, control, mut bytes, length, kind)| {
            bytes[..control.len()].copy_from_slice(&control);
            let fd_len = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64][length];
            match kind {
                0 => Frame::remote(id, length as u8),
                1 => Frame::error(id.raw(), [0; 8]),
                2 | 3 => Frame::fd(id, FrameFlags::default(), &bytes[..fd_len]).unwrap(),
                _ => Frame::classic(id, &bytes[..length.min(8)]).unwrap(),
            }
        },
    )
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..3_000_000_000_i64, 1 => any::<i64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_on_the_bus_the_books_balance_within_the_bounds(
        frames in vec((any_frame(), any_time()), 0..300),
        transfers in 0..4_u16,
    ) {
        const KEPT: u32 = 40;
        let mut listener = Reassembler::new(
            channels(),
            Limits { transfers, message_bytes: KEPT, ..Limits::default() },
        );
        let mut exchanges = Exchanges::new(ExchangeLimits { requests: 3, ..ExchangeLimits::default() });
        let (mut messages, mut abandoned) = (0, 0);
        for (frame, time) in &frames {
            listener.push(RealtimeNanos(*time), frame, |event| match event {
                Event::Message(message) => {
                    messages += 1;
                    // A single frame of CAN-FD has up to 62 bytes, which nobody has to keep.
                    let bound = if message.frames == 1 { 62 } else { KEPT as usize };
                    assert!(!message.data.is_empty() && message.data.len() <= bound, "{message:?}");
                    exchanges.take(&message);
                }
                Event::Abandoned(lost) => {
                    abandoned += 1;
                    assert!(lost.received < lost.len && lost.data.len() <= KEPT as usize, "{lost:?}");
                }
            });
            prop_assert!(listener.under_way() <= usize::from(transfers.max(1)));
            prop_assert!(exchanges.waiting() <= 3);
        }
        books(&listener)?;
        listener.finish(|_| abandoned += 1);
        books(&listener)?;
        let counters = listener.counters();
        prop_assert_eq!((counters.messages, counters.abandoned_total()), (messages, abandoned));
        prop_assert_eq!(listener.under_way(), 0);

        let counters = exchanges.counters();
        let fates = counters.answered + counters.unanswered + counters.quiet + counters.repeated + counters.displaced;
        prop_assert_eq!(counters.requests, fates + exchanges.waiting() as u64);
        let kinds = counters.requests + counters.positive + counters.negative + counters.pending;
        prop_assert_eq!(messages, kinds + counters.unrecognised);
    }
}

/// Where a sequence number of 4 bits ends: the loss of exactly 16 frames looks like none, but the message stays short.
#[test]
fn the_loss_of_sixteen_frames_ends_as_a_message_without_end() {
    let sender = Sender { endpoint: "7E8".parse().unwrap(), frame_len: 8, fd: false, padded: true };
    let mut frames = sender.segment(&[0xAB; 300]);
    frames.drain(5..21);
    let mut listener = Reassembler::new(channels(), Limits::default());
    let mut reasons = Vec::new();
    for frame in &frames {
        listener.push(RealtimeNanos(0), frame, |event| panic!("{event:?}"));
    }
    listener.expire(RealtimeNanos(1_000_000_000), |event| panic!("not yet: {event:?}"));
    listener.expire(RealtimeNanos(1_000_000_001), |event| {
        if let Event::Abandoned(abandoned) = event {
            reasons.push((abandoned.reason, abandoned.received));
        }
    });
    assert_eq!(reasons, [(Abandon::TimedOut, 300 - 16 * 7)]);
}

/// A receiver that asks for blocks and pauses, and one that refuses.
#[test]
fn flow_control_belongs_to_the_other_direction() {
    let sender = Sender { endpoint: "18DAF110".parse().unwrap(), frame_len: 64, fd: true, padded: true };
    let tester = Sender { endpoint: "18DA10F1".parse().unwrap(), ..sender };
    let frames = sender.segment(&[1; 400]);
    let mut listener = Reassembler::new(channels(), Limits::default());
    let mut flows = Vec::new();
    for (frame, time) in frames.iter().zip(0..) {
        listener.push(RealtimeNanos(time), frame, |event| {
            let Event::Message(message) = event else { panic!("{event:?}") };
            flows.push(message.flow);
        });
        listener.push(RealtimeNanos(time), &tester.frame(&[0x30, 1, 0xF3], &[]), |event| panic!("{event:?}"));
    }
    // The last one came when the message was complete.
    let continues = frames.len() as u32 - 1;
    let flow = FlowSeen { continues, waits: 0, block_size: 1, separation: SeparationTime(0xF3) };
    assert_eq!(flows, [flow]);
    assert_eq!(flow.separation.micros(), 300);
    assert_eq!(listener.counters().ignored_total(), 1);
}
