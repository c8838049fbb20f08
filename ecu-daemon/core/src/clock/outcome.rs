//! What became of readings.

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It goes on from those before it, or is the first.
    Taken,
    /// It waits for the next reading of the system clock that it was taken against.
    Held,
    /// It took so much longer than the others that it says nothing new.
    Vague,
    /// It contradicts those before it. The bound covers it until the next readings tell whether it was nonsense.
    Suspected,
    /// The clock was stepped: this reading and those after it are on another line.
    Stepped,
    /// The clock had not been read for a while; a new line begins.
    Resumed,
    /// It cannot be used: not later than the last one, or its bracket is in the wrong order.
    Refused,
}

/// What became of the readings of one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub readings: u64,
    /// Those that took too long to say anything.
    pub vague: u64,
    /// Those that contradicted the ones before and after.
    pub outliers: u64,
    /// Steps and resets.
    pub steps: u64,
    /// Times that its drift changed at once by more than is trusted, with or without what looks like a step.
    pub restless: u64,
    /// Times without readings for too long.
    pub gaps: u64,
    /// Those that could not be used.
    pub refused: u64,
}
