//! Who makes room: acknowledged blocks first, then the oldest of the least worthy class.

use crate::block::Class;

/// A block that could go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Row in the ring; smaller is older.
    pub id: i64,
    /// Its class.
    pub class: Class,
}

/// What makes room for an incoming block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// An acknowledged block: nothing is lost.
    Acked(i64),
    /// A waiting block: its loss is counted.
    Waiting(Candidate),
    /// The incoming block itself: everything that waits is worth more.
    Incoming,
}

/// Chooses who goes, given the oldest acknowledged block and the oldest waiting block of the least worthy class.
pub fn victim(oldest_acked: Option<i64>, least_waiting: Option<Candidate>, incoming: Class) -> Victim {
    match (oldest_acked, least_waiting) {
        (Some(id), _) => Victim::Acked(id),
        // Equal worth: the newer one tells more, so the older one goes.
        (None, Some(candidate)) if candidate.class >= incoming => Victim::Waiting(candidate),
        _ => Victim::Incoming,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_decides_then_age() {
        let waiting = |class| Some(Candidate { id: 7, class });
        let cases = [
            (Some(3), waiting(Class::Bulk), Class::Critical, Victim::Acked(3)),
            (
                None,
                waiting(Class::Bulk),
                Class::Live,
                Victim::Waiting(Candidate { id: 7, class: Class::Bulk }),
            ),
            (
                None,
                waiting(Class::Live),
                Class::Live,
                Victim::Waiting(Candidate { id: 7, class: Class::Live }),
            ),
            (None, waiting(Class::Critical), Class::Live, Victim::Incoming),
            (None, None, Class::Critical, Victim::Incoming),
        ];
        for (acked, least, incoming, expected) in cases {
            assert_eq!(victim(acked, least, incoming), expected, "{acked:?} {least:?} {incoming:?}");
        }
    }
}
