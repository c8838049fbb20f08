//! A small car for the tests: one bus, two messages.

use std::ops::Range;

use can_decode::e2e::{Config, Profile};
use can_decode::observe::{Expectation, Observer};
use can_decode::{BootNanos, CanId, DecodeTable, Frame, Matching, dbc};
use ecu_core::{Action, BusIndex, Catalog, Engine, FrameRecord, Limits, Stamp};
use store::block::{BootId, ClockSource, Sealer};

pub(crate) const SPEED: CanId = CanId::Standard(0x100);
pub(crate) const BRAKE: CanId = CanId::Standard(0x110);
pub(crate) const STRANGER: CanId = CanId::Standard(0x7F0);

const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 SPEED: 4 ECU
 SG_ Speed : 0|16@1+ (0.01,0) [0|655] "km/h" ECU
 SG_ Gear : 16|4@1- (1,0) [-8|7] "" ECU
BO_ 272 BRAKE: 32 ECU
 SG_ Pressure : 0|8@1+ (1,0) [0|255] "bar" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 272 7;
"#;

/// An engine that seals after 4 s or `samples_max` samples.
pub(crate) fn engine(samples_max: usize) -> Engine {
    build(DBC, samples_max)
}

pub(crate) fn engine_without_messages() -> Engine {
    build("VERSION \"\"\nBU_: ECU\n", 1000)
}

/// What [`watched`] has besides, every 10 ms and 20 ms.
pub(crate) const STEER: CanId = CanId::Standard(0x120);
pub(crate) const WHEEL: CanId = CanId::Standard(0x130);
pub(crate) const LAMP: CanId = CanId::Standard(0x140);
pub(crate) const STEER_P05: Config = Config::new(Profile::P05 { data_id: 0x1234, offset_bits: 0 }, 8);

const WATCHED_DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 288 STEER: 8 ECU
 SG_ Angle : 24|16@1- (0.1,0) [-3276|3276] "deg" ECU
BO_ 304 WHEEL: 8 ECU
 SG_ AliveCounter : 0|4@1+ (1,0) [0|15] "" ECU
BO_ 320 LAMP: 1 ECU
 SG_ On : 0|1@1+ (1,0) [0|1] "" ECU
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
BA_DEF_ BO_ "E2EProfile" STRING;
BA_DEF_ BO_ "E2EDataId" INT 0 65535;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_DEF_DEF_ "E2EProfile" "";
BA_DEF_DEF_ "E2EDataId" 0;
BA_ "GenMsgCycleTime" BO_ 288 10;
BA_ "GenMsgCycleTime" BO_ 304 20;
BA_ "GenMsgCycleTime" BO_ 320 100;
BA_ "E2EProfile" BO_ 288 "P05";
BA_ "E2EDataId" BO_ 288 4660;
"#;

/// A car whose messages are cyclic, counted and protected.
pub(crate) fn watched() -> Engine {
    build(WATCHED_DBC, 100_000)
}

/// A frame of STEER with this counter.
pub(crate) fn steer(counter: u16) -> Frame {
    let mut payload = [0, 0, 0, 0x10, 0x27, 0, 0, 0];
    STEER_P05.checked().unwrap().protect(counter, &mut payload).unwrap();
    Frame::classic(STEER, &payload).unwrap()
}

/// The same car by another DBC file: SPEED has its signals elsewhere, and BRAKE another unit and one signal more.
const REVISED_DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 272 BRAKE: 32 ECU
 SG_ Pressure : 0|8@1+ (100,0) [0|25500] "kPa" ECU
 SG_ Level : 8|8@1+ (1,0) [0|255] "" ECU
BO_ 256 SPEED: 4 ECU
 SG_ Speed : 16|16@1+ (0.5,0) [0|32767] "m/s" ECU
"#;

/// An engine that is to follow one of [`engine`].
pub(crate) fn revised(samples_max: usize) -> Engine {
    build_run(REVISED_DBC, "can0", samples_max, 2)
}

/// One that cannot follow: its bus is another one.
pub(crate) fn foreign() -> Engine {
    build_run(DBC, "can1", 1000, 2)
}

fn build(text: &str, samples_max: usize) -> Engine {
    build_run(text, "can0", samples_max, 1)
}

fn build_run(text: &str, bus: &str, samples_max: usize, run: u64) -> Engine {
    let (database, _) = dbc::read("car.dbc", text.as_bytes()).unwrap();
    let (table, _) = DecodeTable::compile(&[database], Matching::Auto);
    let observer = Observer::new(64, table.messages().iter().map(Expectation::of));
    let catalog = Catalog::new([(bus.to_owned(), table)]).unwrap();
    let sealer = Sealer::new(BootId([7; 16]), run, 3).unwrap();
    let limits = Limits { seal_after_ns: 4_000_000_000, samples_max, tick_ns: 1_000 };
    Engine::new(catalog, [Some(observer)], sealer, limits)
}

pub(crate) fn record(frame: Frame, ns: i64) -> FrameRecord {
    let stamp = Stamp { ns, clock: ClockSource::KernelSoftware };
    FrameRecord { bus: BusIndex(0), stamp, frame, follows_loss: false }
}

/// A frame of SPEED each millisecond.
pub(crate) fn replay_ms(engine: &mut Engine, at: Range<i64>, perform: &mut impl FnMut(Action)) {
    for ms in at {
        let frame = Frame::classic(SPEED, &[ms as u8, (ms >> 8) as u8, ms as u8, 0]).unwrap();
        engine.frame(&record(frame, ms * 1_000_000), BootNanos(0), perform);
    }
}
