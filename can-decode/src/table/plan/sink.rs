//! Where values go: to a closure, or into a buffer.

use core::marker::PhantomData;

use super::{Field, Number};
use crate::extract::Extractor;
use crate::signal::{Raw, Sample};

/// What can be made of a field: [`Raw`], or the physical value as `f64`.
pub trait FromField: Copy + Default {
    /// Of a field of [`Number::Integer`].
    #[doc(hidden)]
    fn integer(field: &Field, raw: u64) -> Self;
    /// Of any field.
    #[doc(hidden)]
    fn any(field: &Field, raw: u64) -> Self;
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
    /// Fields of [`Number::Integer`].
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64);
    /// One field of any kind.
    fn any(&mut self, field: &Field, raw: u64);
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

/// Fills a buffer; what it has no room for is counted only.
pub(super) struct Buffer<'a, V> {
    free: &'a mut [Sample<V>],
    /// How many signals there were.
    pub(super) taken: usize,
}

impl<'a, V> Buffer<'a, V> {
    #[inline]
    pub(super) fn new(free: &'a mut [Sample<V>]) -> Self {
        Self { free, taken: 0 }
    }
}

impl<V: FromField> Sink for Buffer<'_, V> {
    #[inline]
    fn integers(&mut self, fields: &[Field], read: impl Fn(&Extractor) -> u64) {
        let all = core::mem::take(&mut self.free);
        let enough = fields.len() <= all.len();
        let (places, free) = if enough { all.split_at_mut(fields.len()) } else { (all, &mut [][..]) };
        for (place, field) in places.iter_mut().zip(fields) {
            *place = Sample { signal: field.signal, value: V::integer(field, read(&field.extractor)) };
        }
        self.free = free;
        self.taken += fields.len();
    }

    #[inline]
    fn any(&mut self, field: &Field, raw: u64) {
        if let Some((place, free)) = core::mem::take(&mut self.free).split_first_mut() {
            *place = Sample { signal: field.signal, value: V::any(field, raw) };
            self.free = free;
        }
        self.taken += 1;
    }
}
