//! Many frames of one message, decoded signal by signal: each signal's shift, mask and scale stay in registers, and the
//! compiler's vectors do several frames at once.

use alloc::vec::Vec;

use super::sink::FromField;
use super::{Action, Block, Field, Plan, Run};
use crate::extract::Extractor;
use crate::frame::Frame;

/// Values of one signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column<'a, V> {
    /// Index of the signal in its message.
    pub signal: u16,
    /// Which of the frames had it, ascending.
    pub rows: &'a [u32],
    /// Its value in each of them.
    pub values: &'a [V],
}

/// Room to work in, to be used again for the next frames.
#[derive(Clone, Debug, Default)]
pub struct Columns<V> {
    pub(in crate::table) rows: Vec<u32>,
    words: Vec<u64>,
    values: Vec<V>,
}

impl Plan {
    /// Rows of `frames` are those of this message; `visit` sees each signal once for each set of signals it stands in.
    pub(in crate::table) fn columns<V: FromField>(
        &self,
        frames: &[Frame],
        rows: &[u32],
        room: &mut Columns<V>,
        visit: &mut impl FnMut(Column<'_, V>),
    ) {
        Batch { frames, room: &mut *room, visit: &mut *visit }.run(&self.first(), self.end, rows);
        if let Some(rest) = &self.rest {
            rest.columns(rest.root, rows, &mut Batch { frames, room, visit });
        }
    }
}

impl super::Rest {
    fn columns<V: FromField>(
        &self,
        block: Block,
        rows: &[u32],
        batch: &mut Batch<'_, V, impl FnMut(Column<'_, V>)>,
    ) {
        for step in self.steps.get(block.first as usize..block.last as usize).unwrap_or_default() {
            if step.action != Action::Select {
                batch.run(&self.run(step), step.end, rows);
                continue;
            }
            let Some(selection) = self.selections.get(step.first as usize) else { continue };
            let mut chosen: Vec<(Block, u32)> = Vec::with_capacity(rows.len());
            for row in rows {
                if let Some(frame) = batch.frame(*row).filter(|frame| frame.len() >= usize::from(step.end)) {
                    chosen.push((selection.block_of(selection.selector.read(frame.padded())), *row));
                }
            }
            // Rows stay ascending within a block.
            chosen.sort_unstable();
            for same in chosen.chunk_by(|one, other| one.0 == other.0) {
                let rows: Vec<u32> = same.iter().map(|(_, row)| *row).collect();
                if let Some((block, _)) = same.first() {
                    self.columns(*block, &rows, batch);
                }
            }
        }
    }
}

/// What is being decoded, and where it goes.
struct Batch<'a, V, F> {
    frames: &'a [Frame],
    room: &'a mut Columns<V>,
    visit: &'a mut F,
}

impl<V: FromField, F: FnMut(Column<'_, V>)> Batch<'_, V, F> {
    fn frame(&self, row: u32) -> Option<&Frame> {
        self.frames.get(row as usize)
    }

    /// Columns of the fields of a run, which are there from a payload length of `end` on.
    fn run(&mut self, run: &Run<'_>, end: u8, rows: &[u32]) {
        if self.len_min(rows) < usize::from(end) || run.action >= Action::Other {
            return self.truncated(run.fields, rows);
        }
        let motorola = matches!(run.action, Action::FirstMotorola | Action::Motorola);
        // Fields that come out of one load stand together mostly.
        for fields in run.fields.chunk_by(|one, other| one.extractor.load() == other.extractor.load()) {
            let load = fields.first().map_or(0, |field| field.extractor.load());
            if motorola {
                self.gather(rows, |frame| Extractor::word(frame.padded(), load).swap_bytes());
            } else {
                self.gather(rows, |frame| Extractor::word(frame.padded(), load));
            }
            let Columns { words, values, .. } = &mut *self.room;
            for field in fields {
                values.clear();
                V::column(field, words, values);
                (self.visit)(Column { signal: field.signal, rows, values: values.as_slice() });
            }
        }
    }

    /// Length of the shortest payload.
    fn len_min(&self, rows: &[u32]) -> usize {
        if rows.len() == self.frames.len() {
            // All of them, as rows ascend.
            return self.frames.iter().fold(usize::MAX, |min, frame| min.min(frame.len()));
        }
        rows.iter().filter_map(|row| self.frame(*row)).fold(usize::MAX, |min, frame| min.min(frame.len()))
    }

    /// The word that holds the fields, of each row.
    fn gather(&mut self, rows: &[u32], word: impl Fn(&Frame) -> u64) {
        let frames = self.frames;
        self.room.words.clear();
        if rows.len() == frames.len() {
            self.room.words.extend(frames.iter().map(word));
        } else {
            self.room.words.extend(rows.iter().map(|row| frames.get(*row as usize).map_or(0, &word)));
        }
    }

    /// Columns of those rows that hold a field completely, whatever it is.
    fn truncated(&mut self, fields: &[Field], rows: &[u32]) {
        for field in fields {
            let mut having = Vec::with_capacity(rows.len());
            self.room.values.clear();
            for row in rows {
                if let Some(frame) =
                    self.frames.get(*row as usize).filter(|frame| frame.len() >= field.extractor.end())
                {
                    having.push(*row);
                    self.room.values.push(V::any(field, field.extractor.read(frame.padded())));
                }
            }
            if !having.is_empty() {
                (self.visit)(Column { signal: field.signal, rows: &having, values: &self.room.values });
            }
        }
    }
}
