//! Flow control: how fast a receiver wants consecutive frames (ISO 15765-2:2016 §9.6.5).

/// What a receiver tells the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStatus {
    /// Go on with the next block.
    ContinueToSend,
    /// Wait for another flow control.
    Wait,
    /// The message is too long for the receiver; the sender gives up.
    Overflow,
}

/// The byte that says how far apart consecutive frames must be (`STmin`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeparationTime(pub u8);

impl SeparationTime {
    /// In microseconds, 0 to 127,000. Reserved values mean the longest time, as §9.6.5.5 has it.
    pub const fn micros(self) -> u32 {
        match self.0 {
            ms @ 0..=0x7F => ms as u32 * 1_000,
            tenths @ 0xF1..=0xF9 => (tenths - 0xF0) as u32 * 100,
            _ => 127_000,
        }
    }
}

/// One flow control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowControl {
    /// What the sender is to do.
    pub status: FlowStatus,
    /// Consecutive frames until the next flow control; 0 is all of them.
    pub block_size: u8,
    /// Time between two of them.
    pub separation: SeparationTime,
}

/// The flow control that was seen during one message. All of it is zero when the other direction was not recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowSeen {
    /// How often the sender was told to go on.
    pub continues: u32,
    /// How often it was told to wait.
    pub waits: u32,
    /// Of the last [`FlowStatus::ContinueToSend`].
    pub block_size: u8,
    /// Of the last [`FlowStatus::ContinueToSend`].
    pub separation: SeparationTime,
}

impl FlowSeen {
    pub(super) const fn add(&mut self, control: FlowControl) {
        match control.status {
            FlowStatus::ContinueToSend => {
                self.continues = self.continues.saturating_add(1);
                self.block_size = control.block_size;
                self.separation = control.separation;
            }
            FlowStatus::Wait => self.waits = self.waits.saturating_add(1),
            FlowStatus::Overflow => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separation_times_are_milliseconds_or_tenths_and_else_the_longest() {
        let cases = [
            (0, 0),
            (1, 1_000),
            (0x7F, 127_000),
            (0x80, 127_000),
            (0xF0, 127_000),
            (0xF1, 100),
            (0xF9, 900),
            (0xFA, 127_000),
            (0xFF, 127_000),
        ];
        for (byte, micros) in cases {
            assert_eq!(SeparationTime(byte).micros(), micros, "{byte:02X}");
        }
    }
}
