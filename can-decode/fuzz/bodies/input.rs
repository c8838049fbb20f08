//! A database and frames out of arbitrary bytes. Where they end, everything is zero.

use can_decode::{
    Branch, ByteOrder, CanId, Comments, Database, Frame, FrameFlags, MessageDefinition, Signal, ValueKind,
};

/// Takes bytes from the front.
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn long(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    /// One of the first few identifiers of either kind, or of one parameter group, or any at all.
    fn id(&mut self) -> CanId {
        let (kind, low) = (self.byte(), self.byte());
        match kind % 4 {
            0 => CanId::Standard(u16::from(low % 8)),
            1 => CanId::Extended(u32::from(low % 8)),
            2 => CanId::Extended(0x0CF0_0400 | u32::from(low)),
            _ => CanId::Extended(self.long() as u32 & CanId::EXTENDED_MAX),
        }
    }

    /// Up to four messages.
    pub fn database(&mut self) -> Database {
        let count = self.byte() % 5;
        let messages = (0..count).map(|number| self.message(number)).collect();
        Database { name: "a.dbc".to_string(), messages, comments: Comments::default() }
    }

    fn message(&mut self, number: u8) -> MessageDefinition {
        let (id, len, flags) = (self.id(), self.byte(), self.byte());
        let count = usize::from(self.byte() % 24);
        let signals = (0..count).map(|index| self.signal(index, count)).collect();
        MessageDefinition {
            name: format!("M{number}"),
            long_name: None,
            id,
            len: u16::from(len),
            fd: flags & 1 != 0,
            j1939: flags & 2 != 0 && id.is_extended(),
            trace_context_offset: (flags & 4 != 0).then_some(flags >> 3),
            cycle_time_ms: None,
            e2e: None,
            alive_counter: None,
            sender: None,
            line: None,
            signals,
        }
    }

    /// Most fit in a payload and hang on an earlier signal; one in 64 does as it likes, and spoils its message.
    fn signal(&mut self, index: usize, count: usize) -> Signal {
        let (shape, start, bits) = (self.byte(), self.word(), self.byte());
        let is_wild = start >> 10 == 0x3F;
        let kind = match shape >> 2 & 3 {
            0 => ValueKind::Unsigned,
            1 => ValueKind::Signed,
            2 => ValueKind::F32,
            _ => ValueKind::F64,
        };
        let bits = match kind {
            ValueKind::F32 => 32,
            ValueKind::F64 => 64,
            _ if is_wild => bits,
            // Short ones, near the front, are in most payloads.
            _ if shape & 2 != 0 => bits % 16 + 1,
            _ => bits % 64 + 1,
        };
        let start_limit = match () {
            () if is_wild => 520,
            () if shape & 2 != 0 => 56,
            () => 440,
        };
        let branch = (shape & 0x30 == 0x30 && (index > 0 || is_wild)).then(|| Branch {
            multiplexor: usize::from(self.byte()) % if is_wild { count } else { index },
            ranges: self.ranges(shape >> 6),
        });
        let scale = (shape & 0x80 != 0).then(|| (f64::from_bits(self.long()), f64::from_bits(self.long())));
        let (factor, offset) = scale.unwrap_or((0.5, -40.0));
        Signal {
            name: format!("S{index}"),
            long_name: None,
            unit: String::new(),
            start_bit: start % start_limit,
            bits,
            byte_order: if shape & 1 == 0 { ByteOrder::Intel } else { ByteOrder::Motorola },
            kind,
            factor,
            offset,
            min: 0.0,
            max: 0.0,
            start_value: None,
            spn: None,
            labels: vec![(0, "zero".to_string())],
            is_multiplexor: false,
            branch,
        }
    }

    /// One to four ranges in ascending order, as the reader of DBC files gives them.
    fn ranges(&mut self, more: u8) -> Vec<(u64, u64)> {
        let mut first = 0_u64;
        let mut ranges = Vec::new();
        for _ in 0..=more {
            first = first.saturating_add(u64::from(self.byte() % 8) + 2);
            let last = if self.byte() == 255 { u64::MAX } else { first + u64::from(self.byte() % 4) };
            ranges.push((first - 2, last.max(first) - 2));
            if last == u64::MAX {
                break;
            }
            first = last;
        }
        ranges
    }

    /// The next frame, while there are bytes.
    pub fn frame(&mut self) -> Option<Frame> {
        if self.bytes.is_empty() {
            return None;
        }
        let (id, kind) = (self.id(), self.byte());
        let mut payload = [0; 64];
        let len = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64][usize::from(kind & 15)];
        payload[..len].iter_mut().for_each(|byte| *byte = self.byte());
        Some(match kind >> 4 & 3 {
            0 => Frame::remote(id, len as u8),
            1 => Frame::error(id.raw(), payload[..8].try_into().ok()?),
            2 => Frame::classic(id, &payload[..len.min(8)]).ok()?,
            _ => Frame::fd(id, FrameFlags::BRS, &payload[..len]).ok()?,
        })
    }
}
