use super::*;
use crate::candump::parse_line;
use crate::isotp::{Channels, Event, Limits, Reassembler};
use crate::uds::Kind;

/// Both layers of one bus.
struct Bus {
    reassembler: Reassembler,
    exchanges: Exchanges,
}

impl Bus {
    fn new(requests: u16) -> Self {
        Self {
            reassembler: Reassembler::new(Channels::legislated(), Limits::default()),
            exchanges: Exchanges::new(ExchangeLimits { requests, ..ExchangeLimits::default() }),
        }
    }

    /// Feeds lines of `milliseconds frame`; a text for every message: sender, kind, and what it answers.
    fn run(&mut self, lines: &[&str]) -> Vec<String> {
        let mut texts = Vec::new();
        for line in lines {
            let (millis, frame) = line.split_once(' ').unwrap();
            let time = RealtimeNanos(millis.parse::<i64>().unwrap() * 1_000_000);
            let line = format!("(0.0) can0 {frame}");
            let frame = parse_line(&line).unwrap_or_else(|error| panic!("{line}: {error}")).frame;
            self.reassembler.push(time, &frame, |event| {
                let Event::Message(message) = event else { panic!("{event:?}") };
                let diagnostic = self.exchanges.take(&message);
                texts.push(format!("{} {}", message.route.sender, text(&diagnostic)));
            });
        }
        let counters = self.exchanges.counters();
        let fates = counters.answered
            + counters.unanswered
            + counters.quiet
            + counters.repeated
            + counters.displaced
            + self.exchanges.waiting() as u64;
        assert_eq!(counters.requests, fates, "{counters:?}");
        texts
    }
}

fn text(diagnostic: &Diagnostic<'_>) -> String {
    let kind = match diagnostic.pdu.kind {
        Kind::Request => return String::from("asks"),
        Kind::Positive => String::from("yes"),
        Kind::Negative(code) => String::from(code.name().unwrap_or("no")),
        Kind::Unrecognised => return String::from("?"),
    };
    let Some(answer) = diagnostic.answer else { return format!("{kind} to nobody") };
    let request =
        answer.request.bytes().iter().fold(String::new(), |text, byte| text + &format!("{byte:02X}"));
    let latency = answer.latency_ns.map_or(String::from("?"), |ns| format!("{} ms", ns / 1_000_000));
    let functional = if answer.functional { " of all" } else { "" };
    let pending = if answer.pending > 0 { format!(" pending {}", answer.pending) } else { String::new() };
    format!("{kind} to {request}{functional} after {latency}{pending}")
}

fn check(name: &str, lines: &[&str], expected: &[&str]) {
    assert_eq!(Bus::new(32).run(lines), expected, "{name}");
}

#[test]
fn latency_is_from_the_end_of_the_request_to_the_start_of_the_response() {
    check(
        "one frame each",
        &["0 7E0#0322F190", "12 7E8#0462F19031"],
        &["7E0 asks", "7E8 yes to 22F190 after 12 ms"],
    );
    check(
        "several frames each",
        &[
            "0 7E0#100A2EF190010203",
            "1 7E8#300000",
            "5 7E0#2104050607",
            "30 7E8#100A6EF190010203",
            "90 7E8#2104050607",
        ],
        &["7E0 asks", "7E8 yes to 2EF19001020304050607 after 25 ms"],
    );
    check(
        "refused",
        &["0 7E0#022701", "9 7E8#037F2737"],
        &["7E0 asks", "7E8 RequiredTimeDelayNotExpired to 2701 after 9 ms"],
    );
    check("clock set back", &["100 7E0#023E00", "50 7E8#027E00"], &["7E0 asks", "7E8 yes to 3E00 after ?"]);
    check(
        "29 bits",
        &["0 18DA10F1#023E00", "7 18DAF110#027E00"],
        &["18DA10F1 asks", "18DAF110 yes to 3E00 after 7 ms"],
    );
}

#[test]
fn response_pending_is_not_the_end() {
    check(
        "pending twice, then positive",
        &[
            "0 7E0#043101FF00",
            "40 7E8#037F3178",
            "4040 7E8#037F3178",
            "13000 7E8#047101FF00",
            "13001 7E8#047101FF00",
        ],
        &[
            "7E0 asks",
            "7E8 RequestCorrectlyReceivedResponsePending to 3101FF00 after 40 ms pending 1",
            "7E8 RequestCorrectlyReceivedResponsePending to 3101FF00 after 4040 ms pending 2",
            "7E8 yes to 3101FF00 after 13000 ms pending 2",
            "7E8 yes to nobody",
        ],
    );
    let mut bus = Bus::new(32);
    bus.run(&["0 7E0#043101FF00", "40 7E8#037F3178", "11000 7E0#023E00"]);
    assert_eq!((bus.exchanges.counters().unanswered, bus.exchanges.counters().pending), (1, 1));
}

#[test]
fn all_ecus_may_answer_a_functional_request() {
    let lines = [
        "0 7DF#02010C",
        "5 7E8#04410C1AF8",
        "6 7E9#037F0178",
        "7 7EA#037F0112",
        "8 18DAF110#04410C1AF8",
        "400 7E9#037F0178",
        "900 7E9#04410C1AF8",
        "910 7EB#03410D00",
        "11000 7E8#04410C1AF8",
    ];
    let mut bus = Bus::new(32);
    let expected = [
        "7DF asks",
        "7E8 yes to 010C of all after 5 ms",
        "7E9 RequestCorrectlyReceivedResponsePending to 010C of all after 6 ms pending 1",
        "7EA SubFunctionNotSupported to 010C of all after 7 ms",
        "18DAF110 yes to nobody",
        "7E9 RequestCorrectlyReceivedResponsePending to 010C of all after 400 ms pending 2",
        "7E9 yes to 010C of all after 900 ms pending 2",
        "7EB yes to nobody",
    ];
    assert_eq!(bus.run(&lines[..8]), expected);
    assert_eq!(bus.exchanges.waiting(), 1);
    assert_eq!(bus.run(&lines[8..]), ["7E8 yes to nobody"]);
    let counters = *bus.exchanges.counters();
    assert_eq!((counters.requests, counters.answered, counters.unsolicited), (1, 1, 3));
    assert_eq!((counters.positive, counters.negative, counters.pending, counters.unfinished), (5, 1, 2, 0));
    // Who asked for time and then said nothing.
    bus.run(&["20000 7DF#02010C", "20001 7E9#037F0178", "40000 7E8#03410C00"]);
    assert_eq!((bus.exchanges.counters().unfinished, bus.exchanges.counters().answered), (1, 2));
}

#[test]
fn a_response_to_something_else_is_not_taken() {
    for (name, response) in [
        ("another service", "7E8#027E00"),
        ("another identifier", "7E8#0462F18C31"),
        ("another ECU", "7E9#0462F19031"),
        ("a refusal of another service", "7E8#037F1011"),
    ] {
        let mut bus = Bus::new(32);
        let texts = bus.run(&["0 7E0#0322F190", &format!("5 {response}"), "9 7E8#0462F19031"]);
        assert!(texts[1].ends_with("to nobody"), "{name}: {texts:?}");
        assert_eq!(texts[2], "7E8 yes to 22F190 after 9 ms", "{name}");
    }
    check(
        "another sub-function",
        &["0 7E0#022701", "5 7E8#036703AA", "6 7E8#036701AA"],
        &["7E0 asks", "7E8 yes to nobody", "7E8 yes to 2701 after 6 ms"],
    );
    // Several identifiers: the ECU may leave out those it does not have.
    check(
        "second of two",
        &["0 7E0#0522F190F18C", "5 7E8#0462F18C31"],
        &["7E0 asks", "7E8 yes to 22F190F18C after 5 ms"],
    );
    // KWP2000's response to tester present repeats nothing.
    check("nothing repeated", &["0 7E0#023E01", "5 7E8#017E"], &["7E0 asks", "7E8 yes to 3E01 after 5 ms"]);
    check("neither", &["0 7E0#0162", "5 7E8#0122"], &["7E0 ?", "7E8 ?"]);
}

#[test]
fn every_request_has_one_fate() {
    type Case<'a> = (&'a str, &'a [&'a str], fn(&ExchangeCounters) -> u64);
    let cases: [Case<'_>; 5] = [
        ("answered", &["0 7E0#0322F190", "1 7E8#0462F19031"], |counters| counters.answered),
        ("unanswered", &["0 7E0#0322F190", "10001 7E1#023E80"], |counters| counters.unanswered),
        ("quiet", &["0 7E0#023E80", "10001 7E1#0322F190"], |counters| counters.quiet),
        ("quiet but refused", &["0 7E0#023E80", "1 7E8#037F3E12"], |counters| counters.answered),
        ("repeated", &["0 7E0#0322F190", "1 7E0#0322F18C"], |counters| counters.repeated),
    ];
    for (name, lines, counter) in cases {
        let mut bus = Bus::new(32);
        bus.run(lines);
        assert_eq!(counter(bus.exchanges.counters()), 1, "{name}");
    }
    // Tester present between a request and its response, as testers do.
    check(
        "between",
        &["0 7E0#0322F190", "1 7E0#023E80", "2 7E8#0462F19031"],
        &["7E0 asks", "7E0 asks", "7E8 yes to 22F190 after 2 ms"],
    );
    let mut bus = Bus::new(2);
    bus.run(&["0 7E0#0322F190", "1 7E1#0322F190", "2 7E2#0322F190", "3 7E9#0462F19031"]);
    let counters = bus.exchanges.counters();
    assert_eq!((counters.displaced, counters.answered, bus.exchanges.waiting()), (1, 1, 1));
}
