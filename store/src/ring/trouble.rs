//! What to do when the file does not work: wait, open it anew, or set it aside and begin a fresh one.

/// What failed, as far as it decides what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file's content contradicts itself.
    Corrupt,
    /// Something in it cannot be read.
    Read,
    /// Anything else: card full, read-only, gone.
    Other,
}

/// What to try next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing: it may pass.
    Wait,
    /// Close the file and open it anew: caches are dropped, and a card that was taken out and put back is found.
    Reopen,
    /// Set the file aside, begin a fresh one, and salvage.
    Renew,
}

/// A fault that lasts for less is waited for: a card that is busy with itself answers after some seconds.
const REOPEN_AFTER_NS: i64 = 10_000_000_000;
/// A file that cannot be read for so long has a page that is gone.
const RENEW_AFTER_NS: i64 = 60_000_000_000;
/// And so often.
const RENEW_TRIES: u32 = 5;

/// Faults in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    tries: u32,
    corrupt: u32,
    since_ns: i64,
    reopened_ns: Option<i64>,
}

impl Trouble {
    /// It worked.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// It failed, at this time of the ring.
    pub(super) fn note(&mut self, fault: Fault, now_ns: i64) -> Remedy {
        if self.tries == 0 {
            self.since_ns = now_ns;
        }
        self.tries += 1;
        let lasted = now_ns - self.since_ns;
        match fault {
            // A cache may be what is wrong, once.
            Fault::Corrupt => {
                self.corrupt += 1;
                if self.corrupt > 1 { Remedy::Renew } else { Remedy::Reopen }
            }
            Fault::Read if lasted >= RENEW_AFTER_NS && self.tries >= RENEW_TRIES => Remedy::Renew,
            Fault::Read | Fault::Other => {
                let last = self.reopened_ns.unwrap_or(self.since_ns);
                if now_ns - last < REOPEN_AFTER_NS {
                    return Remedy::Wait;
                }
                self.reopened_ns = Some(now_ns);
                Remedy::Reopen
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_passes_is_waited_for_and_what_lasts_is_not() {
        let check = |faults: &[(Fault, i64, Remedy)]| {
            let mut trouble = Trouble::default();
            for &(fault, at, expected) in faults {
                assert_eq!(trouble.note(fault, at * SECOND), expected, "{faults:?} at {at}");
            }
        };
        check(&[(Fault::Corrupt, 0, Remedy::Reopen), (Fault::Corrupt, 0, Remedy::Renew)]);
        check(&[
            (Fault::Read, 100, Remedy::Wait),
            (Fault::Read, 109, Remedy::Wait),
            (Fault::Read, 110, Remedy::Reopen),
            (Fault::Read, 119, Remedy::Wait),
            (Fault::Read, 120, Remedy::Reopen),
            (Fault::Read, 160, Remedy::Renew),
        ]);
        check(&[
            (Fault::Other, 0, Remedy::Wait),
            (Fault::Other, 10, Remedy::Reopen),
            (Fault::Other, 100, Remedy::Reopen),
            (Fault::Other, 101, Remedy::Wait),
            (Fault::Other, 1000, Remedy::Reopen),
        ]);
        // Not often enough.
        check(&[(Fault::Read, 0, Remedy::Wait), (Fault::Read, 100, Remedy::Reopen)]);
    }
}
