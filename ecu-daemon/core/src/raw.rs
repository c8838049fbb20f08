//! Frames that are kept as they were on the bus.

/// Which frames of a bus are kept raw, besides what is decoded of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawFrames {
    /// None.
    #[default]
    None,
    /// Those of which nothing is decoded: no message matches, or there is no payload to decode.
    Undecoded,
    /// All.
    All,
}

impl RawFrames {
    /// Whether a frame is kept that a message of the bus's table matches, or not.
    pub const fn keep(self, is_decoded: bool) -> bool {
        match self {
            Self::None => false,
            Self::Undecoded => !is_decoded,
            Self::All => true,
        }
    }

    /// Name as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Undecoded => "undecoded",
            Self::All => "all",
        }
    }
}
