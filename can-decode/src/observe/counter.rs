//! Alive counters: frames that are missing, repeated, or of a second sender.

use crate::extract::Extractor;
use crate::frame::Frame;
use crate::signal::{Signal, ValueKind};

/// Steps of one in a row after which a field that is only called a counter counts as one.
const PROOF: u8 = 32;
/// Most steps that are remembered; each gap costs [`GAP_COST`] of them, so that a field that has ceased to count is taken
/// for a counter no longer, while a counter of which a third is lost still is one.
const RUN_MAX: u8 = 64;
const GAP_COST: u8 = 2;

/// Where a message has its alive counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliveCounter {
    field: Extractor,
    /// Largest value that fits.
    max: u16,
}

impl AliveCounter {
    /// Most bits of a counter. Longer ones would take too long to show how they wrap, and count other things.
    pub const BITS_MAX: u8 = 8;

    /// Smallest: one bit cannot tell a missing frame from a repeated one.
    pub const BITS_MIN: u8 = 2;

    /// A signal that is called a counter; it is taken as one when it has counted 32 frames in a row. It may begin at 0 or
    /// 1, and end a little before its largest value.
    ///
    /// `None` for a signal of less than 2 or more than 8 bits, for numbers with a sign or a point, and for signals that
    /// are not in every frame.
    pub fn of(signal: &Signal) -> Option<Self> {
        let is_in_size = (Self::BITS_MIN..=Self::BITS_MAX).contains(&signal.bits);
        if !is_in_size
            || signal.kind != ValueKind::Unsigned
            || signal.branch.is_some()
            || signal.is_multiplexor
        {
            return None;
        }
        let field = Extractor::new(signal.start_bit, signal.bits, signal.byte_order, false)?;
        Some(Self { field, max: (1 << signal.bits) - 1 })
    }

    #[inline]
    pub(super) fn read(&self, frame: &Frame) -> Option<u16> {
        // An unsigned field of at most 8 bits.
        (self.field.end() <= frame.len()).then(|| self.field.read(frame.padded()) as u16)
    }
}

/// What a counter's value says about its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet: it is the first, or the field has not shown that it is a counter.
    Unknown,
    Next,
    Repeated,
    /// So many frames are missing; 0 for a value that the counter does not have.
    Gap(u16),
    /// The next of the sequence before last: two senders take turns.
    OtherSequence,
}

/// The sequence of one id's counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    last: u16,
    before_last: u16,
    first: u16,
    wrap: u16,
    max: u16,
    run: u8,
    /// How many of the two last values there are.
    seen: u8,
    is_proven: bool,
    is_declared: bool,
    has_wrapped: bool,
}

impl Sequence {
    /// A counter from 0 to `max` that is known to be one.
    pub(super) const fn declared(max: u16) -> Self {
        Self {
            last: 0,
            before_last: 0,
            first: 0,
            wrap: max,
            max,
            run: RUN_MAX,
            seen: 0,
            is_proven: true,
            is_declared: true,
            has_wrapped: true,
        }
    }

    /// A field that has to show whether it counts.
    pub(super) const fn candidate(counter: &AliveCounter) -> Self {
        Self {
            run: 0,
            is_proven: false,
            is_declared: false,
            has_wrapped: false,
            ..Self::declared(counter.max)
        }
    }

    pub(super) const fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Forgets where the sequence was: frames are known to be missing, and not by the sender.
    pub(super) const fn interrupt(&mut self) {
        self.seen = 0;
    }

    #[inline]
    pub(super) fn step(&mut self, value: u16) -> Step {
        let step = match self.seen {
            0 => Step::Unknown,
            _ if value == self.successor(self.last) => {
                self.has_wrapped |= self.last == self.wrap;
                self.run = (self.run + 1).min(RUN_MAX);
                self.is_proven |= self.run >= PROOF;
                if self.is_proven { Step::Next } else { Step::Unknown }
            }
            _ if self.is_proven => self.irregular(value),
            _ => {
                self.learn(value);
                Step::Unknown
            }
        };
        (self.before_last, self.last) = (self.last, value);
        self.seen = (self.seen + 1).min(2);
        step
    }

    const fn successor(&self, value: u16) -> u16 {
        if value == self.wrap { self.first } else { value + 1 }
    }

    /// A proven counter that does not go on with the next value.
    fn irregular(&mut self, value: u16) -> Step {
        if value == self.last {
            return Step::Repeated;
        }
        if self.is_wrap(value) && !self.has_wrapped {
            (self.first, self.wrap, self.has_wrapped) = (value, self.last, true);
            return Step::Next;
        }
        if !self.is_declared && self.last == self.wrap && value == self.last + 1 {
            // It has wrapped earlier because frames were missing there.
            (self.wrap, self.has_wrapped) = (self.max, false);
            return Step::Next;
        }
        if self.seen == 2 && value == self.successor(self.before_last) {
            return Step::OtherSequence;
        }
        if !self.is_declared {
            self.run = self.run.saturating_sub(GAP_COST);
            self.is_proven = self.run > 0;
        }
        if value < self.first || value > self.wrap || self.last < self.first {
            return Step::Gap(0);
        }
        let len = u32::from(self.wrap - self.first) + 1;
        let distance = (u32::from(value) + len - u32::from(self.last)) % len;
        Step::Gap(distance.saturating_sub(1) as u16)
    }

    /// A field that has not shown yet that it counts, and does not go on with the next value.
    fn learn(&mut self, value: u16) {
        let is_known = self.has_wrapped && (self.first, self.wrap) != (value, self.last);
        if self.is_wrap(value) && !is_known {
            (self.first, self.wrap, self.has_wrapped) = (value, self.last, true);
            self.run = (self.run + 1).min(RUN_MAX);
            return;
        }
        (self.first, self.wrap, self.has_wrapped, self.run) = (0, self.max, false, 0);
    }

    /// Whether this may be the counter's way from its largest value to its first one: back to 0 or 1, from a value that
    /// leaves out few.
    const fn is_wrap(&self, value: u16) -> bool {
        value <= 1 && self.last > value && self.last + 1 > self.max - (self.max + 1) / 16
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::signal::tests::plain;

    fn candidate(bits: u8) -> Sequence {
        Sequence::candidate(&AliveCounter::of(&plain("COUNTER", 0, bits)).unwrap())
    }

    /// A counter that has counted `frames` frames between its ends.
    fn counting(mut sequence: Sequence, first: u16, wrap: u16, frames: u16) -> Sequence {
        for frame in 0..frames {
            sequence.step(first + frame % (wrap - first + 1));
        }
        sequence
    }

    fn steps(mut sequence: Sequence, values: &[u16]) -> Vec<Step> {
        values.iter().map(|value| sequence.step(*value)).collect()
    }

    #[test]
    fn fields_prove_that_they_count() {
        let check = |bits, first, wrap, frames, expected| {
            let sequence = counting(candidate(bits), first, wrap, frames);
            assert_eq!(sequence.is_proven(), expected, "{bits} bits, {first} to {wrap}, {frames} frames");
        };
        for (bits, first, wrap) in
            [(2, 0, 3), (2, 1, 3), (4, 0, 15), (4, 0, 14), (4, 1, 15), (4, 1, 14), (8, 0, 255), (8, 1, 250)]
        {
            check(bits, first, wrap, 33, true);
            check(bits, first, wrap, 32, false);
        }
        // Back to 0 in the middle of the range: no wrap, or frames are missing.
        check(4, 0, 9, 1000, false);
        check(8, 0, 99, 99, true);
        let mut standing = candidate(4);
        for value in (0..1000).map(|frame| frame / 2 % 16) {
            assert_eq!(standing.step(value), Step::Unknown);
        }
    }

    #[test]
    fn gaps_and_repetitions_are_told() {
        let check = |sequence: Sequence, values: &[u16], expected: &[Step]| {
            assert_eq!(steps(sequence, values), expected, "{values:?}");
        };
        let full = || counting(candidate(4), 0, 15, 48);
        check(full(), &[0, 1, 2], &[Step::Next; 3]);
        check(full(), &[1, 2, 2, 4], &[Step::Gap(1), Step::Next, Step::Repeated, Step::Gap(1)]);
        check(full(), &[14, 15], &[Step::Gap(14), Step::Next]);
        let until_14 = || counting(candidate(4), 0, 14, 45);
        check(
            until_14(),
            &[0, 2, 13, 14, 0],
            &[Step::Next, Step::Gap(1), Step::Gap(10), Step::Next, Step::Next],
        );
        // It goes up to 15 after all: its way was cut short by missing frames.
        check(until_14(), &[15, 0, 1], &[Step::Next; 3]);
        check(counting(candidate(4), 1, 15, 45), &[0, 1], &[Step::Gap(0), Step::Next]);
        // A counter of 8 bits shows where it wraps only after a while.
        check(counting(candidate(8), 1, 254, 254), &[1, 2], &[Step::Next; 2]);
        check(counting(candidate(8), 0, 255, 100), &[102, 1], &[Step::Gap(2), Step::Gap(154)]);
        let declared = counting(Sequence::declared(14), 0, 14, 3);
        check(declared, &[3, 3, 5, 4], &[Step::Next, Step::Repeated, Step::Gap(1), Step::OtherSequence]);
        let long = counting(Sequence::declared(u16::MAX), 0, 2, 3);
        check(long, &[3, u16::MAX, 0], &[Step::Next, Step::Gap(65_531), Step::Next]);
    }

    #[test]
    fn two_sequences_that_take_turns_are_told_from_gaps() {
        let sequence = counting(candidate(4), 0, 15, 48);
        let other = Step::OtherSequence;
        assert_eq!(steps(sequence, &[9, 0, 10, 1, 11]), [Step::Gap(9), other, other, other, other]);
    }

    #[test]
    fn a_field_that_has_ceased_to_count_is_no_counter() {
        let mut sequence = counting(candidate(4), 0, 15, 100);
        let gaps = (0..1000).filter(|frame| matches!(sequence.step(frame * 7 % 16), Step::Gap(_))).count();
        assert_eq!((gaps, sequence.is_proven()), (32, false));
        sequence = counting(candidate(4), 0, 15, 100);
        let mut value = 4;
        for frame in 0..3000 {
            value = (value + if frame % 3 == 0 { 2 } else { 1 }) % 16;
            sequence.step(value);
        }
        assert!(sequence.is_proven(), "a third of the steps are gaps");
    }

    #[test]
    fn an_interruption_is_no_gap() {
        let mut sequence = counting(candidate(4), 0, 15, 48);
        sequence.interrupt();
        assert_eq!([sequence.step(9), sequence.step(10)], [Step::Unknown, Step::Next]);
    }
}
