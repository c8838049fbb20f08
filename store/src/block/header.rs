//! The fixed head of every block, and the types that identify it.

use core::fmt;

use super::BlockError;

pub(super) const MAGIC: [u8; 4] = *b"ECUB";
pub(super) const VERSION: u8 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 116;
const CRC_AT: usize = HEADER_LEN - 4;

/// The kernel's `boot_id`: new at each boot, so that (boot, run, sequence) never repeats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootId(pub [u8; 16]);

/// Names a schema: the first 16 bytes of the SHA-256 of its body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SchemaHash(pub [u8; 16]);

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! hex_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = ();

            /// 32 hex digits; hyphens as in a UUID are passed over.
            fn from_str(text: &str) -> Result<Self, ()> {
                let mut digits =
                    text.bytes().filter(|&byte| byte != b'-').map(|byte| (byte as char).to_digit(16));
                let mut bytes = [0; 16];
                for byte in &mut bytes {
                    let (high, low) =
                        (digits.next().flatten().ok_or(())?, digits.next().flatten().ok_or(())?);
                    *byte = (high << 4 | low) as u8;
                }
                if digits.next().is_some() { Err(()) } else { Ok(Self(bytes)) }
            }
        }
    };
}

hex_name!(BootId);
hex_name!(SchemaHash);

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
    /// Records: signal samples, spans or log records.
    pub count: u32,
    /// The clock map that places its times; 0 when there was none.
    pub clock_map: u32,
    /// The zstd dictionary of the body; 0 for none.
    pub dictionary: u32,
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
        out.extend_from_slice(&[VERSION, self.kind as u8, self.class as u8, 0]);
        out.extend_from_slice(&self.identity.boot.0);
        out.extend_from_slice(&self.identity.run.to_le_bytes());
        out.extend_from_slice(&self.identity.sequence.to_le_bytes());
        out.extend_from_slice(&self.schema.0);
        for time in [self.first_ns, self.last_ns, self.sealed_boot_ns] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for number in [self.count, self.clock_map, self.dictionary, self.raw_len, self.body_len] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        // Reserved, zero: the error bound of its times is to stand here once clocks are mapped.
        out.extend_from_slice(&[0; 12]);
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
        let [version, kind, class, _flags] = fields.array::<4>()?;
        if version != VERSION {
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
        let (count, clock_map, dictionary, raw_len, body_len) =
            (number()?, number()?, number()?, number()?, number()?);
        fields.bytes(12)?;
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
        let header = Self {
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
