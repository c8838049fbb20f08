mod anything;

use std::fs;

use can_decode::Raw;
use ecu_core::span::{Answers, FailureSignal, Place};

use super::super::Config;
use super::*;

const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 ASK: 32 ECU
 SG_ Number : 0|8@1+ (1,0) [0|255] "" ECU
 SG_ Force : 8|8@1+ (1,0) [0|255] "N" ECU
BO_ 257 REPLY: 8 ECU
 SG_ Number : 0|8@1+ (1,0) [0|255] "" ECU
 SG_ Result : 8|8@1- (1,0) [0|255] "" ECU
 SG_ AliveCounter : 16|4@1+ (1,0) [0|15] "" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 256 4;
VAL_ 257 Result -1 "failed" 0 "done";
"#;

/// One bus has both messages, the other one has PLAIN besides.
fn read(text: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.dbc"), DBC).unwrap();
    let signals: Vec<String> =
        (0..20).map(|at| format!(" SG_ S{at} : {at}|1@1+ (1,0) [0|1] \"\" ECU\n")).collect();
    let signals = signals.concat();
    let other = DBC.replacen("BO_ 257", &format!("BO_ 258 PLAIN: 8 ECU\n{signals}BO_ 257"), 1);
    fs::write(folder.path().join("b.dbc"), other).unwrap();
    let bus = |name: &str, dbc: &str| {
        format!("[[bus]]\nkind = 'replay'\nfile = 'x'\nname = '{name}'\ndbc = ['{dbc}']\n")
    };
    let text = format!("[trace]\n{text}\n{}{}", bus("can0", "a.dbc"), bus("can1", "b.dbc"));
    let in_words = |problems: Vec<super::super::Problem>| problems.iter().map(ToString::to_string).collect();
    match Config::parse("car.toml", &text, folder.path()) {
        Ok((config, problems)) => Ok((config, in_words(problems))),
        Err(problems) => Err(in_words(problems)),
    }
}

fn good(text: &str) -> Trace {
    let (config, problems) = read(text).unwrap();
    assert_eq!(problems, [""; 0], "{text}");
    config.trace
}

/// As the tracer gets them.
fn settings(text: &str) -> Settings {
    let (config, problems) = read(text).unwrap();
    assert_eq!(problems, [""; 0], "{text}");
    let tables = config.buses.iter().map(|bus| (bus.name.clone(), bus.table.clone()));
    let mut catalog = Catalog::new(tables).unwrap();
    let settings = config.trace.settings(&mut catalog, 7).unwrap();
    Tracer::new(&settings, &catalog).unwrap();
    settings
}

#[test]
fn nothing_said_follows_what_the_dbc_files_have() {
    let trace = good("");
    assert_eq!(trace.intake, None);
    assert_eq!(
        trace.described(),
        ["can0/ASK has its context at byte 4", "can1/ASK has its context at byte 4"]
    );
    let settings = settings("");
    assert_eq!((settings.sampling, settings.roots), (Sampling::default(), None));
    assert_eq!(settings.waiting_max, Settings::default().waiting_max);
}

#[test]
fn pairs_are_found_by_their_names() {
    let check = |text: &str, expected: &str| {
        let text = format!("[[trace.pair]]\n{text}");
        let trace = good(&text);
        assert_eq!(trace.described().last().map(String::as_str), Some(expected), "{text}");
        settings(&text).pairs.remove(0)
    };
    let pair = check(
        "request = 'can0/ASK'\nresponse = 'can1/REPLY'",
        "can0/ASK is answered by can1/REPLY in their order, within 10s",
    );
    // ASK and REPLY of can0, then PLAIN between ASK and REPLY of can1.
    assert_eq!((pair.request, pair.response, pair.key, pair.failure), (0, 4, None, None));
    let pair = check(
        "request = 'can1/ASK'\nresponse = 'can0/REPLY'\nkey = ['Force', 'Number']\nanswers = 'all'\n\
         failure = { signal = 'Result', ok = 'failed' }\ntimeout = '1s'\nslow = '20ms'",
        "can1/ASK is answered by can0/REPLY all of them by Force and Number, within 1s, slow from 20ms on, failed \
         unless Result is -1",
    );
    assert_eq!((pair.request, pair.response, pair.key), (2, 1, Some((1, 0))));
    assert_eq!(pair.failure, Some(FailureSignal { signal: 1, ok: Raw(u64::MAX) }));
    assert_eq!(pair.answers, Answers::All);
    assert_eq!(pair.expectation, Expectation { timeout_ns: 1_000_000_000, slow_ns: Some(20_000_000) });
}

#[test]
fn contexts_have_places_of_the_configuration() {
    let text = "slow = '1s'\npart_timeout = '20ms'\n[trace.offsets]\n'can1/ASK' = 7\n[trace.attributes]\n\
                'can0/ASK' = ['Force']\n\
                [[trace.context_frames]]\nbus = 'can1'\nid = '6A0'\nmessages = ['REPLY', 'PLAIN']\n\
                [[trace.context_frames]]\nbus = 'can0'\nid = '18FF0001'\nmessages = ['REPLY']\n\
                counters = { REPLY = 'none' }\n\
                [[trace.conversation]]\nbus = 'can1'\nchannel = '7E0:7E8'\nname = 'Engine'\ncontext = 3\n\
                [[trace.conversation]]\nbus = 'can0'\nchannel = '7DF:*'\ncontext = 'trailer'\n";
    let trace = good(text);
    let expected = [
        "can0/ASK has its context at byte 4",
        "can1/ASK has its context at byte 7",
        "spans of can0/ASK have Force",
        "can1/REPLY has its contexts from 6A0, tag 0, by the counter AliveCounter",
        "can1/PLAIN has its contexts from 6A0, tag 1, for the next frame",
        "can0/REPLY has its contexts from 18FF0001, tag 0, for the next frame",
        "can1: conversation 7E0:7E8 as \"Engine\", within 10s, slow from 1s on, contexts at byte 3",
        "can0: conversation 7DF:* as \"7DF:*\", within 10s, slow from 1s on, contexts behind the end",
    ];
    assert_eq!(trace.described(), expected);
    let settings = settings(text);
    assert_eq!((settings.offsets, settings.attributes), (vec![(2, 7)], vec![(0, vec![1])]));
    let [can0, can1] = &settings.buses[..] else { panic!("{:?}", settings.buses) };
    assert_eq!(can1.classic_limits.part_ns, 20_000_000);
    let tags: Vec<_> = can1.classic.iter().map(|target| (target.tag, target.counter.is_some())).collect();
    assert_eq!(tags, [(0, true), (1, false)]);
    // Behind the five messages, in the order of the buses.
    assert_eq!((can0.conversations[0].message, can0.conversations[0].context), (5, Some(Place::Trailer)));
    assert_eq!((can1.conversations[0].message, can1.conversations[0].context), (6, Some(Place::Offset(3))));
}

#[test]
fn sampling_and_intake_are_read() {
    let trace = good(
        "ratio = 0.25\nspans_per_second = 5\nroots = true\nlisten = '[::1]:4318'\nrecords_per_second = 9",
    );
    let address = "[::1]:4318".parse().unwrap();
    assert_eq!(trace.intake, Some(Intake { address, records_per_second: 9 }));
    let settings = settings("ratio = 0.25\nspans_per_second = 5\nroots = true\n");
    assert_eq!(settings.sampling.ratio.th().as_deref(), Some("c"));
    assert_eq!((settings.sampling.spans_per_second, settings.roots), (Some(5), Some(7)));
    let open = good("listen = '0.0.0.0:4318'\nallow_remote = true");
    assert!(open.intake.is_some());
}

#[test]
fn what_is_out_of_range_is_refused_with_its_line() {
    let check = |text: &str, expected: &str| {
        let problems = read(text).map(|(_, problems)| problems).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{text}: {problems:?}");
    };
    check("ratio = 1.5", "car.toml:2: error: out of range; allowed is 0 (none");
    check("waiting_max = 0", "car.toml:2: error: out of range; allowed is 1 to 4096");
    check("roots = false\ntimeout = '2h'", "car.toml:3: error: out of range; allowed is 1us to 1h");
    check("[[trace.pair]]\nrequest = 'A'\nresponse = 'B'\nslow = '1ns'", "car.toml:5: error: out of range");
    check("listen = '0.0.0.0:4318'", "car.toml:2: error: 0.0.0.0:4318 is open to other machines");
    check("listen = '4318'", "car.toml:2: error: \"4318\" is not an address");
    check("records_per_second = 0", "1 to 100000");
    check("[[trace.pair]]\nrequest = 'A'", "missing field `response`");
    check("pears = 1", "unknown field `pears`");
}

#[test]
fn names_that_mean_nothing_are_left_out_and_told_with_their_line() {
    let check = |text: &str, line: u32, expected: &str| {
        let (config, problems) = read(text).unwrap();
        let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
        assert!(problem.starts_with(&format!("car.toml:{line}: error: [")), "{text}: {problem}");
        assert!(problem.contains(expected), "{text}: {problem}");
        // What is left runs.
        let settings = &config.trace.settings;
        assert!(settings.pairs.is_empty() && settings.attributes.is_empty(), "{settings:?}");
    };
    let pair = |rest: &str| format!("[[trace.pair]]\nrequest = 'can0/ASK'\nresponse = 'can0/REPLY'\n{rest}");
    check("[[trace.pair]]\nrequest = 'ASK'\nresponse = 'PLAIN'", 3, "write \"can0/ASK\" or \"can1/ASK\"");
    check(
        "[[trace.pair]]\nrequest = 'NO'\nresponse = 'PLAIN'",
        3,
        "no DBC file of any bus has a message \"NO\"",
    );
    check(
        "[[trace.pair]]\nrequest = 'PLAIN'\nresponse = 'can0/NO'",
        4,
        "no DBC file of bus can0 has a message \"NO\"",
    );
    check(
        "[[trace.pair]]\nrequest = 'can7/ASK'\nresponse = 'PLAIN'",
        3,
        "no bus is named \"can7\"; there is can0, can1",
    );
    check(
        &pair("key = 'Force'"),
        5,
        "the message REPLY has no signal \"Force\"; name one of these: Number, Result",
    );
    check(&pair("failure = { signal = 'Result', ok = 'fine' }"), 5, "has no label \"fine\"");
    check("[trace.attributes]\n'PLAIN' = ['X']", 3, "name one of these: S0, S1");
    check("[trace.attributes]\n'PLAIN' = ['A', 'B', 'C', 'D', 'E']", 3, "room for 4 signals");
    check("[trace.offsets]\n'PLAIN' = 40", 3, "end behind byte 64; allowed is 0 to 39");
    let frames = |rest: &str| format!("[[trace.context_frames]]\nbus = 'can1'\n{rest}");
    check(&frames("id = '6A'\nmessages = []"), 4, "\"6A\" is no identifier");
    check(
        &frames("id = '6A0'\nmessages = ['REPLY', 'NO']"),
        5,
        "no DBC file of bus can1 has a message \"NO\"",
    );
    check(&frames("id = '6A0'\nmessages = ['REPLY', 'REPLY']"), 5, "101 is named twice");
    check(&frames("id = '101'\nmessages = ['REPLY']"), 5, "101 is named twice");
    check(&frames("id = '6A0'\nmessages = ['REPLY']\ncounters = { REPLY = 'Result' }"), 6, "is no counter");
    check(
        &frames("id = '6A0'\nmessages = []\ncounters = { REPLY = 'Result' }"),
        6,
        "not among its `messages`",
    );
    let talk = |rest: &str| format!("[[trace.conversation]]\nbus = 'can0'\n{rest}");
    check(&talk("channel = '7E0'"), 4, "not REQ:RESP");
    check(
        &talk("channel = '7E0:7E8'\n[[trace.conversation]]\nbus = 'can0'\nchannel = '7E0:7E9'"),
        7,
        "7E0 is named twice",
    );
    check(
        &talk("channel = '7E0:7E8'\n[[trace.conversation]]\nbus = 'can0'\nchannel = '7E0:7E8'"),
        7,
        "write one entry",
    );
}

#[test]
fn what_is_too_much_together_is_told() {
    // Each pair is right by itself; a message has 16 signals at most that are looked at.
    let pairs = |count: usize| -> String {
        let pair = |at| {
            format!("[[trace.pair]]\nrequest = 'PLAIN'\nresponse = 'can0/REPLY'\nkey = ['S{at}', 'Number']\n")
        };
        (0..count).map(pair).collect()
    };
    assert_eq!(settings(&pairs(16)).pairs.len(), 16);
    let (config, problems) = read(&format!("ratio = 0.5\n{}", pairs(17))).unwrap();
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.starts_with("car.toml: error: [trace] is left out but for its sampling"), "{problem}");
    assert!(config.trace.settings.pairs.is_empty());
    assert_eq!(config.trace.settings.sampling.ratio.th().as_deref(), Some("8"));
}
