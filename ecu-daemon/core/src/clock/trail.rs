//! The segments of one clock, in order: what the map remembers, and what it hands out.

use std::collections::VecDeque;

use can_decode::BootNanos;

use super::segment::{Opening, Segment};

/// Segments remembered of one clock. A steady clock fills one in half a minute, a restless one in 3 s; older ones have
/// been handed out long since.
pub const SEGMENTS_MAX: usize = 512;

/// A segment and the version of the map in which it last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: u32,
    pub(super) segment: Segment,
}

/// One clock's segments, by time; at most [`SEGMENTS_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    entries: VecDeque<Entry>,
    synchronised: usize,
}

impl Trail {
    /// One that never allocates again.
    pub(super) fn with_room() -> Self {
        Self { entries: VecDeque::with_capacity(SEGMENTS_MAX), synchronised: 0 }
    }

    /// The segment that covers `boot`, or else the last one before it, or else the first one.
    pub(super) fn in_force(&self, boot: BootNanos) -> Option<&Segment> {
        let at = self.entries.partition_point(|entry| entry.segment.from <= boot).saturating_sub(1);
        self.entries.get(at).map(|entry| &entry.segment)
    }

    /// Puts a segment in its place. One that begins where another one began is that one, grown.
    pub(super) fn put(&mut self, version: u32, segment: Segment) {
        let entry = Entry { version, segment };
        let at = self.entries.partition_point(|entry| entry.segment.from < segment.from);
        match self.entries.get_mut(at) {
            Some(there) if there.segment.from == segment.from => {
                if there.version <= version {
                    self.synchronised -= usize::from(there.segment.sync.is_some());
                    self.synchronised += usize::from(segment.sync.is_some());
                    *there = entry;
                }
                return;
            }
            _ => {}
        }
        let mut at = at;
        if self.entries.len() >= SEGMENTS_MAX {
            let Some(gone) = self.entries.pop_front() else { return };
            self.synchronised -= usize::from(gone.segment.sync.is_some());
            at = at.saturating_sub(1);
        }
        self.synchronised += usize::from(segment.sync.is_some());
        self.entries.insert(at, entry);
    }

    pub(super) fn last(&self) -> Option<&Segment> {
        self.entries.back().map(|entry| &entry.segment)
    }

    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The segments that may have been in force between two instants, each with the end of the one before and the
    /// beginning of the one behind it.
    pub(super) fn around(
        &self,
        not_before: BootNanos,
        not_after: BootNanos,
    ) -> impl Iterator<Item = (Option<BootNanos>, &Segment, Option<BootNanos>)> {
        let of = |index: usize| self.entries.get(index).map(|entry| &entry.segment);
        let first = self.entries.partition_point(|entry| entry.segment.to < not_before).saturating_sub(1);
        let behind = self.entries.partition_point(|entry| entry.segment.from <= not_after);
        (first..=behind).filter_map(move |index| {
            let before = index.checked_sub(1).and_then(of).map(|segment| segment.to);
            Some((before, of(index)?, of(index + 1).map(|segment| segment.from)))
        })
    }

    /// The synchronised segments nearest to an instant: the one that covers it or ended before it, and the one after it.
    pub(super) fn synchronised(&self, boot: BootNanos) -> Neighbours<'_> {
        if self.synchronised == 0 {
            return Neighbours::default();
        }
        let split = self.entries.partition_point(|entry| entry.segment.from <= boot);
        let is_synchronised = |entry: &Entry| entry.segment.sync.is_some();
        let before = self.entries.range(..split).rposition(is_synchronised);
        let after = self.entries.range(split..).position(is_synchronised);
        let of = |index: usize| self.entries.get(index).map(|entry| &entry.segment);
        Neighbours {
            before: before.and_then(of),
            after: after.and_then(|after| of(split + after)),
            is_step: before == split.checked_sub(1)
                && after == Some(0)
                && of(split).is_some_and(|segment| segment.opening == Opening::Step),
        }
    }
}

/// What is synchronised on either side of an instant.
#[derive(Default)]
pub(super) struct Neighbours<'a> {
    pub(super) before: Option<&'a Segment>,
    pub(super) after: Option<&'a Segment>,
    /// Whether nothing but a step lies between the two.
    pub(super) is_step: bool,
}
