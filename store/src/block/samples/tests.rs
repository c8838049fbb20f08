use proptest::prelude::*;

use super::*;
use crate::block::{BlockError, ClockSource};

/// A frame as the properties make it: message, time step, and for each of its four signals a value or nothing.
type Made = (usize, i64, [Option<u64>; 4]);

fn encode(frames: &[Made], tick_ns: i64) -> (Vec<u8>, u32) {
    let mut builder = SamplesBuilder::new([4, 4, 4], tick_ns);
    let mut time = 1_533_201_287_000_000_000;
    for (message, step, values) in frames {
        time += step;
        builder.row(*message, time, ClockSource::Recorded).unwrap();
        for (signal, value) in values.iter().enumerate() {
            if let Some(value) = value {
                builder.value(*message, signal, *value);
            }
        }
    }
    let count = builder.samples() as u32;
    let mut body = Vec::new();
    builder.encode(&mut body);
    assert!(builder.is_empty());
    (body, count)
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        frames in prop::collection::vec((0..3_usize, -5_000..5_000_000_i64, any::<[Option<u64>; 4]>()), 0..80)
    ) {
        let (body, count) = encode(&frames, 1_000);
        let samples = read_samples(&body, count).unwrap();
        let mut time = 1_533_201_287_000_000_000_i64;
        let mut rows = [0; 3];
        for (message, step, values) in &frames {
            time += step;
            let group = samples.groups.iter().find(|group| group.message == *message).unwrap();
            let row = rows[*message];
            rows[*message] += 1;
            prop_assert_eq!(group.times_ns[row], time.div_euclid(1_000) * 1_000);
            for (signal, value) in values.iter().enumerate() {
                let column = group.columns.iter().find(|column| column.signal == signal);
                let found = column.and_then(|c| c.rows.iter().zip(&c.values).find(|(at, _)| *at == row));
                prop_assert_eq!(found.map(|(_, value)| *value), *value);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_allocate_beyond_its_budget(
        frames in prop::collection::vec((0..3_usize, 0..5_000_i64, any::<[Option<u64>; 4]>()), 0..20),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        claimed in any::<u32>(),
    ) {
        let (mut body, count) = encode(&frames, 1_000);
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        for count in [count, claimed] {
            if let Ok(samples) = read_samples(&body, count) {
                let held: usize = samples.groups.iter().flat_map(|g| &g.columns).map(|c| c.values.len()).sum();
                prop_assert_eq!(held, count as usize);
            }
        }
    }

    #[test]
    fn slots_are_distinct_and_the_same_however_the_stream_is_cut(
        steps in prop::collection::vec(0..1_500_000_i64, 1..60), cut in any::<prop::sample::Index>()
    ) {
        let cut = cut.index(steps.len());
        let mut whole = SlotMillis::default();
        let mut builder = SamplesBuilder::new([1], 1_000);
        let (mut time, mut expected, mut found) = (0, Vec::new(), Vec::new());
        let mut take = |builder: &mut SamplesBuilder| {
            let mut body = Vec::new();
            let count = builder.samples() as u32;
            builder.encode(&mut body);
            found.extend(read_samples(&body, count).unwrap().groups.into_iter().flat_map(|group| group.slots_ms));
        };
        for (index, step) in steps.iter().enumerate() {
            if index == cut {
                take(&mut builder);
            }
            time += step;
            expected.push(whole.place(time / 1_000 * 1_000));
            builder.row(0, time, ClockSource::Recorded).unwrap();
            builder.value(0, 0, 1);
        }
        take(&mut builder);
        prop_assert_eq!(&found, &expected);
        let placed: Vec<i64> = found.into_iter().flatten().collect();
        prop_assert!(placed.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

#[test]
fn a_burst_has_a_bounded_number_of_slots_and_a_step_back_starts_afresh() {
    let mut slots = SlotMillis::default();
    let placed = (0..50).filter(|_| slots.place(1_000_000_000).is_some()).count();
    assert_eq!(placed as i64, SlotMillis::SHIFT_MAX + 1);
    assert_eq!(slots.place(1_000_000), Some(1));
}

#[test]
fn another_clock_asks_for_a_new_block() {
    let mut builder = SamplesBuilder::new([1], 1_000);
    builder.row(0, 5, ClockSource::KernelSoftware).unwrap();
    assert_eq!(builder.row(0, 6, ClockSource::Hardware), Err(ClockChanged));
    builder.encode(&mut Vec::new());
    assert!(builder.row(0, 6, ClockSource::Hardware).is_ok());
}

#[test]
fn a_column_of_a_million_rows_in_three_bytes_is_refused_by_the_count() {
    let mut builder = SamplesBuilder::new([1], 1_000);
    for row in 0..1000 {
        builder.row(0, row, ClockSource::Recorded).unwrap();
        builder.value(0, 0, 5);
    }
    let mut body = Vec::new();
    builder.encode(&mut body);
    assert!(read_samples(&body, 1000).is_ok());
    assert!(matches!(read_samples(&body, 10), Err(BlockError::Limit { field: "values", .. })));
    assert!(matches!(read_samples(&body, u32::MAX), Err(BlockError::Limit { field: "count", .. })));
}

/// Whether the body has one column of times for all messages.
fn has_one_timeline(body: &[u8]) -> bool {
    let mut areas = super::super::columns::AreasReader::new(body).unwrap();
    let head = areas.area(super::super::columns::AREA_SHAPES).unwrap();
    let _ = (head.varint().unwrap(), head.varint().unwrap());
    head.byte().unwrap() == 1
}

#[test]
fn times_of_batches_share_a_timeline_and_periods_have_their_own() {
    let frames = |step: &dyn Fn(i64) -> (usize, i64)| -> Vec<Made> {
        (0..600).map(step).map(|(message, step)| (message, step, [None; 4])).collect()
    };
    let noise = |row: i64| (row.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) as u64 >> 40) as i64;
    let batches =
        frames(&|row| (noise(row) as usize % 3, if row % 5 == 0 { noise(row) % 4_000_000 } else { 6_000 }));
    let periods = frames(&|row| (row as usize % 3, [1_000_000, 2_000_000, 7_000_000][row as usize % 3]));
    for (frames, expected) in [(batches, true), (periods, false)] {
        let (body, count) = encode(&frames, 1_000);
        assert_eq!(has_one_timeline(&body), expected);
        assert!(read_samples(&body, count).is_ok());
    }
}
