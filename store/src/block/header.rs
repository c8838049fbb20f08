//! The fixed head of every block, and the types that identify it.

use core::fmt;

use super::{BlockError, BootId, DictionaryHash, SchemaHash};

pub(super) const MAGIC: [u8; 4] = *b"ECUB";
/// The version that is written.
pub const VERSION: u8 = 2;
/// The oldest version that is read.
pub(super) const VERSION_MIN: u8 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 116;
const CRC_AT: usize = HEADER_LEN - 4;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$vdoc:meta])* $variant:ident = $number:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number),* }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// From its number in the format.
            ///
            /// # Errors
            /// [`BlockError::Field`] for a number that this version does not know.
            pub fn from_number(number: u8) -> Result<Self, BlockError> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(BlockError::Field { field: $field, value: u64::from(number) }),
                }
            }
        }
    };
}

numbered!(
    /// What the records are.
    Kind, "kind" {
        /// Raw signal values with their times.
        Samples = 1,
        /// Spans of trace contexts seen on the bus.
        Spans = 2,
        /// Log records.
        Logs = 3,
        /// Names, units and scales that samples and spans refer to.
        Schema = 4,
        /// Distributions of signals over windows of time.
        Histograms = 5,
        /// A zstd dictionary that bodies of other blocks are compressed with.
        Dictionary = 6,
        /// How the clocks of the vehicle ran against each other.
        ClockMap = 7,
        /// Frames as they were on the bus.
        Frames = 8,
    }
);

numbered!(
    /// What a block is worth: a smaller number is kept longer and sent earlier.
    Class, "class" {
        /// Fault events and errors: synced to the card at once.
        Critical = 0,
        /// Spans.
        Traces = 1,
        /// Signals and aggregates of the thin stream.
        Live = 2,
        /// Logs of ordinary weight.
        Logs = 3,
        /// Everything in full, sent on request or on a good link.
        Bulk = 4,
    }
);

impl Class {
    /// Name as used in topics, metrics and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Traces => "traces",
            Self::Live => "live",
            Self::Logs => "logs",
            Self::Bulk => "bulk",
        }
    }

    /// Its number in the format and in topics.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

numbered!(
    /// Which clock a record's time was read from.
    ClockSource, "clock" {
        /// The kernel stamped it in software from `CLOCK_REALTIME` (`SOF_TIMESTAMPING_RX_SOFTWARE`).
        KernelSoftware = 1,
        /// The controller stamped it in hardware (`SOF_TIMESTAMPING_RAW_HARDWARE`).
        Hardware = 2,
        /// The daemon read `CLOCK_REALTIME` when the record reached it.
        UserSpace = 3,
        /// The time stood in a recorded log; which clock wrote it is not known.
        Recorded = 4,
    }
);

impl ClockSource {
    /// From a column of numbers.
    pub(super) fn from_column(value: u64) -> Result<Self, BlockError> {
        u8::try_from(value).map_or(Err(BlockError::Field { field: "clock", value }), Self::from_number)
    }

    /// Name as used in attributes and queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelSoftware => "kernel_software",
            Self::Hardware => "hardware",
            Self::UserSpace => "user_space",
            Self::Recorded => "recorded",
        }
    }
}

/// Names a block for ever, within one vehicle. The order of identities is the order of sealing within a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Which boot.
    pub boot: BootId,
    /// `CLOCK_BOOTTIME` in microseconds at which the daemon's process started, or last took new tables:
    /// restarts within a boot differ and are ordered without any state on the card.
    pub run: u64,
    /// Counts the blocks of this run from 0; a gap is a block that is missing.
    pub sequence: u64,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.boot, self.run, self.sequence)
    }
}

/// The head of a block: all that ring, uplink and gateway need to know without opening the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// The format's version that the body is in.
    pub version: u8,
    /// What the records are.
    pub kind: Kind,
    /// What they are worth.
    pub class: Class,
    /// Which block this is.
    pub identity: Identity,
    /// The schema its records refer to; zero where they need none.
    pub schema: SchemaHash,
    /// Time of the earliest record, nanoseconds since 1970 in the clock that each record names.
    pub first_ns: i64,
    /// Time of the latest record.
    pub last_ns: i64,
    /// `CLOCK_BOOTTIME` in nanoseconds at sealing: orders and ages blocks without any wall clock.
    pub sealed_boot_ns: i64,
    /// Records: signal samples, spans, log records, messages of a schema, histograms, segments of a clock map, frames; 1
    /// for a dictionary.
    pub count: u32,
    /// The clock map of this boot that places its times, see [`super::ClockMap::id`]; 0 when there was none.
    pub clock_map: u32,
    /// The zstd dictionary of the body; zero for none.
    pub dictionary: DictionaryHash,
    /// Body length before compression, bytes.
    pub raw_len: u32,
    /// Body length as stored, bytes.
    pub body_len: u32,
}

impl BlockHeader {
    /// Header and body as bytes; the checksum covers both.
    pub(super) fn write(&self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.version, self.kind as u8, self.class as u8, 0]);
        out.extend_from_slice(&self.identity.boot.0);
        out.extend_from_slice(&self.identity.run.to_le_bytes());
        out.extend_from_slice(&self.identity.sequence.to_le_bytes());
        out.extend_from_slice(&self.schema.0);
        for time in [self.first_ns, self.last_ns, self.sealed_boot_ns] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for number in [self.count, self.clock_map, self.raw_len, self.body_len] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.dictionary.0);
        debug_assert_eq!(out.len(), CRC_AT);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out), body);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(body);
        out
    }

    /// Reads and checks the header of `block`, checksum over the body included; gives the body.
    ///
    /// # Errors
    /// What is wrong with it; nothing is allocated.
    pub fn read(block: &[u8]) -> Result<(Self, &[u8]), BlockError> {
        let Some((head, rest)) = block.split_at_checked(HEADER_LEN) else {
            return Err(BlockError::Truncated { have: block.len(), need: HEADER_LEN });
        };
        let mut fields = super::wire::Reader::new(head);
        let magic = fields.array::<4>()?;
        if magic != MAGIC {
            return Err(BlockError::Magic(magic));
        }
        let [version, kind, class, flags] = fields.array::<4>()?;
        if !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(BlockError::Version(version));
        }
        let identity = Identity {
            boot: BootId(fields.array()?),
            run: u64::from_le_bytes(fields.array()?),
            sequence: u64::from_le_bytes(fields.array()?),
        };
        let schema = SchemaHash(fields.array()?);
        let mut time = || fields.array().map(i64::from_le_bytes);
        let (first_ns, last_ns, sealed_boot_ns) = (time()?, time()?, time()?);
        let mut number = || fields.array().map(u32::from_le_bytes);
        let (count, clock_map) = (number()?, number()?);
        // Version 1 numbered dictionaries, and never had one.
        let numbered = if version == 1 { number()? } else { 0 };
        let (raw_len, body_len) = (number()?, number()?);
        let dictionary = if version == 1 {
            fields.bytes(12)?;
            DictionaryHash::default()
        } else {
            DictionaryHash(fields.array()?)
        };
        let stated = u32::from_le_bytes(fields.array()?);
        let body = rest
            .get(..body_len as usize)
            .ok_or(BlockError::Truncated { have: block.len(), need: HEADER_LEN + body_len as usize })?;
        let found = crc32c::crc32c_append(crc32c::crc32c(&head[..CRC_AT]), body);
        if found != stated {
            return Err(BlockError::Checksum { found, stated });
        }
        // After the checksum: a flipped bit is damage, not an unknown kind.
        let (kind, class) = (Kind::from_number(kind)?, Class::from_number(class)?);
        for (field, value) in [("flags", u32::from(flags)), ("numbered dictionary", numbered)] {
            if value != 0 {
                return Err(BlockError::Field { field, value: u64::from(value) });
            }
        }
        let header = Self {
            version,
            kind,
            class,
            identity,
            schema,
            first_ns,
            last_ns,
            sealed_boot_ns,
            count,
            clock_map,
            dictionary,
            raw_len,
            body_len,
        };
        Ok((header, body))
    }

    /// Length of the whole block in bytes.
    pub const fn block_len(&self) -> usize {
        HEADER_LEN + self.body_len as usize
    }
}
