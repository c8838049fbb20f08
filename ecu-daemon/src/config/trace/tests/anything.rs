//! Whatever is configured, and whatever comes then: what is left of the configuration runs, and the books balance.

use can_decode::{BootNanos, CanId, Frame, FrameFlags};
use ecu_core::{BusIndex, Engine, FrameRecord, Limits, Stamp};
use proptest::prelude::*;
use proptest::sample::select;
use store::block::{BootId, ClockSource, Sealer};

use super::*;

const MESSAGES: [&str; 8] =
    ["ASK", "can0/ASK", "can1/ASK", "can0/REPLY", "can1/REPLY", "PLAIN", "NO", "can9/ASK"];
const SIGNALS: [&str; 6] = ["Number", "Force", "Result", "AliveCounter", "S1", "X"];
const BUSES: [&str; 3] = ["can0", "can1", "can9"];
const CHANNELS: [&str; 7] = ["7E0:7E8", "7DF:*", "7E0:7E9", "101:102", "6F1/12:612/F1", "100:7E8", "x"];
const IDS: [&str; 5] = ["6A0", "6A1", "101", "18FF0001", "zz"];
const TALKERS: [u16; 8] = [0x100, 0x101, 0x102, 0x6A0, 0x6A1, 0x7E0, 0x7E8, 0x7DF];

fn any_entry() -> impl Strategy<Value = String> {
    let option = |text: String, is_there: bool| if is_there { text } else { String::new() };
    let pair = (select(&MESSAGES[..]), select(&MESSAGES[..]), select(&SIGNALS[..]), any::<[bool; 3]>())
        .prop_map(move |(request, response, signal, [key, failure, all])| {
            let key = option(format!("key = '{signal}'\n"), key);
            let failure = option("failure = { signal = 'Result', ok = 'done' }\n".to_owned(), failure);
            let all = option("answers = 'all'\nslow = '1ms'\ntimeout = '20ms'\n".to_owned(), all);
            format!("[[trace.pair]]\nrequest = '{request}'\nresponse = '{response}'\n{key}{failure}{all}")
        });
    let named = prop::collection::vec(select(&["ASK", "REPLY", "PLAIN", "NO"][..]), 0..4);
    let frames = (select(&BUSES[..]), select(&IDS[..]), named, any::<bool>()).prop_map(
        move |(bus, id, messages, counted)| {
            let counters = option("counters = { REPLY = 'none' }\n".to_owned(), counted);
            format!(
                "[[trace.context_frames]]\nbus = '{bus}'\nid = '{id}'\nmessages = {messages:?}\n{counters}"
            )
        },
    );
    let place = select(&["", "context = 'trailer'\n", "context = 3\n", "context = 60000\n"][..]);
    let talk = (select(&BUSES[..]), select(&CHANNELS[..]), place).prop_map(|(bus, channel, place)| {
        format!("[[trace.conversation]]\nbus = '{bus}'\nchannel = '{channel}'\n{place}timeout = '20ms'\n")
    });
    prop_oneof![3 => pair, 2 => frames, 2 => talk]
}

fn any_config() -> impl Strategy<Value = String> {
    let offsets = prop::collection::btree_map(select(&MESSAGES[..]), 0..50_u8, 0..3);
    let attributes = prop::collection::btree_map(select(&MESSAGES[..]), select(&SIGNALS[..]), 0..3);
    let entries = prop::collection::vec(any_entry(), 0..6);
    (offsets, attributes, entries, any::<bool>(), 0..3_u32).prop_map(
        |(offsets, attributes, entries, roots, rate)| {
            let offsets: Vec<String> =
                offsets.iter().map(|(message, offset)| format!("'{message}' = {offset}")).collect();
            let attributes: Vec<String> =
                attributes.iter().map(|(message, signal)| format!("'{message}' = ['{signal}']")).collect();
            format!(
                "ratio = 0.5\nroots = {roots}\nspans_per_second = {rate}\nwaiting_max = 3\n[trace.offsets]\n{}\n\
                 [trace.attributes]\n{}\n{}",
                offsets.join("\n"),
                attributes.join("\n"),
                entries.concat()
            )
        },
    )
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let head = select(&[0_u8, 1, 2, 3, 0x10, 0x11, 0x21, 0x22, 0x30][..]);
    (select(&TALKERS[..]), any::<bool>(), head, prop::collection::vec(0..4_u8, 31)).prop_map(
        |(id, is_fd, head, rest)| {
            let bytes = [&[head][..], &rest].concat();
            let id = CanId::Standard(id);
            if is_fd { Frame::fd(id, FrameFlags::BRS, &bytes) } else { Frame::classic(id, &bytes[..8]) }
                .unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_left_of_a_configuration_runs(
        text in any_config(), frames in prop::collection::vec((any_frame(), 0..2_u16, 0..30_i64), 0..80)
    ) {
        let (config, _) = read(&text).unwrap();
        let tables = config.buses.iter().map(|bus| (bus.name.clone(), bus.table.clone()));
        let mut catalog = Catalog::new(tables).unwrap();
        let settings = config.trace.settings(&mut catalog, 7).unwrap();
        let sealer = Sealer::new(BootId([7; 16]), 1, 1).unwrap();
        let limits = Limits { seal_after_ns: 1_000_000_000, samples_max: 1000, tick_ns: 1_000 };
        let mut engine = Engine::new(catalog, [], sealer, limits);
        engine.trace(&settings).unwrap();
        let mut ns = 0;
        for (frame, bus, wait_ms) in &frames {
            ns += wait_ms * 1_000_000;
            let stamp = Stamp { ns, clock: ClockSource::Hardware };
            let record = FrameRecord { bus: BusIndex(*bus), stamp, frame: *frame, follows_loss: false };
            engine.frame(&record, BootNanos(ns), &mut |_| {});
            engine.tick(BootNanos(ns), &mut |_| {});
            let tracer = engine.tracer();
            prop_assert!(tracer.books().spans.balanced(tracer.waiting() as u64), "{:?}", tracer.books());
            prop_assert!((0..2).filter_map(|bus| tracer.carriers(bus)).all(|books| books.balanced()));
        }
        engine.finish(BootNanos(ns), &mut |_| {});
        let books = engine.tracer().books();
        prop_assert!(books.spans.balanced(0), "{books:?}");
        prop_assert_eq!(books.sampling.kept_all(), engine.spans().taken);
        prop_assert_eq!(engine.spans().open(), 0);
    }
}
