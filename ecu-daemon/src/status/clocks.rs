//! What the clocks last showed.

/// One clock.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockState {
    /// Such as `realtime`, `ptp0`, `timer1`.
    pub name: String,
    /// What [`Self::offset_ns`] is against: `boottime` of `realtime`, and `realtime` of all others.
    pub against: &'static str,
    /// The clock minus that one, nanoseconds.
    pub offset_ns: i64,
    /// Parts in 10¹² by which it runs faster than `CLOCK_BOOTTIME`.
    pub drift_ppt: i64,
    /// How wrong one of its stamps may be placed among those of others, nanoseconds.
    pub error_ns: u64,
    /// Where one of its stamps is in true time; `None` while nothing is synchronised.
    pub truth: Option<TruthState>,
    /// Whether the bound on that is beyond the limit.
    pub is_exceeded: bool,
    /// For how long its stamps had no truth, nanoseconds.
    pub unsynchronised_ns: i64,
    /// Readings, those that contradicted the others, steps and resets.
    pub readings: u64,
    /// See `readings`.
    pub outliers: u64,
    /// See `readings`.
    pub steps: u64,
}

/// How near truth a clock's stamps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruthState {
    /// How far off at most, nanoseconds.
    pub error_ns: u64,
    /// Who says so: `kernel`, `ptp`, `configured`.
    pub source: &'static str,
    /// Whether nobody says so any longer: the bound grows.
    pub is_held: bool,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClocksStatus {
    /// In the order in which they were first read.
    pub clocks: Vec<ClockState>,
    /// The clock that stamps each bus, by bus.
    pub buses: Vec<String>,
    /// The version of the map.
    pub version: u32,
    /// The limit, nanoseconds.
    pub limit_ns: u64,
    /// Events that the engine did not take in time.
    pub events_dropped: u64,
    /// The temperature beside the oscillators, thousandths of a degree Celsius; `None` where none is read.
    pub temperature: Option<i32>,
}
