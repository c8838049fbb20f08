//! A small car for the tests: one bus, two messages.

use std::ops::Range;

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

fn build(text: &str, samples_max: usize) -> Engine {
    let (database, _) = dbc::read("car.dbc", text.as_bytes()).unwrap();
    let (table, _) = DecodeTable::compile(&[database], Matching::Auto);
    let catalog = Catalog::new([("can0".to_owned(), table)]).unwrap();
    let sealer = Sealer::new(BootId([7; 16]), 1, 3).unwrap();
    Engine::new(catalog, sealer, Limits { seal_after_ns: 4_000_000_000, samples_max, tick_ns: 1_000 })
}

pub(crate) fn record(frame: Frame, ns: i64) -> FrameRecord {
    FrameRecord { bus: BusIndex(0), stamp: Stamp { ns, clock: ClockSource::KernelSoftware }, frame }
}

/// A frame of SPEED each millisecond.
pub(crate) fn replay_ms(engine: &mut Engine, at: Range<i64>, perform: &mut impl FnMut(Action)) {
    for ms in at {
        let frame = Frame::classic(SPEED, &[ms as u8, (ms >> 8) as u8, ms as u8, 0]).unwrap();
        engine.frame(&record(frame, ms * 1_000_000), BootNanos(0), perform);
    }
}
