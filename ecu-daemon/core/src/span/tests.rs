//! Frames in, spans out, as the engine drives it.

mod anything;
mod carriers;
mod diagnostics;
mod exchanges;
mod records;

use can_decode::trace::{TraceFlags, payload};
use can_decode::{BootNanos, CanId, DecodeTable, Frame, FrameFlags, Matching, TraceContext, TraceError, dbc};
use store::block::ClockSource;

use super::*;
use crate::catalog::Catalog;
use crate::record::{BusIndex, FrameRecord, Stamp};

const MS: i64 = 1_000_000;

const ASK: CanId = CanId::Standard(0x100);
const REPLY: CanId = CanId::Standard(0x101);
const PLAIN: CanId = CanId::Standard(0x102);
/// Indices in the schema.
const ASK_INDEX: usize = 0;
const REPLY_INDEX: usize = 1;
const PLAIN_INDEX: usize = 2;

/// The same messages on both buses. Signals of ASK: Number, Force; of REPLY: Number, Result.
const DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 ASK: 32 ECU
 SG_ Number : 0|8@1+ (1,0) [0|255] "" ECU
 SG_ Force : 8|8@1+ (1,0) [0|255] "N" ECU
BO_ 257 REPLY: 32 ECU
 SG_ Number : 0|8@1+ (1,0) [0|255] "" ECU
 SG_ Result : 8|8@1+ (1,0) [0|255] "" ECU
BO_ 258 PLAIN: 8 ECU
 SG_ Value : 0|8@1+ (1,0) [0|255] "" ECU
BA_DEF_ BO_ "TraceContextOffset" INT -1 39;
BA_DEF_DEF_ "TraceContextOffset" -1;
BA_ "TraceContextOffset" BO_ 256 4;
BA_ "TraceContextOffset" BO_ 257 4;
"#;

fn context(number: u8, flags: u8) -> TraceContext {
    TraceContext::new([number; 16], [number; 8], TraceFlags(flags)).unwrap()
}

/// A frame of ASK or REPLY.
fn fd(id: CanId, signals: [u8; 2], context: Option<TraceContext>) -> Frame {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&signals);
    if let Some(context) = context {
        payload::write(&mut bytes, 4, &context).unwrap();
    }
    Frame::fd(id, FrameFlags::BRS, &bytes).unwrap()
}

/// Two buses and a tracer; collects spans.
struct Lab {
    catalog: Catalog,
    tracer: Tracer,
    clock: ClockSource,
    spans: Vec<Span>,
}

impl Lab {
    fn new(settings: &Settings) -> Self {
        Self::with(catalog(), settings)
    }

    fn with(catalog: Catalog, settings: &Settings) -> Self {
        let tracer = Tracer::new(settings, &catalog).unwrap();
        Self { catalog, tracer, clock: ClockSource::Hardware, spans: Vec::new() }
    }

    /// A frame at this time, by the stamp and here.
    fn frame(&mut self, bus: u16, frame: &Frame, ms: i64) -> Option<TraceError> {
        let stamp = Stamp { ns: ms * MS, clock: self.clock };
        let record = FrameRecord { bus: BusIndex(bus), stamp, frame: *frame, follows_loss: false };
        let now = BootNanos(ms * MS);
        let mut sink = |span: &Span| self.spans.push(*span);
        let carried = self.tracer.carry(&record, now, &mut sink);
        let tables = &self.catalog.buses()[usize::from(bus)];
        let index = tables.table.find(frame.id())?;
        let message = tables.first_message + usize::from(index.0);
        let definition = tables.table.message(index);
        let error = self.tracer.decoded(
            &Decoded { record: &record, message, definition, carried, sample: None, now },
            &mut sink,
        );
        self.balance();
        error
    }

    fn tick(&mut self, ms: i64) {
        self.tracer.tick(BootNanos(ms * MS), &mut |span| self.spans.push(*span));
        self.balance();
    }

    fn finish(&mut self) {
        self.tracer.finish(&mut |span| self.spans.push(*span));
        self.balance();
    }

    /// The spans since the last time.
    fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }

    fn balance(&self) {
        let waiting = self.tracer.waiting() as u64;
        assert!(self.tracer.books().spans.balanced(waiting), "{waiting}: {:?}", self.tracer.books());
        for books in (0..2).filter_map(|bus| self.tracer.carriers(bus)) {
            assert!(books.balanced(), "{books:?}");
        }
    }
}

fn catalog() -> Catalog {
    let (database, _) = dbc::read("lab.dbc", DBC.as_bytes()).unwrap();
    let (table, findings) = DecodeTable::compile(&[database], Matching::Auto);
    assert!(findings.is_empty(), "{findings:?}");
    Catalog::new([("can0".to_owned(), table.clone()), ("can1".to_owned(), table)]).unwrap()
}
