//! Whether a clock tells the truth, says who, and how far off it may be. Never assumed: it comes from outside.

use can_decode::{TaiNanos, UtcNanos};

/// What the synchronised clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timescale {
    /// TAI, as PTP does (IEEE 1588, `ptpTimescale`).
    Tai,
    /// UTC, as `CLOCK_REALTIME` does, and PHCs behind an arbitrary-timescale grandmaster.
    Utc,
}

/// Who says that a clock is synchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncSource {
    /// The kernel: adjtimex(2) without `STA_UNSYNC`.
    Kernel,
    /// linuxptp's management socket: a grandmaster is present and the port is its slave.
    Ptp,
    /// The configuration.
    Configured,
}

/// Who says how far TAI is ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaiUtcSource {
    /// The kernel was told (adjtimex(2), `tai` is not 0).
    Kernel,
    /// The grandmaster (`currentUtcOffsetValid`).
    Ptp,
    /// The configuration.
    Configured,
    /// Nobody: what it was when this program was made.
    BuiltIn,
}

/// TAI minus UTC, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaiUtc {
    /// Whole seconds.
    pub seconds: i32,
    /// Who says so.
    pub source: TaiUtcSource,
}

impl TaiUtc {
    /// 37 s since 2017-01-01 (IERS Bulletin C 52); no later leap second has been announced.
    pub const BUILT_IN: Self = Self { seconds: 37, source: TaiUtcSource::BuiltIn };

    /// What the kernel says (adjtimex(2)); `None` for 0, which is what a kernel says that was never told.
    pub const fn kernel(seconds: i32) -> Option<Self> {
        if seconds == 0 { None } else { Some(Self { seconds, source: TaiUtcSource::Kernel }) }
    }
}

impl Default for TaiUtc {
    fn default() -> Self {
        Self::BUILT_IN
    }
}

/// That a clock is synchronised, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Who says so.
    pub source: SyncSource,
    /// What it counts.
    pub timescale: Timescale,
    /// How far it may be from true time, nanoseconds: adjtimex(2)'s `maxerror`, or the offset from the master and half
    /// the asymmetry of the path.
    pub error_ns: u64,
    /// What joins the two timescales.
    pub tai_utc: TaiUtc,
}

impl Sync {
    /// Both names of the instant at which the synchronised clock showed `shown_ns`.
    pub(super) const fn truth(&self, shown_ns: i64) -> (TaiNanos, UtcNanos) {
        match self.timescale {
            Timescale::Tai => (TaiNanos(shown_ns), TaiNanos(shown_ns).utc(self.tai_utc.seconds)),
            Timescale::Utc => (UtcNanos(shown_ns).tai(self.tai_utc.seconds), UtcNanos(shown_ns)),
        }
    }
}

/// The bound on how well a clock is synchronised may shrink by this factor before that is worth a segment of its own.
const SHARPER: u64 = 4;

/// What a new word on a clock's synchronisation changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// The clock is synchronised now, or better, or by another word.
    Better,
    /// It is no longer.
    Worse,
}

impl Change {
    pub(super) fn between(known: Option<&Sync>, new: Option<&Sync>) -> Self {
        match (known, new) {
            (None, None) => Self::None,
            (None, Some(_)) => Self::Better,
            (Some(_), None) => Self::Worse,
            (Some(known), Some(new)) => {
                let is_same = Sync { error_ns: 0, ..*known } == Sync { error_ns: 0, ..*new };
                let is_sharper = new.error_ns < known.error_ns / SHARPER;
                if is_same && !is_sharper { Self::None } else { Self::Better }
            }
        }
    }
}
