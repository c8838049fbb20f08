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
/// sealed and not committed, so the longest interval is a promise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteBudget {
    bytes_per_day: u64,
    shortest: Duration,
    longest: Duration,
    interval: Duration,
    written: u64,
    elapsed_ns: i64,
}

impl WriteBudget {
    /// For so many bytes on a day of running; intervals from `shortest`, with which it begins, to `longest`.
    pub fn new(bytes_per_day: u64, shortest: Duration, longest: Duration) -> Self {
        let longest = longest.max(shortest);
        Self { bytes_per_day, shortest, longest, interval: shortest, written: 0, elapsed_ns: 0 }
    }

    /// The interval now.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Takes note of bytes written in a time, and gives the interval from now on. It becomes longer by half when a minute
    /// was above the budget, and shorter by a fifth when one was below three quarters of it.
    pub fn note(&mut self, written: u64, elapsed_ns: i64) -> Duration {
        self.written = self.written.saturating_add(written);
        self.elapsed_ns = self.elapsed_ns.saturating_add(elapsed_ns.max(0));
        if self.elapsed_ns >= LOOK_AFTER_NS {
            let share =
                self.written as f64 * DAY_NS / self.elapsed_ns as f64 / self.bytes_per_day.max(1) as f64;
            if share > 1.0 {
                self.interval = self.interval.mul_f64(1.5).min(self.longest);
            } else if share < 0.75 {
                self.interval = self.interval.mul_f64(0.8).max(self.shortest);
            }
            (self.written, self.elapsed_ns) = (0, 0);
        }
        self.interval
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
    fn the_interval_finds_its_budget_and_keeps_its_bounds() {
        // A card that takes 40 kB with each commit and 5 kB/s besides, whatever the interval.
        let written = |interval: Duration| (40_000.0 * 60.0 / interval.as_secs_f64()) as u64 + 300_000;
        let bounds = (Duration::from_secs(1), Duration::from_secs(20));
        let settle = |budget: u64| {
            let mut budget = WriteBudget::new(budget, bounds.0, bounds.1);
            for _ in 0..100 {
                let interval = budget.interval();
                budget.note(written(interval), 60 * SECOND);
                assert!((bounds.0..=bounds.1).contains(&budget.interval()));
            }
            budget.interval()
        };
        assert_eq!(settle(1 << 40), bounds.0, "a large budget needs no waiting");
        assert_eq!(settle(1), bounds.1, "nor does waiting help beyond the promise");
        // 15 kB/s: a commit every 4 s.
        let found = settle(15_000 * 86_400).as_secs_f64();
        assert!((4.0..=8.0).contains(&found), "{found}");
    }
}
