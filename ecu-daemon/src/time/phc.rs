//! PTP hardware clocks that come and go: opened when they are there, read, and lost.

use ecu_core::clock::{Bracket, HwClock, Instant, Reading};
use ecu_sys::ptp::{PhcReading, PtpClock, PtpError};
use tracing::{info, warn};

/// Comparisons in a row, of which the tightest counts.
const BURST: usize = 5;

/// One of them.
pub(super) struct Phc {
    number: u8,
    open: Option<PtpClock>,
    readings: Vec<PhcReading>,
    /// The last failure that was said.
    reported: Option<String>,
}

/// What came of a round.
pub(super) enum Outcome {
    /// This.
    Read(Reading),
    /// Nothing this time.
    Nothing,
    /// It has gone; what comes back under its name may be another one.
    Gone,
}

impl Phc {
    pub(super) const fn new(number: u8) -> Self {
        Self { number, open: None, readings: Vec::new(), reported: None }
    }

    pub(super) const fn clock(&self) -> HwClock {
        HwClock::Phc(self.number)
    }

    pub(super) fn read(&mut self) -> Outcome {
        let was_open = self.open.is_some();
        match self.try_read() {
            Ok(()) => {
                if self.reported.take().is_some() {
                    info!("ptp{}: can be read again", self.number);
                }
                let instant = |phc| Instant::Hardware(self.clock(), phc);
                let reading = |reading: &PhcReading| Reading {
                    instant: instant(reading.phc),
                    bracket: Bracket::Realtime(reading.before, reading.after),
                };
                Reading::tightest(self.readings.iter().map(reading)).map_or(Outcome::Nothing, Outcome::Read)
            }
            Err(error) => {
                let text = error.to_string();
                if self.reported.as_ref() != Some(&text) {
                    warn!("{text}; trying every second");
                    self.reported = Some(text);
                }
                if matches!(error, PtpError::Gone(_) | PtpError::NoMethod(_)) {
                    self.open = None;
                }
                if was_open && self.open.is_none() { Outcome::Gone } else { Outcome::Nothing }
            }
        }
    }

    fn try_read(&mut self) -> Result<(), PtpError> {
        let clock = match &mut self.open {
            Some(clock) => clock,
            None => self.open.insert(PtpClock::open(self.number)?),
        };
        clock.read(BURST, &mut self.readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_said_once_and_asked_again() {
        let mut phc = Phc::new(255);
        assert!(matches!(phc.read(), Outcome::Nothing));
        let reported = phc.reported.clone().unwrap();
        assert!(reported.contains("/dev/ptp255"), "{reported}");
        assert!(matches!(phc.read(), Outcome::Nothing));
        assert_eq!(phc.reported, Some(reported));
    }
}
