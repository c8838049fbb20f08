//! PTP hardware clocks (`/dev/ptp*`, linux/ptp_clock.h): opened for reading only, compared with the system's clock.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use can_decode::{HwNanos, RawNanos, RealtimeNanos};
use libc::{ptp_clock_caps, ptp_clock_time, ptp_sys_offset, ptp_sys_offset_extended, ptp_sys_offset_precise};
use rustix::time::{ClockId, DynamicClockId, clock_gettime, clock_gettime_dynamic};

use crate::request::request;

/// Comparisons in one request, at most (`PTP_MAX_SAMPLES`).
pub const SAMPLES_MAX: usize = libc::PTP_MAX_SAMPLES as usize;
/// PHCs that are looked for, at most.
pub const CLOCKS_MAX: usize = 16;

const ZERO: ptp_clock_time = ptp_clock_time { sec: 0, nsec: 0, reserved: 0 };

/// One comparison: the PHC was read between two readings of `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhcReading {
    /// `CLOCK_REALTIME` before; the same as after when the hardware latched both at once.
    pub before: RealtimeNanos,
    /// What the PHC showed.
    pub phc: HwNanos,
    /// `CLOCK_REALTIME` after.
    pub after: RealtimeNanos,
    /// `CLOCK_MONOTONIC_RAW` at the same instant, where the hardware latched it.
    pub raw: Option<RawNanos>,
}

/// How a PHC is compared with the system's clock, the best way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `PTP_SYS_OFFSET_PRECISE`: the hardware latches both clocks at once.
    Precise,
    /// `PTP_SYS_OFFSET_EXTENDED`: the driver reads the system's clock right around the register.
    Extended,
    /// `PTP_SYS_OFFSET`: the kernel reads the system's clock around the driver's whole function.
    Basic,
    /// clock_gettime(2) of the dynamic clock, from user space.
    Gettime,
}

impl Method {
    const ALL: [Self; 4] = [Self::Precise, Self::Extended, Self::Basic, Self::Gettime];

    /// Name as used in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Precise => "precise",
            Self::Extended => "extended",
            Self::Basic => "basic",
            Self::Gettime => "gettime",
        }
    }
}

/// What a PHC can do (`PTP_CLOCK_GETCAPS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// By how much its frequency can be steered, ppb.
    pub adjust_ppb_max: u32,
    /// Whether it can be latched together with the system's clock.
    pub is_cross_stamping: bool,
    /// Whether it gives a pulse a second to the kernel.
    pub has_pps: bool,
    /// Inputs that stamp external events.
    pub external_stamps: u32,
}

/// What went wrong with a PHC.
#[derive(Debug)]
pub enum PtpError {
    /// It cannot be opened.
    Open(PathBuf, io::Error),
    /// It has gone (`ENODEV`): the card was removed or its driver unloaded.
    Gone(PathBuf),
    /// The request named failed.
    Request(PathBuf, &'static str, io::Error),
    /// Nothing that the kernel offers works with it.
    NoMethod(PathBuf),
}

impl fmt::Display for PtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) => write!(
                f,
                "cannot open {}: {error}; the service needs to read it (udev rule or DeviceAllow=char-ptp r)",
                path.display()
            ),
            Self::Gone(path) => {
                write!(f, "{} has gone; is the card's driver still loaded?", path.display())
            }
            Self::Request(path, what, error) => write!(f, "{}: {what}: {error}", path.display()),
            Self::NoMethod(path) => {
                write!(f, "{} can be compared with the system's clock in no way", path.display())
            }
        }
    }
}

impl std::error::Error for PtpError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(_, error) | Self::Request(_, _, error) => Some(error),
            Self::Gone(_) | Self::NoMethod(_) => None,
        }
    }
}

/// The numbers of the PHCs that are there, ascending, at most [`CLOCKS_MAX`]. None where the kernel has no PTP.
pub fn present() -> Vec<u8> {
    let entries = fs::read_dir("/sys/class/ptp").into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix("ptp")?.parse().ok();
    let mut numbers: Vec<u8> =
        entries.filter_map(|entry| number(entry.file_name().to_str()?)).take(CLOCKS_MAX).collect();
    numbers.sort_unstable();
    numbers
}

/// A PHC, open for reading.
#[derive(Debug)]
pub struct PtpClock {
    path: PathBuf,
    file: File,
    method: Method,
}

impl PtpClock {
    /// Opens `/dev/ptp{number}`. What it can do shows at the first reading.
    ///
    /// # Errors
    /// [`PtpError::Open`]
    pub fn open(number: u8) -> Result<Self, PtpError> {
        Self::open_path(Path::new(&format!("/dev/ptp{number}")))
    }

    /// Opens a PHC by the path of its device, such as a udev link.
    ///
    /// # Errors
    /// [`PtpError::Open`]
    pub fn open_path(path: &Path) -> Result<Self, PtpError> {
        let file = File::open(path).map_err(|error| PtpError::Open(path.to_owned(), error))?;
        Ok(Self { path: path.to_owned(), file, method: Method::Precise })
    }

    /// How it is compared; the best way until the first reading has shown what it can do.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// What it can do.
    ///
    /// # Errors
    /// [`PtpError::Gone`], [`PtpError::Request`]
    pub fn capabilities(&self) -> Result<Capabilities, PtpError> {
        let mut caps = ptp_clock_caps {
            max_adj: 0,
            n_alarm: 0,
            n_ext_ts: 0,
            n_per_out: 0,
            pps: 0,
            n_pins: 0,
            cross_timestamping: 0,
            adjust_phase: 0,
            max_phase_adj: 0,
            rsv: [0; 11],
        };
        self.either([libc::PTP_CLOCK_GETCAPS2, libc::PTP_CLOCK_GETCAPS], &mut caps)
            .map_err(|error| self.failed("PTP_CLOCK_GETCAPS", error))?;
        Ok(Capabilities {
            adjust_ppb_max: caps.max_adj.unsigned_abs(),
            is_cross_stamping: caps.cross_timestamping != 0,
            has_pps: caps.pps != 0,
            external_stamps: caps.n_ext_ts.unsigned_abs(),
        })
    }

    /// Compares it with `CLOCK_REALTIME` `samples` times in a row, 1 to [`SAMPLES_MAX`], by the best way that it has; fills
    /// `readings`, which need not be empty. A way that it lacks is not tried again.
    ///
    /// # Errors
    /// [`PtpError`]; `Request` when it is busy, then the next time may succeed.
    pub fn read(&mut self, samples: usize, readings: &mut Vec<PhcReading>) -> Result<(), PtpError> {
        let samples = samples.clamp(1, SAMPLES_MAX);
        let best = self.method;
        for method in Method::ALL.into_iter().filter(|method| *method >= best) {
            readings.clear();
            self.method = method;
            let read = match method {
                Method::Precise => self.read_precise(samples, readings),
                Method::Extended => self.read_extended(samples, readings),
                Method::Basic => self.read_basic(samples, readings),
                Method::Gettime => self.read_dynamic(samples, readings),
            };
            match read {
                Ok(()) => return Ok(()),
                Err(error) if is_lacking(&error) => {}
                Err(error) => return Err(self.failed(method.name(), error)),
            }
        }
        self.method = Method::Precise;
        Err(PtpError::NoMethod(self.path.clone()))
    }

    fn read_precise(&self, samples: usize, readings: &mut Vec<PhcReading>) -> io::Result<()> {
        for _ in 0..samples {
            let mut offset =
                ptp_sys_offset_precise { device: ZERO, sys_realtime: ZERO, sys_monoraw: ZERO, rsv: [0; 4] };
            self.either([libc::PTP_SYS_OFFSET_PRECISE2, libc::PTP_SYS_OFFSET_PRECISE], &mut offset)?;
            let (realtime, raw) = (parts(&offset.sys_realtime), parts(&offset.sys_monoraw));
            readings.push(PhcReading {
                raw: Some(RawNanos::from_timespec(raw.0, raw.1)),
                ..reading(realtime, parts(&offset.device), realtime)
            });
        }
        Ok(())
    }

    fn read_extended(&self, samples: usize, readings: &mut Vec<PhcReading>) -> io::Result<()> {
        let mut offset = ptp_sys_offset_extended {
            n_samples: samples as libc::c_uint,
            // Kernels before 6.12 know this field as reserved and want it 0, which is CLOCK_REALTIME.
            clockid: 0,
            rsv: [0; 2],
            ts: [[ZERO; 3]; SAMPLES_MAX],
        };
        self.either([libc::PTP_SYS_OFFSET_EXTENDED2, libc::PTP_SYS_OFFSET_EXTENDED], &mut offset)?;
        let three =
            |[before, phc, after]: &[ptp_clock_time; 3]| reading(parts(before), parts(phc), parts(after));
        readings.extend(offset.ts[..samples].iter().map(three));
        Ok(())
    }

    fn read_basic(&self, samples: usize, readings: &mut Vec<PhcReading>) -> io::Result<()> {
        let mut offset = ptp_sys_offset {
            n_samples: samples as libc::c_uint,
            rsv: [0; 3],
            ts: [ZERO; 2 * SAMPLES_MAX + 1],
        };
        self.either([libc::PTP_SYS_OFFSET2, libc::PTP_SYS_OFFSET], &mut offset)?;
        // System, PHC, system, PHC, …, system: each reading of the system's clock ends one and begins the next.
        let three = |three: &[ptp_clock_time]| reading(parts(&three[0]), parts(&three[1]), parts(&three[2]));
        readings.extend(offset.ts[..2 * samples + 1].windows(3).step_by(2).map(three));
        Ok(())
    }

    fn read_dynamic(&self, samples: usize, readings: &mut Vec<PhcReading>) -> io::Result<()> {
        for _ in 0..samples {
            let before = clock_gettime(ClockId::Realtime);
            let phc = clock_gettime_dynamic(DynamicClockId::Dynamic(self.file.as_fd()))?;
            let after = clock_gettime(ClockId::Realtime);
            let [before, phc, after] = [before, phc, after].map(|time| (time.tv_sec, time.tv_nsec));
            readings.push(reading(before, phc, after));
        }
        Ok(())
    }

    /// The request in its present form, else in the one of kernels before 5.4.
    fn either<T>(&self, requests: [libc::Ioctl; 2], value: &mut T) -> io::Result<()> {
        // SAFETY: both forms of a request are defined with the same structure; the callers above pass that one, and none
        // of them holds a pointer.
        let new = unsafe { request(self.file.as_fd(), requests[0], value) };
        match new {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                // SAFETY: as above.
                unsafe { request(self.file.as_fd(), requests[1], value) }
            }
            result => result,
        }
    }

    fn failed(&self, what: &'static str, error: io::Error) -> PtpError {
        if error.raw_os_error() == Some(libc::ENODEV) {
            PtpError::Gone(self.path.clone())
        } else {
            PtpError::Request(self.path.clone(), what, error)
        }
    }
}

/// Whether the error says that the kernel or the driver does not know the request.
fn is_lacking(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EINVAL | libc::ENOSYS))
}

type Parts = (i64, i64);

fn parts(time: &ptp_clock_time) -> Parts {
    (time.sec, i64::from(time.nsec))
}

fn reading(before: Parts, phc: Parts, after: Parts) -> PhcReading {
    PhcReading {
        before: RealtimeNanos::from_timespec(before.0, before.1),
        phc: HwNanos::from_timespec(phc.0, phc.1),
        after: RealtimeNanos::from_timespec(after.0, after.1),
        raw: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is a PHC every way that it has must agree with the others; elsewhere the errors are what is tested.
    #[test]
    fn every_clock_that_is_there_can_be_read() {
        let present = present();
        println!("PHCs here: {present:?}");
        for number in present {
            let Ok(mut clock) = PtpClock::open(number) else { continue };
            let mut readings = Vec::new();
            clock.read(5, &mut readings).expect("a PHC can be compared");
            assert_eq!(readings.len(), 5);
            assert!(readings.iter().all(|reading| reading.after >= reading.before), "{readings:?}");
        }
        assert!(matches!(PtpClock::open(255), Err(PtpError::Open(..))));
    }

    #[test]
    fn what_is_no_phc_has_no_method_and_says_so() {
        let mut clock = PtpClock::open_path(Path::new("/dev/null")).expect("a device that is no PHC");
        let mut readings = Vec::new();
        let error = clock.read(3, &mut readings).expect_err("not a PHC");
        assert!(matches!(error, PtpError::NoMethod(_)), "{error}");
        assert!(error.to_string().contains("/dev/null"), "{error}");
        assert!(matches!(clock.capabilities(), Err(PtpError::Request(_, "PTP_CLOCK_GETCAPS", _))));
        assert_eq!(clock.method(), Method::Precise, "it is asked anew the next time");
    }

    #[test]
    fn a_device_that_has_gone_is_told_from_one_that_fails() {
        let clock = PtpClock::open_path(Path::new("/dev/null")).expect("a device");
        let gone = clock.failed("read", io::Error::from_raw_os_error(libc::ENODEV));
        assert!(matches!(gone, PtpError::Gone(_)), "{gone}");
        let busy = clock.failed("read", io::Error::from_raw_os_error(libc::EBUSY));
        assert!(matches!(busy, PtpError::Request(..)), "{busy}");
    }

    #[test]
    fn the_sign_of_the_seconds_is_kept() {
        let time = ptp_clock_time { sec: -3, nsec: 250_000_000, reserved: 0 };
        assert_eq!(reading((0, 1), parts(&time), (2, 3)).phc, HwNanos(-2_750_000_000));
    }
}
