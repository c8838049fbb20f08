//! What is wanted, when to ask again, and when to give up waiting. Takes time as an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uplink::backoff::Backoff;

use crate::need::Need;

/// Schemas, dictionaries and clock maps asked for at a time: a gateway that starts may miss a map of each of a fleet's vehicles.
const WANTED_MAX: usize = 4096;

#[derive(Debug)]
struct Want {
    since: Instant,
    patience: Duration,
    ask_at: Instant,
    backoff: Backoff,
    given_up: bool,
}

/// What is asked for. A schema or dictionary that was given up is still asked for, as long as there is room; a clock map is not, as a block
/// that needs it asks anew.
#[derive(Debug)]
pub(super) struct Wanted {
    wants: BTreeMap<Need, Want>,
    /// For a schema or dictionary, and for a clock map.
    patience: (Duration, Duration),
    retry_first: Duration,
    retry_cap: Duration,
}

impl Wanted {
    pub(super) const fn new(
        patience: (Duration, Duration),
        retry_first: Duration,
        retry_cap: Duration,
    ) -> Self {
        Self { wants: BTreeMap::new(), patience, retry_first, retry_cap }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }

    pub(super) fn needs(&self) -> impl Iterator<Item = &Need> {
        self.wants.keys()
    }

    /// Wants one more, or one that was given up anew. When that is one too many another is forgotten, one that was given up if
    /// there is one; the result is a forgotten one that somebody still waits for.
    pub(super) fn add(&mut self, need: Need, now: Instant) -> Option<Need> {
        let mut unlucky = None;
        if !self.wants.contains_key(&need) && self.wants.len() >= WANTED_MAX {
            let oldest = self.wants.iter().min_by_key(|(_, want)| (!want.given_up, want.since));
            let oldest = oldest.map(|(need, _)| need.clone());
            let forgotten = oldest.and_then(|need| self.wants.remove_entry(&need));
            unlucky = forgotten.filter(|(_, want)| !want.given_up).map(|(need, _)| need);
        }
        let backoff = Backoff::new(self.retry_first * 4, self.retry_cap * 4);
        let patience = if is_named(&need) { self.patience.0 } else { self.patience.1 };
        let want = self.wants.entry(need).or_insert(Want {
            since: now,
            patience,
            ask_at: now + self.retry_first * 4,
            backoff,
            given_up: false,
        });
        if want.given_up {
            (want.given_up, want.since) = (false, now);
        }
        unlucky
    }

    /// It is here. Whether it was wanted.
    pub(super) fn remove(&mut self, need: &Need) -> bool {
        self.wants.remove(need).is_some()
    }

    /// When to look at [`Self::ask`] and [`Self::overdue`] again.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let due = |want: &Want| {
            let give_up = (!want.given_up).then_some(want.since + want.patience);
            give_up.map_or(want.ask_at, |give_up| give_up.min(want.ask_at))
        };
        self.wants.values().map(due).min()
    }

    /// Those to ask for again at `now`.
    pub(super) fn ask(&mut self, now: Instant, random: u32) -> Vec<Need> {
        let due = self.wants.iter_mut().filter(|(_, want)| want.ask_at <= now);
        due.map(|(need, want)| {
            // Never at once: full jitter may give no delay at all.
            want.ask_at = now + want.backoff.next(random).max(self.retry_first);
            need.clone()
        })
        .collect()
    }

    /// Those that were waited for too long at `now`; each is told once.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Need> {
        let is_late = |want: &Want| !want.given_up && want.since + want.patience <= now;
        let late = self.wants.iter_mut().filter(|(_, want)| is_late(want));
        let late: Vec<Need> = late
            .map(|(need, want)| {
                want.given_up = true;
                need.clone()
            })
            .collect();
        self.wants.retain(|need, want| !want.given_up || is_named(need));
        late
    }
}

/// Whether it is a schema or a dictionary, which stay what they are.
const fn is_named(need: &Need) -> bool {
    matches!(need, Need::Schema(_) | Need::Dictionary(_))
}

#[cfg(test)]
mod tests {
    use store::block::{BootId, SchemaHash};
    use uplink::topic::VehicleId;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn hash(number: u16) -> Need {
        let mut hash = [0; 16];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        Need::Schema(SchemaHash(hash))
    }

    #[test]
    fn one_is_asked_for_again_given_up_once_and_asked_for_still() {
        let mut wanted = Wanted::new((SECOND * 60, SECOND), SECOND / 4, SECOND * 5);
        let start = Instant::now();
        assert_eq!(wanted.add(hash(1), start), None);
        assert_eq!(wanted.next_event(), Some(start + SECOND));
        assert_eq!(wanted.ask(start, u32::MAX), []);
        let (mut now, mut asked, mut given_up) = (start, 0, Vec::new());
        while now < start + SECOND * 200 {
            now = wanted.next_event().unwrap();
            given_up.extend(wanted.overdue(now));
            let again = wanted.ask(now, u32::MAX);
            asked += again.len();
            assert!(wanted.next_event().unwrap() > now);
        }
        assert_eq!(given_up, [hash(1)]);
        // After 1 s, then 1, 2, 4, 8 and 16 s later, then every 20 s.
        assert_eq!(asked, 6 + 9);
        wanted.add(hash(1), now);
        assert_eq!(wanted.overdue(now + SECOND * 59), []);
        assert_eq!(wanted.overdue(now + SECOND * 60), [hash(1)], "who asks anew is told anew");
        assert!(wanted.remove(&hash(1)) && !wanted.remove(&hash(1)) && wanted.is_empty());
        assert_eq!(wanted.next_event(), None);
    }

    #[test]
    fn without_room_the_oldest_is_forgotten_and_those_given_up_first() {
        let mut wanted = Wanted::new((SECOND, SECOND), SECOND, SECOND);
        let start = Instant::now();
        for number in 0..WANTED_MAX as u16 {
            assert_eq!(wanted.add(hash(number), start + SECOND / 10_000 * u32::from(number)), None);
        }
        assert_eq!(wanted.add(hash(7), start), None, "it is wanted already");
        assert_eq!(wanted.add(hash(10_000), start + SECOND / 2), Some(hash(0)));
        assert_eq!(wanted.overdue(start + SECOND + SECOND / 10_000), [hash(1)]);
        assert_eq!(wanted.add(hash(10_001), start + SECOND), None);
        assert_eq!(wanted.needs().count(), WANTED_MAX);
    }

    #[test]
    fn a_clock_map_has_a_patience_of_its_own_and_is_not_asked_for_behind_it() {
        let mut wanted = Wanted::new((SECOND * 60, SECOND * 10), SECOND / 4, SECOND * 5);
        let start = Instant::now();
        let map = Need::ClockMap(VehicleId::new("car").unwrap(), BootId([1; 16]), 7);
        wanted.add(map.clone(), start);
        wanted.add(hash(1), start);
        assert_eq!(wanted.overdue(start + SECOND * 10), [map]);
        assert_eq!(wanted.needs().cloned().collect::<Vec<_>>(), [hash(1)]);
    }
}
