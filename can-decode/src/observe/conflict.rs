//! Signs of a second sender of an identifier.
//!
//! Each sign has a score: evidence raises it by one, what speaks against it costs four, so that only what goes on for long
//! counts. A sign is given when its score reaches its limit, and withdrawn when it is back at 0.

/// Which signs of a second sender there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConflictSigns(u8);

impl ConflictSigns {
    /// None.
    pub const NONE: Self = Self(0);
    /// Two alive counters take turns: each frame goes on where the frame before last was.
    pub const COUNTERS: Self = Self(1);
    /// Two frames come in each cycle, at a distance that is not half of it.
    pub const TIMING: Self = Self(2);
    /// Frames of two lengths, or of CAN and CAN-FD, take turns, and two come in each cycle.
    pub const SHAPES: Self = Self(4);

    /// Whether every sign of `other` is there.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn with(self, other: Self, is_there: bool) -> Self {
        if is_there { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
    }
}

/// What a frame says about a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    For,
    Against,
    /// Neither.
    None,
}

const COUNTERS_LIMIT: u8 = 16;
const SHAPES_LIMIT: u8 = 16;
const TIMING_LIMIT: u8 = 32;
const AGAINST_COST: u8 = 4;

/// The rhythm that frames are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    /// The last three periods, the newest first.
    pub(super) period_ns: [i64; 3],
    /// Cycle of one sender; 0 where none is known.
    pub(super) cycle_ns: i64,
    /// Whether the cycle is one that frames have kept, not only one that was promised.
    pub(super) is_learned: bool,
    /// Whether periods are too uneven for [`ConflictSigns::TIMING`]: the stamps are, or the sender is.
    pub(super) is_blurred: bool,
}

impl Rhythm {
    /// Whether the last two periods are one cycle.
    #[inline]
    const fn is_doubled(&self) -> bool {
        let [last, before, _] = self.period_ns;
        last + before <= self.cycle_ns + (self.cycle_ns >> 2) && self.cycle_ns > 0
    }

    /// The last two periods: how far they are apart.
    const fn spread_ns(&self) -> i64 {
        (self.period_ns[0] - self.period_ns[1]).abs()
    }

    /// Two senders with the same cycle come at distances d, T - d, d, T - d. One sender that has become twice as fast
    /// comes at even distances, and that is neither here nor there.
    fn evidence(&self) -> Evidence {
        let [last, before, first] = self.period_ns;
        let eighth_ns = self.cycle_ns >> 3;
        if self.cycle_ns <= 0 || self.is_blurred || first == 0 {
            return Evidence::None;
        }
        let is_cycle = (last + before - self.cycle_ns).abs() <= eighth_ns;
        if !is_cycle || (last - first).abs() > eighth_ns {
            return Evidence::Against;
        }
        if self.spread_ns() < eighth_ns { Evidence::None } else { Evidence::For }
    }
}

/// The signs of one identifier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suspicion {
    counters: u8,
    shapes: u8,
    timing: u8,
    pub(super) signs: ConflictSigns,
    /// Mean of [`Rhythm::spread_ns`] while there is evidence.
    spread_ns: i64,
    /// The same when there was enough evidence for the first time; 0 before.
    spread_first_ns: i64,
}

impl Suspicion {
    /// Takes what a frame says; true when a sign is there now that was not. `takes_turns`: whether the frame has the
    /// shape of the frame before last, and not that of the last one.
    #[inline]
    pub(super) fn frame(&mut self, counters: Evidence, takes_turns: bool, rhythm: &Rhythm) -> bool {
        let is_doubled = rhythm.is_doubled();
        let is_calm = self.counters | self.shapes | self.timing == 0;
        if is_calm && !is_doubled && counters != Evidence::For {
            return false;
        }
        let shapes = if takes_turns && is_doubled { Evidence::For } else { Evidence::Against };
        self.weigh(counters, shapes, rhythm)
    }

    /// Whether frames of a second sender may be among the last ones, so that no cycle can be learned from them.
    pub(super) const fn is_disturbed(&self) -> bool {
        self.timing > 0 || !self.signs.is_empty()
    }

    #[cold]
    fn weigh(&mut self, counters: Evidence, shapes: Evidence, rhythm: &Rhythm) -> bool {
        let timing = rhythm.evidence();
        let before = self.signs;
        let mut update = |sign: ConflictSigns, score: u8, evidence, limit, is_enough: bool| {
            let had_sign = before.contains(sign);
            let score = match evidence {
                Evidence::For => (score + 1).min(limit),
                Evidence::Against => score.saturating_sub(AGAINST_COST),
                Evidence::None if had_sign => score,
                Evidence::None => score.saturating_sub(1),
            };
            let has_sign = score > 0 && (had_sign || (score == limit && is_enough));
            self.signs = self.signs.with(sign, has_sign);
            score
        };
        self.counters = update(ConflictSigns::COUNTERS, self.counters, counters, COUNTERS_LIMIT, true);
        self.shapes = update(ConflictSigns::SHAPES, self.shapes, shapes, SHAPES_LIMIT, true);
        let has_drifted =
            self.spread_first_ns > 0 && (self.spread_ns - self.spread_first_ns).abs() >= rhythm.cycle_ns / 4;
        let is_enough = rhythm.is_learned || has_drifted;
        self.timing = update(ConflictSigns::TIMING, self.timing, timing, TIMING_LIMIT, is_enough);
        self.drift(timing, rhythm);
        self.signs.0 & !before.0 != 0
    }

    /// Two clocks run apart, so that the distance of two senders' frames changes; that of a pair of frames which one
    /// sender sends in each cycle stays.
    fn drift(&mut self, timing: Evidence, rhythm: &Rhythm) {
        if self.timing == 0 {
            (self.spread_ns, self.spread_first_ns) = (0, 0);
        } else if timing == Evidence::For {
            let spread_ns = rhythm.spread_ns();
            let is_first = self.spread_ns == 0;
            self.spread_ns += if is_first { spread_ns } else { (spread_ns - self.spread_ns) >> 4 };
            if self.timing == TIMING_LIMIT && self.spread_first_ns == 0 {
                self.spread_first_ns = self.spread_ns;
            }
        }
    }
}
