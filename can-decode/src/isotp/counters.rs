//! The books of a listener: every frame and every message it began has one place in them.

use core::fmt;

/// Why a message that began was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandon {
    /// A consecutive frame had another sequence number than the next one: frames are missing, double or in disorder.
    WrongSequence,
    /// The sender began another message (§9.8.3).
    Interrupted,
    /// The next consecutive frame did not come in time (`N_Cr`).
    TimedOut,
    /// The receiver refused the message as too long.
    Overflow,
    /// Too many messages at once; this one had waited longest for its next frame.
    Displaced,
    /// Listening ended ([`super::Reassembler::finish`]).
    Ended,
}

impl Abandon {
    /// All reasons, in the order of the counters.
    pub const ALL: [Self; 6] = [
        Self::WrongSequence,
        Self::Interrupted,
        Self::TimedOut,
        Self::Overflow,
        Self::Displaced,
        Self::Ended,
    ];

    /// In few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::WrongSequence => "wrong sequence number",
            Self::Interrupted => "interrupted by another message",
            Self::TimedOut => "timed out",
            Self::Overflow => "refused by the receiver",
            Self::Displaced => "too many messages at once",
            Self::Ended => "not finished at the end",
        }
    }
}

impl fmt::Display for Abandon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why a frame on a followed identifier is no part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// No byte of protocol control information.
    Empty,
    /// A type that the standard reserves (4 to 15): the identifier may not carry ISO-TP at all.
    UnknownType,
    /// A single frame that says 0 bytes, or more than it has.
    SingleLength,
    /// A first frame of less than 8 bytes, or with a length that a single frame holds, or in the long form with one
    /// that the short form holds.
    FirstLength,
    /// A consecutive frame of no message: its first frame was not seen, or the message was abandoned.
    StrayConsecutive,
    /// A consecutive frame that is next in its message, but shorter than what it had to hold, or longer than the first
    /// frame. Receivers pass over it, too; it ends the message unless the right one follows.
    ConsecutiveLength,
    /// A flow control with a reserved status, or without block size and separation time.
    FlowControlForm,
    /// A flow control while nobody sends in the other direction.
    StrayFlowControl,
    /// Anything but a single frame on a functional identifier, where the standard allows nothing else.
    FunctionalSegment,
}

impl Ignored {
    /// All reasons, in the order of the counters.
    pub const ALL: [Self; 9] = [
        Self::Empty,
        Self::UnknownType,
        Self::SingleLength,
        Self::FirstLength,
        Self::StrayConsecutive,
        Self::ConsecutiveLength,
        Self::FlowControlForm,
        Self::StrayFlowControl,
        Self::FunctionalSegment,
    ];

    /// In few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownType => "unknown type",
            Self::SingleLength => "single frame of impossible length",
            Self::FirstLength => "first frame of impossible length",
            Self::StrayConsecutive => "consecutive frame of no message",
            Self::ConsecutiveLength => "consecutive frame of wrong length",
            Self::FlowControlForm => "malformed flow control",
            Self::StrayFlowControl => "flow control for no message",
            Self::FunctionalSegment => "segmented functional message",
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What a listener has seen so far.
///
/// They balance: `frames` = single + first + consecutive + flow control + all ignored, and
/// `first_frames` = long messages completed (`messages - single_frames`) + all abandoned + those under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Data frames on followed identifiers.
    pub frames: u64,
    /// Messages of one frame.
    pub single_frames: u64,
    /// Beginnings of longer messages.
    pub first_frames: u64,
    /// Consecutive frames that belonged to a message, those that ended it wrongly included.
    pub consecutive_frames: u64,
    /// Flow control frames that belonged to a message.
    pub flow_controls: u64,
    /// Completed messages.
    pub messages: u64,
    /// Of these: too long to be kept as a whole, so that only their head was given.
    pub truncated: u64,
    abandoned: [u64; Abandon::ALL.len()],
    ignored: [u64; Ignored::ALL.len()],
}

impl Counters {
    /// Messages abandoned for `reason`.
    pub const fn abandoned(&self, reason: Abandon) -> u64 {
        self.abandoned[reason as usize]
    }

    /// Frames ignored for `reason`.
    pub const fn ignored(&self, reason: Ignored) -> u64 {
        self.ignored[reason as usize]
    }

    /// Both together: of two listeners of one bus, one after the other.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.frames += other.frames;
        self.single_frames += other.single_frames;
        self.first_frames += other.first_frames;
        self.consecutive_frames += other.consecutive_frames;
        self.flow_controls += other.flow_controls;
        self.messages += other.messages;
        self.truncated += other.truncated;
        self.abandoned.iter_mut().zip(other.abandoned).for_each(|(sum, more)| *sum += more);
        self.ignored.iter_mut().zip(other.ignored).for_each(|(sum, more)| *sum += more);
        self
    }

    /// Messages abandoned for any reason.
    pub fn abandoned_total(&self) -> u64 {
        self.abandoned.iter().sum()
    }

    /// Frames ignored for any reason.
    pub fn ignored_total(&self) -> u64 {
        self.ignored.iter().sum()
    }

    pub(super) const fn count_abandoned(&mut self, reason: Abandon) {
        self.abandoned[reason as usize] += 1;
    }

    pub(super) const fn count_ignored(&mut self, reason: Ignored) {
        self.ignored[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let mut counters = Counters::default();
        for reason in Abandon::ALL {
            counters.count_abandoned(reason);
            assert_eq!(counters.abandoned(reason), 1, "{reason}");
        }
        for reason in Ignored::ALL {
            counters.count_ignored(reason);
            assert_eq!(counters.ignored(reason), 1, "{reason}");
        }
        assert_eq!((counters.abandoned_total(), counters.ignored_total()), (6, 9));
        let both = counters.plus(Counters { frames: 3, ..counters });
        assert_eq!((both.frames, both.abandoned_total(), both.ignored_total()), (3, 12, 18));
    }
}
