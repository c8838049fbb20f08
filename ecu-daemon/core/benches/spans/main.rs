//! What trace contexts cost the engine. `ecu-daemon/core/benches/spans/instructions` counts instructions:
//!
//!     spans FORM ROUNDS      takes ROUNDS frames or groups of frames in this form and ends
//!
//! Two forms of one name's stem have the same frames but for what their difference shows.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use can_decode::isotp::Channel;
use can_decode::trace::classic::{self, Target};
use can_decode::trace::{SpanIds, Threshold, TraceFlags, payload};
use can_decode::{BootNanos, CanId, DecodeTable, Frame, FrameFlags, Matching, TraceContext, dbc};
use ecu_core::span::{Answers, BusSettings, Conversation, Expectation, Pair, Sampling, Settings};
use ecu_core::{BusIndex, Catalog, Engine, FrameRecord, Limits, Stamp};
use store::block::{BootId, ClockSource, Sealer};

const ASK: CanId = CanId::Standard(0x201);
const REPLY: CanId = CanId::Standard(0x202);
const CONTEXTS: CanId = CanId::Standard(0x6A0);

/// ASK has room for a context, REPLY has none.
const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 513 ASK: 32 ECU
 SG_ Travel : 0|16@1+ (0.01,0) [0|655] "mm" ECU
 SG_ Force : 16|16@1+ (0.1,0) [0|6553] "N" ECU
BO_ 514 REPLY: 8 ECU
 SG_ Pressure : 0|16@1+ (0.01,0) [0|655] "bar" ECU
 SG_ Number : 16|8@1+ (1,0) [0|255] "" ECU
BO_ 517 OTHER: 8 ECU
 SG_ Level : 0|16@1+ (0.01,0) [0|655] "" ECU
 SG_ Number : 16|8@1+ (1,0) [0|255] "" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 513 4;
"#;

/// Frames of one round, and how the engine is set up.
struct Form {
    name: &'static str,
    settings: fn() -> Settings,
    frames: fn(&TraceContext, u32) -> Vec<Frame>,
}

const FORMS: [Form; 14] = [
    Form { name: "fd-absent", settings: Settings::default, frames: |_, round| vec![ask(None, round)] },
    Form {
        name: "fd-unsampled",
        settings: Settings::default,
        frames: |context, round| vec![ask(Some(&TraceContext { flags: TraceFlags(0), ..*context }), round)],
    },
    Form { name: "fd-by-ratio", settings: never, frames: |context, round| vec![ask(Some(context), round)] },
    Form {
        name: "fd-kept",
        settings: Settings::default,
        frames: |context, round| vec![ask(Some(context), round)],
    },
    Form { name: "plain-plain", settings: Settings::default, frames: |_, round| vec![reply(round)] },
    Form { name: "plain-configured", settings: configured, frames: |_, round| vec![reply(round)] },
    Form { name: "other-plain", settings: Settings::default, frames: |_, round| vec![other(round)] },
    Form { name: "other-configured", settings: configured, frames: |_, round| vec![other(round)] },
    Form { name: "classic-off", settings: Settings::default, frames: classic_frames },
    Form {
        name: "classic-by-ratio",
        settings: || Settings { sampling: never().sampling, ..configured() },
        frames: classic_frames,
    },
    Form { name: "pair-off", settings: never, frames: pair_frames },
    Form {
        name: "pair-by-ratio",
        settings: || Settings { pairs: vec![pair()], ..never() },
        frames: pair_frames,
    },
    Form { name: "uds-off", settings: never, frames: uds_frames },
    Form { name: "uds-by-ratio", settings: uds, frames: uds_frames },
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(name) = arguments.next() else {
        println!("nothing to be timed: ecu-daemon/core/benches/spans/instructions counts");
        return;
    };
    let form = FORMS.iter().find(|form| form.name == name).expect("a form of this name");
    let rounds: u32 = arguments.next().expect("ROUNDS").parse().expect("a number");
    let mut engine = engine();
    engine.trace(&(form.settings)()).unwrap();
    let mut ids = SpanIds::new(1);
    let (mut blocks, mut ns) = (0_u64, 0);
    for round in 0..rounds {
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&ids.next_id());
        trace_id[8..].copy_from_slice(&ids.next_id());
        let context = TraceContext::new(trace_id, ids.next_id(), TraceFlags(3)).unwrap();
        for frame in (form.frames)(&context, round) {
            ns += 1_000_000;
            let stamp = Stamp { ns, clock: ClockSource::Hardware };
            let record = FrameRecord { bus: BusIndex(0), stamp, frame, follows_loss: false };
            engine.frame(black_box(&record), BootNanos(ns), &mut |_| blocks += 1);
        }
    }
    let books = engine.tracer().books();
    println!(
        "{name}: {rounds} rounds, {blocks} blocks, {} spans kept of {:?}",
        books.sampling.kept_all(),
        books.spans
    );
}

fn engine() -> Engine {
    let (database, _) = dbc::read("bench.dbc", DBC.as_bytes()).unwrap();
    let (table, _) = DecodeTable::compile(&[database], Matching::Auto);
    let catalog = Catalog::new([("can0".to_owned(), table)]).unwrap();
    let sealer = Sealer::new(BootId([7; 16]), 1, 3).unwrap();
    let limits = Limits { seal_after_ns: 4_000_000_000, samples_max: 100_000, tick_ns: 1_000 };
    Engine::new(catalog, [], sealer, limits)
}

fn never() -> Settings {
    Settings { sampling: Sampling { ratio: Threshold::NEVER, ..Sampling::default() }, ..Settings::default() }
}

/// Context frames are followed, of REPLY.
fn configured() -> Settings {
    let target = Target { context_id: CONTEXTS, tag: 0, id: REPLY, counter: None };
    let bus = BusSettings { classic: vec![target], ..BusSettings::default() };
    Settings { buses: vec![bus], ..Settings::default() }
}

fn pair() -> Pair {
    let (key, failure) = (None, None);
    Pair {
        request: 0,
        response: 1,
        key,
        failure,
        answers: Answers::Oldest,
        expectation: Expectation::default(),
    }
}

fn uds() -> Settings {
    let channel: Channel = "7E0:7E8".parse().unwrap();
    let expectation = Expectation::default();
    let conversations = vec![Conversation { channel, message: 0, context: None, expectation }];
    let bus = BusSettings { conversations, ..BusSettings::default() };
    Settings { buses: vec![bus], roots: Some(1), ..never() }
}

fn ask(context: Option<&TraceContext>, round: u32) -> Frame {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&round.to_le_bytes());
    // Written in any case, so that forms differ in what the engine does.
    payload::write(&mut bytes, 4, context.unwrap_or(&SOME)).unwrap();
    if context.is_none() {
        payload::clear(&mut bytes, 4).unwrap();
    }
    Frame::fd(ASK, FrameFlags::BRS, &bytes).unwrap()
}

const SOME: TraceContext = TraceContext { trace_id: [1; 16], span_id: [1; 8], flags: TraceFlags(0) };

fn reply(round: u32) -> Frame {
    let [a, b, c, _] = round.to_le_bytes();
    Frame::classic(REPLY, &[a, b, c, 0, 0, 0, 0, 0]).unwrap()
}

fn other(round: u32) -> Frame {
    Frame::classic(CanId::Standard(0x205), reply(round).data()).unwrap()
}

fn classic_frames(context: &TraceContext, round: u32) -> Vec<Frame> {
    let parts = classic::write(context, REPLY, 0, round as u8);
    let mut frames: Vec<Frame> = parts.iter().map(|part| Frame::classic(CONTEXTS, part).unwrap()).collect();
    frames.push(reply(round));
    frames
}

fn pair_frames(context: &TraceContext, round: u32) -> Vec<Frame> {
    vec![ask(Some(context), round), reply(round)]
}

fn uds_frames(_: &TraceContext, round: u32) -> Vec<Frame> {
    let byte = round as u8;
    vec![
        Frame::classic(CanId::Standard(0x7E0), &[3, 0x22, 0xF1, byte, 0, 0, 0, 0]).unwrap(),
        Frame::classic(CanId::Standard(0x7E8), &[4, 0x62, 0xF1, byte, 1, 0, 0, 0]).unwrap(),
    ]
}
