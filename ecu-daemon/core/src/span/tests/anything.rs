//! Whatever comes, on buses where everything is configured.

use can_decode::isotp::Channel;
use can_decode::trace::classic::{self, Target};
use can_decode::{Frame, Raw};
use proptest::prelude::*;

use super::*;

const CONTEXTS: CanId = CanId::Standard(0x6A0);
const TALKERS: [u16; 5] = [0x7E0, 0x7E8, 0x7DF, 0x700, 0x701];

fn lab() -> Lab {
    let conversation = |channel: &str, context| Conversation {
        channel: channel.parse::<Channel>().unwrap(),
        message: PLAIN_INDEX,
        context,
        expectation: Expectation { timeout_ns: 50 * MS, slow_ns: Some(0) },
    };
    let bus = BusSettings {
        classic: vec![Target { context_id: CONTEXTS, tag: 0, id: PLAIN, counter: None }],
        conversations: vec![
            conversation("7E0:7E8", Some(Place::Trailer)),
            conversation("7DF:*", None),
            conversation("700:701", Some(Place::Offset(1))),
        ],
        ..BusSettings::default()
    };
    let pair = |request, response, answers| Pair {
        request,
        response,
        key: None,
        failure: Some(FailureSignal { signal: 0, ok: Raw(0) }),
        answers,
        expectation: Expectation { timeout_ns: 50 * MS, slow_ns: None },
    };
    Lab::new(&Settings {
        buses: vec![bus.clone(), bus],
        pairs: vec![
            pair(ASK_INDEX, REPLY_INDEX, Answers::All),
            pair(REPLY_INDEX, PLAIN_INDEX, Answers::Oldest),
        ],
        attributes: vec![(ASK_INDEX, vec![0, 1]), (PLAIN_INDEX, vec![0])],
        waiting_max: 5,
        roots: Some(3),
        ..Settings::default()
    })
}

/// Frames of one kind: of messages, of contexts, of conversations, or of nothing in particular.
fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..=8);
    let context = (1..4_u8, 0..4_u8).prop_map(|(number, flags)| context(number, flags));
    let data = (prop::sample::select(&[ASK, REPLY][..]), any::<[u8; 2]>(), prop::option::of(context.clone()));
    let head = prop::sample::select(&[1_u8, 2, 3, 0x10, 0x21, 0x22, 0x30][..]);
    let service = prop::sample::select(&[0x22_u8, 0x3E, 0x62, 0x7E, 0x7F, 0xC0][..]);
    prop_oneof![
        4 => data.prop_map(|(id, signals, context)| vec![fd(id, signals, context)]),
        2 => (context, 0..16_u8).prop_map(|(context, counter)| {
            classic::write(&context, PLAIN, 0, counter)
                .map(|part| Frame::classic(CONTEXTS, &part).unwrap())
                .to_vec()
        }),
        4 => (prop::sample::select(&TALKERS[..]), head, service, any::<[u8; 6]>()).prop_map(
            |(id, head, service, rest)| {
                let payload = [&[head, service][..], &rest].concat();
                vec![Frame::classic(CanId::Standard(id), &payload).unwrap()]
            }
        ),
        1 => (prop::sample::select(&[PLAIN, ASK, REPLY, CONTEXTS][..]), bytes)
            .prop_map(|(id, payload)| vec![Frame::classic(id, &payload).unwrap()]),
    ]
}

proptest! {
    #[test]
    fn books_balance_and_spans_are_well_formed(
        steps in prop::collection::vec((any_frames(), 0..2_u16, -10..70_i64, 0..30_u8), 0..150)
    ) {
        let mut lab = lab();
        let mut ms = 0;
        for (frames, bus, wait, clock) in steps {
            ms += wait;
            lab.clock = match clock {
                0 => ClockSource::Recorded,
                1 => ClockSource::UserSpace,
                _ => ClockSource::Hardware,
            };
            for frame in &frames {
                lab.frame(bus, frame, ms);
            }
            if wait > 50 {
                lab.tick(ms);
            }
            prop_assert!(lab.tracer.waiting() <= 5);
        }
        lab.finish();
        let books = lab.tracer.books();
        prop_assert_eq!(books.sampling.kept_all(), lab.spans.len() as u64);
        for span in &lab.spans {
            prop_assert_ne!(span.trace_id, [0; 16]);
            prop_assert_ne!(span.parent, Some([0; 8]));
            let is_kept_by_flag = span.flags.sampled();
            let is_slow = matches!(span.kind, SpanKind::Diagnostic(_)) && span.status == Status::Ok;
            prop_assert!(is_kept_by_flag || is_slow || matches!(span.status, Status::Error(_)), "{:?}", span);
        }
    }
}
