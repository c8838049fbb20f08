//! A millisecond of its own for each sample of a series.

/// Gives every sample of a series a millisecond of its own, for sinks that keep no finer time (Prometheus).
///
/// Two frames of one message within a millisecond would otherwise collide there and one would be lost. The later one
/// moves to the next free millisecond, at most [`SlotMillis::SHIFT_MAX`]; a burst beyond that has no place. The rule
/// looks only at the frames before it, and blocks carry its state, so that a block gives the same slots whenever and
/// wherever it is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlotMillis {
    last: Option<(i64, i64)>,
}

impl SlotMillis {
    /// The furthest that a sample is moved, milliseconds.
    pub const SHIFT_MAX: i64 = 20;

    /// The slot for a frame at `time_ns` (milliseconds since 1970), or `None` when all slots near it are taken.
    pub fn place(&mut self, time_ns: i64) -> Option<i64> {
        let ms = time_ns.div_euclid(1_000_000);
        let slot = match self.last {
            // Far behind its predecessor: the clock or the recording was set back, not a burst.
            Some((last_ms, _)) if ms < last_ms - Self::SHIFT_MAX => ms,
            Some((_, last_slot)) => ms.max(last_slot + 1),
            None => ms,
        };
        if slot - ms > Self::SHIFT_MAX {
            return None;
        }
        self.last = Some((ms, slot));
        Some(slot)
    }

    /// How much of the state the next frame needs: 0 for none, else the first free slot after its own + 1.
    pub(super) fn carry(self, next_ns: i64) -> u64 {
        let ms = next_ns.div_euclid(1_000_000);
        match self.last {
            Some((last_ms, last_slot)) if last_slot >= ms && ms >= last_ms - Self::SHIFT_MAX => {
                (last_slot - ms + 1).min(Self::SHIFT_MAX + 1) as u64
            }
            _ => 0,
        }
    }

    /// The state that [`Self::carry`] described to the frame at `next_ns`.
    pub(super) fn resume(carry: u64, next_ns: i64) -> Self {
        let ms = next_ns.div_euclid(1_000_000);
        Self { last: (carry > 0).then(|| (ms, ms + carry as i64 - 1)) }
    }
}
