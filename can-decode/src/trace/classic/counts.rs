//! What became of context frames and contexts on classical CAN.

/// Everything that was seen, in numbers that balance:
///
/// - `frames` = `malformed` + `strays` + `begun` + the frames of contexts behind their first;
/// - `begun` = `complete` + `absent` + `damaged` + `unknown` + `interrupted` + `timed_out` + those under way;
/// - `complete` = `carried` + `replaced` + `missed` + `expired` + those that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassicCounts {
    /// Frames with a context identifier.
    pub frames: u64,
    /// Of those, frames that are not of the form.
    pub malformed: u64,
    /// Frames of contexts whose beginning was not seen, or that were given up with this frame.
    pub strays: u64,
    /// Contexts begun.
    pub begun: u64,
    /// Contexts of which all four frames came and the checksum holds.
    pub complete: u64,
    /// Contexts of zeros: nothing is traced.
    pub absent: u64,
    /// Contexts whose checksum does not hold, or that have an id of zeros.
    pub damaged: u64,
    /// Contexts for a message that is not configured.
    pub unknown: u64,
    /// Contexts given up at a frame that was not their next: frames were lost or mixed.
    pub interrupted: u64,
    /// Contexts given up because their next frame came too late.
    pub timed_out: u64,
    /// Contexts that their frame got.
    pub carried: u64,
    /// Contexts whose message's next context came before their frame.
    pub replaced: u64,
    /// Contexts whose frame was lost: one with a later counter came.
    pub missed: u64,
    /// Contexts whose frame came too late, or at a time before theirs.
    pub expired: u64,
}

impl ClassicCounts {
    /// Both together: of two readers of one bus, one after the other.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            malformed: self.malformed + other.malformed,
            strays: self.strays + other.strays,
            begun: self.begun + other.begun,
            complete: self.complete + other.complete,
            absent: self.absent + other.absent,
            damaged: self.damaged + other.damaged,
            unknown: self.unknown + other.unknown,
            interrupted: self.interrupted + other.interrupted,
            timed_out: self.timed_out + other.timed_out,
            carried: self.carried + other.carried,
            replaced: self.replaced + other.replaced,
            missed: self.missed + other.missed,
            expired: self.expired + other.expired,
        }
    }
}
