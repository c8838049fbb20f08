//! Frames kept raw: which ones, in what order, and in whose books.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

#[allow(dead_code, reason = "shared with the engine's tests, which use all of it")]
mod car;

use can_decode::{BootNanos, CanId, Frame, FrameFlags};
use car::{SPEED, STRANGER, engine, record, revised};
use ecu_core::{Action, Engine, RawFrames};
use store::block::{Class, Kind, RawFrame, Records, open};

const MS: i64 = 1_000_000;

/// Kinds, classes and counts of the blocks, and the frames in them.
#[derive(Default)]
struct Kept {
    blocks: Vec<(Kind, Class, u32)>,
    frames: Vec<RawFrame>,
}

impl Kept {
    fn take(&mut self, action: Action) {
        let Action::Store(block) = action else { return };
        let (header, records) = open(block.bytes()).unwrap();
        self.blocks.push((header.kind, header.class, header.count));
        if let Records::Frames(frames) = records {
            self.frames.extend(frames.iter());
        }
    }
}

fn frames() -> [Frame; 5] {
    [
        Frame::classic(SPEED, &[0x10, 0x27, 0, 0]).unwrap(),
        Frame::fd(CanId::Extended(5), FrameFlags::BRS, &[3; 64]).unwrap(),
        Frame::remote(SPEED, 4),
        Frame::error(4, [1; 8]),
        Frame::classic(STRANGER, &[1]).unwrap(),
    ]
}

fn give(engine: &mut Engine, kept: &mut Kept) {
    for (at, frame) in (0..).zip(frames()) {
        engine.frame(&record(frame, at * MS), BootNanos(at), &mut |action| kept.take(action));
    }
}

#[test]
fn the_configured_frames_are_kept_and_counted_beside_what_else_becomes_of_them() {
    for (raw, expected) in [
        (RawFrames::None, vec![]),
        (RawFrames::Undecoded, frames()[1..].to_vec()),
        (RawFrames::All, frames().to_vec()),
    ] {
        let mut engine = engine(1000);
        engine.keep_raw([raw, RawFrames::All]);
        let mut kept = Kept::default();
        give(&mut engine, &mut kept);
        let (count, books) = (expected.len() as u64, engine.buses()[0]);
        assert_eq!((books.raw, engine.frames().taken, engine.frames().open()), (count, count, count));
        assert_eq!((books.decoded, books.unmatched, books.control, books.taken()), (1, 2, 2, 5), "{raw:?}");
        engine.finish(BootNanos(9), &mut |action| kept.take(action));
        assert_eq!((engine.frames().sealed, engine.frames().open()), (count, 0));
        assert_eq!(kept.frames.iter().map(|raw| raw.frame).collect::<Vec<_>>(), expected);
        let stamps = kept.frames.iter().map(|raw| raw.time_ns);
        assert!(stamps.eq((5 - expected.len() as i64..5).map(|at| at * MS)), "in steps of a microsecond");
        let of_frames = |block: &&(Kind, Class, u32)| block.0 == Kind::Frames;
        let blocks: Vec<_> = kept.blocks.iter().filter(of_frames).collect();
        let block = (Kind::Frames, Class::Bulk, count as u32);
        assert_eq!(blocks, if count > 0 { vec![&block] } else { vec![] });
    }
}

#[test]
fn the_first_block_is_sealed_soon_and_the_others_when_they_are_old_enough() {
    let mut engine = engine(1000);
    engine.keep_raw([RawFrames::All]);
    let mut sealed_at = Vec::new();
    for ms in 0..9_000 {
        let now = BootNanos(ms * MS);
        let mut perform = |action| {
            if matches!(&action, Action::Store(block) if block.header().kind == Kind::Frames) {
                sealed_at.push(ms);
            }
        };
        engine.frame(&record(Frame::remote(STRANGER, 0), ms * MS), now, &mut perform);
        engine.tick(now, &mut perform);
    }
    assert_eq!(sealed_at, [250, 4_251, 8_252]);
}

#[test]
fn a_bus_full_of_identifiers_seals_early_and_loses_nothing() {
    let mut engine = engine(1000);
    engine.keep_raw([RawFrames::Undecoded]);
    let mut kept = Kept::default();
    for id in 0..10_000 {
        let frame = Frame::classic(CanId::Extended(id * 17), &[id as u8]).unwrap();
        engine.frame(&record(frame, 0), BootNanos(0), &mut |action| kept.take(action));
    }
    engine.finish(BootNanos(0), &mut |action| kept.take(action));
    assert_eq!(kept.blocks.len(), 3);
    assert!((0..10_000).eq(kept.frames.iter().map(|raw| raw.frame.id().raw() / 17)));
}

#[test]
fn new_tables_may_keep_other_frames_and_the_books_go_on() {
    let mut engine = engine(1000);
    engine.keep_raw([RawFrames::All]);
    let mut kept = Kept::default();
    give(&mut engine, &mut kept);
    let mut next = revised(1000);
    next.keep_raw([RawFrames::Undecoded]);
    engine.swap(next, BootNanos(9), &mut |action| kept.take(action)).unwrap();
    assert_eq!((engine.frames().sealed, kept.frames.len()), (5, 5), "what was open is sealed");
    give(&mut engine, &mut kept);
    assert_eq!((engine.buses()[0].raw, engine.frames().taken), (9, 9));
}
