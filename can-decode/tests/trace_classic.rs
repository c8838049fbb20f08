//! Contexts on classical CAN: lost, damaged, mixed, late, repeated and foreign frames.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::extract::Extractor;
use can_decode::trace::classic::{self, ClassicCounts, ClassicReader, Limits, SetupError, Target};
use can_decode::trace::{SpanIds, TraceContext, TraceFlags};
use can_decode::{ByteOrder, CanId, Frame};
use proptest::prelude::*;

const MS: i64 = 1_000_000;
const CONTEXT: CanId = CanId::Standard(0x6A0);
const OTHER_CONTEXT: CanId = CanId::Extended(0x18FF_0001);
/// Without an alive counter.
const PLAIN: CanId = CanId::Standard(0x120);
/// With an alive counter in the lower half of byte 1.
const COUNTED: CanId = CanId::Standard(0x121);
const OTHER: CanId = CanId::Extended(0x120);

type Reader = ClassicReader<4, 8>;

fn targets() -> [Target; 3] {
    let counter = Extractor::new(8, 4, ByteOrder::Intel, false);
    [
        Target { context_id: CONTEXT, tag: 0, id: PLAIN, counter: None },
        Target { context_id: CONTEXT, tag: 1, id: COUNTED, counter },
        Target { context_id: OTHER_CONTEXT, tag: 0, id: OTHER, counter: None },
    ]
}

fn reader() -> Reader {
    Reader::new(targets(), Limits::default()).unwrap()
}

fn context(number: u8) -> TraceContext {
    TraceContext::new([number; 16], [number; 8], TraceFlags::SAMPLED).unwrap()
}

fn frames(number: u8, target: usize, counter: u8) -> Vec<Frame> {
    let Target { context_id, tag, id, .. } = targets()[target];
    let payloads = classic::write(&context(number), id, tag, counter);
    payloads.iter().map(|payload| Frame::classic(context_id, payload).unwrap()).collect()
}

fn data(id: CanId, counter: u8) -> Frame {
    Frame::classic(id, &[0, counter]).unwrap()
}

/// What balances, whatever came.
fn balance(reader: &Reader) {
    let ClassicCounts { frames, malformed, strays, begun, complete, absent, .. } = *reader.counts();
    let counts = reader.counts();
    let ended = complete + absent + counts.damaged + counts.unknown + counts.interrupted + counts.timed_out;
    assert_eq!(begun, ended + reader.under_way() as u64, "{counts:?}");
    let gone = counts.carried + counts.replaced + counts.missed + counts.expired;
    assert_eq!(complete, gone + reader.waiting() as u64, "{counts:?}");
    assert!(frames >= malformed + strays + begun, "{counts:?}");
}

/// Plays frames of one moment; the context that came for the last one.
fn play(reader: &mut Reader, frames: &[Frame]) -> Option<TraceContext> {
    let mut last = None;
    for frame in frames {
        last = reader.take(frame, 0);
        balance(reader);
    }
    last
}

#[test]
fn the_frames_are_as_the_document_has_them() {
    let payloads = classic::write(&context(0xAB), PLAIN, 7, 0x1C);
    let heads = payloads.map(|payload| payload[0]);
    assert_eq!(heads, [0x0C, 0x1C, 0x2C, 0x3C]);
    let sealed: Vec<u8> = payloads.iter().flat_map(|payload| payload[1..].to_vec()).collect();
    assert_eq!(sealed[..24], [0xAB; 24]);
    assert_eq!(sealed[24..26], [1, 7]);
    // CRC-16/CCITT-FALSE over 'C', the identifier (bit 31: 29 bits), the counter, and the 26 bytes; worked out by hand.
    let covered = [b'C', 0, 0, 1, 0x20, 0x0C].into_iter().chain(sealed[..26].iter().copied());
    let crc =
        covered.fold(0xFFFF_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            })
        });
    assert_eq!(sealed[26..], crc.to_be_bytes());
}

#[test]
fn a_context_is_for_the_next_frame_of_its_message() {
    let mut reader = reader();
    let sequence = [frames(1, 0, 3), vec![data(PLAIN, 0)]].concat();
    assert_eq!(play(&mut reader, &sequence), Some(context(1)));
    assert_eq!(play(&mut reader, &[data(PLAIN, 0)]), None, "once");
    assert_eq!((reader.counts().carried, reader.waiting()), (1, 0));
}

#[test]
fn a_counted_message_has_the_context_of_its_counter() {
    let check = |seen: &[u8], expected: Option<u8>, why: &str| {
        let mut reader = reader();
        let sequence =
            [frames(2, 1, 5), seen.iter().map(|counter| data(COUNTED, *counter)).collect()].concat();
        assert_eq!(play(&mut reader, &sequence), expected.map(context), "{why}");
        reader
    };
    check(&[5], Some(2), "the very one");
    check(&[0xF5], Some(2), "the upper half is something else");
    check(&[3, 4, 5], Some(2), "frames that were sent before and overtaken");
    assert_eq!(check(&[6, 5], None, "its frame was lost").counts().missed, 1);
    assert_eq!(check(&[13], None, "far behind is ahead").counts().missed, 1);
    let mut reader = reader();
    let cut = Frame::classic(COUNTED, &[0]).unwrap();
    let sequence = [frames(2, 1, 5), vec![cut, Frame::remote(COUNTED, 2), data(COUNTED, 5)]].concat();
    assert_eq!(play(&mut reader, &sequence), Some(context(2)), "frames without a counter are not meant");
}

#[test]
fn senders_and_messages_may_interleave_and_quarters_of_two_contexts_may_not() {
    let mut reader = reader();
    let (plain, other) = (frames(1, 0, 0), frames(3, 2, 0));
    let mixed: Vec<Frame> = plain.iter().zip(&other).flat_map(|(a, b)| [*a, *b]).collect();
    play(&mut reader, &mixed);
    play(&mut reader, &frames(2, 1, 9));
    assert_eq!(reader.waiting(), 3);
    assert_eq!(play(&mut reader, &[data(OTHER, 0)]), Some(context(3)));
    assert_eq!(play(&mut reader, &[data(COUNTED, 9)]), Some(context(2)));
    assert_eq!(play(&mut reader, &[data(PLAIN, 0)]), Some(context(1)));

    // One sender's second context begins in the midst of its first: only the second one is whole.
    let (first, second) = (frames(4, 0, 1), frames(5, 0, 2));
    let cut_in = [&first[..2], &second[..], &first[2..]].concat();
    play(&mut reader, &cut_in);
    assert_eq!(play(&mut reader, &[data(PLAIN, 0)]), Some(context(5)));
    assert_eq!((reader.counts().interrupted, reader.counts().strays), (1, 2));

    // Two contexts, each with two frames lost: the counters differ.
    let (first, second) = (frames(6, 0, 7), frames(7, 0, 8));
    play(&mut reader, &[&first[..2], &second[2..]].concat());
    assert_eq!((reader.counts().interrupted, reader.counts().damaged), (2, 0));

    // Same counter, two contexts, each with two frames lost: the numbers fit, the checksum does not.
    let (first, second) = (frames(6, 0, 7), frames(7, 0, 7));
    play(&mut reader, &[&first[..2], &second[2..]].concat());
    assert_eq!((play(&mut reader, &[data(PLAIN, 0)]), reader.counts().damaged), (None, 1));
}

#[test]
fn lost_damaged_and_foreign_frames_leave_no_context() {
    let whole = frames(1, 0, 0);
    for lost in 0..4 {
        let mut reader = reader();
        let mut sequence = whole.clone();
        sequence.remove(lost);
        sequence.push(data(PLAIN, 0));
        assert_eq!(play(&mut reader, &sequence), None, "without frame {lost}");
    }
    for byte in 0..32 {
        let mut reader = reader();
        let mut sequence = whole.clone();
        let mut payload: [u8; 8] = sequence[byte / 8].data().try_into().unwrap();
        payload[byte % 8] ^= 0x40;
        sequence[byte / 8] = Frame::classic(CONTEXT, &payload).unwrap();
        sequence.push(data(PLAIN, 0));
        assert_eq!(play(&mut reader, &sequence), None, "byte {byte}");
    }
    let mut reader = reader();
    // For a message of this sender that is not configured; and another sender's frames under this identifier.
    let unknown = classic::write(&context(1), PLAIN, 9, 0);
    let foreign = classic::write(&context(1), OTHER, 0, 0);
    for payloads in [
        unknown,
        foreign,
        [[0; 8], [0x10, 0, 0, 0, 0, 0, 0, 0], [0x20, 0, 0, 0, 0, 0, 0, 0], [0x30, 0, 0, 0, 0, 0, 0, 0]],
    ] {
        let frames = payloads.map(|payload| Frame::classic(CONTEXT, &payload).unwrap());
        play(&mut reader, &frames);
    }
    let counts = reader.counts();
    assert_eq!((counts.unknown, counts.damaged, counts.absent, reader.waiting()), (1, 1, 1, 0));
    for odd in [&[][..], &[0; 7], &[0x40; 8], &[0xF0; 8]] {
        play(&mut reader, &[Frame::classic(CONTEXT, odd).unwrap()]);
    }
    assert_eq!(reader.counts().malformed, 4);
}

#[test]
fn what_waits_too_long_is_given_up() {
    let mut reader = reader();
    let whole = frames(1, 0, 0);
    reader.take(&whole[0], 0);
    reader.take(&whole[1], 101 * MS);
    assert_eq!((reader.counts().timed_out, reader.counts().strays), (1, 1));
    reader.take(&whole[0], 200 * MS);
    reader.take(&whole[1], 199 * MS);
    assert_eq!(reader.counts().timed_out, 2, "the clock was set back");
    whole.iter().for_each(|frame| assert_eq!(reader.take(frame, 1000 * MS), None));
    assert_eq!(reader.take(&data(PLAIN, 0), 1501 * MS), None);
    whole.iter().for_each(|frame| assert_eq!(reader.take(frame, 2000 * MS), None));
    assert_eq!(reader.take(&data(PLAIN, 0), 1999 * MS), None);
    assert_eq!(reader.counts().expired, 2);
    whole.iter().for_each(|frame| assert_eq!(reader.take(frame, i64::MIN), None));
    assert_eq!(reader.take(&data(PLAIN, 0), i64::MAX), None, "an overflow is long, too");
    whole.iter().for_each(|frame| assert_eq!(reader.take(frame, 3000 * MS), None));
    assert_eq!(reader.take(&data(PLAIN, 0), 3500 * MS), Some(context(1)));
    balance(&reader);
}

#[test]
fn setups_that_cannot_be_followed_are_refused() {
    let [plain, counted, other] = targets();
    let check = |targets: &[Target], expected| {
        assert_eq!(Reader::new(targets.iter().copied(), Limits::default()).err(), expected);
    };
    check(&[], None);
    check(&[plain, counted, other], None);
    check(&[plain, Target { tag: 1, ..plain }], Some(SetupError::Twice(PLAIN)));
    check(&[Target { id: CONTEXT, ..plain }], Some(SetupError::Twice(CONTEXT)));
    check(&[plain, Target { context_id: PLAIN, ..other }], Some(SetupError::Twice(PLAIN)));
    check(&[plain, Target { id: CONTEXT, ..other }], Some(SetupError::Twice(CONTEXT)));
    check(&[plain, Target { tag: 0, ..counted }], Some(SetupError::Tag(CONTEXT, 0)));
    let many: Vec<Target> =
        (0..9).map(|tag| Target { tag, id: CanId::Standard(tag.into()), ..plain }).collect();
    check(&many, Some(SetupError::TooMany(8)));
    let senders: Vec<Target> = (0..5)
        .map(|at| Target { context_id: CanId::Standard(at), id: CanId::Standard(0x100 + at), ..plain })
        .collect();
    check(&senders, Some(SetupError::TooMany(4)));
}

/// What happens to a frame on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Doubled,
    Damaged(u8),
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![12 => Just(Fate::Arrives), 1 => Just(Fate::Lost), 1 => Just(Fate::Doubled),
        1 => (0..64_u8).prop_map(Fate::Damaged)]
}

proptest! {
    /// A counted message's frames get their own context or none, whatever happens to up to 8 frames in a row.
    #[test]
    fn no_frame_gets_another_frames_context(fates in prop::collection::vec(any_fate(), 100..400)) {
        let mut reader = reader();
        let mut ids = SpanIds::new(1);
        let (mut fates, mut time_ns) = (fates.into_iter(), 0);
        'out: for number in 0..u8::MAX {
            let context = TraceContext::new([1; 16], ids.next_id(), TraceFlags(1)).unwrap();
            let payloads = classic::write(&context, COUNTED, 1, number);
            let frames = payloads.map(|payload| Frame::classic(CONTEXT, &payload).unwrap());
            for frame in frames.iter().chain([&data(COUNTED, number & 0xF)]) {
                time_ns += MS;
                let Some(fate) = fates.next() else { break 'out };
                let mut payload = frame.data().to_vec();
                let copies = match fate {
                    Fate::Arrives => 1,
                    Fate::Doubled => 2,
                    // A data frame with a damaged counter is another frame; what is on the bus has a checksum.
                    Fate::Damaged(bit) if payload.len() == 8 => {
                        payload[usize::from(bit / 8)] ^= 1 << (bit % 8);
                        1
                    }
                    Fate::Lost | Fate::Damaged(_) => 0,
                };
                for _ in 0..copies {
                    let carried = reader.take(&Frame::classic(frame.id(), &payload).unwrap(), time_ns);
                    balance(&reader);
                    if let Some(carried) = carried {
                        prop_assert_eq!(carried, context);
                    }
                }
            }
        }
    }

    #[test]
    fn any_frames_balance(
        frames in prop::collection::vec(
            (0..5_usize, prop::collection::vec(any::<u8>(), 0..=8), 0..4_u8, 0..3_u8, -20..120_i64), 0..200
        )
    ) {
        let mut reader = reader();
        let mut time_ns = 0_i64;
        for (id, mut payload, number, counter, wait_ms) in frames {
            // Mostly frames that could be of a context.
            if let Some(head) = payload.first_mut() {
                *head = number << 4 | counter;
            }
            time_ns += wait_ms * MS;
            let id = [CONTEXT, OTHER_CONTEXT, PLAIN, COUNTED, OTHER][id];
            reader.take(&Frame::classic(id, &payload).unwrap(), time_ns);
            balance(&reader);
        }
    }
}
