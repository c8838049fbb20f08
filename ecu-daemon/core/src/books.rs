//! The books of frames and records: everything that came in is somewhere.

/// What became of the frames of one bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusBooks {
    /// Decoded with a message of the bus's DBC files.
    pub decoded: u64,
    /// Data frames that no message matches.
    pub unmatched: u64,
    /// Remote requests and error frames: there is nothing to decode in them.
    pub control: u64,
    /// Of the decoded ones, those shorter than their message: some signals were cut off.
    pub short: u64,
    /// Of all taken, those that are kept raw, whatever else became of them.
    pub raw: u64,
    /// Contexts that were damaged or too short; the frame's signals were decoded all the same.
    pub contexts_malformed: u64,
}

impl BusBooks {
    /// Frames that the engine took.
    pub const fn taken(&self) -> u64 {
        self.decoded + self.unmatched + self.control
    }
}

/// What became of the records of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordBooks {
    /// Collected into open blocks.
    pub taken: u64,
    /// Of those, sealed.
    pub sealed: u64,
    /// Of those, lost because the block could not be sealed.
    pub failed: u64,
}

impl RecordBooks {
    /// Records in the open block.
    pub const fn open(&self) -> u64 {
        self.taken - self.sealed - self.failed
    }
}
