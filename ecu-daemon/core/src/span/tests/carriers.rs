//! Contexts in frames and in context frames; what bad ones do.

use can_decode::trace::classic::{self, Target};
use can_decode::trace::{ContextCounts, Threshold};
use can_decode::{Frame, Raw};

use super::*;

const CONTEXTS: CanId = CanId::Standard(0x6A0);

fn context_frames(context: &TraceContext) -> [Frame; 4] {
    classic::write(context, PLAIN, 0, 0).map(|payload| Frame::classic(CONTEXTS, &payload).unwrap())
}

fn classic_settings() -> Settings {
    let target = Target { context_id: CONTEXTS, tag: 0, id: PLAIN, counter: None };
    let bus = BusSettings { classic: vec![target], ..BusSettings::default() };
    Settings { buses: vec![bus], ..Settings::default() }
}

#[test]
fn a_frame_with_a_context_is_a_span_with_all_that_is_known() {
    let settings = Settings { attributes: vec![(ASK_INDEX, vec![1, 0])], ..Settings::default() };
    let mut lab = Lab::new(&settings);
    assert_eq!(lab.frame(1, &fd(ASK, [7, 8], Some(context(1, 3))), 5), None);
    let without = Lab::new(&Settings::default()).frame(0, &fd(ASK, [7, 8], None), 5);
    assert_eq!(without, None, "an untraced frame is no mistake");
    // The attributes are of the first bus's message; the frame was on the other one.
    let stamp = Stamp { ns: 5 * MS, clock: ClockSource::Hardware };
    let expected = Span::of(&context(1, 3), stamp, BusIndex(1), ASK, 3);
    assert_eq!(lab.take(), [expected]);
    lab.frame(0, &fd(ASK, [7, 8], Some(context(2, 1))), 6);
    let span = lab.take()[0];
    assert_eq!(span.attributes, [Some((1, Raw(8))), Some((0, Raw(7))), None, None]);
    assert_eq!((span.parent, span.kind, span.status), (Some([2; 8]), SpanKind::Frame, Status::Unset));
    assert_eq!(span.context(), Some(context(2, 1)));
}

#[test]
fn bad_contexts_are_counted_and_make_no_span() {
    let mut lab = Lab::new(&Settings::default());
    let zero_trace = TraceContext { trace_id: [0; 16], ..context(1, 1) };
    let zero_span = TraceContext { span_id: [0; 8], ..context(1, 1) };
    let cut = Frame::fd(ASK, FrameFlags::BRS, &[1; 24]).unwrap();
    assert_eq!(lab.frame(0, &fd(ASK, [0, 0], Some(zero_trace)), 0), Some(TraceError::ZeroTraceId));
    assert_eq!(lab.frame(0, &fd(ASK, [0, 0], Some(zero_span)), 0), Some(TraceError::ZeroSpanId));
    assert_eq!(lab.frame(0, &cut, 0), Some(TraceError::Truncated(20)));
    assert_eq!(lab.frame(0, &fd(ASK, [0, 0], None), 0), None);
    assert!(lab.take().is_empty());
    // Again and again the same one: one span for each message that has it, and for each bus.
    for _ in 0..3 {
        for (bus, id) in [(0, ASK), (0, REPLY), (1, ASK)] {
            assert_eq!(lab.frame(bus, &fd(id, [0, 0], Some(context(9, 1))), 0), None);
        }
    }
    assert_eq!(lab.take().len(), 3);
    let expected = ContextCounts {
        valid: 3,
        absent: 1,
        truncated: 1,
        zero_ids: 2,
        repeated: 6,
        ..ContextCounts::default()
    };
    assert_eq!(lab.tracer.books().contexts, expected);
}

#[test]
fn an_offset_of_the_configuration_goes_before_the_databases() {
    let settings = Settings { offsets: vec![(ASK_INDEX, 6), (PLAIN_INDEX, 0)], ..Settings::default() };
    let mut lab = Lab::new(&settings);
    let mut bytes = [0; 32];
    payload::write(&mut bytes, 6, &context(4, 1)).unwrap();
    lab.frame(0, &Frame::fd(ASK, FrameFlags::BRS, &bytes).unwrap(), 0);
    assert_eq!(lab.take()[0].trace_id, [4; 16]);
    assert_eq!(lab.frame(0, &Frame::classic(PLAIN, &[1; 8]).unwrap(), 0), Some(TraceError::Truncated(8)));
}

#[test]
fn a_classical_frame_gets_the_context_that_came_before_it() {
    let mut lab = Lab::new(&classic_settings());
    let plain = Frame::classic(PLAIN, &[1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    for frame in context_frames(&context(5, 1)) {
        lab.frame(0, &frame, 0);
        lab.frame(1, &frame, 0);
    }
    lab.frame(1, &plain, 1);
    assert!(lab.take().is_empty(), "the other bus has no context frames");
    lab.frame(0, &plain, 1);
    lab.frame(0, &plain, 2);
    let spans = lab.take();
    assert_eq!((spans.len(), spans[0].trace_id, spans[0].start.ns), (1, [5; 16], MS));
    assert_eq!((spans[0].message, spans[0].id), (PLAIN_INDEX as u32, PLAIN));
    // Played again from a recording: the four frames are whole, and the context is known.
    for frame in context_frames(&context(5, 1)) {
        lab.frame(0, &frame, 3);
    }
    lab.frame(0, &plain, 3);
    assert!(lab.take().is_empty());
    assert_eq!(lab.tracer.books().contexts.repeated, 1);
    assert_eq!(
        lab.tracer.carriers(0).map(|books| (books.classic.complete, books.classic.carried)),
        Some((2, 2))
    );
    assert_eq!(lab.tracer.carriers(1), None);
}

#[test]
fn flags_ratio_and_limit_decide_and_are_counted() {
    let sampling = Sampling { ratio: Threshold::from_ratio(0.5).unwrap(), spans_per_second: Some(2) };
    let mut lab = Lab::new(&Settings { sampling, ..Settings::default() });
    // The last seven bytes decide: 0x80 and up are kept.
    for (number, flags) in [(0x80, 1), (0x81, 0), (0x7F, 1), (0xFF, 3), (0x90, 1)] {
        lab.frame(0, &fd(ASK, [0, 0], Some(context(number, flags))), 0);
    }
    let kept: Vec<u8> = lab.take().iter().map(|span| span.trace_id[0]).collect();
    assert_eq!(kept, [0x80, 0xFF]);
    let expected =
        SamplingBooks { kept: 2, unsampled: 1, by_ratio: 1, by_limit: 1, ..SamplingBooks::default() };
    assert_eq!(lab.tracer.books().sampling, expected);
}

#[test]
fn settings_that_name_what_is_not_there_are_refused() {
    let check = |settings: Settings, expected: &str| {
        let error = Tracer::new(&settings, &catalog()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let pair = Pair {
        request: ASK_INDEX,
        response: REPLY_INDEX,
        key: None,
        failure: None,
        answers: Answers::Oldest,
        expectation: Expectation::default(),
    };
    let pairs = |pair: Pair| Settings { pairs: vec![pair], ..Settings::default() };
    check(pairs(Pair { request: 6, ..pair.clone() }), "message 6");
    check(pairs(Pair { response: 99, ..pair.clone() }), "message 99");
    check(
        pairs(Pair { key: Some((0, 2)), ..pair.clone() }),
        "message 1 of the tracing settings has no signal 2",
    );
    let failure = Some(FailureSignal { signal: 7, ok: Raw(0) });
    check(pairs(Pair { failure, ..pair }), "message 1 of the tracing settings has no signal 7");
    check(Settings { offsets: vec![(0, 40)], ..Settings::default() }, "the trace context of message 0");
    check(Settings { offsets: vec![(6, 0)], ..Settings::default() }, "message 6");
    check(Settings { attributes: vec![(0, vec![2])], ..Settings::default() }, "message 0");
    let target = classic_settings().buses[0].classic[0];
    let twice = BusSettings { classic: vec![target, target], ..BusSettings::default() };
    check(
        Settings { buses: vec![twice], ..Settings::default() },
        "context frames of bus 0: 102 is named twice",
    );
}
