//! The account as plain data, and as bytes for the ring.

use core::time::Duration;

use store::block::BootId;

const VERSION: u8 = 1;
/// More sums than any version keeps.
const SUMS_MAX: usize = 255;

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetState {
    /// Which boot `boottime` belongs to.
    pub boot: BootId,
    /// `CLOCK_BOOTTIME` up to which time was counted.
    pub boottime: Duration,
    /// The wall clock then, where it was confirmed.
    pub wall: Option<Duration>,
    /// Bytes by the hour, oldest first, the running hour last.
    pub day: Vec<u64>,
    /// Time into the running hour.
    pub day_into: Duration,
    /// Bytes by the day, oldest first, the running day last.
    pub month: Vec<u64>,
    /// Time into the running day.
    pub month_into: Duration,
    /// Bytes of these that were not yet spent. Not kept: to the next run they are spent.
    pub(super) ahead: u64,
    /// Bytes this run had spent. Not kept.
    pub(super) spent_before: u64,
}

/// Why bytes are not a budget's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Cut off, or with something behind.
    #[error("the kept budget has {0} bytes, which is not what it announces; start with an empty one")]
    Length(usize),
    /// From another release.
    #[error("the kept budget has version {0}, this release reads {VERSION}; start with an empty one")]
    Version(u8),
}

impl BudgetState {
    pub(super) const fn empty(boot: BootId) -> Self {
        Self {
            boot,
            boottime: Duration::ZERO,
            wall: None,
            day: Vec::new(),
            day_into: Duration::ZERO,
            month: Vec::new(),
            month_into: Duration::ZERO,
            ahead: 0,
            spent_before: 0,
        }
    }

    /// Little-endian: version u8, boot 16 B, boottime ns u64, wall ns u64 (0: none), then for day and month: ns into
    /// the running slot u64, number of sums u8, sums u64.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ns = |time: Duration| (time.as_nanos() as u64).to_le_bytes();
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.boot.0);
        out.extend_from_slice(&ns(self.boottime));
        out.extend_from_slice(&ns(self.wall.unwrap_or_default()));
        for (into, sums) in [(self.day_into, &self.day), (self.month_into, &self.month)] {
            let sums = &sums[sums.len().saturating_sub(SUMS_MAX)..];
            out.extend_from_slice(&ns(into));
            out.push(sums.len() as u8);
            sums.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
        }
        out
    }

    /// From [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`StateError`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let length = || StateError::Length(bytes.len());
        let (&version, mut rest) = bytes.split_first().ok_or_else(length)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let boot = BootId(*take(&mut rest).ok_or_else(length)?);
        let boottime = take_ns(&mut rest).ok_or_else(length)?;
        let wall = Some(take_ns(&mut rest).ok_or_else(length)?).filter(|wall| !wall.is_zero());
        let mut sums = || {
            let into = take_ns(&mut rest)?;
            let &[count] = take(&mut rest)?;
            let sums: Option<Vec<u64>> =
                (0..count).map(|_| take(&mut rest).map(|sum| u64::from_le_bytes(*sum))).collect();
            Some((into, sums?))
        };
        let (day_into, day) = sums().ok_or_else(length)?;
        let (month_into, month) = sums().ok_or_else(length)?;
        if !rest.is_empty() {
            return Err(length());
        }
        Ok(Self { boot, boottime, wall, day, day_into, month, month_into, ahead: 0, spent_before: 0 })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(head)
}

fn take_ns(rest: &mut &[u8]) -> Option<Duration> {
    take(rest).map(|ns| Duration::from_nanos(u64::from_le_bytes(*ns)))
}
