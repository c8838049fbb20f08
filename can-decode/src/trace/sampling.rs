//! Sampling by trace id: every part of a system that decides with the same or a higher ratio keeps the same traces.
//!
//! OpenTelemetry, "Probability Sampling" by `tracestate`: a trace is kept when its random part is not below the threshold.
//! The random part is the trace id's last 7 bytes; senders whose trace ids are not random there (flag bit 1 clear) are
//! taken as if they were, as that document has it.

use heapless::String;

/// 2^56: how many values the random part has.
const VALUES: u64 = 1 << 56;
const DIGITS: usize = 14;

/// Which traces are rejected: those with a random part below this, 0 (none) to 2^56 (all).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps every trace.
    pub const ALWAYS: Self = Self(0);
    /// Keeps none.
    pub const NEVER: Self = Self(VALUES);

    /// Keeps the share `ratio` of all traces: 0, or 2^-56 to 1.
    ///
    /// `None` for what is no such number.
    pub fn from_ratio(ratio: f64) -> Option<Self> {
        if ratio == 0.0 {
            return Some(Self::NEVER);
        }
        // Multiplying by a power of two is exact, so small ratios keep all their digits; the rest is rounded.
        let kept = ratio * VALUES as f64;
        if !(1.0..=VALUES as f64).contains(&kept) {
            return None;
        }
        Some(Self(VALUES - (kept + 0.5) as u64))
    }

    /// The share of all traces that is kept, 0 to 1.
    pub const fn ratio(self) -> f64 {
        (VALUES - self.0) as f64 / VALUES as f64
    }

    /// Whether the trace with this id is kept. No flag is looked at.
    pub const fn keeps(self, trace_id: &[u8; 16]) -> bool {
        randomness(trace_id) >= self.0
    }

    /// The text of OpenTelemetry's `tracestate` member (`ot=th:…`): 1 to 14 lowercase hex digits. `None` for
    /// [`Self::NEVER`], which is no probability.
    pub fn th(self) -> Option<String<DIGITS>> {
        if self.0 >= VALUES {
            return None;
        }
        let mut text = String::new();
        let mut rest = self.0;
        // Zeros at the end are left out, but for the first digit. Fourteen digits have room.
        while text.is_empty() || rest != 0 {
            let digit = (rest >> 52) as u32 & 0xF;
            text.push(char::from_digit(digit, 16)?).ok()?;
            rest = (rest << 4) & (VALUES - 1);
        }
        Some(text)
    }

    /// Reads what [`Self::th`] writes; `None` for other text.
    pub fn parse_th(text: &str) -> Option<Self> {
        if !(1..=DIGITS).contains(&text.len()) {
            return None;
        }
        let digits = text.bytes().map(super::text::digit).chain(core::iter::repeat(Some(0)));
        digits.take(DIGITS).try_fold(0, |value, digit| Some(value << 4 | u64::from(digit?))).map(Self)
    }
}

/// The random part of a trace id (`R`), 0 to 2^56 - 1.
const fn randomness(trace_id: &[u8; 16]) -> u64 {
    u128::from_be_bytes(*trace_id) as u64 & (VALUES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::SpanIds;
    use proptest::prelude::*;

    fn trace(randomness: u64) -> [u8; 16] {
        let mut trace_id = [0xFF; 16];
        trace_id[8..].copy_from_slice(&(randomness | 0xA5 << 56).to_be_bytes());
        trace_id
    }

    #[test]
    fn thresholds_are_those_of_the_rules() {
        let check = |ratio: f64, th: &str| {
            let threshold = Threshold::from_ratio(ratio).unwrap();
            assert_eq!(threshold.th().unwrap(), th, "{ratio}");
            assert_eq!(Threshold::parse_th(th), Some(threshold));
        };
        check(1.0, "0");
        check(0.5, "8");
        check(0.25, "c");
        check(0.75, "4");
        check(1.0 / 16.0, "f");
        check(1.0 / 256.0, "ff");
        check((-56_f64).exp2(), "ffffffffffffff");
        // The documents' example of 1 % has five digits; all of them are these.
        let percent = Threshold::from_ratio(0.01).unwrap();
        assert!(percent.th().unwrap().starts_with("fd70a3d70a3d7"), "{:?}", percent.th());
        assert!((percent.ratio() - 0.01).abs() < 1e-15);
        assert_eq!(Threshold::from_ratio(0.0), Some(Threshold::NEVER));
        assert_eq!(Threshold::NEVER.th(), None);
        for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY, (-57_f64).exp2()] {
            assert_eq!(Threshold::from_ratio(ratio), None, "{ratio}");
        }
        for text in ["", "g", "C", "000000000000000", "+1", "é"] {
            assert_eq!(Threshold::parse_th(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_seven_bytes_decide() {
        let threshold = Threshold::parse_th("c").unwrap();
        let edge = 0xC0_0000_0000_0000;
        assert!(threshold.keeps(&trace(edge)));
        assert!(!threshold.keeps(&trace(edge - 1)));
        assert!(threshold.keeps(&trace(VALUES - 1)));
        assert!(Threshold::ALWAYS.keeps(&trace(0)));
        assert!(!Threshold::NEVER.keeps(&trace(VALUES - 1)));
        // The documents' example of a random value: kept from 56.9 % on.
        let example = trace(0x6E_6D1A_7583_2A2F);
        assert!(Threshold::from_ratio(0.57).unwrap().keeps(&example));
        assert!(!Threshold::from_ratio(0.568).unwrap().keeps(&example));
    }

    #[test]
    fn a_ratio_keeps_its_share() {
        let mut ids = SpanIds::new(3);
        let threshold = Threshold::from_ratio(0.1).unwrap();
        let kept = (0..20_000).filter(|_| threshold.keeps(&trace(u64::from_be_bytes(ids.next_id())))).count();
        assert!((1_850..2_150).contains(&kept), "{kept}");
    }

    proptest! {
        #[test]
        fn a_higher_ratio_keeps_all_that_a_lower_one_keeps(a in 0.0..1.0_f64, b in 0.0..1.0_f64, random: u64) {
            let (low, high) = (Threshold::from_ratio(a.min(b)), Threshold::from_ratio(a.max(b)));
            let (low, high) = (low.unwrap(), high.unwrap());
            prop_assert!(!low.keeps(&trace(random)) || high.keeps(&trace(random)));
            if let Some(th) = low.th() {
                prop_assert_eq!(Threshold::parse_th(&th), Some(low));
            }
        }
    }
}
