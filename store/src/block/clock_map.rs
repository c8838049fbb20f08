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
    /// `CLOCK_TAI`: nanoseconds since 1970 in TAI, as right as what the kernel was told of TAI–UTC.
    Tai,
    /// `CLOCK_MONOTONIC_RAW`: no frequency correction, stands still in suspend.
    MonotonicRaw,
    /// The PTP hardware clock `/dev/ptpN`.
    Phc(u8),
    /// The free-running timer that stamps the bus with this index.
    Timer(u8),
}

impl ClockDomain {
    const fn numbers(self) -> [u8; 2] {
        match self {
            Self::Realtime => [1, 0],
            Self::Tai => [2, 0],
            Self::MonotonicRaw => [3, 0],
            Self::Phc(number) => [4, number],
            Self::Timer(bus) => [5, bus],
        }
    }

    fn from_numbers(numbers: [u8; 2]) -> Result<Self, BlockError> {
        match numbers {
            [1, 0] => Ok(Self::Realtime),
            [2, 0] => Ok(Self::Tai),
            [3, 0] => Ok(Self::MonotonicRaw),
            [4, number] => Ok(Self::Phc(number)),
            [5, bus] => Ok(Self::Timer(bus)),
            other => wrong("clock domain", u64::from(u16::from_be_bytes(other))),
        }
    }
}

/// A number of one byte that stands for a variant.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$variant_doc:meta])* $variant:ident = $number:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number),*
        }

        impl $name {
            fn from_number(number: u8) -> Result<Self, BlockError> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    other => wrong($field, u64::from(other)),
                }
            }
        }
    };
}

numbered! {
    /// Where TAI–UTC was taken from.
    TaiUtcSource, "TAI-UTC" {
        /// Nobody said: what it was when the daemon was built.
        BuiltIn = 0,
        /// The kernel's, other than 0 (adjtimex(2), field `tai`).
        Kernel = 1,
        /// A PTP grandmaster's `currentUtcOffset` with `currentUtcOffsetValid` (IEEE 1588 §8.2.4).
        Ptp = 2,
        /// The configuration.
        Config = 3,
    }
}

numbered! {
    /// Who says that a clock is synchronised.
    SyncSource, "clock's source" {
        /// The kernel: adjtimex(2) without `STA_UNSYNC`.
        Kernel = 1,
        /// PTP: a grandmaster is there, and the port follows it.
        Ptp = 2,
        /// The configuration.
        Config = 3,
    }
}

numbered! {
    /// What a synchronised clock counts.
    Timescale, "timescale" {
        /// TAI, as PTP does.
        Tai = 1,
        /// UTC.
        Utc = 2,
    }
}

numbered! {
    /// Why a line does not go on from the one before it.
    Opening, "clock segment's opening" {
        /// It does.
        Continues = 0,
        /// The clock was read for the first time.
        First = 1,
        /// The clock was stepped or reset in between.
        Step = 2,
        /// The clock could not be read for a while.
        Gap = 3,
    }
}

/// How a bound grows with the distance `d` from where it was established: `d × min(ppb + ppb_per_s × d, ppb_max)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundGrowth {
    /// At first, parts in 10⁹.
    pub ppb: u32,
    /// More for each second of distance.
    pub ppb_per_s: u32,
    /// At most.
    pub ppb_max: u32,
}

/// That a clock was synchronised, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSync {
    /// Who says so.
    pub source: SyncSource,
    /// What the clock counts.
    pub timescale: Timescale,
    /// How far it may be from true time, nanoseconds.
    pub error_ns: u64,
    /// TAI minus UTC in seconds, and where that is from.
    pub tai_utc: (i32, TaiUtcSource),
}

/// One clock over one stretch of `CLOCK_BOOTTIME`, as a straight line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSegment {
    /// Which clock.
    pub domain: ClockDomain,
    /// The version of the map in which it last changed. A later one of the same clock that begins at the same
    /// instant is the same stretch, and replaces it.
    pub version: u32,
    /// `CLOCK_BOOTTIME` of the first reading, nanoseconds.
    pub from_boot_ns: i64,
    /// `CLOCK_BOOTTIME` of the last reading so far, nanoseconds; not before the first.
    pub to_boot_ns: i64,
    /// `CLOCK_BOOTTIME` at which [`Self::offset_ns`] holds, nanoseconds.
    pub reference_boot_ns: i64,
    /// The clock minus `CLOCK_BOOTTIME` at the reference, nanoseconds.
    pub offset_ns: i64,
    /// How much faster than `CLOCK_BOOTTIME` the clock runs, parts in 10¹².
    pub drift_ppt: i64,
    /// The clock is within this much of what the line says between the two readings, nanoseconds.
    pub error_ns: u64,
    /// How much less sure the line is outside, on either side.
    pub growth: BoundGrowth,
    /// How it began.
    pub opening: Opening,
    /// That the clock was synchronised in this stretch.
    pub sync: Option<ClockSync>,
    /// How truth decays outside, beside [`Self::growth`].
    pub holdover: BoundGrowth,
    /// For how long after the last reading the clock counts as synchronised still, nanoseconds; not below 0.
    pub grace_ns: i64,
}

impl ClockSegment {
    fn check(&self) -> Result<(), BlockError> {
        if self.to_boot_ns < self.from_boot_ns {
            return wrong("clock segment's end", self.to_boot_ns as u64);
        }
        if self.grace_ns < 0 {
            return wrong("clock segment's grace", self.grace_ns as u64);
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.domain.numbers());
        out.push(self.opening as u8);
        out.push(u8::from(self.sync.is_some()));
        put_varint(out, u64::from(self.version));
        for time in
            [self.from_boot_ns, self.to_boot_ns, self.reference_boot_ns, self.offset_ns, self.drift_ppt]
        {
            put_varint(out, zigzag(time));
        }
        put_varint(out, self.error_ns);
        put_growth(out, self.growth);
        put_growth(out, self.holdover);
        put_varint(out, zigzag(self.grace_ns));
        if let Some(sync) = self.sync {
            out.extend([sync.source as u8, sync.timescale as u8, sync.tai_utc.1 as u8]);
            put_varint(out, sync.error_ns);
            put_varint(out, zigzag(i64::from(sync.tai_utc.0)));
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        let domain = ClockDomain::from_numbers(reader.array()?)?;
        let opening = Opening::from_number(reader.byte()?)?;
        let is_synchronised = match reader.byte()? {
            0 => false,
            1 => true,
            other => return wrong("clock segment's flags", u64::from(other)),
        };
        let signed = |reader: &mut Reader<'_>| reader.varint().map(unzigzag);
        let segment = Self {
            domain,
            version: number(reader)?,
            from_boot_ns: signed(reader)?,
            to_boot_ns: signed(reader)?,
            reference_boot_ns: signed(reader)?,
            offset_ns: signed(reader)?,
            drift_ppt: signed(reader)?,
            error_ns: reader.varint()?,
            growth: growth(reader)?,
            opening,
            holdover: growth(reader)?,
            grace_ns: signed(reader)?,
            sync: if is_synchronised { Some(sync(reader)?) } else { None },
        };
        segment.check()?;
        Ok(segment)
    }
}

/// The temperature beside the oscillators, which drift with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temperature {
    /// `CLOCK_BOOTTIME` of the reading, nanoseconds.
    pub at_boot_ns: i64,
    /// Thousandths of a degree Celsius.
    pub milli_celsius: i32,
}

/// What is new in a version of the map. All of a boot's together, in any order, are the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockMap {
    /// The version, counting up from 1 within a boot; blocks that were sealed while it held carry it in
    /// [`BlockHeader::clock_map`](super::BlockHeader::clock_map).
    pub id: u32,
    /// How long before it was sealed a block of this boot got its first record at most, nanoseconds. A clock that was set
    /// back showed some times twice; this tells which of the two a record has.
    pub open_ns: u64,
    /// Lines that are new or have changed, at most [`limits::CLOCK_SEGMENTS_MAX`], in any order.
    pub segments: Vec<ClockSegment>,
    /// Temperatures read since the map before, at most [`limits::CLOCK_TEMPERATURES_MAX`], in any order.
    pub temperatures: Vec<Temperature>,
}

impl ClockMap {
    /// Appends the body of the map's block to `out`.
    ///
    /// # Errors
    /// [`BlockError`] when a field has a value that the format does not have; nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), BlockError> {
        if self.id == 0 {
            return wrong("clock map", 0);
        }
        for (field, count, max) in [
            ("clock segments", self.segments.len(), limits::CLOCK_SEGMENTS_MAX),
            ("temperatures", self.temperatures.len(), limits::CLOCK_TEMPERATURES_MAX),
        ] {
            if count > max {
                return Err(BlockError::Limit { field, value: count as u64, max: max as u64 });
            }
        }
        self.segments.iter().try_for_each(ClockSegment::check)?;
        put_varint(out, u64::from(self.id));
        put_varint(out, self.open_ns);
        put_varint(out, self.segments.len() as u64);
        self.segments.iter().for_each(|segment| segment.write(out));
        put_varint(out, self.temperatures.len() as u64);
        for Temperature { at_boot_ns, milli_celsius } in &self.temperatures {
            put_varint(out, zigzag(*at_boot_ns));
            put_varint(out, zigzag(i64::from(*milli_celsius)));
        }
        Ok(())
    }

    /// Reads the body of a map's block.
    ///
    /// # Errors
    /// [`BlockError`] when it is cut off, exceeds the limits or contradicts itself.
    pub fn read(body: &[u8]) -> Result<Self, BlockError> {
        let mut reader = Reader::new(body);
        let id = number(&mut reader)?;
        if id == 0 {
            return wrong("clock map", 0);
        }
        let open_ns = reader.varint()?;
        // A line takes 18 bytes at least.
        let segments = reader.count("clock segments", limits::CLOCK_SEGMENTS_MAX.min(body.len() / 18))?;
        let segments = (0..segments).map(|_| ClockSegment::read(&mut reader)).collect::<Result<_, _>>()?;
        // A temperature takes 2 bytes at least.
        let temperatures =
            reader.count("temperatures", limits::CLOCK_TEMPERATURES_MAX.min(body.len() / 2))?;
        let temperatures = (0..temperatures).map(|_| temperature(&mut reader)).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { id, open_ns, segments, temperatures })
    }
}

fn put_growth(out: &mut Vec<u8>, growth: BoundGrowth) {
    for ppb in [growth.ppb, growth.ppb_per_s, growth.ppb_max] {
        put_varint(out, u64::from(ppb));
    }
}

fn growth(reader: &mut Reader<'_>) -> Result<BoundGrowth, BlockError> {
    Ok(BoundGrowth { ppb: number(reader)?, ppb_per_s: number(reader)?, ppb_max: number(reader)? })
}

fn temperature(reader: &mut Reader<'_>) -> Result<Temperature, BlockError> {
    let at_boot_ns = unzigzag(reader.varint()?);
    let milli_celsius = unzigzag(reader.varint()?);
    let milli_celsius =
        i32::try_from(milli_celsius).or_else(|_| wrong("temperature", milli_celsius as u64))?;
    Ok(Temperature { at_boot_ns, milli_celsius })
}

fn sync(reader: &mut Reader<'_>) -> Result<ClockSync, BlockError> {
    let source = SyncSource::from_number(reader.byte()?)?;
    let timescale = Timescale::from_number(reader.byte()?)?;
    let tai_utc_source = TaiUtcSource::from_number(reader.byte()?)?;
    let error_ns = reader.varint()?;
    let seconds = unzigzag(reader.varint()?);
    let seconds = i32::try_from(seconds).or_else(|_| wrong("TAI-UTC", seconds as u64))?;
    Ok(ClockSync { source, timescale, error_ns, tai_utc: (seconds, tai_utc_source) })
}

fn number(reader: &mut Reader<'_>) -> Result<u32, BlockError> {
    let value = reader.varint()?;
    u32::try_from(value).or_else(|_| wrong("clock map's number", value))
}

const fn wrong<T>(field: &'static str, value: u64) -> Result<T, BlockError> {
    Err(BlockError::Field { field, value })
}

#[cfg(test)]
#[path = "clock_map_tests.rs"]
mod tests;
