//! Who makes room: acknowledged blocks first, then by worth and age, and nobody below a floor.

use crate::block::Class;

/// Worths, as many as classes. A block's worth is its class, or [`Class::Critical`] once it is preserved.
pub const WORTHS: usize = Class::ALL.len();

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// The bounds of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Database and -wal together, bytes; at least 16 MiB is used.
    pub bytes_max: u64,
    /// The ring stops growing when less than this is free on its file system, bytes; at most a sixteenth of the file
    /// system's size is asked for.
    pub free_bytes_min: u64,
    /// What is left to the waiting blocks of each worth when others need room, bytes. All floors together are at most
    /// half of what the ring holds; larger ones are scaled down.
    pub floor_bytes: [u64; WORTHS],
    /// How long a waiting or acknowledged block of each worth is kept, nanoseconds of the ring's own time; `None`: while
    /// there is room.
    pub age_ns_max: [Option<i64>; WORTHS],
    /// What preserved blocks of lesser classes may take, bytes.
    pub preserved_bytes_max: u64,
}

impl Retention {
    /// The defaults for a ring of `bytes_max` bytes: an eighth each for critical blocks, traces and live signals, a
    /// sixteenth for logs; 30 days, 7 days, 24 hours, 24 hours, and bulk while there is room; a quarter may be
    /// preserved.
    pub const fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            free_bytes_min: 16 << 20,
            floor_bytes: [bytes_max / 8, bytes_max / 8, bytes_max / 8, bytes_max / 16, 0],
            age_ns_max: [Some(30 * DAY_NS), Some(7 * DAY_NS), Some(DAY_NS), Some(DAY_NS), None],
            preserved_bytes_max: bytes_max / 4,
        }
    }

    /// With floors that leave half of `bytes` to whoever comes.
    #[must_use]
    pub fn fitted(mut self, bytes: u64) -> Self {
        let sum: u64 = self.floor_bytes.iter().fold(0, |sum, floor| sum.saturating_add(*floor));
        if sum > bytes / 2 {
            for floor in &mut self.floor_bytes {
                *floor = (u128::from(*floor) * u128::from(bytes / 2) / u128::from(sum)) as u64;
            }
        }
        self
    }
}

/// Bytes of pages that blocks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Waiting blocks, by worth.
    pub waiting: [u64; WORTHS],
    /// Acknowledged ones that are still there.
    pub acked: u64,
    /// Damaged and unreadable ones, whose pages cannot be used again.
    pub lost: u64,
    /// Of the waiting ones, those of lesser classes that are preserved.
    pub preserved: u64,
}

impl Room {
    /// All of it.
    pub fn used(&self) -> u64 {
        self.waiting.iter().sum::<u64>() + self.acked + self.lost
    }

    /// A block of this class waits, at this worth.
    pub fn wait(&mut self, worth: usize, class: Class, bytes: u64) {
        self.waiting[worth.min(WORTHS - 1)] += bytes;
        if worth != usize::from(class.number()) {
            self.preserved += bytes;
        }
    }

    /// It waits no more.
    pub fn leave(&mut self, worth: usize, class: Class, bytes: u64) {
        let waiting = &mut self.waiting[worth.min(WORTHS - 1)];
        *waiting = waiting.saturating_sub(bytes);
        if worth != usize::from(class.number()) {
            self.preserved = self.preserved.saturating_sub(bytes);
        }
    }
}

/// Whose turn it is to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The least worthy, then oldest acknowledged block: nothing is lost.
    Acked,
    /// The oldest waiting block of this worth: its loss is counted.
    Waiting(Class),
    /// The incoming block itself: everything else is worth more, or owed its floor.
    Incoming,
}

/// What cannot make room, because what there is of it is under way or below its floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barred {
    /// Acknowledged blocks.
    pub acked: bool,
    /// Waiting ones, by worth.
    pub waiting: [bool; WORTHS],
}

/// What is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What it is worth.
    pub worth: Class,
    /// Whether it is older than what is there: a salvaged block. Then it makes none of its own worth go.
    pub is_old: bool,
}

/// Chooses who goes.
pub fn victim(room: &Room, floors: &[u64; WORTHS], barred: &Barred, incoming: Incoming) -> Victim {
    if room.acked > 0 && !barred.acked {
        return Victim::Acked;
    }
    let own = usize::from(incoming.worth.number());
    let free = |at: usize| room.waiting[at] > 0 && !barred.waiting[at];
    let from_least = || Class::ALL.iter().rev().map(|worth| (*worth, usize::from(worth.number())));
    // Whoever is below its floor takes from anyone above theirs.
    if room.waiting[own] < floors[own]
        && let Some((worth, _)) =
            from_least().find(|&(_, at)| at != own && free(at) && room.waiting[at] > floors[at])
    {
        return Victim::Waiting(worth);
    }
    // Equal worth: the newer one tells more, so the older one goes.
    let least = own + usize::from(incoming.is_old);
    let is_lesser = |at: usize| at >= least && free(at) && (at == own || room.waiting[at] > floors[at]);
    if let Some((worth, _)) = from_least().find(|&(_, at)| is_lesser(at)) {
        return Victim::Waiting(worth);
    }
    Victim::Incoming
}

/// Whether a waiting block of `bytes` may go for `incoming` without taking its worth below its floor.
pub fn keeps_floor(
    room: &Room,
    floors: &[u64; WORTHS],
    worth: Class,
    bytes: u64,
    incoming: Incoming,
) -> bool {
    let at = usize::from(worth.number());
    // What comes in its place is of the same worth.
    worth == incoming.worth || room.waiting[at].saturating_sub(bytes) >= floors[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOORS: [u64; WORTHS] = [10, 10, 10, 10, 0];

    fn check(waiting: [u64; WORTHS], acked: u64, worth: Class, expected: Victim) {
        let room = Room { waiting, acked, ..Room::default() };
        let incoming = Incoming { worth, is_old: false };
        let chosen = victim(&room, &FLOORS, &Barred::default(), incoming);
        assert_eq!(chosen, expected, "{waiting:?} {acked} {worth:?}");
    }

    #[test]
    fn acked_then_worth_then_age_and_nobody_below_a_floor() {
        let waiting = Victim::Waiting;
        for (bytes, acked, worth, expected) in [
            ([50, 50, 50, 50, 50], 1, Class::Critical, Victim::Acked),
            ([50, 50, 50, 50, 50], 0, Class::Critical, waiting(Class::Bulk)),
            ([50, 50, 50, 50, 0], 0, Class::Critical, waiting(Class::Logs)),
            ([50, 50, 50, 10, 0], 0, Class::Critical, waiting(Class::Live)),
            ([50, 10, 10, 10, 0], 0, Class::Critical, waiting(Class::Critical)),
            // Equal worth: the older one.
            ([50, 50, 50, 10, 0], 0, Class::Live, waiting(Class::Live)),
            // Nothing lesser, and no floor owed.
            ([50, 50, 0, 0, 0], 0, Class::Bulk, Victim::Incoming),
            // Below its floor, it takes from a worthier class that is above its own.
            ([50, 10, 5, 0, 0], 0, Class::Live, waiting(Class::Critical)),
            ([5, 5, 5, 0, 0], 0, Class::Live, waiting(Class::Live)),
            ([50, 10, 0, 0, 0], 0, Class::Live, waiting(Class::Critical)),
            ([10, 50, 0, 0, 0], 0, Class::Logs, waiting(Class::Traces)),
            ([0; 5], 0, Class::Critical, Victim::Incoming),
        ] {
            check(bytes, acked, worth, expected);
        }
    }

    #[test]
    fn what_is_barred_is_passed_over_and_old_blocks_spare_their_own_worth() {
        let room = Room { waiting: [50; WORTHS], acked: 9, ..Room::default() };
        let mut barred = Barred { acked: true, ..Barred::default() };
        let incoming = Incoming { worth: Class::Logs, is_old: false };
        assert_eq!(victim(&room, &FLOORS, &barred, incoming), Victim::Waiting(Class::Bulk));
        barred.waiting[4] = true;
        assert_eq!(victim(&room, &FLOORS, &barred, incoming), Victim::Waiting(Class::Logs));
        let old = Incoming { is_old: true, ..incoming };
        assert_eq!(victim(&room, &FLOORS, &barred, old), Victim::Incoming);
        assert!(keeps_floor(&room, &FLOORS, Class::Live, 40, incoming));
        assert!(!keeps_floor(&room, &FLOORS, Class::Live, 41, incoming));
        assert!(keeps_floor(&room, &FLOORS, Class::Logs, 50, incoming), "its own worth");
    }

    #[test]
    fn floors_leave_half() {
        let fitted =
            Retention { floor_bytes: [u64::MAX / 8; WORTHS], ..Retention::new(1 << 30) }.fitted(1000);
        assert!(fitted.floor_bytes.iter().sum::<u64>() <= 500);
        let roomy = Retention::new(1 << 20);
        assert_eq!(roomy.fitted(1 << 20), roomy);
    }
}
