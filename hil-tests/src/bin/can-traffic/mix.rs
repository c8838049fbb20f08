//! Which kind comes next.

use crate::frame::Kind;

/// Kinds with weights, interleaved as evenly as the weights allow, always in the same order.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    weights: [i64; Kind::ALL.len()],
    credits: [i64; Kind::ALL.len()],
}

impl Mix {
    /// From text such as `classic=7,fd=2,error=1`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut weights = [0; Kind::ALL.len()];
        for part in text.split(',') {
            let (name, weight) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is not KIND=WEIGHT"))?;
            let index = Kind::ALL.iter().position(|kind| kind.name() == name);
            let index = index.ok_or_else(|| format!("{name:?} is no kind; there are {}", names()))?;
            let weight: u16 = weight.parse().map_err(|_| format!("{weight:?} is no weight of 0 to 65535"))?;
            weights[index] = i64::from(weight);
        }
        if weights.iter().all(|&weight| weight == 0) {
            return Err(format!("{text:?} sends nothing"));
        }
        Ok(Self { weights, credits: [0; Kind::ALL.len()] })
    }

    /// Whether any kind of it is CAN FD.
    pub(crate) fn needs_fd(&self) -> bool {
        Kind::ALL.iter().zip(self.weights).any(|(kind, weight)| weight > 0 && kind.needs_fd())
    }

    /// The next one: whoever has waited longest in proportion to its weight.
    pub(crate) fn next(&mut self) -> Kind {
        let mut best = 0;
        for (index, weight) in self.weights.iter().enumerate() {
            self.credits[index] += weight;
            if self.credits[index] > self.credits[best] {
                best = index;
            }
        }
        self.credits[best] -= self.weights.iter().sum::<i64>();
        Kind::ALL[best]
    }
}

fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_exactly_and_evenly() {
        let mut mix = Mix::parse("classic=7,fd=2,error=1").expect("a mix");
        let kinds: Vec<Kind> = (0..100).map(|_| mix.next()).collect();
        for part in kinds.chunks(10) {
            let count = |kind| part.iter().filter(|&&other| other == kind).count();
            assert_eq!((count(Kind::Classic), count(Kind::Fd), count(Kind::Error)), (7, 2, 1));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "classic", "classic=-1", "diesel=1", "classic=0", "classic=70000"] {
            assert!(Mix::parse(text).is_err(), "{text:?}");
        }
    }
}
