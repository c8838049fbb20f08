//! Which schemas are wanted, when to ask again, and when to give up waiting. Takes time as an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use store::block::SchemaHash;
use uplink::backoff::Backoff;

/// Schemas asked for at a time.
const WANTED_MAX: usize = 256;

#[derive(Debug)]
struct Want {
    since: Instant,
    ask_at: Instant,
    backoff: Backoff,
    given_up: bool,
}

/// The schemas asked for. One that was given up is still asked for, as long as there is room.
#[derive(Debug)]
pub(super) struct Wanted {
    wants: BTreeMap<SchemaHash, Want>,
    patience: Duration,
    retry_first: Duration,
    retry_cap: Duration,
}

impl Wanted {
    pub(super) const fn new(patience: Duration, retry_first: Duration, retry_cap: Duration) -> Self {
        Self { wants: BTreeMap::new(), patience, retry_first, retry_cap }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wants.is_empty()
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = SchemaHash> {
        self.wants.keys().copied()
    }

    /// Wants one more, or one that was given up anew. When that is one too many another is forgotten, one that was given up if there is one; the
    /// result is a forgotten one that somebody still waits for.
    pub(super) fn add(&mut self, hash: SchemaHash, now: Instant) -> Option<SchemaHash> {
        let mut unlucky = None;
        if !self.wants.contains_key(&hash) && self.wants.len() >= WANTED_MAX {
            let oldest =
                self.wants.iter().min_by_key(|(_, want)| (!want.given_up, want.since)).map(|(&hash, _)| hash);
            let forgotten = oldest.and_then(|hash| self.wants.remove_entry(&hash));
            unlucky = forgotten.filter(|(_, want)| !want.given_up).map(|(hash, _)| hash);
        }
        let backoff = Backoff::new(self.retry_first * 4, self.retry_cap * 4);
        let want = self.wants.entry(hash).or_insert(Want {
            since: now,
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
    pub(super) fn remove(&mut self, hash: SchemaHash) -> bool {
        self.wants.remove(&hash).is_some()
    }

    /// When to look at [`Self::ask`] and [`Self::overdue`] again.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let due = |want: &Want| {
            let give_up = (!want.given_up).then_some(want.since + self.patience);
            give_up.map_or(want.ask_at, |give_up| give_up.min(want.ask_at))
        };
        self.wants.values().map(due).min()
    }

    /// Those to ask for again at `now`.
    pub(super) fn ask(&mut self, now: Instant, random: u32) -> Vec<SchemaHash> {
        let due = self.wants.iter_mut().filter(|(_, want)| want.ask_at <= now);
        due.map(|(&hash, want)| {
            // Never at once: full jitter may give no delay at all.
            want.ask_at = now + want.backoff.next(random).max(self.retry_first);
            hash
        })
        .collect()
    }

    /// Those that were waited for too long at `now`; each is told once.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<SchemaHash> {
        let patience = self.patience;
        let late = self.wants.iter_mut().filter(|(_, want)| !want.given_up && want.since + patience <= now);
        late.map(|(&hash, want)| {
            want.given_up = true;
            hash
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn hash(number: u16) -> SchemaHash {
        let mut hash = [0; 16];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        SchemaHash(hash)
    }

    #[test]
    fn one_is_asked_for_again_given_up_once_and_asked_for_still() {
        let mut wanted = Wanted::new(SECOND * 60, SECOND / 4, SECOND * 5);
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
        assert!(wanted.remove(hash(1)) && !wanted.remove(hash(1)) && wanted.is_empty());
        assert_eq!(wanted.next_event(), None);
    }

    #[test]
    fn without_room_the_oldest_is_forgotten_and_those_given_up_first() {
        let mut wanted = Wanted::new(SECOND, SECOND, SECOND);
        let start = Instant::now();
        for number in 0..WANTED_MAX as u16 {
            assert_eq!(wanted.add(hash(number), start + SECOND / 1000 * u32::from(number)), None);
        }
        assert_eq!(wanted.add(hash(7), start), None, "it is wanted already");
        assert_eq!(wanted.add(hash(1000), start + SECOND / 2), Some(hash(0)));
        assert_eq!(wanted.overdue(start + SECOND + SECOND / 1000), [hash(1)]);
        assert_eq!(wanted.add(hash(1001), start + SECOND), None);
        assert_eq!(wanted.hashes().count(), WANTED_MAX);
    }
}
