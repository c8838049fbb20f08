//! Clock maps: how the clocks of a vehicle ran against `CLOCK_BOOTTIME`, piece by piece.
//!
//! Records keep the time of the clock that stamped them. The map says what that clock's time was in others, and how sure
//! that is, so that records which were taken before a clock was set are placed in true time later. A map is uploaded as
//! a block of its own; blocks name the map that held when they were sealed.

use super::wire::{Reader, put_varint, unzigzag, zigzag};
use super::{BlockError, limits};

/// A clock that is mapped to `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClockDomain {
    /// `CLOCK_REALTIME`: UTC without leap seconds, nanoseconds since 1970.
    Realtime,
    /// `CLOCK_TAI`: nanoseconds since 1970 in TAI. As right as the kernel's TAI–UTC, see [`ClockMap::tai_utc`].
    Tai,
    /// `CLOCK_MONOTONIC_RAW`: no frequency correction, stands still in suspend.
    MonotonicRaw,
    /// The PTP hardware clock `/dev/ptpN`; TAI when its time comes from PTP (IEEE 1588 §7.2.1).
    Phc(u8),
}

impl ClockDomain {
    /// The largest number of a hardware clock that the format can name.
    pub const PHC_MAX: u8 = 239;
    const PHC_FIRST: u8 = 16;

    fn number(self) -> Option<u8> {
        match self {
            Self::Realtime => Some(1),
            Self::Tai => Some(2),
            Self::MonotonicRaw => Some(3),
            Self::Phc(number) => number.checked_add(Self::PHC_FIRST),
        }
    }

    fn from_number(number: u8) -> Result<Self, BlockError> {
        match number {
            1 => Ok(Self::Realtime),
            2 => Ok(Self::Tai),
            3 => Ok(Self::MonotonicRaw),
            Self::PHC_FIRST.. => Ok(Self::Phc(number - Self::PHC_FIRST)),
            _ => Err(BlockError::Field { field: "clock domain", value: u64::from(number) }),
        }
    }
}

/// Where TAI–UTC was taken from. A kernel that was never told says 0, which is no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TaiUtcSource {
    /// The kernel's, other than 0 (`adjtimex`, field `tai`).
    Kernel = 1,
    /// A PTP grandmaster's `currentUtcOffset` with `currentUtcOffsetValid` (IEEE 1588 §8.2.4).
    Ptp = 2,
    /// A satellite receiver.
    Gnss = 3,
    /// A list of leap seconds (IERS `leap-seconds.list`).
    LeapSecondsList = 4,
    /// The configuration.
    Config = 5,
}

impl TaiUtcSource {
    const ALL: [Self; 5] = [Self::Kernel, Self::Ptp, Self::Gnss, Self::LeapSecondsList, Self::Config];
}

/// One clock over one stretch of `CLOCK_BOOTTIME`, as a straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockSegment {
    /// Which clock.
    pub domain: ClockDomain,
    /// First `CLOCK_BOOTTIME` that it holds for, nanoseconds.
    pub from_boot_ns: i64,
    /// First `CLOCK_BOOTTIME` that it holds for no more, nanoseconds; `None` while nothing has replaced it.
    pub to_boot_ns: Option<i64>,
    /// `CLOCK_BOOTTIME` at which [`Self::offset_ns`] and [`Self::error_ns`] hold, nanoseconds.
    pub reference_boot_ns: i64,
    /// The clock minus `CLOCK_BOOTTIME` at the reference, nanoseconds.
    pub offset_ns: i64,
    /// How much faster than `CLOCK_BOOTTIME` the clock runs, parts per 10⁹; finite.
    pub drift_ppb: f64,
    /// The clock is within this much of what the line says at the reference, nanoseconds.
    pub error_ns: u64,
    /// How much the error bound grows away from the reference, nanoseconds a second (parts per 10⁹); finite, not below 0.
    pub error_drift_ppb: f64,
    /// Whether the clock followed its own source (PTP, NTP, satellites) in this stretch.
    pub synchronised: bool,
}

impl ClockSegment {
    /// The clock's time at `boot_ns` of `CLOCK_BOOTTIME`, nanoseconds; saturates.
    pub fn at(&self, boot_ns: i64) -> i64 {
        let since = boot_ns.saturating_sub(self.reference_boot_ns);
        let drift = (since as f64 * self.drift_ppb / 1e9).round() as i64;
        boot_ns.saturating_add(self.offset_ns).saturating_add(drift)
    }

    /// How far off [`Self::at`] may be at `boot_ns`, nanoseconds; saturates.
    pub fn error_ns_at(&self, boot_ns: i64) -> u64 {
        let away = boot_ns.abs_diff(self.reference_boot_ns) as f64;
        self.error_ns.saturating_add((away * self.error_drift_ppb / 1e9).ceil() as u64)
    }

    /// Whether it holds at `boot_ns`.
    pub fn covers(&self, boot_ns: i64) -> bool {
        boot_ns >= self.from_boot_ns && self.to_boot_ns.is_none_or(|to| boot_ns < to)
    }

    fn check(&self) -> Result<(), BlockError> {
        let wrong = |field, value| Err(BlockError::Field { field, value });
        if self.to_boot_ns.is_some_and(|to| to <= self.from_boot_ns) {
            return wrong("clock segment's end", self.from_boot_ns as u64);
        }
        if !self.drift_ppb.is_finite() {
            return wrong("clock drift", self.drift_ppb.to_bits());
        }
        if !(self.error_drift_ppb.is_finite() && self.error_drift_ppb >= 0.0) {
            return wrong("clock error drift", self.error_drift_ppb.to_bits());
        }
        match self.domain.number() {
            Some(_) => Ok(()),
            None => wrong("clock domain", u64::from(u8::MAX)),
        }
    }
}

/// A version of the map.
///
/// Ids count up from 1 within a boot. A later map replaces all earlier ones of its boot for the clocks and stretches
/// that it covers, those before it was made included.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockMap {
    /// Names it within its boot; blocks that were sealed while it held carry it in
    /// [`BlockHeader::clock_map`](super::BlockHeader::clock_map).
    pub id: u32,
    /// TAI–UTC in seconds and where it is from; `None` when nobody said.
    pub tai_utc: Option<(i32, TaiUtcSource)>,
    /// Its lines, at most [`limits::CLOCK_SEGMENTS_MAX`], in any order; those of a clock should not overlap.
    pub segments: Vec<ClockSegment>,
}

impl ClockMap {
    /// The line of a clock at `boot_ns` of `CLOCK_BOOTTIME`: of several the last.
    pub fn segment(&self, domain: ClockDomain, boot_ns: i64) -> Option<&ClockSegment> {
        self.segments.iter().rev().find(|segment| segment.domain == domain && segment.covers(boot_ns))
    }

    /// Appends the body of the map's block to `out`.
    ///
    /// # Errors
    /// [`BlockError`] when a field has a value that the format does not have; nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), BlockError> {
        if self.id == 0 {
            return Err(BlockError::Field { field: "clock map", value: 0 });
        }
        if self.segments.len() > limits::CLOCK_SEGMENTS_MAX {
            let (value, max) = (self.segments.len() as u64, limits::CLOCK_SEGMENTS_MAX as u64);
            return Err(BlockError::Limit { field: "clock segments", value, max });
        }
        self.segments.iter().try_for_each(ClockSegment::check)?;
        put_varint(out, u64::from(self.id));
        out.push(self.tai_utc.map_or(0, |(_, source)| source as u8));
        if let Some((seconds, _)) = self.tai_utc {
            put_varint(out, zigzag(i64::from(seconds)));
        }
        put_varint(out, self.segments.len() as u64);
        for segment in &self.segments {
            out.push(segment.domain.number().unwrap_or_default());
            out.push(u8::from(segment.synchronised) | u8::from(segment.to_boot_ns.is_some()) << 1);
            put_varint(out, zigzag(segment.from_boot_ns));
            if let Some(to) = segment.to_boot_ns {
                put_varint(out, zigzag(to));
            }
            put_varint(out, zigzag(segment.reference_boot_ns));
            put_varint(out, zigzag(segment.offset_ns));
            out.extend_from_slice(&segment.drift_ppb.to_le_bytes());
            put_varint(out, segment.error_ns);
            out.extend_from_slice(&segment.error_drift_ppb.to_le_bytes());
        }
        Ok(())
    }

    /// Reads the body of a map's block.
    ///
    /// # Errors
    /// [`BlockError`] when it is cut off, exceeds the limits or contradicts itself.
    pub fn read(body: &[u8]) -> Result<Self, BlockError> {
        let mut reader = Reader::new(body);
        let id = reader.count("clock map", u32::MAX as usize)? as u32;
        if id == 0 {
            return Err(BlockError::Field { field: "clock map", value: 0 });
        }
        let tai_utc = match reader.byte()? {
            0 => None,
            number => {
                let source = TaiUtcSource::ALL.into_iter().find(|&source| source as u8 == number);
                let field = |value| BlockError::Field { field: "TAI-UTC", value };
                let seconds = unzigzag(reader.varint()?);
                let seconds = i32::try_from(seconds).map_err(|_| field(seconds as u64))?;
                Some((seconds, source.ok_or_else(|| field(u64::from(number)))?))
            }
        };
        // A line takes 24 bytes at least.
        let segments = reader.count("clock segments", limits::CLOCK_SEGMENTS_MAX.min(body.len() / 24))?;
        let segments = (0..segments).map(|_| read_segment(&mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { id, tai_utc, segments })
    }
}

fn read_segment(reader: &mut Reader<'_>) -> Result<ClockSegment, BlockError> {
    let domain = ClockDomain::from_number(reader.byte()?)?;
    let flags = reader.byte()?;
    if flags > 3 {
        return Err(BlockError::Field { field: "clock segment's flags", value: u64::from(flags) });
    }
    let time = |reader: &mut Reader<'_>| reader.varint().map(unzigzag);
    let segment = ClockSegment {
        domain,
        synchronised: flags & 1 != 0,
        from_boot_ns: time(reader)?,
        to_boot_ns: if flags & 2 != 0 { Some(time(reader)?) } else { None },
        reference_boot_ns: time(reader)?,
        offset_ns: time(reader)?,
        drift_ppb: f64::from_le_bytes(reader.array()?),
        error_ns: reader.varint()?,
        error_drift_ppb: f64::from_le_bytes(reader.array()?),
    };
    segment.check()?;
    Ok(segment)
}

#[cfg(test)]
#[path = "clock_map_tests.rs"]
mod tests;
