//! Who says that a clock is right: the kernel of its own, and whoever is configured besides.

use std::io;

use ecu_core::clock::{Clock, ClockMap, HwClock, Sync, SyncSource, TaiUtc, Timescale};
use ecu_sys::{Discipline, discipline};
use tracing::warn;

use super::ptp4l::Ptp4l;
use crate::config::SyncBy;

/// Asks them.
pub(super) struct Authority {
    by: By,
    /// The last failure of each that was said: the kernel's and linuxptp's.
    reported: [Option<String>; 2],
}

enum By {
    Kernel,
    Ptp4l(Ptp4l, u8),
    Assumed(Option<u8>, u64),
}

/// What they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    realtime: Option<Sync>,
    phc: Option<(u8, Option<Sync>)>,
}

impl Authority {
    pub(super) fn new(by: &SyncBy) -> Self {
        let by = match by {
            SyncBy::Kernel => By::Kernel,
            SyncBy::Ptp4l(path, requester, phc) => By::Ptp4l(Ptp4l::new(path, *requester), *phc),
            SyncBy::Assumed(phc, error_ns) => By::Assumed(*phc, *error_ns),
        };
        Self { by, reported: [None, None] }
    }

    /// Asks all of them. Takes up to a fifth of a second with linuxptp.
    pub(super) fn ask(&mut self) -> Word {
        let kernel = say_once(&mut self.reported[0], discipline());
        let tai_utc = kernel.and_then(|kernel| TaiUtc::kernel(kernel.tai_utc_s)).unwrap_or_default();
        let realtime = kernel.and_then(|kernel| by_kernel(&kernel));
        match &mut self.by {
            By::Kernel => Word { realtime, phc: None },
            By::Ptp4l(ptp4l, phc) => {
                let sync = say_once(&mut self.reported[1], ptp4l.ask()).flatten();
                Word { realtime, phc: Some((*phc, sync)) }
            }
            By::Assumed(phc, error_ns) => assumed(realtime, *phc, *error_ns, tai_utc),
        }
    }
}

impl Word {
    /// Tells the map, for the readings that come next.
    pub(super) fn tell(&self, map: &mut ClockMap) {
        map.synchronise(Clock::Realtime, self.realtime);
        if let Some((phc, sync)) = self.phc {
            map.synchronise(Clock::Hardware(HwClock::Phc(phc)), sync);
        }
    }
}

fn by_kernel(kernel: &Discipline) -> Option<Sync> {
    kernel.is_synchronised.then(|| Sync {
        source: SyncSource::Kernel,
        timescale: Timescale::Utc,
        error_ns: kernel.error_ns_max,
        tai_utc: TaiUtc::kernel(kernel.tai_utc_s).unwrap_or_default(),
    })
}

fn assumed(realtime: Option<Sync>, phc: Option<u8>, error_ns: u64, tai_utc: TaiUtc) -> Word {
    let source = SyncSource::Configured;
    match phc {
        Some(phc) => {
            let sync = Sync { source, timescale: Timescale::Tai, error_ns, tai_utc };
            Word { realtime, phc: Some((phc, Some(sync))) }
        }
        None => {
            Word { realtime: Some(Sync { source, timescale: Timescale::Utc, error_ns, tai_utc }), phc: None }
        }
    }
}

/// The value; an error is said when it is another one than before.
fn say_once<T>(reported: &mut Option<String>, result: io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => {
            *reported = None;
            Some(value)
        }
        Err(error) => {
            let text = error.to_string();
            if reported.as_ref() != Some(&text) {
                warn!("cannot ask whether the clock is synchronised: {text}; it counts as not synchronised");
                *reported = Some(text);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use ecu_core::clock::TaiUtcSource;

    use super::*;

    #[test]
    fn the_kernels_word_is_taken_only_when_it_gives_it() {
        let said = Discipline {
            is_synchronised: true,
            error_ns_max: 1_500_000,
            error_ns: 20_000,
            frequency_ppt: 0,
            tai_utc_s: 37,
        };
        let sync = by_kernel(&said).unwrap();
        assert_eq!((sync.error_ns, sync.tai_utc.source), (1_500_000, TaiUtcSource::Kernel));
        let untold = by_kernel(&Discipline { tai_utc_s: 0, ..said }).unwrap();
        assert_eq!((untold.tai_utc.seconds, untold.tai_utc.source), (37, TaiUtcSource::BuiltIn));
        assert_eq!(by_kernel(&Discipline { is_synchronised: false, ..said }), None);
    }

    #[test]
    fn what_is_assumed_says_so() {
        let word = assumed(None, None, 1_000, TaiUtc::default());
        assert_eq!(word.realtime.map(|sync| sync.source), Some(SyncSource::Configured));
        let word = assumed(None, Some(1), 1_000, TaiUtc::default());
        assert_eq!(word.realtime, None, "the system's clock is not what was assumed of");
        assert!(matches!(word.phc, Some((1, Some(Sync { timescale: Timescale::Tai, .. })))), "{word:?}");
    }

    #[test]
    fn a_failure_is_said_once() {
        let mut reported = None;
        assert_eq!(say_once::<()>(&mut reported, Err(io::Error::other("no"))), None);
        assert_eq!(reported.as_deref(), Some("no"));
        assert_eq!(say_once(&mut reported, Ok(3)), Some(3));
        assert_eq!(reported, None);
    }
}
