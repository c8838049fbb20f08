//! Requests and responses that are frames.

use can_decode::Raw;
use proptest::prelude::*;

use super::*;

fn pair() -> Pair {
    Pair {
        request: ASK_INDEX,
        response: REPLY_INDEX,
        key: Some((0, 0)),
        failure: Some(FailureSignal { signal: 1, ok: Raw(0) }),
        answers: Answers::Oldest,
        expectation: Expectation { timeout_ns: 100 * MS, slow_ns: Some(50 * MS as u64) },
    }
}

fn lab(pair: Pair) -> Lab {
    Lab::new(&Settings { pairs: vec![pair], waiting_max: 4, ..Settings::default() })
}

fn ask(number: u8, trace: u8) -> Frame {
    fd(ASK, [number, 0], Some(context(trace, 1)))
}

fn reply(number: u8, result: u8) -> Frame {
    fd(REPLY, [number, result], None)
}

#[test]
fn a_request_and_its_response_are_one_span() {
    let mut lab = lab(pair());
    lab.frame(0, &ask(1, 0x11), 10);
    lab.frame(0, &ask(2, 0x12), 11);
    lab.frame(0, &reply(3, 0), 12);
    assert!(lab.take().is_empty(), "nothing has ended");
    lab.frame(0, &fd(REPLY, [2, 0], Some(context(0x99, 1))), 31);
    lab.frame(0, &reply(1, 4), 33);
    let spans = lab.take();
    let ends: Vec<_> =
        spans.iter().map(|span| (span.trace_id[0], span.start.ns / MS, span.duration_ns)).collect();
    assert_eq!(ends, [(0x12, 11, 20 * MS as u64), (0x11, 10, 23 * MS as u64)]);
    assert_eq!(spans[0].status, Status::Ok);
    assert_eq!(spans[1].status, Status::Error(Failure::Reported(Raw(4))));
    assert_eq!((spans[0].message, spans[0].kind, spans[0].parent), (0, SpanKind::Exchange, Some([0x12; 8])));
    let links: Vec<_> = spans[0].links.iter().copied().collect();
    assert_eq!(links, [context(0x99, 1)], "the response's own context");
    let books = lab.tracer.books();
    assert_eq!((books.spans.answered, books.spans.unsolicited), (2, 1));
    assert_eq!((books.sampling.kept, books.sampling.kept_failed), (1, 1));
}

#[test]
fn a_missing_response_is_an_error_and_a_late_one_is_unsolicited() {
    for clock in [ClockSource::Hardware, ClockSource::Recorded] {
        let mut lab = lab(pair());
        lab.clock = clock;
        // Its sender did not sample it; failures are kept all the same.
        lab.frame(0, &fd(ASK, [1, 0], Some(context(1, 0))), 0);
        lab.tick(100);
        assert!(lab.take().is_empty());
        // A recording's time goes on with its frames only.
        lab.frame(0, &Frame::classic(PLAIN, &[0; 8]).unwrap(), 101);
        lab.tick(101);
        let spans = lab.take();
        assert_eq!(spans.len(), 1, "{clock:?}");
        assert_eq!(spans[0].status, Status::Error(Failure::NoResponse));
        assert_eq!(spans[0].duration_ns, 101 * MS as u64);
        lab.frame(0, &reply(1, 0), 102);
        lab.frame(0, &fd(REPLY, [1, 0], Some(context(2, 1))), 103);
        assert_eq!(lab.tracer.waiting(), 0);
        assert_eq!(lab.take().iter().map(|span| span.kind).collect::<Vec<_>>(), [SpanKind::Frame]);
        assert_eq!(lab.tracer.books().spans.unsolicited, 2);
        assert_eq!(lab.tracer.books().sampling.kept_failed, 1);
    }
}

#[test]
fn a_late_response_does_not_wait_for_a_tick() {
    let mut lab = lab(pair());
    lab.frame(0, &ask(1, 1), 0);
    lab.frame(0, &reply(1, 0), 101);
    assert_eq!(lab.take()[0].status, Status::Error(Failure::NoResponse));
    assert_eq!(lab.tracer.books().spans.unsolicited, 1);
}

#[test]
fn a_clock_that_is_set_does_not_end_requests() {
    let mut lab = lab(pair());
    lab.frame(0, &ask(1, 1), 0);
    // The stamps leap by an hour, the arrivals do not; then they are of another clock.
    let record = |ns, clock, frame| FrameRecord {
        bus: BusIndex(0),
        stamp: Stamp { ns, clock },
        frame,
        follows_loss: false,
    };
    let leap = record(3_600_000 * MS, ClockSource::Hardware, Frame::classic(PLAIN, &[0]).unwrap());
    lab.tracer.carry(&leap, BootNanos(MS), &mut |_| {});
    lab.tick(2);
    assert_eq!(lab.tracer.waiting(), 1);
    lab.clock = ClockSource::UserSpace;
    lab.frame(0, &reply(1, 0), 30);
    let span = lab.take()[0];
    assert_eq!((span.status, span.duration_ns), (Status::Ok, 30 * MS as u64), "by the arrivals");
}

#[test]
fn slow_ones_are_kept_though_not_sampled() {
    let mut lab = lab(pair());
    for (number, wait) in [(1, 49), (2, 50)] {
        lab.frame(0, &fd(ASK, [number, 0], Some(context(number, 0))), 0);
        lab.frame(0, &reply(number, 0), wait);
    }
    assert_eq!(lab.take().iter().map(|span| span.trace_id[0]).collect::<Vec<_>>(), [2]);
    let books = lab.tracer.books().sampling;
    assert_eq!((books.unsampled, books.kept_slow), (1, 1));
}

#[test]
fn a_response_to_all_links_what_it_answers() {
    let all = Pair { answers: Answers::All, key: None, ..pair() };
    let mut lab = Lab::new(&Settings { pairs: vec![all], ..Settings::default() });
    (1..=7).for_each(|number| {
        lab.frame(0, &ask(number, number), i64::from(number));
    });
    lab.frame(0, &reply(0, 0), 10);
    let spans = lab.take();
    assert_eq!(spans.iter().map(|span| span.trace_id[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    let links = |span: &Span| span.links.iter().map(|context| context.trace_id[0]).collect::<Vec<_>>();
    assert_eq!(links(&spans[0]), [2, 3, 4]);
    assert_eq!(links(&spans[6]), [1, 2, 3, 4]);
    assert_eq!((spans[0].links.cut, spans[6].links.cut), (3, 3));
    assert_eq!(lab.tracer.books().spans.links_cut, 21);
    // The oldest alone, where it is so configured.
    let mut lab = self::lab(Pair { key: None, ..pair() });
    lab.frame(0, &ask(1, 1), 0);
    lab.frame(0, &ask(2, 2), 1);
    lab.frame(0, &reply(0, 0), 2);
    assert_eq!((lab.take()[0].trace_id[0], lab.tracer.waiting()), (1, 1));
}

#[test]
fn what_waits_is_bounded_and_ends_with_the_engine() {
    let mut lab = lab(pair());
    for number in 1..=6 {
        lab.frame(0, &ask(number, number), 0);
    }
    assert_eq!((lab.tracer.waiting(), lab.tracer.books().spans.displaced), (4, 2));
    assert!(lab.take().iter().all(|span| (span.status, span.duration_ns) == (Status::Unset, 0)));
    lab.finish();
    assert_eq!((lab.take().len(), lab.tracer.books().spans.ended), (4, 4));
}

#[test]
fn requests_of_no_trace_begin_one_where_ids_can_be_made() {
    let asks = fd(ASK, [1, 0], None);
    let mut lab = lab(pair());
    lab.frame(0, &asks, 0);
    assert_eq!((lab.tracer.waiting(), lab.tracer.books().spans.untraced), (0, 1));
    let mut lab = Lab::new(&Settings { pairs: vec![pair()], roots: Some(7), ..Settings::default() });
    for ms in [0, 10] {
        lab.frame(0, &asks, ms);
        lab.frame(0, &reply(1, 0), ms + 1);
    }
    let spans = lab.take();
    assert_eq!((spans[0].parent, spans[0].flags.0, spans[0].status), (None, 3, Status::Ok));
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
}

#[test]
fn frames_without_their_key_and_chains_of_pairs() {
    let mut lab = lab(pair());
    lab.frame(0, &Frame::classic(ASK, &[]).unwrap(), 0);
    lab.frame(0, &Frame::classic(REPLY, &[]).unwrap(), 0);
    assert_eq!(lab.tracer.books().spans.unkeyed, 2);
    // What answers on the first bus asks on the second one: two spans, of which the second begins where the first ends.
    let further = Pair { request: REPLY_INDEX, response: REPLY_INDEX + 3, failure: None, ..pair() };
    let mut lab = Lab::new(&Settings { pairs: vec![pair(), further], ..Settings::default() });
    lab.frame(0, &ask(1, 1), 0);
    lab.frame(0, &fd(REPLY, [1, 0], Some(context(2, 1))), 5);
    lab.frame(1, &reply(1, 0), 9);
    let spans: Vec<_> =
        lab.take().iter().map(|span| (span.message, span.start.ns / MS, span.duration_ns)).collect();
    assert_eq!(spans, [(0, 0, 5 * MS as u64), (1, 5, 4 * MS as u64)]);
}

proptest! {
    /// Whatever comes: every request has one end, and every span one decision.
    #[test]
    fn requests_have_one_end(
        steps in prop::collection::vec((0..4_u8, 0..4_u8, 0..3_u8, 0..60_i64), 0..200), all: bool, keyed: bool
    ) {
        let answers = if all { Answers::All } else { Answers::Oldest };
        let key = keyed.then_some((0, 0));
        let mut lab = lab(Pair { key, answers, ..pair() });
        let (mut ms, mut trace) = (0, 0_u64);
        for (kind, number, flags, wait) in steps {
            ms += wait;
            trace += 1;
            let mut context = context(1, flags);
            context.trace_id[..8].copy_from_slice(&trace.to_be_bytes());
            match kind {
                0 => drop(lab.frame(0, &fd(ASK, [number, 0], Some(context)), ms)),
                1 => drop(lab.frame(0, &fd(REPLY, [number, flags / 2], Some(context)), ms)),
                2 => drop(lab.frame(0, &reply(number, 0), ms)),
                _ => lab.tick(ms),
            }
        }
        lab.finish();
        let books = lab.tracer.books();
        prop_assert_eq!(lab.tracer.waiting(), 0);
        prop_assert_eq!(books.sampling.kept_all(), lab.spans.len() as u64);
        let failed = lab.spans.iter().filter(|span| matches!(span.status, Status::Error(_))).count();
        prop_assert_eq!(books.sampling.kept_failed, failed as u64);
        prop_assert!(lab.spans.iter().all(|span| span.links.iter().all(|link| Some(*link) != span.context())));
    }
}

#[test]
fn a_request_on_a_silent_bus_took_as_long_as_it_was_waited_for() {
    let mut lab = lab(pair());
    lab.frame(0, &ask(1, 1), 0);
    lab.tick(150);
    let spans = lab.take();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].duration_ns, 150 * MS as u64);
}
