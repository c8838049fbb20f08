//! What the ring does to its card: bytes written for each byte stored, how long the card lives with that, and a commit
//! interval that keeps within a budget. Pure: the texts come from `/proc` and `/sys`, which the daemon reads.

use core::time::Duration;

/// Nanoseconds of a day.
const DAY_NS: f64 = 86_400e9;
/// A budget is looked at when so much time of writing is known: a checkpoint comes now and then.
const LOOK_AFTER_NS: i64 = 60_000_000_000;

/// Bytes stored and bytes written for it, over the time since the meter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WearMeter {
    payload: u64,
    written: u64,
    elapsed_ns: i64,
}

impl WearMeter {
    /// Adds what happened since the last time: bytes of blocks committed, bytes written, nanoseconds passed.
    pub fn add(&mut self, payload: u64, written: u64, elapsed_ns: i64) {
        self.payload = self.payload.saturating_add(payload);
        self.written = self.written.saturating_add(written);
        self.elapsed_ns = self.elapsed_ns.saturating_add(elapsed_ns.max(0));
    }

    /// Bytes written for each byte of blocks; `None` before the first one.
    pub fn amplification(&self) -> Option<f64> {
        (self.payload > 0).then(|| self.written as f64 / self.payload as f64)
    }

    /// Bytes written on a day of running; `None` in the first minute.
    pub fn per_day(&self) -> Option<f64> {
        (self.elapsed_ns >= LOOK_AFTER_NS).then(|| self.written as f64 * DAY_NS / self.elapsed_ns as f64)
    }
}

/// A card as its maker rates it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardRating {
    /// Its size, bytes.
    pub bytes: u64,
    /// Times that each of its cells can be erased and written: about 500 to 1,000 for QLC, 3,000 for TLC, 10,000 for MLC
    /// and 30,000 to 100,000 for pSLC and SLC, by the data sheet.
    pub cycles: u32,
    /// Bytes that the card writes into its cells for each byte it is given. It depends on the card and the load; 4 is
    /// cautious for small synced writes.
    pub amplification: f64,
}

impl CardRating {
    /// Days of running until the card is worn out, when so many bytes are written on each of them; `None` when nothing
    /// is written.
    pub fn life_days(&self, written_per_day: f64) -> Option<f64> {
        let writable = self.bytes as f64 * f64::from(self.cycles) / self.amplification.max(1.0);
        (written_per_day > 0.0).then(|| writable / written_per_day)
    }
}

/// How worn an eMMC says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeTime {
    /// It does not say.
    Undefined,
    /// Up to so many percent of its life are used, in steps of ten.
    UsedPercent(u8),
    /// It has outlived what it was made for.
    Exceeded,
}

/// Reads `/sys/block/mmcblkN/device/life_time`: the estimates A (SLC cells) and B (MLC cells), as `0x01 0x02`
/// (JESD84-B51, `DEVICE_LIFE_TIME_EST_TYP_A` and `_B`). `None` for anything else.
pub fn life_time(text: &str) -> Option<[LifeTime; 2]> {
    let mut numbers = text.split_ascii_whitespace().map(|word| {
        let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"))?;
        match u8::from_str_radix(digits, 16).ok()? {
            0 => Some(LifeTime::Undefined),
            tenths @ 1..=10 => Some(LifeTime::UsedPercent(tenths * 10)),
            11 => Some(LifeTime::Exceeded),
            _ => None,
        }
    });
    let both = [numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(both)
}

/// Reads `/proc/thread-self/io` (proc(5)): bytes that this thread has handed to write calls. The thread that owns the
/// ring writes little else.
pub fn written_by_thread(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("wchar:")?.trim().parse().ok())
}

/// Reads `/sys/block/mmcblkN/stat` (the kernel's Documentation/block/stat.rst): bytes written to the device since it
/// appeared. Its sectors are of 512 bytes whatever the device's are.
pub fn written_to_device(text: &str) -> Option<u64> {
    let sectors: u64 = text.split_ascii_whitespace().nth(6)?.parse().ok()?;
    sectors.checked_mul(512)
}

/// Keeps the bytes written within a budget by committing less often, within bounds: what the power takes is what was
/// sealed and not committed, so the longest wait is a promise.
///
/// Blocks are sealed at an interval of their own, and a wait that ends before the next of them is sealed spares nothing. So
/// the wait grows by whole intervals of sealing: with `rounds` of them, a commit takes the blocks of `rounds + 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteBudget {
    bytes_per_day: u64,
    shortest: Duration,
    seal_after: Duration,
    rounds: u32,
    rounds_max: u32,
    written: u64,
    elapsed_ns: i64,
}

impl WriteBudget {
    /// For so many bytes on a day of running, and blocks that are sealed every `seal_after`; a sealed block waits from
    /// `shortest`, with which it begins, to at most `longest`.
    pub fn new(bytes_per_day: u64, shortest: Duration, longest: Duration, seal_after: Duration) -> Self {
        let seal_after = seal_after.max(Duration::from_millis(1));
        let rounds_max = longest.saturating_sub(shortest).as_nanos() / seal_after.as_nanos();
        let rounds_max = u32::try_from(rounds_max).unwrap_or(u32::MAX);
        Self { bytes_per_day, shortest, seal_after, rounds: 0, rounds_max, written: 0, elapsed_ns: 0 }
    }

    /// How long a sealed block waits now.
    pub fn interval(&self) -> Duration {
        self.shortest.saturating_add(self.seal_after.saturating_mul(self.rounds))
    }

    /// Whether the longest wait is long enough to spare any commit; else the budget changes nothing.
    pub const fn is_effective(&self) -> bool {
        self.rounds_max > 0
    }

    /// Takes note of bytes written in a time, and gives the wait from now on. It becomes longer by half when a minute was
    /// above the budget, and shorter by a fifth when a minute with so much more commits would still have been within it:
    /// the same load does not make it go up and down.
    pub fn note(&mut self, written: u64, elapsed_ns: i64) -> Duration {
        self.written = self.written.saturating_add(written);
        self.elapsed_ns = self.elapsed_ns.saturating_add(elapsed_ns.max(0));
        if self.elapsed_ns >= LOOK_AFTER_NS {
            let share =
                self.written as f64 * DAY_NS / self.elapsed_ns as f64 / self.bytes_per_day.max(1) as f64;
            let fewer = self.rounds - (self.rounds / 5).max(1).min(self.rounds);
            if share > 1.0 {
                self.rounds = self.rounds.saturating_add((self.rounds / 2).max(1)).min(self.rounds_max);
            } else if share * f64::from(self.rounds + 1) / f64::from(fewer + 1) <= 1.0 {
                self.rounds = fewer;
            }
            (self.written, self.elapsed_ns) = (0, 0);
        }
        self.interval()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_card_lives_as_long_as_its_cycles() {
        let mut meter = WearMeter::default();
        assert_eq!((meter.amplification(), meter.per_day()), (None, None));
        // 30 kB/s.
        for _ in 0..120 {
            meter.add(10_000, 30_000, SECOND);
        }
        assert_eq!(meter.amplification(), Some(3.0));
        let per_day = meter.per_day().unwrap();
        assert!((per_day - 2.592e9).abs() < 1.0, "{per_day}");
        let card = CardRating { bytes: 32 << 30, cycles: 3000, amplification: 4.0 };
        let years = card.life_days(per_day).unwrap() / 365.0;
        assert!((27.0..28.0).contains(&years), "{years}");
        assert_eq!(card.life_days(0.0), None);
    }

    #[test]
    fn the_kernels_texts_are_read() {
        use LifeTime::{Exceeded, Undefined, UsedPercent};
        for (text, expected) in [
            ("0x01 0x02\n", Some([UsedPercent(10), UsedPercent(20)])),
            ("0x0a 0x0B\n", Some([UsedPercent(100), Exceeded])),
            ("0x00 0x00", Some([Undefined, Undefined])),
            ("0x01", None),
            ("0x01 0x02 0x03", None),
            ("0x01 0x0c", None),
            ("1 2", None),
            ("", None),
        ] {
            assert_eq!(life_time(text), expected, "{text:?}");
        }
        let io = "rchar: 7\nwchar: 12345\nsyscr: 1\nwrite_bytes: 4096\n";
        assert_eq!((written_by_thread(io), written_by_thread("rchar: 7\n")), (Some(12345), None));
        let stat = "  10 0 80 5 200 30 4000 60 0 70 65 0 0 0 0 3 1\n";
        assert_eq!((written_to_device(stat), written_to_device("1 2 3")), (Some(4000 * 512), None));
    }

    #[test]
    fn the_wait_finds_its_budget_in_whole_intervals_of_sealing_and_stays_there() {
        const SEAL: Duration = Duration::from_secs(4);
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(30));
        // A card that takes 40 kB with each commit and 5 kB/s besides. A commit comes when the oldest of its blocks has
        // waited, and blocks come every 4 s: a wait of 1, 2 or 3 s makes no difference.
        let between = |wait: Duration| SEAL * (1 + (wait.as_millis() / SEAL.as_millis()) as u32);
        let per_second = |wait: Duration| 40_000.0 / between(wait).as_secs_f64() + 5_000.0;
        let settle = |bytes_per_second: u64| {
            let mut budget = WriteBudget::new(bytes_per_second * 86_400, shortest, longest, SEAL);
            let mut waits = Vec::new();
            for _ in 0..100 {
                let written = (per_second(budget.interval()) * 60.0) as u64;
                waits.push(budget.note(written, 60 * SECOND));
                assert!((shortest..=longest).contains(&budget.interval()));
            }
            assert!(waits[50..].iter().all(|wait| *wait == waits[99]), "it goes up and down: {waits:?}");
            waits[99].as_secs()
        };
        for (budget, expected) in [
            (1 << 20, 1),
            // 15 kB/s with the shortest wait already.
            (15_000, 1),
            // The first step halves the commits; without it nothing would.
            (14_999, 5),
            (10_000, 5),
            (8_400, 9),
            // Nor does waiting help beyond the promise.
            (1, 29),
        ] {
            assert_eq!(settle(budget), expected, "{budget} bytes a second");
        }
        let budget = |longest, seal_after| WriteBudget::new(1, shortest, longest, seal_after);
        assert!(budget(longest, SEAL).is_effective());
        assert!(!budget(Duration::from_secs(4), SEAL).is_effective());
        let mut stays = budget(Duration::from_secs(4), SEAL);
        assert_eq!(stays.note(1 << 40, 60 * SECOND), shortest);
    }
}
