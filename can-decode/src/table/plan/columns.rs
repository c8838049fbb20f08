//! Many frames of one message, decoded signal by signal: each signal's shift, mask and scale stay in registers, and the
//! compiler's vectors do several frames at once.

use alloc::vec::Vec;

use super::sink::FromField;
use super::{Action, Block, Field, Plan, Step};
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
        let first = Step { action: self.action, end: self.end, first: 0, last: self.first.len() as u32 };
        Batch { frames, room: &mut *room, visit: &mut *visit }.step(&first, &self.first, rows);
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
            let fields = self.fields.get(step.first as usize..step.last as usize).unwrap_or_default();
            if step.action != Action::Select {
                batch.step(step, fields, rows);
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

    /// Columns of the fields of a step.
    fn step(&mut self, step: &Step, fields: &[Field], rows: &[u32]) {
        let complete =
            rows.iter().all(|row| self.frame(*row).is_some_and(|frame| frame.len() >= usize::from(step.end)));
        if !complete {
            return self.truncated(fields, rows);
        }
        match step.action {
            Action::FirstIntelUnsigned | Action::FirstIntel => {
                self.gather(rows, |frame| u64::from_le_bytes(first_word(frame)));
                self.integers(fields, rows);
            }
            Action::FirstMotorola => {
                self.gather(rows, |frame| u64::from_be_bytes(first_word(frame)));
                self.integers(fields, rows);
            }
            Action::Intel => {
                for field in fields {
                    self.gather(rows, |frame| field.extractor.intel(frame.padded()));
                    self.integers(core::slice::from_ref(field), rows);
                }
            }
            Action::Motorola => {
                for field in fields {
                    self.gather(rows, |frame| field.extractor.motorola(frame.padded()));
                    self.integers(core::slice::from_ref(field), rows);
                }
            }
            Action::Other | Action::Select => self.truncated(fields, rows),
        }
    }

    /// The word that holds the fields, of each row.
    fn gather(&mut self, rows: &[u32], word: impl Fn(&Frame) -> u64) {
        let frames = self.frames;
        self.room.words.clear();
        self.room.words.extend(rows.iter().map(|row| frames.get(*row as usize).map_or(0, &word)));
    }

    /// Columns of integers that the gathered words hold.
    fn integers(&mut self, fields: &[Field], rows: &[u32]) {
        let Columns { words, values, .. } = &mut *self.room;
        for field in fields {
            values.clear();
            // Known outside of the loop, so that it stands there and not in it.
            let field = *field;
            values.extend(words.iter().map(|word| V::integer(&field, field.extractor.pick(*word))));
            (self.visit)(Column { signal: field.signal, rows, values: values.as_slice() });
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

fn first_word(frame: &Frame) -> [u8; 8] {
    frame.padded().first_chunk().copied().unwrap_or_default()
}
