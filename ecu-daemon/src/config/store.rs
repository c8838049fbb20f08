//! `[store]`: where blocks are kept, how much of them for how long, and what the card may bear.

use std::path::PathBuf;
use std::time::Duration;

use store::ring::wear::CardRating;
use store::ring::{Retention, WORTHS};
use toml::Spanned;

use super::units::{Age, Size};
use super::{Check, raw};

/// Ages and windows longer than this are of no use: 100 years.
const AGE_MAX_MS: u64 = 100 * 365 * 86_400_000;
/// Between the bytes that a card is given and those that it writes into its cells, where nobody says better: cautious
/// for small synced writes.
const AMPLIFICATION: f64 = 4.0;

/// Where blocks are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// The database file.
    pub path: PathBuf,
    /// Bounds in bytes and in time.
    pub retention: Retention,
    /// A sealed block is on the card at most this long after sealing; see also [`Self::budget`].
    pub commit_after: Duration,
    /// What is kept around fault events.
    pub preserve: Preserve,
    /// What the card may be given; `None`: whatever comes.
    pub budget: Option<WriteBudget>,
    /// How the card is rated, if somebody said so.
    pub card: Option<CardRating>,
}

/// What is kept around a fault event, which is a log record of ERROR or above. Both 0: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preserve {
    /// Before it.
    pub before: Duration,
    /// After it.
    pub after: Duration,
}

/// What the card may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteBudget {
    /// Bytes on a day of running.
    pub bytes_per_day: u64,
    /// Commits are made this far apart for it, no farther: so long is what a power cut may take.
    pub commit_after_max: Duration,
}

impl Store {
    /// The longest time between the sealing of a block and its commit.
    pub fn commit_after_max(&self) -> Duration {
        self.budget.map_or(self.commit_after, |budget| budget.commit_after_max.max(self.commit_after))
    }
}

impl Check<'_> {
    pub(super) fn store(&mut self, raw: raw::Store) -> Store {
        let path = raw.path.map_or_else(default_path, |path| self.folder.join(path));
        let bytes_max = self.size(raw.max_bytes, 256 << 20, (16 << 20, 1 << 40), "16 MiB to 1024 GiB");
        let mut retention = Retention::new(bytes_max);
        retention.free_bytes_min =
            self.size(raw.free_bytes_min, retention.free_bytes_min, (0, 1 << 40), "0 to 1024 GiB");
        for (floor, share) in retention.floor_bytes.iter_mut().zip(raw.floors.each()) {
            if let Some(bytes) = self.share(share, bytes_max) {
                *floor = bytes;
            }
        }
        for (age, given) in retention.age_ns_max.iter_mut().zip(raw.ages.each()) {
            if let Some(given) = given {
                *age = self.age(&given);
            }
        }
        if let Some(bytes) = self.share(raw.preserved_share, bytes_max) {
            retention.preserved_bytes_max = bytes;
        }
        let commit_after = self.time(raw.commit_after, 1_000, (10, 60_000), "10ms to 1min");
        Store {
            path,
            retention,
            commit_after,
            preserve: self.preserve(raw.preserve),
            budget: raw.write_budget.map(|budget| self.budget(budget, commit_after)),
            card: raw.card.and_then(|card| self.card(card)),
        }
    }

    fn share(&mut self, share: Option<Spanned<f64>>, of: u64) -> Option<u64> {
        share.is_some().then(|| (self.bounded(share, 0.0, 0.0..=1.0, "0.0 to 1.0") * of as f64) as u64)
    }

    fn age(&mut self, age: &Spanned<Age>) -> Option<i64> {
        let Age(Some(kept)) = *age.get_ref() else { return None };
        let allowed = Duration::from_secs(60)..=Duration::from_millis(AGE_MAX_MS);
        let kept = self.bounded(
            Some(Spanned::new(age.span(), kept)),
            kept,
            allowed,
            "1min to 100years, or \"none\"",
        );
        i64::try_from(kept.as_nanos()).ok()
    }

    fn preserve(&mut self, raw: Option<Spanned<raw::Preserve>>) -> Preserve {
        let raw = raw.map(Spanned::into_inner).unwrap_or_default();
        Preserve {
            before: self.time(raw.before, 10_000, (0, 600_000), "0s to 10min"),
            after: self.time(raw.after, 5_000, (0, 600_000), "0s to 10min"),
        }
    }

    fn budget(&mut self, raw: raw::WriteBudget, commit_after: Duration) -> WriteBudget {
        let allowed = (1 << 20, 1 << 50);
        let bytes_per_day = self.size(Some(raw.bytes_per_day), 0, allowed, "1 MiB to 1024 TiB");
        let span = raw.commit_after_max.as_ref().map(Spanned::span);
        let commit_after_max = self.time(raw.commit_after_max, 20_000, (10, 600_000), "10ms to 10min");
        if span.is_some() && commit_after_max < commit_after {
            self.fatal.push(self.file.problem(span, "commit_after_max is shorter than commit_after"));
        }
        WriteBudget { bytes_per_day, commit_after_max: commit_after_max.max(commit_after) }
    }

    fn card(&mut self, raw: Spanned<raw::Card>) -> Option<CardRating> {
        let span = raw.span();
        let raw = raw.into_inner();
        let size = |check: &mut Self, value: Option<Spanned<Size>>| {
            value.map(|value| check.size(Some(value), 0, (1 << 20, 1 << 60), "1 MiB to 1048576 TiB"))
        };
        match (size(self, raw.bytes), raw.cycles, size(self, raw.tbw)) {
            (Some(bytes), cycles @ Some(_), None) => Some(CardRating {
                bytes,
                cycles: self.bounded(cycles, 1, 1..=10_000_000, "1 to 10000000"),
                amplification: self.bounded(raw.amplification, AMPLIFICATION, 1.0..=1000.0, "1.0 to 1000.0"),
            }),
            // The maker counts bytes that the card is given: what it makes of them inside is in the figure.
            (None, None, Some(bytes)) if raw.amplification.is_none() => {
                Some(CardRating { bytes, cycles: 1, amplification: 1.0 })
            }
            _ => {
                let text = "a card is rated by `bytes` and `cycles` (and `amplification`), or by `tbw` alone";
                self.fatal.push(self.file.problem(Some(span), text));
                None
            }
        }
    }
}

impl<T> raw::ByClass<T> {
    /// In the order of the classes' numbers.
    fn each(self) -> [Option<T>; WORTHS] {
        [self.critical, self.traces, self.live, self.logs, self.bulk]
    }
}

/// Where systemd lets the service write, else the current folder.
fn default_path() -> PathBuf {
    let folder = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from).unwrap_or_default();
    folder.join("ring.db")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn store(keys: &str) -> Result<Store, String> {
        let parsed = Config::parse("car.toml", &format!("[store]\n{keys}"), Path::new("/nowhere"));
        parsed
            .map(|(config, _)| config.store)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn the_defaults_are_the_rings_and_the_shipped_file_shows_them() {
        let plain = store("").unwrap();
        assert_eq!(plain.retention, Retention::new(256 << 20));
        assert!(plain.budget.is_none() && plain.card.is_none());
        assert_eq!(plain.commit_after_max(), plain.commit_after);
        let (shipped, _) = Config::parse("default", super::super::DEFAULT, Path::new(".")).unwrap();
        assert_eq!(shipped.store.retention, plain.retention);
        assert_eq!(shipped.store.preserve, plain.preserve);
    }

    #[test]
    fn what_is_given_replaces_its_default_and_nothing_else() {
        let given = store(
            "max_bytes = '64 MiB'\nfree_bytes_min = '1 GiB'\nfloors = { live = 0.5, bulk = 0.25 }\n\
             ages = { critical = 'none', bulk = '2h' }\npreserved_share = 0.5\npreserve = { before = '1min' }\n\
             write_budget = { bytes_per_day = '1 GiB', commit_after_max = '30s' }\ncard = { tbw = '40 TiB' }",
        )
        .unwrap();
        let plain = Retention::new(64 << 20);
        let [critical, traces, _, logs, _] = plain.floor_bytes;
        let [_, week, day, _, _] = plain.age_ns_max;
        let expected = Retention {
            free_bytes_min: 1 << 30,
            floor_bytes: [critical, traces, 32 << 20, logs, 16 << 20],
            age_ns_max: [None, week, day, day, Some(7_200_000_000_000)],
            preserved_bytes_max: 32 << 20,
            ..plain
        };
        assert_eq!(given.retention, expected);
        let seconds = Duration::from_secs;
        assert_eq!(given.preserve, Preserve { before: seconds(60), after: seconds(5) });
        assert_eq!(given.commit_after_max(), seconds(30));
        assert_eq!(given.card, Some(CardRating { bytes: 40 << 40, cycles: 1, amplification: 1.0 }));
        let cells = store("card = { bytes = '32 GiB', cycles = 3000 }").unwrap();
        assert_eq!(cells.card, Some(CardRating { bytes: 32 << 30, cycles: 3000, amplification: 4.0 }));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_line() {
        for (keys, expected) in [
            ("floors = { live = 1.5 }", "car.toml:2: error: out of range; allowed is 0.0 to 1.0"),
            ("floors = { live = nan }", "car.toml:2: error: out of range"),
            ("floors = { life = 0.5 }", "car.toml:2: error: unknown field `life`"),
            ("ages = { live = '1s' }", "car.toml:2: error: out of range; allowed is 1min to 100years"),
            ("ages = { live = 'never' }", "write a whole number and min, h or d, or \"none\""),
            ("preserved_share = -1.0", "car.toml:2: error: out of range"),
            ("preserve = { before = '1h' }", "car.toml:2: error: out of range; allowed is 0s to 10min"),
            ("write_budget = {}", "missing field `bytes_per_day`"),
            (
                "commit_after = '9s'\nwrite_budget = { bytes_per_day = '1 GiB', commit_after_max = '5s' }",
                "car.toml:3: error: commit_after_max is shorter than commit_after",
            ),
            ("card = { bytes = '32 GiB' }", "car.toml:2: error: a card is rated by `bytes` and `cycles`"),
            ("card = { tbw = '1 TiB', amplification = 2.0 }", "car.toml:2: error: a card is rated by"),
            ("card = { bytes = '32 GiB', cycles = 0 }", "car.toml:2: error: out of range; allowed is 1 to"),
        ] {
            let found = store(keys).unwrap_err();
            assert!(found.contains(expected), "{keys:?} gave {found:?}");
        }
    }
}
