//! Where values go: to a closure, or into a buffer.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::sync::atomic::{Ordering, compiler_fence};

use super::pair::{Lane, Pair};
use super::{Action, Field, Number, Run};
use crate::extract::Extractor;
use crate::frame::FD_LEN_MAX;
use crate::signal::Raw;

/// What can be made of a field: [`Raw`], or the physical value as `f64`.
pub trait FromField: Copy + Default {
    /// Of an integer that an `i64` holds.
    #[doc(hidden)]
    fn integer(field: &Field, raw: u64) -> Self;
    /// Of any field.
    #[doc(hidden)]
    fn any(field: &Field, raw: u64) -> Self;
    /// Of all fields of a run, into a buffer.
    #[doc(hidden)]
    fn fill(run: &Run<'_>, payload: &[u8; FD_LEN_MAX], buffer: &mut Buffer<'_, Self>);
    /// Of a field of a run, in many words that hold it.
    #[doc(hidden)]
    fn column(field: &Field, words: &[u64], values: &mut Vec<Self>);
}

impl FromField for Raw {
    #[inline]
    fn integer(_: &Field, raw: u64) -> Self {
        Self(raw)
    }

    #[inline]
    fn any(_: &Field, raw: u64) -> Self {
        Self(raw)
    }

    #[inline]
    fn fill(run: &Run<'_>, payload: &[u8; FD_LEN_MAX], buffer: &mut Buffer<'_, Self>) {
        integers(run, payload, buffer);
    }

    #[inline]
    fn column(field: &Field, words: &[u64], values: &mut Vec<Self>) {
        let extractor = field.extractor;
        values.extend(words.iter().map(|word| Self(extractor.pick(*word))));
    }
}

impl FromField for f64 {
    #[inline]
    fn integer(field: &Field, raw: u64) -> Self {
        raw as i64 as Self * field.factor + field.offset
    }

    #[inline]
    fn any(field: &Field, raw: u64) -> Self {
        field.number.of(raw) * field.factor + field.offset
    }

    #[inline]
    fn fill(run: &Run<'_>, payload: &[u8; FD_LEN_MAX], buffer: &mut Buffer<'_, Self>) {
        match run.action {
            Action::FirstIntelUnsigned | Action::FirstIntel | Action::FirstMotorola => {
                let intel = Extractor::word(payload, 0);
                let word = if run.action == Action::FirstMotorola { intel.swap_bytes() } else { intel };
                buffer.pairs(run, |pair| pair.physical([word; 2]));
            }
            Action::Intel => buffer.pairs(run, |pair| pair.physical(pair.words(payload))),
            Action::Motorola => {
                buffer.pairs(run, |pair| pair.physical(pair.words(payload).map(u64::swap_bytes)));
            }
            Action::Other | Action::Select => {}
        }
    }

    #[inline]
    fn column(field: &Field, words: &[u64], values: &mut Vec<Self>) {
        let Some(lane) = Lane::of(field) else { return };
        values.extend(words.iter().map(|word| lane.physical(*word)));
    }
}

impl Number {
    #[inline]
    fn of(self, raw: u64) -> f64 {
        match self {
            Self::Integer => raw as i64 as f64,
            Self::Unsigned64 => raw as f64,
            Self::F32 => f64::from(f32::from_bits(raw as u32)),
            Self::F64 => f64::from_bits(raw),
        }
    }
}

/// Takes fields as they come out of a payload.
///
/// Its state is to stay in registers on the way that nearly every frame goes, so that only what is inlined there may
/// have its address; everything else is lent a copy.
pub(super) trait Sink: Sized {
    /// All fields of a run, which the payload holds.
    fn run(&mut self, run: &Run<'_>, payload: &[u8; FD_LEN_MAX]);
    /// Fields of a run one by one.
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64);
    /// One field of any kind.
    fn any(&mut self, field: &Field, raw: u64);
}

/// Takes the fields of a run one by one, as its action says.
#[inline]
fn integers(run: &Run<'_>, payload: &[u8; FD_LEN_MAX], sink: &mut impl Sink) {
    let first = Extractor::word(payload, 0);
    match run.action {
        Action::FirstIntelUnsigned => sink.integers(run.fields, |field| field.pick_unsigned(first)),
        Action::FirstIntel => sink.integers(run.fields, |field| field.pick(first)),
        Action::FirstMotorola => sink.integers(run.fields, |field| field.pick(first.swap_bytes())),
        Action::Intel => sink.integers(run.fields, |field| field.pick(field.intel(payload))),
        Action::Motorola => sink.integers(run.fields, |field| field.pick(field.motorola(payload))),
        Action::Other | Action::Select => {}
    }
}

/// Calls a closure with a signal's index and value.
pub(super) struct Visitor<V, F> {
    visit: F,
    value: PhantomData<V>,
    /// How many signals there were.
    pub(super) taken: usize,
}

impl<V, F: FnMut(usize, V)> Visitor<V, F> {
    #[inline]
    pub(super) fn new(visit: F) -> Self {
        Self { visit, value: PhantomData, taken: 0 }
    }
}

impl<V: FromField, F: FnMut(usize, V)> Sink for Visitor<V, F> {
    #[inline]
    fn run(&mut self, run: &Run<'_>, payload: &[u8; FD_LEN_MAX]) {
        integers(run, payload, self);
    }

    #[inline]
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64) {
        for field in fields {
            (self.visit)(usize::from(field.signal), V::integer(field, read(&field.extractor)));
        }
        self.taken += fields.len();
    }

    #[inline]
    fn any(&mut self, field: &Field, raw: u64) {
        (self.visit)(usize::from(field.signal), V::any(field, raw));
        self.taken += 1;
    }
}

/// Fills a buffer that has one place more than there can be signals: pairs are written whole.
pub struct Buffer<'a, V> {
    signals: &'a mut [u16],
    values: &'a mut [V],
    /// How many signals there were.
    pub(super) taken: usize,
}

impl<'a, V> Buffer<'a, V> {
    #[inline]
    pub(super) fn new(signals: &'a mut [u16], values: &'a mut [V]) -> Self {
        Self { signals, values, taken: 0 }
    }

    /// The next `count` places.
    #[inline]
    fn next(&mut self, count: usize) -> (&mut [u16], &mut [V]) {
        let places = self.taken..self.taken + count;
        let signals = self.signals.get_mut(places.clone()).unwrap_or_default();
        (signals, self.values.get_mut(places).unwrap_or_default())
    }

    /// Fields of a run two by two.
    #[inline]
    fn pairs(&mut self, run: &Run<'_>, physical: impl Fn(&Pair) -> [V; 2]) {
        let (signals, values) = self.next(run.pairs.len() * 2);
        let (signals, values) = (signals.as_chunks_mut::<2>().0, values.as_chunks_mut::<2>().0);
        for ((signals, values), pair) in signals.iter_mut().zip(values).zip(run.pairs) {
            *signals = pair.signal;
            *values = physical(pair);
            // No instruction, but it keeps the compiler from vectors across pairs, whose shuffles cost a tenth more time
            // a frame (W2) than there is to save.
            compiler_fence(Ordering::AcqRel);
        }
        self.taken += run.fields.len();
    }
}

impl<V: FromField> Sink for Buffer<'_, V> {
    #[inline]
    fn run(&mut self, run: &Run<'_>, payload: &[u8; FD_LEN_MAX]) {
        V::fill(run, payload, self);
    }

    #[inline]
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64) {
        let (signals, values) = self.next(fields.len());
        for ((signal, value), field) in signals.iter_mut().zip(values).zip(fields) {
            (*signal, *value) = (field.signal, V::integer(field, read(&field.extractor)));
        }
        self.taken += fields.len();
    }

    #[inline]
    fn any(&mut self, field: &Field, raw: u64) {
        let (signals, values) = self.next(1);
        if let ([signal], [value]) = (signals, values) {
            (*signal, *value) = (field.signal, V::any(field, raw));
        }
        self.taken += 1;
    }
}
