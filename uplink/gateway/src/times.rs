//! When records were taken: what their clocks showed, put right by the clock map of their boot.

use can_decode::BootNanos;
use ecu_core::clock::{Clock, History, RecordTime, Sealed, Worth};
use store::block::{BlockHeader, ClockSource, Group, SlotMillis};

/// What a record's time is worth. Bounds are rounded up to two digits, so that neighbours have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// In a word.
    pub(crate) worth: Worth,
    /// The synchronised clock that it rests on.
    pub(crate) by: Option<Clock>,
    /// How far off it may be, nanoseconds.
    pub(crate) error_ns: Option<u64>,
}

impl Note {
    /// Without a map.
    pub(crate) const UNKNOWN: Self = Self { worth: Worth::Unknown, by: None, error_ns: None };

    /// How the time was found; `None` where nothing is known of its clock.
    pub(crate) fn basis(&self) -> Option<&'static str> {
        (self.worth != Worth::Unknown).then(|| self.worth.name())
    }

    fn of(time: &RecordTime) -> Self {
        Self { worth: time.worth, by: time.by, error_ns: time.error_ns.map(two_digits) }
    }
}

/// The notes of records in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Each with the index of the first record that it is of.
    runs: Vec<(usize, Note)>,
}

impl Notes {
    fn add(&mut self, index: usize, note: Note) {
        if self.runs.last().is_none_or(|(_, last)| *last != note) {
            self.runs.push((index, note));
        }
    }

    /// All that there are.
    pub(crate) fn worths(&self) -> impl Iterator<Item = Worth> {
        self.runs.iter().map(|(_, note)| note.worth)
    }

    /// The note of a record.
    pub(crate) fn at(&self, index: usize) -> Note {
        let behind = self.runs.partition_point(|(first, _)| *first <= index);
        behind.checked_sub(1).map_or(Note::UNKNOWN, |run| self.runs[run].1)
    }
}

/// Puts the times of a block's records right.
#[derive(Clone, Copy)]
pub(crate) struct Placing<'a> {
    map: Option<&'a History>,
    sealed: Sealed,
}

impl<'a> Placing<'a> {
    /// By the map of the block's boot, as far as it is known.
    pub(crate) fn new(map: Option<&'a History>, header: &BlockHeader) -> Self {
        let open_ns = map.map_or(0, History::open_ns);
        Self { map, sealed: Sealed { at: BootNanos(header.sealed_boot_ns), open_ns } }
    }

    /// Puts a record's time right that began up to `duration_ns` before it was collected.
    pub(crate) fn record(&self, source: ClockSource, time_ns: &mut i64, duration_ns: u64) -> Note {
        let Some(map) = self.map else { return Note::UNKNOWN };
        let duration_ns = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        let sealed = Sealed { open_ns: self.sealed.open_ns.saturating_add(duration_ns), ..self.sealed };
        let time = map.record_time(source, *time_ns, sealed);
        *time_ns = time.utc_ns;
        Note::of(&time)
    }

    /// Puts the times of many records right, one after the other.
    pub(crate) fn records<'r>(&self, times: impl Iterator<Item = (ClockSource, &'r mut i64, u64)>) -> Notes {
        let mut notes = Notes::default();
        for (index, (source, time_ns, duration_ns)) in times.enumerate() {
            notes.add(index, self.record(source, time_ns, duration_ns));
        }
        notes
    }

    /// Puts the times of a message's rows right, and their milliseconds.
    pub(crate) fn group(&self, group: &mut Group) -> Notes {
        let mut notes = Notes::default();
        let Some(map) = self.map else { return notes };
        let ends = group.times_ns.iter().min().zip(group.times_ns.iter().max());
        let Some((&first_ns, &last_ns)) = ends else { return notes };
        if let Some(all) = map.record_times(group.clock, (first_ns, last_ns), self.sealed) {
            notes.add(0, Note::of(&all));
            return notes;
        }
        let mut last_slot = None;
        for (row, (time_ns, slot)) in group.times_ns.iter_mut().zip(&mut group.slots_ms).enumerate() {
            let shown_ns = *time_ns;
            notes.add(row, self.record(group.clock, time_ns, 0));
            *slot = slot.and_then(|slot| moved(slot, time_ns.saturating_sub(shown_ns), last_slot));
            last_slot = slot.or(last_slot);
        }
        notes
    }
}

/// A sample's millisecond goes where its time goes. It stays one of its own: in a block, as every row moves by about the same,
/// and among blocks, as those of a stretch of one clock do.
fn moved(slot: i64, by_ns: i64, last: Option<i64>) -> Option<i64> {
    let slot = slot.saturating_add(by_ns.div_euclid(1_000_000));
    match last {
        Some(last) if slot <= last && last - slot < SlotMillis::SHIFT_MAX => last.checked_add(1),
        _ => Some(slot),
    }
}

/// At least `value`, with two digits that are not 0.
fn two_digits(value: u64) -> u64 {
    let unit = 10_u64.pow(value.checked_ilog10().unwrap_or(0).saturating_sub(1));
    value.div_ceil(unit).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use store::block::{SamplesBuilder, read_samples};

    use super::*;
    use crate::fixture::{START_NS, clock_map};

    const S: i64 = 1_000_000_000;

    /// A message's rows as the kernel stamped them.
    fn group(times_ns: &[i64]) -> Group {
        let mut builder = SamplesBuilder::new([1], 1_000);
        for &time_ns in times_ns {
            builder.row(0, time_ns, ClockSource::KernelSoftware).unwrap();
            builder.value(0, 0, 1);
        }
        let mut body = Vec::new();
        let count = builder.samples() as u32;
        builder.encode(&mut body);
        read_samples(&body, count).unwrap().groups.remove(0)
    }

    #[test]
    fn bounds_are_rounded_up() {
        for (value, expected) in
            [(0, 0), (1, 1), (99, 99), (100, 100), (101, 110), (12_345, 13_000), (999, 1_000)]
        {
            assert_eq!(two_digits(value), expected, "{value}");
        }
        assert!(two_digits(u64::MAX) >= u64::MAX - 1);
    }

    #[test]
    fn rows_of_a_clock_that_was_set_move_each_to_a_millisecond_of_its_own() {
        let mut map = History::default();
        map.absorb_block(&clock_map(7));
        // CLOCK_REALTIME shows START_NS + BOOTTIME up to 60 s, and is set back an hour there, by somebody.
        let shown = [58 * S, 59 * S, 59 * S + 200_000, 61 * S - 3_600 * S, 62 * S - 3_600 * S];
        let mut group = group(&shown.map(|time| START_NS + time));
        let sealed = Sealed { at: BootNanos(63 * S), open_ns: 5 * S };
        let notes = Placing { map: Some(&map), sealed }.group(&mut group);
        let expected = [58 * S, 59 * S, 59 * S + 200_000, 61 * S, 62 * S].map(|time| START_NS + time);
        for (row, expected) in expected.into_iter().enumerate() {
            let note = notes.at(row);
            let error_ns = note.error_ns.unwrap();
            assert!(group.times_ns[row].abs_diff(expected) <= error_ns, "{row}: {note:?} {group:?}");
            assert_eq!(note.worth, if row < 3 { Worth::Synchronised } else { Worth::Placed }, "{row}");
            let apart = group.slots_ms[row].unwrap().abs_diff(expected.div_euclid(1_000_000));
            assert!(apart <= error_ns.div_ceil(1_000_000) + 1, "{row}: {group:?}");
        }
        assert!(group.slots_ms.is_sorted_by(|a, b| a < b), "{group:?}");
    }

    #[test]
    fn without_a_map_nothing_moves() {
        let times = [START_NS, START_NS + S];
        let mut group = group(&times);
        let sealed = Sealed { at: BootNanos(63 * S), open_ns: 5 * S };
        let notes = Placing { map: None, sealed }.group(&mut group);
        assert_eq!((notes.at(1), group.times_ns), (Note::UNKNOWN, times.to_vec()));
    }
}
